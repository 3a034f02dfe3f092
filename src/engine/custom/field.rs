//! The facts that rules of users may ask about: a closed vocabulary with kinds, documented in `docs/custom-rules.md`.
//! Each is read from the same views as metrics, API and page, so that a rule cannot see anything else than they show.

use std::{sync::Arc, time::Duration};

use super::expression::{Kind, Value};
use crate::{
    engine::{
        settings::{NetworkSettings, NodeSettings},
        snapshot::{NetworkPhase, NetworkView, NodeView},
    },
    model::{Labels, NodeState, Now, Role, Timestamp, alert::Scope},
    observation::{ErrorKind, Facts},
};

/// One subject as the snapshot shows it.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Now.
    pub now: Now,
    /// The network's settings.
    pub network: &'a NetworkSettings,
    /// What is known of the network.
    pub view: &'a NetworkView,
    /// The nodes of the network, counted once for all rules.
    pub tally: Tally,
    /// The node, where the rule is about nodes.
    pub node: Option<(&'a NodeSettings, &'a NodeView)>,
}

/// How many nodes a network has, and in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    nodes: usize,
    live: usize,
    offline: usize,
}

impl Tally {
    /// Counts the nodes in these states.
    #[must_use]
    pub fn of(states: impl Iterator<Item = NodeState>) -> Self {
        states.fold(Self::default(), |tally, state| Self {
            nodes: tally.nodes + 1,
            live: tally.live + usize::from(state == NodeState::Live),
            offline: tally.offline + usize::from(state == NodeState::Offline),
        })
    }
}

macro_rules! facts {
    ($($(#[doc = $doc:literal])+ $name:ident = $path:literal, $kind:ident, $of:ident;)*) => {
        /// Every fact with a name of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fact { $($(#[doc = $doc])+ $name,)* }

        impl Fact {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// How it is written: `node.lag_blocks`.
            #[must_use]
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// The kind of its value.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            /// What it says, in one sentence.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            fn value(self, scene: &Scene<'_>) -> Option<Value> {
                match self { $(Self::$name => $of(self, scene),)* }
            }
        }
    };
}

facts! {
    /// Name of the node.
    NodeName = "node.name", Text, of_node;
    /// What the node is for: `validator`, `rpc` and so on.
    NodeRole = "node.role", Text, of_node;
    /// Whether its loss can halt the network.
    NodeCore = "node.core", Flag, of_node;
    /// Its weight among the core nodes.
    NodeWeight = "node.weight", Number, of_node;
    /// Its state: `live`, `lagging` and so on; `unknown` is a state too.
    NodeState = "node.state", Text, of_node;
    /// For how long it has been in that state.
    NodeStateSeconds = "node.state_seconds", Number, of_node;
    /// Whether its last poll was good.
    NodeUp = "node.up", Flag, of_node;
    /// How its last poll failed (`timeout`, `refused` and so on); empty if it did not.
    NodeError = "node.error", Text, of_node;
    /// How long ago its last good answer came.
    NodeSecondsSinceSuccess = "node.seconds_since_success", Number, of_node;
    /// Its clock minus ours.
    NodeClockSkewSeconds = "node.clock_skew_seconds", Number, of_node;
    /// How far it is behind the tip of its network.
    NodeLagBlocks = "node.lag_blocks", Number, of_node;
    /// Reorganisations seen on it since the monitor started.
    NodeReorgs = "node.reorgs", Number, of_node;
    /// Height of its newest block.
    NodeHeight = "node.height", Number, of_facts;
    /// How old its newest block is, by the block's own timestamp; never below 0.
    NodeHeadAgeSeconds = "node.head_age_seconds", Number, of_facts;
    /// Height of the newest block it calls safe.
    NodeSafeHeight = "node.safe_height", Number, of_facts;
    /// Height of the newest block it calls final.
    NodeFinalizedHeight = "node.finalized_height", Number, of_facts;
    /// Its connected peers.
    NodePeers = "node.peers", Number, of_facts;
    /// Transactions that wait for a block.
    NodePending = "node.pending", Number, of_facts;
    /// Consensus round of the height in progress, 0 = first.
    NodeRound = "node.round", Number, of_facts;
    /// Whether it says that it is catching up or starting.
    NodeSyncing = "node.syncing", Flag, of_facts;
    /// Weight that signed the last block or epoch, 0 to 1.
    NodeParticipation = "node.participation_ratio", Number, of_facts;
    /// Client and version, as the node tells them.
    NodeVersion = "node.version", Text, of_facts;
    /// The chain the node says it follows.
    NodeChainId = "node.chain_id", Text, of_facts;

    /// Name of the network.
    NetworkName = "network.name", Text, of_network;
    /// Family of its nodes: `evm`.
    NetworkFamily = "network.family", Text, of_network;
    /// When blocks are due: `interval`, `on_demand` and so on.
    NetworkCadence = "network.cadence", Text, of_network;
    /// What it is doing: `live`, `idle`, `halted`, `unreachable`, `unknown`.
    NetworkPhase = "network.phase", Text, of_network;
    /// The corroborated tip.
    NetworkTip = "network.tip", Number, of_network;
    /// How long ago the tip last rose.
    NetworkSecondsSinceBlock = "network.seconds_since_block", Number, of_network;
    /// Highest final height, at most the tip.
    NetworkFinalized = "network.finalized", Number, of_network;
    /// How many blocks the final height is behind the tip.
    NetworkFinalityLagBlocks = "network.finality_lag_blocks", Number, of_network;
    /// The block time in use, declared or learned.
    NetworkBlockTimeSeconds = "network.block_time_seconds", Number, of_network;
    /// The gap after which blocks count as missing.
    NetworkHaltThresholdSeconds = "network.halt_threshold_seconds", Number, of_network;
    /// Gap over threshold: above 1 blocks are missing.
    NetworkHaltRatio = "network.halt_ratio", Number, of_network;
    /// Nodes whose word counts now.
    NetworkVoters = "network.voters", Number, of_network;
    /// Nodes whose word counted in the last good view.
    NetworkVotersExpected = "network.voters_expected", Number, of_network;
    /// Core weight that may still be lost; below 0 the network has lost too much.
    NetworkQuorumMargin = "network.quorum_margin", Number, of_network;
    /// Nodes of the network.
    NetworkNodes = "network.nodes", Number, of_network;
    /// Those that are live.
    NetworkNodesLive = "network.nodes_live", Number, of_network;
    /// Those that are offline.
    NetworkNodesOffline = "network.nodes_offline", Number, of_network;
}

/// Whose label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// That of the node, which has those of its network too.
    Node,
    /// That of the network.
    Network,
}

