//! Rules of users: an expression over what is known of a node or a network, and an alert of their own when it holds. They
//! see what the snapshot shows, live like every other alert, and are muted by nothing but our own blindness: who writes a
//! rule wants to hear of it. A rule that cannot be evaluated says so once, and freezes.

pub mod expression;
pub mod field;
pub mod template;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use self::expression::Fault;
use self::{
    expression::Expression,
    field::{Scene, Tally},
    template::Template,
};
use super::{
    Engine,
    alert::{Life, Policy, Setting, Verdict, live},
    finding::Finding,
    resume::{self, patience},
    rule,
    snapshot::{AlertKey, Effect, Subject},
    surroundings::Outlook,
    timer::Timer,
};
use crate::model::{AlertName, Labels, Level, NetworkIndex, NodeIndex, Now, RuleName, Timestamp, alert::Scope};

/// What changes by the mere passing of time is looked at so often.
const TICK: Duration = Duration::from_secs(1);

/// The alert that says that a rule cannot be evaluated.
pub const FAILING: AlertKey = AlertKey { name: AlertName::RuleFailing, subject: Subject::Monitor };

/// A rule of the user's own, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomRule {
    /// What its alert is called, and what it is about.
    pub name: RuleName,
    /// When it holds.
    pub when: Expression,
    /// The same as it was written.
    pub source: Arc<str>,
    /// How long it must hold before it fires.
    pub wait: Duration,
    /// How long it fires on after it has ceased to hold.
    pub hold: Duration,
    /// How loud it is.
    pub level: Level,
    /// What it says.
    pub summary: Template,
    /// Labels on its alerts.
    pub labels: Labels,
    /// The networks it looks at; `None` = all.
    pub networks: Option<Vec<Arc<str>>>,
    /// What to read when it fires.
    pub runbook_url: Option<Arc<str>>,
}

impl CustomRule {
    /// Whether it is about that network, or its nodes.
    #[must_use]
    pub fn looks_at(&self, network: &str) -> bool {
        self.networks.as_ref().is_none_or(|networks| networks.iter().any(|name| **name == *network))
    }

    fn judge(&self, scene: &Scene<'_>) -> Result<Verdict, Fault> {
        Ok(match self.when.flag(scene)? {
            Some(true) => Verdict::Holds(Finding::RuleHolds { summary: Arc::from(self.summary.render(scene)) }),
            Some(false) => Verdict::Clear,
            None => Verdict::Unknown,
        })
    }
}

/// The lives of a subject's alerts of this kind, by the names of their rules: whatever else changes, a rule that keeps its
/// name keeps them. Most subjects have none.
#[derive(Debug, Default)]
pub struct CustomLives(BTreeMap<RuleName, Box<Life>>);

impl CustomLives {
    /// Those that live.
    pub fn iter(&self) -> impl Iterator<Item = (AlertName, &Life)> {
        self.0.iter().map(|(name, life)| (AlertName::Custom(*name), &**life))
    }

    /// From now on this is the life of the alert of that name.
    pub fn set(&mut self, name: RuleName, life: Box<Life>) {
        self.0.insert(name, life);
    }

    /// The life of the alert of that name.
    #[must_use]
    pub fn get(&self, name: RuleName) -> Option<&Life> {
        self.0.get(&name).map(|life| &**life)
    }

    /// Forgets those whose rule is gone.
    pub fn retain(&mut self, kept: impl Fn(RuleName) -> bool) {
        self.0.retain(|name, _| kept(*name));
    }

    /// Our wall clock was set by so many milliseconds.
    pub fn set_clock(&mut self, by_ms: i64) {
        self.0.values_mut().for_each(|life| life.set_clock(by_ms));
    }

    /// What only pended starts pending anew.
    pub fn forgive(&mut self, now: Timestamp) {
        self.0.values_mut().for_each(|life| life.forgive(now));
    }
}

/// Rules that cannot be evaluated, with the first subject of each network that showed it.
#[derive(Debug, Default)]
pub struct Failures(BTreeMap<(RuleName, NetworkIndex), (Subject, Fault)>);

impl Failures {
    fn note(&mut self, place: (RuleName, NetworkIndex), fault: Option<(Subject, Fault)>) {
        match fault {
            Some(fault) => drop(self.0.insert(place, fault)),
            None => drop(self.0.remove(&place)),
        }
    }

    fn finding(&self, name: impl Fn(Subject) -> Arc<str>) -> Option<Finding> {
        let ((rule, _), (subject, fault)) = self.0.first_key_value()?;
        let rules: std::collections::BTreeSet<_> = self.0.keys().map(|(rule, _)| rule).collect();
        Some(Finding::RuleFails { rule: *rule, subject: name(*subject), fault: *fault, failing: rules.len() })
    }
}

/// What is judged in one go.
struct Round<'a> {
    index: NetworkIndex,
    timer: &'a Timer,
    effects: &'a mut Vec<Effect>,
}

