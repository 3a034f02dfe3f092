//! Which older blocks a node is asked for, beside its head. A head and its parent show that blocks were replaced; only
//! older blocks, asked for again, show how many.
//!
//! A few rungs far below the head are asked for once in a while and remembered with the heads of recent polls. As soon as
//! an answer contradicts them, all of them are asked for again, from near the head to far below it.

use std::{collections::VecDeque, time::Duration};

use crate::{
    model::{BlockHash, Height, Timestamp},
    observation::Head,
};

/// How often rungs are looked after, and a block told before is asked for again.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The distances of the rungs: the highest multiple of each at or below the head.
const RUNGS: [u64; 4] = [64, 256, 1024, 4096];

/// Blocks remembered: recent heads.
const HEADS: usize = 32;

/// Blocks remembered: rungs.
const OLD_RUNGS: usize = 12;

/// Blocks asked for at once at the most.
pub const ASKED_AT_ONCE: usize = 12;

/// What a node has told of its chain, as far as it is worth asking for again.
#[derive(Debug, Default)]
pub struct Ladder {
    /// Heads of recent polls, newest last.
    heads: VecDeque<(Height, BlockHash)>,
    /// Blocks far below, newest last.
    rungs: VecDeque<(Height, BlockHash)>,
    /// The height of each rung that was last asked for, whatever came of it.
    asked: [Height; RUNGS.len()],
    looked: Option<Timestamp>,
    contradicted: bool,
}

impl Ladder {
    /// Takes in the head of a poll at `now` and says which older blocks to ask for, at most [`ASKED_AT_ONCE`].
    pub fn climb(&mut self, now: Timestamp, head: &Head) -> Vec<Height> {
        self.take_head(head);
        if std::mem::take(&mut self.contradicted) {
            return self.spread(head.height);
        }
        let looked = *self.looked.get_or_insert(now);
        if now.since(looked) < LOOK_EVERY {
            return Vec::new();
        }
        self.looked = Some(now);
        let earlier = self.heads.iter().rev().map(|(height, _)| *height).find(|height| *height < head.height);
        earlier.into_iter().chain(self.missing_rungs(head.height)).collect()
    }

    /// Takes in the answers. One that contradicts what was told before calls for all the others.
    pub fn take(&mut self, blocks: &[(Height, BlockHash)]) {
        for (height, hash) in blocks {
            let told = self.heads.iter_mut().chain(&mut self.rungs).find(|(told, _)| told == height);
            match told {
                Some((_, told)) => self.contradicted |= std::mem::replace(told, *hash) != *hash,
                None => remember(&mut self.rungs, OLD_RUNGS, (*height, *hash)),
            }
        }
    }

    fn take_head(&mut self, head: &Head) {
        let Some(hash) = head.hash else { return };
        let parent = head.parent.zip(head.height.0.checked_sub(1)).map(|(hash, height)| (Height(height), hash));
        self.contradicted |= parent.into_iter().chain([(head.height, hash)]).any(|word| self.contradicts(word));
        match self.heads.iter_mut().find(|(height, _)| *height == head.height) {
            Some((_, told)) => *told = hash,
            None => remember(&mut self.heads, HEADS, (head.height, hash)),
        }
    }

    fn contradicts(&self, (height, hash): (Height, BlockHash)) -> bool {
        self.heads.iter().chain(&self.rungs).any(|(told, before)| *told == height && *before != hash)
    }

    /// Told heights below the head: the nearest, then each about twice as far as the one before.
    fn spread(&self, head: Height) -> Vec<Height> {
        let told = self.heads.iter().chain(&self.rungs).map(|(height, _)| *height);
        let mut below: Vec<Height> = told.filter(|height| *height < head).collect();
        below.sort_unstable();
        below.dedup();
        let mut asked = Vec::new();
        let mut next = 1;
        for height in below.into_iter().rev() {
            if next <= head.above(height) && asked.len() < ASKED_AT_ONCE {
                next = head.above(height).saturating_mul(2);
                asked.push(height);
            }
        }
        asked
    }

