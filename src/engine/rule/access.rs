//! Some nodes are there and do not want us: we ask too often, or with the wrong credentials. That is no outage of the
//! node, but it blinds us; so each has its own name and neither ever leads to `NodeOffline`.

use super::{NodeCase, Verdict, service::from_everywhere};
use crate::{
    engine::{finding::Finding, node::Word},
    model::Timestamp,
    observation::{ErrorKind, Meaning},
};

/// Polls among which refusals are counted: a limited node answers now and then.
pub const RECENT: u64 = 20;

/// `NodeRateLimited`: from everywhere, half of the recent polls were refused for asking too often.
pub fn rate_limited(case: &NodeCase<'_>) -> Verdict {
    if let Word::Nothing = case.node.word(case.settings, case.timer) {
        return Verdict::Unknown;
    }
    let limited = |kind: ErrorKind| kind.meaning() == Meaning::Limited;
    from_everywhere(case, |eye| match eye.streak {
        _ if RECENT <= 2 * u64::from(eye.failures.count_recent(RECENT, limited)) => {
            limited_since(case, eye.failures.span(limited).map(|(first, _)| first))
        }
        Some(streak) if streak.meaning == Meaning::Limited => limited_since(case, Some(streak.since)),
        _ => Verdict::Clear,
    })
}

fn limited_since(case: &NodeCase<'_>, since: Option<Timestamp>) -> Verdict {
    let now = case.timer.now().at;
    Verdict::Holds(Finding::Limited { lasting: now.since(since.unwrap_or(now)) })
}

/// `NodeUnauthorized`: the node refuses our credentials.
pub fn unauthorized(case: &NodeCase<'_>) -> Verdict {
    match case.node.word(case.settings, case.timer) {
        Word::Failing(streak) if streak.meaning == Meaning::Refused => {
            Verdict::Holds(Finding::CredentialsRefused { lasting: case.timer.now().at.since(streak.since) })
        }
        Word::Facts(_) => Verdict::Clear,
        Word::Nothing | Word::Failing(_) => Verdict::Unknown,
    }
}
