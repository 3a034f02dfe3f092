//! The rules, in a visible list. A rule looks at one subject and says what is true now; how long that must last, how
//! loud it is and who is told is not its business: that stands here.

pub mod access;
pub mod behind;
pub mod chain;
pub mod consensus;
pub mod evidence;
pub mod finality;
pub mod halted;
pub mod offline;
pub mod pace;
pub mod planned;
pub mod quorum;
pub mod regression;
pub mod reorg;
pub mod service;
pub mod skew;
pub mod split;
pub mod traffic;
pub mod unreachable;

use std::time::Duration;

use super::{
    alert::{Policy, Verdict},
    finding::Finding,
    network::Network,
    node::Node,
    settings::{NetworkLimits, NetworkSettings, NodeSettings},
    timer::Timer,
};
use crate::model::{AlertName, Height, Level};

/// What a rule about a node may look at.
#[derive(Debug)]
pub struct NodeCase<'a> {
    /// The node's settings.
    pub settings: &'a NodeSettings,
    /// What is remembered of it.
    pub node: &'a Node,
    /// The tip of its network.
    pub tip: Option<Height>,
    /// The block time of its network.
    pub block_time: Option<Duration>,
    /// By how many milliseconds the clocks of its network together are ahead of ours.
    pub clocks_ms: i64,
    /// Now, and what must be looked at again when.
    pub timer: &'a Timer,
}

/// What a rule about a network may look at.
#[derive(Debug)]
pub struct NetworkCase<'a> {
    /// The network's settings.
    pub settings: &'a NetworkSettings,
    /// What is remembered of it.
    pub network: &'a Network,
    /// Its nodes with their settings.
    pub nodes: &'a [(&'a NodeSettings, &'a Node)],
    /// Now, and what must be looked at again when.
    pub timer: &'a Timer,
}

