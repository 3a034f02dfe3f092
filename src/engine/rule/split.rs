//! Two branches that both grow are two networks that believe to be one. Whatever is confirmed on the one that loses
//! will be undone; the longer it lasts, the more.
//!
//! Ordinary reorganisations part a network for seconds, and nodes that are left behind hold a branch that no longer
//! grows: so both branches must grow, be told apart ever further up, be some blocks long and some time old.

use std::time::Duration;

use super::{NetworkCase, Verdict};
use crate::engine::finding::Finding;

/// From here on a split is critical: more than services usually wait for has been confirmed on both branches.
pub const LONG_SPLIT: Duration = Duration::from_secs(600);

/// `NetworkSplit`.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    let Some(split) = &case.network.split else {
        return if case.network.ground.speakers == 0 { Verdict::Unknown } else { Verdict::Clear };
    };
    let limits = &case.settings.limits;
    let old = case.timer.passed(split.since.after(limits.split_after));
    if !split.alive || split.length() < u64::from(limits.split_blocks) || !old {
        // What fired goes on until the branches have merged: that this one is young or short says nothing of it.
        return Verdict::Unknown;
    }
    case.timer.passed(split.since.after(LONG_SPLIT));
    Verdict::Holds(Finding::BranchesGrow {
        height: split.parted,
        larger: split.sides[0].nodes,
        smaller: split.sides[1].nodes,
        length: split.length(),
        lasting: case.timer.now().at.since(split.since),
    })
}
