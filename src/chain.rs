//! Talks to nodes: one poller per node asks on its own beat and hands an observation to the queue. Adapters (one file
//! per family) only say what to ask and what the answers mean; they never do I/O and never judge.

mod adapter;
mod beat;
mod canary;
mod evm;
mod fleet;
mod gate;
mod ladder;
mod poller;
pub mod probe;
mod pulse;
mod quantity;
mod reply;
mod rpc;
mod subscription;

use std::{sync::Arc, time::Duration};

use self::adapter::Adapter;
pub use self::{
    canary::reaches,
    fleet::{Fleet, Plan},
    gate::Gates,
};
use crate::model::{CanaryIndex, Endpoint, NodeIndex};

/// How to talk to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Ethereum execution clients and everything that speaks their JSON-RPC.
    Evm,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 1] = [Self::Evm];

    /// The word used in configuration and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evm => "evm",
        }
    }

    /// The family of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.as_str() == name)
    }

    /// An adapter that knows nothing of its node yet.
    fn adapter(self) -> Box<dyn Adapter> {
        match self {
            Self::Evm => Box::<evm::Evm>::default(),
        }
    }
}

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
        let Self { node: _, name, family, rpc, ws, interval, timeout, body_limit, requests_per_second: _, block_time } =
            self;
        (name, family, rpc, ws) == (&before.name, &before.family, &before.rpc, &before.ws)
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
