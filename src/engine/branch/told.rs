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

/// One reorganisation may be proven in stages, of which the deepest counts; what is proven after this time is another.
const ONE_LASTS: Duration = Duration::from_secs(120);

/// Hashes by height, the lowest first, each height once.
type Words = Vec<(Height, BlockHash)>;

/// What a node says of one height.
#[derive(Debug, Clone, Copy)]
struct Word {
    hash: BlockHash,
    /// The highest head that was told together with it, and hence descends from it.
    top: Height,
    /// The answer in which it was last told.
    answer: u64,
    /// When that came.
    at: Timestamp,
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
            self.retract(|height| reorg.lowest < height && said_of(&said, height).is_none());
        }
        self.note(found, &said, at);
        for (height, hash) in said {
            self.keep(height, hash, facts.head.height, at);
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
                        from: self.descended(*height, word.top),
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

    /// The highest head that descends from the block at `height`, which was told together with `top`: whatever was told
    /// of the heights between bears it out further up.
    fn descended(&self, height: Height, top: Height) -> Height {
        let above = self.words.range(height..);
        above.fold(top.max(height), |top, (height, word)| if *height <= top { top.max(word.top) } else { top })
    }

    /// A reorganisation is one when the node stays with it: a second answer must not bring the old block back.
    fn note(&mut self, found: Option<Reorg>, said: &Words, at: Timestamp) {
        if let Some(reorg) = &mut self.reorg {
            if said_of(said, reorg.lowest) == Some(reorg.was) {
                (self.reorg, self.returned) = (None, Some(at));
                return;
            }
            reorg.confirmed |= reorg.at < at && said.last().is_some_and(|(head, _)| reorg.lowest <= *head);
        }
        let Some(found) = found else { return };
        let spent = |old: &Reorg| old.depth() <= found.depth() || ONE_LASTS <= at.since(old.at);
        if self.reorg.as_ref().is_none_or(spent) {
            self.reorg = Some(found);
        }
    }

    fn keep(&mut self, height: Height, hash: BlockHash, head: Height, at: Timestamp) {
        let answer = self.answers;
        if let Some(word) = self.words.get_mut(&height) {
            let top = if word.hash == hash { word.top.max(head) } else { head };
            self.changed |= word.hash != hash;
            *word = Word { hash, top, answer, at, counted: word.counted };
            return;
        }
        self.changed = true;
        self.words.insert(height, Word { hash, top: head, answer, at, counted: None });
        self.crowd_out(rank(height), head);
    }

    /// Of too many words of one rank the one furthest from the head is forgotten, but none before those told just now:
    /// after a rollback it is the words right above the head that new blocks will contradict first.
    fn crowd_out(&mut self, of: u32, head: Height) {
        let peers = self.words.iter().filter(|(height, _)| rank(**height) == of);
        let worth = |height: Height, word: &Word| (word.answer != self.answers, height.0.abs_diff(head.0), height);
        let (count, least) = peers.fold((0, None), |(count, least), (height, word)| {
            let worth = Some(worth(*height, word));
            (count + 1, if least <= worth { worth } else { least })
        });
        if let Some((.., height)) = least.filter(|_| WORDS_OF_A_RANK < count) {
            self.take_back(height);
        }
    }

    fn retract(&mut self, is_void: impl Fn(Height) -> bool) {
        let void: Vec<Height> = self.words.keys().copied().filter(|height| is_void(*height)).collect();
        for height in void {
            self.take_back(height);
        }
    }

    fn take_back(&mut self, height: Height) {
        if let Some(word) = self.words.remove(&height) {
            self.void.extend(word.counted.map(|hash| (height, hash)));
            self.changed = true;
        }
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
    pub fn downwards(&self) -> impl Iterator<Item = (Height, BlockHash)> {
        self.words.range(..=self.height).rev().map(|(height, word)| (*height, word.hash))
    }

    /// What it says of a height.
    #[must_use]
    pub fn hash_at(&self, height: Height) -> Option<BlockHash> {
        self.words.get(&height).filter(|_| height <= self.height).map(|word| word.hash)
    }

    /// When it last spoke of a height.
    #[must_use]
    pub fn at(&self, height: Height) -> Option<Timestamp> {
        self.words.get(&height).map(|word| word.at)
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
    let parent = head.height.0.checked_sub(1).map(Height).zip(head.parent);
    let finalized = match facts.finality {
        Finality::Known { height, hash: Some(hash), .. } => Some((height, hash)),
        _ => None,
    };
    let mut words = Words::with_capacity(facts.checkpoints.len().min(CHECKPOINTS) + 3);
    words.extend(head.hash.map(|hash| (head.height, hash)));
    words.extend(parent);
    words.extend(facts.checkpoints.iter().copied().take(CHECKPOINTS));
    words.extend(finalized);
    words.retain(|(height, _)| *height <= head.height);
    // What was said first stays first.
    words.sort_by_key(|(height, _)| *height);
    words.dedup_by_key(|(height, _)| *height);
    words
}

/// What an answer says of a height.
fn said_of(said: &Words, height: Height) -> Option<BlockHash> {
    let position = said.binary_search_by_key(&height, |(height, _)| *height).ok()?;
    said.get(position).map(|(_, hash)| *hash)
}

/// How often 4 divides a height, up to [`RANKS`].
fn rank(height: Height) -> u32 {
    (height.0.trailing_zeros() / 2).min(RANKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer at a height with the three multiples of each power of four below it; above `fork` on `branch`.
    fn answer(height: u64, fork: u64, branch: u8) -> Facts {
        let hash = |height: u64| BlockHash([if fork < height { branch } else { 0 }; 32]);
        let mut facts = Facts::at_height(Height(height));
        facts.head.hash = Some(hash(height));
        let rungs =
            (1..=RANKS).flat_map(|power| (0..3).map(move |i| (height >> (2 * power)).saturating_sub(i) << (2 * power)));
        facts.checkpoints = rungs.filter(|rung| *rung < height).map(|rung| (Height(rung), hash(rung))).collect();
        facts
    }

    fn tell(told: &mut Told, second: i64, facts: &Facts) -> Option<Reorg> {
        let found = told.tell(facts, false, Timestamp(second * 1000));
        told.stand_at(facts.head.height);
        found
    }

    /// A node that grew to 10,000 and then is on another branch from below that on: what is proven of the depth.
    fn check(depth: u64, height: u64) {
        let mut told = Told::default();
        (9_000..=10_000).for_each(|height| assert!(tell(&mut told, 0, &answer(height, u64::MAX, 0)).is_none()));
        let moved = answer(height, 10_000 - depth, 7);
        let found = tell(&mut told, 1, &moved).unwrap();
        assert!(found.depth() <= depth && depth <= found.at_most().unwrap(), "{depth}: {found:?}");
        assert!(depth <= 4 * found.depth(), "{depth}: {found:?}");
        assert_eq!(told.reorg(Timestamp(1000)), None, "one answer is not enough");
        tell(&mut told, 2, &moved);
        assert_eq!(told.reorg(Timestamp(2000)).map(Reorg::depth), Some(found.depth()));
    }

    #[test]
    fn the_depth_is_bounded_from_both_sides() {
        for depth in [20, 37, 157, 600, 3693] {
            check(depth, 10_001);
        }
    }

    #[test]
    fn a_rollback_is_proven_as_soon_as_new_blocks_reach_heights_told_before() {
        let mut told = Told::default();
        (9_000..=10_000).for_each(|height| assert!(tell(&mut told, 0, &answer(height, u64::MAX, 0)).is_none()));
        let proof = (9_941..20_000).find(|height| tell(&mut told, 1, &answer(*height, 9_940, 7)).is_some()).unwrap();
        assert!(proof <= 9_944, "{proof}");
    }

    #[test]
    fn a_rollback_is_as_deep_as_the_head_that_stood_on_what_was_replaced() {
        let mut told = Told::default();
        (9_000..=10_000).for_each(|height| assert!(tell(&mut told, 0, &answer(height, u64::MAX, 0)).is_none()));
        let found = tell(&mut told, 1, &answer(9_860, 9_843, 7)).unwrap();
        assert_eq!((found.from, found.at_most()), (Height(10_000), Some(160)), "{found:?}");
    }

    #[test]
    fn a_node_that_takes_back_its_change_has_more_than_one_mind() {
        let mut told = Told::default();
        let (old, new) = (answer(1000, u64::MAX, 0), answer(1000, 900, 7));
        for second in 0..20 {
            tell(&mut told, second, if second % 4 < 2 { &old } else { &new });
        }
        assert_eq!(told.reorg(Timestamp(20_000)), None);
    }

    #[test]
    fn memory_is_bounded_whatever_is_told() {
        let mut told = Told::default();
        for i in 0..20_000_u64 {
            tell(&mut told, 0, &answer(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 60), i, 3));
            told.settle(i % 3 == 0, |_, _, _| {});
        }
        assert!(told.words.len() <= WORDS_OF_A_RANK * 7 && told.void.len() <= WORDS_OF_A_RANK * 7);
    }

    #[test]
    fn what_is_counted_is_what_is_said_now() {
        let (mut told, mut counted) = (Told::default(), BTreeMap::new());
        for i in 0..500_u64 {
            tell(&mut told, 0, &answer(1000 + i * 7 % 400, 1000 + i % 90, (i % 5) as u8));
            told.settle(i % 4 != 0, |height, before, now| {
                assert_eq!(counted.remove(&height), before, "{height}");
                counted.extend(now.map(|now| (height, now)));
            });
        }
        assert_eq!(counted, told.downwards().collect());
        told.forget();
        told.settle(true, |height, before, _| assert_eq!(counted.remove(&height), before));
        assert!(counted.is_empty());
    }
}
