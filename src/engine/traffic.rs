//! What blocks carry: how many transactions are usual, how many came lately, and since when there have been none.

use std::{collections::VecDeque, time::Duration};

use super::vitals::Scene;
use crate::model::{Height, Timestamp};

/// Blocks are put together into times of at least this length ...
const BUCKET: Duration = Duration::from_secs(60);

/// ... and of so many block times.
const BUCKET_BLOCKS: u32 = 4;

/// So many of them are what came lately.
const LATELY: usize = 5;

/// So many are seen before anything is usual.
const WARM_UP: usize = 30;

/// One step of the usual towards what comes now, as a fraction of itself: a day's tide becomes usual, an hour does not.
const STEP: u64 = 100;

/// One transaction per block, in hundredths.
pub const ONE: u64 = 100;

/// A block somebody showed us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub height: Height,
    /// Its transactions.
    pub transactions: u64,
}

/// What blocks carried.
#[derive(Debug, Default)]
pub struct Traffic {
    seen: Option<Height>,
    empty: Option<Empty>,
    bucket: Bucket,
    /// Means per bucket, in hundredths, newest last: the warm-up, then only what came after it, and lately.
    means: VecDeque<u64>,
    usual: Option<u64>,
}

/// Blocks put together.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    since: Option<Timestamp>,
    blocks: u64,
    transactions: u64,
}

/// Nothing but empty blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Empty {
    /// Since when.
    pub since: Timestamp,
    /// The first of them.
    pub first: Height,
    /// How many of them we were shown.
    pub shown: u64,
    /// Transactions that waited when they began: those may never be taken.
    left_behind: Option<u64>,
    /// Since when more than those have been waiting, and how many now.
    pub waiting: Option<(Timestamp, u64)>,
}

impl Traffic {
    /// Takes in a view of the network.
    pub fn follow(&mut self, scene: &Scene<'_>, block: Option<Block>, pending: Option<u64>) {
        let now = scene.timer.now().at;
        if scene.blocks.is_none() {
            (self.seen, self.empty) = (None, None);
        }
        if let Some(block) = block.filter(|block| self.seen < Some(block.height)) {
            self.seen = Some(block.height);
            self.show(block, pending, scene.risen_at());
        }
        if let Some(empty) = &mut self.empty {
            empty.wait(pending, now);
        }
        let length = BUCKET.max(scene.block_time().unwrap_or_default().saturating_mul(BUCKET_BLOCKS));
        let since = *self.bucket.since.get_or_insert(now);
        if since.after(length) <= now {
            self.pour();
            self.bucket = Bucket { since: Some(now), ..Bucket::default() };
        }
    }

    fn show(&mut self, block: Block, pending: Option<u64>, at: Timestamp) {
        self.bucket.blocks += 1;
        self.bucket.transactions = self.bucket.transactions.saturating_add(block.transactions);
        if 0 < block.transactions {
            self.empty = None;
            return;
        }
        let begin = Empty { since: at, first: block.height, shown: 0, left_behind: pending, waiting: None };
        self.empty.get_or_insert(begin).shown += 1;
    }

    /// The bucket is full.
    fn pour(&mut self) {
        let Some(mean) = self.bucket.transactions.saturating_mul(ONE).checked_div(self.bucket.blocks) else { return };
        let kept = if self.usual.is_some() { LATELY } else { WARM_UP };
        while kept <= self.means.len() {
            self.means.pop_front();
        }
        self.means.push_back(mean);
        self.usual = match self.usual {
            Some(usual) => Some(step(usual, mean)),
            None if self.means.len() == WARM_UP => Some(median(&std::mem::take(&mut self.means))),
            None => None,
        };
    }

    /// The run of empty blocks up to now.
    #[must_use]
    pub fn empty(&self) -> Option<&Empty> {
        self.empty.as_ref()
    }

    /// Transactions per block that are usual, in hundredths, once that is known.
    #[must_use]
    pub fn usual(&self) -> Option<u64> {
        self.usual
    }

    /// Transactions per block of late, in hundredths: the middle of the last minutes, so that one burst is nothing. What
    /// made the usual is not compared with it.
    #[must_use]
    pub fn lately(&self) -> Option<u64> {
        let recent = self.means.len().checked_sub(LATELY)?;
        Some(median(&self.means.iter().skip(recent).copied().collect()))
    }
}

impl Empty {
    fn wait(&mut self, pending: Option<u64>, now: Timestamp) {
        let left_behind = self.left_behind;
        let more = pending.filter(|pending| left_behind.is_none_or(|left_behind| left_behind < *pending));
        self.left_behind = left_behind.min(pending).or(left_behind).or(pending);
        self.waiting = more.map(|pending| (self.waiting.map_or(now, |(since, _)| since), pending));
    }

    /// Whether nodes say what waits.
    #[must_use]
    pub fn knows_pending(&self) -> bool {
        self.left_behind.is_some()
    }
}

fn step(usual: u64, mean: u64) -> u64 {
    let step = usual / STEP + 1;
    if usual < mean { usual.saturating_add(step).min(mean) } else { usual.saturating_sub(step).max(mean) }
}

fn median(values: &VecDeque<u64>) -> u64 {
    let mut values: Vec<u64> = values.iter().copied().collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pour(traffic: &mut Traffic, means: impl Iterator<Item = u64>) {
        for transactions in means {
            traffic.bucket = Bucket { since: None, blocks: 1, transactions };
            traffic.pour();
        }
    }

    #[test]
    fn the_usual_is_known_after_a_warm_up_and_moves_slowly() {
        let mut traffic = Traffic::default();
        pour(&mut traffic, std::iter::repeat_n(50, WARM_UP - 1));
        assert_eq!(traffic.usual(), None);
        pour(&mut traffic, std::iter::once(900));
        assert_eq!(traffic.usual(), Some(5000), "one strange minute is not the usual");
        pour(&mut traffic, std::iter::repeat_n(500, 10));
        assert!(traffic.usual().unwrap() < 5700, "{:?}", traffic.usual());
        assert_eq!(traffic.lately(), Some(50_000));
        pour(&mut traffic, std::iter::repeat_n(500, 600));
        assert_eq!(traffic.usual(), Some(50_000), "what lasts becomes usual");
    }

    #[test]
    fn a_bucket_without_blocks_says_nothing() {
        let mut traffic = Traffic::default();
        traffic.pour();
        assert_eq!(traffic.lately(), None);
        assert!(traffic.means.is_empty());
    }

    #[test]
    fn only_what_came_after_the_first_empty_block_waits_for_it() {
        let mut traffic = Traffic::default();
        let at = |second: i64| Timestamp(second * 1000);
        traffic.show(Block { height: Height(1), transactions: 0 }, Some(7), at(1));
        traffic.empty.as_mut().unwrap().wait(Some(7), at(1));
        assert_eq!(traffic.empty().unwrap().waiting, None, "a sediment");
        traffic.empty.as_mut().unwrap().wait(Some(8), at(2));
        traffic.empty.as_mut().unwrap().wait(Some(9), at(3));
        assert_eq!(traffic.empty().unwrap().waiting, Some((at(2), 9)));
        traffic.show(Block { height: Height(2), transactions: 1 }, Some(9), at(4));
        assert_eq!(traffic.empty(), None);
    }
}
