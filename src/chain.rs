//! Talks to nodes: one poller per node asks on its own beat and hands an observation to the queue. Adapters (one file
//! per family) only say what to ask and what the answers mean; they never do I/O and never judge.

mod adapter;
mod beat;
mod canary;
mod evm;
mod gate;
mod poller;
pub mod probe;
mod pulse;
mod quantity;
mod reply;
mod rpc;
mod subscription;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::mpsc;

pub use self::canary::reaches;
use self::{
    adapter::Adapter,
    gate::Gate,
    poller::{Poller, Wiring},
    pulse::Pulse,
    subscription::Subscription,
};
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

/// A node that limits or refuses us may be left alone for this long.
pub const LONGEST_REST: Duration = Duration::from_secs(11 * 60);

/// Starts one poller per node, one subscription per node that has a WebSocket, and one prober per canary. They stop with
/// the supervisor.
pub fn spawn(
    supervisor: &mut Supervisor,
    settings: &Settings,
    clock: Clock,
    observations: &mpsc::Sender<Observation>,
    panics: &PanicCounter,
) {
    let gates = gates(&settings.nodes);
    gate::publish(&gates);
    for (position, target) in settings.nodes.iter().enumerate() {
        let wiring = Wiring {
            clock,
            observations: observations.clone(),
            shutdown: supervisor.shutdown(),
            gate: gates.get(&host(target)).cloned(),
            pulse: Pulse::default(),
            share: share(position, settings.nodes.len()),
        };
        if let Some(ws) = &target.ws {
            let subscription = Subscription::new(ws.clone(), target, wiring.pulse.clone());
            let shutdown = supervisor.shutdown();
            supervisor.spawn("subscription", panics.clone(), move || subscription.clone().run(shutdown.clone()));
        }
        let target = target.clone();
        supervisor.spawn("poller", panics.clone(), move || Poller::new(&target, wiring.clone()).run());
    }
    for target in &settings.canaries {
        let (target, observations, shutdown) = (target.clone(), observations.clone(), supervisor.shutdown());
        supervisor.spawn("canary", panics.clone(), move || {
            canary::run(target.clone(), clock, observations.clone(), shutdown.clone())
        });
    }
}

/// One gate a host, as strict as the strictest of the nodes behind it wants.
fn gates(nodes: &[NodeTarget]) -> HashMap<String, Arc<Gate>> {
    let mut rates: HashMap<String, f64> = HashMap::new();
    for node in nodes {
        if let Some(rate) = node.requests_per_second {
            rates.entry(host(node)).and_modify(|strictest| *strictest = strictest.min(rate)).or_insert(rate);
        }
    }
    rates.into_iter().filter_map(|(host, rate)| Some((host, Arc::new(Gate::new(rate)?)))).collect()
}

fn host(node: &NodeTarget) -> String {
    node.rpc.host().to_lowercase()
}

/// Where in the interval the node at `position` of `count` is polled: evenly spread, each a little off its place, so
/// that several monitors of the same nodes do not step on each other.
#[expect(clippy::cast_precision_loss, reason = "there are fewer nodes than an f64 can count")]
fn share(position: usize, count: usize) -> f64 {
    (position as f64 + fastrand::f64()) / count.max(1) as f64
}
