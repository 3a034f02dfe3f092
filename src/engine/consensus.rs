//! Whether consensus runs where no block need come. A chain that makes blocks only for work is silent when it is idle and
//! silent when it has halted; two things tell one from the other before anybody wants a block.
//!
//! The first is a view that turns over also when nothing is sealed: once the quorum is lost it freezes. The second is
//! whom the nodes see: fewer makers of blocks than a block needs will make none. Neither is believed of one node where
//! several speak: a single view that stands still is that of a node in trouble.

use std::time::Duration;

use super::{
    alert::Verdict,
    finding::Finding,
    network::Network,
    node::{Node, Word},
    settings::{Cadence, NetworkSettings, NodeSettings},
    timer::Timer,
};
use crate::{
    model::{Height, NodeState, Timestamp},
    observation::{Facts, Seats},
};

/// A view stands still when so many polls in a row tell the same ...
const POLLS: u32 = 3;

/// ... for this long at least ...
const SHORTEST: Duration = Duration::from_secs(15);

/// ... and for as long as every maker of blocks may need to fail in its turn: each this long ...
const EACH: Duration = Duration::from_secs(1);

/// ... and once this long,
const ONCE: Duration = Duration::from_millis(3500);

/// counting no more makers of blocks than this, whatever nodes claim.
const COUNTED: u64 = 100;

/// A view that stands still while its node does not even try to get on must do so for so many times as long: there may
/// be protocols in which nothing is wrong then.
const UNCONFIRMED: u32 = 2;

/// A quorum is at risk once the nodes have missed some of those who make blocks for this long: a restart is no loss.
const RISK_LASTS: Duration = Duration::from_secs(90);

/// The heartbeat of one node: what it last told, and since when it has been telling the same.
#[derive(Debug, Default)]
pub struct Pulse {
    beat: Option<(Height, u64)>,
    since: Timestamp,
    seen: Timestamp,
    polls: u32,
    /// Whether it has changed under our eyes.
    moved: bool,
    /// Whether the node tries to get on: it wants another round than the one that is agreed upon.
    strives: bool,
    /// Whether it stands still while consensus as a whole is not known to.
    pub alone: bool,
}

impl Pulse {
    /// Takes in what a good poll at `at` said.
    pub fn feel(&mut self, at: Timestamp, facts: &Facts) {
        let Some(beat) = facts.heartbeat else { return *self = Self::default() };
        let told = Some((facts.head.height, beat));
        if told == self.beat {
            self.polls = self.polls.saturating_add(1);
        } else {
            (self.moved, self.beat) = (self.beat.is_some(), told);
            (self.since, self.polls) = (at, 1);
        }
        (self.seen, self.strives) = (at, facts.heartbeat < facts.round);
    }

    /// Whether the node tells its heartbeat.
    #[must_use]
    pub fn is_felt(&self) -> bool {
        self.beat.is_some()
    }

    /// For how long the same has been told, counted from `begin` at the earliest.
    #[must_use]
    pub fn rest(&self, begin: Option<Timestamp>) -> Duration {
        self.seen.since(begin.map_or(self.since, |begin| begin.max(self.since)))
    }

    fn stands(&self, limit: Duration, begin: Option<Timestamp>) -> bool {
        let limit = if self.strives { limit } else { limit.saturating_mul(UNCONFIRMED) };
        POLLS <= self.polls && limit <= self.rest(begin)
    }

    fn moves(&self, limit: Duration) -> bool {
        self.moved && self.rest(None) < limit
    }
}

/// How long something bad has been true. Time in which nobody knows does not count.
#[derive(Debug, Default)]
struct Lasting {
    since: Option<Timestamp>,
    unknown: Option<Timestamp>,
}

impl Lasting {
    fn note(&mut self, bad: Option<bool>, now: Timestamp) {
        match bad {
            None => self.unknown = self.unknown.or(Some(now)),
            Some(true) => {
                let lost = self.unknown.take().map_or(Duration::ZERO, |from| now.since(from));
                self.since = Some(self.since.map_or(now, |since| since.after(lost)));
            }
            Some(false) => *self = Self::default(),
        }
    }

    /// Since when, if it is known to be so now.
    fn known(&self) -> Option<Timestamp> {
        self.since.filter(|_| self.unknown.is_none())
    }
}

