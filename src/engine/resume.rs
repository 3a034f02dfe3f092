//! Alerts that were announced before this engine was made, by one that died. Trouble that is still there must not be
//! announced again, and what has cleared meanwhile must end aloud; so their lives go on where they stood, under the names
//! they had, with the level and the beginning they had.
//!
//! A new engine has seen nothing, and some rules say of what they have not seen yet that nothing is wrong. Their word
//! against trouble from before is put off until they have had the chance to find it: that is its trial. How long it takes
//! stands in [`patience`].

pub mod patience;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Engine, MONITOR_ALERTS,
    alert::{Life, Lives, Verdict},
    custom::FAILING,
    judge::WATCHDOG,
    network::{Network, Recovery},
    node::{Node, Word},
    rule::{self, NETWORK_RULES, NODE_RULES},
    settings::{NetworkSettings, NodeSettings, Settings},
    snapshot::{AlertKey, Subject},
    timer::Timer,
};
use crate::model::{AlertName, Level, NetworkIndex, NodeIndex, Now, Timestamp, UnixTime, VantageIndex, alert::Scope};

/// An alert that was announced and is not over. It stands by its names alone: places change with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// What it is called, as in the label `alertname`.
    pub name: Arc<str>,
    /// What it is about.
    pub about: About,
    /// How loud it was announced last.
    pub level: Level,
    /// Wall time at which the finding first held.
    pub active_at: UnixTime,
    /// Wall time at which it began firing.
    pub fired_at: UnixTime,
}

/// What an alert is about, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// The monitor itself.
    Monitor,
    /// One of several places from which it watches.
    Vantage(Arc<str>),
    /// A network.
    Network(Arc<str>),
    /// A node, after its network.
    Node(Arc<str>, Arc<str>),
}

/// The chance of a rule to find anew what was announced before it could see anything. Only time in which it says that
/// nothing is wrong counts: not knowing is no reason to end an alert.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    served: Duration,
    clear_since: Option<Timestamp>,
    /// When all nodes of the network will have been asked since the first answer.
    heard: Option<Timestamp>,
}

impl Trial {
    /// Whether a rule is not believed yet that is to be heard for so long.
    fn doubts(&mut self, verdict: &Verdict, patience: Duration, timer: &Timer) -> bool {
        let now = timer.now().at;
        if *verdict != Verdict::Clear {
            let since = self.clear_since.take();
            self.served = self.served.saturating_add(since.map_or(Duration::ZERO, |since| now.since(since)));
            return false;
        }
        let since = *self.clear_since.get_or_insert(now);
        !timer.passed(since.after(patience.saturating_sub(self.served)))
    }
}

/// What a rule's word is worth to an alert that is to be tried for so long, if it is.
pub fn tried(life: Option<&mut Life>, verdict: Verdict, patience: Option<Duration>, timer: &Timer) -> Verdict {
    let trial = life.and_then(|life| life.trial.as_mut()).zip(patience);
    let doubted = trial.is_some_and(|(trial, patience)| trial.doubts(&verdict, patience, timer));
    if doubted { Verdict::Unknown } else { verdict }
}

impl<const N: usize> Lives<N> {
    /// Whether the alert at a rule's position goes on from before and has neither been found anew nor been believed to be
    /// over.
    #[must_use]
    pub fn on_trial(&self, position: usize) -> bool {
        self.get(position).is_some_and(Life::on_trial)
    }
}

impl Life {
    /// See [`Lives::on_trial`].
    pub(super) fn on_trial(&self) -> bool {
        self.trial.is_some() && self.holds()
    }
}

impl Network {
    /// A halt from before ends like one that was found here, or when its blocks are newer than itself. Nodes that answer
    /// one after the other when we have just come are no new blocks; and where blocks come only for work, whatever waits
    /// may have been waiting for its end.
    pub(super) fn try_halt(&mut self, settings: &NetworkSettings, all: &[NodeSettings], nodes: &[Node], timer: &Timer) {
        if !self.lives.on_trial(rule::HALTED) || self.tip.height().is_none() {
            return;
        }
        let now = timer.now().at;
        if self.outlived(settings, nodes, timer) {
            self.recovery = Some(Recovery { blocks: u64::MAX, first: Some(now), idle_since: None });
            return;
        }
        let heard = self.rounds_of_most(all);
        let life = self.lives.at(rule::HALTED).as_mut();
        let Some(trial) = life.and_then(|life| life.trial.as_mut()) else { return };
        if !timer.passed(*trial.heard.get_or_insert(now.after(heard))) {
            self.recovery = Some(Recovery::default());
        }
        let waits =
            |i: &usize| matches!(nodes[*i].word(&all[*i], timer), Word::Facts(facts) if Some(0) < facts.pending);
        if let Some(recovery) = self.recovery.as_mut().filter(|_| self.members.iter().any(waits)) {
            recovery.idle_since = None;
        }
    }

