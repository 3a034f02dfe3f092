//! A node can be right and still serve badly: few peers, slow answers, failing requests. None of these is judged by a
//! single poll; each compares a bounded window with a limit, and slowness also with what is normal for this node.

use super::{NodeCase, Verdict};
use crate::{
    engine::{
        eye::{self, Eye},
        finding::Finding,
        node::Word,
        window::Failures,
    },
    observation::{ErrorKind, Meaning},
};

/// `NodeLowPeers`: fewer peers than configured.
pub fn low_peers(case: &NodeCase<'_>) -> Verdict {
    let Word::Facts(facts) = case.node.word(case.settings, case.timer) else { return Verdict::Unknown };
    match (facts.peers, case.settings.limits.min_peers) {
        (Some(peers), Some(wanted)) if peers < wanted => Verdict::Holds(Finding::FewPeers { peers, wanted }),
        (None, Some(_)) => Verdict::Unknown,
        _ => Verdict::Clear,
    }
}

/// `NodeSlow`: from everywhere, the 95th percentile is above the limit and above a multiple of the node's own baseline.
pub fn slow(case: &NodeCase<'_>) -> Verdict {
    let Word::Facts(_) = case.node.word(case.settings, case.timer) else { return Verdict::Unknown };
    let limits = &case.settings.limits;
    from_everywhere(case, |eye| {
        let latencies = &eye.latencies;
        let (Some(p95), Some(baseline)) = (latencies.p95(), latencies.baseline()) else { return Verdict::Unknown };
        let limit = limits.slow_latency.max(baseline.saturating_mul(limits.slow_factor));
        if limit < p95 { Verdict::Holds(Finding::SlowAnswers { p95, limit }) } else { Verdict::Clear }
    })
}

/// `NodeErrors`: from everywhere, too many of the recent polls failed, spread over so long that it is not one outage; a
/// burst that ended is over. Being limited, refused or told to wait has its own name.
pub fn errors(case: &NodeCase<'_>) -> Verdict {
    if let Word::Nothing = case.node.word(case.settings, case.timer) {
        return Verdict::Unknown;
    }
    from_everywhere(case, |eye| errors_from(case, &eye.failures))
}

fn errors_from(case: &NodeCase<'_>, failures: &Failures) -> Verdict {
    let absent = |kind: ErrorKind| kind.meaning() == Meaning::Absent;
    let limits = &case.settings.limits;
    let Some((first, last)) = failures.span(absent) else { return Verdict::Clear };
    let (failed, polls) = (failures.count(absent), failures.polls());
    let many = limits.error_count <= failed && limits.error_ratio * f64::from(polls) < f64::from(failed);
    if many
        && limits.sustained <= last.since(first)
        && !case.timer.passed(last.after(limits.sustained))
        && let Some(kind) = failures.commonest(absent)
    {
        return Verdict::Holds(Finding::ManyErrors { failed, polls, kind });
    }
    Verdict::Clear
}

/// What is so from one vantage only lies on the way from there: the node serves badly if it does so to all that see.
pub fn from_everywhere(case: &NodeCase<'_>, judge: impl Fn(&Eye) -> Verdict) -> Verdict {
    let mut all = Verdict::Unknown;
    for eye in eye::seeing(&case.node.eyes).filter(|eye| eye.heard.is_some()) {
        match (judge(eye), &all) {
            (Verdict::Clear, _) => return Verdict::Clear,
            (Verdict::Unknown, _) => {}
            (holds, Verdict::Holds(_)) => drop(holds),
            (holds, _) => all = holds,
        }
    }
    all
}