/// Something a rule can ask about its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A fact.
    Fact(Fact),
    /// A label of the configuration; empty where there is none of that name.
    Label(Holder, Arc<str>),
}

impl Field {
    /// The field that is written so, as far as its name goes: `node.labels.rack`.
    #[must_use]
    pub fn named(path: &str) -> Option<Self> {
        let label = |prefix, holder| path.strip_prefix(prefix).map(|name: &str| Self::Label(holder, Arc::from(name)));
        if let Some(label) = label("node.labels.", Holder::Node).or_else(|| label("network.labels.", Holder::Network)) {
            let is_name = !path.ends_with('.') && path.matches('.').count() == 2;
            return is_name.then_some(label);
        }
        Fact::ALL.iter().find(|fact| fact.path() == path).map(|fact| Self::Fact(*fact))
    }

    /// How it is written.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Fact(fact) => fact.path().to_owned(),
            Self::Label(Holder::Node, name) => format!("node.labels.{name}"),
            Self::Label(Holder::Network, name) => format!("network.labels.{name}"),
        }
    }

    /// The kind of its value.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if let Self::Fact(fact) = self { fact.kind() } else { Kind::Text }
    }

    /// Whether it can be asked of a subject of this scope.
    #[must_use]
    pub fn fits(&self, scope: Scope) -> bool {
        let about_nodes = match self {
            Self::Fact(fact) => fact.path().starts_with("node."),
            Self::Label(holder, _) => *holder == Holder::Node,
        };
        scope == Scope::Node || !about_nodes
    }

    /// Whether it changes by the mere passing of time.
    #[must_use]
    pub fn ticks(&self) -> bool {
        use Fact as F;
        matches!(
            self,
            Self::Fact(
                F::NodeStateSeconds
                    | F::NodeSecondsSinceSuccess
                    | F::NodeHeadAgeSeconds
                    | F::NetworkSecondsSinceBlock
                    | F::NetworkHaltRatio
            )
        )
    }

    /// The only texts it can have, if they are known.
    #[must_use]
    pub fn words(&self) -> Option<Vec<&'static str>> {
        let Self::Fact(fact) = self else { return None };
        Some(match fact {
            Fact::NodeRole => Role::ALL.map(Role::as_str).to_vec(),
            Fact::NodeState => NodeState::ALL.iter().map(|state| state.as_str()).collect(),
            Fact::NodeError => ErrorKind::ALL.iter().map(|kind| kind.as_str()).chain([""]).collect(),
            Fact::NetworkPhase => NetworkPhase::ALL.map(NetworkPhase::as_str).to_vec(),
            Fact::NetworkCadence => vec!["interval", "slots", "poisson", "idle_max", "on_demand"],
            _ => return None,
        })
    }

    /// Its value; `None` if it is not known.
    #[must_use]
    pub fn value(&self, scene: &Scene<'_>) -> Option<Value> {
        match self {
            Self::Fact(fact) => fact.value(scene),
            Self::Label(Holder::Network, name) => Some(label(&scene.network.labels, name)),
            Self::Label(Holder::Node, name) => scene.node.map(|(settings, _)| label(&settings.labels, name)),
        }
    }
}

