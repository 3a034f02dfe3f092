//! Consensus that needs many rounds, or in which too few take part, is about to stop.

use super::{NetworkCase, Verdict};

/// `ConsensusStruggling`.
pub fn judge(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}
