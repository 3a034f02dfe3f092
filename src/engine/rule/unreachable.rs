//! When every node of a network fails at once, the network may be well: a provider, a firewall or a DNS name has gone.
//! That is neither a halt nor a matter of single nodes, so it has a name of its own.

use std::collections::BTreeMap;

use super::{NetworkCase, Verdict};
use crate::{
    engine::{finding::Finding, node::Word},
    model::NodeState,
    observation::ErrorKind,
};

/// `NetworkUnreachable`: for `unreachable_after` no node has given a good answer, or none about this chain, or nobody has
/// named a node any more.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    if case.nodes.is_empty() {
        return deserted(case);
    }
    let mut lost = None;
    let mut elsewhere = 0;
    let mut failures = BTreeMap::<ErrorKind, usize>::new();
    for (settings, node) in case.nodes {
        match node.word(settings, case.timer) {
            Word::Facts(_) if node.state == NodeState::WrongChain => {
                elsewhere += 1;
                lost = lost.max(node.state_since);
            }
            Word::Facts(_) => return Verdict::Clear,
            Word::Nothing => return Verdict::Unknown,
            Word::Failing(streak) => {
                lost = lost.max(Some(streak.begun));
                *failures.entry(streak.kind).or_default() += 1;
            }
        }
    }
    let Some(since) = lost else { return Verdict::Unknown };
    if !case.timer.passed(since.after(case.settings.limits.unreachable_after)) {
        return Verdict::Unknown;
    }
    let (silence, nodes) = (case.timer.now().at.since(since), case.nodes.len());
    let commonest = failures.into_iter().max_by_key(|(_, nodes)| *nodes);
    Verdict::Holds(match commonest.filter(|_| elsewhere == 0) {
        Some((kind, alike)) => Finding::NoVoterAnswers { silence, nodes, kind, alike },
        None => Finding::NoNodeOfThisChain { lasting: silence, elsewhere, nodes },
    })
}

/// A network whose nodes have all vanished is not seen, whoever took them away. One that never had any is only not
/// there yet.
fn deserted(case: &NetworkCase<'_>) -> Verdict {
    match case.network.deserted {
        Some(since) if case.timer.passed(since.after(case.settings.limits.unreachable_after)) => {
            Verdict::Holds(Finding::NoNodesLeft { lasting: case.timer.now().at.since(since) })
        }
        _ => Verdict::Unknown,
    }
}
