//! The engine on the time of the stream.

use std::sync::Arc;

use super::{Change, Told, record::Record, stage::Stage};
use crate::{
    engine::{
        Engine,
        settings::Settings,
        snapshot::{Effect, Snapshot},
    },
    model::{Now, Timestamp, UnixTime},
    observation::Observation,
};

/// Lines that are taken in together at the most: more than the queue of the daemon holds.
const TOGETHER: usize = 65_536;

/// What can go wrong with one record.
pub enum Wrong<E> {
    /// The record.
    Record(String),
    /// Whoever is told.
    Telling(E),
}

/// The engine on the time of the stream.
pub struct Player {
    stage: Stage,
    settings: Arc<Settings>,
    engine: Engine,
    now: Now,
    wake_at: Option<Timestamp>,
    /// When the last line was written: a monitor that runs writes the next one soon.
    heard: Timestamp,
    /// What the monitor took in together with the line that is still to come.
    together: Vec<Observation>,
}

impl Player {
    /// An engine that judges under `settings`, whose places are those of the stage.
    pub fn new(stage: Stage, settings: Settings, wall: UnixTime) -> Self {
        let now = Now { at: Timestamp(0), wall };
        let settings = Arc::new(settings);
        let engine = Engine::new(Arc::clone(&settings), now);
        Self { engine, stage, settings, now, wake_at: None, heard: now.at, together: Vec::new() }
    }

    /// Lets everything happen that is due before the record, then what the record says.
    pub fn play<E>(
        &mut self,
        record: &Record,
        tell: &mut impl FnMut(&Told<'_>) -> Result<(), E>,
    ) -> Result<(), Wrong<E>> {
        if record.t < self.now.at.0 {
            return Err(Wrong::Record(format!("the time {} is before that of an earlier line", record.t)));
        }
        let Some(observation) = self.stage.observation(record).map_err(Wrong::Record)? else { return Ok(()) };
        let at = Timestamp(record.t);
        // Every poll ends in an answer or a failure. Without any line the monitor itself stood still, and decided
        // nothing: the engine notices when it goes on.
        let awake_until = self.heard.after(self.stage.longest_silence());
        self.heard = at;
        while let Some(due) = self.wake_at.filter(|due| *due < at && *due <= awake_until) {
            let wall = self.now.wall_at(due);
            self.step(Now { at: due, wall }, &[], tell).map_err(Wrong::Telling)?;
        }
        self.together.push(observation);
        if bool::from(record.more) && self.together.len() < TOGETHER {
            return Ok(());
        }
        let wall = record.w.map_or_else(|| self.now.wall_at(at), UnixTime::from_millis);
        let observations = std::mem::take(&mut self.together);
        self.step(Now { at, wall }, &observations, tell).map_err(Wrong::Telling)
    }

    /// The picture at the end.
    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now)
    }

    /// When a verdict can change though nothing is heard.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.wake_at
    }

    fn step<E>(
        &mut self,
        now: Now,
        observations: &[Observation],
        tell: &mut impl FnMut(&Told<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.now = now;
        let outcome = self.engine.step(now, observations);
        self.wake_at = outcome.wake_at;
        for effect in &outcome.effects {
            let (change, alert) = match effect {
                Effect::Fired(alert) | Effect::Raised(alert) => (Change::Fired, alert),
                Effect::Resolved(alert) => (Change::Resolved, alert),
                Effect::Quiet(..) | Effect::NodeState { .. } => continue,
            };
            tell(&Told { now, change, alert, settings: &self.settings, engine: &self.engine })?;
        }
        Ok(())
    }
}
