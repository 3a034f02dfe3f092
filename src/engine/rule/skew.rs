//! A node's clock that is wrong makes wrong timestamps, lost votes and failing TLS. Its `Date` header has a resolution
//! of one second and was written somewhere within the poll, so only what exceeds that doubt counts. It may also be our
//! own clock that is wrong: what all clocks of a network together say counts for more than ours.

use super::{NodeCase, Verdict};
use crate::engine::{finding::Finding, node::Word};

/// `NodeClockSkew`: the node's clock and ours disagree, beyond doubt, by more than the limit.
pub fn judge(case: &NodeCase<'_>) -> Verdict {
    let Word::Facts(_) = case.node.word(case.settings, case.timer) else { return Verdict::Unknown };
    let Some(skew) = case.node.skew else { return Verdict::Unknown };
    let limit_ms = i64::try_from(case.settings.limits.clock_skew.as_millis()).unwrap_or(i64::MAX);
    let wrong_ms = skew.ms.saturating_sub(case.clocks_ms);
    let sure_ms = wrong_ms.saturating_abs().saturating_sub(skew.doubt_ms);
    if limit_ms < sure_ms { Verdict::Holds(Finding::ClockDiffers { skew_ms: wrong_ms }) } else { Verdict::Clear }
}
