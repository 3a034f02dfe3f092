//! When every node of a network fails at once, the network may be well: a provider, a firewall or a DNS name has gone.
//! That is neither a halt nor a matter of single nodes, so it has a name of its own.

use super::{NetworkCase, Verdict};
use crate::engine::{finding::Finding, node::Word};

/// `NetworkUnreachable`: every node fails, and none has given a good answer for `unreachable_after`.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    let mut answered = None;
    for (settings, node) in case.nodes {
        match node.word(settings, case.timer) {
            Word::Facts(_) => return Verdict::Clear,
            Word::Nothing => return Verdict::Unknown,
            Word::Failing(streak) => answered = answered.max(Some(streak.begun)),
        }
    }
    let Some(since) = answered else { return Verdict::Unknown };
    if !case.timer.passed(since.after(case.settings.limits.unreachable_after)) {
        return Verdict::Unknown;
    }
    let silence = case.timer.now().at.since(since);
    Verdict::Holds(Finding::NoVoterAnswers { silence, nodes: case.nodes.len() })
}
