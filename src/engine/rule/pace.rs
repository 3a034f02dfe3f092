//! Before a chain stops it often becomes slow. Single blocks that are late, empty slots and bad luck are no slowness, so
//! blocks are counted over a time in which enough of them are due: twenty where they come evenly, so many that a third of
//! them would come by chance once in ten years where they come at random.

use super::{NetworkCase, Verdict};
use crate::engine::{finding::Finding, pace::Stretch};

/// Fewer blocks than this fraction of those due are slow ...
const SLOW: u64 = 3;

/// ... and it is over when this fraction comes again.
const ORDINARY: u64 = 2;

/// Slow over so many windows is louder.
const LONG: u32 = 3;

/// `BlocksSlow`: less than a third of the blocks due over the window came.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    let network = case.network;
    let seeing = network.progress.seeing_since().filter(|_| network.sight);
    let (Some(tip), Some(seeing)) = (network.tip.height(), seeing) else { return Verdict::Unknown };
    let Some(block_time) = network.progress.block_time(case.settings) else { return Verdict::Unknown };
    let stretch = |windows, share| network.vitals.pace.stretch(tip, windows, share, (block_time, case.settings));
    let Some(slow) = stretch(1, SLOW) else { return Verdict::Clear };
    let limit = slow.window;
    let settled = seeing.after(network.vitals.settle);
    let is_due = |stretch: &Stretch| case.timer.passed(stretch.since.after(stretch.window).max(settled));
    if is_due(&slow) {
        let found = stretch(LONG, SLOW).filter(is_due).unwrap_or(slow);
        let lasting = found.window;
        let blocks = network.vitals.pace.blocks_since(case.timer.now().at.before(lasting), tip);
        return Verdict::Holds(Finding::BlocksRare { blocks, expected: found.expected, lasting, limit });
    }
    let fires = network.lives.lives(super::SLOW);
    let still = stretch(1, ORDINARY).is_some_and(|stretch| is_due(&stretch));
    if fires && still { Verdict::Unknown } else { Verdict::Clear }
}
