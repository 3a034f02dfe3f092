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

/// The alert about another network that mutes what may follow from it here: a halt of a network it depends on.
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

/// What mutes an alert about a network. `above` mutes all that may follow from a halt of a network it depends on.
#[must_use]
pub fn of_own(name: AlertName, network: &Network, index: NetworkIndex, above: Option<AlertKey>) -> Option<AlertKey> {
    let firing = firing_of(network, index);
    let halted = || firing(rule::HALTED).or(above);
    match name {
        N::NetworkHalted => above,
        N::NetworkUnreachable => halted(),
        N::QuorumAtRisk => halted().or_else(|| firing(rule::UNREACHABLE)),
        N::FinalityStalled
        | N::BlocksSlow
        | N::ConsensusStruggling
        | N::TransactionBacklog
        | N::EmptyBlocks
        | N::UnusualTraffic => halted().or_else(|| firing(rule::UNREACHABLE)).or_else(|| firing(rule::PLANNED)),
        // What has happened on the chain follows from no halt, and what was announced is not trouble.
        _ => None,
    }
}

/// What mutes the alerts of a network's nodes that follow from its halt: the halt, else what mutes the network.
#[must_use]
pub fn by_halt(network: &Network, index: NetworkIndex, above: Option<AlertKey>) -> Option<AlertKey> {
    firing_of(network, index)(rule::HALTED).or(above)
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
    let firing = firing_of(network, network_index);
    let offline = || node.lives.fires(rule::OFFLINE).then(|| own(N::NodeOffline));
    let wrong = || node.lives.fires(rule::WRONG_CHAIN).then(|| own(N::NodeWrongChain));
    let lost = || by_halt.or_else(|| firing(rule::UNREACHABLE));
    let planned = || firing(rule::PLANNED);
    match name {
        N::NodeOffline => lost().or_else(planned),
        N::NodeForked => lost().or_else(|| firing(rule::SPLIT)).or_else(offline).or_else(wrong),
        N::NodeStalled | N::NodeLagging | N::NodeLowPeers | N::NodeSyncing => {
            lost().or_else(planned).or_else(offline).or_else(wrong)
        }
        N::NodeSlow | N::NodeErrors => lost().or_else(planned).or_else(offline),
        N::HeightRegression => by_halt.or_else(offline).or_else(wrong),
        _ => offline(),
    }
}

/// The identity of the alert about a network at a rule's position, if it fires.
fn firing_of(network: &Network, index: NetworkIndex) -> impl Fn(usize) -> Option<AlertKey> {
    let lives = &network.lives;
    move |position| {
        let key = AlertKey { name: rule::NETWORK_RULES[position].name, subject: Subject::Network(index) };
        lives.fires(position).then_some(key)
    }
}

fn halted(network: &Network) -> bool {
    network.lives.fires(rule::HALTED)
}

fn halt_of(network: NetworkIndex) -> AlertKey {
    AlertKey { name: AlertName::NetworkHalted, subject: Subject::Network(network) }
}
