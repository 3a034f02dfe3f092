//! Many blocks replaced by others: what was confirmed is so no more.

use super::{NetworkCase, Verdict};

/// `DeepReorg`.
pub fn judge(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}
