//! When the tip reached which height, by our own clock: what producers write into their blocks may be wrong, when we saw
//! the tip rise is not. Bounded: a longer trail becomes coarser, never shorter.

use std::{collections::VecDeque, time::Duration};

use crate::model::{Height, Timestamp};

/// Marks kept at the most; beyond that they lie further apart.
const MARKS: usize = 256;

/// The tip was at this height from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// How high.
    pub height: Height,
    /// Since when.
    pub at: Timestamp,
}

/// How the tip rose, oldest mark first.
#[derive(Debug, Default)]
pub struct Trail {
    marks: VecDeque<Mark>,
    /// Marks are at least so far apart.
    apart: Duration,
}

impl Trail {
    /// Begins anew: what came before says nothing about what comes now.
    pub fn restart(&mut self, height: Height, at: Timestamp) {
        *self = Self { marks: VecDeque::from([Mark { height, at }]), apart: Duration::ZERO };
    }

    /// The tip rose to `height`.
    pub fn rise(&mut self, height: Height, at: Timestamp) {
        let at = self.marks.back().map_or(at, |last| last.at.max(at));
        if MARKS <= self.marks.len() {
            self.thin(at);
        }
        let dense = self.marks.iter().rev().nth(1).zip(self.marks.back());
        if dense.is_some_and(|(before, last)| last.at.since(before.at) < self.apart) {
            self.marks.pop_back();
        }
        self.marks.push_back(Mark { height, at });
    }

    /// Keeps half as many marks as fit, evenly over the whole time, and the first of all.
    fn thin(&mut self, now: Timestamp) {
        let Some(first) = self.first() else { return };
        self.apart = now.since(first.at) / u32::try_from(MARKS / 2).unwrap_or(u32::MAX);
        let apart = self.apart;
        let mut kept: Option<Timestamp> = None;
        self.marks.retain(|mark| {
            let keep = kept.is_none_or(|kept| apart <= mark.at.since(kept));
            kept = if keep { Some(mark.at) } else { kept };
            keep
        });
        self.marks.truncate(MARKS - 1);
    }

    /// The oldest mark.
    #[must_use]
    pub fn first(&self) -> Option<Mark> {
        self.marks.front().copied()
    }

    /// The first mark at or above `height`: a coarse trail says later, never sooner, than it was.
    #[must_use]
    pub fn reached(&self, height: Height) -> Option<Mark> {
        self.marks.get(self.marks.partition_point(|mark| mark.height < height)).copied()
    }

    /// The first mark above `height`.
    #[must_use]
    pub fn passed(&self, height: Height) -> Option<Mark> {
        self.marks.get(self.marks.partition_point(|mark| mark.height <= height)).copied()
    }

    /// Where the tip stood at `at`; if that was before the first mark, where it stood then.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Option<Height> {
        let later = self.marks.partition_point(|mark| mark.at <= at);
        Some(self.marks.get(later.saturating_sub(1))?.height)
    }

    /// Forgets what lies below `height`.
    pub fn forget_below(&mut self, height: Height) {
        while 1 < self.marks.len() && self.marks[0].height < height {
            self.marks.pop_front();
        }
        self.refine();
    }

    /// Forgets where the tip stood before `at`.
    pub fn forget_before(&mut self, at: Timestamp) {
        while 1 < self.marks.len() && self.marks[1].at <= at {
            self.marks.pop_front();
        }
        self.refine();
    }

    /// There is room for every mark again.
    fn refine(&mut self) {
        if self.marks.len() < MARKS / 4 {
            self.apart = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1000)
    }

    #[test]
    fn a_height_between_two_marks_was_reached_at_the_later() {
        let mut trail = Trail::default();
        assert_eq!(trail.reached(Height(1)), None);
        trail.restart(Height(10), at(0));
        trail.rise(Height(13), at(5));
        let times: Vec<_> = (9..=14).map(|h| trail.reached(Height(h)).map(|mark| mark.at)).collect();
        assert_eq!(times, [Some(at(0)), Some(at(0)), Some(at(5)), Some(at(5)), Some(at(5)), None]);
        assert_eq!(trail.passed(Height(10)), Some(Mark { height: Height(13), at: at(5) }));
        assert_eq!(trail.passed(Height(13)), None);
    }

    #[test]
    fn a_long_trail_gets_coarser_and_keeps_its_ends() {
        let mut trail = Trail::default();
        trail.restart(Height(0), at(0));
        (1..=100_000).for_each(|height| trail.rise(Height(height), at(i64::try_from(height).unwrap())));
        assert!(trail.marks.len() <= MARKS);
        assert_eq!(trail.first(), Some(Mark { height: Height(0), at: at(0) }));
        assert_eq!(trail.reached(Height(100_000)), Some(Mark { height: Height(100_000), at: at(100_000) }));
        let half = trail.reached(Height(50_000)).unwrap().height.0;
        assert!((50_000..52_000).contains(&half), "{half}");
    }

    #[test]
    fn what_is_forgotten_leaves_the_mark_in_force() {
        let mut trail = Trail::default();
        trail.restart(Height(0), at(0));
        (1..=9).for_each(|height| trail.rise(Height(height), at(i64::try_from(height).unwrap())));
        trail.forget_before(at(5));
        assert_eq!(trail.first().unwrap().height, Height(5));
        trail.forget_below(Height(100));
        assert_eq!(trail.first().unwrap().height, Height(9), "the last mark stays");
    }
}
