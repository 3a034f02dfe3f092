//! A chain may go on making blocks that nobody can rely on. The final block follows the head at a distance that is normal
//! for the chain: constant, in bursts, or as the saw-tooth of its epochs. When it stays behind by several times that, it
//! has stalled.
//!
//! The distance is measured to the head, not to now, and a standstill of the head does not count: nothing can become
//! final then, and that has another name.

use std::time::Duration;

use super::{NetworkCase, Verdict};
use crate::{
    engine::{finality::Last, finding::Finding},
    model::{Height, Timestamp},
};

/// The head counts as moving for so many block times after its last block, the next being on its way ...
const UNDER_WAY: u32 = 2;

/// ... but for no longer than this fraction of the limit.
const UNDER_WAY_FRACTION: u32 = 4;

/// `FinalityStalled`: the newest final block was the head longer ago than the limit. It is over below two thirds of that.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    let network = case.network;
    let finality = &network.vitals.finality;
    let sight = network.progress.seeing_since(case.timer.now().at).filter(|_| network.sight);
    let (Some(tip), Some(last), Some(since), Some(head)) =
        (network.tip.height(), finality.told(), sight, network.progress.at)
    else {
        return Verdict::Unknown;
    };
    if tip <= last.height {
        return Verdict::Clear;
    }
    let limit = finality.limit(case.settings);
    let lag = head.since(last.was_head).saturating_sub(last.stood);
    if is_behind(case, &last, limit, head, since) {
        return Verdict::Holds(finding(last.height, tip, lag.max(limit), limit));
    }
    let fired = network.lives.lives(super::FINALITY);
    if fired && limit / 3 * 2 < lag { Verdict::Unknown } else { Verdict::Clear }
}

/// Whether the lag is beyond the limit, and every node had the time to say so: after the block that came behind the final
/// one, and after we could not see.
fn is_behind(case: &NetworkCase<'_>, last: &Last, limit: Duration, head: Timestamp, seeing: Timestamp) -> bool {
    let settle = case.network.vitals.settle;
    let crosses = last.was_head.after(limit.saturating_add(last.stood));
    let block_time = case.network.progress.block_time(case.settings).unwrap_or_default();
    let under_way = block_time.saturating_mul(UNDER_WAY).min(limit / UNDER_WAY_FRACTION);
    let due = crosses.max(seeing.after(settle)).max(last.passed.unwrap_or(head).after(settle));
    crosses <= head.after(under_way) && case.timer.passed(due)
}

fn finding(finalized: Height, tip: Height, lag: Duration, limit: Duration) -> Finding {
    Finding::FinalityBehind { finalized, tip, lag, limit }
}
