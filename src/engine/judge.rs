//! Judges one network: its view, the states of its nodes, the rules, who mutes whom, and the lives of its alerts.

use super::{
    alert::{Setting, Verdict, live},
    clock,
    finding::Finding,
    inhibit,
    network::{Network, Recovery},
    node::Node,
    resume::{self, patience},
    rule::{self, NetworkCase, NodeCase},
    settings::{NetworkLimits, Settings},
    snapshot::{AlertKey, Effect, Subject},
    state::{Distance, state},
    surroundings::Outlook,
    timer::Timer,
};
use crate::model::{AlertName, Level, NetworkIndex, NodeIndex, NodeState};

/// Everything a judgement reads and writes.
pub struct Bench<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// All networks.
    pub networks: &'a mut [Network],
    /// All nodes.
    pub nodes: &'a mut [Node],
    /// Whether what we hear can be trusted.
    pub outlook: Outlook,
    /// Now; collects when to look again.
    pub timer: &'a Timer,
    /// What changed.
    pub effects: &'a mut Vec<Effect>,
}

impl Bench<'_> {
    /// Judges a network and all its nodes. While we may be cut off nothing is judged: the clocks stand still.
    pub fn judge(&mut self, index: NetworkIndex) {
        let now = self.timer.now().at;
        if self.outlook == Outlook::Open {
            let network = &mut self.networks[index.index()];
            network.view(&self.settings.networks[index.index()], &self.settings.nodes, self.nodes, self.timer);
            self.settle_states(index);
            let own = &self.settings.networks[index.index()];
            self.networks[index.index()].try_halt(own, &self.settings.nodes, self.nodes, self.timer);
            self.judge_network(index);
            self.judge_nodes(index);
        } else {
            self.networks[index.index()].blind(now);
            if let Outlook::CutOff { .. } = self.outlook {
                self.forget_states(index);
            }
        }
    }

    fn settle_states(&mut self, index: NetworkIndex) {
        let network = &self.networks[index.index()];
        let block_time = network.progress.block_time(&self.settings.networks[index.index()]);
        for i in network.members.iter().copied() {
            let (node, settings) = (&mut self.nodes[i], &self.settings.nodes[i]);
            let distance = Distance::of(node, settings, network.tip.borne_out(), block_time, self.timer.now().at);
            node.behind =
                distance.is_behind(node.behind) && (node.behind || !network.falls(node, distance.limit, block_time));
            let state = state(node, settings, &distance, self.timer);
            enter(node, i, state, self.timer, self.effects);
        }
    }

    fn forget_states(&mut self, index: NetworkIndex) {
        for i in self.networks[index.index()].members.iter().copied() {
            enter(&mut self.nodes[i], i, NodeState::Unknown, self.timer, self.effects);
        }
    }

    fn judge_network(&mut self, index: NetworkIndex) {
        let settings = &self.settings.networks[index.index()];
        let above = inhibit::of_network(self.settings, self.networks, index, self.timer);
        let finality = inhibit::of_finality(self.settings, self.networks, index);
        let verdicts = {
            let network = &self.networks[index.index()];
            let nodes: Vec<_> = network.members.iter().map(|i| (&self.settings.nodes[*i], &self.nodes[*i])).collect();
            let case = NetworkCase { settings, network, nodes: &nodes, timer: self.timer };
            let heard = |position| network.lives.on_trial(position);
            let patience = |(position, name)| heard(position).then(|| patience::of_network(name, &case));
            let mut names = (0..).zip(rule::NETWORK_RULES.map(|rule| rule.name));
            rule::NETWORK_RULES.map(|rule| ((rule.judge)(&case), names.next().and_then(patience)))
        };
        for ((position, rule), (verdict, patience)) in (0..).zip(&rule::NETWORK_RULES).zip(verdicts) {
            let network = &mut self.networks[index.index()];
            let verdict = resume::tried(network.lives.at(position).as_deref_mut(), verdict, patience, self.timer);
            let finality = finality.filter(|_| rule.name == AlertName::FinalityStalled);
            let muter = inhibit::of_own(rule.name, network, index, above.or(finality));
            let key = AlertKey { name: rule.name, subject: Subject::Network(index) };
            let policy = rule::policy(rule.name, std::time::Duration::ZERO);
            let level = loudness(rule.name, false, &verdict, &settings.limits);
            let flap_window = rule::flap_window(rule.name, &settings.limits);
            let setting = Setting { key, level, policy, flap_window, muter };
            network.note(position, &verdict);
            let began = live(network.lives.at(position), verdict, &setting, self.timer, self.effects);
            network.count(began, setting.level);
        }
    }

    fn judge_nodes(&mut self, index: NetworkIndex) {
        let above = inhibit::of_network(self.settings, self.networks, index, self.timer);
        let by_halt = inhibit::by_halt(&self.networks[index.index()], index, above);
        let clocks_ms = clock::consensus(self.skews(index));
        for member in 0..self.networks[index.index()].members.len() {
            self.judge_node(index, self.networks[index.index()].members[member], by_halt, clocks_ms);
        }
    }

    /// How far the clock of each node that answers is ahead of ours, in milliseconds.
    fn skews(&self, index: NetworkIndex) -> Vec<i64> {
        let members = self.networks[index.index()].members.iter().map(|i| &self.nodes[*i]);
        members.filter(|node| node.streak.is_none()).filter_map(|node| Some(node.skew?.ms)).collect()
    }

    fn judge_node(&mut self, index: NetworkIndex, i: usize, by_halt: Option<AlertKey>, clocks_ms: i64) {
        let Ok(number) = u32::try_from(i).map(NodeIndex) else { return };
        let settings = &self.settings.nodes[i];
        let limits = &self.settings.networks[index.index()].limits;
        let network = &mut self.networks[index.index()];
        let tip = network.tip.borne_out();
        let block_time = network.progress.block_time(&self.settings.networks[index.index()]);
        for (position, rule) in rule::NODE_RULES.iter().enumerate() {
            let node = &self.nodes[i];
            let case = NodeCase { settings, node, tip, block_time, clocks_ms, timer: self.timer };
            let verdict = (rule.judge)(&case);
            if !matches!(verdict, Verdict::Holds(_)) && !node.lives.lives(position) {
                continue;
            }
            let own = &self.settings.networks[index.index()];
            let patience = node.lives.on_trial(position).then(|| patience::of_node(rule.name, &case, network, own));
            let life = self.nodes[i].lives.at(position).as_deref_mut();
            let verdict = resume::tried(life, verdict, patience, self.timer);
            let node = &self.nodes[i];
            let setting = Setting {
                key: AlertKey { name: rule.name, subject: Subject::Node(number) },
                level: loudness(rule.name, settings.core, &verdict, limits),
                policy: rule::policy(rule.name, settings.limits.sustained),
                flap_window: rule::flap_window(rule.name, limits),
                muter: inhibit::of_node(rule.name, (number, node), (index, network), by_halt),
            };
            let began = live(self.nodes[i].lives.at(position), verdict, &setting, self.timer, self.effects);
            network.count(began, setting.level);
        }
    }
}

