//! Whoever signs two blocks at one height breaks the promise that a chain rests on.

use super::{NetworkCase, Verdict};

/// `DoubleSign`.
pub fn judge(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}
