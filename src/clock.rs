//! The only reader of time. Everything that decides takes its "now" from here as an argument.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::model::{Now, Timestamp, UnixTime};

/// Reads both clocks. The monotonic one is the boot-time clock, which goes on while the machine is suspended: after a
/// suspend the monitor must know that its evidence is old.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl Clock {
    /// Both clocks, now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now(self) -> Now {
        let boot = clock_gettime(ClockId::Boottime);
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now {
            at: Timestamp(boot.tv_sec.saturating_mul(1000).saturating_add(boot.tv_nsec / 1_000_000)),
            wall: UnixTime::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// A stopwatch with the resolution of the machine, for durations that are measured and not decided upon.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn stopwatch(self) -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    /// Sleeps until the monotonic clock reaches `at`; returns at once if it has.
    pub async fn sleep_until(self, at: Timestamp) {
        tokio::time::sleep(at.since(self.now().at)).await;
    }
}

/// A running measurement.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Time since the stopwatch was started.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
