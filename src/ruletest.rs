//! Tests of rules: a story says in a few lines what nodes answer in the course of time, and which alerts are to be told
//! when. The engine of the daemon judges it, on simulated time. Pure: a story in, what did not come true out.

mod cast;
mod series;
mod timeline;

use std::{sync::Arc, time::Duration};

use self::{cast::Cast, timeline::Timeline};
pub use self::{
    cast::{Answer, Branch, NodePart},
    series::{Numbers, Words},
    timeline::{Failure, Standing, State},
};
use crate::{
    engine::{Engine, settings::Settings, snapshot::AlertKey},
    model::{Level, NetworkIndex, Now, PlannedHalt, Timestamp, UnixTime},
    observation::{Notice, Observation},
};

/// The wall clock at the beginning of every story: 2026-01-01T00:00:00Z.
const BEGINNING_MS: i64 = 1_767_225_600_000;

/// Moments at which nodes are polled in one story.
pub const MAX_TICKS: u64 = 1_000_000;

/// A story that does not come true is played on for so long, to say of what did not come in time when it comes.
const AFTERWARDS: Duration = Duration::from_secs(600);

/// What happens, and what is to be told.
#[derive(Debug, Clone)]
pub struct Story {
    /// The networks and nodes, and the thresholds they are judged by.
    pub settings: Settings,
    /// Time between two polls of a node: each value of a series is for one of them.
    pub every: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What each node says, parallel to `settings.nodes`.
    pub nodes: Vec<NodePart>,
    /// How old the first block of each network is when the story begins, parallel to `settings.networks`.
    pub head_age: Vec<Duration>,
    /// What happens to the monitor.
    pub monitor: MonitorPart,
    /// Halts that are announced in its course.
    pub notices: Vec<(Duration, NetworkIndex, PlannedHalt)>,
    /// What is to come true.
    pub expectations: Vec<Expectation>,
}

/// What happens to the monitor.
#[derive(Debug, Clone, Default)]
pub struct MonitorPart {
    /// Whether canaries answer; they do where nothing is said.
    pub canaries: Words<bool>,
    /// How many seconds its wall clock is ahead.
    pub clock: Numbers,
    /// Whether it runs at all; it does where nothing is said.
    pub runs: Words<bool>,
}

/// What is to come true.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The line of the file, for whoever reads that it did not.
    pub line: usize,
    /// From then on ...
    pub from: Duration,
    /// ... until then, or at one moment if that is the same.
    pub until: Duration,
    /// What is to be so.
    pub wanted: Wanted,
}

/// What is to be so.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// One alert is in this state; if a level or a reason is given, with that.
    One {
        /// Which.
        key: AlertKey,
        /// How it stands.
        state: State,
        /// How loud it is.
        level: Option<Level>,
        /// Why it is.
        reason: Option<Arc<str>>,
    },
    /// Exactly these are told, and no other.
    Exactly(Vec<AlertKey>),
}

/// Plays a story and returns what did not come true.
#[must_use]
pub fn play(story: &Story) -> Vec<Failure> {
    let failures = |story: &Story| -> Vec<Failure> {
        let timeline = Player::new(story).play();
        story.expectations.iter().filter_map(|wanted| timeline.check(&story.settings, wanted)).collect()
    };
    if failures(story).is_empty() {
        return Vec::new();
    }
    failures(&Story { lasts: story.lasts.saturating_add(AFTERWARDS), ..story.clone() })
}

/// The engine on the time of the story.
struct Player<'s> {
    story: &'s Story,
    engine: Engine,
    cast: Cast<'s>,
    timeline: Timeline,
    wake_at: Option<Timestamp>,
    /// How far ahead the monitor's wall clock is, in milliseconds.
    clock_ms: i64,
}

impl<'s> Player<'s> {
    fn new(story: &'s Story) -> Self {
        let now = Now { at: Timestamp(0), wall: wall_at(0, 0) };
        let engine = Engine::new(Arc::new(story.settings.clone()), now);
        Self { story, engine, cast: Cast::of(story), timeline: Timeline::default(), wake_at: None, clock_ms: 0 }
    }

    fn play(mut self) -> Timeline {
        let story = self.story;
        let mut notices: Vec<_> = story.notices.iter().collect();
        notices.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        for tick in 0..ticks(story) {
            let at = millis(story.every.saturating_mul(u32::try_from(tick).unwrap_or(u32::MAX)));
            let truth = wall_at(at, 0);
            let mut observations = self.cast.observe(tick, Timestamp(at), truth);
            if !story.monitor.runs.at(tick).copied().unwrap_or(true) {
                self.wake_at = None;
                continue;
            }
            while notices.last().is_some_and(|(due, ..)| millis(*due) <= at) {
                observations.extend(notices.pop().map(|(_, network, planned)| announced(*network, planned)));
            }
            self.wake_until(at);
            let ahead = story.monitor.clock.at(tick).unwrap_or_default().saturating_mul(1000);
            self.clock_ms = i64::try_from(ahead).unwrap_or(i64::MAX);
            self.step(at, &observations);
        }
        self.wake_until(millis(story.lasts).saturating_add(1));
        self.timeline
    }

    /// Does what is due before `at` though nothing is heard.
    fn wake_until(&mut self, at: i64) {
        while let Some(due) = self.wake_at.filter(|due| due.0 < at) {
            self.step(due.0, &[]);
        }
    }

    fn step(&mut self, at: i64, observations: &[Observation]) {
        let now = Now { at: Timestamp(at), wall: wall_at(at, self.clock_ms) };
        let outcome = self.engine.step(now, observations);
        self.wake_at = outcome.wake_at;
        outcome.effects.into_iter().for_each(|effect| self.timeline.note(at, effect));
    }
}

/// How often every node is polled.
#[must_use]
pub fn ticks(story: &Story) -> u64 {
    let every = story.every.as_millis().max(1);
    u64::try_from(story.lasts.as_millis() / every).unwrap_or(MAX_TICKS).saturating_add(1).min(MAX_TICKS)
}

fn announced(network: NetworkIndex, planned: &PlannedHalt) -> Observation {
    Observation::Notice(Notice { network, planned: planned.clone() })
}

fn wall_at(at: i64, ahead_ms: i64) -> UnixTime {
    UnixTime::from_millis(BEGINNING_MS.saturating_add(at).saturating_add(ahead_ms))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
