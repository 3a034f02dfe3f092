//! The common ground of a network: how many of its answering nodes told which hash at which height. Two hashes at one
//! height are two branches. A node that the majority contradicts is on a minority's branch; one that nobody supports is
//! alone; where two nodes disagree one to one, nobody can be accused.

use std::collections::{BTreeMap, BTreeSet};

use super::Told;
use crate::model::{BlockHash, Height, Timestamp};

/// Hashes counted at one height; more than this is noise.
const BRANCHES: usize = 16;

/// From so many answering nodes on, one node's word alone proves nothing.
const WITNESSES_NEEDED: usize = 3;

/// How a node's word compares with that of the others at the highest height at which enough of them speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody else speaks of its heights, or the others are of two minds.
    Open,
    /// The majority says the same.
    Same,
    /// Others speak of its heights, and none of them says the same; no majority does either.
    Alone,
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

/// A block somebody told of.
#[derive(Debug, Clone, Copy)]
struct Block {
    hash: BlockHash,
    /// How many nodes say so.
    nodes: usize,
    /// When the first of them did.
    first: Timestamp,
}

/// A height at which two branches are told, each by enough nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contest {
    /// The height.
    pub height: Height,
    /// The hash of the larger branch and how many tell it.
    pub larger: (BlockHash, usize),
    /// The same of the smaller.
    pub smaller: (BlockHash, usize),
    /// When both had been told first.
    pub since: Timestamp,
}

/// Who told what.
#[derive(Debug, Default)]
pub struct Ground {
    heights: BTreeMap<Height, Vec<Block>>,
    /// Heights at which two hashes are told by two nodes each.
    contested: BTreeSet<Height>,
    /// Nodes whose words are counted.
    pub speakers: usize,
}

impl Ground {
    /// Counts one word: what a node says now, instead of what was counted of it before.
    pub fn count(&mut self, height: Height, before: Option<BlockHash>, said: Option<BlockHash>, now: Timestamp) {
        let blocks = self.heights.entry(height).or_default();
        if let Some(block) = blocks.iter_mut().find(|block| Some(block.hash) == before) {
            block.nodes = block.nodes.saturating_sub(1);
        }
        if let Some(block) = blocks.iter_mut().find(|block| Some(block.hash) == said) {
            block.nodes += 1;
        } else if let Some(hash) = said.filter(|_| blocks.len() < BRANCHES) {
            blocks.push(Block { hash, nodes: 1, first: now });
        }
        blocks.retain(|block| 0 < block.nodes);
        if blocks.iter().filter(|block| 2 <= block.nodes).count() < 2 {
            self.contested.remove(&height);
        } else {
            self.contested.insert(height);
        }
        if blocks.is_empty() {
            self.heights.remove(&height);
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
        let told = self.heights.get(&height)?.iter().filter(|block| wanted(block));
        told.max_by_key(|block| (block.nodes, std::cmp::Reverse(block.hash)))
    }

    /// How a node stands to the others. What counts is the highest height at which those who have not spoken of it could
    /// change nothing: above it only some have been heard, and whoever speaks first agrees with himself; below it lies
    /// what may long be settled. Where there is none, the highest of which most speak decides, or whatever is known.
    #[must_use]
    pub fn compare(&self, told: &Told) -> Standing {
        let (mut most, mut any) = (None, None);
        for (height, said) in told.downwards() {
            let Some(blocks) = self.heights.get(&height) else { continue };
            let here = compare_one(height, said, blocks);
            if self.is_decided(blocks) {
                // A contradiction above the last agreement is not proven yet, but neither is it over.
                let doubted = here == Standing::Same && matches!(most, Some(Standing::Differs { .. }));
                return self.unless_few(if doubted { Standing::Open } else { here });
            }
            if self.speakers < 2 * spoken(blocks) {
                most = most.or(Some(here));
            }
            any = any.or(Some(here).filter(|here| *here != Standing::Open));
        }
        self.unless_few(most.or(any).unwrap_or(Standing::Open))
    }

    /// Whether most speak, and those who do not could not turn the outcome.
    fn is_decided(&self, blocks: &[Block]) -> bool {
        let silent = self.speakers.saturating_sub(spoken(blocks));
        let most = blocks.iter().map(|block| block.nodes).max().unwrap_or(0);
        let lead = blocks.iter().map(|block| most - block.nodes).filter(|lead| 0 < *lead).min().unwrap_or(most);
        let drawn = 1 < blocks.iter().filter(|block| block.nodes == most).count();
        silent == 0 || (!drawn && silent < lead && self.speakers < 2 * spoken(blocks))
    }

    /// Where two nodes answer, each is alone as soon as they disagree: that says nothing about either.
    fn unless_few(&self, standing: Standing) -> Standing {
        if standing == Standing::Alone && self.speakers < WITNESSES_NEEDED { Standing::Open } else { standing }
    }

    /// The highest height at which two branches are told by two nodes and a quarter of those who answer each, unless
    /// nearly all of them agree above it: then it is settled.
    #[must_use]
    pub fn contest(&self) -> Option<Contest> {
        let contest = self.contested.iter().rev().find_map(|height| self.contest_at(*height))?;
        self.agreed_above(contest.height).is_none().then_some(contest)
    }

    /// The contest at one height, if there is one.
    #[must_use]
    pub fn contest_at(&self, height: Height) -> Option<Contest> {
        let larger = *self.most_told(height, |_| true)?;
        let smaller = *self.most_told(height, |block| block.hash != larger.hash)?;
        let enough = 2 <= smaller.nodes && self.speakers <= smaller.nodes.saturating_mul(4);
        enough.then_some(Contest {
            height,
            larger: (larger.hash, larger.nodes),
            smaller: (smaller.hash, smaller.nodes),
            since: larger.first.max(smaller.first),
        })
    }

    /// The highest height above `height` at which so many agree that nobody else can hold a quarter, and how many do.
    #[must_use]
    pub fn agreed_above(&self, height: Height) -> Option<(Height, usize)> {
        let above = self.heights.range((std::ops::Bound::Excluded(height), std::ops::Bound::Unbounded));
        above.rev().find_map(|(height, blocks)| Some((*height, self.agreed(blocks)?)))
    }

    /// The highest height below `height` at which so many agree: it lies before the branches part.
    #[must_use]
    pub fn agreed_below(&self, height: Height) -> Option<Height> {
        self.heights.range(..height).rev().find(|(_, blocks)| self.agreed(blocks).is_some()).map(|(height, _)| *height)
    }

    /// The lowest contest above `height`, where the branches are first known to have parted.
    #[must_use]
    pub fn parting_above(&self, height: Option<Height>) -> Option<Contest> {
        let low = height.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.contested.range((low, std::ops::Bound::Unbounded)).find_map(|height| self.contest_at(*height))
    }

    fn agreed(&self, blocks: &[Block]) -> Option<usize> {
        let most = blocks.iter().map(|block| block.nodes).max()?;
        (2 <= most && self.speakers.saturating_mul(3) < most.saturating_mul(4)).then_some(most)
    }
}

/// How many nodes speak of a height.
fn spoken(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.nodes).sum()
}