/// How loud an alert is for what its rule says.
fn loudness(name: AlertName, core: bool, verdict: &Verdict, limits: &NetworkLimits) -> Level {
    let level = rule::level(name, core);
    if let Verdict::Holds(finding) = verdict { rule::escalated(finding, level, limits) } else { level }
}

fn enter(node: &mut Node, i: usize, to: NodeState, timer: &Timer, effects: &mut Vec<Effect>) {
    if let Some(from) = node.enter(to, timer.now().at) {
        let error = node.error.as_ref().map(|(kind, _)| *kind);
        let node = NodeIndex(u32::try_from(i).unwrap_or(u32::MAX));
        effects.push(Effect::NodeState { node, from, to, error });
    }
}

impl Network {
    /// Counts an alert that began.
    pub fn count(&mut self, began: bool, level: Level) {
        if let Some(position) = Level::ALL.iter().position(|l| *l == level) {
            self.incidents[position] += u64::from(began);
        }
    }

    /// A halt for lack of blocks is over only after some blocks.
    fn note(&mut self, position: usize, verdict: &Verdict) {
        if position != rule::HALTED {
            return;
        }
        match verdict {
            Verdict::Holds(Finding::BlocksMissing { .. }) => self.recovery = Some(Recovery::default()),
            Verdict::Clear => self.recovery = None,
            _ => {}
        }
    }
}

/// The alert of the dead man's switch.
pub const WATCHDOG: AlertKey = AlertKey { name: AlertName::Watchdog, subject: Subject::Monitor };

/// The alert that says that our wall clock was set.
pub const CLOCK_JUMP: AlertKey = AlertKey { name: AlertName::MonitorClockJump, subject: Subject::Monitor };
