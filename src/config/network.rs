//! `[[network]]` and `[[network.node]]`: what is watched.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use super::{
    cadence,
    code::Code,
    credentials,
    depends::{self, Wish},
    discovery::Discovery,
    kind::{self, chain_id, count, duration, flag, hash, list, metrics_url, name, secret_url, word},
    labels::labels,
    limits::{Defaults, NodeDefaults, NodeKeys, PERIODS},
    planned::{self, PlannedSite},
    section::{Item, Section},
    survey::{NetworkSite, NodeSite, Paces},
    trust,
    unique::{Unique, identity},
    variant,
};
use crate::{
    chain::{self, Family, NodeTarget, Particulars, Profile},
    engine::{
        forecast,
        settings::{Cadence, FaultTolerance, NetworkLimits, NetworkSettings, NodeSettings, Settings},
    },
    model::{Endpoint, Labels, NetworkIndex, NodeIndex, PlannedHalt, Role},
};

/// Networks of one monitor.
const MAX_NETWORKS: usize = 10_000;

/// Nodes of one monitor.
pub(super) const MAX_NODES: usize = 100_000;

/// Networks that one network depends on.
const MAX_DEPENDENCIES: usize = 64;

/// Largest weight of a node: all of them together still fit 64 bits.
pub(super) const MAX_WEIGHT: u64 = 1_000_000_000;

/// Weight of all core nodes of a network: as much as can be watched.
const TOTALS: RangeInclusive<u64> = 1..=MAX_WEIGHT * MAX_NODES as u64;

/// Mean time between two blocks.
const BLOCK_TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

const NO_NETWORK: (&str, &str) = ("there is no network to watch", "add [[network]] with at least one [[network.node]]");
const NO_NODE: (&str, &str) = ("the network has no node", "add [[network.node]] with name and url below it");

const TOLERANCES: &[FaultTolerance] =
    &[FaultTolerance::Bft, FaultTolerance::TwoThirds, FaultTolerance::Majority, FaultTolerance::AllButOne];

/// Reads every network into the settings of engine and pollers, and what nodes that are found inherit. Where nodes can
/// be found, a network need not have any of its own.
pub(super) fn read_all<'a>(
    root: &mut Section<'a>,
    defaults: &Defaults<'a>,
    engine: &mut Settings,
    chain: &mut chain::Settings,
    discovery: &mut Discovery,
) -> Vec<NetworkSite<'a>> {
    let sections = root.required_sections("network", "network", NO_NETWORK);
    if let Some(first) = sections.get(MAX_NETWORKS) {
        let message = format!("{} networks are too many", sections.len());
        first.place().note(Code::OutOfRange, message, "at most 10,000 for one haltwatch");
        return Vec::new();
    }
    let mut names = Unique::new("this name", "names of networks are unique");
    let mut config = Parts { engine, chain, discovery };
    let (wishes, sites): (Vec<_>, Vec<_>) =
        sections.into_iter().map(|section| read_network(section, defaults, &mut names, &mut config)).unzip();
    for (network, depends_on) in engine.networks.iter_mut().zip(depends::resolve(&wishes)) {
        network.depends_on = depends_on;
    }
    sites
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
    defaults: &Defaults<'a>,
    names: &mut Unique,
    config: &mut Parts<'_>,
) -> (Wish<'a>, NetworkSite<'a>) {
    let Parts { engine, chain, discovery } = config;
    let item = section.required_item("name");
    let name = item.as_ref().and_then(|item| unique_name(item, names)).unwrap_or_default();
    let family = section.required("family", word("family", &Family::ALL, Family::as_str)).unwrap_or(Family::Evm);
    let on = section.optional("depends_on", list(kind::name, 0..=MAX_DEPENDENCIES)).unwrap_or_default();
    let (profile, particulars) = variant::read(&mut section, family);
    let defaults = defaults.of(profile).overlaid(&mut section);
    let (planned, planned_sites) = planned::read_all(&mut section);
    let network = read_settings(&mut section, Arc::clone(&name), profile, (defaults.network, planned));
    let index = NetworkIndex(position(engine.networks.len()));
    let language = (family, particulars);
    let mut parent = Parent::new(index, language.clone(), &network, &defaults.node);
    let nodes = if discovery.sources.is_empty() {
        section.sections("node", "network.node", NO_NODE)
    } else {
        section.any_sections("node", "network.node")
    };
    let count = engine.nodes.len() + nodes.len();
    let nodes = if count <= MAX_NODES {
        nodes.into_iter().map(|node| parent.read_node(node, engine, chain)).collect()
    } else {
        let message = format!("{count} nodes are too many");
        section.place().note(Code::OutOfRange, message, "at most 100,000 for one haltwatch");
        Vec::new()
    };
    let paces = Paces::of(profile, &language.1, defaults.node.keys.interval);
    let group = language.1.group.clone();
    let site = site(&mut section, (&network, group), &defaults, &on, (paces, planned_sites, nodes));
    section.finish();
    if !discovery.sources.is_empty() {
        discovery.inherited.push((defaults.node.keys, language));
    }
    engine.networks.push(network);
    (Wish { name, item, on }, site)
}

