//! Plays a story: polls and probes at their times, and the engine stepped when something is heard or when it asked to be.

use std::{fmt, sync::Arc, time::Duration};

use fastrand::Rng;
use haltwatch::{
    engine::{
        Engine,
        snapshot::{Alert, AlertKey, Effect, Subject},
    },
    model::{AlertName, CanaryIndex, Level, NodeIndex, Now, Timestamp, UnixTime, VantageIndex},
    observation::{CanaryObservation, NodeObservation, Observation, PollError},
};

use crate::{
    fault::Kind,
    story::Story,
    truth::{Truth, WALL},
};

/// How far the monitor's own clock is set.
const CLOCK_SET_MS: i64 = 3_600_000;

/// How the engine is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As the daemon does.
    Plain,
    /// Stepped also when there is no reason to.
    Restless,
    /// Given the same settings anew in the middle.
    Reloaded,
    /// Killed in the middle of faults, and made anew with nothing but what was announced.
    Killed,
}

/// An announcement.
#[derive(Debug, Clone)]
pub struct Told {
    pub ms: i64,
    /// Whether it began (or got louder); else it ended.
    pub fired: bool,
    pub key: AlertKey,
    pub level: Level,
    title: String,
}

impl Told {
    /// Whether somebody is woken.
    pub fn is_loud(&self) -> bool {
        matches!(self.level, Level::L1 | Level::L2)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.fired { "fires" } else { "ends" };
        write!(f, "{:>8} {verb} {} {}", self.ms, self.title, self.level.as_str())
    }
}

/// The numbers in the text may differ by when they were last looked at; what is told, and when, may not.
impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        (self.ms, self.fired, self.key, self.level) == (other.ms, other.fired, other.key, other.level)
    }
}

/// What came of a story.
#[derive(Debug, Default)]
pub struct Played {
    pub told: Vec<Told>,
    /// What still fires at the end, by the engine's own picture.
    pub firing: Vec<(AlertKey, Level)>,
    /// What must never happen, whatever the story.
    pub faults: Vec<String>,
}

/// Plays a story to its end.
pub fn play(story: &Story, manner: Manner) -> Played {
    let mut stage = Stage::new(story, manner);
    while let Some(ms) = stage.next().filter(|ms| *ms < story.end()) {
        stage.turn(ms);
    }
    stage.finish()
}

struct Stage<'s> {
    story: &'s Story,
    truth: Truth<'s>,
    manner: Manner,
    engine: Engine,
    polls: Vec<(i64, u64)>,
    probes: i64,
    wake: Option<i64>,
    restless: Option<i64>,
    reload: Option<i64>,
    /// When it is killed, the next time last.
    deaths: Vec<i64>,
    rng: Rng,
    played: Played,
}

impl<'s> Stage<'s> {
    fn new(story: &'s Story, manner: Manner) -> Self {
        let mut rng = Rng::with_seed(story.seed ^ 0xACE);
        let first = rng.i64(0..story.poll_ms);
        let mut begin = || if story.in_chorus { first } else { rng.i64(0..story.poll_ms) };
        let polls = story.settings.nodes.iter().map(|_| (begin(), 0)).collect();
        let now = Now { at: Timestamp(0), wall: UnixTime::from_millis(WALL) };
        Self {
            story,
            truth: Truth::of(story),
            manner,
            engine: Engine::new(Arc::new(story.settings.clone()), now),
            polls,
            probes: 70,
            wake: None,
            restless: (manner == Manner::Restless).then_some(100),
            reload: (manner == Manner::Reloaded).then_some(story.end() / 2),
            deaths: if manner == Manner::Killed { deaths(story) } else { Vec::new() },
            rng,
            played: Played::default(),
        }
    }

    /// The time of the next thing to do. While the monitor is paused it does nothing.
    fn next(&self) -> Option<i64> {
        let polls = self.polls.iter().map(|(at, _)| *at);
        polls.chain([self.probes]).chain(self.wake).chain(self.restless).chain(self.reload).min()
    }

    fn turn(&mut self, ms: i64) {
        let pause = self.story.faults.iter().find(|fault| fault.kind == Kind::Paused && fault.lasts_at(ms));
        let ms = pause.map_or(ms, |pause| pause.until);
        let mut observations: Vec<Observation> = Vec::new();
        for position in 0..self.polls.len() {
            if self.polls[position].0 <= ms {
                observations.push(self.poll(position, ms));
            }
        }
        if self.probes <= ms {
            observations.extend(self.probe(ms));
            self.probes = ms + self.story.poll_ms;
        }
        self.restless = self.restless.map(|at| if at <= ms { ms + 137 } else { at });
        if self.reload.is_some_and(|at| at <= ms) {
            self.reload = None;
            self.reconfigure(ms);
        }
        if self.deaths.last().is_some_and(|at| *at <= ms) {
            self.deaths.pop();
            self.die(ms);
        }
        self.step(ms, &observations);
    }

