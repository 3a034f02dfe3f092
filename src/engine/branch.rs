//! Which block stands at which height, by the word of whom. Two hashes at one height are two branches; a node whose
//! branch is the smaller one is forked. Where two nodes disagree one to one, nobody can be accused.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    model::{BlockHash, Height, Timestamp},
    observation::Head,
};

/// Heights of which a node's own words are remembered.
const TOLD: usize = 16;

/// Heights around the tip at which a network compares hashes.
const DEPTH: u64 = 64;

/// Hashes counted at one height; more than this is noise.
const BRANCHES: usize = 8;

/// Uncounted words kept at the most: whatever is told and taken back between two views.
const NEWS: usize = 3 * TOLD;

/// A node's word about a height: what it said before, and what it says now.
pub type News = (Height, Option<BlockHash>, Option<BlockHash>);

/// The hashes one node told for recent heights, newest last.
#[derive(Debug, Default)]
pub struct Told {
    blocks: VecDeque<(Height, BlockHash)>,
    /// The highest height that is no longer remembered: what is said of it again is not counted again.
    forgotten: Option<Height>,
    /// Words that the network has not counted yet.
    news: VecDeque<News>,
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
            if Some(height) <= self.forgotten {
                return false;
            }
            if self.blocks.len() == TOLD {
                self.forgotten = self.forgotten.max(self.blocks.pop_front().map(|(height, _)| height));
            }
            self.blocks.push_back((height, hash));
        }
        if before != Some(hash) {
            self.say((height, before, Some(hash)));
        }
        before.is_some_and(|before| before != hash)
    }

    fn say(&mut self, news: News) {
        if self.news.len() == NEWS {
            self.news.pop_front();
        }
        self.news.push_back(news);
    }

    /// The words the network has not counted yet.
    pub fn take_news(&mut self) -> VecDeque<News> {
        std::mem::take(&mut self.news)
    }

    /// Begins anew with a head, when nothing told before counts any more.
    pub fn restart(&mut self, head: Option<&Head>) {
        *self = Self { reorgs: self.reorgs, ..Self::default() };
        if let Some(head) = head {
            self.tell(head);
        }
    }

    /// Takes back everything told: the node is on another chain.
    pub fn forget(&mut self) {
        for (height, hash) in std::mem::take(&mut self.blocks) {
            self.say((height, Some(hash), None));
        }
        self.forgotten = None;
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
    heights: BTreeMap<Height, Vec<Block>>,
}

/// A block somebody told of.
#[derive(Debug)]
struct Block {
    hash: BlockHash,
    /// How many nodes say so.
    nodes: usize,
    /// When the first of them did.
    first: Timestamp,
}

impl Branches {
    /// Counts one word: what the node says now, instead of what it said before. Far from the tip it is not kept.
    pub fn count(&mut self, tip: Option<Height>, (height, before, said): News, now: Timestamp) {
        if tip.is_some_and(|tip| DEPTH < tip.above(height) || DEPTH < height.above(tip)) {
            return;
        }
        let blocks = self.heights.entry(height).or_default();
        if let Some(block) = blocks.iter_mut().find(|block| Some(block.hash) == before) {
            block.nodes = block.nodes.saturating_sub(1);
        }
        if let Some(block) = blocks.iter_mut().find(|block| Some(block.hash) == said) {
            block.nodes += 1;
        } else if let Some(hash) = said.filter(|_| blocks.len() < BRANCHES) {
            blocks.push(Block { hash, nodes: 1, first: now });
        }
        while 2 * usize::try_from(DEPTH).unwrap_or(usize::MAX) < self.heights.len() {
            self.heights.pop_first();
        }
    }

    /// The hash most nodes tell at a height.
    #[must_use]
    pub fn hash_at(&self, height: Height) -> Option<BlockHash> {
        Some(self.most_told(height, |_| true)?.hash)
    }

    /// When the block at a height was first told, if a second node has borne that out: nobody knows the hash of a block
    /// that does not exist.
    #[must_use]
    pub fn proven_at(&self, height: Height) -> Option<Timestamp> {
        self.most_told(height, |_| true).filter(|block| 2 <= block.nodes).map(|block| block.first)
    }

    fn most_told(&self, height: Height, wanted: impl Fn(&Block) -> bool) -> Option<&Block> {
        let told = self.heights.get(&height)?.iter().filter(|block| 0 < block.nodes && wanted(block));
        told.max_by_key(|block| (block.nodes, std::cmp::Reverse(block.hash)))
    }

    /// How a head and its parent compare with what the others say at their heights. A branch that is the first to speak
    /// of a height agrees with itself there; its parent tells where it comes from.
    #[must_use]
    pub fn compare(&self, head: &Head) -> Comparison {
        let parent = head.height.0.checked_sub(1).map(Height).zip(head.parent);
        let (own, before) = (self.compare_one(head.hash.map(|hash| (head.height, hash))), self.compare_one(parent));
        match (own, before) {
            (Comparison::Same, Comparison::Differs { .. }) | (Comparison::Open, _) => before,
            _ => own,
        }
    }

    fn compare_one(&self, word: Option<(Height, BlockHash)>) -> Comparison {
        let Some((height, said)) = word else { return Comparison::Open };
        let own = self.most_told(height, |block| block.hash == said).map_or(0, |block| block.nodes);
        match self.most_told(height, |block| block.hash != said) {
            Some(best) if own.max(1) < best.nodes => Comparison::Differs { height, wanted: best.hash, said },
            Some(best) if best.nodes == own => Comparison::Open,
            _ if 2 <= own => Comparison::Same,
            _ => Comparison::Open,
        }
    }

    /// Forgets everything beyond the depth at which hashes are compared.
    pub fn settle(&mut self, tip: Height) {
        let lowest = Height(tip.0.saturating_sub(DEPTH));
        if self.heights.first_key_value().is_some_and(|(height, _)| *height < lowest) {
            self.heights = self.heights.split_off(&lowest);
        }
        while self.heights.last_key_value().is_some_and(|(height, _)| DEPTH < height.above(tip)) {
            self.heights.pop_last();
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
            node.take_news().into_iter().for_each(|word| network.count(None, word, Timestamp(0)));
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
            node.take_news().into_iter().for_each(|word| network.count(None, word, Timestamp(0)));
        }
        assert_eq!(node.reorgs, 3);
        assert_eq!(network.hash_at(Height(7)), Some(BlockHash([2; 32])));
        assert_eq!(network.compare(&head(7, 1)), Comparison::Open);
    }

    #[test]
    fn a_node_that_repeats_or_takes_back_its_words_gains_no_weight() {
        let (mut node, mut network) = (Told::default(), Branches::default());
        for round in 0..4 {
            (1..=40).for_each(|height| {
                node.tell(&head(height, 9));
                node.take_news().into_iter().for_each(|word| network.count(None, word, Timestamp(0)));
            });
            if round % 2 == 1 {
                node.forget();
            }
        }
        for height in 25..=40 {
            assert_eq!(network.compare(&head(height, 1)), Comparison::Open, "one node alone accuses nobody");
        }
    }
}
