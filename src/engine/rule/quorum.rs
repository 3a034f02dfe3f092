//! A network that can afford no further loss is one step from a halt.

use super::{NetworkCase, Verdict};

/// `QuorumAtRisk`.
pub fn judge(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}
