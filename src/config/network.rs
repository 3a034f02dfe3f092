//! `[[network]]` and `[[network.node]]`: what is watched.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use super::{
    credentials,
    depends::{self, Wish},
    discovery::Discovery,
    kind::{self, chain_id, count, duration, flag, hash, list, metrics_url, name, url, word},
    labels::labels,
    limits::{Defaults, NodeKeys},
    section::{Item, Section},
    unique::{Unique, identity},
};
use crate::{
    chain::{self, Family, NodeTarget},
    engine::settings::{Cadence, FaultTolerance, NetworkLimits, NetworkSettings, NodeSettings, Settings},
    model::{Endpoint, Labels, NetworkIndex, NodeIndex, Role},
};

/// Networks of one monitor.
const MAX_NETWORKS: usize = 10_000;

/// Nodes of one monitor.
pub(super) const MAX_NODES: usize = 100_000;

/// Networks that one network depends on.
const MAX_DEPENDENCIES: usize = 64;

/// Largest weight of a node: all of them together still fit 64 bits.
pub(super) const MAX_WEIGHT: u64 = 1_000_000_000;

/// Mean time between two blocks.
const BLOCK_TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

const NO_NETWORK: (&str, &str) = ("there is no network to watch", "add [[network]] with at least one [[network.node]]");
const NO_NODE: (&str, &str) = ("the network has no node", "add [[network.node]] with name and url below it");

const CADENCES: &[Cadence] = &[Cadence::Interval, Cadence::OnDemand];
const TOLERANCES: &[FaultTolerance] = &[FaultTolerance::Bft, FaultTolerance::Majority, FaultTolerance::AllButOne];

/// Reads every network into the settings of engine and pollers, and what nodes that are found inherit. Where nodes can
/// be found, a network need not have any of its own.
pub(super) fn read_all(
    root: &mut Section<'_>,
    defaults: &Defaults,
    engine: &mut Settings,
    chain: &mut chain::Settings,
    discovery: &mut Discovery,
) {
    let sections = root.sections("network", "network", NO_NETWORK);
    if let Some(first) = sections.get(MAX_NETWORKS) {
        return first.lacks(format!("{} networks are too many", sections.len()), "at most 10,000 for one haltwatch");
    }
    let mut names = Unique::new("this name", "names of networks are unique");
    let mut config = Parts { engine, chain, discovery };
    let wishes: Vec<_> =
        sections.into_iter().map(|section| read_network(section, defaults, &mut names, &mut config)).collect();
    for (network, depends_on) in engine.networks.iter_mut().zip(depends::resolve(&wishes)) {
        network.depends_on = depends_on;
    }
}

/// What is filled network by network.
struct Parts<'p> {
    engine: &'p mut Settings,
    chain: &'p mut chain::Settings,
    discovery: &'p mut Discovery,
}

/// Reads a network with its nodes and says on which others it depends.
fn read_network<'a>(
    mut section: Section<'a>,
    defaults: &Defaults,
    names: &mut Unique,
    config: &mut Parts<'_>,
) -> Wish<'a> {
    let Parts { engine, chain, discovery } = config;
    let item = section.required_item("name");
    let name = item.as_ref().and_then(|item| unique_name(item, names)).unwrap_or_default();
    let family = section.required("family", word("family", &Family::ALL, Family::as_str)).unwrap_or(Family::Evm);
    let on = section.optional("depends_on", list(kind::name, 0..=MAX_DEPENDENCIES)).unwrap_or_default();
    let defaults = defaults.overlaid(&mut section);
    let network = read_settings(&mut section, Arc::clone(&name), family, defaults.network);
    let index = NetworkIndex(position(engine.networks.len()));
    let mut parent = Parent::new(index, family, &network, &defaults.node);
    let nodes = if discovery.sources.is_empty() {
        section.sections("node", "network.node", NO_NODE)
    } else {
        section.any_sections("node", "network.node")
    };
    let count = engine.nodes.len() + nodes.len();
    if count <= MAX_NODES {
        for node in nodes {
            parent.read_node(node, engine, chain);
        }
    } else {
        section.lacks(format!("{count} nodes are too many"), "at most 100,000 for one haltwatch");
    }
    section.finish();
    if !discovery.sources.is_empty() {
        discovery.inherited.push(defaults.node);
    }
    engine.networks.push(network);
    Wish { name, item, on }
}

