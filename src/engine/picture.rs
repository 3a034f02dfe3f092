//! Draws the snapshot: one immutable picture of what the engine remembers, values that are no longer fresh left out.

use std::sync::Arc;

use super::{
    Engine,
    figures::{self, Final},
    network::{Network, confirmed_by},
    node::Node,
    rule,
    settings::{Cadence, Settings},
    snapshot::{Alert, AlertKey, BlockTime, NetworkPhase, NetworkView, NodeView, Snapshot, Subject, Tip, Vote},
    surroundings::Outlook,
    timer::Timer,
};
use crate::model::{NetworkIndex, NodeIndex, NodeState, Now, Timestamp};

impl Engine {
    /// The picture at `now`, the time of the last step.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let now = self.not_before_last_step(now);
        let settings = &self.settings;
        let networks =
            self.networks.iter().enumerate().map(|(i, network)| self.network_view(i, network, now.at)).collect();
        let nodes = self.nodes.iter().enumerate().map(|(i, node)| self.node_view(i, node, now.at)).collect();
        Snapshot {
            taken: now,
            settings: Arc::clone(settings),
            networks,
            nodes,
            canaries: self.surroundings.canaries(&settings.canaries, &Timer::new(now)).collect(),
            wake_at: self.wake_at,
            isolated_since: if let Outlook::CutOff { since } = self.surroundings.outlook { Some(since) } else { None },
            alerts: self.alerts(),
        }
    }

    /// Every alert that pends or fires, ordered by identity.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.living().map(|(key, life)| life.shown(key)).collect();
        alerts.sort_by_key(|alert| alert.key);
        alerts
    }

    /// Every life with its identity.
    pub(super) fn living(&self) -> impl Iterator<Item = (AlertKey, &super::alert::Life)> {
        let key = |name, subject| AlertKey { name, subject };
        let own = self.lives.iter().map(|(i, life)| (super::MONITOR_ALERTS[i], life));
        let networks = self.networks.iter().zip(0..).flat_map(move |(network, n)| {
            let subject = Subject::Network(NetworkIndex(n));
            network.lives.iter().map(move |(i, life)| (key(rule::NETWORK_RULES[i].name, subject), life))
        });
        let nodes = self.nodes.iter().zip(0..).flat_map(move |(node, n)| {
            let subject = Subject::Node(NodeIndex(n));
            node.lives.iter().map(move |(i, life)| (key(rule::NODE_RULES[i].name, subject), life))
        });
        own.chain(networks).chain(nodes)
    }

    fn node_view(&self, i: usize, node: &Node, now: Timestamp) -> NodeView {
        let settings = &self.settings.nodes[i];
        let facts = node.shown(settings, now).cloned();
        let network = &self.networks[settings.network.index()];
        let right = node.state != NodeState::WrongChain;
        NodeView {
            state: node.state,
            state_since: node.state_since,
            last_poll: node.last_poll,
            last_success: node.good.as_ref().map(|good| good.at),
            up: node
                .last_poll
                .and_then(|_| if node.error.is_some() { Some(false) } else { facts.as_ref().map(|_| true) }),
            lag_blocks: facts
                .as_ref()
                .zip(network.tip.height())
                .filter(|_| right)
                .map(|(f, tip)| tip.above(f.head.height)),
            clock_skew_ms: facts.as_ref().and(node.skew).map(|skew| skew.ms),
            error: node.error.clone(),
            facts,
            polls: node.polls,
            poll_duration: node.poll_duration,
            reorgs: node.told.reorgs,
        }
    }

    fn network_view(&self, i: usize, network: &Network, now: Timestamp) -> NetworkView {
        let settings = &self.settings.networks[i];
        let members = || network.members.iter().map(|i| (*i, &self.nodes[*i]));
        let tip = network.tip.height().map(|height| {
            let hash = network.branches.hash_at(height);
            let heads = members().filter(|(_, node)| node.vote.is_some()).filter_map(|(_, node)| node.good.as_ref());
            let at_tip = heads.map(|good| good.facts.head).filter(|head| head.height == height);
            let agreed = at_tip.filter(|head| hash.is_none() || head.hash.is_none() || head.hash == hash);
            let time = agreed.filter_map(|head| head.time).max();
            Tip { height, hash, time, confirmed_by: confirmed_by(height, members().map(|(_, node)| node)) }
        });
        let nodes = || members().map(|(_, node)| node);
        let block_time = network.progress.block_time(settings);
        let last_final = Final::of(nodes(), tip.map(|tip| (tip.height, tip.time)), block_time);
        let threshold = network.progress.threshold(settings);
        let known = network.tip.height().is_some();
        NetworkView {
            phase: phase(network, settings.cadence, network.progress.watched(now) < threshold),
            tip,
            finalized: last_final.height,
            finality_lag: last_final.lag,
            round: figures::middle(nodes(), |facts| facts.round),
            participation: figures::middle(nodes(), |facts| facts.participation),
            progress_at: network.progress.at,
            halt_threshold: known.then_some(threshold),
            halt_ratio: known.then(|| halt_ratio(network, settings.cadence, now, threshold)),
            block_time: block_time.map(|value| BlockTime {
                value,
                samples: settings.block_time.is_none().then(|| network.progress.samples()),
            }),
            block_interval: network.block_interval,
            voters: network.voters,
            voters_expected: network.expected,
            quorum_margin: quorum_margin(&self.settings, i, members()),
            quorum_tolerated: figures::tolerated(settings, members().map(|(i, _)| &self.settings.nodes[i])),
            wake_at: network.due,
            votes: members().map(|(i, node)| self.vote(i, node, now)).collect(),
            incidents: network.incidents,
        }
    }

    fn vote(&self, i: usize, node: &Node, now: Timestamp) -> Vote {
        Vote {
            node: NodeIndex(u32::try_from(i).unwrap_or(u32::MAX)),
            counts: node.vote.is_some(),
            state: node.state,
            height: node.vote.or_else(|| Some(node.shown(&self.settings.nodes[i], now)?.head.height)),
            heard: node.good.as_ref().map(|good| good.at),
        }
    }
}

