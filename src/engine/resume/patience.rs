//! How long a rule is heard before it is believed that trouble from before is gone: as long as it would need to find that
//! trouble, if it were still there, with nothing remembered. That follows from the rule's own limits; where what it sees
//! proves already that all is well, it is believed once all nodes have been asked.
//!
//! What has happened once (a reorganisation, a double signature, a clock that was set) is never found again: such an
//! alert ends when its rule says so.

use std::time::Duration;

use crate::{
    engine::{
        backlog,
        custom::CustomRule,
        eye,
        identity::MAJORITY_MUST_FORM,
        network::Network,
        node::Word,
        pace::{self, Span},
        quorum::{ASTRAY_FOR, AWAY_FOR},
        rounds::{climbing_limit, low_limit},
        rule::{NetworkCase, NodeCase, TROUBLE_LASTS, access, pace::ORDINARY, split::LONG_SPLIT},
        settings::{NetworkSettings, NodeSettings},
        state::{FORK_SETTLES, SYNC_PATIENCE, lag_limit},
        window,
    },
    model::{
        AlertName::{self, self as N},
        NodeState,
    },
    observation::Meaning,
};

/// In this time a block time is learned where blocks are ordinary; without one nobody knows how far behind a node is.
const LEARNING: Duration = Duration::from_secs(300);

/// In this time each of these nodes is asked at least once, and whoever answers is asked again.
#[must_use]
pub fn rounds<'a>(nodes: impl Iterator<Item = &'a NodeSettings>) -> Duration {
    nodes.map(|node| node.interval).max().unwrap_or_default().saturating_mul(2)
}

/// How long the rule about a network is heard.
#[must_use]
pub fn of_network(name: AlertName, case: &NetworkCase<'_>) -> Duration {
    let block_time = case.network.progress.block_time(case.settings);
    let more = match name {
        // Only new blocks end it; where it may end without one, the loss of core nodes is given its time.
        N::NetworkHalted => return of_idle_halt(case),
        N::NetworkUnreachable if is_pinned(case.settings) => return Duration::ZERO,
        N::NetworkUnreachable => MAJORITY_MUST_FORM,
        N::FinalityStalled => of_finality(case),
        N::NetworkSplit => of_split(case),
        N::QuorumAtRisk => of_quorum(case),
        N::ConsensusStruggling => climbing_limit(block_time).max(low_limit(block_time)),
        N::BlocksSlow => of_pace(case),
        N::TransactionBacklog => of_backlog(case),
        N::EmptyBlocks => of_empty_blocks(case),
        N::PlannedHalt => Duration::ZERO,
        _ => return Duration::ZERO,
    };
    rounds(case.nodes.iter().map(|(settings, _)| *settings)).saturating_add(more)
}

/// How long the rule about a node of `network` is heard.
#[must_use]
pub fn of_node(name: AlertName, case: &NodeCase<'_>, network: &Network, settings: &NetworkSettings) -> Duration {
    let (node, own) = (case.node, case.settings);
    let limit = lag_limit(own, case.block_time);
    let more = match name {
        N::NodeWrongChain if !is_pinned(settings) => MAJORITY_MUST_FORM,
        // Hashes of one height are compared: whoever is not told to lag has told one that others told by then.
        N::NodeForked => FORK_SETTLES.saturating_add(limit),
        N::NodeStalled if node.behind => SYNC_PATIENCE.max(limit),
        N::NodeStalled | N::NodeLagging | N::NodeSyncing if case.block_time.is_none() => LEARNING.max(limit),
        N::NodeStalled if node.pulse.is_felt() => network.consensus.patience(),
        // All have been asked: then what each says of itself and of its height tells.
        N::NodeStalled | N::NodeLagging | N::NodeSyncing | N::NodeWrongChain | N::NodeClockSkew => Duration::ZERO,
        N::NodeSlow => of_slowness(case),
        N::NodeErrors => of_errors(case),
        N::NodeRateLimited => own.interval.saturating_mul(u32::try_from(access::RECENT).unwrap_or(u32::MAX)),
        _ => return Duration::ZERO,
    };
    network.vitals.settle.max(own.interval).saturating_mul(2).saturating_add(more)
}

/// How long a rule of the user's own is heard about a subject among `nodes`: what it waits for tells how slow it is.
#[must_use]
pub fn of_custom<'a>(rule: &CustomRule, nodes: impl Iterator<Item = &'a NodeSettings>) -> Duration {
    rounds(nodes).saturating_add(rule.wait)
}

/// Whether the configuration says which chain it is; else the nodes must agree first.
fn is_pinned(settings: &NetworkSettings) -> bool {
    settings.chain_id.is_some() || settings.genesis.is_some()
}

fn of_idle_halt(case: &NetworkCase<'_>) -> Duration {
    let blocks_came = case.network.recovery.is_some_and(|recovery| recovery.first.is_some());
    if blocks_came { Duration::ZERO } else { case.settings.limits.nodes_offline }
}

