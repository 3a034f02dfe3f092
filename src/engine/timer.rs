//! Deadlines. Every comparison of "now" with a later instant goes through [`Timer::passed`], which remembers the
//! instant when it still lies ahead. So the time at which a verdict can change by itself cannot be forgotten: whatever
//! was asked is what the engine will be woken for.

use std::cell::Cell;

use crate::model::{Now, Timestamp};

/// "Now", and the earliest deadline that was asked about and has not passed.
#[derive(Debug)]
pub struct Timer {
    now: Now,
    next: Cell<Option<Timestamp>>,
}

impl Timer {
    /// A timer nobody has asked yet.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self { now, next: Cell::new(None) }
    }

    /// Both clocks, now.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now
    }

    /// Whether the deadline has been reached; if not, it is remembered.
    pub fn passed(&self, deadline: Timestamp) -> bool {
        if deadline <= self.now.at {
            return true;
        }
        self.next.set(earlier(self.next.get(), Some(deadline)));
        false
    }

    /// The earliest deadline that still lies ahead.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.next.get()
    }
}

/// The earlier of two deadlines, where there are any.
#[must_use]
pub fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_ahead_is_remembered_and_never_one_behind() {
        let timer = Timer::new(Now { at: Timestamp(100), ..Now::default() });
        assert!(timer.passed(Timestamp(99)) && timer.passed(Timestamp(100)));
        assert_eq!(timer.next(), None);
        assert!(!timer.passed(Timestamp(300)) && !timer.passed(Timestamp(101)) && !timer.passed(Timestamp(200)));
        assert_eq!(timer.next(), Some(Timestamp(101)));
    }
}
