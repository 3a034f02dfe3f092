//! Which block stands at which height, by the word of whom. Two hashes at one height are two branches; a node whose
//! branch is the smaller one is forked. Where two nodes disagree one to one, nobody can be accused.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    model::{BlockHash, Height},
    observation::Head,
};

/// Heights of which a node's own words are remembered.
const TOLD: usize = 16;

/// Heights around the tip at which a network compares hashes.
const DEPTH: u64 = 64;

/// Hashes counted at one height; more than this is noise.
const BRANCHES: usize = 8;

/// The hashes one node told for recent heights, newest last.
#[derive(Debug, Default)]
pub struct Told {
    blocks: VecDeque<(Height, BlockHash)>,
    /// Words that the network has not counted yet: the hash before, and the hash now.
    news: Vec<(Height, Option<BlockHash>, BlockHash)>,
    /// Other hashes at heights told before.
    pub reorgs: u64,
}

impl Told {
    /// Takes in a head and its parent; returns whether they replace a block told before.
    pub fn tell(&mut self, head: &Head) -> bool {
        let parent = head.parent.zip(head.height.0.checked_sub(1)).map(|(hash, height)| (Height(height), hash));
        let words = parent.into_iter().chain(head.hash.map(|hash| (head.height, hash)));
        let mut replaced = false;
        for (height, hash) in words {
            replaced |= self.tell_one(height, hash);
        }
        self.reorgs += u64::from(replaced);
        replaced
    }

    fn tell_one(&mut self, height: Height, hash: BlockHash) -> bool {
        let known = self.blocks.iter_mut().find(|(h, _)| *h == height);
        let before = known.map(|(_, told)| std::mem::replace(told, hash));
        if before.is_none() {
            if self.blocks.len() == TOLD {
                self.blocks.pop_front();
            }
            self.blocks.push_back((height, hash));
        }
        if before != Some(hash) {
            if self.news.len() == TOLD {
                self.news.remove(0);
            }
            self.news.push((height, before, hash));
        }
        before.is_some_and(|before| before != hash)
    }

    /// The words the network has not counted yet.
    pub fn take_news(&mut self) -> Vec<(Height, Option<BlockHash>, BlockHash)> {
        std::mem::take(&mut self.news)
    }

    /// Forgets everything told: the node was on another chain.
    pub fn forget(&mut self) {
        self.blocks.clear();
        self.news.clear();
    }
}

/// How a node's word compares with that of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Nobody else speaks of this height, or nobody is in the majority.
    Open,
    /// The majority says the same.
    Same,
    /// The majority says otherwise.
    Differs {
        /// Where.
        height: Height,
        /// The majority's hash.
        wanted: BlockHash,
        /// The node's.
        said: BlockHash,
    },
}

/// How many nodes of a network told which hash at which height.
#[derive(Debug, Default)]
pub struct Branches {
    heights: BTreeMap<Height, Vec<(BlockHash, usize)>>,
}

impl Branches {
    /// Counts one word: the node says `hash` now and, if anything, said `before`. Far from the tip it is not kept.
    pub fn count(&mut self, tip: Option<Height>, (height, before, hash): (Height, Option<BlockHash>, BlockHash)) {
        if tip.is_some_and(|tip| DEPTH < tip.above(height) || DEPTH < height.above(tip)) {
            return;
        }
        let counts = self.heights.entry(height).or_default();
        if let Some((_, n)) = counts.iter_mut().find(|(h, _)| Some(*h) == before) {
            *n = n.saturating_sub(1);
        }
        if let Some((_, n)) = counts.iter_mut().find(|(h, _)| *h == hash) {
            *n += 1;
        } else if counts.len() < BRANCHES {
            counts.push((hash, 1));
        }
        while 2 * usize::try_from(DEPTH).unwrap_or(usize::MAX) < self.heights.len() {
            self.heights.pop_first();
        }
    }

    /// The hash most nodes tell at a height.
    #[must_use]
    pub fn hash_at(&self, height: Height) -> Option<BlockHash> {
        let counts = self.heights.get(&height)?;
        counts
            .iter()
            .filter(|(_, n)| 0 < *n)
            .max_by_key(|(hash, n)| (*n, std::cmp::Reverse(*hash)))
            .map(|(hash, _)| *hash)
    }

    /// How a head compares with what the others say at its height, or else at its parent's.
    #[must_use]
    pub fn compare(&self, head: &Head) -> Comparison {
        let parent = head.height.0.checked_sub(1).map(Height).zip(head.parent);
        match self.compare_one(head.hash.map(|hash| (head.height, hash))) {
            Comparison::Open => self.compare_one(parent),
            decided => decided,
        }
    }

    fn compare_one(&self, word: Option<(Height, BlockHash)>) -> Comparison {
        let Some((height, said)) = word else { return Comparison::Open };
        let Some(counts) = self.heights.get(&height) else { return Comparison::Open };
        let own = counts.iter().find(|(hash, _)| *hash == said).map_or(0, |(_, n)| *n);
        let best =
            counts.iter().filter(|(hash, _)| *hash != said).max_by_key(|(hash, n)| (*n, std::cmp::Reverse(*hash)));
        match best {
            Some((wanted, n)) if own.max(1) < *n => Comparison::Differs { height, wanted: *wanted, said },
            Some((_, n)) if *n == own => Comparison::Open,
            _ if 2 <= own => Comparison::Same,
            _ => Comparison::Open,
        }
    }

    /// Forgets everything below the depth at which hashes are compared, and all above a tip that went back.
    pub fn settle(&mut self, tip: Height) {
        let lowest = Height(tip.0.saturating_sub(DEPTH));
        if self.heights.first_key_value().is_some_and(|(height, _)| *height < lowest) {
            self.heights = self.heights.split_off(&lowest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(height: u64, branch: u8) -> Head {
        Head {
            height: Height(height),
            hash: Some(BlockHash([branch; 32])),
            parent: None,
            time: None,
            transactions: None,
        }
    }

    /// What each node of a network says at one height, by branch, and who differs from the majority.
    fn check(branches: &[u8], wanted: &str) {
        let mut told: Vec<Told> = branches.iter().map(|_| Told::default()).collect();
        let mut network = Branches::default();
        for (node, branch) in told.iter_mut().zip(branches) {
            node.tell(&head(7, *branch));
            node.take_news().into_iter().for_each(|word| network.count(None, word));
        }
        let letter = |branch: &u8| match network.compare(&head(7, *branch)) {
            Comparison::Open => '?',
            Comparison::Same => '=',
            Comparison::Differs { .. } => '!',
        };
        assert_eq!(branches.iter().map(letter).collect::<String>(), wanted, "{branches:?}");
    }

    #[test]
    fn the_minority_differs_and_a_draw_accuses_nobody() {
        check(&[1], "?");
        check(&[1, 1], "==");
        check(&[1, 2], "??");
        check(&[1, 1, 2], "==!");
        check(&[1, 1, 2, 2], "????");
        check(&[1, 1, 1, 2, 2], "===!!");
    }

    #[test]
    fn a_node_that_changes_its_word_is_counted_once() {
        let (mut node, mut network) = (Told::default(), Branches::default());
        for branch in [1, 2, 1, 2] {
            node.tell(&head(7, branch));
            node.take_news().into_iter().for_each(|word| network.count(None, word));
        }
        assert_eq!(node.reorgs, 3);
        assert_eq!(network.hash_at(Height(7)), Some(BlockHash([2; 32])));
        assert_eq!(network.compare(&head(7, 1)), Comparison::Open);
    }
}
