//! The tip: the highest height a network provably reached. One node's word is not proof where there are others, so
//! that a rogue height moves nothing; and what was proven stays, unless all voters together are below it for long.

use std::time::Duration;

use super::timer::Timer;
use crate::model::{Height, Timestamp};

/// All voters below the tip for this long: the chain was rolled back or started anew.
const ROLLBACK_AFTER: Duration = Duration::from_secs(30);

/// So many rises below the tip to blocks that nobody had told before prove a rollback at once.
const NEW_BLOCKS: u32 = 2;

/// Voters that trail while those who proved the tip are silent show no rollback: so long they may catch up.
const STRANDED_AFTER: Duration = Duration::from_secs(600);

/// A single voter far above the tip is believed after this long: there is nobody else to ask.
const JUMP_AFTER: Duration = Duration::from_secs(30);

/// The first tip is decided anew when a third voter is heard of within this time after the first: whoever happens to
/// answer first is no better a witness. Of two nobody can say who is right.
const FIRST_SETTLES: Duration = Duration::from_secs(120);

/// A jump of this many blocks is always plausible.
const PLAUSIBLE_JUMP: u64 = 100;

/// Blocks may come this many times faster than expected and still be plausible.
const PLAUSIBLE_RATE: u32 = 3;

/// The two highest heights among the voters, and how many voters there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Votes {
    /// The highest.
    pub highest: Option<Height>,
    /// The highest but one; the same as the highest if two voters reached it.
    pub second: Option<Height>,
    /// Voters in all.
    pub count: usize,
    /// Voters that have been at the tip and are below it now.
    pub fallen: usize,
    /// Voters that have come down from so near the tip that they were not asked in time.
    pub fallen_beside: usize,
    /// Nodes that have been at the tip and do not vote now: nobody knows where they are.
    pub silent: usize,
    /// How far the tip can have come by now.
    plausible: Option<Height>,
    /// The two highest heights that are no higher than that.
    below: [Option<Height>; 2],
    /// Voters that are higher.
    beyond: usize,
}

impl Votes {
    /// No votes yet; the tip can have come as far as `plausible`.
    #[must_use]
    pub fn new(plausible: Option<Height>) -> Self {
        Self { plausible, ..Self::default() }
    }

    /// Whether those who proved the tip are below it now: most voters, or all who ever were there, if two were. Those who
    /// came down from beside it count where nobody who was there is missing.
    fn shows_rollback(&self) -> bool {
        let all = self.fallen + self.fallen_beside;
        self.count <= 2 * self.fallen || (self.silent == 0 && (2 <= self.fallen || self.count <= 2 * all))
    }

    /// Counts one voter.
    pub fn add(&mut self, height: Height) {
        self.count += 1;
        rank(height, &mut self.highest, &mut self.second);
        if self.plausible.is_some_and(|plausible| plausible < height) {
            self.beyond += 1;
        } else {
            let [highest, second] = &mut self.below;
            rank(height, highest, second);
        }
    }

    /// The height that is proven: two voters reached it, and most of them where it is further than the tip can have
    /// come. Of two voters the higher counts if it is plausible.
    fn proven(&self) -> Option<Height> {
        match (self.count, self.below) {
            (2, [Some(below), _]) => Some(below),
            (_, [_, Some(second)]) if 2 * self.beyond <= self.count => Some(second),
            _ => self.second,
        }
    }
}

fn rank(height: Height, highest: &mut Option<Height>, second: &mut Option<Height>) {
    if highest.is_none_or(|highest| highest < height) {
        *second = highest.replace(height);
    } else if second.is_none_or(|second| second < height) {
        *second = Some(height);
    }
}

/// The tip as it stands.
#[derive(Debug, Default)]
pub struct TipClock {
    height: Option<Height>,
    /// Since when it has been the word of one voter, until three were heard.
    single: Option<Timestamp>,
    below: Option<Below>,
    /// Since when the only voter has been implausibly far above.
    above: Option<Timestamp>,
}

/// Every voter is below the tip.
#[derive(Debug, Clone, Copy)]
struct Below {
    since: Timestamp,
    /// The lowest corroborated height since: a fall that is told by one node after the other goes by stages.
    lowest: Height,
    /// The highest after that.
    best: Height,
    /// When that last rose.
    risen: Timestamp,
    /// How often it rose to a block that had not been told before.
    new_blocks: u32,
    /// Whether those who proved the tip are among them.
    shown: bool,
}

impl Below {
    fn new(candidate: Height, now: Timestamp) -> Self {
        Self { since: now, lowest: candidate, best: candidate, risen: now, new_blocks: 0, shown: false }
    }