/// What the engine is told about a network; on which others it depends comes later.
fn read_settings(section: &mut Section<'_>, name: Arc<str>, family: Family, limits: NetworkLimits) -> NetworkSettings {
    let cadence = section.optional("cadence", word("cadence", CADENCES, Cadence::as_str));
    let tolerance = section.optional("tolerance", word("tolerance", TOLERANCES, FaultTolerance::as_str));
    NetworkSettings {
        name,
        family: Arc::from(family.as_str()),
        chain_id: section.optional("chain_id", chain_id),
        genesis: section.optional("genesis", hash),
        cadence: cadence.unwrap_or(Cadence::Interval),
        block_time: section.optional("block_time", duration(BLOCK_TIMES)),
        tolerance: tolerance.unwrap_or(FaultTolerance::Bft),
        limits,
        labels: section.optional("labels", labels(&Labels::new())).unwrap_or_default(),
        depends_on: Vec::new(),
    }
}

/// What the nodes of a network share.
struct Parent<'p> {
    index: NetworkIndex,
    family: Family,
    network: &'p NetworkSettings,
    keys: &'p NodeKeys,
    names: Unique,
    urls: Unique,
}

impl<'p> Parent<'p> {
    fn new(index: NetworkIndex, family: Family, network: &'p NetworkSettings, keys: &'p NodeKeys) -> Self {
        let names = Unique::new("this name", "names of nodes are unique within their network");
        let urls = Unique::new("this URL", "the same node twice would have two votes");
        Self { index, family, network, keys, names, urls }
    }

    /// Reads a node and appends it to the settings. One without a usable URL is left out; that has been noted.
    fn read_node(&mut self, mut section: Section<'_>, engine: &mut Settings, chain: &mut chain::Settings) {
        let node = self.read_settings(&mut section);
        let node_keys = self.keys.overlaid(&mut section);
        let rpc = section.required("url", |item| self.unique_url(item));
        let ws = section.optional("ws", url("ws, wss"));
        let headers = credentials::read(&mut section, "network.node.basic_auth");
        section.finish();
        let Some(rpc) = rpc else { return };
        let rpc = rpc.with_headers(headers.clone());
        let ws = ws.map(|ws| ws.with_headers(headers));
        chain.nodes.push(target(engine.nodes.len(), self.network, &node.name, &node_keys, (self.family, rpc, ws)));
        let NodeKeys { interval, timeout, limits, .. } = node_keys;
        engine.nodes.push(NodeSettings { interval, timeout, limits, ..node });
    }

    fn unique_url(&mut self, item: &Item<'_>) -> Option<Endpoint> {
        let endpoint = url("http, https")(item)?;
        self.urls.check(item, &identity(&endpoint));
        Some(endpoint)
    }

    /// What the engine is told about a node, with the inherited timing and limits.
    fn read_settings(&mut self, section: &mut Section<'_>) -> NodeSettings {
        let name = section.required("name", |item| unique_name(item, &mut self.names)).unwrap_or_default();
        let role = section.optional("role", word("role", &Role::ALL, Role::as_str)).unwrap_or(Role::Rpc);
        let inherited = &self.network.labels;
        NodeSettings {
            name,
            network: self.index,
            role,
            core: section.optional("core", flag).unwrap_or(role.is_core()),
            weight: section.optional("weight", count(1..=MAX_WEIGHT)).unwrap_or(1),
            labels: section.optional("labels", labels(inherited)).unwrap_or_else(|| inherited.clone()),
            metrics: section.optional("metrics", metrics_url),
            interval: self.keys.interval,
            timeout: self.keys.timeout,
            limits: self.keys.limits,
        }
    }
}

/// What the pollers are told about the node at `place`: how and where it answers, with its own keys.
pub(super) fn target(
    place: usize,
    network: &NetworkSettings,
    name: &str,
    keys: &NodeKeys,
    (family, rpc, ws): (Family, Endpoint, Option<Endpoint>),
) -> NodeTarget {
    NodeTarget {
        node: NodeIndex(position(place)),
        name: Arc::from(format!("{}/{name}", network.name)),
        family,
        rpc,
        ws,
        interval: keys.interval,
        timeout: keys.timeout,
        body_limit: keys.body_limit,
        requests_per_second: keys.requests_per_second,
        block_time: network.block_time,
    }
}

fn unique_name(item: &Item<'_>, names: &mut Unique) -> Option<Arc<str>> {
    let name = name(item)?;
    names.check(&item.harmless(), &name);
    Some(name)
}

/// A count as a position; both are bounded far below the end of its range.
pub(super) fn position(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
