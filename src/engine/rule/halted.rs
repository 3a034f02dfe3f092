//! Blocks come like a heartbeat. When the corroborated tip has stood still for many times its normal interval, and
//! enough of those who watched it before still say so, the network has halted. It has also halted when more of its
//! core nodes are gone than its protocol can lose, unless blocks demonstrably go on; and, where blocks come only for work,
//! when its consensus stands still though nobody wants one.
//!
//! A halt is over after some normal blocks, not after the first: a restart that does not hold is still the same halt.

use std::time::Duration;

use super::{NetworkCase, Verdict};
use crate::{
    engine::{
        finding::Finding,
        network::{Network, confirmed_by},
        node::Word,
        quorum::Scale,
        settings::{Cadence, NetworkSettings},
        work::Work,
    },
    model::Timestamp,
    observation::Meaning,
};

/// A halt is also over when blocks have been coming for this long, however few they are ...
const RECOVERED_AFTER: Duration = Duration::from_secs(120);

/// ... and for so many block times.
const RECOVERED_BLOCK_TIMES: u32 = 8;

/// On an on-demand network a halt is also over when nothing has been waiting for this long: whoever waited gave up.
const IDLE_AFTER: Duration = Duration::from_secs(600);

/// Blocks seen within this time after core nodes went may have been made before.
const LAST_BLOCKS: Duration = Duration::from_secs(60);

/// What the blocks say.
enum Blocks {
    /// Nothing: too few voters see the tip.
    Unseen,
    /// They come, or need not.
    Coming,
    /// They are missing.
    Missing(Finding),
}

/// What would make a halt of the missing blocks: a limit, and the work from which it counts if there is some.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// The gap from which on blocks are missing.
    pub threshold: Duration,
    /// The work that waits for one.
    pub work: Option<Work>,
}

/// What is demanded of a network now. Where blocks come only for work, nothing is while none waits; where one comes at
/// the latest after a declared time, work makes one due sooner.
pub fn demands(network: &Network, settings: &NetworkSettings) -> impl Iterator<Item = Demand> {
    let progress = &network.progress;
    let always = Demand { threshold: progress.threshold(settings), work: None };
    let working = network.work.map(|work| (work, progress.busy_threshold(settings)));
    let busy = working.map(|(work, threshold)| Demand { threshold, work: Some(work) });
    let (first, second) = match settings.cadence {
        Cadence::Interval | Cadence::Slots | Cadence::Poisson => (Some(always), None),
        Cadence::IdleMax(_) => (busy, Some(always)),
        Cadence::OnDemand => (busy, None),
    };
    first.into_iter().chain(second)
}

/// `NetworkHalted`, for either reason. It never begins inside an announced window; one that had begun before goes on.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    if case.network.plans.open.is_some() && !case.network.lives.fires(super::HALTED) {
        return Verdict::Unknown;
    }
    let blocks = blocks(case);
    if let Blocks::Missing(finding) = blocks {
        return Verdict::Holds(finding);
    }
    let consensus = &case.network.consensus;
    if let Some(finding) = consensus.halt(case.network, case.timer).or_else(|| core_nodes_offline(case)) {
        return Verdict::Holds(finding);
    }
    match blocks {
        Blocks::Coming if recovered(case) && !consensus.lingers() => Verdict::Clear,
        _ => Verdict::Unknown,
    }
}

fn blocks(case: &NetworkCase<'_>) -> Blocks {
    let network = case.network;
    let Some(tip) = network.tip.height().filter(|_| network.sight) else { return Blocks::Unseen };
    let since = |demand: &Demand| demand.work.map(|work| work.since);
    let missed = |demand: &Demand| {
        let patience = demand.threshold.saturating_mul(if other_branch_grows(case, demand.threshold) { 2 } else { 1 });
        case.timer.passed(network.progress.due(patience, since(demand)))
    };
    let Some(demand) = demands(network, case.settings).find(missed) else { return Blocks::Coming };
    if goes_on_below(case, demand.threshold) {
        return Blocks::Unseen;
    }
    let now = case.timer.now().at;
    let closed = network.plans.closed.filter(|closed| network.progress.at < Some(*closed));
    Blocks::Missing(Finding::BlocksMissing {
        tip,
        gap: now.since(network.progress.at.max(since(&demand)).unwrap_or(now)),
        threshold: demand.threshold,
        pending: demand.work.map(|work| work.pending),
        overrun: closed.map(|closed| now.since(closed)),
        voters: confirmed_by(tip, case.nodes.iter().map(|(_, node)| *node)),
    })
}

