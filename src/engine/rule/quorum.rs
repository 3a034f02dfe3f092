//! A network that can afford no further loss is one step from a halt. Who watches only that blocks come sees nothing
//! of it; on an idle chain it is the only early sign there is.

use super::{NetworkCase, Verdict};
use crate::engine::quorum::{Quorum, has_quorum};

/// `QuorumAtRisk`: so much core weight is lost that the next loss would be one too many.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    if !has_quorum(case.settings.tolerance) {
        return Verdict::Clear;
    }
    // Two ways to know: who is watched and gone, and whom the nodes miss.
    match (watched(case), case.network.consensus.risk(case.timer)) {
        (holds @ Verdict::Holds(_), _) | (_, holds @ Verdict::Holds(_)) => holds,
        (Verdict::Clear, Verdict::Clear) => Verdict::Clear,
        _ => Verdict::Unknown,
    }
}

fn watched(case: &NetworkCase<'_>) -> Verdict {
    let nodes = case.nodes.iter().copied();
    match Quorum::count(case.settings, &case.network.roll, nodes, case.timer) {
        None => Verdict::Unknown,
        Some(quorum) if quorum.at_risk(quorum.lost) => Verdict::Holds(quorum.finding()),
        Some(quorum) if quorum.at_risk(quorum.lost.saturating_add(quorum.doubtful)) => Verdict::Unknown,
        Some(_) => Verdict::Clear,
    }
}