    /// Takes in the height that is corroborated now, whose block was first told then.
    fn hear(&mut self, candidate: Height, told: Option<Timestamp>, now: Timestamp) {
        if candidate < self.lowest {
            (self.lowest, self.best) = (candidate, candidate);
        } else if self.best < candidate {
            (self.best, self.risen) = (candidate, now);
            self.new_blocks += u32::from(told.is_some_and(|told| self.since < told));
        }
    }
}

/// What a vote did to the tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// There is a tip now, and there was none, or one that was decided too soon: it may be lower than that.
    First,
    /// It rose by so many blocks.
    Rose(u64),
    /// It went back; new blocks on the new branch were last seen at the given time, if there were any.
    RolledBack {
        /// When a block below the old tip was last new.
        progress: Option<Timestamp>,
    },
}

impl TipClock {
    /// The tip, once there is one.
    #[must_use]
    pub fn height(&self) -> Option<Height> {
        self.height
    }

    /// What a node's height is compared with: the tip, or how far those who proved it have come since they all fell
    /// below it. They are not behind, whatever becomes of the tip.
    #[must_use]
    pub fn borne_out(&self) -> Option<Height> {
        self.below.filter(|below| below.shown).map(|below| below.best).or(self.height)
    }

    /// How far the tip can have come since it last rose.
    #[must_use]
    pub fn plausible(&self, now: Timestamp, block_time: Option<Duration>, risen: Timestamp) -> Option<Height> {
        let blocks = plausible_blocks(now.since(risen), block_time);
        self.height.map(|tip| Height(tip.0.saturating_add(blocks)))
    }

    /// Takes in a count of votes. `proven_at` says when the block at a height was first told, if two nodes told it.
    pub fn update(&mut self, votes: Votes, timer: &Timer, proven_at: impl Fn(Height) -> Option<Timestamp>) -> Change {
        let Some(highest) = votes.highest else { return Change::None };
        let now = timer.now().at;
        let joined = 2 < votes.count && self.single.take().is_some_and(|since| now < since.after(FIRST_SETTLES));
        let undecided = self.height.is_none() || joined && self.height != Some(first(votes, highest));
        let Some(tip) = self.height.filter(|_| !undecided) else {
            (self.height, self.below) = (Some(first(votes, highest)), None);
            self.single = (votes.count == 1).then_some(now);
            return Change::First;
        };
        if votes.count != 1 {
            self.above = None;
        }
        let candidate = match votes.proven().filter(|_| 1 < votes.count) {
            Some(proven) => proven,
            None => self.alone(highest, votes.plausible.unwrap_or(highest), timer),
        };
        self.move_to(tip, candidate, votes.shows_rollback(), timer, proven_at(candidate))
    }

    fn alone(&mut self, highest: Height, plausible: Height, timer: &Timer) -> Height {
        if highest <= plausible {
            self.above = None;
            return highest;
        }
        let since = *self.above.get_or_insert(timer.now().at);
        if timer.passed(since.after(JUMP_AFTER)) {
            self.above = None;
            return highest;
        }
        self.height.unwrap_or(highest)
    }

    fn move_to(
        &mut self,
        tip: Height,
        candidate: Height,
        shown: bool,
        timer: &Timer,
        told: Option<Timestamp>,
    ) -> Change {
        if tip <= candidate {
            self.below = None;
            self.height = Some(candidate);
            return if tip < candidate { Change::Rose(candidate.above(tip)) } else { Change::None };
        }
        let now = timer.now().at;
        let below = self.below.get_or_insert(Below::new(candidate, now));
        below.hear(candidate, told, now);
        below.shown = shown;
        let Below { since, risen, new_blocks, .. } = *below;
        let patience = if shown { ROLLBACK_AFTER } else { STRANDED_AFTER };
        let proven = shown && NEW_BLOCKS <= new_blocks;
        if !proven && !timer.passed(since.after(patience)) {
            return Change::None;
        }
        self.below = None;
        self.height = Some(candidate);
        Change::RolledBack { progress: (since < risen).then_some(risen) }
    }
}

/// The first tip: of two voters that are far apart the lower is believed.
fn first(votes: Votes, highest: Height) -> Height {
    match (votes.count, votes.second) {
        (2, Some(second)) if highest.above(second) <= PLAUSIBLE_JUMP => highest,
        (_, Some(second)) => second,
        (_, None) => highest,
    }
}

