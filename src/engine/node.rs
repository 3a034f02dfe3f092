//! What is remembered of one node: its last words, how it fails, how its height moved. Facts only; what follows from
//! them is decided elsewhere.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    alert::Lives,
    branch::Told,
    consensus::Pulse,
    custom::CustomLives,
    decrease::{self, Clue, Decrease, HARMLESS_STEP},
    eye::{self, Eye},
    finding::Finding,
    identity::Selves,
    rule,
    settings::NodeSettings,
    snapshot::{Histogram, POLL_BUCKETS, POLL_OUTCOMES, PollCounts},
    timer::Timer,
};
use crate::{
    model::{Height, NodeState, Now, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Meaning, NodeObservation},
};

/// A failing node is polled more and more rarely; its silence still counts as failing for this long beyond the usual.
pub const BACK_OFF: Duration = Duration::from_secs(120);

/// Polls whose highest height is the node's word: behind a balancer each poll may reach another backend.
const HEIGHTS: usize = 6;

/// Half of the resolution of the `Date` header, from which a node's clock is read: it is cut to whole seconds.
const CLOCK_RESOLUTION_MS: i64 = 500;

/// Everything remembered of one node.
#[derive(Debug, Default)]
pub struct Node {
    /// How it looks from each vantage.
    pub eyes: Vec<Eye>,
    /// When the last poll ended, and how.
    pub last_poll: Option<Timestamp>,
    /// The failure of the last poll, if it failed, from wherever it looks best.
    pub error: Option<(ErrorKind, Arc<str>)>,
    /// The last good answer.
    pub good: Option<Good>,
    /// When a poll last said anything about the node: all but those that failed by our own fault.
    pub heard: Option<Timestamp>,
    /// The failures since the last good answer, if the last telling poll failed from every vantage that sees.
    pub streak: Option<Streak>,
    /// Recent heights.
    heights: VecDeque<Height>,
    /// When the highest recent height last rose.
    pub moved_at: Option<Timestamp>,
    /// From where its newest word last went down by more than is harmless, and when.
    pub fell: Option<(Height, Timestamp)>,
    /// The newest timestamp of its heads, which no older block has, on whatever branch.
    newest_head: Option<UnixTime>,
    /// When, below a height it fell from, its head last was newer than any before.
    renewed_at: Option<Timestamp>,
    /// As whom it answered lately.
    pub selves: Selves,
    /// Hashes it told for recent heights.
    pub told: Told,
    /// The last time its height went back by more than is harmless, and why.
    pub decrease: Option<Decrease>,
    /// Transactions that the last block left behind, though they waited before it, or that waited when we first asked:
    /// as many as these may wait for ever.
    left_behind: Option<u64>,
    /// Since when more than those have been waiting, and in how many polls.
    pub waiting: Option<(Timestamp, u32)>,
    /// Its own weight among the validators, as it told it last.
    pub power: Option<u64>,
    /// Its heartbeat.
    pub pulse: Pulse,
    /// Its clock minus ours at its last good answer, and by how much that may be wrong, in milliseconds.
    pub skew: Option<Skew>,
    /// Finished polls by outcome.
    pub polls: PollCounts,
    /// Durations of all finished polls.
    pub poll_duration: Histogram<10>,
    /// Its state and since when.
    pub state: NodeState,
    /// Since when it has been in that state.
    pub state_since: Option<Timestamp>,
    /// Whether it is beyond the lag limit, or was and has not come back to a third of it.
    pub behind: bool,
    /// What it says that other nodes of its network contradict.
    pub dispute: Dispute,
    /// The height with which it votes on the tip, if it votes.
    pub vote: Option<Height>,
    /// The highest height with which it has voted.
    pub reached: Option<Height>,
    /// Its alerts.
    pub lives: Lives<{ rule::NODE_RULES.len() }>,
    /// Its alerts by rules of the user's own.
    pub custom: CustomLives,
}

/// A good answer.
#[derive(Debug, Clone)]
pub struct Good {
    /// When it arrived.
    pub at: Timestamp,
    /// What it said.
    pub facts: Arc<Facts>,
}

/// Failures in a row that mean the same.
#[derive(Debug, Clone, Copy)]
pub struct Streak {
    /// What they mean.
    pub meaning: Meaning,
    /// When the first of them began; moved forward by times in which we were blind ourselves.
    pub since: Timestamp,
    /// The same for the first failure since the last good answer, whatever it meant.
    pub begun: Timestamp,
    /// How many there were.
    pub attempts: u32,
    /// How the last one failed.
    pub kind: ErrorKind,
}

/// How far a node's clock is from ours.
#[derive(Debug, Clone, Copy)]
pub struct Skew {
    /// Its clock minus ours, in milliseconds.
    pub ms: i64,
    /// By how much that may be wrong.
    pub doubt_ms: i64,
}

/// What a node says that the others contradict.
#[derive(Debug, Default)]
pub struct Dispute {
    /// Another chain: the finding that says so.
    pub identity: Option<Finding>,
    /// Another hash at a common height.
    pub hash: Option<HashDispute>,
    /// Whether it is alone: others speak of its heights, and nobody says the same.
    pub alone: bool,
}

