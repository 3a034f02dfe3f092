//! How one node looks from one vantage. A monitor may poll from several places, and what fails on the way from one of
//! them is no failure of the node: it fails only when every vantage that sees fails on it. A vantage that may be cut off
//! itself does not see, and neither does one that failed on the node while another still had its answers.

use std::{sync::Arc, time::Duration};

use super::{
    node::{BACK_OFF, Streak, fresh_for},
    settings::NodeSettings,
    window::{Failures, Latencies},
};
use crate::{
    model::Timestamp,
    observation::{ErrorKind, Meaning, PollError},
};

/// What one vantage knows of one node.
#[derive(Debug, Default)]
pub struct Eye {
    /// Whether the vantage may be cut off itself.
    pub blind: bool,
    /// When the last poll ended.
    pub last_poll: Option<Timestamp>,
    /// When a poll last said anything about the node: all but those that failed by our own fault.
    pub heard: Option<Timestamp>,
    /// When the last good answer came.
    pub good_at: Option<Timestamp>,
    /// The failure of the last poll, if it failed.
    pub error: Option<(ErrorKind, Arc<str>)>,
    /// The failures since the last good answer, if the last telling poll failed.
    pub streak: Option<Streak>,
    /// Durations of good polls.
    pub latencies: Latencies,
    /// Failed polls.
    pub failures: Failures,
}

/// What all vantages together know of a node.
#[derive(Debug, Default)]
pub struct Sum {
    /// When a poll last said anything.
    pub heard: Option<Timestamp>,
    /// How it fails, if it does.
    pub streak: Option<Streak>,
    /// How the last poll failed, if it did.
    pub error: Option<(ErrorKind, Arc<str>)>,
}

impl Eye {
    /// A good answer.
    pub fn answer(&mut self, at: Timestamp, elapsed: Duration) {
        (self.error, self.streak) = (None, None);
        (self.heard, self.good_at) = (Some(at), Some(at));
        self.failures.add(at, None);
        self.latencies.add(elapsed);
    }

    /// A failure; one by our own fault says nothing about the node.
    pub fn fail(&mut self, at: Timestamp, elapsed: Duration, error: &PollError) {
        self.error = Some((error.kind, Arc::clone(&error.detail)));
        let meaning = error.kind.meaning();
        if meaning == Meaning::Local {
            return;
        }
        self.heard = Some(at);
        self.failures.add(at, Some(error.kind));
        let began = at.before(elapsed);
        self.streak = Some(match self.streak {
            Some(streak) if streak.meaning == meaning => {
                Streak { attempts: streak.attempts.saturating_add(1), kind: error.kind, ..streak }
            }
            before => {
                let begun = before.map_or(began, |streak| streak.begun);
                Streak { meaning, since: began, begun, attempts: 1, kind: error.kind }
            }
        });
    }

    /// Failures told us nothing while the vantage was cut off: what was counting starts anew.
    pub fn forgive(&mut self, now: Timestamp) {
        if let Some(streak) = &mut self.streak {
            (streak.since, streak.begun) = (now, now);
            streak.attempts = 0;
        }
        self.failures.clear();
    }

    /// The vantage may have been cut off since `since`, and was not for long: the failures of that time do not count,
    /// and what was counting before goes on.
    pub fn excuse(&mut self, since: Timestamp, now: Timestamp) {
        if let Some(streak) = &mut self.streak {
            let excused = |from: Timestamp| from.after(now.since(from.max(since))).min(now);
            (streak.since, streak.begun) = (excused(streak.since), excused(streak.begun));
        }
        self.failures.drop_after(since);
    }

    /// Whether the last telling poll failed as if there were no network in between.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.streak.is_some_and(|streak| streak.meaning == Meaning::Absent && is_network_failure(streak.kind))
    }

    fn is_fresh(&self, settings: &NodeSettings, now: Timestamp) -> bool {
        let patience = if self.streak.is_some() { BACK_OFF } else { Duration::ZERO };
        self.heard.is_some_and(|heard| now < heard.after(fresh_for(settings)).after(patience))
    }
}

/// Failures that can have their cause on our side of the network.
fn is_network_failure(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(kind, K::Dns | K::Refused | K::Unreachable | K::Reset | K::Timeout | K::Tls)
}

/// The eyes whose word counts: those that see, or all where none does.
pub fn seeing(eyes: &[Eye]) -> impl Iterator<Item = &Eye> {
    let none = eyes.iter().all(|eye| eye.blind);
    eyes.iter().filter(move |eye| none || !eye.blind)
}

/// What all vantages together know: the best that any of them knows.
#[must_use]
pub fn sum(eyes: &[Eye], settings: &NodeSettings, now: Timestamp) -> Sum {
    if let [eye] = eyes {
        return Sum { heard: eye.heard, streak: eye.streak, error: eye.error.clone() };
    }
    let none = eyes.iter().all(|eye| eye.blind);
    let lost = eyes.iter().filter(|eye| eye.blind && !none).filter_map(|eye| eye.good_at).max();
    let good_at = eyes.iter().filter_map(|eye| eye.good_at).max();
    let witness = |eye: &&Eye| eye.streak.is_none_or(|streak| lost < Some(streak.begun));
    let best = seeing(eyes).filter(|eye| eye.is_fresh(settings, now)).filter(witness).max_by_key(|eye| {
        let (meaning, since) = (eye.streak.map(|streak| streak.meaning), eye.streak.map(|streak| streak.since));
        (meaning.is_none(), meaning != Some(Meaning::Absent), since, eye.heard)
    });
    let Some(best) = best else { return Sum::default() };
    let streak = best.streak.map(|streak| Streak {
        since: streak.since.max(good_at.unwrap_or(streak.since)),
        begun: streak.begun.max(good_at.unwrap_or(streak.begun)),
        ..streak
    });
    Sum { heard: best.heard, streak, error: best.error.clone() }
}
