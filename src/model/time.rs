//! Two clocks that must not be confused: a monotonic one that measures, and the wall clock that is only displayed.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// The latest wall time we are willing to believe or print: the end of the year 9999.
const LATEST_UNIX_MS: i64 = 253_402_300_799_999;

/// A point on the monotonic clock, in milliseconds from an arbitrary origin. It may be negative: a network can have
/// stopped before the monitor started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time that has passed since `earlier`; zero if `earlier` is in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This point moved forward by `by`, at most to the end of time.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This point moved back by `by`, at most to the beginning of time.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }
}

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z, for display and for comparison with block timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(i64);

impl UnixTime {
    /// Milliseconds since the epoch, clamped to the years 1970 to 9999.
    #[must_use]
    pub fn from_millis(ms: i64) -> Self {
        Self(ms.clamp(0, LATEST_UNIX_MS))
    }

    /// Whole seconds since the epoch; `None` if a node claims a time beyond the year 9999.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        let ms = i64::try_from(seconds).ok()?.checked_mul(1000)?;
        (ms <= LATEST_UNIX_MS).then_some(Self(ms))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch with their fraction, as Prometheus wants them.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "milliseconds up to the year 9999 fit the 53 bits of an f64")]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The time that has passed since `earlier`; zero if `earlier` is in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This time moved forward by `by`.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(by)))
    }

    /// This time moved back by `by`.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(millis(by)))
    }

    /// Signed difference `self - other` in milliseconds.
    #[must_use]
    pub fn minus(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// RFC 3339 with milliseconds: `2026-11-21T19:20:59.123Z`.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_epoch = Duration::from_millis(u64::try_from(self.0).unwrap_or(0));
        write!(f, "{}", humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since_epoch))
    }
}

/// One reading of both clocks: the "now" that is passed to everything that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// The monotonic clock: every duration is measured on it.
    pub at: Timestamp,
    /// The wall clock: shown to people and compared with block timestamps, never trusted for durations.
    pub wall: UnixTime,
}

impl Now {
    /// The wall time at which the monotonic clock stood at `at`, seen from now.
    #[must_use]
    pub fn wall_at(self, at: Timestamp) -> UnixTime {
        UnixTime::from_millis(self.wall.0.saturating_add(at.0.saturating_sub(self.at.0)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(i64::MIN).since(Timestamp(i64::MAX)), Duration::ZERO);
        assert_eq!(Timestamp(i64::MAX).after(Duration::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(i64::MIN).before(Duration::MAX), Timestamp(i64::MIN));
        assert_eq!(UnixTime::from_seconds(u64::MAX), None);
        assert_eq!(UnixTime::from_millis(-7).millis(), 0);
    }

    #[test]
    fn wall_times_print_as_rfc_3339() {
        assert_eq!(UnixTime::from_millis(1_795_289_659_123).to_string(), "2026-11-21T19:34:19.123Z");
    }

    #[test]
    fn a_monotonic_point_translates_to_the_wall_clock() {
        let now = Now { at: Timestamp(10_000), wall: UnixTime::from_millis(1_000_000) };
        assert_eq!(now.wall_at(Timestamp(4_000)).millis(), 994_000);
        assert_eq!(now.wall_at(Timestamp(-20_000)).millis(), 970_000);
    }
}
