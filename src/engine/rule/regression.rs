//! A height that goes backwards without another hash at a known height is most often a balancer that reached another
//! backend. It is worth knowing and harms nobody; a block or two is not even worth knowing.

use std::time::Duration;

use super::{NodeCase, Verdict};
use crate::{
    engine::{finding::Finding, node::Word},
    observation::Syncing,
};

/// A step back is told about for this long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// `HeightRegression`: a step back that was more than harmless, lately. A node that says it is syncing has a reason.
pub fn judge(case: &NodeCase<'_>) -> Verdict {
    let Word::Facts(facts) = case.node.word(case.settings, case.timer) else { return Verdict::Unknown };
    let excused = matches!(facts.syncing, Syncing::Yes { .. } | Syncing::Starting);
    match case.node.step_back {
        Some(step) if !excused && !case.timer.passed(step.at.after(REMEMBERED)) => {
            Verdict::Holds(Finding::WentBack { from: step.from, to: step.to })
        }
        _ => Verdict::Clear,
    }
}