/// What stands below a network: what its nodes are asked, the halts that are announced, and its nodes.
type Below<'a> = (Paces, Vec<PlannedSite<'a>>, Vec<NodeSite<'a>>);

/// What is needed to judge a network: on what it depends, and its nodes.
fn site<'a>(
    section: &mut Section<'a>,
    (network, group): (&NetworkSettings, Option<Arc<str>>),
    defaults: &Defaults<'a>,
    on: &[(Arc<str>, Item<'a>)],
    (paces, planned, nodes): Below<'a>,
) -> NetworkSite<'a> {
    // What is neither declared nor follows from what is must be learned.
    let is_declared = network.block_time.is_some() || matches!(network.cadence, Cadence::IdleMax(_));
    NetworkSite {
        name: Arc::clone(&network.name),
        place: section.place(),
        group,
        limits: network.limits,
        limit_items: defaults.network_items.clone(),
        cadence: (network.cadence, section.item("cadence")),
        paces,
        threshold: is_declared.then(|| forecast::halt_after(network, None)),
        block_time: (network.block_time, section.item("block_time")),
        finality_lag: (network.finality_lag, section.item("finality_lag")),
        core_total: (network.core_total, section.item("core_total")),
        planned,
        tolerance: network.tolerance,
        loss_items: loss_items(section, network),
        is_pinned: network.chain_id.is_some() || network.genesis.is_some(),
        depends_on: on.to_vec(),
        nodes,
    }
}

/// The keys that say when the loss of core nodes is a halt, where they say anything but the default.
fn loss_items<'a>(section: &mut Section<'a>, network: &NetworkSettings) -> Vec<Item<'a>> {
    let tolerance = section.item("tolerance").filter(|_| network.tolerance != FaultTolerance::Bft);
    let usual = NetworkLimits::default().nodes_offline;
    let nodes_offline = section.item("nodes_offline").filter(|_| network.limits.nodes_offline != usual);
    tolerance.into_iter().chain(nodes_offline).chain(section.item("core_total")).collect()
}

/// What the engine is told about a network; on which others it depends comes later.
pub(super) fn read_settings(
    section: &mut Section<'_>,
    name: Arc<str>,
    profile: &Profile,
    (limits, planned): (NetworkLimits, Vec<PlannedHalt>),
) -> NetworkSettings {
    let tolerance = section.optional("tolerance", word("tolerance", TOLERANCES, FaultTolerance::as_str));
    let block_time = section.optional("block_time", duration(BLOCK_TIMES)).or(profile.block_time);
    let finality_lag = section.optional("finality_lag", duration(PERIODS));
    NetworkSettings {
        name,
        family: Arc::from(profile.family.as_str()),
        chain_id: section
            .optional("chain_id", |item| chain_id(item).filter(|id| is_reported(item, id, profile.family))),
        genesis: section.optional("genesis", hash),
        cadence: cadence::read(section, profile.cadence),
        block_time,
        tolerance: tolerance.unwrap_or(profile.tolerance),
        core_total: section.optional("core_total", count(TOTALS)),
        finality_lag: finality_lag.or_else(|| profile.finality_lag(block_time)),
        planned,
        limits,
        labels: section.optional("labels", labels(&Labels::new())).unwrap_or_default(),
        depends_on: Vec::new(),
    }
}