/// A rule about nodes.
#[derive(Debug)]
pub struct NodeRule {
    /// The alert it feeds.
    pub name: AlertName,
    /// What it says.
    pub judge: fn(&NodeCase<'_>) -> Verdict,
}

/// A rule about networks.
#[derive(Debug)]
pub struct NetworkRule {
    /// The alert it feeds.
    pub name: AlertName,
    /// What it says.
    pub judge: fn(&NetworkCase<'_>) -> Verdict,
}

/// Every rule about networks, those that mute others first.
pub const NETWORK_RULES: [NetworkRule; 13] = [
    NetworkRule { name: AlertName::NetworkHalted, judge: halted::judge },
    NetworkRule { name: AlertName::PlannedHalt, judge: planned::judge },
    NetworkRule { name: AlertName::NetworkUnreachable, judge: unreachable::judge },
    NetworkRule { name: AlertName::FinalityStalled, judge: finality::judge },
    NetworkRule { name: AlertName::NetworkSplit, judge: split::judge },
    NetworkRule { name: AlertName::DeepReorg, judge: reorg::judge },
    NetworkRule { name: AlertName::QuorumAtRisk, judge: quorum::judge },
    NetworkRule { name: AlertName::DoubleSign, judge: evidence::judge },
    NetworkRule { name: AlertName::ConsensusStruggling, judge: consensus::judge },
    NetworkRule { name: AlertName::BlocksSlow, judge: pace::judge },
    NetworkRule { name: AlertName::TransactionBacklog, judge: traffic::backlog },
    NetworkRule { name: AlertName::EmptyBlocks, judge: traffic::empty },
    NetworkRule { name: AlertName::UnusualTraffic, judge: traffic::unusual },
];

/// Positions in [`NETWORK_RULES`].
pub const HALTED: usize = 0;
/// See [`HALTED`].
pub const PLANNED: usize = 1;
/// See [`HALTED`].
pub const UNREACHABLE: usize = 2;
/// See [`HALTED`].
pub const FINALITY: usize = 3;
/// See [`HALTED`].
pub const SPLIT: usize = 4;
/// See [`HALTED`].
pub const STRUGGLING: usize = 8;
/// See [`HALTED`].
pub const SLOW: usize = 9;
/// See [`HALTED`].
pub const UNUSUAL: usize = 12;

/// Every rule about nodes, those that mute others first.
pub const NODE_RULES: [NodeRule; 13] = [
    NodeRule { name: AlertName::NodeOffline, judge: offline::judge },
    NodeRule { name: AlertName::NodeWrongChain, judge: chain::wrong },
    NodeRule { name: AlertName::NodeForked, judge: chain::forked },
    NodeRule { name: AlertName::NodeStalled, judge: behind::stalled },
    NodeRule { name: AlertName::NodeLagging, judge: behind::lagging },
    NodeRule { name: AlertName::NodeSyncing, judge: behind::syncing },
    NodeRule { name: AlertName::NodeLowPeers, judge: service::low_peers },
    NodeRule { name: AlertName::NodeSlow, judge: service::slow },
    NodeRule { name: AlertName::NodeErrors, judge: service::errors },
    NodeRule { name: AlertName::NodeRateLimited, judge: access::rate_limited },
    NodeRule { name: AlertName::NodeUnauthorized, judge: access::unauthorized },
    NodeRule { name: AlertName::NodeClockSkew, judge: skew::judge },
    NodeRule { name: AlertName::HeightRegression, judge: regression::judge },
];

/// Positions in [`NODE_RULES`].
pub const OFFLINE: usize = 0;
/// See [`OFFLINE`].
pub const WRONG_CHAIN: usize = 1;
/// See [`OFFLINE`].
pub const STALLED: usize = 3;
/// See [`OFFLINE`].
pub const LAGGING: usize = 4;

/// How loud an alert is at first; about core nodes some are louder. What a finding says may make it louder still:
/// `escalated`.
#[must_use]
pub fn level(name: AlertName, core: bool) -> Level {
    use AlertName as N;
    match name {
        N::NetworkHalted | N::DoubleSign => Level::L1,
        N::NetworkUnreachable
        | N::MonitorIsolated
        | N::FinalityStalled
        | N::NetworkSplit
        | N::DeepReorg
        | N::QuorumAtRisk => Level::L2,
        N::NodeOffline | N::NodeStalled | N::NodeLagging | N::NodeWrongChain | N::NodeForked if core => Level::L2,
        N::BlocksSlow
        | N::ConsensusStruggling
        | N::TransactionBacklog
        | N::EmptyBlocks
        | N::NodeOffline
        | N::NodeStalled
        | N::NodeLagging
        | N::NodeWrongChain
        | N::NodeForked
        | N::NodeLowPeers
        | N::NodeSlow
        | N::NodeErrors
        | N::NodeClockSkew
        | N::RuleFailing => Level::L3,
        N::UnusualTraffic
        | N::PlannedHalt
        | N::MonitorClockJump
        | N::NodeSyncing
        | N::NodeRateLimited
        | N::NodeUnauthorized
        | N::HeightRegression => Level::L4,
        // A rule of the user's own says itself how loud it is.
        N::Custom(_) | N::Watchdog => Level::None,
    }
}

/// Finality this many times its limit behind is critical.
const FINALITY_LOST: u32 = 3;

/// Blocks that have been rare for this many times the limit, and transactions that have waited so, are an error. Where
/// blocks are so rare that a longer time is needed to count them, that alone is no reason to be louder.
pub const TROUBLE_LASTS: u32 = 15;

/// How loud this finding is, when the alert is at `level` by its name: what is far beyond its limit is louder.
#[must_use]
pub fn escalated(finding: &Finding, level: Level, limits: &NetworkLimits) -> Level {
    use Finding as F;
    let (far, louder) = match finding {
        F::FinalityBehind { lag, limit, .. } => (limit.saturating_mul(FINALITY_LOST) < *lag, Level::L1),
        F::Reorganised { depth, limit, .. } => (limit.saturating_mul(reorg::SEVERE) <= *depth, Level::L1),
        F::BranchesGrow { lasting, .. } => (split::LONG_SPLIT <= *lasting, Level::L1),
        F::BlocksRare { lasting, limit, .. } => {
            (limit < lasting && limits.slow_after.saturating_mul(TROUBLE_LASTS) <= *lasting, Level::L2)
        }
        F::Backlog { oldest, limit, .. } => (limit.saturating_mul(TROUBLE_LASTS) <= *oldest, Level::L2),
        _ => (false, level),
    };
    if far { level.min(louder) } else { level }
}

/// In this time an alert begins and ends at most once. Whoever waits for a halt to end must hear of it at once, and of
/// the next one too; and what mutes others for a whole network must not go on doing so when it is over.
#[must_use]
pub fn flap_window(name: AlertName, limits: &NetworkLimits) -> Duration {
    use AlertName as N;
    match name {
        N::NetworkHalted | N::NetworkUnreachable | N::PlannedHalt | N::MonitorIsolated | N::Watchdog => Duration::ZERO,
        _ => limits.flap_window,
    }
}

/// How long an alert waits and holds; `sustained` is the node's own limit where the alert has one.
///
/// Rules whose finding already contains a time (a node is offline only after `offline_after`) wait no longer. The
/// others wait for the answer of at least a second poll.
#[must_use]
pub fn policy(name: AlertName, sustained: Duration) -> Policy {
    use AlertName as N;
    let seconds = Duration::from_secs;
    let (wait, hold) = match name {
        N::NetworkHalted | N::PlannedHalt | N::Custom(_) | N::Watchdog => (seconds(0), seconds(0)),
        N::MonitorIsolated => (seconds(0), seconds(15)),
        N::NetworkUnreachable => (seconds(0), seconds(20)),
        N::NodeOffline | N::NodeForked | N::QuorumAtRisk => (seconds(0), seconds(30)),
        N::NodeStalled | N::NodeLagging | N::NodeUnauthorized => (seconds(30), seconds(30)),
        N::NodeWrongChain => (seconds(10), seconds(30)),
        N::NodeSyncing | N::NodeClockSkew => (seconds(60), seconds(60)),
        N::NodeLowPeers | N::NodeSlow => (sustained, seconds(60)),
        N::FinalityStalled | N::NetworkSplit | N::NodeErrors | N::RuleFailing => (seconds(0), seconds(60)),
        N::NodeRateLimited => (seconds(60), seconds(120)),
        N::DeepReorg | N::DoubleSign | N::MonitorClockJump | N::HeightRegression => (seconds(0), seconds(300)),
        N::BlocksSlow | N::ConsensusStruggling | N::TransactionBacklog | N::EmptyBlocks | N::UnusualTraffic => {
            (seconds(0), seconds(120))
        }
    };
    Policy { wait, hold }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BlockHash;

    #[test]
    fn what_is_far_beyond_its_limit_is_louder() {
        let (limits, seconds) = (NetworkLimits::default(), Duration::from_secs);
        let finality = |lag| Finding::FinalityBehind {
            finalized: Height(1),
            tip: Height(2),
            lag: seconds(lag),
            limit: seconds(120),
        };
        let reorg = |depth| Finding::Reorganised { from: Height(500), depth, at_most: None, limit: 10, nodes: 3 };
        let split = |lasting| Finding::BranchesGrow {
            height: Height(9),
            larger: 3,
            smaller: 2,
            length: 7,
            lasting: seconds(lasting),
        };
        let rare =
            |lasting| Finding::BlocksRare { blocks: 1, expected: 9, lasting: seconds(lasting), limit: seconds(120) };
        let few_due = Finding::BlocksRare { blocks: 9, expected: 44, lasting: seconds(26_400), limit: seconds(26_400) };
        let backlog = |oldest| Finding::Backlog { pending: 9, oldest: seconds(oldest), limit: seconds(300) };
        let forked = Finding::HashDiffers { height: Height(1), wanted: BlockHash([1; 32]), said: BlockHash([2; 32]) };
        for (name, finding, wanted) in [
            (AlertName::FinalityStalled, finality(360), Level::L2),
            (AlertName::FinalityStalled, finality(361), Level::L1),
            (AlertName::DeepReorg, reorg(99), Level::L2),
            (AlertName::DeepReorg, reorg(100), Level::L1),
            (AlertName::NetworkSplit, split(599), Level::L2),
            (AlertName::NetworkSplit, split(600), Level::L1),
            (AlertName::BlocksSlow, rare(1799), Level::L3),
            (AlertName::BlocksSlow, rare(1800), Level::L2),
            (AlertName::BlocksSlow, few_due, Level::L3),
            (AlertName::TransactionBacklog, backlog(4499), Level::L3),
            (AlertName::TransactionBacklog, backlog(4500), Level::L2),
            (AlertName::NodeForked, forked, Level::L3),
        ] {
            assert_eq!(escalated(&finding, level(name, false), &limits), wanted, "{finding:?}");
        }
    }
}