/// Another hash at a common height.
#[derive(Debug, Clone)]
pub struct HashDispute {
    /// When it was first contradicted.
    pub since: Timestamp,
    /// When it last told a block that is contradicted.
    pub told: Timestamp,
    /// What says so.
    pub finding: Finding,
}

/// What a node's last telling poll amounts to now.
#[derive(Debug, Clone, Copy)]
pub enum Word<'a> {
    /// Nothing we know is fresh.
    Nothing,
    /// It answers.
    Facts(&'a Facts),
    /// It fails.
    Failing(Streak),
}

/// How long a good answer counts: two polls may be late or lost before a node's word is stale.
#[must_use]
pub fn fresh_for(settings: &NodeSettings) -> Duration {
    settings.interval.saturating_mul(2).saturating_add(settings.timeout)
}

impl Node {
    /// A node of which nothing is known from any of so many vantages.
    #[must_use]
    pub fn new(vantages: usize) -> Self {
        let mut node = Self::default();
        node.seen_from(vantages);
        node
    }

    /// From now on it is polled from so many vantages.
    pub fn seen_from(&mut self, vantages: usize) {
        self.eyes.resize_with(vantages, Eye::default);
    }

    /// Takes in one finished poll. Polls that arrive out of order are counted and otherwise ignored.
    pub fn take(&mut self, now: Now, settings: &NodeSettings, observation: &NodeObservation) {
        let at = observation.at.min(now.at);
        let outcome = observation.outcome.as_ref().err().map_or(0, |error| 1 + position(error.kind));
        self.polls[outcome] += 1;
        self.poll_duration.observe(&POLL_BUCKETS, observation.elapsed);
        let Some(eye) = self.eyes.get_mut(observation.vantage.index()) else { return };
        if eye.last_poll.is_some_and(|last| at < last) {
            return;
        }
        eye.last_poll = Some(at);
        match &observation.outcome {
            Ok(facts) => {
                if self.state == NodeState::Offline {
                    eye.failures.clear();
                }
                eye.answer(at, observation.elapsed);
                self.take_facts(now, at, observation.elapsed, facts);
            }
            Err(error) => eye.fail(at, observation.elapsed, error),
        }
        self.last_poll = self.last_poll.max(Some(at));
        self.weigh(settings, now.at);
    }

    /// Makes one word of what all vantages say.
    pub fn weigh(&mut self, settings: &NodeSettings, now: Timestamp) {
        let sum = eye::sum(&self.eyes, settings, now);
        (self.heard, self.streak, self.error) = (sum.heard, sum.streak, sum.error);
    }

    /// Facts that are older than those another vantage has brought are no news.
    fn take_facts(&mut self, now: Now, at: Timestamp, elapsed: Duration, facts: &Arc<Facts>) {
        if self.good.as_ref().is_some_and(|good| at < good.at) {
            return;
        }
        self.skew = facts.clock.map(|clock| skew(now.wall_at(at), elapsed, clock));
        self.selves.meet(at, facts.identity.as_ref());
        self.take_height(at, facts);
        self.take_pending(at, facts.pending);
        self.power = facts.power.or(self.power);
        self.pulse.feel(at, facts);
        self.good = Some(Good { at, facts: Arc::clone(facts) });
    }

    /// Only what came after the last block proves that a block is due: a transaction that a block has passed over may
    /// be one that no block will ever take.
    fn take_pending(&mut self, at: Timestamp, pending: Option<u64>) {
        let Some(pending) = pending else {
            self.waiting = None;
            return;
        };
        let before = self.good.as_ref().and_then(|good| good.facts.pending);
        if let Some(before) = before.filter(|_| self.moved_at == Some(at)) {
            (self.left_behind, self.waiting) = (Some(before), None);
        }
        // What waits at the first sight may have been passed over by any number of blocks.
        let left_behind = self.left_behind.unwrap_or(pending).min(pending);
        self.left_behind = Some(left_behind);
        self.waiting = match self.waiting {
            _ if pending == left_behind => None,
            None => Some((at, 1)),
            Some((since, polls)) => Some((since, polls.saturating_add(1))),
        };
    }

    fn take_height(&mut self, at: Timestamp, facts: &Facts) {
        let height = facts.head.height;
        let (before, last) = (self.height(), self.last_height());
        if last.is_some_and(|last| HARMLESS_STEP < last.above(height)) {
            self.fell = before.map(|from| (from, at));
        }
        while HEIGHTS * self.eyes.len() <= self.heights.len() {
            self.heights.pop_front();
        }
        self.heights.push_back(height);
        if before.is_none_or(|before| before < height) {
            self.moved_at = Some(at);
        }
        let reorg = self.told.tell(facts, self.state == NodeState::Forked, at);
        if reorg.is_some() {
            // Replaced blocks are gone: no other backend still stands there.
            self.heights.clear();
            self.heights.push_back(height);
        }
        self.told.stand_at(self.height().unwrap_or(height));
        self.decrease = decrease::after(
            self.decrease,
            Clue {
                at,
                before,
                height,
                highest: self.height().unwrap_or(height),
                replaced: reorg.map(|reorg| reorg.depth()),
                syncing: facts.syncing.is_under_way() == Some(true),
            },
        );
        if self.newest_head < facts.head.time {
            self.newest_head = facts.head.time;
            // A time that moves while the height stands is no block's.
            let renewed = self.is_fallen(height) && last != Some(height);
            self.renewed_at = if renewed { Some(at) } else { self.renewed_at };
        }
    }