impl Engine {
    /// Judges a network and its nodes by the rules of the user's own. While we may be cut off, all of them stand still.
    pub(super) fn judge_custom(&mut self, index: NetworkIndex, timer: &Timer, effects: &mut Vec<Effect>) {
        let settings = Arc::clone(&self.settings);
        let network = &settings.networks[index.index()];
        let rules: Vec<_> = settings.rules.iter().filter(|rule| rule.looks_at(&network.name)).collect();
        if rules.is_empty() || Outlook::of(&self.vantages) != Outlook::Open {
            return;
        }
        if rules.iter().any(|rule| rule.when.ticks()) {
            timer.passed(timer.now().at.after(TICK));
        }
        let memory = &self.networks[index.index()];
        let view = self.network_view(index.index(), memory, timer.now().at);
        let tally = Tally::of(memory.members.iter().map(|i| self.nodes[*i].state));
        let scene = Scene { now: timer.now(), network, view: &view, tally, node: None };
        let mut round = Round { index, timer, effects };
        for rule in rules {
            let fault = match rule.name.scope() {
                Scope::Node => self.judge_nodes_by(rule, &scene, &mut round),
                Scope::Network | Scope::Monitor => self.judge_network_by(rule, &scene, &mut round),
            };
            self.failures.note((rule.name, index), fault);
        }
    }

    fn judge_network_by(
        &mut self,
        rule: &CustomRule,
        scene: &Scene<'_>,
        round: &mut Round<'_>,
    ) -> Option<(Subject, Fault)> {
        let (subject, mut fault) = (Subject::Network(round.index), None);
        let verdict = excused(rule.judge(scene), subject, &mut fault);
        self.live_custom(rule, subject, verdict, round);
        fault
    }

    fn judge_nodes_by(
        &mut self,
        rule: &CustomRule,
        scene: &Scene<'_>,
        round: &mut Round<'_>,
    ) -> Option<(Subject, Fault)> {
        let (settings, mut fault) = (Arc::clone(&self.settings), None);
        for member in 0..self.networks[round.index.index()].members.len() {
            let i = self.networks[round.index.index()].members[member];
            let Ok(number) = u32::try_from(i).map(NodeIndex) else { continue };
            let view = self.node_view(i, &self.nodes[i], scene.now.at);
            let verdict = rule.judge(&Scene { node: Some((&settings.nodes[i], &view)), ..*scene });
            let verdict = excused(verdict, Subject::Node(number), &mut fault);
            self.live_custom(rule, Subject::Node(number), verdict, round);
        }
        fault
    }

    fn live_custom(&mut self, rule: &CustomRule, subject: Subject, verdict: Verdict, round: &mut Round<'_>) {
        let mut slot = self.custom_lives(subject, round.index).0.remove(&rule.name);
        if slot.is_none() && !matches!(verdict, Verdict::Holds(_)) {
            return;
        }
        let nodes = self.networks[round.index.index()].members.iter().map(|i| &self.settings.nodes[*i]);
        let patience = slot.as_ref().filter(|life| life.on_trial()).map(|_| patience::of_custom(rule, nodes));
        let verdict = resume::tried(slot.as_deref_mut(), verdict, patience, round.timer);
        let setting = Setting {
            key: AlertKey { name: AlertName::Custom(rule.name), subject },
            level: rule.level,
            policy: Policy { wait: rule.wait, hold: rule.hold },
            // Its own `keep_firing_for` is all that keeps it.
            flap_window: Duration::ZERO,
            muter: None,
        };
        let began = live(&mut slot, verdict, &setting, round.timer, round.effects);
        let lives = self.custom_lives(subject, round.index);
        if let Some(life) = slot {
            lives.0.insert(rule.name, life);
        }
        self.networks[round.index.index()].count(began, rule.level);
    }

    fn custom_lives(&mut self, subject: Subject, network: NetworkIndex) -> &mut CustomLives {
        match subject {
            Subject::Node(node) => &mut self.nodes[node.index()].custom,
            _ => &mut self.networks[network.index()].custom,
        }
    }

    /// Says whether every rule can be evaluated, once all that was due has been judged.
    pub(super) fn judge_failures(&mut self, now: Now, effects: &mut Vec<Effect>) -> Option<Timestamp> {
        let timer = Timer::new(now);
        let verdict = match self.failures.finding(|subject| self.called(subject)) {
            Some(finding) => Verdict::Holds(finding),
            None if Outlook::of(&self.vantages) == Outlook::Open => Verdict::Clear,
            None => Verdict::Unknown,
        };
        let on_trial = self.failing.as_ref().is_some_and(|life| life.on_trial());
        let patience = on_trial.then(|| patience::rounds(self.settings.nodes.iter()));
        let verdict = resume::tried(self.failing.as_deref_mut(), verdict, patience, &timer);
        let policy = rule::policy(FAILING.name, Duration::ZERO);
        let level = rule::level(FAILING.name, false);
        let setting = Setting { key: FAILING, level, policy, flap_window: Duration::ZERO, muter: None };
        live(&mut self.failing, verdict, &setting, &timer, effects);
        timer.next()
    }

    /// What people call a subject.
    fn called(&self, subject: Subject) -> Arc<str> {
        match subject {
            Subject::Monitor | Subject::Vantage(_) => Arc::clone(&self.settings.monitor),
            Subject::Network(network) => Arc::clone(&self.settings.networks[network.index()].name),
            Subject::Node(node) => {
                let node = &self.settings.nodes[node.index()];
                Arc::from(format!("{}/{}", self.settings.networks[node.network.index()].name, node.name))
            }
        }
    }
}

/// A fault freezes the alert; the first is remembered.
fn excused(verdict: Result<Verdict, Fault>, subject: Subject, first: &mut Option<(Subject, Fault)>) -> Verdict {
    verdict.unwrap_or_else(|fault| {
        first.get_or_insert((subject, fault));
        Verdict::Unknown
    })
}
