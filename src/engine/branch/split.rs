//! A split: two branches with different hashes at one height, both of which grow, each held by two nodes and a quarter
//! of those who answer. It begins with the first height at which both are told and lasts until nearly all agree above
//! it, whoever has won. Lack of evidence does not end it at once: branches of unlike pace soon have few heights in
//! common.

use std::time::Duration;

use super::{Contest, Ground};
use crate::{
    engine::timer::Timer,
    model::{BlockHash, Height, Timestamp},
};

/// Without evidence, or with a side that stands still, for this long and for so many block times it is no longer one.
const ENDS_AFTER: Duration = Duration::from_secs(600);

/// See [`ENDS_AFTER`].
const ENDS_AFTER_BLOCK_TIMES: u32 = 40;

/// A branch lives that has grown within this time and so many block times.
const ALIVE_AFTER: Duration = Duration::from_secs(30);

/// See [`ALIVE_AFTER`].
const ALIVE_BLOCK_TIMES: u32 = 12;

/// One of the two branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// How many nodes told it.
    pub nodes: usize,
    /// The highest head among them.
    pub top: Height,
    /// When one of them last rose.
    pub moved: Timestamp,
}

/// Two branches side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// When blocks of both were known.
    pub since: Timestamp,
    /// The first height at which they are known to differ.
    pub parted: Height,
    /// The highest height known to be common.
    common: Option<Height>,
    /// The first and the last height at which the sides were told apart.
    heights: [Height; 2],
    /// When that last was.
    seen: Timestamp,
    /// Whether both have grown since it began.
    pub alive: bool,
    /// The larger and the smaller branch.
    pub sides: [Side; 2],
}

/// How high those reach who tell a hash at a height, and when one of them last rose.
pub type Reach<'a> = &'a dyn Fn(Height, BlockHash) -> Option<(Height, Timestamp)>;

impl Split {
    /// The split after another look, if there is one.
    #[must_use]
    pub fn look(
        before: Option<Self>,
        ground: &Ground,
        reach: Reach<'_>,
        block_time: Duration,
        timer: &Timer,
    ) -> Option<Self> {
        let contest = ground.contest();
        let mut split = match (before, contest) {
            (None, None) => return None,
            (None, Some(contest)) => Self::begin(ground, contest, timer.now().at),
            (Some(split), _) => split,
        };
        if let Some(contest) = contest {
            split.follow(contest, reach, timer.now().at);
        }
        let lately = block_time.saturating_mul(ALIVE_BLOCK_TIMES).max(ALIVE_AFTER);
        split.alive &= split.sides.iter().all(|side| !timer.passed(side.moved.after(lately)));
        let patience = block_time.saturating_mul(ENDS_AFTER_BLOCK_TIMES).max(ENDS_AFTER);
        let last = split.sides.iter().fold(split.seen, |last, side| last.min(side.moved));
        let over = split.is_merged(ground) || timer.passed(last.max(split.since).after(patience));
        (!over).then_some(split)
    }

    fn begin(ground: &Ground, contest: Contest, now: Timestamp) -> Self {
        let common = ground.agreed_below(contest.height);
        let parting = ground.parting_above(common).unwrap_or(contest);
        let side = |nodes| Side { nodes, top: Height(0), moved: now };
        Self {
            since: parting.since.min(now),
            parted: parting.height.min(contest.height),
            common,
            heights: [contest.height; 2],
            seen: now,
            alive: false,
            sides: [side(contest.larger.1), side(contest.smaller.1)],
        }
    }

    /// Takes in who stands where now. Both live when both have moved on and are told apart at new heights.
    fn follow(&mut self, contest: Contest, reach: Reach<'_>, now: Timestamp) {
        (self.heights[1], self.seen) = (contest.height, now);
        for (side, (hash, nodes)) in self.sides.iter_mut().zip([contest.larger, contest.smaller]) {
            side.nodes = nodes;
            if let Some((top, moved)) = reach(contest.height, hash) {
                (side.top, side.moved) = (top, moved);
            }
        }
        let moved = self.sides.iter().all(|side| self.since < side.moved);
        self.alive |= moved && self.heights[0] < self.heights[1];
    }

    /// More than hold the larger branch agree above the parting: somebody has joined.
    fn is_merged(&self, ground: &Ground) -> bool {
        let agreed = ground.agreed_above(self.heights[1]);
        agreed.is_some_and(|(_, nodes)| self.sides[0].nodes < nodes)
    }

    /// How many blocks the shorter branch has grown since the last block both share.
    #[must_use]
    pub fn length(&self) -> u64 {
        let top = self.sides.iter().map(|side| side.top).min().unwrap_or_default();
        self.common.map_or_else(|| top.above(self.parted).saturating_add(1), |common| top.above(common))
    }
}