    /// Whether blocks have come since the halt was told, and still do: two nodes, or the only one, tell heads of a time
    /// well after that, which is now and not in the future.
    fn outlived(&self, settings: &NetworkSettings, nodes: &[Node], timer: &Timer) -> bool {
        let Some(fired_at) = self.lives.get(rule::HALTED).and_then(Life::fired_at) else { return false };
        let (margin, wall) = (self.progress.threshold(settings), timer.now().wall);
        let is_new = |time: &UnixTime| margin < time.since(fired_at) && *time <= wall && wall.since(*time) <= margin;
        let voters = self.members.iter().map(|i| &nodes[*i]).filter(|node| node.vote.is_some());
        let heads = voters.filter_map(|node| node.good.as_ref()?.facts.head.time);
        self.members.len().min(2) <= heads.filter(is_new).count()
    }
}

impl Engine {
    /// The alerts that are announced and not over, but for the dead man's switch: what [`Engine::resume`] takes after the
    /// next start. Ordered by what they are about and their names.
    #[must_use]
    pub fn announced(&self) -> Vec<Announced> {
        let known = self.silencer.told().filter(|key| *key != WATCHDOG);
        let lives = known.filter_map(|key| Some((key, self.life(key)?.shown(key))));
        let mut announced: Vec<_> = lives
            .map(|(key, alert)| Announced {
                name: Arc::from(key.name.as_str()),
                about: about(&self.settings, key.subject),
                level: alert.level,
                active_at: alert.active_at,
                fired_at: alert.fired_at.unwrap_or(alert.active_at),
            })
            .collect();
        announced.sort_by(|a, b| (&a.about, &a.name).cmp(&(&b.about, &b.name)));
        announced
    }

    /// Goes on with alerts that were announced before; to be called before the first step. They fire and count as
    /// announced. Returns those that are about nothing these settings have.
    pub fn resume(&mut self, announced: &[Announced], now: Now) -> Vec<Announced> {
        let settings = Arc::clone(&self.settings);
        let places = Places::of(&settings);
        let mut lost = Vec::new();
        for alert in announced {
            if !places.of_alert(alert).is_some_and(|key| self.go_on(key, alert, now)) {
                lost.push(alert.clone());
            }
        }
        lost
    }

    fn go_on(&mut self, key: AlertKey, alert: &Announced, now: Now) -> bool {
        let life = Box::new(Life::resumed(alert, now));
        match (key.name, key.subject) {
            (AlertName::Custom(rule), Subject::Network(network)) => {
                self.networks[network.index()].custom.set(rule, life);
            }
            (AlertName::Custom(rule), Subject::Node(node)) => self.nodes[node.index()].custom.set(rule, life),
            _ => {
                let Some(slot) = self.slot(key) else { return false };
                *slot = Some(life);
            }
        }
        if let (AlertName::NetworkHalted, Subject::Network(network)) = (key.name, key.subject) {
            self.networks[network.index()].recovery = Some(Recovery::default());
        }
        self.silencer.tell(key);
        true
    }

    /// Where the life of an alert of our own stands.
    fn slot(&mut self, key: AlertKey) -> Option<&mut Option<Box<Life>>> {
        match key.subject {
            Subject::Network(network) => {
                let position = NETWORK_RULES.iter().position(|rule| rule.name == key.name)?;
                Some(self.networks.get_mut(network.index())?.lives.at(position))
            }
            Subject::Node(node) => {
                let position = NODE_RULES.iter().position(|rule| rule.name == key.name)?;
                Some(self.nodes.get_mut(node.index())?.lives.at(position))
            }
            Subject::Monitor if key == WATCHDOG => None,
            Subject::Monitor if key == FAILING => Some(&mut self.failing),
            Subject::Monitor | Subject::Vantage(_) => {
                if let Some(position) = MONITOR_ALERTS.iter().position(|own| *own == key) {
                    return Some(self.lives.at(position));
                }
                let vantage = (0..self.vantages.len()).find(|vantage| self.isolation(*vantage) == key)?;
                Some(&mut self.vantages[vantage].life)
            }
        }
    }
}

