//! A height that goes backwards without another hash at a known height is most often a balancer that reached another
//! backend. It is worth knowing and harms nobody; a block or two is not even worth knowing. What goes back for another
//! reason is told under that reason's name.

use std::time::Duration;

use super::{NodeCase, Verdict};
use crate::engine::{decrease::Cause, finding::Finding, node::Word};

/// A step back is told about for this long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// `HeightRegression`: a step back that was more than harmless, lately, and no more than that.
pub fn judge(case: &NodeCase<'_>) -> Verdict {
    let Word::Facts(facts) = case.node.word(case.settings, case.timer) else { return Verdict::Unknown };
    let excused = facts.syncing.is_under_way() == Some(true);
    match case.node.decrease {
        Some(step) if step.cause == Cause::Skew && !excused && !case.timer.passed(step.at.after(REMEMBERED)) => {
            Verdict::Holds(Finding::WentBack { from: step.from, to: step.to })
        }
        _ => Verdict::Clear,
    }
}
