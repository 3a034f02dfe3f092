//! Talks to nodes: one poller per node asks on its own beat and hands an observation to the queue. Adapters (one file
//! per family) only say what to ask and what the answers mean; they never do I/O and never judge.

pub mod adapter;
mod beacon;
mod beat;
mod bitcoin;
mod canary;
mod cometbft;
mod cookie;
mod evm;
pub mod family;
mod fisco_bcos;
mod fisco_bcos_2;
mod fisco_bcos_3;
mod fleet;
mod gate;
pub mod generic;
mod ladder;
mod memory;
mod monero;
mod op_node;
mod permission;
mod poller;
pub mod probe;
mod pulse;
mod quantity;
#[doc(hidden)]
pub mod rehearsal;
mod reply;
mod rpc;
mod subscription;
mod substrate;

use std::{sync::Arc, time::Duration};

pub use self::{
    canary::reaches,
    family::{Family, Particulars, Profile},
    fleet::{Fleet, Plan},
    gate::Gates,
    permission::{Permission, Purpose, permissions},
};
use crate::model::{CanaryIndex, Endpoint, NodeIndex};

/// What the pollers need to know; validated by `config`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The nodes, parallel to `engine::Settings::nodes`.
    pub nodes: Vec<NodeTarget>,
    /// The canaries, parallel to `engine::Settings::canaries`.
    pub canaries: Vec<CanaryTarget>,
}

/// One node to poll.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeTarget {
    /// Its position.
    pub node: NodeIndex,
    /// `network/node`, for the log.
    pub name: Arc<str>,
    /// How to talk to it.
    pub family: Family,
    /// What else is to be known to talk to it.
    pub particulars: Particulars,
    /// Where it answers requests (`http`, `https`).
    pub rpc: Endpoint,
    /// Where it pushes new heads (`ws`, `wss`), if anywhere.
    pub ws: Option<Endpoint>,
    /// Time between two polls.
    pub interval: Duration,
    /// Deadline of a whole poll, connecting included.
    pub timeout: Duration,
    /// Largest answer in bytes.
    pub body_limit: usize,
    /// Requests per second to the host of this endpoint, shared with every node on that host; `None` = unlimited.
    pub requests_per_second: Option<f64>,
    /// Declared block time of the network, which tells how long a subscription may be silent.
    pub block_time: Option<Duration>,
}

impl NodeTarget {
    /// What it is known by over reloads.
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Whether a poller of `before` can go on as the poller of this: everything it was made from is the same. Its place
    /// is not its business, and the rate limit is that of its host.
    fn continues(&self, before: &Self) -> bool {
        let Self {
            node: _,
            name,
            family,
            particulars,
            rpc,
            ws,
            interval,
            timeout,
            body_limit,
            requests_per_second: _,
            block_time,
        } = self;
        (name, family, rpc, ws) == (&before.name, &before.family, &before.rpc, &before.ws)
            && *particulars == before.particulars
            && (interval, timeout, body_limit) == (&before.interval, &before.timeout, &before.body_limit)
            && *block_time == before.block_time
    }
}

/// One canary to probe: a TCP connection that opens is an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct CanaryTarget {
    /// Its position.
    pub canary: CanaryIndex,
    /// Host name or address.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
    /// Time between two probes.
    pub interval: Duration,
    /// Deadline of a probe.
    pub timeout: Duration,
}

impl CanaryTarget {
    /// What it is known by over reloads.
    fn name(&self) -> (Arc<str>, u16) {
        (Arc::clone(&self.host), self.port)
    }

    /// Whether a prober of `before` can go on as the prober of this, whatever its place.
    fn continues(&self, before: &Self) -> bool {
        let Self { canary: _, host, port, interval, timeout } = self;
        (host, port, interval, timeout) == (&before.host, &before.port, &before.interval, &before.timeout)
    }
}

/// A node that limits or refuses us may be left alone for this long.
pub const LONGEST_REST: Duration = Duration::from_secs(11 * 60);