    fn missing_rungs(&mut self, head: Height) -> Vec<Height> {
        let mut missing = Vec::new();
        for (distance, asked) in RUNGS.iter().zip(&mut self.asked) {
            let rung = Height(head.0 - head.0 % distance);
            if rung != Height(0) && rung != *asked && !missing.contains(&rung) {
                missing.push(rung);
            }
            *asked = rung;
        }
        missing
    }
}

fn remember(blocks: &mut VecDeque<(Height, BlockHash)>, limit: usize, block: (Height, BlockHash)) {
    if blocks.len() == limit {
        blocks.pop_front();
    }
    blocks.push_back(block);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(branch: u8, height: u64) -> BlockHash {
        let mut hash = [branch; 32];
        hash[..8].copy_from_slice(&height.to_be_bytes());
        BlockHash(hash)
    }

    fn head(branch: u8, height: u64) -> Head {
        let parent = Some(hash(branch, height - 1));
        Head { height: Height(height), hash: Some(hash(branch, height)), parent, time: None, transactions: None }
    }

    fn heights(asked: &[Height]) -> Vec<u64> {
        asked.iter().map(|height| height.0).collect()
    }

    /// A node polled every second at every block.
    fn followed(ladder: &mut Ladder, branch: u8, blocks: std::ops::Range<u64>) -> Vec<u64> {
        let mut asked = Vec::new();
        for height in blocks {
            let now = Timestamp(i64::try_from(height).unwrap() * 1000);
            let wanted = ladder.climb(now, &head(branch, height));
            ladder.take(&wanted.iter().map(|height| (*height, hash(branch, height.0))).collect::<Vec<_>>());
            asked.extend(heights(&wanted));
        }
        asked
    }

    #[test]
    fn an_undisturbed_chain_costs_a_block_now_and_then() {
        let mut ladder = Ladder::default();
        let asked = followed(&mut ladder, 1, 10_000..11_000);
        assert!(asked.len() < 80, "{} blocks asked for in 1000 polls", asked.len());
        assert!(asked.contains(&8192) && asked.contains(&9984), "rungs far below: {asked:?}");
    }

    #[test]
    fn another_parent_calls_for_everything_told_before_at_growing_distances() {
        let mut ladder = Ladder::default();
        followed(&mut ladder, 1, 10_000..10_100);
        let asked = heights(&ladder.climb(Timestamp(10_101_000), &head(2, 10_100)));
        assert!(asked.len() <= ASKED_AT_ONCE && asked.contains(&8192), "{asked:?}");
        assert!(asked.windows(2).all(|pair| pair[1] < pair[0]), "from the head downwards: {asked:?}");
        assert!(asked.iter().filter(|height| 10_000 < **height).count() <= 8, "not all of them near: {asked:?}");
    }

    #[test]
    fn an_answer_that_contradicts_calls_for_the_others_at_the_next_poll() {
        let mut ladder = Ladder::default();
        followed(&mut ladder, 1, 10_000..10_100);
        ladder.take(&[(Height(10_080), hash(2, 10_080))]);
        assert!(2 < ladder.climb(Timestamp(10_101_000), &head(1, 10_101)).len());
        assert_eq!(ladder.climb(Timestamp(10_101_500), &head(1, 10_101)), []);
    }

    #[test]
    fn heights_at_both_ends_of_the_numbers_are_climbed_without_harm() {
        let mut ladder = Ladder::default();
        for (second, height) in [u64::MAX, 0, 1, u64::MAX - 1, 0, 7].into_iter().enumerate() {
            let word = Head { height: Height(height), hash: Some(hash(1, height)), ..head(1, 9) };
            let asked = ladder.climb(Timestamp(i64::try_from(second).unwrap() * 60_000), &word);
            assert!(asked.len() <= ASKED_AT_ONCE);
        }
    }
}