/// Whether nodes of the family can report such a chain id at all; if not, every node would be on a wrong chain.
fn is_reported(item: &Item<'_>, id: &str, family: Family) -> bool {
    let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
    let is_one = is_number || !matches!(family, Family::Evm | Family::Beacon);
    if !is_one {
        let message = format!("nodes of the family {} never report such a chain id", family.as_str());
        item.harmless().note_as(Code::BadValue, message, "write the number, like 1 or \"0x1\"");
    }
    is_one
}

/// How to talk to the nodes of a network.
pub(super) type Language = (Family, Particulars);

/// What the nodes of a network share.
struct Parent<'p, 'a> {
    index: NetworkIndex,
    language: Language,
    network: &'p NetworkSettings,
    defaults: &'p NodeDefaults<'a>,
    names: Unique,
    urls: Unique,
}

impl<'p, 'a> Parent<'p, 'a> {
    fn new(
        index: NetworkIndex,
        language: Language,
        network: &'p NetworkSettings,
        defaults: &'p NodeDefaults<'a>,
    ) -> Self {
        let names = Unique::new("this name", "names of nodes are unique within their network");
        let urls = Unique::new("this URL", "the same node twice would have two votes");
        Self { index, language, network, defaults, names, urls }
    }

    /// Reads a node and appends it to the settings. One without a usable URL is left out; that has been noted.
    fn read_node(
        &mut self,
        mut section: Section<'a>,
        engine: &mut Settings,
        chain: &mut chain::Settings,
    ) -> NodeSite<'a> {
        let node = self.read_settings(&mut section);
        let NodeDefaults { keys, items } = self.defaults.overlaid(&mut section);
        let url_item = section.required_item("url");
        let rpc = url_item.as_ref().and_then(|item| self.unique_url(item));
        let ws_item = section.item("ws");
        let ws = ws_item.as_ref().and_then(secret_url("ws, wss"));
        let headers = credentials::read(&mut section, "network.node.basic_auth");
        let urls: Vec<_> = [rpc.clone().zip(url_item), ws.clone().zip(ws_item)].into_iter().flatten().collect();
        let trust = trust::read(&mut section, &urls);
        credentials::warn_of_clear_text(&urls, &headers);
        let cookie = credentials::cookie_file(&mut section, &headers, &urls);
        let site = NodeSite {
            place: section.place(),
            url: urls.into_iter().next().filter(|_| rpc.is_some()),
            core: node.core,
            weight: (node.weight, section.item("weight")),
            interval: keys.interval,
            timeout: keys.timeout,
            offline: (keys.limits.offline_after, keys.limits.offline_attempts),
            timing_items: items,
        };
        section.finish();
        if let Some(rpc) = rpc {
            let rpc = rpc.with_headers(headers.clone()).with_cookie_file(cookie).with_trust(trust.clone());
            let ws = ws.map(|ws| ws.with_headers(headers).with_trust(trust));
            let addresses = (self.language.clone(), rpc, ws);
            chain.nodes.push(target(engine.nodes.len(), self.network, &node.name, &keys, addresses));
            let NodeKeys { interval, timeout, limits, .. } = keys;
            engine.nodes.push(NodeSettings { interval, timeout, limits, ..node });
        }
        site
    }

    fn unique_url(&mut self, item: &Item<'_>) -> Option<Endpoint> {
        let endpoint = secret_url("http, https")(item)?;
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
            interval: self.defaults.keys.interval,
            timeout: self.defaults.keys.timeout,
            limits: self.defaults.keys.limits,
        }
    }
}

/// What the pollers are told about the node at `place`: how and where it answers, with its own keys.
pub(super) fn target(
    place: usize,
    network: &NetworkSettings,
    name: &str,
    keys: &NodeKeys,
    ((family, particulars), rpc, ws): (Language, Endpoint, Option<Endpoint>),
) -> NodeTarget {
    NodeTarget {
        node: NodeIndex(position(place)),
        name: Arc::from(format!("{}/{name}", network.name)),
        family,
        particulars,
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
