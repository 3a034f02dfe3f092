//! What the engine needs to know before the first observation: networks, nodes, canaries and their thresholds, all
//! validated by `config`. Times are durations, positions are indices; names are unique within their scope.

use std::{ops::Range, sync::Arc, time::Duration};

use super::{custom::CustomRule, silence::Silence, snapshot::Subject};
use crate::model::{AlertName, BlockHash, Labels, MetricsUrl, NetworkIndex, PlannedHalt, Role, VantageIndex};
pub use crate::model::{Cadence, FaultTolerance};

/// Everything the engine is told. Shared read-only with every output.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Name of this monitor: the label `monitor`.
    pub monitor: Arc<str>,
    /// The networks; `NetworkIndex` points into this.
    pub networks: Vec<NetworkSettings>,
    /// The nodes of all networks; `NodeIndex` points into this. Nodes of a network stand together.
    pub nodes: Vec<NodeSettings>,
    /// From where nodes are watched; `VantageIndex` points into this. Empty means from one place, called like the monitor.
    pub vantages: Vec<Arc<str>>,
    /// The canaries; `CanaryIndex` points into this.
    pub canaries: Vec<CanarySettings>,
    /// Rules of the user's own; names are unique.
    pub rules: Vec<CustomRule>,
    /// What is not to be announced, as configured.
    pub silences: Vec<Silence>,
    /// How long canaries and nodes must be gone before the monitor calls itself isolated (default 60 s).
    pub isolated_after: Duration,
}

impl Settings {
    /// What the monitor is called in an alert about `subject`: where it watches from several places and the alert is
    /// about one of them, the name of that place.
    #[must_use]
    pub fn monitor_of(&self, subject: Subject) -> &str {
        match subject {
            Subject::Vantage(vantage) => self.vantages.get(vantage.index()).unwrap_or(&self.monitor),
            _ => &self.monitor,
        }
    }

    /// The rule of the user's own that an alert is called after, if it is.
    #[must_use]
    pub fn rule(&self, alert: AlertName) -> Option<&CustomRule> {
        let AlertName::Custom(name) = alert else { return None };
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// The positions of the nodes of each network, which stand together. Parallel to `networks`.
    #[must_use]
    pub fn nodes_by_network(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = vec![0..0; self.networks.len()];
        for (position, node) in self.nodes.iter().enumerate() {
            if let Some(range) = ranges.get_mut(node.network.index()) {
                let begin = if range.start == range.end { position } else { range.start };
                *range = begin..position + 1;
            }
        }
        ranges
    }
}

/// One network: the unit of a verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSettings {
    /// Unique name.
    pub name: Arc<str>,
    /// Family of its nodes, as in the configuration (`"evm"`).
    pub family: Arc<str>,
    /// The chain id every node must report; `None` = the majority's.
    pub chain_id: Option<Arc<str>>,
    /// The genesis hash every node must report; `None` = the majority's.
    pub genesis: Option<BlockHash>,
    /// When blocks are due.
    pub cadence: Cadence,
    /// Declared mean time between blocks; `None` = learned.
    pub block_time: Option<Duration>,
    /// How many core nodes may be lost.
    pub tolerance: FaultTolerance,
    /// Weight of all core nodes of the network, where only some of them are watched; `None` = those watched are all.
    pub core_total: Option<u64>,
    /// Normal time from a block to its finality; `None` = learned.
    pub finality_lag: Option<Duration>,
    /// Halts that are announced in the configuration.
    pub planned: Vec<PlannedHalt>,
    /// When it counts as halted or unreachable.
    pub limits: NetworkLimits,
    /// Labels on everything said about it.
    pub labels: Labels,
    /// Networks whose halt explains this one's.
    pub depends_on: Vec<NetworkIndex>,
}

