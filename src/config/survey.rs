//! What was read, with where it stands: what is needed to judge the configuration as a whole.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{place::Place, planned::PlannedSite, section::Item};
use crate::{
    chain::{Particulars, Profile, generic::spec::Fact},
    engine::settings::{Cadence, FaultTolerance, NetworkLimits},
    model::Endpoint,
};

/// The configuration as a whole.
pub(super) struct Survey<'a> {
    pub monitor: MonitorSite<'a>,
    pub web: WebSite<'a>,
    pub alertmanager: Option<AlertmanagerSite<'a>>,
    pub networks: Vec<NetworkSite<'a>>,
    /// Whether more nodes are found than stand in the file.
    pub finds_nodes: bool,
}

/// `[monitor]`.
pub(super) struct MonitorSite<'a> {
    pub place: Place<'a>,
    /// The hosts of the canaries.
    pub canaries: Vec<(String, Item<'a>)>,
}

/// `[web]`.
pub(super) struct WebSite<'a> {
    pub place: Place<'a>,
    /// Where we listen; empty if systemd does so for us.
    pub listen: Vec<SocketAddr>,
    /// Where `listen` stands, if it is given.
    pub listen_item: Option<Item<'a>>,
    pub external_url: Option<(Endpoint, Item<'a>)>,
    /// Whether readers must say who they are.
    pub guarded: bool,
}

/// `[alertmanager]`.
pub(super) struct AlertmanagerSite<'a> {
    pub peers: Vec<(Endpoint, Item<'a>)>,
    pub resend: (Duration, Option<Item<'a>>),
}

/// A `[[network]]`.
pub(super) struct NetworkSite<'a> {
    pub name: Arc<str>,
    pub place: Place<'a>,
    /// Which of the chains that its nodes serve it is.
    pub group: Option<Arc<str>>,
    pub limits: NetworkLimits,
    pub limit_items: LimitItems<'a>,
    pub cadence: (Cadence, Option<Item<'a>>),
    pub paces: Paces,
    /// The gap that is a halt, if it does not have to be learned.
    pub threshold: Option<Duration>,
    pub block_time: (Option<Duration>, Option<Item<'a>>),
    pub finality_lag: (Option<Duration>, Option<Item<'a>>),
    pub core_total: (Option<u64>, Option<Item<'a>>),
    pub planned: Vec<PlannedSite<'a>>,
    pub tolerance: FaultTolerance,
    /// Where the network itself gives `tolerance`, `nodes_offline` or `core_total` a value that is not the default.
    pub loss_items: Vec<Item<'a>>,
    pub is_pinned: bool,
    pub depends_on: Vec<(Arc<str>, Item<'a>)>,
    pub nodes: Vec<NodeSite<'a>>,
}

/// What the nodes of a network are asked, and how often.
pub(super) struct Paces {
    /// Whether they ever tell that work waits for a block, or that consensus goes on without one.
    pub tells_work: bool,
    /// Whether they tell how many validators there are.
    pub tells_validators: bool,
    /// Requests of each poll, where the configuration says what is asked.
    pub requests: usize,
}

impl Paces {
    /// Those of nodes that are polled every `interval`.
    pub fn of(profile: &Profile, particulars: &Particulars, interval: Duration) -> Self {
        let Profile { tells_work, tells_validators, .. } = *profile;
        let usual = Self { tells_work, tells_validators, requests: 1 };
        let Some(spec) = &particulars.spec else { return usual };
        let tells_work = spec.tells(Fact::Pending) || spec.tells(Fact::Heartbeat);
        Self { tells_work, requests: spec.requests(interval), ..usual }
    }
}

/// Where the limits of a network stand that are judged, inherited ones included.
#[derive(Clone, Default)]
pub(super) struct LimitItems<'a> {
    pub missing_blocks: Option<Item<'a>>,
    pub halt_floor: Option<Item<'a>>,
    pub split_blocks: Option<Item<'a>>,
    pub finality_factor: Option<Item<'a>>,
    pub reorg_depth: Option<Item<'a>>,
}

/// Where the timing of a node stands, inherited ones included.
#[derive(Clone, Default)]
pub(super) struct TimingItems<'a> {
    pub interval: Option<Item<'a>>,
    pub timeout: Option<Item<'a>>,
    pub min_peers: Option<Item<'a>>,
}

/// A `[[network.node]]`.
pub(super) struct NodeSite<'a> {
    pub place: Place<'a>,
    pub url: Option<(Endpoint, Item<'a>)>,
    pub core: bool,
    pub weight: (u64, Option<Item<'a>>),
    pub interval: Duration,
    pub timeout: Duration,
    /// When it is offline: after this long, and after so many attempts.
    pub offline: (Duration, u32),
    pub timing_items: TimingItems<'a>,
}

impl NetworkSite<'_> {
    /// The nodes whose loss counts, and their weight.
    pub(super) fn core(&self) -> (Vec<&NodeSite<'_>>, u64) {
        let core: Vec<_> = self.nodes.iter().filter(|node| node.core).collect();
        let weight = core.iter().fold(0_u64, |sum, node| sum.saturating_add(node.weight.0));
        (core, weight)
    }
}