fn phase(network: &Network, cadence: Cadence, within_limit: bool) -> NetworkPhase {
    if network.lives.fires(rule::HALTED) {
        NetworkPhase::Halted
    } else if network.lives.fires(rule::UNREACHABLE) {
        NetworkPhase::Unreachable
    } else if !network.sight {
        NetworkPhase::Unknown
    } else if cadence == Cadence::OnDemand && network.work.is_none() && !within_limit {
        NetworkPhase::Idle
    } else {
        NetworkPhase::Live
    }
}

fn halt_ratio(network: &Network, cadence: Cadence, now: Timestamp, threshold: std::time::Duration) -> f64 {
    let waited = match (cadence, network.work) {
        (Cadence::OnDemand, Some(work)) => network.progress.watched(now).min(now.since(work.since)),
        (Cadence::OnDemand, None) => return 0.0,
        _ => network.progress.watched(now),
    };
    waited.as_secs_f64() / threshold.as_secs_f64().max(0.001)
}

/// Core weight that may still be lost: what the protocol tolerates minus what is lost already. A node of which nothing
/// is known is not lost.
fn quorum_margin<'a>(settings: &Settings, i: usize, members: impl Iterator<Item = (usize, &'a Node)>) -> Option<i64> {
    let core: Vec<_> = members.filter(|(n, _)| settings.nodes[*n].core).collect();
    if core.iter().all(|(_, node)| node.state == NodeState::Unknown) {
        return None;
    }
    let sum = |total: u64, (n, _): &(usize, &Node)| total.saturating_add(settings.nodes[*n].weight);
    let total = core.iter().fold(0, sum);
    let lost = core.iter().filter(|(_, node)| is_lost(node.state)).fold(0, sum);
    let tolerated = settings.networks[i].tolerance.tolerated(total);
    Some(i64::try_from(tolerated).unwrap_or(i64::MAX).saturating_sub(i64::try_from(lost).unwrap_or(i64::MAX)))
}

fn is_lost(state: NodeState) -> bool {
    use NodeState as S;
    matches!(state, S::Offline | S::Stalled | S::Forked | S::WrongChain | S::Starting | S::Syncing)
}
