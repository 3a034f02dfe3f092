//! What blocks carry tells whether work gets done.

use super::{NetworkCase, Verdict};

/// `TransactionBacklog`.
pub fn backlog(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}

/// `EmptyBlocks`.
pub fn empty(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}

/// `UnusualTraffic`.
pub fn unusual(_case: &NetworkCase<'_>) -> Verdict {
    Verdict::Unknown
}
