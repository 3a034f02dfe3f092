//! Who mutes whom. One incident is one page: what follows from a louder alert is shown, but not announced.

use super::{
    network::Network,
    node::Node,
    rule,
    settings::{NetworkSettings, Settings},
    snapshot::{AlertKey, Subject},
    timer::Timer,
};
use crate::model::{
    AlertName::{self, self as N},
    NetworkIndex, NodeIndex, Timestamp,
};

/// The deepest chain of `depends_on` that is followed; beyond it, or in a circle, nothing is muted.
const DEPTH: usize = 8;

/// The alert about another network that mutes what may follow from it here: why a network it depends on stands still.
#[must_use]
pub fn of_network(settings: &Settings, networks: &[Network], network: NetworkIndex, timer: &Timer) -> Option<AlertKey> {
    let child = networks.get(network.index())?;
    let standstill = |parent: &NetworkIndex| {
        let (above, its) = (networks.get(parent.index())?, settings.networks.get(parent.index())?);
        let planned = || rests(above, its, child, timer).then_some(about(N::PlannedHalt, *parent));
        if halted(above) { Some(about(N::NetworkHalted, *parent)) } else { planned() }
    };
    find_above(settings, network, standstill)
}

/// The alert about another network that mutes what may follow here from its having no finality: what is final on the relay
/// chain or the L1 decides what is final on a parachain or an L2.
#[must_use]
pub fn of_finality(settings: &Settings, networks: &[Network], network: NetworkIndex) -> Option<AlertKey> {
    find_above(settings, network, |parent| firing_of(networks.get(parent.index())?, *parent)(rule::FINALITY))
}

/// What is found of the networks on which one depends, the nearest first.
fn find_above(
    settings: &Settings,
    network: NetworkIndex,
    look: impl Fn(&NetworkIndex) -> Option<AlertKey>,
) -> Option<AlertKey> {
    let mut level = settings.networks[network.index()].depends_on.clone();
    for _ in 0..DEPTH {
        if level.is_empty() {
            break;
        }
        let found = level.iter().find_map(&look);
        if found.is_some() {
            return found;
        }
        level =
            level.iter().filter_map(|p| settings.networks.get(p.index())).flat_map(|p| p.depends_on.clone()).collect();
        level.sort_unstable();
        level.dedup();
    }
    None
}

