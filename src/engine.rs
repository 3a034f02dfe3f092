//! The pure decision engine: observations and time in, effects and a wake-up time out. No I/O, no clock, no async, no
//! log: whoever calls it owns those.
//!
//! One step folds what was observed into the memory of nodes, looks around whether we ourselves are cut off, and judges
//! every network that heard something or whose time has come. Nothing else is touched.

pub mod finding;
pub mod forecast;
pub mod settings;
pub mod snapshot;

mod alert;
mod branch;
mod figures;
mod identity;
mod inhibit;
mod judge;
mod network;
mod node;
mod picture;
mod plan;
mod progress;
mod reconfigure;
mod rule;
mod state;
mod surroundings;
mod timer;
mod tip;
mod window;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub use self::rule::level;
use self::{
    alert::{Lives, Setting, Verdict, live},
    finding::Finding,
    judge::{Bench, ISOLATED, WATCHDOG},
    network::Network,
    node::Node,
    settings::Settings,
    snapshot::{AlertKey, Effect, Outcome},
    surroundings::{Outlook, Surroundings, is_silent},
    timer::{Timer, earlier},
};
use crate::{
    model::{NetworkIndex, Now, Timestamp},
    observation::{NodeObservation, Notice, Observation},
};

/// The monitor's own alerts.
const MONITOR_ALERTS: [AlertKey; 2] = [WATCHDOG, ISOLATED];

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
    surroundings: Surroundings,
    /// Nodes whose last word was silence, by network.
    silent: BTreeMap<NetworkIndex, usize>,
    lives: Lives<{ MONITOR_ALERTS.len() }>,
    /// Networks by the time at which they must be judged.
    agenda: BTreeSet<(Timestamp, NetworkIndex)>,
    last: Now,
    wake_at: Option<Timestamp>,
}

impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>, now: Now) -> Self {
        let mut networks: Vec<Network> = settings.networks.iter().map(|_| Network::default()).collect();
        for (i, node) in settings.nodes.iter().enumerate() {
            networks[node.network.index()].members.push(i);
        }
        Self {
            nodes: settings.nodes.iter().map(|_| Node::default()).collect(),
            networks,
            ranks: inhibit::ranks(&settings.networks),
            surroundings: Surroundings::new(settings.canaries.len(), now.at),
            silent: BTreeMap::new(),
            lives: Lives::default(),
            agenda: BTreeSet::new(),
            last: now,
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
        self.last = now;
        let mut due = self.fold(now, observations);
        let mut effects = Vec::new();
        let mut wake_at = self.look_around(now, &mut due, &mut effects);
        while let Some((_, network)) = self.agenda.first().filter(|(at, _)| *at <= now.at).copied() {
            self.agenda.pop_first();
            due.insert(network);
        }
        self.judge(now, due, &mut effects);
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
        self.surroundings.answer(now);
        for node in &mut self.nodes {
            node.forgive(now);
            node.lives.forgive(now);
        }
        for network in &mut self.networks {
            network.lives.forgive(now);
        }
    }

    /// Puts every observation into the memory it belongs to; returns the networks that heard something.
    fn fold(&mut self, now: Now, observations: &[Observation]) -> BTreeSet<NetworkIndex> {
        let mut heard = BTreeSet::new();
        for observation in observations {
            match observation {
                Observation::Canary(canary) => self.surroundings.take(now.at, *canary),
                Observation::Node(observation) => heard.extend(self.fold_node(now, observation)),
                Observation::Notice(notice) => heard.extend(self.fold_notice(notice)),
            }
        }
        heard
    }

    fn fold_notice(&mut self, notice: &Notice) -> Option<NetworkIndex> {
        let network = self.networks.get_mut(notice.network.index())?;
        network.plans.announce(notice.planned.clone());
        Some(notice.network)
    }

    fn fold_node(&mut self, now: Now, observation: &NodeObservation) -> Option<NetworkIndex> {
        let node = self.nodes.get_mut(observation.node.index())?;
        let network = self.settings.nodes[observation.node.index()].network;
        let was_silent = is_silent(node);
        node.take(now, observation);
        let silent = is_silent(node);
        if !silent && node.heard == node.last_poll {
            self.surroundings.answer(observation.at.min(now.at));
        }
        let count = self.silent.entry(network).or_default();
        *count = (*count + usize::from(silent)).saturating_sub(usize::from(was_silent));
        Some(network)
    }

    /// Are we cut off ourselves? Entering or leaving that condition touches every network.
    fn look_around(
        &mut self,
        now: Now,
        due: &mut BTreeSet<NetworkIndex>,
        effects: &mut Vec<Effect>,
    ) -> Option<Timestamp> {
        let timer = Timer::new(now);
        let before = self.surroundings.outlook;
        let outlook = self.surroundings.look(&self.settings, self.all_silent(), &timer);
        let changed = std::mem::discriminant(&before) != std::mem::discriminant(&outlook);
        if changed {
            due.extend((0..).map(NetworkIndex).take(self.networks.len()));
            match (before, outlook) {
                (Outlook::CutOff { .. }, _) => self.forgive(now.at),
                (Outlook::Suspect { since }, Outlook::Open) => {
                    self.nodes.iter_mut().for_each(|node| node.excuse(since, now.at));
                }
                _ => {}
            }
        }
        let verdict = match outlook {
            Outlook::CutOff { since } => Verdict::Holds(Finding::CutOff {
                silence: now.at.since(since),
                canaries: self.settings.canaries.len(),
                nodes: self.nodes.len(),
            }),
            Outlook::Suspect { .. } => Verdict::Unknown,
            Outlook::Open => Verdict::Clear,
        };
        for (position, (key, verdict)) in
            MONITOR_ALERTS.into_iter().zip([Verdict::Holds(Finding::Alive), verdict]).enumerate()
        {
            let setting = Setting {
                key,
                level: level(key.name, false),
                policy: rule::policy(key.name, Duration::ZERO),
                muter: None,
            };
            live(self.lives.at(position), verdict, &setting, &timer, effects);
        }
        timer.next()
    }

    /// Whether every node is silent. Without canaries, one network alone may well fail as a whole.
    fn all_silent(&self) -> bool {
        let silent: usize = self.silent.values().sum();
        let enough_networks = !self.settings.canaries.is_empty() || 2 <= self.silent.len();
        !self.nodes.is_empty() && silent == self.nodes.len() && enough_networks
    }

    /// Judges every network that is due, and those that depend on one whose halt began or ended.
    ///
    /// Parents come first: where both halt in one step, the child is muted before anybody is told of it.
    fn judge(&mut self, now: Now, due: BTreeSet<NetworkIndex>, effects: &mut Vec<Effect>) {
        let ranked = |index: NetworkIndex, ranks: &[usize]| (ranks[index.index()], index);
        let mut due: BTreeSet<_> = due.into_iter().map(|index| ranked(index, &self.ranks)).collect();
        while let Some((_, index)) = due.pop_first() {
            let timer = Timer::new(now);
            let halted = self.networks[index.index()].lives.fires(rule::HALTED);
            let (networks, nodes) = (&mut self.networks[..], &mut self.nodes[..]);
            let outlook = self.surroundings.outlook;
            Bench { settings: &self.settings, networks, nodes, outlook, timer: &timer, effects }.judge(index);
            self.schedule(index, timer.next());
            if halted != self.networks[index.index()].lives.fires(rule::HALTED) {
                due.extend(self.children(index).into_iter().map(|child| ranked(child, &self.ranks)));
            }
        }
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
