//! What is not to be announced: people who work on something do not want to be called about it. A silenced alert lives
//! and is shown like any other; only its announcement is withheld, and made when the silence ends before the alert does.
//! What was announced before stays announced and still ends. The dead man's switch is never silenced.

mod labels;
mod matcher;
mod span;

use std::{collections::BTreeSet, sync::Arc};

pub use self::{
    labels::label,
    matcher::{MAX_PATTERN, Matcher, MatcherError, Pattern},
    span::{Span, Times},
};
use super::{
    Engine,
    settings::Settings,
    snapshot::{Alert, AlertKey, Effect, QuietChange, Subject},
    timer::Timer,
};
use crate::model::{AlertName, Level, Now, Timestamp, UnixTime};

/// A silence: alerts that satisfy all of its matchers are not announced during its span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// What it is called by programs, unique.
    pub id: Arc<str>,
    /// All of these must be satisfied; at least one.
    pub matchers: Vec<Matcher>,
    /// When.
    pub span: Span,
    /// Who made it.
    pub created_by: Arc<str>,
    /// Why.
    pub comment: Arc<str>,
    /// When it was last changed; `None` = it stands in the configuration.
    pub updated_at: Option<UnixTime>,
}

impl Silence {
    fn matches(&self, settings: &Settings, key: AlertKey, level: Level) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(label(settings, key, level, &matcher.name)))
    }
}

/// Whether matchers can only ever match what is never silenced.
#[must_use]
pub fn only_watchdog(matchers: &[Matcher]) -> bool {
    let others = || AlertName::ALL.iter().filter(|name| **name != AlertName::Watchdog);
    let named = matchers.iter().filter(|matcher| &*matcher.name == "alertname");
    let fits = |name: &str| named.clone().all(|matcher| matcher.matches(name));
    fits(AlertName::Watchdog.as_str()) && !others().any(|name| fits(name.as_str())) && !fits("AnyRuleOfAUser")
}

/// The silences in force, and what they have withheld.
#[derive(Debug, Default)]
pub struct Silencer {
    /// Those of the configuration, then those of people.
    all: Arc<[Silence]>,
    people: Arc<[Silence]>,
    /// Positions of those that are active.
    active: Vec<usize>,
    /// Alerts that were announced and are not over.
    told: BTreeSet<AlertKey>,
    /// Alerts whose announcement was withheld. It is made once no silence matches them.
    withheld: BTreeSet<AlertKey>,
    /// Whether what was withheld must be looked at again.
    unsettled: bool,
}

impl Silencer {
    /// With the silences of a configuration.
    #[must_use]
    pub fn new(configured: &[Silence]) -> Self {
        Self { all: configured.into(), ..Self::default() }
    }

    /// Other silences from now on.
    fn replace(&mut self, configured: &[Silence], people: Arc<[Silence]>) {
        self.all = configured.iter().chain(&*people).cloned().collect();
        self.people = people;
        self.active.clear();
        self.unsettled = true;
    }

    /// All silences.
    #[must_use]
    pub fn all(&self) -> &Arc<[Silence]> {
        &self.all
    }

    /// The same under new settings: what was announced and withheld gets its new place, or is forgotten with it.
    #[must_use]
    pub fn moved(mut self, configured: &[Silence], place: &impl Fn(AlertKey) -> Option<AlertKey>) -> Self {
        self.replace(configured, Arc::clone(&self.people));
        let moved = |keys: BTreeSet<AlertKey>| keys.into_iter().filter_map(place).collect();
        Self { told: moved(self.told), withheld: moved(self.withheld), ..self }
    }

    /// Alerts that were announced and are not over.
    pub(super) fn told(&self) -> impl Iterator<Item = AlertKey> {
        self.told.iter().copied()
    }

    /// An alert was announced, whether or not it is silenced by now.
    pub(super) fn tell(&mut self, key: AlertKey) {
        self.told.insert(key);
    }

    /// The silence that matches an alert now.
    #[must_use]
    pub fn of(&self, settings: &Settings, key: AlertKey, level: Level) -> Option<&Arc<str>> {
        if key.name == AlertName::Watchdog {
            return None;
        }
        let mut active = self.active.iter().filter_map(|position| self.all.get(*position));
        active.find(|silence| silence.matches(settings, key, level)).map(|silence| &silence.id)
    }

