//! A node can follow another chain (moved DNS, copied configuration, test network reset) or another branch of the same
//! chain. What it says about heights is then no evidence about the network; that it says so is.

use super::{NodeCase, Verdict};
use crate::model::NodeState;

/// `NodeWrongChain`: its chain id or genesis block is not the network's.
pub fn wrong(case: &NodeCase<'_>) -> Verdict {
    match (case.node.state, &case.node.dispute.identity) {
        (NodeState::WrongChain, Some(finding)) => Verdict::Holds(finding.clone()),
        (state, _) => clear_if_answering(state),
    }
}

/// `NodeForked`: its block at a common height is not the majority's.
pub fn forked(case: &NodeCase<'_>) -> Verdict {
    match (case.node.state, &case.node.dispute.hash) {
        (NodeState::Forked, Some(dispute)) => Verdict::Holds(dispute.finding.clone()),
        (state, _) => clear_if_answering(state),
    }
}

/// Clear for a node that answers with facts; of any other nothing is known.
pub fn clear_if_answering(state: NodeState) -> Verdict {
    use NodeState as S;
    match state {
        S::Live | S::Lagging | S::Stalled | S::Syncing | S::WrongChain | S::Forked => Verdict::Clear,
        _ => Verdict::Unknown,
    }
}