/// Thresholds of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetworkLimits {
    /// Missing blocks that make a halt (default 10).
    pub missing_blocks: u32,
    /// The gap is never called a halt before this (default 30 s).
    pub halt_floor: Duration,
    /// Core nodes offline for this long, beyond the tolerance, are a halt (default 5 m).
    pub nodes_offline: Duration,
    /// No voter answers for this long: unreachable (default 60 s).
    pub unreachable_after: Duration,
    /// Normal blocks after which a halt is over (default 5).
    pub recovery_blocks: u32,
    /// Where blocks come at random: a gap that comes by chance once in this time is a halt (default ten years).
    pub horizon: Duration,
    /// Finality behind the head by this many times its normal lag is stalled (default 3) ...
    pub finality_factor: u32,
    /// ... but never before this (default 2 m).
    pub finality_floor: Duration,
    /// Two branches are a split once the shorter is so many blocks long (default 6) ...
    pub split_blocks: u32,
    /// ... and so old (default 60 s).
    pub split_after: Duration,
    /// A reorganisation deeper than this is told (default 10 blocks).
    pub reorg_depth: u32,
    /// Blocks that come at less than a third of their rate for so long are slow (default 2 m).
    pub slow_after: Duration,
    /// Transactions that wait for longer than this are a backlog (default 5 m).
    pub confirmation_limit: Duration,
    /// Only empty blocks for so long, while transactions wait, are told (default 15 m).
    pub empty_after: Duration,
    /// How long an upgrade that the chain has planned may take (default 30 m).
    pub upgrade_window: Duration,
    /// An alert about this network or its nodes begins and ends at most once in this time, unless it gets louder
    /// (default 10 m). Halts are excepted.
    pub flap_window: Duration,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            missing_blocks: 10,
            halt_floor: Duration::from_secs(30),
            nodes_offline: Duration::from_secs(300),
            unreachable_after: Duration::from_secs(60),
            recovery_blocks: 5,
            horizon: Duration::from_secs(315_576_000),
            finality_factor: 3,
            finality_floor: Duration::from_secs(120),
            split_blocks: 6,
            split_after: Duration::from_secs(60),
            reorg_depth: 10,
            slow_after: Duration::from_secs(120),
            confirmation_limit: Duration::from_secs(300),
            empty_after: Duration::from_secs(900),
            upgrade_window: Duration::from_secs(1800),
            flap_window: Duration::from_secs(600),
        }
    }
}

/// One RPC endpoint of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSettings {
    /// Name, unique within the network.
    pub name: Arc<str>,
    /// The network it belongs to.
    pub network: NetworkIndex,
    /// What it is for.
    pub role: Role,
    /// Whether its loss can halt the network.
    pub core: bool,
    /// Its weight among the core nodes.
    pub weight: u64,
    /// Labels on everything said about it (those of the network included).
    pub labels: Labels,
    /// Where it shows metrics of its own, for whoever scrapes them; we do not.
    pub metrics: Option<MetricsUrl>,
    /// Time between two polls.
    pub interval: Duration,
    /// Deadline of a whole poll.
    pub timeout: Duration,
    /// Its thresholds.
    pub limits: NodeLimits,
}

/// Thresholds of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeLimits {
    /// No good answer for this long makes it offline (default 90 s) ...
    pub offline_after: Duration,
    /// ... after at least this many failed attempts (default 3).
    pub offline_attempts: u32,
    /// Behind the tip by more than this and by more than `lag_block_times`: lagging (default 60 s).
    pub lag_seconds: Duration,
    /// The other half of the lag limit, in block times (default 10).
    pub lag_block_times: u32,
    /// Fewer peers than this is too few; `None` = not judged. `config` defaults to 1; 0 there means `None` here.
    pub min_peers: Option<u64>,
    /// A 95th percentile of the poll time above this is slow, if it is also above `slow_factor` times the node's own
    /// baseline (default 200 ms).
    pub slow_latency: Duration,
    /// See `slow_latency` (default 5).
    pub slow_factor: u32,
    /// Share of failed polls that is too high (default 0.01), with at least `error_count` failures.
    pub error_ratio: f64,
    /// See `error_ratio` (default 3).
    pub error_count: u32,
    /// How long few peers, slowness and errors must last (default 5 m).
    pub sustained: Duration,
    /// Disagreement of the node's clock with ours that is too large (default 10 s).
    pub clock_skew: Duration,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self {
            offline_after: Duration::from_secs(90),
            offline_attempts: 3,
            lag_seconds: Duration::from_secs(60),
            lag_block_times: 10,
            min_peers: None,
            slow_latency: Duration::from_millis(200),
            slow_factor: 5,
            error_ratio: 0.01,
            error_count: 3,
            sustained: Duration::from_secs(300),
            clock_skew: Duration::from_secs(10),
        }
    }
}

/// A target of the monitor's own surroundings.
#[derive(Debug, Clone, PartialEq)]
pub struct CanarySettings {
    /// Whose surroundings it belongs to.
    pub vantage: VantageIndex,
    /// What it is called in texts: `host:port`.
    pub name: Arc<str>,
    /// Time between two probes.
    pub interval: Duration,
}
