//! A halt that was announced is no alarm as long as it keeps to its time.

use super::{NetworkCase, Verdict};

/// `PlannedHalt`.
pub fn judge(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}
