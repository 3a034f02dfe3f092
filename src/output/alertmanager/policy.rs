//! What is the same for every peer: how often it is told again, and for how long a word holds.

use std::time::Duration;

/// Alerts tracked for one peer at the most.
pub const CAPACITY: usize = 10_000;
/// Shortest validity of a firing alert.
const MIN_WINDOW: Duration = Duration::from_mins(5);
/// Validity of a firing alert in resends: three may be lost.
const WINDOW_RESENDS: u32 = 4;

/// What is the same for every peer.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Time between two sendings of an alert that goes on.
    pub resend: Duration,
    /// The absolute URI under which a reader of an alert finds us.
    pub generator_url: Option<String>,
    /// Alerts tracked at the most: [`CAPACITY`].
    pub capacity: usize,
}

impl Policy {
    /// For how long a peer believes that an alert fires unless it is told so again.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.resend.saturating_mul(WINDOW_RESENDS).max(MIN_WINDOW)
    }
}
