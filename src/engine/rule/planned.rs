//! A halt that was announced is no alarm as long as it keeps to its time. It is told nevertheless: whoever sees the
//! network stand still must find the reason beside it.

use std::sync::Arc;

use super::{NetworkCase, Verdict};
use crate::engine::finding::Finding;

/// `PlannedHalt`: an announced window is open, whether or not the network still runs inside it.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    match &case.network.plans.open {
        Some(open) => Verdict::Holds(Finding::Planned {
            kind: Arc::clone(&open.kind),
            until: case.timer.now().wall_at(open.until),
        }),
        None => Verdict::Clear,
    }
}
