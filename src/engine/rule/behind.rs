//! A node that answers may still be of no use: it stands still while its network moves, it trails behind, or it is
//! catching up. All three compare its height with the corroborated tip, so on a halted network nobody is behind.

use super::{LAGGING, NodeCase, STALLED, Verdict};
use crate::{
    engine::{finding::Finding, state::Distance},
    model::{Height, NodeState},
    observation::Syncing,
};

/// Where these alternate, a node moves by fits and starts: it is behind all the time.
const BY_TURNS: [(usize, NodeState); 2] = [(STALLED, NodeState::Stalled), (LAGGING, NodeState::Lagging)];

/// `NodeStalled`: stands still beyond the lag limit, or takes no part in a consensus that has nothing to do.
pub fn stalled(case: &NodeCase<'_>) -> Verdict {
    comparable(case, NodeState::Stalled, |height, tip, _| {
        if case.node.pulse.alone {
            return Finding::ViewStands { height, still: case.node.pulse.rest(None) };
        }
        let still = case.timer.now().at.since(case.node.moved_at.unwrap_or_default());
        Finding::StandsStill { height, tip, still }
    })
}

/// `NodeLagging`: moves, beyond the lag limit.
pub fn lagging(case: &NodeCase<'_>) -> Verdict {
    comparable(case, NodeState::Lagging, |height, tip, distance| Finding::Behind {
        height,
        tip,
        lag: distance.lag,
        limit: distance.limit,
    })
}

/// `NodeSyncing`: says it is catching up, and is behind.
pub fn syncing(case: &NodeCase<'_>) -> Verdict {
    comparable(case, NodeState::Syncing, |height, tip, _| {
        let own = case.node.good.as_ref().map(|good| good.facts.syncing);
        let told = if let Some(Syncing::Yes { behind }) = own { behind } else { None };
        Finding::CatchingUp { behind: told.or((height < tip).then(|| tip.above(height))) }
    })
}

/// Holds in the wanted state, is clear in every other in which the node's height is known. What waits goes on waiting
/// while the node is behind in the other way, until one of the two is told.
fn comparable(
    case: &NodeCase<'_>,
    wanted: NodeState,
    finding: impl Fn(Height, Height, Distance) -> Finding,
) -> Verdict {
    let by_turns = |state| BY_TURNS.iter().any(|(_, known)| *known == state);
    let untold = || BY_TURNS.iter().all(|(position, _)| !case.node.lives.fires(*position));
    match case.node.state {
        state if state == wanted => {
            let height = case.node.height().unwrap_or_default();
            let distance = Distance::of(case.node, case.settings, case.tip, case.block_time, case.timer.now().at);
            Verdict::Holds(finding(height, case.tip.unwrap_or(height), distance))
        }
        state if by_turns(state) && by_turns(wanted) && untold() => Verdict::Unknown,
        state => super::chain::clear_if_answering(state),
    }
}
