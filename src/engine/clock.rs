//! Our own wall clock can be set, and it can be wrong. Nothing is decided by it, so a set clock changes no verdict; it
//! is told because timestamps in logs and graphs jump with it, and because nodes seem to have wrong clocks when ours is.

use std::time::Duration;

use crate::model::Now;

/// The wall clock is said to be set when it differs from the monotonic one by this much from one step to the next.
const JUMP: Duration = Duration::from_millis(1500);

/// A clock that is slewed runs faster or slower by at most a tenth; that is no jump ...
const SLEW: u32 = 10;

/// ... but never more than this is put down to slewing.
const LONGEST_SLEW: Duration = Duration::from_secs(10);

/// By how many milliseconds the wall clock was set between two readings, if it was.
#[must_use]
pub fn set_by(before: Now, now: Now) -> Option<i64> {
    let off_ms = now.wall.minus(before.wall_at(now.at));
    let elapsed = now.at.since(before.at);
    let allowed = JUMP.saturating_add((elapsed / SLEW).min(LONGEST_SLEW));
    (allowed < Duration::from_millis(off_ms.unsigned_abs())).then_some(off_ms)
}

/// By how many milliseconds all clocks together are ahead of ours, given how far each of a network's nodes is: the
/// median, our own clock being one of them and winning a tie. So one node that is wrong is wrong, and when most of them
/// agree on another time than ours it is we who are.
#[must_use]
pub fn consensus(mut skews_ms: Vec<i64>) -> i64 {
    skews_ms.push(0);
    skews_ms.sort_unstable();
    let (lower, upper) = (skews_ms[(skews_ms.len() - 1) / 2], skews_ms[skews_ms.len() / 2]);
    if lower <= 0 && 0 <= upper {
        0
    } else if 0 < lower {
        lower
    } else {
        upper
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, UnixTime};

    #[test]
    fn a_step_is_a_jump_and_slewing_is_not() {
        let at = |second: i64, off_ms: i64| Now {
            at: Timestamp(second * 1000),
            wall: UnixTime::from_millis(1_000_000_000 + second * 1000 + off_ms),
        };
        for (elapsed, off_ms, wanted) in [
            (1, 0, None),
            (1, 1500, None),
            (1, 1700, Some(1700)),
            (1, -1700, Some(-1700)),
            (5, 3_600_000, Some(3_600_000)),
            (20, 1600, None),
            (3600, 9000, None),
            (86_400, 60_000, Some(60_000)),
        ] {
            assert_eq!(set_by(at(0, 0), at(elapsed, off_ms)), wanted, "{off_ms} ms within {elapsed} s");
        }
    }

    #[test]
    fn the_clock_that_differs_from_most_is_wrong() {
        for (skews, wanted) in [
            (vec![], 0),
            (vec![3_600_000], 0),
            (vec![0, 3_600_000], 0),
            (vec![60_000, 61_000], 60_000),
            (vec![-60_000, -61_000], -60_000),
            (vec![-60_000, 61_000], 0),
            (vec![5, 6, 3_600_000, 7], 6),
            (vec![3_600_000, 3_600_001, 3_600_002, 0], 3_600_000),
            (vec![i64::MIN, i64::MAX], 0),
        ] {
            assert_eq!(consensus(skews.clone()), wanted, "{skews:?}");
        }
    }
}
