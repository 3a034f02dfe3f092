//! Who mutes whom. One incident is one page: what follows from a louder alert is shown, but not announced.

use super::{
    network::Network,
    node::Node,
    rule,
    settings::{NetworkSettings, Settings},
    snapshot::{AlertKey, Subject},
};
use crate::model::{
    AlertName::{self, self as N},
    NetworkIndex, NodeIndex,
};

/// The deepest chain of `depends_on` that is followed; beyond it, or in a circle, nothing is muted.
const DEPTH: usize = 8;

/// The alert about a network that mutes this network's own alerts: a halt of a network it depends on.
#[must_use]
pub fn of_network(settings: &Settings, networks: &[Network], network: NetworkIndex) -> Option<AlertKey> {
    let mut level = settings.networks[network.index()].depends_on.clone();
    for _ in 0..DEPTH {
        if let Some(parent) = level.iter().copied().find(|parent| networks.get(parent.index()).is_some_and(halted)) {
            return Some(halt_of(parent));
        }
        level =
            level.iter().filter_map(|p| settings.networks.get(p.index())).flat_map(|p| p.depends_on.clone()).collect();
        level.sort_unstable();
        level.dedup();
    }
    None
}

/// How many networks stand above each of `networks` in its longest chain of `depends_on`, as deep as it is followed.
#[must_use]
pub fn ranks(networks: &[NetworkSettings]) -> Vec<usize> {
    let mut ranks = vec![0; networks.len()];
    for _ in 0..DEPTH {
        for (network, settings) in networks.iter().enumerate() {
            let above = settings.depends_on.iter().filter_map(|parent| ranks.get(parent.index())).max();
            ranks[network] = above.map_or(0, |above: &usize| DEPTH.min(above + 1));
        }
    }
    ranks
}

/// The alert that mutes a network's `NetworkUnreachable`, or what follows from its halt: its own halt, else what mutes
/// the network.
#[must_use]
pub fn by_halt(network: &Network, index: NetworkIndex, of_network: Option<AlertKey>) -> Option<AlertKey> {
    if halted(network) { Some(halt_of(index)) } else { of_network }
}

/// What mutes a node's alert.
#[must_use]
pub fn of_node(
    name: AlertName,
    (index, node): (NodeIndex, &Node),
    (network_index, network): (NetworkIndex, &Network),
    by_halt: Option<AlertKey>,
) -> Option<AlertKey> {
    let own = |name| AlertKey { name, subject: Subject::Node(index) };
    let unreachable = network
        .lives
        .fires(rule::UNREACHABLE)
        .then_some(AlertKey { name: AlertName::NetworkUnreachable, subject: Subject::Network(network_index) });
    let offline = || node.lives.fires(rule::OFFLINE).then(|| own(AlertName::NodeOffline));
    let wrong = || node.lives.fires(rule::WRONG_CHAIN).then(|| own(AlertName::NodeWrongChain));
    // While two branches stand side by side nobody knows yet who has strayed, nor whether it will be a split.
    let split = network
        .split
        .is_some()
        .then_some(AlertKey { name: AlertName::NetworkSplit, subject: Subject::Network(network_index) });
    match name {
        N::NodeOffline => by_halt.or(unreachable),
        N::NodeStalled | N::NodeLagging | N::NodeForked => {
            by_halt.or(unreachable).or(split).or_else(offline).or_else(wrong)
        }
        N::NodeLowPeers | N::NodeSyncing => by_halt.or(unreachable).or_else(offline).or_else(wrong),
        N::NodeSlow | N::NodeErrors => by_halt.or(unreachable).or_else(offline),
        N::HeightRegression => by_halt.or(split).or_else(offline).or_else(wrong),
        _ => offline(),
    }
}

fn halted(network: &Network) -> bool {
    network.lives.fires(rule::HALTED)
}

fn halt_of(network: NetworkIndex) -> AlertKey {
    AlertKey { name: AlertName::NetworkHalted, subject: Subject::Network(network) }
}