    fn poll(&mut self, position: usize, ms: i64) -> Observation {
        let (_, poll) = self.polls[position];
        let pace = i64::try_from(self.story.settings.nodes[position].interval.as_millis()).unwrap();
        let wavers = if self.story.in_chorus { 0 } else { self.rng.i64(-pace / 33..=pace / 33) };
        self.polls[position] = (ms + pace + wavers, poll + 1);
        let outcome = self.truth.answer(position, poll, ms).map(Arc::new).map_err(|kind| PollError::new(kind, ""));
        Observation::Node(NodeObservation {
            node: NodeIndex(u32::try_from(position).unwrap()),
            vantage: VantageIndex::default(),
            at: Timestamp(ms),
            elapsed: Duration::from_millis(40),
            outcome,
        })
    }

    fn probe(&self, ms: i64) -> Vec<Observation> {
        let cut = self.story.faults.iter().any(|fault| fault.kind == Kind::CutOff && fault.lasts_at(ms));
        let canaries = 0..u32::try_from(self.story.settings.canaries.len()).unwrap();
        let probe = |canary| CanaryObservation { canary: CanaryIndex(canary), at: Timestamp(ms), reachable: !cut };
        canaries.map(|canary| Observation::Canary(probe(canary))).collect()
    }

    fn now(&self, ms: i64) -> Now {
        let set = self.story.faults.iter().filter(|fault| fault.kind == Kind::ClockSet && fault.from <= ms);
        let off = set.map(|_| CLOCK_SET_MS).sum::<i64>();
        Now { at: Timestamp(ms), wall: UnixTime::from_millis(WALL + ms + off) }
    }

    fn step(&mut self, ms: i64, observations: &[Observation]) {
        let outcome = self.engine.step(self.now(ms), observations);
        if outcome.wake_at.is_some_and(|at| at.0 <= ms) {
            self.played.faults.push(format!("at {ms} it wants to be woken at {:?}", outcome.wake_at));
        }
        self.wake = outcome.wake_at.map(|at| at.0);
        for effect in &outcome.effects {
            match effect {
                Effect::Fired(alert) | Effect::Raised(alert) => self.tell(ms, true, alert),
                Effect::Resolved(alert) => self.tell(ms, false, alert),
                Effect::Quiet(..) | Effect::NodeState { .. } => {}
            }
        }
    }

    fn tell(&mut self, ms: i64, fired: bool, alert: &Alert) {
        if alert.key.name == AlertName::Watchdog {
            return;
        }
        let settings = &self.story.settings;
        let subject = match alert.key.subject {
            Subject::Monitor | Subject::Vantage(_) => &settings.monitor,
            Subject::Network(network) => &settings.networks[network.index()].name,
            Subject::Node(node) => &settings.nodes[node.index()].name,
        };
        let title = format!("{} {subject}: {}", alert.key.name.as_str(), alert.finding);
        self.played.told.push(Told { ms, fired, key: alert.key, level: alert.level, title });
    }

    fn die(&mut self, ms: i64) {
        let (known, now) = (self.engine.announced(), self.now(ms));
        self.engine = Engine::new(Arc::new(self.story.settings.clone()), now);
        if !self.engine.resume(&known, now).is_empty() || self.engine.announced() != known {
            self.played.faults.push(format!("at {ms} not all of {known:?} goes on"));
        }
    }

    fn reconfigure(&mut self, ms: i64) {
        let now = self.now(ms);
        let engine = std::mem::replace(&mut self.engine, Engine::new(Arc::default(), now));
        let (engine, outcome) = engine.reconfigured(Arc::new(self.story.settings.clone()), now);
        self.engine = engine;
        if !outcome.effects.is_empty() {
            self.played.faults.push(format!("a reload that changes nothing told {:?}", outcome.effects));
        }
    }

    fn finish(mut self) -> Played {
        let snapshot = self.engine.snapshot(self.now(self.story.end()));
        let firing = snapshot.alerts.iter().filter(|alert| alert.fired_at.is_some());
        self.played.firing = firing.map(|alert| (alert.key, alert.level)).collect();
        let _ = self.manner;
        self.played
    }
}

/// When it dies, the next time last.
fn deaths(story: &Story) -> Vec<i64> {
    let mut deaths: Vec<i64> = story.faults.iter().map(|fault| fault.from.midpoint(fault.until)).collect();
    deaths.sort_unstable_by(|a, b| b.cmp(a));
    deaths
}
