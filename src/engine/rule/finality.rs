//! Blocks that come but are not made final can be taken back.

use super::{NetworkCase, Verdict};

/// `FinalityStalled`.
pub fn judge(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}