fn label(labels: &Labels, name: &str) -> Value {
    let value = labels.iter().find(|(given, _)| &**given == name).map(|(_, value)| Arc::clone(value));
    Value::Text(value.unwrap_or_default())
}

fn of_node(fact: Fact, scene: &Scene<'_>) -> Option<Value> {
    let (settings, view) = scene.node?;
    Some(match fact {
        Fact::NodeName => Value::Text(Arc::clone(&settings.name)),
        Fact::NodeRole => text(settings.role.as_str()),
        Fact::NodeCore => Value::Flag(settings.core),
        Fact::NodeWeight => whole(settings.weight),
        Fact::NodeState => text(view.state.as_str()),
        Fact::NodeStateSeconds => since(scene.now, view.state_since?),
        Fact::NodeUp => Value::Flag(view.up?),
        Fact::NodeError => {
            view.last_poll?;
            text(view.error.as_ref().map_or("", |(kind, _)| kind.as_str()))
        }
        Fact::NodeSecondsSinceSuccess => since(scene.now, view.last_success?),
        Fact::NodeClockSkewSeconds => thousandths(view.clock_skew_ms?),
        Fact::NodeLagBlocks => whole(view.lag_blocks?),
        Fact::NodeReorgs => whole(view.reorgs),
        _ => return None,
    })
}

fn of_facts(fact: Fact, scene: &Scene<'_>) -> Option<Value> {
    let facts: &Facts = scene.node?.1.facts.as_deref()?;
    Some(match fact {
        Fact::NodeHeight => whole(facts.head.height.0),
        Fact::NodeHeadAgeSeconds => seconds(scene.now.wall.since(facts.head.time?)),
        Fact::NodeSafeHeight => whole(facts.safe?.0),
        Fact::NodeFinalizedHeight => whole(facts.finality.height()?.0),
        Fact::NodePeers => whole(facts.peers?),
        Fact::NodePending => whole(facts.pending?),
        Fact::NodeRound => whole(facts.round?),
        Fact::NodeSyncing => Value::Flag(facts.syncing.is_under_way()?),
        Fact::NodeParticipation => thousandths(i64::from(facts.participation?)),
        Fact::NodeVersion => Value::Text(Arc::clone(facts.version.as_ref()?)),
        Fact::NodeChainId => Value::Text(Arc::clone(facts.chain_id.as_ref()?)),
        _ => return None,
    })
}

fn of_network(fact: Fact, scene: &Scene<'_>) -> Option<Value> {
    let (settings, view) = (scene.network, scene.view);
    Some(match fact {
        Fact::NetworkName => Value::Text(Arc::clone(&settings.name)),
        Fact::NetworkFamily => Value::Text(Arc::clone(&settings.family)),
        Fact::NetworkCadence => text(settings.cadence.as_str()),
        Fact::NetworkPhase => text(view.phase.as_str()),
        Fact::NetworkTip => whole(view.tip?.height.0),
        Fact::NetworkSecondsSinceBlock => since(scene.now, view.progress_at?),
        Fact::NetworkFinalized => whole(view.finalized?.0),
        Fact::NetworkFinalityLagBlocks => whole(view.tip?.height.above(view.finalized?)),
        Fact::NetworkBlockTimeSeconds => seconds(view.block_time?.value),
        Fact::NetworkHaltThresholdSeconds => seconds(view.halt_threshold?),
        Fact::NetworkHaltRatio => Value::Real(view.halt_ratio?),
        Fact::NetworkVoters => count(view.voters),
        Fact::NetworkVotersExpected => count(view.voters_expected),
        Fact::NetworkQuorumMargin => Value::Whole(view.quorum_margin?.into()),
        Fact::NetworkNodes => count(scene.tally.nodes),
        Fact::NetworkNodesLive => count(scene.tally.live),
        Fact::NetworkNodesOffline => count(scene.tally.offline),
        _ => return None,
    })
}

fn text(word: &str) -> Value {
    Value::Text(Arc::from(word))
}

fn whole(number: u64) -> Value {
    Value::Whole(number.into())
}

fn count(number: usize) -> Value {
    whole(u64::try_from(number).unwrap_or(u64::MAX))
}

fn since(now: Now, at: Timestamp) -> Value {
    seconds(now.at.since(at))
}

fn seconds(duration: Duration) -> Value {
    Value::Real(duration.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "thousandths this large mean nothing to the last digit")]
fn thousandths(number: i64) -> Value {
    Value::Real(number as f64 / 1000.0)
}