    /// Finds out which silences are active, and asks to be woken when that changes.
    fn look(&mut self, timer: &Timer) {
        let now = timer.now();
        let active = |silence: &Silence| {
            if let Some(change) = silence.span.next_change(now.wall) {
                timer.passed(Timestamp(now.at.0.saturating_add(change.minus(now.wall))));
            }
            silence.span.contains(now.wall)
        };
        let active = (0..).zip(self.all.iter()).filter(|(_, silence)| active(silence)).map(|(position, _)| position);
        let active: Vec<usize> = active.collect();
        self.unsettled |= active != self.active;
        self.active = active;
    }

    /// Withholds the announcement of what is silenced. What was never announced does not end aloud either.
    fn screen(&mut self, settings: &Settings, effect: Effect) -> Effect {
        match effect {
            Effect::Fired(alert) => {
                let alert = self.marked(settings, alert);
                if alert.silenced_by.is_none() {
                    self.withheld.remove(&alert.key);
                    self.told.insert(alert.key);
                    return Effect::Fired(alert);
                }
                self.withheld.insert(alert.key);
                Effect::Quiet(alert, QuietChange::FiredSilenced)
            }
            Effect::Raised(alert) => {
                let alert = self.marked(settings, alert);
                if self.told.contains(&alert.key) {
                    return Effect::Raised(alert);
                }
                if alert.silenced_by.is_some() {
                    return Effect::Quiet(alert, QuietChange::FiredSilenced);
                }
                self.withheld.remove(&alert.key);
                self.told.insert(alert.key);
                Effect::Fired(alert)
            }
            Effect::Resolved(alert) => {
                self.withheld.remove(&alert.key);
                let was_told = self.told.remove(&alert.key);
                let alert = self.marked(settings, alert);
                if was_told { Effect::Resolved(alert) } else { Effect::Quiet(alert, QuietChange::EndedMuted) }
            }
            Effect::Quiet(alert, change) => Effect::Quiet(self.marked(settings, alert), change),
            Effect::NodeState { .. } => effect,
        }
    }

    fn marked(&self, settings: &Settings, alert: Alert) -> Alert {
        let silenced_by = self.of(settings, alert.key, alert.level).cloned();
        Alert { silenced_by, ..alert }
    }
}

impl Engine {
    /// Silences of people, beside those of the configuration. In force from the next step on.
    pub fn set_silences(&mut self, silences: Arc<[Silence]>) {
        self.silencer.replace(&self.settings.silences, silences);
    }

    /// Screens the effects of a step, and announces what is silenced no longer. Returns when silences begin or end.
    pub(super) fn screen(&mut self, now: Now, effects: &mut Vec<Effect>) -> Option<Timestamp> {
        let timer = Timer::new(now);
        self.silencer.look(&timer);
        let settings = Arc::clone(&self.settings);
        *effects = std::mem::take(effects).into_iter().map(|effect| self.silencer.screen(&settings, effect)).collect();
        if self.silencer.unsettled {
            self.release(effects);
        }
        timer.next()
    }

    /// Announces what was withheld and is silenced no longer. What is muted, or about to end, waits.
    fn release(&mut self, effects: &mut Vec<Effect>) {
        let settings = Arc::clone(&self.settings);
        let mut waiting = false;
        for key in self.silencer.withheld.clone() {
            let Some(life) = self.life(key) else { continue };
            let alert = self.silencer.marked(&settings, life.shown(key));
            if alert.silenced_by.is_some() {
                continue;
            }
            if alert.inhibited_by.is_some() || !life.holds() {
                waiting = true;
                continue;
            }
            self.silencer.withheld.remove(&key);
            self.silencer.told.insert(key);
            effects.push(Effect::Fired(alert));
        }
        self.silencer.unsettled = waiting;
    }

    pub(super) fn life(&self, key: AlertKey) -> Option<&super::alert::Life> {
        self.living_about(key.subject).find(|(name, _)| *name == key.name).map(|(_, life)| life)
    }

    /// Every life about one subject.
    fn living_about(&self, subject: Subject) -> Box<dyn Iterator<Item = (AlertName, &super::alert::Life)> + '_> {
        use super::rule::{NETWORK_RULES, NODE_RULES};
        match subject {
            Subject::Monitor | Subject::Vantage(_) => {
                let about = self.living_monitor().filter(move |(key, _)| key.subject == subject);
                Box::new(about.map(|(key, life)| (key.name, life)))
            }
            Subject::Network(index) => Box::new(self.networks.get(index.index()).into_iter().flat_map(|network| {
                network.lives.iter().map(|(i, life)| (NETWORK_RULES[i].name, life)).chain(network.custom.iter())
            })),
            Subject::Node(index) => Box::new(self.nodes.get(index.index()).into_iter().flat_map(|node| {
                node.lives.iter().map(|(i, life)| (NODE_RULES[i].name, life)).chain(node.custom.iter())
            })),
        }
    }
}
