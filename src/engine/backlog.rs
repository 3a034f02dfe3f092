//! How long the oldest waiting transaction has waited. Nobody tells us, but it follows from two counts: what waited at
//! some moment has been served once as many transactions have been put into blocks since then. What always waits (mempools
//! have a sediment that no block ever takes) is the usual and does not count.

use std::collections::VecDeque;

use super::{rule, traffic::Block, vitals::Scene};
use crate::model::Timestamp;

/// Samples kept of how many waited and how many were served.
const SAMPLES: usize = 128;

/// So many samples are taken within the limit.
const SAMPLES_PER_LIMIT: u32 = 16;

/// Up to this many times the usual is no backlog yet ...
const USUAL_TIMES: u64 = 2;

/// ... nor are so few transactions above it.
pub const FEW: u64 = 10;

/// One step of the usual towards what waits now, as a fraction of itself.
const STEP: u64 = 500;

/// So many blocks must have been seen to serve a queue ...
const SERVING_BLOCKS: u32 = 3;

/// ... and the last of them must lack no more than one of so many transactions of the fullest: then there was no room for
/// those who wait. What an emptier block leaves behind may be what no block will ever take.
const ROOM_SHARE: u64 = 10;

/// What waits, and what has been served.
#[derive(Debug, Default)]
pub struct Backlog {
    samples: VecDeque<Sample>,
    served: u64,
    /// The block up to which `served` counts.
    counted: Option<Block>,
    usual: Option<u64>,
    /// Transactions that wait now.
    pending: Option<u64>,
    /// Blocks seen since there has been a queue, and what the fullest of them carried.
    serving: (u32, u64),
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Timestamp,
    pending: u64,
    served: u64,
}

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Transactions that wait.
    pub pending: u64,
    /// Since when the oldest has, at least.
    pub oldest: Timestamp,
    /// Whether more wait than did then.
    pub grows: bool,
}

impl Backlog {
    /// Takes in a view of the network.
    pub fn follow(&mut self, scene: &Scene<'_>, block: Option<Block>, pending: Option<u64>) {
        if scene.blocks.is_none() {
            *self = Self { usual: self.usual, ..Self::default() };
        }
        self.serve(block);
        self.pending = pending;
        let Some(pending) = pending else { return };
        let now = scene.timer.now().at;
        let apart = scene.settings.limits.confirmation_limit / SAMPLES_PER_LIMIT;
        if self.samples.back().is_none_or(|last| last.at.after(apart) <= now) {
            self.sample(now, pending);
            // What waits during a halt is no more usual for it.
            if self.usual.is_none() || !scene.network.lives.fires(rule::HALTED) {
                self.learn(pending);
            }
        }
        if self.queue().is_none() {
            self.serving = (0, 0);
        }
    }

    /// Blocks that nobody showed us are taken to be like the next one.
    fn serve(&mut self, block: Option<Block>) {
        let Some(block) = block else { return };
        if let Some(before) = self.counted.filter(|before| before.height < block.height) {
            let blocks = block.height.above(before.height);
            self.served = self.served.saturating_add(block.transactions.saturating_mul(blocks));
            let (seen, fullest) = self.serving;
            self.serving = (seen.saturating_add(1), fullest.max(block.transactions));
        }
        self.counted = Some(block);
    }

    fn sample(&mut self, at: Timestamp, pending: u64) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at, pending, served: self.served });
    }

    fn learn(&mut self, pending: u64) {
        let usual = self.usual.get_or_insert(pending);
        let step = *usual / STEP + 1;
        *usual = if *usual < pending {
            usual.saturating_add(step).min(pending)
        } else {
            usual.saturating_sub(step).max(pending)
        };
    }

    /// Whether anybody says what waits.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.pending.is_some() && self.usual.is_some()
    }

    /// The queue, if the blocks that served it had no room for those who still wait: there is work for another.
    #[must_use]
    pub fn work(&self) -> Option<Queue> {
        let (seen, fullest) = self.serving;
        let last = self.counted?.transactions;
        let full = 0 < last && fullest - fullest / ROOM_SHARE <= last;
        self.queue().filter(|_| SERVING_BLOCKS <= seen && full)
    }

    /// The queue, if what waits above the usual has not been served.
    #[must_use]
    pub fn queue(&self) -> Option<Queue> {
        self.queue_above(self.usual?.saturating_mul(USUAL_TIMES).saturating_add(FEW))
    }

    /// The queue, if so many waiting are `usual`.
    #[must_use]
    pub fn queue_above(&self, usual: u64) -> Option<Queue> {
        let pending = self.pending?;
        if pending <= usual {
            return None;
        }
        let unserved =
            |sample: &&Sample| self.served.saturating_sub(sample.served) < sample.pending.saturating_sub(usual);
        // Whoever came after the newest sample that has been served is still in the queue.
        let oldest = self.samples.iter().rev().take_while(unserved).last();
        oldest.map(|oldest| Queue { pending, oldest: oldest.at, grows: oldest.pending <= pending })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Height;

    /// A sample every 20 s: what waits, and what one block each 20 s takes. Returns the age of the oldest at the end.
    fn check(script: &[(u64, u64)], wanted: Option<u64>) {
        let mut backlog = Backlog::default();
        for ((pending, transactions), n) in script.iter().zip(0_u64..) {
            backlog.serve(Some(Block { height: Height(n), transactions: *transactions }));
            backlog.pending = Some(*pending);
            backlog.sample(Timestamp(i64::try_from(n).unwrap() * 20_000), *pending);
            backlog.learn(*pending);
        }
        let now = Timestamp(i64::try_from(script.len() - 1).unwrap() * 20_000);
        let age = backlog.queue().map(|queue| now.since(queue.oldest).as_secs());
        assert_eq!(age, wanted);
    }

    #[test]
    fn a_queue_that_is_not_served_ages() {
        let mut script = vec![(5, 100); 10];
        script.extend((1..=20).map(|n| (n * 100, 10)));
        check(&script, Some(340));
        script.truncate(10);
        check(&script, None);
    }

    #[test]
    fn a_sediment_never_ages_however_large() {
        check(&[(150_000, 10); 100], None);
        let waves: Vec<_> = (0..100_u64).map(|n| (150_000 + n % 7 * 3000, 10)).collect();
        check(&waves, None);
    }

    #[test]
    fn a_long_queue_that_is_served_quickly_is_young() {
        let mut script = vec![(5, 100); 10];
        script.extend([(5000, 3000); 20]);
        check(&script, Some(20));
    }
}
