//! Whether we see enough of a network for a verdict about its blocks. A few who speak where many spoke before may all be
//! stuck, so half of the former voters are needed. Those that are known to be gone are no longer waited for: a halt is
//! not hidden by the endpoints that broke shortly before it. Where so many core nodes are gone that no block can be made
//! without them, whoever is left and stands still says what is to be expected: then one witness is enough.

use std::time::Duration;

use super::{
    network::Network,
    node::{Node, fresh_for},
    quorum::Scale,
    settings::{NetworkSettings, NodeSettings},
    timer::Timer,
    tip::Votes,
};
use crate::{model::Timestamp, observation::Meaning};

/// So long must fewer voters than before be all there are, until they are what is expected.
const EXPECTATION_LASTS: Duration = Duration::from_secs(600);

/// Failed polls in a row that confirm that a voter is gone.
const CONFIRMED_FAILURE: u32 = 2;

impl Network {
    /// We see enough when half of the voters of the last good view still speak, and one of them stands at the tip.
    /// Where two who answer stand there, or one who is left without a quorum, those who are known to be gone are not
    /// counted.
    /// Whoever was last heard so long ago that a block could have been missed since does not see the tip.
    pub(super) fn settle_sight(
        &mut self,
        settings: &NetworkSettings,
        all: &[NodeSettings],
        votes: Votes,
        see: &[Node],
        timer: &Timer,
    ) {
        let now = timer.now().at;
        self.voters = votes.count;
        let expected = self.expected.min(self.present(settings, all, see, timer)).max(votes.count);
        let half = |n: usize| 0 < n && expected <= 2 * n;
        let enough = half(self.voters);
        let threshold = self.progress.threshold(settings);
        let sees = |i: &&usize| {
            let good = see[**i].good.as_ref().filter(|_| see[**i].vote.is_some());
            good.is_some_and(|good| !timer.passed(good.at.after(sees_for(&all[**i], threshold))))
        };
        let seeing = half(self.members.iter().filter(sees).count());
        self.expect(enough, timer);
        self.sight = seeing && self.tip.height() <= votes.highest && self.tip.height().is_some();
        self.progress.see(self.sight, now);
    }

    /// Former voters that are not known to be gone; all, unless enough who answer stand at the tip.
    fn present(&self, settings: &NetworkSettings, all: &[NodeSettings], see: &[Node], timer: &Timer) -> usize {
        let former = || self.members.iter().filter(|i| see[**i].reached.is_some());
        let tip = self.tip.height();
        let stands = |i: &&usize| see[**i].streak.is_none() && see[**i].vote.is_some() && tip <= see[**i].vote;
        let bereft = self.is_bereft(settings, all, see);
        let witnesses = if bereft { 1 } else { 2 };
        if former().filter(stands).take(witnesses).count() < witnesses {
            return usize::MAX;
        }
        let gone = |i: &&usize| {
            let node = &see[**i];
            is_failing(node) && (bereft || self.is_gone(settings, &all[**i], node, timer))
        };
        former().filter(|i| !gone(i)).count()
    }

    /// A voter whose polls fail is gone when either the tip has risen without it, so that those who are left are known
    /// to live, or it has failed for so long that it is no coincidence of polls.
    fn is_gone(&self, settings: &NetworkSettings, own: &NodeSettings, node: &Node, timer: &Timer) -> bool {
        node.streak.is_some_and(|streak| {
            let without = self.progress.at > Some(streak.begun.after(fresh_for(own)));
            without || timer.passed(streak.begun.after(settings.limits.unreachable_after))
        })
    }

    /// Whether more core weight gives no answer than the protocol can lose.
    fn is_bereft(&self, settings: &NetworkSettings, all: &[NodeSettings], see: &[Node]) -> bool {
        let nodes = || self.members.iter().map(|i| (&all[*i], &see[*i]));
        let scale = Scale::of(settings, &self.roll, nodes());
        let absent = |node: &Node| node.streak.is_some_and(|streak| streak.meaning == Meaning::Absent);
        let gone = nodes().filter(|(own, node)| own.core && is_failing(node) && absent(node));
        let gone = gone.fold(0_u64, |sum, (own, node)| sum.saturating_add(scale.weight(own, node)));
        scale.tolerated < gone
    }

    /// What lasts becomes what is expected: first fewer voters, at last even fewer than half.
    fn expect(&mut self, enough: bool, timer: &Timer) {
        if self.expected <= self.voters || self.voters == 0 {
            (self.expected, self.fewer) = (self.expected.max(self.voters), None);
            return;
        }
        let since = match self.fewer {
            Some((since, before)) if before == enough => since,
            _ => timer.now().at,
        };
        self.fewer = Some((since, enough));
        if timer.passed(since.after(EXPECTATION_LASTS)) {
            (self.expected, self.fewer) = (self.voters, None);
        }
    }

    /// We cannot trust what we hear: nothing counts until we can.
    pub fn blind(&mut self, now: Timestamp) {
        self.sight = false;
        self.progress.see(false, now);
    }
}

/// Whether a node has no vote because its polls fail.
fn is_failing(node: &Node) -> bool {
    let fails = |meaning| matches!(meaning, Meaning::Absent | Meaning::Limited);
    let confirmed = node.streak.filter(|streak| fails(streak.meaning) && CONFIRMED_FAILURE <= streak.attempts);
    node.vote.is_none() && confirmed.is_some()
}

/// How long a voter's last answer proves that no block has come: never so long that its next could be overlooked.
fn sees_for(settings: &NodeSettings, threshold: Duration) -> Duration {
    let until_next = settings.interval.saturating_add(settings.interval / 4);
    fresh_for(settings).min(threshold.saturating_sub(until_next).max(threshold / 3))
}
