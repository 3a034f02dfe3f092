//! What became of every alert in the course of a story, and whether it is what was to come.

use std::{fmt, sync::Arc, time::Duration};

use super::{Expectation, Wanted, millis};
use crate::{
    engine::{
        settings::Settings,
        snapshot::{Alert, AlertKey, Effect, QuietChange, Subject},
    },
    model::{AlertName, Level},
};

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is told and not over.
    Firing,
    /// It fires and nobody is told, because another alert says more.
    Muted,
    /// It will be told if it lasts.
    Pending,
    /// It was told, and is over.
    Resolved,
    /// Nobody is told of it, whatever else.
    Quiet,
}

impl State {
    /// Every state that can be waited for.
    pub const ALL: [Self; 5] = [Self::Firing, Self::Muted, Self::Pending, Self::Resolved, Self::Quiet];

    /// The word used in stories.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Muted => "muted",
            Self::Pending => "pending",
            Self::Resolved => "resolved",
            Self::Quiet => "quiet",
        }
    }
}

/// How an alert stands from some moment on.
#[derive(Debug, Clone)]
pub struct Standing {
    at: i64,
    key: AlertKey,
    state: State,
    level: Level,
    reason: Arc<str>,
}

/// What did not come true, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The line of the file.
    pub line: usize,
    /// What was to be, and was not.
    pub what: String,
    /// What was instead, line by line.
    pub instead: Vec<String>,
}

/// Everything that became of alerts, in the order of time.
#[derive(Debug, Default)]
pub(super) struct Timeline(Vec<Standing>);

impl Timeline {
    /// Remembers a change.
    pub(super) fn note(&mut self, at: i64, effect: Effect) {
        let (alert, state) = match effect {
            Effect::Fired(alert) | Effect::Raised(alert) => (alert, State::Firing),
            Effect::Resolved(alert) => (alert, State::Resolved),
            Effect::Quiet(alert, QuietChange::Pended) => (alert, State::Pending),
            Effect::Quiet(alert, QuietChange::FiredMuted | QuietChange::FiredSilenced) => (alert, State::Muted),
            Effect::Quiet(alert, QuietChange::Withdrawn | QuietChange::EndedMuted) => (alert, State::Quiet),
            // A story is told in one go.
            Effect::Quiet(_, QuietChange::FoundAgain) | Effect::NodeState { .. } => return,
        };
        // The dead man's switch is no part of any story.
        if alert.key.name != AlertName::Watchdog {
            self.0.push(Standing::of(at, &alert, state));
        }
    }

    /// What is wrong, if what was expected is not so all the time.
    pub(super) fn check(&self, settings: &Settings, expected: &Expectation) -> Option<Failure> {
        let (from, until) = (millis(expected.from), millis(expected.until));
        let changes = self.0.iter().map(|standing| standing.at).filter(|at| (from + 1..=until).contains(at));
        let wrong_at = std::iter::once(from).chain(changes).find(|at| !self.holds(&expected.wanted, *at))?;
        let when = if wrong_at == from { at(wrong_at) } else { format!("{} (from {} on)", at(wrong_at), time(from)) };
        let mut instead = vec![self.told_at(settings, wrong_at)];
        let what = match &expected.wanted {
            Wanted::One { key, state, level, reason } => {
                instead.extend(self.course(*key));
                let more = [level.map(Level::as_str), reason.as_deref()].into_iter().flatten();
                let wanted = [state.as_str()].into_iter().chain(more).collect::<Vec<_>>().join(", ");
                let is =
                    self.standing(*key, wrong_at).map_or_else(|| "was never heard of".to_owned(), ToString::to_string);
                format!("{when} {} should be {wanted}; it {is}", title(settings, *key))
            }
            Wanted::Exactly(keys) => {
                let wanted: Vec<_> = keys.iter().map(|key| title(settings, *key)).collect();
                let wanted = if wanted.is_empty() { "nothing".to_owned() } else { wanted.join(", ") };
                format!("{when} exactly this should be told: {wanted}")
            }
        };
        Some(Failure { line: expected.line, what, instead })
    }

    fn holds(&self, wanted: &Wanted, at: i64) -> bool {
        match wanted {
            Wanted::One { key, state, level, reason } => {
                let standing = self.standing(*key, at);
                let is = match (state, standing.map(|it| it.state)) {
                    (State::Quiet, is) => is != Some(State::Firing),
                    (wanted, is) => is == Some(*wanted),
                };
                is && level.is_none_or(|level| standing.is_some_and(|it| it.level == level))
                    && reason.as_ref().is_none_or(|reason| standing.is_some_and(|it| it.reason == *reason))
            }
            Wanted::Exactly(keys) => {
                let told = self.told(at);
                told.len() == keys.len() && told.iter().all(|standing| keys.contains(&standing.key))
            }
        }
    }

    /// How an alert stands at a moment, after all that happened then.
    fn standing(&self, key: AlertKey, at: i64) -> Option<&Standing> {
        self.0.iter().rfind(|standing| standing.at <= at && standing.key == key)
    }

    /// Everything that is told and not over at a moment.
    fn told(&self, at: i64) -> Vec<&Standing> {
        let mut told: Vec<&Standing> = Vec::new();
        for standing in self.0.iter().filter(|standing| standing.at <= at) {
            told.retain(|it| it.key != standing.key);
            if standing.state == State::Firing {
                told.push(standing);
            }
        }
        told
    }

    fn told_at(&self, settings: &Settings, at: i64) -> String {
        let told = self.told(at);
        let shown = |it: &&Standing| format!("{} {} since {}", title(settings, it.key), it.level.as_str(), time(it.at));
        if told.is_empty() {
            return "nothing was told then".to_owned();
        }
        format!("told then: {}", told.iter().map(shown).collect::<Vec<_>>().join(", "))
    }

    /// Everything that became of one alert.
    fn course(&self, key: AlertKey) -> Option<String> {
        let course = self.0.iter().filter(|standing| standing.key == key);
        let shown: Vec<_> =
            course.map(|it| format!("{} {} ({})", it.state.as_str(), at(it.at), it.level.as_str())).collect();
        (!shown.is_empty()).then(|| format!("its course: {}", shown.join(", ")))
    }
}

impl Standing {
    fn of(at: i64, alert: &Alert, state: State) -> Self {
        Self { at, key: alert.key, state, level: alert.level, reason: Arc::from(alert.finding.reason()) }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is {}, {}, {}", self.state.as_str(), self.level.as_str(), self.reason)
    }
}

fn title(settings: &Settings, key: AlertKey) -> String {
    let subject = match key.subject {
        subject @ (Subject::Monitor | Subject::Vantage(_)) => settings.monitor_of(subject).to_owned(),
        Subject::Network(network) => settings.networks[network.index()].name.to_string(),
        Subject::Node(node) => {
            let node = &settings.nodes[node.index()];
            format!("{}/{}", settings.networks[node.network.index()].name, node.name)
        }
    };
    format!("{} {subject}", key.name.as_str())
}

fn at(ms: i64) -> String {
    format!("at {}", time(ms))
}

fn time(ms: i64) -> String {
    humantime::format_duration(Duration::from_millis(u64::try_from(ms).unwrap_or(0))).to_string()
}
