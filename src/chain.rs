//! Talks to nodes: one poller per node asks on its own beat and hands an observation to the queue. Adapters (one file
//! per family) only say what to ask and what the answers mean; they never do I/O and never judge.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use crate::{
    clock::Clock,
    model::{CanaryIndex, Endpoint, NodeIndex},
    observation::Observation,
    supervisor::{PanicCounter, Supervisor},
};

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
}

/// What the pollers need to know; validated by `config`.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The nodes, parallel to `engine::Settings::nodes`.
    pub nodes: Vec<NodeTarget>,
    /// The canaries, parallel to `engine::Settings::canaries`.
    pub canaries: Vec<CanaryTarget>,
}

/// One node to poll.
#[derive(Debug, Clone)]
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

/// One canary to probe: a TCP connection that opens is an answer.
#[derive(Debug, Clone)]
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

/// Starts one poller per node and one prober per canary. They stop with the supervisor.
pub fn spawn(
    _supervisor: &mut Supervisor,
    _settings: &Settings,
    _clock: Clock,
    _observations: &mpsc::Sender<Observation>,
    _panics: &PanicCounter,
) {
}