/// Where names stand in settings.
struct Places<'a> {
    settings: &'a Settings,
    networks: BTreeMap<&'a str, NetworkIndex>,
    nodes: BTreeMap<(NetworkIndex, &'a str), NodeIndex>,
}

impl<'a> Places<'a> {
    fn of(settings: &'a Settings) -> Self {
        let networks = (0..).map(NetworkIndex).zip(&settings.networks).map(|(index, network)| (&*network.name, index));
        let nodes = (0..).map(NodeIndex).zip(&settings.nodes).map(|(index, node)| ((node.network, &*node.name), index));
        Self { settings, networks: networks.collect(), nodes: nodes.collect() }
    }

    fn of_alert(&self, alert: &Announced) -> Option<AlertKey> {
        let network = |name: &Arc<str>| self.networks.get(&**name).copied();
        let (subject, scope, network) = match &alert.about {
            About::Monitor => (Subject::Monitor, Scope::Monitor, None),
            About::Vantage(name) => {
                let position = self.settings.vantages.iter().position(|vantage| vantage == name)?;
                (Subject::Vantage(VantageIndex(u16::try_from(position).ok()?)), Scope::Monitor, None)
            }
            About::Network(name) => (Subject::Network(network(name)?), Scope::Network, Some(name)),
            About::Node(above, name) => {
                let node = self.nodes.get(&(network(above)?, &**name))?;
                (Subject::Node(*node), Scope::Node, Some(above))
            }
        };
        let fits = |name: AlertName| name.as_str() == &*alert.name && name.scope() == scope;
        let rules = self.settings.rules.iter().filter(|rule| network.is_some_and(|network| rule.looks_at(network)));
        let mut names = AlertName::ALL.iter().copied().chain(rules.map(|rule| AlertName::Custom(rule.name)));
        Some(AlertKey { name: names.find(|name| fits(*name))?, subject })
    }
}

fn about(settings: &Settings, subject: Subject) -> About {
    let network = |index: NetworkIndex| Arc::clone(&settings.networks[index.index()].name);
    match subject {
        Subject::Monitor => About::Monitor,
        Subject::Vantage(vantage) => About::Vantage(Arc::clone(&settings.vantages[vantage.index()])),
        Subject::Network(index) => About::Network(network(index)),
        Subject::Node(index) => {
            let node = &settings.nodes[index.index()];
            About::Node(network(node.network), Arc::clone(&node.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::finding::Finding;

    /// One character a second: `.` clear, `?` unknown. Returns the second in which the rule is believed.
    fn believed(patience: u64, script: &str) -> Option<usize> {
        let mut trial = Trial::default();
        script.chars().enumerate().position(|(second, word)| {
            let now = Now { at: Timestamp(i64::try_from(second).unwrap() * 1000), ..Now::default() };
            let verdict = if word == '.' { Verdict::Clear } else { Verdict::Unknown };
            let doubted = trial.doubts(&verdict, Duration::from_secs(patience), &Timer::new(now));
            verdict == Verdict::Clear && !doubted
        })
    }

    #[test]
    fn a_rule_is_believed_when_it_has_been_clear_for_its_time_whatever_was_between() {
        assert_eq!(believed(0, "..."), Some(0));
        assert_eq!(believed(3, "......"), Some(3));
        assert_eq!(believed(3, "??.....?"), Some(5));
        assert_eq!(believed(3, "..????..."), Some(7));
        assert_eq!(believed(3, "????????"), None);
    }

    #[test]
    fn what_is_not_on_trial_and_what_holds_are_believed_at_once() {
        let timer = Timer::new(Now::default());
        let patience = Some(Duration::from_secs(9));
        assert_eq!(tried(None, Verdict::Clear, patience, &timer), Verdict::Clear);
        let alert = Announced {
            name: "NodeOffline".into(),
            about: About::Monitor,
            level: Level::L3,
            active_at: UnixTime::default(),
            fired_at: UnixTime::default(),
        };
        let mut life = Life::resumed(&alert, Now::default());
        assert_eq!(tried(Some(&mut life), Verdict::Clear, patience, &timer), Verdict::Unknown);
        let holds = Verdict::Holds(Finding::Alive);
        assert_eq!(tried(Some(&mut life), holds.clone(), patience, &timer), holds);
    }
}