/// What is remembered of the consensus of a network.
#[derive(Debug, Default)]
pub struct Consensus {
    /// The views that stand still, if those of too many do.
    still: Option<Finding>,
    /// Since when consensus has been called still, until it is seen to move.
    stopped: Option<Timestamp>,
    /// Too few are seen for a block, by the word of all who tell.
    short: Lasting,
    /// Since when that has been called a loss of the quorum, until enough are seen again.
    lost: Option<Timestamp>,
    /// Some are missed, and none can be spared.
    risk: Lasting,
    /// What is seen, by the word of the lower middle.
    seats: Option<Seats>,
    /// How many say so.
    tellers: usize,
    limit: Duration,
}

/// What the views of those who speak amount to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Views {
    speakers: u64,
    still: u64,
    moving: u64,
    longest: Duration,
}

impl Views {
    /// Whether too many stand still for the others to agree on anything. As many as may fail at once can lie, so more
    /// than these that move prove that consensus does.
    fn stand_still(&self, tolerated: u64, only: bool) -> bool {
        let enough = tolerated.saturating_add(1).max(2);
        let all_left = self.speakers < enough && self.still == self.speakers && (2 <= self.still || only);
        let too_many = enough <= self.still || all_left && 0 < self.still;
        too_many && self.moving <= tolerated
    }

    /// Whether as many move as would have to stand still for a halt.
    fn move_on(&self, tolerated: u64, only: bool) -> bool {
        let enough = if only { 1 } else { tolerated.saturating_add(1).max(2) };
        0 < self.moving && enough.min(self.speakers) <= self.moving
    }
}

impl Consensus {
    /// What makes a halt of it, if anything does now.
    #[must_use]
    pub fn halt(&self, network: &Network, timer: &Timer) -> Option<Finding> {
        if let Some(still) = &self.still {
            return Some(still.clone());
        }
        let since = self.short_since(network)?;
        let seats = self.seats?;
        timer.passed(since.after(self.limit)).then(|| Finding::SeatsGone {
            live: seats.live,
            needed: seats.needed,
            total: seats.total,
            lasting: timer.now().at.since(since),
            voters: self.tellers,
        })
    }

    /// How long a view must stand still at the most until that is called a standstill.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.limit.saturating_mul(UNCONFIRMED)
    }

    /// Whether it has made a halt and nothing shows yet that it is over.
    #[must_use]
    pub fn lingers(&self) -> bool {
        self.stopped.is_some() || self.lost.is_some()
    }

    /// Too few have been seen since then; a block that came later was made by more.
    fn short_since(&self, network: &Network) -> Option<Timestamp> {
        let since = self.short.known()?;
        Some(since.max(network.progress.at.unwrap_or(since)).max(network.plans.closed.unwrap_or(since)))
    }

    /// Whether what the nodes see is one loss away from a halt.
    #[must_use]
    pub fn risk(&self, timer: &Timer) -> Verdict {
        let Some(since) = self.risk.since else { return Verdict::Clear };
        match (self.risk.known(), self.seats) {
            (Some(_), Some(Seats { total, needed, live })) if timer.passed(since.after(RISK_LASTS)) => {
                Verdict::Holds(Finding::MarginGone { live, needed, total })
            }
            _ => Verdict::Unknown,
        }
    }

    fn see(&mut self, told: &[Seats], alone_left: bool, now: Timestamp) {
        let few = !told.is_empty() && told.iter().all(|seats| seats.live < seats.needed);
        let proven = 2 <= told.len() || alone_left;
        self.short.note((!told.is_empty() && (proven || !few)).then_some(few), now);
        self.seats = middle(told);
        self.tellers = told.len();
        let spare =
            |seats: &Seats| seats.needed < seats.total && seats.live < seats.total && seats.live <= seats.needed;
        self.risk.note(self.seats.as_ref().map(spare), now);
    }
}

/// The lower middle of what is seen to be there, of what is needed and of all.
fn middle(told: &[Seats]) -> Option<Seats> {
    let of = |part: fn(&Seats) -> u64| {
        let mut parts: Vec<u64> = told.iter().map(part).collect();
        parts.sort_unstable();
        parts.get(parts.len().saturating_sub(1) / 2).copied()
    };
    Some(Seats { total: of(|seats| seats.total)?, needed: of(|seats| seats.needed)?, live: of(|seats| seats.live)? })
}

