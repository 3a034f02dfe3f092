//! What one node told: the hash of every height it spoke of lately, and of fewer and fewer of those before. Another hash
//! at a height told before is a reorganisation, and its depth is what descended from the block that was replaced.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    model::{BlockHash, Height, Timestamp},
    observation::{CHECKPOINTS, Facts, Finality},
};

/// Words remembered of each rank: of heights that 4 does not divide, that 4 does but 16 does not, and so on. Twelve of
/// a rank reach back sixteen steps of it.
const WORDS_OF_A_RANK: usize = 12;

/// The highest rank: multiples of 4096.
const RANKS: u32 = 6;

/// A node that came back to a block it had replaced has more than one mind, or is more than one node. For so long none
/// of its changes is believed to be a reorganisation.
const TORN_LASTS: Duration = Duration::from_secs(600);

/// Hashes by height.
type Words = BTreeMap<Height, BlockHash>;

/// What a node says of one height.
#[derive(Debug, Clone, Copy)]
struct Word {
    hash: BlockHash,
    /// The highest head that was told together with it, and hence descends from it.
    top: Height,
    /// The answer in which it was last told.
    answer: u64,
    /// What the network counts as this node's word.
    counted: Option<BlockHash>,
}

/// Blocks of a node were replaced by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reorg {
    /// When that was first seen.
    pub at: Timestamp,
    /// The highest head that is known to have descended from what was replaced.
    pub from: Height,
    /// The lowest height that is known to have been replaced.
    pub lowest: Height,
    /// The highest height below that which is known to have stayed.
    pub common: Option<Height>,
    /// Whether the node came home from a branch that only a minority had followed.
    pub homecoming: bool,
    /// What stood at `lowest`.
    was: BlockHash,
    /// Whether a second answer bore it out.
    confirmed: bool,
}

impl Reorg {
    /// So many blocks at least were replaced.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.from.above(self.lowest).saturating_add(1)
    }

    /// So many blocks at the most, where that is known.
    #[must_use]
    pub fn at_most(&self) -> Option<u64> {
        self.common.map(|common| self.from.above(common))
    }
}

/// Everything one node told of hashes.
#[derive(Debug, Default)]
pub struct Told {
    words: BTreeMap<Height, Word>,
    /// Words the network still counts, though the node no longer stands by them or they are forgotten. Never more than
    /// were counted at the last settlement.
    void: Vec<(Height, BlockHash)>,
    /// Answers so far.
    answers: u64,
    /// Whether anything has changed since the network last counted.
    changed: bool,
    /// Whether the network counts what it says.
    speaks: bool,
    /// The node's height: what it told above that is remembered, but it no longer stands by it.
    height: Height,
    /// The deepest reorganisation of late.
    reorg: Option<Reorg>,
    /// When it last came back to a block it had replaced.
    returned: Option<Timestamp>,
    /// Other hashes at heights told before.
    pub reorgs: u64,
}

impl Told {
    /// Takes in an answer. Returns the reorganisation it proves, if it does. `stray`: the node is known to be on the
    /// branch of a minority.
    pub fn tell(&mut self, facts: &Facts, stray: bool, at: Timestamp) -> Option<Reorg> {
        let said = words_of(facts);
        self.answers = self.answers.saturating_add(1);
        let found = self.compare(&said, stray, at);
        if let Some(reorg) = &found {
            self.reorgs = self.reorgs.saturating_add(1);
            self.retract(|height| reorg.lowest < height && !said.contains_key(&height));
        }
        self.note(found, &said, at);
        for (height, hash) in said {
            self.keep(height, hash, facts.head.height);
        }
        found
    }

    /// What in this answer replaces a block told before: the deepest proof counts.
    fn compare(&self, said: &Words, stray: bool, at: Timestamp) -> Option<Reorg> {
        let mut common = None;
        let mut found: Option<Reorg> = None;
        for (height, hash) in said {
            match (self.words.get(height), &mut found) {
                (None, _) => {}
                (Some(word), None) if word.hash == *hash => common = Some(*height),
                (Some(word), Some(_)) if word.hash == *hash => {}
                (Some(word), Some(reorg)) => reorg.from = reorg.from.max(word.top),
                (Some(word), None) => {
                    found = Some(Reorg {
                        at,
                        from: word.top.max(*height),
                        lowest: *height,
                        common,
                        homecoming: stray,
                        was: word.hash,
                        confirmed: false,
                    });
                }
            }
        }
        found
    }

    /// A reorganisation is one when the node stays with it: a second answer must not bring the old block back.
    fn note(&mut self, found: Option<Reorg>, said: &Words, at: Timestamp) {
        if let Some(reorg) = &mut self.reorg {
            if said.get(&reorg.lowest) == Some(&reorg.was) {
                (self.reorg, self.returned) = (None, Some(at));
                return;
            }
            reorg.confirmed |= reorg.at < at && said.last_key_value().is_some_and(|(head, _)| reorg.lowest <= *head);
        }
        let Some(found) = found else { return };
        let spent = |old: &Reorg| old.depth() <= found.depth() || TORN_LASTS <= at.since(old.at);
        if self.reorg.as_ref().is_none_or(spent) {
            self.reorg = Some(found);
        }
    }