/// How many blocks can have been made in `elapsed`.
fn plausible_blocks(elapsed: Duration, block_time: Option<Duration>) -> u64 {
    let block_ms = block_time.unwrap_or(Duration::from_secs(1)).as_millis().max(1);
    let blocks = elapsed.as_millis().saturating_mul(u128::from(PLAUSIBLE_RATE)) / block_ms;
    u64::try_from(blocks).unwrap_or(u64::MAX).saturating_add(PLAUSIBLE_JUMP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Now;

    const SECOND: Option<Duration> = Some(Duration::from_secs(1));

    /// Heights per second, one line a second; the tip after each.
    fn check(lines: &[(&[u64], u64)]) {
        let mut tip = TipClock::default();
        let mut risen = Timestamp(0);
        for ((heights, wanted), second) in lines.iter().zip(0..) {
            let timer = Timer::new(Now { at: Timestamp(second * 1000), ..Now::default() });
            let mut votes = Votes::new(tip.plausible(timer.now().at, SECOND, risen));
            heights.iter().for_each(|height| votes.add(Height(*height)));
            votes.fallen = votes.count;
            if let Change::Rose(_) = tip.update(votes, &timer, |_| None) {
                risen = timer.now().at;
            }
            assert_eq!(tip.height(), Some(Height(*wanted)), "second {second}");
        }
    }

    #[test]
    fn of_three_voters_two_must_have_reached_it() {
        check(&[(&[10, 11, 12], 11), (&[12, 12, 12], 12), (&[13, 12, 12], 12), (&[10_000_012, 13, 13], 13)]);
    }

    #[test]
    fn of_two_voters_the_higher_counts_if_it_is_plausible() {
        check(&[(&[10, 12], 12), (&[10, 14], 14), (&[15, 10_000_000], 15), (&[15, u64::MAX], 15)]);
        check(&[(&[10, 10_000_000], 10)]);
    }

    #[test]
    fn whoever_is_heard_first_is_no_better_a_witness() {
        check(&[(&[10_000_000], 10_000_000), (&[10_000_000, 12], 10_000_000), (&[10_000_000, 12, 13], 13)]);
        check(&[(&[12], 12), (&[12, 10_000_000], 12), (&[12, 10_000_000, 13], 13)]);
        let mut lines: Vec<(&[u64], u64)> = vec![(&[1000], 1000); 121];
        lines.push((&[1000, 12, 13], 1000));
        check(&lines);
    }

    #[test]
    fn a_second_voter_that_trails_takes_the_tip_from_nobody() {
        check(&[(&[1000], 1000), (&[1000, 12], 1000), (&[1001, 12], 1001)]);
    }

    #[test]
    fn a_single_voter_is_believed_and_a_jump_only_after_a_while() {
        let mut lines: Vec<(&[u64], u64)> = vec![(&[10], 10), (&[11], 11)];
        lines.extend([(&[5_000_000][..], 11); 30]);
        lines.push((&[5_000_000], 5_000_000));
        check(&lines);
    }

    #[test]
    fn the_tip_goes_back_only_when_all_voters_have_been_below_it_for_long() {
        let mut lines: Vec<(&[u64], u64)> = vec![(&[100, 100, 100], 100)];
        lines.extend([(&[60, 61, 60][..], 100); 30]);
        lines.extend([(&[62, 62, 61][..], 62), (&[62, 63, 63], 63)]);
        check(&lines);
        check(&[(&[100, 100, 100], 100), (&[90, 90, 90], 100), (&[100, 100, 90], 100)]);
    }

    #[test]
    fn a_chain_that_is_set_back_makes_progress_from_where_the_last_of_its_nodes_fell_to() {
        let mut tip = TipClock::default();
        let heights = [&[100, 100, 100][..], &[98, 98, 60], &[98, 60, 60], &[60, 60, 60], &[61, 61, 61], &[62, 62, 62]];
        let mut changes = Vec::new();
        for (heights, second) in heights.iter().zip(0..) {
            let timer = Timer::new(Now { at: Timestamp(second * 1000), ..Now::default() });
            let mut votes = Votes::new(None);
            heights.iter().for_each(|height| votes.add(Height(*height)));
            votes.fallen = votes.count;
            changes.push(tip.update(votes, &timer, |_| Some(timer.now().at)));
            let compared = if second == 0 { 100 } else { tip.below.map_or(62, |below| below.best.0) };
            assert_eq!(tip.borne_out(), Some(Height(compared)), "nobody is behind, at {second} s");
        }
        assert_eq!(changes[1..5], [Change::None; 4]);
        assert_eq!(changes[5], Change::RolledBack { progress: Some(Timestamp(5000)) });
    }
}
