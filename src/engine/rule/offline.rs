//! A node is offline when it has given no answer for long and often enough: one lost packet is nothing, a slow restart
//! is life. Being limited, refused or told to wait are answers.

use super::{NodeCase, Verdict};
use crate::{
    engine::{finding::Finding, node::Word},
    model::NodeState,
};

/// `NodeOffline`: in that state.
pub fn judge(case: &NodeCase<'_>) -> Verdict {
    match (case.node.state, case.node.word(case.settings, case.timer)) {
        (NodeState::Offline, Word::Failing(streak)) => Verdict::Holds(Finding::NoAnswer {
            silence: case.timer.now().at.since(streak.since),
            attempts: streak.attempts,
            kind: streak.kind,
        }),
        (NodeState::Unknown | NodeState::Offline | NodeState::Unreachable, _) => Verdict::Unknown,
        _ => Verdict::Clear,
    }
}