/// A final block that is only so many blocks away is near, whatever its age.
fn of_finality(case: &NetworkCase<'_>) -> Duration {
    let (network, finality) = (case.network, &case.network.vitals.finality);
    let normal = finality.normal(case.settings);
    let limit = normal.map_or(case.settings.limits.finality_floor, |_| finality.limit(case.settings));
    let blocks = network.tip.height().zip(finality.told()).map(|(tip, last)| tip.above(last.height));
    let lag = blocks.and_then(|blocks| in_time(blocks, case));
    if lag.is_some_and(|lag| lag <= limit / 3 * 2) {
        return Duration::ZERO;
    }
    finality.limit(case.settings).saturating_add(network.vitals.settle)
}

/// The sides are told apart when the one that trails comes by a height at which the other was asked.
fn of_split(case: &NetworkCase<'_>) -> Duration {
    let votes = || case.nodes.iter().filter_map(|(_, node)| node.vote);
    let apart = votes().max().zip(votes().min()).map_or(0, |(highest, lowest)| highest.above(lowest));
    let meeting = in_time(apart, case).unwrap_or(LONG_SPLIT).min(LONG_SPLIT);
    case.settings.limits.split_after.saturating_add(meeting)
}

/// Core nodes that are all there need not be waited for; one that is astray is not lost at once.
fn of_quorum(case: &NetworkCase<'_>) -> Duration {
    use NodeState as S;
    let core = || case.nodes.iter().filter(|(settings, _)| settings.core);
    let astray = [S::Stalled, S::Lagging, S::Syncing, S::Starting, S::Forked, S::WrongChain];
    if core().any(|(_, node)| astray.contains(&node.state) || node.dispute.hash.is_some()) {
        return SYNC_PATIENCE.saturating_add(ASTRAY_FOR).max(AWAY_FOR);
    }
    let unknown = case.network.progress.block_time(case.settings).is_none();
    core().filter(|_| unknown).map(|(settings, _)| lag_limit(settings, None)).max().unwrap_or_default()
}

/// Enough blocks prove a pace, however short we have looked; too few prove nothing before they fill a window.
fn of_pace(case: &NetworkCase<'_>) -> Duration {
    let network = case.network;
    let block_time = network.progress.block_time(case.settings);
    let Some((tip, block_time)) = network.tip.height().zip(block_time) else { return Duration::ZERO };
    if network.vitals.pace.is_proven(tip, ORDINARY, (block_time, case.settings)) {
        return Duration::ZERO;
    }
    let window = pace::window(Span::Lately, block_time, case.settings).unwrap_or_default();
    window.saturating_add(network.progress.threshold(case.settings)).saturating_add(network.vitals.settle)
}

/// What is usual is not known yet. Whoever waits for less than the limit is served; where the first of all still wait,
/// they are the usual only when that has lasted for long.
fn of_backlog(case: &NetworkCase<'_>) -> Duration {
    let limit = case.settings.limits.confirmation_limit;
    match case.network.vitals.backlog.queue_above(backlog::FEW) {
        None => Duration::ZERO,
        Some(queue) if case.timer.passed(queue.oldest.after(limit)) => limit.saturating_mul(TROUBLE_LASTS),
        Some(_) => limit,
    }
}

/// The first block that is not empty proves that the others need not be; where nobody waits, they may.
fn of_empty_blocks(case: &NetworkCase<'_>) -> Duration {
    let told = case.nodes.iter().filter_map(|(settings, node)| match node.word(settings, case.timer) {
        Word::Facts(facts) => facts.pending,
        _ => None,
    });
    match (told.max(), case.network.vitals.traffic.empty()) {
        (Some(0), _) => Duration::ZERO,
        (_, None) => in_time(2, case).unwrap_or_default(),
        _ => case.settings.limits.empty_after.saturating_mul(2),
    }
}

/// The node's own normal is learned anew from what may be its trouble: only answers within the limit prove its end.
fn of_slowness(case: &NodeCase<'_>) -> Duration {
    let limits = &case.settings.limits;
    let mut p95 = eye::seeing(&case.node.eyes).filter_map(|eye| eye.latencies.p95());
    let quick = p95.any(|p95| p95 <= limits.slow_latency);
    if quick { Duration::ZERO } else { limits.sustained.saturating_mul(TROUBLE_LASTS) }
}

/// Errors that are rare take a whole window to become too many, and none at all is the end of them.
fn of_errors(case: &NodeCase<'_>) -> Duration {
    let sustained = case.settings.limits.sustained;
    let absent = |eye: &eye::Eye| eye.failures.span(|kind| kind.meaning() == Meaning::Absent).is_some();
    if !eye::seeing(&case.node.eyes).any(absent) {
        return sustained;
    }
    let window = u32::try_from(window::POLLS).unwrap_or(u32::MAX);
    case.settings.interval.saturating_mul(window).max(sustained)
}

/// What the network takes for so many blocks, if anybody knows.
fn in_time(blocks: u64, case: &NetworkCase<'_>) -> Option<Duration> {
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    let none = (blocks == 0).then_some(Duration::ZERO);
    none.or_else(|| Some(case.network.progress.block_time(case.settings)?.saturating_mul(blocks)))
}