fn compare_one(height: Height, said: BlockHash, blocks: &[Block]) -> Standing {
    let own = blocks.iter().find(|block| block.hash == said).map_or(1, |block| block.nodes);
    let others = blocks.iter().filter(|block| block.hash != said);
    let best = others.max_by_key(|block| (block.nodes, std::cmp::Reverse(block.hash)));
    match best {
        Some(best) if own < best.nodes => Standing::Differs { height, wanted: best.hash, said },
        Some(_) if own == 1 => Standing::Alone,
        Some(best) if own == best.nodes => Standing::Open,
        _ if 2 <= own => Standing::Same,
        _ => Standing::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Now, observation::Facts};

    /// What each node tells of heights 8 and 7, by branch; `.` is silent about 8.
    fn ground(script: &str) -> (Ground, Vec<Told>) {
        let mut ground = Ground::default();
        let nodes = script.split(' ').map(|branches| {
            let hash = |letter: Option<char>| letter.filter(|it| *it != '.').map(|it| BlockHash([it as u8; 32]));
            let mut facts = Facts::at_height(Height(8));
            facts.head.hash = hash(branches.chars().next());
            facts.head.parent = hash(branches.chars().nth(1));
            let mut told = Told::default();
            told.tell(&facts, false, Now::default().at);
            told.stand_at(Height(8));
            told.settle(true, |height, before, said| ground.count(height, before, said, Timestamp(0)));
            ground.speakers += 1;
            told
        });
        let nodes = nodes.collect();
        (ground, nodes)
    }

    /// `=` the same as the majority, `!` another, `1` alone, `?` open.
    fn check(script: &str, wanted: &str) {
        let (ground, nodes) = ground(script);
        let letter = |told: &Told| match ground.compare(told) {
            Standing::Open => '?',
            Standing::Same => '=',
            Standing::Alone => '1',
            Standing::Differs { .. } => '!',
        };
        assert_eq!(nodes.iter().map(letter).collect::<String>(), wanted, "{script}");
    }

    #[test]
    fn the_minority_differs_and_a_draw_accuses_nobody() {
        check("a", "?");
        check("a a", "==");
        check("a b", "??");
        check("a a b", "==!");
        check("a a b b", "????");
        check("a a a b b", "===!!");
        check("a b c", "111");
        check("a b c d e", "11111");
    }

    #[test]
    fn a_height_of_which_few_have_spoken_decides_nothing() {
        check("ba ba .a .a .a .a", "======");
        check("bb bb .a .a .a .a", "!!====");
        check("ba ca .a .a .a .a", "======");
    }

    #[test]
    fn who_speaks_first_of_a_height_is_no_majority_while_the_silent_could_turn_it() {
        check("bb bb aa .a .a", "!!?==");
        check("bb bb aa aa .a", "!!===");
    }

    #[test]
    fn two_branches_contest_a_height_when_each_is_held_by_a_quarter() {
        let sides = |script| ground(script).0.contest().map(|contest| (contest.larger.1, contest.smaller.1));
        assert_eq!(sides("a a a b b"), Some((3, 2)));
        assert_eq!(sides("a a a a b"), None, "one node is no branch");
        assert_eq!(sides("a a a a a a a b b"), None, "less than a quarter");
        assert_eq!(sides("aa aa ab ab"), None, "settled above");
        assert_eq!(sides("aa aa bb bb"), Some((2, 2)));
    }

    #[test]
    fn nothing_is_left_of_what_is_taken_back() {
        let (mut ground, mut nodes) = ground("aa aa bb bb");
        for told in &mut nodes {
            told.settle(false, |height, before, said| ground.count(height, before, said, Timestamp(0)));
        }
        assert!(ground.heights.is_empty() && ground.contested.is_empty());
    }
}