    /// Whether a height lies below where it once fell from.
    fn is_fallen(&self, height: Height) -> bool {
        self.fell.is_some_and(|(from, _)| HARMLESS_STEP < from.above(height))
    }

    /// The highest height of its recent polls.
    #[must_use]
    pub fn height(&self) -> Option<Height> {
        self.heights.iter().copied().max()
    }

    /// What it told last.
    #[must_use]
    pub fn last_height(&self) -> Option<Height> {
        self.heights.back().copied()
    }

    /// Whether it has come down since then and goes on from there: it rises, or it told newer blocks than ever before
    /// no longer ago than `lately`. Behind a balancer it may be another backend that speaks, so its word is still the highest
    /// of its recent heights, until all of them are lower.
    #[must_use]
    pub fn goes_on_below(&self, since: Timestamp, lately: Duration, timer: &Timer) -> bool {
        let mut newest = self.heights.iter().rev();
        let (last, before) = (newest.next(), newest.next());
        let fallen = self.fell.is_some_and(|(_, at)| since < at);
        let rises = before.is_none_or(|before| Some(before) < last);
        let renewed = || self.renewed_at.is_some_and(|at| since < at && !timer.passed(at.after(lately)));
        fallen && (renewed() || rises && last.is_some_and(|last| self.is_fallen(*last)))
    }

    /// The height it can vote for: no higher than the `tip` as it stands while its blocks are contradicted, by a
    /// majority or by everybody.
    #[must_use]
    pub fn provable_height(&self, tip: Option<Height>) -> Option<Height> {
        let doubted = self.dispute.alone || self.dispute.hash.is_some();
        self.height().map(|height| tip.filter(|_| doubted).map_or(height, |tip| height.min(tip)))
    }

    /// Its word, if the last telling poll is fresh.
    #[must_use]
    pub fn word(&self, settings: &NodeSettings, timer: &Timer) -> Word<'_> {
        let Some(heard) = self.heard else { return Word::Nothing };
        let fresh = heard.after(fresh_for(settings));
        match (self.streak, &self.good) {
            (Some(streak), _) if !timer.passed(fresh.after(BACK_OFF)) => Word::Failing(streak),
            (None, Some(good)) if !timer.passed(fresh) => Word::Facts(&good.facts),
            _ => Word::Nothing,
        }
    }

    /// The last good facts while they are fresh, even if polls have failed since: a node that flaps still saw what it
    /// saw. A node that says it is starting, or does not let us in, has taken its word back.
    #[must_use]
    pub fn testimony(&self, settings: &NodeSettings, timer: &Timer) -> Option<&Facts> {
        let silenced = self.streak.is_some_and(|s| matches!(s.meaning, Meaning::Refused | Meaning::Starting));
        let good = self.good.as_ref().filter(|_| !silenced)?;
        (!timer.passed(good.at.after(fresh_for(settings)))).then_some(&*good.facts)
    }

    /// Whether its last poll was good and is fresh: only then its values may be shown.
    #[must_use]
    pub fn shown(&self, settings: &NodeSettings, now: Timestamp) -> Option<&Arc<Facts>> {
        let good =
            self.good.as_ref().filter(|good| self.error.is_none() && now < good.at.after(fresh_for(settings)))?;
        Some(&good.facts)
    }

    /// Failures told us nothing while this vantage was blind: what was counting starts anew.
    pub fn forgive(&mut self, vantage: usize, now: Timestamp) {
        if self.state != NodeState::Offline {
            self.eyes[vantage].forgive(now);
        }
    }

    /// Enters `state`; returns the one it was in if that is another.
    pub fn enter(&mut self, state: NodeState, now: Timestamp) -> Option<NodeState> {
        if self.state_since.is_none() && state != NodeState::Unknown {
            self.state_since = Some(now);
        }
        if self.state == state {
            return None;
        }
        self.state_since = Some(now);
        Some(std::mem::replace(&mut self.state, state))
    }
}

fn position(kind: ErrorKind) -> usize {
    let position = ErrorKind::ALL.iter().position(|k| *k == kind).unwrap_or(0);
    position.min(POLL_OUTCOMES - 2)
}

/// The node read its clock somewhere between our request and its answer, and cut it to whole seconds.
#[must_use]
pub fn skew(answered: UnixTime, elapsed: Duration, clock: UnixTime) -> Skew {
    let half_ms = i64::try_from(elapsed.as_millis() / 2).unwrap_or(i64::MAX);
    let ms = clock.minus(answered).saturating_add(half_ms).saturating_add(CLOCK_RESOLUTION_MS);
    Skew { ms, doubt_ms: half_ms.saturating_add(CLOCK_RESOLUTION_MS) }
}
