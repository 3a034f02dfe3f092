//! Bounded memories of recent polls: how long the answers took, and which polls failed.

use std::{collections::VecDeque, time::Duration};

use crate::{model::Timestamp, observation::ErrorKind};

/// Answers over which the 95th percentile is taken.
const LATENCIES: usize = 32;

/// Fewer answers than this have no percentile.
const LATENCIES_NEEDED: usize = 20;

/// Polls over which failures are counted.
pub const POLLS: u64 = 256;

/// Failures remembered at the most; more are as bad as this many.
const FAILURES: usize = 128;

/// The durations of a node's recent good polls, and what is normal for it.
#[derive(Debug, Default)]
pub struct Latencies {
    recent: VecDeque<u64>,
    p95: Option<u64>,
    baseline: Option<u64>,
}

impl Latencies {
    /// Takes in one answer's duration.
    pub fn add(&mut self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1);
        if self.recent.len() == LATENCIES {
            self.recent.pop_front();
        }
        self.recent.push_back(micros);
        if self.recent.len() < LATENCIES_NEEDED {
            return;
        }
        let mut sorted: Vec<u64> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        self.p95 = Some(sorted[(sorted.len() * 95).div_ceil(100) - 1]);
        self.baseline = Some(match self.baseline {
            None => sorted[sorted.len() / 2],
            Some(baseline) => drift(baseline, micros),
        });
    }

    /// 95th percentile of the recent answers, once there are enough.
    #[must_use]
    pub fn p95(&self) -> Option<Duration> {
        self.p95.map(Duration::from_micros)
    }

    /// The node's own normal: a median that moves by a thousandth per answer, so that a bad hour does not become
    /// normal and a bad month does.
    #[must_use]
    pub fn baseline(&self) -> Option<Duration> {
        self.baseline.map(Duration::from_micros)
    }
}

/// One step of a running median towards `sample`.
fn drift(baseline: u64, sample: u64) -> u64 {
    let step = baseline / 1000 + 1;
    match sample.cmp(&baseline) {
        std::cmp::Ordering::Greater => baseline.saturating_add(step),
        std::cmp::Ordering::Less => baseline.saturating_sub(step).max(1),
        std::cmp::Ordering::Equal => baseline,
    }
}

/// The failed ones among the last [`POLLS`] polls.
#[derive(Debug, Default)]
pub struct Failures {
    polls: u64,
    failed: VecDeque<Failure>,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    poll: u64,
    at: Timestamp,
    kind: ErrorKind,
}

impl Failures {
    /// Takes in one poll: good, or failed with a kind.
    pub fn add(&mut self, at: Timestamp, failure: Option<ErrorKind>) {
        self.polls = self.polls.saturating_add(1);
        if let Some(kind) = failure {
            self.failed.push_back(Failure { poll: self.polls, at, kind });
        }
        while self.failed.front().is_some_and(|f| f.poll + POLLS <= self.polls) || FAILURES < self.failed.len() {
            self.failed.pop_front();
        }
    }

    /// Forgets everything: what came before says nothing about what comes now.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets the failures after `since`.
    pub fn drop_after(&mut self, since: Timestamp) {
        while self.failed.back().is_some_and(|failure| since < failure.at) {
            self.failed.pop_back();
        }
    }

    /// Polls in the window.
    #[must_use]
    pub fn polls(&self) -> u32 {
        u32::try_from(self.polls.min(POLLS)).unwrap_or(u32::MAX)
    }

    /// Failed polls in the window whose kind is `wanted`.
    #[must_use]
    pub fn count(&self, wanted: impl Fn(ErrorKind) -> bool) -> u32 {
        u32::try_from(self.failed.iter().filter(|f| wanted(f.kind)).count()).unwrap_or(u32::MAX)
    }

    /// The same among the last `polls` polls only.
    #[must_use]
    pub fn count_recent(&self, polls: u64, wanted: impl Fn(ErrorKind) -> bool) -> u32 {
        let recent = self.failed.iter().rev().take_while(|f| self.polls < f.poll.saturating_add(polls));
        u32::try_from(recent.filter(|f| wanted(f.kind)).count()).unwrap_or(u32::MAX)
    }

    /// When the first and the last failure of a wanted kind happened.
    #[must_use]
    pub fn span(&self, wanted: impl Fn(ErrorKind) -> bool) -> Option<(Timestamp, Timestamp)> {
        let first = self.failed.iter().find(|f| wanted(f.kind))?;
        let last = self.failed.iter().rev().find(|f| wanted(f.kind))?;
        Some((first.at, last.at))
    }

    /// The most frequent kind of a wanted failure; of equals the one that stands first in the documentation.
    #[must_use]
    pub fn commonest(&self, wanted: impl Fn(ErrorKind) -> bool) -> Option<ErrorKind> {
        let kinds = ErrorKind::ALL.iter().copied().filter(|kind| wanted(*kind));
        kinds
            .map(|kind| (self.count(|k| k == kind), kind))
            .filter(|(n, _)| 0 < *n)
            .rev()
            .max_by_key(|(n, _)| *n)
            .map(|(_, kind)| kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_quarter_of_an_hour_does_not_become_normal() {
        let mut latencies = Latencies::default();
        (0..100).for_each(|_| latencies.add(Duration::from_millis(20)));
        assert_eq!(
            (latencies.p95(), latencies.baseline()),
            (Some(Duration::from_millis(20)), Some(Duration::from_millis(20)))
        );
        (0..180).for_each(|_| latencies.add(Duration::from_millis(900)));
        assert_eq!(latencies.p95(), Some(Duration::from_millis(900)));
        assert!(latencies.baseline().unwrap() < Duration::from_millis(30));
    }

    #[test]
    fn failures_leave_the_window_with_their_polls() {
        let mut failures = Failures::default();
        failures.add(Timestamp(0), Some(ErrorKind::Timeout));
        failures.add(Timestamp(1), Some(ErrorKind::RateLimited));
        assert_eq!((failures.count(|_| true), failures.count_recent(1, |_| true), failures.polls()), (2, 1, 2));
        (0..300).for_each(|i| failures.add(Timestamp(i), None));
        assert_eq!((failures.count(|_| true), failures.span(|_| true)), (0, None));
        (0..1000).for_each(|i| failures.add(Timestamp(i), Some(ErrorKind::Refused)));
        assert_eq!(failures.commonest(|_| true), Some(ErrorKind::Refused));
        assert!(failures.count(|_| true) <= 128, "bounded");
    }
}
