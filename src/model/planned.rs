//! Halts that were announced: maintenance, upgrades. A network that stands still inside one is doing what it should.

use std::sync::Arc;

use super::{Height, Now, Timestamp, UnixTime};

/// An instant as it was announced: on the wall clock, or on the clock of a recorded stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instant {
    /// A wall time.
    Wall(UnixTime),
    /// A point on the monotonic clock.
    At(Timestamp),
}

impl Instant {
    /// This instant on the monotonic clock, seen from now.
    #[must_use]
    pub fn monotonic(self, now: Now) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Wall(wall) => Timestamp(now.at.0.saturating_add(wall.minus(now.wall))),
        }
    }

    /// This instant on the wall clock, seen from now.
    #[must_use]
    pub fn wall(self, now: Now) -> UnixTime {
        match self {
            Self::At(at) => now.wall_at(at),
            Self::Wall(wall) => wall,
        }
    }
}

/// An announced halt of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedHalt {
    /// What is done, for people: `upgrade`, `maintenance`, the name of an upgrade.
    pub kind: Arc<str>,
    /// When it begins; `None` = only when `at_height` comes.
    pub from: Option<Instant>,
    /// When it must be over; `None` = `upgrade_window` after it began.
    pub until: Option<Instant>,
    /// The first height that will not be made before the upgrade: the tip stops one below it.
    pub at_height: Option<Height>,
}