/// Whether a network stands still as announced, and has since its child's last block: at most the block that was under
/// way came later. When its window has closed that holds until its own halt is due.
fn rests(network: &Network, settings: &NetworkSettings, child: &Network, timer: &Timer) -> bool {
    let (Some(at), Some(last)) = (network.progress.at, child.progress.at) else { return false };
    let overrun = |closed: Timestamp| closed.after(network.progress.threshold(settings));
    let overruns = network.plans.closed.filter(|closed| at < *closed).map(overrun);
    let planned = network.plans.open.is_some() || overruns.is_some_and(|due| !timer.passed(due));
    planned && at <= last.after(network.progress.block_time(settings).unwrap_or_default())
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
        // Every node may be restarted at once when an upgrade was announced.
        N::NetworkUnreachable => halted().or_else(|| firing(rule::PLANNED)),
        N::QuorumAtRisk
        | N::FinalityStalled
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
    let stalled = || node.lives.fires(rule::STALLED).then(|| own(N::NodeStalled));
    let lost = || by_halt.or_else(|| firing(rule::UNREACHABLE));
    let planned = || firing(rule::PLANNED);
    // While two branches stand side by side nobody knows yet who has strayed, nor whether it will be a split.
    let split = || {
        let split = AlertKey { name: N::NetworkSplit, subject: Subject::Network(network_index) };
        (network.split.is_some() || network.lives.on_trial(rule::SPLIT)).then_some(split)
    };
    match name {
        N::NodeOffline => lost().or_else(planned),
        N::NodeForked => lost().or_else(split).or_else(offline).or_else(wrong),
        N::NodeStalled => lost().or_else(planned).or_else(split).or_else(offline).or_else(wrong),
        // Who has stood still trails until it has caught up: the same trouble, not another.
        N::NodeLagging => lost().or_else(planned).or_else(split).or_else(offline).or_else(wrong).or_else(stalled),
        N::NodeSyncing => lost().or_else(planned).or_else(offline).or_else(wrong).or_else(stalled),
        N::NodeLowPeers => lost().or_else(planned).or_else(offline).or_else(wrong),
        N::NodeSlow | N::NodeErrors => lost().or_else(planned).or_else(offline),
        N::HeightRegression => by_halt.or_else(split).or_else(offline).or_else(wrong),
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

fn about(name: AlertName, network: NetworkIndex) -> AlertKey {
    AlertKey { name, subject: Subject::Network(network) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{
            alert::{Policy, Setting, Verdict, live},
            finding::Finding,
        },
        model::{Level, Now},
    };

    const INDEX: NetworkIndex = NetworkIndex(0);

    /// A network about which only the alert at this position fires.
    fn network(position: usize) -> Network {
        let mut network = Network::default();
        let key = AlertKey { name: rule::NETWORK_RULES[position].name, subject: Subject::Network(INDEX) };
        let zero = std::time::Duration::ZERO;
        let policy = Policy { wait: zero, hold: zero };
        let setting = Setting { key, level: Level::L1, policy, flap_window: zero, muter: None };
        let holds = Verdict::Holds(Finding::Alive);
        live(network.lives.at(position), holds, &setting, &Timer::new(Now::default()), &mut Vec::new());
        network
    }

    fn muted_by(position: usize) -> Vec<AlertName> {
        let (network, node) = (network(position), Node::default());
        let by_halt = by_halt(&network, INDEX, None);
        let muted = |name: &AlertName| {
            if name.scope() == N::NetworkHalted.scope() {
                return of_own(*name, &network, INDEX, None).is_some();
            }
            let about_node = name.scope() == N::NodeOffline.scope();
            about_node && of_node(*name, (NodeIndex(0), &node), (INDEX, &network), by_halt).is_some()
        };
        AlertName::ALL.iter().copied().filter(muted).collect()
    }

    #[test]
    fn a_halt_mutes_what_follows_from_it_and_no_more() {
        let follows = [
            N::NetworkUnreachable,
            N::FinalityStalled,
            N::QuorumAtRisk,
            N::BlocksSlow,
            N::ConsensusStruggling,
            N::TransactionBacklog,
            N::EmptyBlocks,
            N::UnusualTraffic,
            N::NodeOffline,
            N::NodeStalled,
            N::NodeLagging,
            N::NodeSyncing,
            N::NodeForked,
            N::NodeLowPeers,
            N::NodeSlow,
            N::NodeErrors,
            N::HeightRegression,
        ];
        let mut muted = muted_by(rule::HALTED);
        assert!(!muted.contains(&N::DoubleSign) && !muted.contains(&N::NodeWrongChain));
        muted.sort_unstable();
        let mut wanted = follows.to_vec();
        wanted.sort_unstable();
        assert_eq!(muted, wanted);
    }

    #[test]
    fn an_announced_halt_mutes_what_an_upgrade_does_and_does_not_hide_a_real_halt() {
        let planned = muted_by(rule::PLANNED);
        let follows = [N::NetworkUnreachable, N::BlocksSlow, N::QuorumAtRisk, N::NodeOffline];
        assert!(follows.iter().all(|name| planned.contains(name)));
        for loud in [N::NetworkHalted, N::NetworkSplit, N::NodeForked] {
            assert!(!planned.contains(&loud), "{loud:?}");
        }
        let unseen = muted_by(rule::UNREACHABLE);
        assert!(unseen.contains(&N::NodeOffline) && unseen.contains(&N::QuorumAtRisk));
        assert!(!unseen.contains(&N::NetworkHalted));
    }

    #[test]
    fn a_parents_halt_mutes_a_halt_and_its_consequences_but_not_what_has_happened_on_the_chain() {
        let above = Some(about(N::NetworkHalted, NetworkIndex(7)));
        let mutes = |name| of_own(name, &Network::default(), INDEX, above).is_some();
        assert!(mutes(N::NetworkHalted) && mutes(N::BlocksSlow) && mutes(N::FinalityStalled));
        assert!(!mutes(N::DeepReorg) && !mutes(N::DoubleSign) && !mutes(N::NetworkSplit) && !mutes(N::PlannedHalt));
    }
}
