//! Draws the snapshot: one immutable picture of what the engine remembers, values that are no longer fresh left out.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Engine,
    alert::Life,
    custom::FAILING,
    figures::{self, Final},
    network::{Network, confirmed_by},
    node::Node,
    quorum::Quorum,
    rule::{
        self,
        halted::{Demand, demands},
    },
    settings::{Cadence, CanarySettings, NetworkSettings},
    snapshot::{
        Alert, AlertKey, BlockTime, DUPLICATES, NetworkPhase, NetworkView, NodeView, Snapshot, Subject, Tip, VERSIONS,
        Vote,
    },
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
            canaries: self.canaries(now),
            wake_at: self.wake_at,
            isolated_since: if let Outlook::CutOff { since } = Outlook::of(&self.vantages) {
                Some(since)
            } else {
                None
            },
            alerts: self.alerts(),
            silences: Arc::clone(self.silencer.all()),
        }
    }

    fn canaries(&self, now: Now) -> Vec<Option<bool>> {
        let timer = Timer::new(now);
        let answer = |(i, canary): (usize, &CanarySettings)| {
            self.vantages.get(canary.vantage.index())?.canary(i, canary, &timer)
        };
        self.settings.canaries.iter().enumerate().map(answer).collect()
    }

    /// Every alert that pends or fires, ordered by identity.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.living().map(|(key, life)| self.shown(key, life)).collect();
        alerts.sort_by_key(|alert| alert.key);
        alerts
    }

    fn shown(&self, key: AlertKey, life: &Life) -> Alert {
        let alert = life.shown(key);
        let silenced_by = self.silencer.of(&self.settings, key, alert.level).cloned();
        Alert { silenced_by, ..alert }
    }

    /// Every life about the monitor itself.
    pub(super) fn living_monitor(&self) -> impl Iterator<Item = (AlertKey, &Life)> {
        let own = self.lives.iter().map(|(i, life)| (super::MONITOR_ALERTS[i], life));
        let vantages = self.vantages.iter().enumerate();
        let vantages = vantages.filter_map(|(v, vantage)| Some((self.isolation(v), &**vantage.life.as_ref()?)));
        own.chain(self.failing.as_ref().map(|life| (FAILING, &**life))).chain(vantages)
    }

    /// Every life with its identity.
    pub(super) fn living(&self) -> impl Iterator<Item = (AlertKey, &Life)> {
        let key = |name, subject| AlertKey { name, subject };
        let own = self.living_monitor();
        let networks = self.networks.iter().zip(0..).flat_map(move |(network, n)| {
            let subject = Subject::Network(NetworkIndex(n));
            let ours = network.lives.iter().map(|(i, life)| (rule::NETWORK_RULES[i].name, life));
            ours.chain(network.custom.iter()).map(move |(name, life)| (key(name, subject), life))
        });
        let nodes = self.nodes.iter().zip(0..).flat_map(move |(node, n)| {
            let subject = Subject::Node(NodeIndex(n));
            let ours = node.lives.iter().map(|(i, life)| (rule::NODE_RULES[i].name, life));
            ours.chain(node.custom.iter()).map(move |(name, life)| (key(name, subject), life))
        });
        own.chain(networks).chain(nodes)
    }

    pub(super) fn node_view(&self, i: usize, node: &Node, now: Timestamp) -> NodeView {
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
            decrease: node.decrease,
        }
    }

    pub(super) fn network_view(&self, i: usize, network: &Network, now: Timestamp) -> NetworkView {
        let settings = &self.settings.networks[i];
        let members = || network.members.iter().map(|i| (*i, &self.nodes[*i]));
        let tip = network.tip.height().map(|height| {
            let hash = network.ground.hash_at(height);
            let heads = members().filter(|(_, node)| node.vote.is_some()).filter_map(|(_, node)| node.good.as_ref());
            let at_tip = heads.map(|good| good.facts.head).filter(|head| head.height == height);
            let agreed = at_tip.filter(|head| hash.is_none() || head.hash.is_none() || head.hash == hash);
            let time = agreed.filter_map(|head| head.time).max();
            Tip { height, hash, time, confirmed_by: confirmed_by(height, members().map(|(_, node)| node)) }
        });
        let nodes = || members().map(|(_, node)| node);
        let block_time = network.progress.block_time(settings);
        let last_final = Final::of(nodes(), tip.map(|tip| (tip.height, tip.time)), block_time);
        let finality = &network.vitals.finality;
        let quorum = self.quorum(i, network, now);
        let threshold = network.progress.threshold(settings);
        let known = network.tip.height().is_some();
        NetworkView {
            phase: phase(network, settings.cadence, network.progress.watched(now) < threshold),
            tip,
            finalized: finality.told().map(|last| last.height),
            finality_lag: last_final.lag,
            finality_limit: finality.normal(settings).map(|_| finality.limit(settings)),
            round: figures::middle(nodes(), |facts| facts.round),
            participation: figures::middle(nodes(), |facts| facts.participation),
            progress_at: network.progress.at,
            halt_threshold: known.then_some(threshold),
            halt_ratio: known.then(|| halt_ratio(network, settings, now)),
            block_time: block_time.map(|value| BlockTime {
                value,
                samples: settings.block_time.is_none().then(|| network.progress.samples()),
            }),
            block_interval: network.block_interval,
            voters: network.voters,
            voters_expected: network.expected,
            quorum_margin: quorum.map(|quorum| quorum.margin()),
            quorum_tolerated: quorum.map(|quorum| quorum.tolerated),
            duplicates: duplicates(network),
            versions: self.versions(network, now),
            wake_at: network.due,
            votes: members().map(|(i, node)| self.vote(i, node, now)).collect(),
            incidents: network.incidents,
        }
    }

    fn versions(&self, network: &Network, now: Timestamp) -> BTreeMap<Arc<str>, usize> {
        let mut versions = BTreeMap::new();
        for i in &network.members {
            let Some(facts) = self.nodes[*i].shown(&self.settings.nodes[*i], now) else { continue };
            if let Some(version) = &facts.version
                && (versions.len() < VERSIONS || versions.contains_key(version))
            {
                *versions.entry(Arc::clone(version)).or_default() += 1;
            }
        }
        versions
    }

    fn quorum(&self, i: usize, network: &Network, now: Timestamp) -> Option<Quorum> {
        let nodes = network.members.iter().map(|i| (&self.settings.nodes[*i], &self.nodes[*i]));
        let timer = Timer::new(Now { at: now, ..Now::default() });
        Quorum::count(&self.settings.networks[i], &network.roll, nodes, &timer)
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

fn duplicates(network: &Network) -> Vec<(NodeIndex, NodeIndex)> {
    let index = |i: usize| NodeIndex(u32::try_from(i).unwrap_or(u32::MAX));
    network.duplicates.iter().take(DUPLICATES).map(|(node, speaker)| (index(*node), index(*speaker))).collect()
}

fn phase(network: &Network, cadence: Cadence, within_limit: bool) -> NetworkPhase {
    if network.lives.fires(rule::HALTED) {
        NetworkPhase::Halted
    } else if network.lives.fires(rule::UNREACHABLE) {
        NetworkPhase::Unreachable
    } else if !network.sight {
        NetworkPhase::Unknown
    } else if !within_limit
        && (network.plans.open.is_some() || (cadence == Cadence::OnDemand && network.work.is_none()))
    {
        NetworkPhase::Idle
    } else {
        NetworkPhase::Live
    }
}

/// How much of the gap that makes a halt has passed; of two reasons to expect a block the nearer. By plan nothing is
/// expected.
fn halt_ratio(network: &Network, settings: &NetworkSettings, now: Timestamp) -> f64 {
    if network.plans.open.is_some() && !network.lives.fires(rule::HALTED) {
        return 0.0;
    }
    let watched = network.progress.watched(now);
    let ratio = |demand: Demand| {
        let waited = demand.work.map_or(watched, |work| watched.min(now.since(work.since)));
        waited.as_secs_f64() / demand.threshold.as_secs_f64().max(0.001)
    };
    demands(network, settings).map(ratio).fold(0.0, f64::max)
}
