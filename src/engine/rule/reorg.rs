//! Many blocks replaced by others: what was confirmed is so no more. Only hashes prove it: another block at a height a
//! node told before, and how far above that block the node had been.
//!
//! One node that changes its mind is that node's trouble, and so is one that comes home from a minority's branch. It is
//! the network that was reorganised when most of those who answer have moved, and have not moved back.

use std::time::Duration;

use super::{NetworkCase, Verdict};
use crate::engine::{branch::Reorg, finding::Finding};

/// Nodes that move within this time, and within some polls, move together.
const TOGETHER: Duration = Duration::from_secs(60);

/// See [`TOGETHER`].
const POLLS_TOGETHER: u32 = 6;

/// A reorganisation this many times deeper than the limit is critical.
pub const SEVERE: u64 = 10;

/// `DeepReorg`.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    let speakers = case.network.ground.speakers;
    if speakers == 0 {
        return Verdict::Unknown;
    }
    let limit = u64::from(case.settings.limits.reorg_depth);
    let mut moved: Vec<&Reorg> = moved(case, limit).collect();
    moved.sort_unstable_by_key(|reorg| std::cmp::Reverse(reorg.depth()));
    // What is told is what most have lost: one node's word could make it any depth.
    let Some(most) = moved.get(speakers / 2) else { return Verdict::Clear };
    Verdict::Holds(Finding::Reorganised {
        from: most.from,
        depth: most.depth(),
        at_most: most.at_most(),
        nodes: moved.len(),
        limit,
    })
}

/// The reorganisations of late that went deeper than the limit, of nodes that are not a minority now and were none
/// before.
fn moved<'a>(case: &NetworkCase<'a>, limit: u64) -> impl Iterator<Item = &'a Reorg> {
    let timer = case.timer;
    case.nodes.iter().filter_map(move |(settings, node)| {
        let reorg = node.told.reorg(timer.now().at).filter(|_| node.told.speaks() && node.dispute.hash.is_none())?;
        let together = settings.interval.saturating_mul(POLLS_TOGETHER).saturating_add(TOGETHER);
        let deep = limit < reorg.depth() && !reorg.homecoming;
        (deep && !timer.passed(reorg.at.after(together))).then_some(reorg)
    })
}
