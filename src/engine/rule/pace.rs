//! Before a chain stops it often becomes slow. Single blocks that are late, empty slots and bad luck are no slowness, so
//! blocks are counted over a time in which enough of them are due: twenty where they come evenly, so many that a third of
//! them would come by chance once in ten years where they come at random.

use super::{NetworkCase, Verdict};
use crate::engine::{
    finding::Finding,
    pace::{Span, Stretch},
};

/// Fewer blocks than this fraction of those due are slow ...
const SLOW: u64 = 3;

/// ... and it is over when this fraction comes again.
pub const ORDINARY: u64 = 2;

/// `BlocksSlow`: less than a third of the blocks due over the window came.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    let network = case.network;
    let seeing = network.progress.seeing_since(case.timer.now().at).filter(|_| network.sight);
    let (Some(tip), Some(seeing)) = (network.tip.height(), seeing) else { return Verdict::Unknown };
    let Some(block_time) = network.progress.block_time(case.settings) else { return Verdict::Unknown };
    let stretch = |span, share| network.vitals.pace.stretch(tip, span, share, (block_time, case.settings));
    let Some(slow) = stretch(Span::Lately, SLOW) else { return Verdict::Clear };
    let limit = slow.window;
    // Who could not see cannot tell slowness from a standstill, until it has lasted for as long as a halt.
    let settled = seeing.after(network.progress.threshold(case.settings).saturating_add(network.vitals.settle));
    let is_due = |stretch: &Stretch| case.timer.passed(stretch.since.after(stretch.window).max(settled));
    if is_due(&slow) {
        let long = stretch(Span::Long, SLOW).filter(is_due);
        let (span, found) = long.map_or((Span::Lately, slow), |long| (Span::Long, long));
        let lasting = found.window;
        let blocks = network.vitals.pace.blocks_since(case.timer.now().at.before(lasting), tip, span);
        return Verdict::Holds(Finding::BlocksRare { blocks, expected: found.expected, lasting, limit });
    }
    let fires = network.lives.lives(super::SLOW);
    let still = stretch(Span::Lately, ORDINARY).is_some_and(|stretch| is_due(&stretch));
    if fires && still { Verdict::Unknown } else { Verdict::Clear }
}
