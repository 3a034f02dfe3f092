//! The pure decision engine: observations and time in, effects and a wake-up time out. No I/O, no clock, no async, no
//! log: whoever calls it owns those.
//!
//! One step folds what was observed into the memory of nodes, looks around whether we ourselves are cut off, and judges
//! every network that heard something or whose time has come. Nothing else is touched.

pub mod custom;
pub mod decrease;
pub mod finding;
pub mod forecast;
pub mod resume;
pub mod settings;
mod sight;
pub mod silence;
pub mod snapshot;

mod alert;
mod backlog;
mod branch;
mod clock;
mod consensus;
mod evidence;
mod eye;
mod figures;
mod finality;
mod identity;
mod inhibit;
mod judge;
mod network;
mod node;
mod pace;
mod picture;
mod plan;
mod progress;
mod quorum;
mod reconfigure;
mod rounds;
mod rule;
mod state;
mod surroundings;
mod timer;
mod tip;
mod traffic;
mod trail;
mod vitals;
mod window;
mod work;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

pub use self::rule::level;
use self::{
    alert::{Life, Lives, Setting, Verdict, live},
    custom::Failures,
    eye::Eye,
    finding::Finding,
    judge::{Bench, CLOCK_JUMP, WATCHDOG},
    network::Network,
    node::Node,
    settings::Settings,
    silence::Silencer,
    snapshot::{AlertKey, Effect, Outcome, Subject},
    surroundings::{Outlook, Surroundings},
    timer::{Timer, earlier},
};
use crate::{
    model::{AlertName, NetworkIndex, Now, Timestamp, VantageIndex},
    observation::{NodeObservation, Notice, Observation},
};

/// The monitor's own alerts, but those of its vantages.
const MONITOR_ALERTS: [AlertKey; 2] = [WATCHDOG, CLOCK_JUMP];

/// An alert about the monitor itself begins and ends at most once in this time, but for being cut off.
const OWN_FLAP_WINDOW: Duration = Duration::from_secs(600);

/// A step so much later than it was asked for means that nobody ran us: the machine slept or the process was stopped.
const PAUSE: Duration = Duration::from_secs(5);

/// Everything remembered between steps.
#[derive(Debug)]
pub struct Engine {
    settings: Arc<Settings>,
    nodes: Vec<Node>,
    networks: Vec<Network>,
    /// How many networks stand above each in the longest chain of `depends_on`. Parallel to `networks`.
    ranks: Vec<usize>,
    /// What surrounds each vantage: one at least.
    vantages: Vec<Surroundings>,
    lives: Lives<{ MONITOR_ALERTS.len() }>,
    /// Rules of the user's own that cannot be evaluated, and the alert that says so.
    failures: Failures,
    failing: Option<Box<Life>>,
    silencer: Silencer,
    /// Networks by the time at which they must be judged.
    agenda: BTreeSet<(Timestamp, NetworkIndex)>,
    last: Now,
    /// Both clocks at the last step, to see whether one was set since.
    clocks: Option<Now>,
    wake_at: Option<Timestamp>,
}

impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>, now: Now) -> Self {
        let vantages = settings.vantages.len().max(1);
        let mut networks: Vec<Network> = settings.networks.iter().map(|_| Network::default()).collect();
        for (i, node) in settings.nodes.iter().enumerate() {
            networks[node.network.index()].members.push(i);
        }
        Self {
            nodes: settings.nodes.iter().map(|_| Node::new(vantages)).collect(),
            networks,
            ranks: inhibit::ranks(&settings.networks),
            vantages: (0..vantages).map(|v| Surroundings::new(v, &settings, now.at)).collect(),
            lives: Lives::default(),
            failures: Failures::default(),
            failing: None,
            silencer: Silencer::new(&settings.silences),
            agenda: BTreeSet::new(),
            last: now,
            clocks: None,
            wake_at: None,
            settings,
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Takes in what was observed up to `now` and decides. Calling it too often, or with nothing new, is harmless.
    ///
    /// `wake_at` of the outcome is later than `now`, so that obeying it cannot become a busy loop.
    pub fn step(&mut self, now: Now, observations: &[Observation]) -> Outcome {
        let now = self.not_before_last_step(now);
        self.skip_pause(now.at);
        let set_by = self.notice_clock(now);
        self.last = now;
        let mut due = self.fold(now, observations);
        let mut effects = Vec::new();
        let wake_at = self.judge_ourselves(now, set_by, &mut effects);
        let mut wake_at = earlier(wake_at, self.look_around(now, &mut due, &mut effects));
        while let Some((_, network)) = self.agenda.first().filter(|(at, _)| *at <= now.at).copied() {
            self.agenda.pop_first();
            due.insert(network);
        }
        self.judge(now, due, &mut effects);
        wake_at = earlier(wake_at, self.judge_failures(now, &mut effects));
        wake_at = earlier(wake_at, self.screen(now, &mut effects));
        wake_at = earlier(wake_at, self.agenda.first().map(|(at, _)| *at));
        self.wake_at = wake_at;
        Outcome { effects, wake_at }
    }

    /// The monotonic clock does not run backwards, whatever we are told.
    fn not_before_last_step(&self, now: Now) -> Now {
        Now { at: now.at.max(self.last.at), ..now }
    }

    /// Time in which nobody ran us proves nothing: what was counting goes on from now.
    fn skip_pause(&mut self, now: Timestamp) {
        let Some(paused) = self.wake_at.map(|at| now.since(at)).filter(|late| PAUSE <= *late) else { return };
        for network in &mut self.networks {
            network.progress.skip(paused, now);
        }
        self.forgive(now);
    }

    fn forgive(&mut self, now: Timestamp) {
        (0..self.vantages.len()).for_each(|vantage| self.forgive_vantage(vantage, now));
        self.weigh(now);
        self.forgive_lives(now);
    }

    /// What was counting while a vantage was blind starts anew.
    fn forgive_vantage(&mut self, vantage: usize, now: Timestamp) {
        self.vantages[vantage].answer(now);
        self.nodes.iter_mut().for_each(|node| node.forgive(vantage, now));
    }

    fn forgive_lives(&mut self, now: Timestamp) {
        for node in &mut self.nodes {
            node.lives.forgive(now);
            node.custom.forgive(now);
        }
        for network in &mut self.networks {
            network.lives.forgive(now);
            network.custom.forgive(now);
        }
    }

    fn weigh(&mut self, now: Timestamp) {
        for (node, settings) in self.nodes.iter_mut().zip(&self.settings.nodes) {
            node.weigh(settings, now);
        }
    }

    /// By how much our wall clock was set since the last step. What happened keeps its distance from now; what nodes
    /// said of their clocks was compared with another clock.
    fn notice_clock(&mut self, now: Now) -> Option<i64> {
        let by_ms = clock::set_by(self.clocks.replace(now)?, now)?;
        self.lives.set_clock(by_ms);
        self.failing.iter_mut().for_each(|life| life.set_clock(by_ms));
        for network in &mut self.networks {
            network.lives.set_clock(by_ms);
            network.custom.set_clock(by_ms);
        }
        self.vantages.iter_mut().filter_map(|v| v.life.as_mut()).for_each(|life| life.set_clock(by_ms));
        for node in &mut self.nodes {
            node.lives.set_clock(by_ms);
            node.custom.set_clock(by_ms);
            node.skew = None;
        }
        Some(by_ms)
    }

    /// Puts every observation into the memory it belongs to; returns the networks that heard something.
    fn fold(&mut self, now: Now, observations: &[Observation]) -> BTreeSet<NetworkIndex> {
        let mut heard = BTreeSet::new();
        for observation in observations {
            match observation {
                Observation::Canary(canary) => self.vantages.iter_mut().for_each(|v| v.take(now.at, *canary)),
                Observation::Node(observation) => heard.extend(self.fold_node(now, observation)),
                Observation::Notice(notice) => heard.extend(self.fold_notice(now, notice)),
            }
        }
        heard
    }

    fn fold_notice(&mut self, now: Now, notice: &Notice) -> Option<NetworkIndex> {
        let network = self.networks.get_mut(notice.network.index())?;
        network.plans.announce(notice.planned.clone(), now);
        Some(notice.network)
    }

    fn fold_node(&mut self, now: Now, observation: &NodeObservation) -> Option<NetworkIndex> {
        let node = self.nodes.get_mut(observation.node.index())?;
        let network = self.settings.nodes[observation.node.index()].network;
        let vantage = observation.vantage.index();
        let silent = |node: &Node| node.eyes.get(vantage).is_some_and(Eye::is_silent);
        let was_silent = silent(node);
        node.take(now, &self.settings.nodes[observation.node.index()], observation);
        let (surroundings, eye) = (self.vantages.get_mut(vantage)?, node.eyes.get(vantage)?);
        if !eye.is_silent() && eye.heard == eye.last_poll {
            surroundings.answer(observation.at.min(now.at));
        }
        surroundings.count(network, was_silent, eye.is_silent());
        Some(network)
    }

    /// The dead man's switch and our clock.
    fn judge_ourselves(&mut self, now: Now, set_by: Option<i64>, effects: &mut Vec<Effect>) -> Option<Timestamp> {
        let timer = Timer::new(now);
        let clock = set_by.map_or(Verdict::Clear, |by_ms| Verdict::Holds(Finding::ClockSet { by_ms }));
        let verdicts = [Verdict::Holds(Finding::Alive), clock];
        for (position, (key, verdict)) in MONITOR_ALERTS.into_iter().zip(verdicts).enumerate() {
            live(self.lives.at(position), verdict, &own_setting(key, OWN_FLAP_WINDOW), &timer, effects);
        }
        timer.next()
    }

    /// Are we cut off ourselves? Entering or leaving that condition touches every network.
    fn look_around(
        &mut self,
        now: Now,
        due: &mut BTreeSet<NetworkIndex>,
        effects: &mut Vec<Effect>,
    ) -> Option<Timestamp> {
        let timer = Timer::new(now);
        let before = Outlook::of(&self.vantages);
        let silent: Vec<bool> = self.vantages.iter().map(|v| v.all_silent(self.nodes.len())).collect();
        let mut changed = false;
        for vantage in 0..self.vantages.len() {
            let contradicted = silent.iter().enumerate().any(|(other, silent)| other != vantage && !silent);
            let from = self.vantages[vantage].look(&self.settings, silent[vantage], contradicted, &timer);
            changed |= self.turn(vantage, from, now.at);
            self.judge_vantage(vantage, &timer, effects);
        }
        if changed {
            self.weigh(now.at);
            due.extend((0..).map(NetworkIndex).take(self.networks.len()));
        }
        if matches!(before, Outlook::CutOff { .. }) && !matches!(Outlook::of(&self.vantages), Outlook::CutOff { .. }) {
            self.forgive_lives(now.at);
        }
        timer.next()
    }

    /// What a vantage's changed outlook means for its polls; returns whether it changed.
    fn turn(&mut self, vantage: usize, from: Outlook, now: Timestamp) -> bool {
        let to = self.vantages[vantage].outlook;
        if std::mem::discriminant(&from) == std::mem::discriminant(&to) {
            return false;
        }
        self.nodes.iter_mut().for_each(|node| node.eyes[vantage].blind = to != Outlook::Open);
        match (from, to) {
            (Outlook::CutOff { .. }, _) => self.forgive_vantage(vantage, now),
            (Outlook::Suspect { since }, Outlook::Open) => {
                self.nodes.iter_mut().for_each(|node| node.eyes[vantage].excuse(since, now));
            }
            _ => {}
        }
        true
    }

    fn judge_vantage(&mut self, vantage: usize, timer: &Timer, effects: &mut Vec<Effect>) {
        let setting = own_setting(self.isolation(vantage), Duration::ZERO);
        let surroundings = &mut self.vantages[vantage];
        let verdict = match surroundings.outlook {
            Outlook::CutOff { since } => Verdict::Holds(Finding::CutOff {
                silence: timer.now().at.since(since),
                canaries: surroundings.canaries(),
                nodes: self.nodes.len(),
            }),
            Outlook::Suspect { .. } => Verdict::Unknown,
            Outlook::Open => Verdict::Clear,
        };
        let patience = Some(self.settings.isolated_after);
        let verdict = resume::tried(surroundings.life.as_deref_mut(), verdict, patience, timer);
        live(&mut surroundings.life, verdict, &setting, timer, effects);
    }

    /// The identity of the alert that says that a vantage is cut off. The only vantage is the monitor itself.
    fn isolation(&self, vantage: usize) -> AlertKey {
        let place = u16::try_from(vantage).ok().filter(|_| !self.settings.vantages.is_empty());
        let subject = place.map_or(Subject::Monitor, |place| Subject::Vantage(VantageIndex(place)));
        AlertKey { name: AlertName::MonitorIsolated, subject }
    }

    /// Judges every network that is due, and those that depend on one whose halt, announced or not, began or ended.
    ///
    /// Parents come first: where both halt in one step, the child is muted before anybody is told of it.
    fn judge(&mut self, now: Now, due: BTreeSet<NetworkIndex>, effects: &mut Vec<Effect>) {
        let ranked = |index: NetworkIndex, ranks: &[usize]| (ranks[index.index()], index);
        let mut due: BTreeSet<_> = due.into_iter().map(|index| ranked(index, &self.ranks)).collect();
        while let Some((_, index)) = due.pop_first() {
            let timer = Timer::new(now);
            let before = self.standstill(index);
            let (networks, nodes) = (&mut self.networks[..], &mut self.nodes[..]);
            let outlook = Outlook::of(&self.vantages);
            Bench { settings: &self.settings, networks, nodes, outlook, timer: &timer, effects }.judge(index);
            self.judge_custom(index, &timer, effects);
            self.schedule(index, timer.next());
            if before != self.standstill(index) {
                due.extend(self.children(index).into_iter().map(|child| ranked(child, &self.ranks)));
            }
        }
    }

    /// Whether a network's halt fires, and whether an announced one does.
    fn standstill(&self, index: NetworkIndex) -> [bool; 2] {
        [rule::HALTED, rule::PLANNED].map(|position| self.networks[index.index()].lives.fires(position))
    }

    fn schedule(&mut self, index: NetworkIndex, at: Option<Timestamp>) {
        let network = &mut self.networks[index.index()];
        if let Some(before) = std::mem::replace(&mut network.due, at) {
            self.agenda.remove(&(before, index));
        }
        self.agenda.extend(at.map(|at| (at, index)));
    }

    /// Networks that depend on `parent`, directly or through others.
    fn children(&self, parent: NetworkIndex) -> Vec<NetworkIndex> {
        let mut found = vec![parent];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            next += 1;
            for (network, index) in self.settings.networks.iter().zip(0..) {
                if network.depends_on.contains(&parent) && !found.contains(&NetworkIndex(index)) {
                    found.push(NetworkIndex(index));
                }
            }
        }
        found.split_off(1)
    }
}

/// How an alert about ourselves lives.
fn own_setting(key: AlertKey, flap_window: Duration) -> Setting {
    let policy = rule::policy(key.name, Duration::ZERO);
    Setting { key, level: level(key.name, false), policy, flap_window, muter: None }
}
