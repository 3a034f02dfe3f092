//! Two branches that both grow are two networks that believe to be one.

use super::{NetworkCase, Verdict};

/// `NetworkSplit`.
pub fn judge(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}
