//! Our own surroundings: canaries, and all nodes together. When nothing answers any more it is we who are cut off, and
//! our failures prove nothing about anybody. As soon as that is possible judgement is held back; when it has lasted it
//! is told.
//!
//! Without canaries only the silence of every node of at least two networks points at ourselves: one network's nodes
//! may well fail together; unless another vantage of ours gets answers all the while. Where canaries are silent too, a
//! node that was not asked meanwhile (one that limits us is left alone for long) is no witness that we are heard.

use std::{collections::BTreeMap, time::Duration};

use super::{
    alert::Life,
    settings::{CanarySettings, Settings},
    timer::Timer,
};
use crate::{
    model::{NetworkIndex, Timestamp},
    observation::CanaryObservation,
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

impl Outlook {
    /// What all vantages together see: as long as one is open we see.
    #[must_use]
    pub fn of(vantages: &[Surroundings]) -> Self {
        let outlooks = || vantages.iter().map(|vantage| vantage.outlook);
        let suspect = outlooks().find(|outlook| matches!(outlook, Self::Suspect { .. }));
        let since = |outlook| if let Self::CutOff { since } = outlook { Some(since) } else { None };
        if outlooks().any(|outlook| outlook == Self::Open) {
            return Self::Open;
        }
        suspect.or(outlooks().filter_map(since).max().map(|since| Self::CutOff { since })).unwrap_or_default()
    }
}

/// Everything remembered of the surroundings of one vantage.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The last probe of each of its canaries, by their position in the settings.
    canaries: BTreeMap<usize, Option<CanaryObservation>>,
    /// Nodes whose last word was silence, by network.
    pub silent: BTreeMap<NetworkIndex, usize>,
    /// When anything last answered.
    answered: Option<Timestamp>,
    /// What the last look around said.
    pub outlook: Outlook,
    /// The alert that says it is cut off.
    pub life: Option<Box<Life>>,
}

impl Surroundings {
    /// Surroundings of the vantage at this position, of which nothing is known yet.
    #[must_use]
    pub fn new(vantage: usize, settings: &Settings, now: Timestamp) -> Self {
        let own = settings.canaries.iter().enumerate().filter(|(_, canary)| canary.vantage.index() == vantage);
        Self { canaries: own.map(|(i, _)| (i, None)).collect(), answered: Some(now), ..Self::default() }
    }

    /// Takes in one probe, if it is one of this vantage.
    pub fn take(&mut self, now: Timestamp, observation: CanaryObservation) {
        let at = observation.at.min(now);
        let Some(canary) = self.canaries.get_mut(&observation.canary.index()) else { return };
        if canary.is_some_and(|before| at < before.at) {
            return;
        }
        *canary = Some(CanaryObservation { at, ..observation });
        if observation.reachable {
            self.answer(at);
        }
    }

    /// Takes over what was known, and of the canaries what was known of those that are still there.
    pub fn inherit(&mut self, old: Self, before: &[CanarySettings], now: &[CanarySettings]) {
        for (i, canary) in &mut self.canaries {
            let place = before.iter().position(|b| b.name == now[*i].name && b.vantage == now[*i].vantage);
            *canary = place.and_then(|place| old.canaries.get(&place).copied().flatten());
        }
        (self.answered, self.outlook, self.life) = (old.answered, old.outlook, old.life);
    }

    /// Something answered.
    pub fn answer(&mut self, at: Timestamp) {
        self.answered = self.answered.max(Some(at));
    }

    /// Counts a node that fell silent, or spoke again.
    pub fn count(&mut self, network: NetworkIndex, was_silent: bool, silent: bool) {
        let count = self.silent.entry(network).or_default();
        *count = (*count + usize::from(silent)).saturating_sub(usize::from(was_silent));
    }

    /// Whether all of so many nodes failed as if there were no network when they were last polled.
    #[must_use]
    pub fn all_silent(&self, nodes: usize) -> bool {
        0 < nodes && self.silent_nodes() == nodes
    }

    fn silent_nodes(&self) -> usize {
        self.silent.values().sum()
    }

    /// Whether the canary at this position in the settings answered its last probe, as far as that is fresh.
    #[must_use]
    pub fn canary(&self, position: usize, settings: &CanarySettings, timer: &Timer) -> Option<bool> {
        let canary = self.canaries.get(&position).copied().flatten();
        let canary = canary.filter(|canary| !timer.passed(canary.at.after(canary_fresh_for(settings))))?;
        Some(canary.reachable)
    }

    /// How many canaries it has.
    #[must_use]
    pub fn canaries(&self) -> usize {
        self.canaries.len()
    }

    /// Looks around; returns what the last look said. `silent` tells whether the last telling poll of every node failed
    /// as if there were no network, `contradicted` whether another vantage hears of them all the while.
    pub fn look(&mut self, settings: &Settings, silent: bool, contradicted: bool, timer: &Timer) -> Outlook {
        let mut probes = self.canaries.keys().map(|i| self.canary(*i, &settings.canaries[*i], timer));
        let canaries_silent = probes.all(|answer| answer == Some(false));
        let has_canaries = !self.canaries.is_empty();
        let telling = has_canaries || 2 <= self.silent.len() || contradicted;
        let since = self.answered.unwrap_or(timer.now().at);
        let lasts = || timer.passed(since.after(settings.isolated_after));
        let outlook = if silent && canaries_silent && telling {
            if lasts() { Outlook::CutOff { since } } else { Outlook::Suspect { since } }
        } else if has_canaries && canaries_silent && 0 < self.silent_nodes() && lasts() {
            // Whoever was asked since has not answered; the others said their last word before.
            Outlook::CutOff { since }
        } else {
            Outlook::Open
        };
        std::mem::replace(&mut self.outlook, outlook)
    }
}

fn canary_fresh_for(settings: &CanarySettings) -> Duration {
    settings.interval.saturating_mul(2).saturating_add(CANARY_SLACK)
}
