//! When a node is polled next. Pure: the poller hands in the time and what came of the last poll.
//!
//! Healthy nodes keep a beat that never drifts; failing ones are retried soon once and then ever more rarely, but often
//! enough that a recovery is not missed and that three attempts fit into the time after which a node counts as offline.

use std::time::Duration;

use crate::{
    model::Timestamp,
    observation::{ErrorKind, Meaning},
};

/// Due times are rounded up to a common grid, so that one wake-up of the timer serves all nodes of a tick: at a thousand
/// nodes this halves the processor time.
const GRID: Duration = Duration::from_millis(5);

/// The first retry comes after a quarter of the interval, at most this.
const MAX_FIRST_RETRY: Duration = Duration::from_secs(2);

/// Failing nodes are polled at least this often, or at their interval if that is longer.
const MAX_BACK_OFF: Duration = Duration::from_secs(15);

/// Nodes that limit or refuse us are polled at least this often, or at their interval if that is longer.
const MAX_LIMITED_BACK_OFF: Duration = Duration::from_secs(60);

/// An early poll comes at least this long after the one before.
const MIN_EARLY_PAUSE: Duration = Duration::from_millis(100);

/// The rhythm of one node's polls.
#[derive(Debug, Clone)]
pub struct Beat {
    interval: Duration,
    next: Timestamp,
    last: Option<Timestamp>,
    failures: u32,
    /// The node limits or refuses us: nothing justifies an early poll.
    unwelcome: bool,
}

/// What came of a poll, as far as the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The node told its head.
    Good,
    /// It did not.
    Failed {
        /// Why.
        kind: ErrorKind,
        /// For how long the node wants to be left alone.
        retry_after: Option<Duration>,
    },
}

impl Beat {
    /// A beat whose first poll comes at `start` plus `share` (0 to 1) of the interval: nodes with different shares do
    /// not poll at the same instant.
    #[must_use]
    pub fn new(interval: Duration, start: Timestamp, share: f64) -> Self {
        let interval = interval.max(GRID);
        let offset = interval.mul_f64(share.clamp(0.0, 1.0));
        Self { interval, next: on_grid(start.after(offset)), last: None, failures: 0, unwelcome: false }
    }

    /// When the next poll is due.
    #[must_use]
    pub fn next(&self) -> Timestamp {
        self.next
    }

    /// When a poll may come at the earliest if something calls for one before it is due.
    #[must_use]
    pub fn early(&self) -> Timestamp {
        if self.unwelcome {
            return self.next;
        }
        let pause = (self.interval / 10).max(MIN_EARLY_PAUSE).min(self.interval);
        self.last.map_or(self.next, |last| last.after(pause).min(self.next))
    }

    /// Notes a poll that started at `started` and ended at `now`. `jitter` (0 to 1) keeps nodes that fail together from
    /// being retried together.
    pub fn polled(&mut self, started: Timestamp, now: Timestamp, ending: Ending, jitter: f64) {
        self.last = Some(started);
        self.unwelcome = matches!(ending, Ending::Failed { kind, .. }
            if matches!(kind.meaning(), Meaning::Limited | Meaning::Refused));
        match ending {
            Ending::Good if self.failures == 0 => self.keep_beat(now),
            Ending::Good => {
                self.failures = 0;
                self.next = on_grid(started.after(self.interval).max(now));
            }
            Ending::Failed { kind, retry_after } => {
                self.failures = self.failures.saturating_add(1);
                let pause = self.back_off(kind).max(retry_after.unwrap_or_default());
                self.next = on_grid(now.after(pause.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 10.0)));
            }
        }
    }

    /// Skips the poll that is due, because there was no leave to make it.
    pub fn skipped(&mut self, now: Timestamp) {
        self.keep_beat(now);
    }

    /// The next point of the beat after `now`: polls that were missed are not made up for.
    fn keep_beat(&mut self, now: Timestamp) {
        if now < self.next {
            return;
        }
        let interval = self.interval.as_millis().max(1);
        let beats = now.since(self.next).as_millis() / interval + 1;
        let ahead = u64::try_from(beats.saturating_mul(interval)).unwrap_or(u64::MAX);
        self.next = on_grid(self.next.after(Duration::from_millis(ahead)));
    }

    fn back_off(&self, kind: ErrorKind) -> Duration {
        let limit = match kind.meaning() {
            Meaning::Limited | Meaning::Refused => MAX_LIMITED_BACK_OFF,
            Meaning::Absent | Meaning::Starting | Meaning::Local => {
                if self.failures == 1 {
                    return (self.interval / 4).min(MAX_FIRST_RETRY);
                }
                MAX_BACK_OFF
            }
        };
        let doublings = self.failures.saturating_sub(2).min(16);
        self.interval.saturating_mul(1 << doublings).min(limit.max(self.interval))
    }
}

