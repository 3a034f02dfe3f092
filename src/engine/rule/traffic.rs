//! What blocks carry tells whether work gets done: transactions that wait longer and longer, blocks that stay empty while
//! somebody waits, and traffic that is nothing like this chain's usual.

use super::{NetworkCase, Verdict};
use crate::engine::{finding::Finding, traffic::Empty};

/// Empty blocks we must have been shown: where polls are rarer than blocks, others may have come between.
const EMPTY_SHOWN: u64 = 10;

/// Where nobody says what waits, a chain whose blocks usually carry this much (in hundredths) misses it.
const BUSY: u64 = crate::engine::traffic::ONE;

/// So many times more or less than usual is unusual, and it is over at half of that.
const UNUSUAL: u64 = 5;

/// Differences below this many transactions per block (in hundredths) are nothing.
const NEGLIGIBLE: u64 = 10 * crate::engine::traffic::ONE;

/// `TransactionBacklog`: more wait than usual, ever more, and the oldest for longer than the limit.
pub fn backlog(case: &NetworkCase<'_>) -> Verdict {
    let backlog = &case.network.vitals.backlog;
    if !case.network.sight || !backlog.is_told() {
        return Verdict::Unknown;
    }
    let Some(queue) = backlog.queue() else { return Verdict::Clear };
    let limit = case.settings.limits.confirmation_limit;
    if !case.timer.passed(queue.oldest.after(limit)) {
        return Verdict::Clear;
    }
    if !queue.grows {
        return Verdict::Unknown;
    }
    let oldest = case.timer.now().at.since(queue.oldest);
    Verdict::Holds(Finding::Backlog { pending: queue.pending, oldest, limit })
}

/// `EmptyBlocks`: nothing but empty blocks for long, while transactions wait. Where nobody says what waits, on a chain
/// whose blocks are usually not empty.
pub fn empty(case: &NetworkCase<'_>) -> Verdict {
    let vitals = &case.network.vitals;
    let (Some(tip), true) = (case.network.tip.height(), case.network.sight) else { return Verdict::Unknown };
    let Some(empty) = vitals.traffic.empty() else { return Verdict::Clear };
    let Some(since) = missed_since(empty, vitals.traffic.usual()) else { return Verdict::Clear };
    let limit = case.settings.limits.empty_after;
    let long = case.timer.passed(since.after(limit)) && empty.since.after(limit / 2) <= tip_rose(case);
    if !long || empty.shown < EMPTY_SHOWN {
        return Verdict::Clear;
    }
    Verdict::Holds(Finding::BlocksEmpty {
        blocks: tip.above(empty.first).saturating_add(1),
        lasting: case.timer.now().at.since(empty.since),
        pending: empty.waiting.map(|(_, pending)| pending),
    })
}

/// Since when somebody has been missing transactions in blocks.
fn missed_since(empty: &Empty, usual: Option<u64>) -> Option<crate::model::Timestamp> {
    if empty.knows_pending() {
        return empty.waiting.map(|(since, _)| since.max(empty.since));
    }
    usual.filter(|usual| BUSY <= *usual).map(|_| empty.since)
}

/// A chain that stands still makes no empty blocks.
fn tip_rose(case: &NetworkCase<'_>) -> crate::model::Timestamp {
    case.network.progress.at.unwrap_or_default()
}

/// `UnusualTraffic`: transactions per block far from this chain's own usual, in either direction.
pub fn unusual(case: &NetworkCase<'_>) -> Verdict {
    let traffic = &case.network.vitals.traffic;
    let known = traffic.lately().zip(traffic.usual()).filter(|_| case.network.sight);
    let Some((lately, usual)) = known else { return Verdict::Unknown };
    let times = if case.network.lives.lives(super::UNUSUAL) { UNUSUAL.div_ceil(2) } else { UNUSUAL };
    let (more, less) = (lately.max(usual), lately.min(usual));
    if NEGLIGIBLE < more - less && less.saturating_mul(times) < more {
        return Verdict::Holds(Finding::TrafficUnusual { lately, usual });
    }
    Verdict::Clear
}
