//! A validator that signs two blocks at one height attacks its chain, or has a twin: either way somebody must wake up.
//! The evidence stays on the chain for ever, the alert does not.

use std::time::Duration;

use super::{NetworkCase, Verdict};
use crate::engine::finding::Finding;

/// New evidence is told about for this long.
const NEW: Duration = Duration::from_secs(600);

/// `DoubleSign`: evidence that came while we were watching, borne out by a second node where three answer.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    if !case.network.sight {
        return Verdict::Unknown;
    }
    match case.network.vitals.evidence.newest() {
        Some((evidence, at)) if !case.timer.passed(at.after(NEW)) => {
            Verdict::Holds(Finding::SignedTwice { height: evidence.height, validator: evidence.validator.clone() })
        }
        _ => Verdict::Clear,
    }
}
