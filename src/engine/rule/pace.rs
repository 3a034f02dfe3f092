//! Before a chain stops it often becomes slow.

use super::{NetworkCase, Verdict};

/// `BlocksSlow`.
pub fn judge(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}