    fn keep(&mut self, height: Height, hash: BlockHash, head: Height) {
        let answer = self.answers;
        if let Some(word) = self.words.get_mut(&height) {
            let top = if word.hash == hash { word.top.max(head) } else { head };
            self.changed |= word.hash != hash;
            *word = Word { hash, top, answer, counted: word.counted };
            return;
        }
        self.changed = true;
        self.words.insert(height, Word { hash, top: head, answer, counted: None });
        self.crowd_out(rank(height));
    }

    /// Of too many words of one rank the one that was not told for the longest time is forgotten.
    fn crowd_out(&mut self, of: u32) {
        let peers = || self.words.iter().filter(|(height, _)| rank(**height) == of);
        if peers().count() <= WORDS_OF_A_RANK {
            return;
        }
        let oldest = peers().min_by_key(|(height, word)| (word.answer, **height)).map(|(height, _)| *height);
        self.retract(|height| Some(height) == oldest);
    }

    fn retract(&mut self, is_void: impl Fn(Height) -> bool) {
        let void = &mut self.void;
        let before = self.words.len();
        self.words.retain(|height, word| {
            let gone = is_void(*height);
            void.extend(word.counted.filter(|_| gone).map(|hash| (*height, hash)));
            !gone
        });
        self.changed |= self.words.len() < before;
    }

    /// Hands every change since the last time to `count`: the height, what counted so far, and what counts now. The words
    /// of a node that does not speak for this network now do not count.
    pub fn settle(&mut self, speaks: bool, mut count: impl FnMut(Height, Option<BlockHash>, Option<BlockHash>)) {
        if !self.changed && speaks == self.speaks {
            return;
        }
        (self.changed, self.speaks) = (false, speaks);
        for (height, hash) in self.void.drain(..) {
            count(height, Some(hash), None);
        }
        for (height, word) in &mut self.words {
            let now = (speaks && *height <= self.height).then_some(word.hash);
            if word.counted != now {
                count(*height, word.counted, now);
                word.counted = now;
            }
        }
    }

    /// Nothing is counted any more: whoever counts begins anew.
    pub fn uncount(&mut self) {
        self.void.clear();
        self.words.values_mut().for_each(|word| word.counted = None);
        (self.changed, self.speaks) = (true, false);
    }

    /// The node stands at `height`, and no longer by what it told of heights above.
    pub fn stand_at(&mut self, height: Height) {
        let lower = std::mem::replace(&mut self.height, height).min(height);
        self.changed |= self.words.last_key_value().is_some_and(|(highest, _)| lower < *highest);
    }

    /// Takes back everything told: it was about another chain, or about one that is no more.
    pub fn forget(&mut self) {
        self.retract(|_| true);
        (self.reorg, self.returned) = (None, None);
    }

    /// Whether its words count and there are any.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.speaks && !self.words.is_empty()
    }

    /// Its words, from the highest down.
    pub fn from_the_top(&self) -> impl Iterator<Item = (Height, BlockHash)> {
        self.words.range(..=self.height).rev().map(|(height, word)| (*height, word.hash))
    }

    /// What it says of a height.
    #[must_use]
    pub fn hash_at(&self, height: Height) -> Option<BlockHash> {
        self.words.get(&height).filter(|_| height <= self.height).map(|word| word.hash)
    }

    /// The deepest reorganisation of late that a second answer bore out, unless the node has more than one mind.
    #[must_use]
    pub fn reorg(&self, now: Timestamp) -> Option<&Reorg> {
        let torn = self.returned.is_some_and(|at| now.since(at) < TORN_LASTS);
        self.reorg.as_ref().filter(|reorg| reorg.confirmed && !torn)
    }
}

/// Everything an answer says of hashes, none of it above its head. Where it contradicts itself, the head and its parent
/// are believed first.
fn words_of(facts: &Facts) -> Words {
    let head = facts.head;
    let mut words = Words::new();
    words.extend(head.hash.map(|hash| (head.height, hash)));
    let parent = head.height.0.checked_sub(1).map(Height).zip(head.parent);
    let finalized = match facts.finality {
        Finality::Known { height, hash: Some(hash), .. } => Some((height, hash)),
        _ => None,
    };
    let older = facts.checkpoints.iter().copied().take(CHECKPOINTS);
    for (height, hash) in parent.into_iter().chain(older).chain(finalized) {
        if height <= head.height {
            words.entry(height).or_insert(hash);
        }
    }
    words
}

/// How often 4 divides a height, up to [`RANKS`].
fn rank(height: Height) -> u32 {
    (height.0.trailing_zeros() / 2).min(RANKS)
}
