//! Networks of nodes as haltwatch is configured to watch them, and what polls of healthy ones observe.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use haltwatch::{
    chain,
    engine::settings::{Cadence, FaultTolerance, NetworkLimits, NetworkSettings, NodeLimits, NodeSettings, Settings},
    model::{
        BlockHash, Endpoint, Height, Labels, NetworkIndex, NodeIndex, Now, Role, Timestamp, UnixTime, VantageIndex,
    },
    observation::{Facts, Finality, Head, NodeObservation, Observation, Syncing},
};

use crate::server::BLOCK_SECONDS;

/// Time between two polls of a node.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Deadline of a poll.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer of a node.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// A limit that is checked on every poll and never reached.
const REQUESTS_PER_SECOND: f64 = 1_000_000.0;

/// Nodes of each network that vote in consensus.
const VALIDATORS: usize = 4;

/// Wall time at which observed fleets begin: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600_000;

/// A number of equal networks.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// How many networks.
    pub networks: usize,
    /// How many nodes each has.
    pub nodes_each: usize,
}

impl Fleet {
    /// `nodes` nodes in networks of a hundred, the last of which may be smaller.
    pub fn in_hundreds(nodes: usize) -> Self {
        Self { networks: nodes.div_ceil(100), nodes_each: nodes.min(100) }
    }

    /// All nodes in one network.
    pub fn in_one_network(nodes: usize) -> Self {
        Self { networks: 1, nodes_each: nodes }
    }

    /// Nodes of all networks.
    pub fn nodes(self) -> usize {
        self.networks * self.nodes_each
    }

    /// What the engine is told about the fleet.
    pub fn engine_settings(self) -> Arc<Settings> {
        let networks = (0..self.networks).map(network).collect();
        let nodes = (0..self.nodes()).map(|index| self.node(index)).collect();
        Arc::new(Settings {
            monitor: "bench".into(),
            networks,
            nodes,
            vantages: Vec::new(),
            canaries: Vec::new(),
            isolated_after: Duration::from_secs(60),
            ..Settings::default()
        })
    }

    /// What the pollers are told about the fleet, whose nodes all answer on `port`.
    pub fn chain_settings(self, port: u16) -> anyhow::Result<chain::Settings> {
        let nodes = (0..self.nodes()).map(|index| self.target(index, port)).collect::<anyhow::Result<_>>()?;
        Ok(chain::Settings { nodes, canaries: Vec::new() })
    }

    fn node(self, index: usize) -> NodeSettings {
        let within = index % self.nodes_each;
        NodeSettings {
            name: format!("node-{within:05}").into(),
            network: NetworkIndex(position(index / self.nodes_each)),
            role: if within < VALIDATORS { Role::Validator } else { Role::Rpc },
            core: within < VALIDATORS,
            weight: 1,
            labels: labels(),
            metrics: None,
            interval: INTERVAL,
            timeout: TIMEOUT,
            limits: NodeLimits { min_peers: Some(1), ..NodeLimits::default() },
        }
    }

    fn target(self, index: usize, port: u16) -> anyhow::Result<chain::NodeTarget> {
        let url = format!("http://127.0.0.1:{port}/n/{index}");
        Ok(chain::NodeTarget {
            node: NodeIndex(position(index)),
            name: format!("network-{:03}/node-{:05}", index / self.nodes_each, index % self.nodes_each).into(),
            particulars: chain::Particulars::default(),
            family: chain::Family::Evm,
            rpc: Endpoint::parse(&url, "http, https").context("the URL is well formed")?,
            ws: None,
            interval: INTERVAL,
            timeout: TIMEOUT,
            body_limit: BODY_LIMIT,
            requests_per_second: Some(REQUESTS_PER_SECOND),
            block_time: Some(Duration::from_secs(BLOCK_SECONDS)),
        })
    }

    /// One good poll of every node in the second `round`, one after the other over that second.
    pub fn round(self, round: u64) -> Vec<Observation> {
        let start = at_round(round);
        let spread = 1000.0 / self.nodes() as f64;
        (0..self.nodes())
            .map(|index| {
                #[expect(clippy::cast_possible_truncation, reason = "below a thousand")]
                let at = Timestamp(start.at.0 + (index as f64 * spread) as i64);
                Observation::Node(NodeObservation {
                    node: NodeIndex(position(index)),
                    vantage: VantageIndex::default(),
                    at,
                    elapsed: Duration::from_micros(800 + index as u64 % 400),
                    outcome: Ok(Arc::new(facts(start.wall_at(at)))),
                })
            })
            .collect()
    }
}

/// Both clocks at the beginning of the second `round`.
pub fn at_round(round: u64) -> Now {
    let elapsed = i64::try_from(round).unwrap_or(i64::MAX).saturating_mul(1000);
    Now { at: Timestamp(elapsed), wall: UnixTime::from_millis(BEGINNING + elapsed) }
}

/// When `observation` was made.
pub fn time_of(observation: &Observation) -> Now {
    let at = match observation {
        Observation::Node(poll) => poll.at,
        Observation::Canary(probe) => probe.at,
        Observation::Notice(_) => Timestamp(0),
    };
    Now { at, wall: at_round(0).wall_at(at) }
}

fn network(index: usize) -> NetworkSettings {
    NetworkSettings {
        name: format!("network-{index:03}").into(),
        family: "evm".into(),
        chain_id: Some("1".into()),
        genesis: None,
        cadence: Cadence::Interval,
        block_time: Some(Duration::from_secs(BLOCK_SECONDS)),
        tolerance: FaultTolerance::Bft,
        core_total: None,
        finality_lag: None,
        planned: Vec::new(),
        limits: NetworkLimits::default(),
        labels: labels(),
        depends_on: Vec::new(),
    }
}

fn labels() -> Labels {
    vec![("region".into(), "eu-west-1".into())]
}

/// What a healthy node says at the wall time `now`.
fn facts(now: UnixTime) -> Facts {
    let height = now.millis().unsigned_abs() / 1000 / BLOCK_SECONDS;
    let mut facts = Facts::at_height(Height(height));
    facts.chain_id = Some("1".into());
    facts.version = Some("Geth/v1.17.5-stable-9d3d0a1c/linux-amd64/go1.25.4".into());
    facts.head = Head {
        height: Height(height),
        hash: Some(hash(height)),
        parent: Some(hash(height - 1)),
        time: UnixTime::from_seconds(height * BLOCK_SECONDS),
        transactions: Some(150),
    };
    facts.safe = Some(Height(height - 32));
    facts.finality = Finality::Known { height: Height(height - 64), hash: None, time: None };
    facts.syncing = Syncing::No;
    facts.peers = Some(50);
    facts.pending = Some(60);
    facts.clock = Some(now);
    facts
}

fn hash(height: u64) -> BlockHash {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&height.to_be_bytes());
    BlockHash(bytes)
}

fn position(index: usize) -> u32 {
    u32::try_from(index).expect("a fleet has fewer than four billion nodes")
}
