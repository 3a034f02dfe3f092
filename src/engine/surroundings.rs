//! Our own surroundings: canaries, and all nodes together. When nothing answers any more it is we who are cut off, and
//! our failures prove nothing about anybody. As soon as that is possible judgement is held back; when it has lasted it
//! is told.
//!
//! Without canaries only the silence of every node of at least two networks points at ourselves: one network's nodes
//! may well fail together.

use std::time::Duration;

use super::{
    node::Node,
    settings::{CanarySettings, Settings},
    timer::Timer,
};
use crate::{
    model::Timestamp,
    observation::{CanaryObservation, ErrorKind, Meaning},
};

/// A canary's last probe counts for two intervals and this long.
const CANARY_SLACK: Duration = Duration::from_secs(30);

/// Whether what we hear can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outlook {
    /// Somebody answers.
    #[default]
    Open,
    /// Nobody has answered since, for less than `isolated_after`.
    Suspect {
        /// When the last answer came.
        since: Timestamp,
    },
    /// Nobody has answered since, for so long that we are cut off.
    CutOff {
        /// When the last answer came.
        since: Timestamp,
    },
}

/// Everything remembered of our surroundings.
#[derive(Debug, Default)]
pub struct Surroundings {
    canaries: Vec<Option<CanaryObservation>>,
    /// When anything last answered.
    answered: Option<Timestamp>,
    /// What the last look around said.
    pub outlook: Outlook,
}

impl Surroundings {
    /// Surroundings of which nothing is known yet.
    #[must_use]
    pub fn new(canaries: usize, now: Timestamp) -> Self {
        Self { canaries: vec![None; canaries], answered: Some(now), ..Self::default() }
    }

    /// Takes in one probe.
    pub fn take(&mut self, now: Timestamp, observation: CanaryObservation) {
        let at = observation.at.min(now);
        let Some(canary) = self.canaries.get_mut(observation.canary.index()) else { return };
        if canary.is_some_and(|before| at < before.at) {
            return;
        }
        *canary = Some(CanaryObservation { at, ..observation });
        if observation.reachable {
            self.answer(at);
        }
    }

    /// Takes over what was known of the canaries that are still there.
    pub fn inherit(&mut self, old: &Self, before: &[CanarySettings], now: &[CanarySettings]) {
        self.answered = old.answered;
        self.outlook = old.outlook;
        for (canary, settings) in self.canaries.iter_mut().zip(now) {
            *canary = before.iter().position(|b| b.name == settings.name).and_then(|i| old.canaries[i]);
        }
    }

    /// Something answered.
    pub fn answer(&mut self, at: Timestamp) {
        self.answered = self.answered.max(Some(at));
    }

    /// Whether each canary answered its last probe, as far as that is fresh.
    pub fn canaries<'a>(
        &'a self,
        settings: &'a [CanarySettings],
        timer: &'a Timer,
    ) -> impl Iterator<Item = Option<bool>> + 'a {
        self.canaries.iter().zip(settings).map(move |(canary, settings)| {
            let canary = canary.filter(|canary| !timer.passed(canary.at.after(canary_fresh_for(settings))))?;
            Some(canary.reachable)
        })
    }

    /// Looks around. `silent` tells whether the last telling poll of every node failed as if there were no network.
    pub fn look(&mut self, settings: &Settings, silent: bool, timer: &Timer) -> Outlook {
        let now = timer.now().at;
        let canaries_silent = self.canaries(&settings.canaries, timer).all(|answer| answer == Some(false));
        let since = self.answered.unwrap_or(now);
        self.outlook = if !silent || !canaries_silent {
            Outlook::Open
        } else if timer.passed(since.after(settings.isolated_after)) {
            Outlook::CutOff { since }
        } else {
            Outlook::Suspect { since }
        };
        self.outlook
    }
}

fn canary_fresh_for(settings: &CanarySettings) -> Duration {
    settings.interval.saturating_mul(2).saturating_add(CANARY_SLACK)
}

/// Whether a node's last telling poll failed as if there were no network between us.
#[must_use]
pub fn is_silent(node: &Node) -> bool {
    node.streak.is_some_and(|streak| streak.meaning == Meaning::Absent && is_network_failure(streak.kind))
}

/// Failures that can have their cause on our side of the network.
fn is_network_failure(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(kind, K::Dns | K::Refused | K::Unreachable | K::Reset | K::Timeout | K::Tls)
}