impl Network {
    /// Takes in what the nodes tell of the consensus.
    pub(super) fn settle_consensus(
        &mut self,
        settings: &NetworkSettings,
        all: &[NodeSettings],
        nodes: &mut [Node],
        timer: &Timer,
    ) {
        if settings.cadence != Cadence::OnDemand {
            self.consensus = Consensus::default();
            return;
        }
        // Views are told by heads: what a node weighs says nothing of them.
        let watched = self.members.iter().filter(|i| all[**i].core).count() as u64;
        let total = self.roll.total(settings, watched);
        let slowest = self.members.iter().map(|i| all[*i].interval).max().unwrap_or_default();
        let limit = patience(total);
        self.consensus.limit = limit.max(slowest.saturating_mul(POLLS));
        self.settle_views(settings.tolerance.tolerated(total), limit, all, nodes, timer);
        self.settle_seats(all, nodes, timer);
    }

    fn settle_views(
        &mut self,
        tolerated: u64,
        limit: Duration,
        all: &[NodeSettings],
        nodes: &mut [Node],
        timer: &Timer,
    ) {
        let begin = self.plans.closed;
        let speaks = |i: usize, node: &Node| {
            let told = matches!(node.word(&all[i], timer), Word::Facts(facts) if facts.heartbeat.is_some());
            told && node.vote.is_some()
        };
        let tip = self.tip.height();
        let mut views = Views::default();
        for node in self.members.iter().filter(|i| speaks(**i, &nodes[**i])).map(|i| &nodes[*i]) {
            let still = node.pulse.stands(limit, begin) && tip <= node.vote;
            views.speakers += 1;
            views.still += u64::from(still);
            views.moving += u64::from(node.pulse.moves(limit));
            views.longest = if still { views.longest.max(node.pulse.rest(begin)) } else { views.longest };
        }
        let only = self.members.len() == 1;
        let still = views.stand_still(tolerated, only);
        for i in self.members.iter().copied() {
            let alone = !still && !only && speaks(i, &nodes[i]) && nodes[i].pulse.stands(limit, begin);
            nodes[i].pulse.alone = alone;
        }
        self.consensus.still = still.then(|| Finding::ConsensusStands {
            tip: tip.unwrap_or_default(),
            still: views.longest,
            limit,
            voters: usize::try_from(views.still).unwrap_or(usize::MAX),
        });
        let over = views.move_on(tolerated, only) || self.progress.at > self.consensus.stopped;
        let stopped = self.consensus.stopped.filter(|_| !over);
        self.consensus.stopped = if still { stopped.or(Some(timer.now().at)) } else { stopped };
    }

    fn settle_seats(&mut self, all: &[NodeSettings], nodes: &[Node], timer: &Timer) {
        let members = || self.members.iter().map(|i| (&all[*i], &nodes[*i]));
        let told: Vec<Seats> = members()
            .filter(|(_, node)| node.vote.is_some())
            .filter_map(|(own, node)| if let Word::Facts(facts) = node.word(own, timer) { facts.seats } else { None })
            .filter(|seats| 0 < seats.needed && seats.needed <= seats.total)
            .collect();
        let offline = members().filter(|(_, node)| node.state == NodeState::Offline).count();
        let alone_left = told.len() == 1 && 0 < offline && offline + 1 == self.members.len();
        self.consensus.see(&told, alone_left, timer.now().at);
        let since = self.consensus.short_since(self);
        let lasts = since.is_some_and(|since| timer.passed(since.after(self.consensus.limit)));
        let over = self.consensus.short.since.is_none() || self.progress.at > self.consensus.lost;
        let lost = self.consensus.lost.filter(|_| !over);
        self.consensus.lost = if lasts { lost.or(Some(timer.now().at)) } else { lost };
    }
}

/// How long views must stand still where blocks are made by so many.
fn patience(total: u64) -> Duration {
    let each = EACH.saturating_mul(u32::try_from(total.min(COUNTED)).unwrap_or(u32::MAX));
    SHORTEST.max(each.saturating_add(ONCE))
}