/// Whether most voters make their way below the tip: the chain has been set back, which the tip follows only once it
/// cannot be old backends of balancers that speak. That is for a few polls, and for the `threshold` after the last block
/// that is provably new; nodes that stand still never look like it.
fn goes_on_below(case: &NetworkCase<'_>, threshold: Duration) -> bool {
    let Some(tip_at) = case.network.progress.at else { return false };
    let voters = || case.nodes.iter().map(|(_, node)| node).filter(|node| node.vote.is_some());
    voters().count() < 2 * voters().filter(|node| node.goes_on_below(tip_at, threshold, case.timer)).count()
}

/// Whether blocks come at random and a branch beside that of the tip has grown within `threshold`: those who make blocks
/// are divided then, and either branch has to wait longer for its next one.
fn other_branch_grows(case: &NetworkCase<'_>, threshold: Duration) -> bool {
    let split = case.network.split.filter(|_| case.settings.cadence == Cadence::Poisson);
    split.is_some_and(|split| split.sides.iter().any(|side| !case.timer.passed(side.moved.after(threshold))))
}

/// More core weight has been failing for `nodes_offline` than the protocol tolerates, and no block came since. What
/// fails inside an announced window counts from its end.
fn core_nodes_offline(case: &NetworkCase<'_>) -> Option<Finding> {
    let core = || case.nodes.iter().filter(|(settings, _)| settings.core);
    if core().take(2).count() < 2 && is_unheard(case) {
        return None;
    }
    let scale = Scale::of(case.settings, &case.network.roll, case.nodes.iter().copied());
    let Scale { total, tolerated, .. } = scale;
    let mut gone: Vec<(Timestamp, u64)> = core()
        .filter_map(|(settings, node)| match node.word(settings, case.timer) {
            Word::Failing(streak) if streak.meaning == Meaning::Absent => {
                Some((streak.since, scale.weight(settings, node)))
            }
            _ => None,
        })
        .collect();
    gone.sort_unstable();
    let (mut offline, mut too_many) = (0_u64, None);
    for (since, weight) in gone {
        let since = since.max(case.network.plans.closed.unwrap_or(since));
        if !case.timer.passed(since.after(case.settings.limits.nodes_offline)) {
            break;
        }
        offline = offline.saturating_add(weight);
        too_many = too_many.or((tolerated < offline).then_some(since));
    }
    let since = too_many?;
    (!goes_on_without(case, since)).then_some(Finding::CoreNodesOffline { offline, total, tolerated })
}

/// Whether nobody has ever said anything of the network, nor how many validators it has: a single core node that was down
/// before we came may be one of hundreds.
fn is_unheard(case: &NetworkCase<'_>) -> bool {
    let network = case.network;
    network.tip.height().is_none() && !network.roll.is_told() && case.settings.core_total.is_none()
}

/// Whether blocks demonstrably go on without the nodes that have been gone since then. Where blocks come only for work,
/// one that came long after they had gone shows it, however long nobody has wanted another.
fn goes_on_without(case: &NetworkCase<'_>, since: Timestamp) -> bool {
    let network = case.network;
    let idle = case.settings.cadence == Cadence::OnDemand && network.sight;
    let shown = network.progress.at.is_some_and(|at| since.after(LAST_BLOCKS) < at);
    (idle && shown) || network.rose_since(since, case.settings, case.timer)
}

/// Whether enough blocks have come since the halt, or there was none.
fn recovered(case: &NetworkCase<'_>) -> bool {
    let Some(recovery) = case.network.recovery else { return true };
    let idle = recovery.idle_since.filter(|_| case.settings.cadence == Cadence::OnDemand);
    if idle.is_some_and(|since| case.timer.passed(since.after(IDLE_AFTER))) {
        return true;
    }
    let Some(first) = recovery.first else { return false };
    let block_time = case.network.progress.block_time(case.settings).unwrap_or_default();
    let patience = block_time.saturating_mul(RECOVERED_BLOCK_TIMES).max(RECOVERED_AFTER);
    u64::from(case.settings.limits.recovery_blocks) <= recovery.blocks || case.timer.passed(first.after(patience))
}