fn on_grid(at: Timestamp) -> Timestamp {
    let grid = i64::try_from(GRID.as_millis()).unwrap_or(1);
    let over = at.0.rem_euclid(grid);
    if over == 0 { at } else { Timestamp(at.0.saturating_add(grid - over)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn failed(kind: ErrorKind) -> Ending {
        Ending::Failed { kind, retry_after: None }
    }

    /// The times, in milliseconds, at which a node is polled if every poll ends as `ending` after 30 ms.
    fn times(interval: Duration, polls: usize, ending: Ending) -> Vec<i64> {
        let mut beat = Beat::new(interval, Timestamp(0), 0.0);
        let mut times = Vec::new();
        for _ in 0..polls {
            let now = beat.next();
            times.push(now.0);
            beat.polled(now, now.after(Duration::from_millis(30)), ending, 0.0);
        }
        times
    }

    #[test]
    fn a_healthy_node_keeps_its_beat_without_drift() {
        assert_eq!(times(SECOND, 4, Ending::Good), [0, 1000, 2000, 3000]);
    }

    #[test]
    fn polls_that_were_missed_are_not_made_up_for() {
        let mut beat = Beat::new(SECOND, Timestamp(0), 0.0);
        beat.polled(Timestamp(0), Timestamp(3400), Ending::Good, 0.0);
        assert_eq!(beat.next(), Timestamp(4000));
    }

    #[test]
    fn a_failing_node_is_retried_soon_once_and_then_ever_more_rarely() {
        let polls = times(5 * SECOND, 6, failed(ErrorKind::Refused));
        assert_eq!(polls, [0, 1280, 6310, 16_340, 31_370, 46_400]);
    }

    #[test]
    fn three_attempts_fit_into_the_time_after_which_a_node_is_offline_at_any_usual_interval() {
        for seconds in [1, 5, 12, 30, 60] {
            let third = times(Duration::from_secs(seconds), 3, failed(ErrorKind::Timeout))[2];
            assert!(third < 90_000, "interval {seconds} s: the third attempt comes at {third} ms");
        }
    }

    #[test]
    fn a_recovered_node_is_back_on_its_beat_at_once() {
        let mut beat = Beat::new(SECOND, Timestamp(0), 0.0);
        for _ in 0..6 {
            beat.polled(beat.next(), beat.next(), failed(ErrorKind::Refused), 0.0);
        }
        let recovery = beat.next();
        beat.polled(recovery, recovery, Ending::Good, 0.0);
        assert_eq!(beat.next(), recovery.after(SECOND));
    }

    #[test]
    fn a_node_that_limits_us_is_left_alone_for_as_long_as_it_wants() {
        let mut beat = Beat::new(SECOND, Timestamp(0), 0.0);
        let limited = Ending::Failed { kind: ErrorKind::RateLimited, retry_after: Some(Duration::from_secs(300)) };
        beat.polled(Timestamp(0), Timestamp(0), limited, 0.0);
        assert_eq!((beat.next(), beat.early()), (Timestamp(300_000), Timestamp(300_000)), "whatever calls for a poll");
        let last = times(SECOND, 12, failed(ErrorKind::RateLimited));
        assert_eq!(last[11] - last[10], 60_030, "without a wish of its own at least once a minute");
    }

    #[test]
    fn nodes_with_different_shares_are_spread_over_the_interval_on_a_grid() {
        let starts: Vec<_> = (0..4).map(|n| Beat::new(SECOND, Timestamp(1), f64::from(n) / 4.0).next().0).collect();
        assert_eq!(starts, [5, 255, 505, 755]);
    }

    #[test]
    fn an_early_poll_is_not_more_frequent_than_a_tenth_of_the_interval() {
        let mut beat = Beat::new(5 * SECOND, Timestamp(0), 0.0);
        beat.polled(Timestamp(0), Timestamp(30), Ending::Good, 0.0);
        assert_eq!((beat.early(), beat.next()), (Timestamp(500), Timestamp(5000)));
        beat.polled(Timestamp(700), Timestamp(730), Ending::Good, 0.0);
        assert_eq!(beat.next(), Timestamp(5000), "an early poll does not shift the beat");
    }
}
