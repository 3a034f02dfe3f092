//! Judges a recorded stream of observations with the engine, the rules and the defaults of the daemon, on the stream's
//! own time: what would have been announced, and when. Pure: lines in, alerts out.
//!
//! A stream is JSON lines. The first (`meta`) names networks and nodes, every other is a poll of a node (`sample`), a
//! probe of the surroundings (`canary`) or an announcement (`notice`). Lines come in the order of their time.

mod record;
mod stage;

use std::{
    io::{self, BufRead, Read},
    sync::Arc,
};

use self::{
    record::{Meta, Record},
    stage::Stage,
};
use crate::{
    engine::{
        Engine,
        settings::Settings,
        snapshot::{Alert, Effect},
    },
    model::{Now, Timestamp, UnixTime},
};

/// Longest line of a stream in bytes.
const LINE_BYTES: u64 = 1024 * 1024;

/// Why a stream cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The stream cannot be read.
    #[error("the stream cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A line is not what it has to be.
    #[error("line {line}: {problem}")]
    Line {
        /// 1-based.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// One announcement: what the daemon would have told the world.
#[derive(Debug)]
pub struct Told<'a> {
    /// When, on the clock of the stream in milliseconds.
    pub at: i64,
    /// Whether the alert began, or got louder; else it ended.
    pub fired: bool,
    /// The alert.
    pub alert: &'a Alert,
    /// What its positions point into.
    pub settings: &'a Settings,
}

/// Replays the stream that `input` gives and hands every announcement to `tell`, in the order of time.
///
/// # Errors
/// [`ReplayError`] for the first line that is wrong, or what `tell` returns.
pub fn replay<E: From<ReplayError>>(
    input: impl BufRead,
    mut tell: impl FnMut(&Told<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut lines = Lines { input, number: 0, text: String::new() };
    let Some(meta) = lines.next::<Meta>()? else {
        return Err(lines.wrong("the stream is empty").into());
    };
    let stage = Stage::set(&meta).map_err(|problem| lines.wrong(&problem))?;
    let mut player = Player::new(stage, UnixTime::from_millis(meta.wall0));
    while let Some(record) = lines.next::<Record>()? {
        player.play(&record, &mut tell).map_err(|wrong| match wrong {
            Wrong::Record(problem) => E::from(lines.wrong(&problem)),
            Wrong::Telling(error) => error,
        })?;
    }
    Ok(())
}

/// The lines of a stream.
struct Lines<R> {
    input: R,
    number: usize,
    text: String,
}

impl<R: BufRead> Lines<R> {
    /// The next line that is not empty.
    fn next<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, ReplayError> {
        loop {
            self.text.clear();
            self.number += 1;
            if (&mut self.input).take(LINE_BYTES).read_line(&mut self.text)? == 0 {
                return Ok(None);
            }
            if !self.text.trim().is_empty() {
                break;
            }
        }
        serde_json::from_str(&self.text).map(Some).map_err(|error| self.wrong(&error.to_string()))
    }

    fn wrong(&self, problem: &str) -> ReplayError {
        ReplayError::Line { line: self.number, problem: problem.to_owned() }
    }
}

/// What can go wrong with one record.
enum Wrong<E> {
    Record(String),
    Telling(E),
}

/// The engine on the time of the stream.
struct Player {
    stage: Stage,
    settings: Arc<Settings>,
    engine: Engine,
    now: Now,
    wake_at: Option<Timestamp>,
    /// When the last line was written: a monitor that runs writes the next one soon.
    heard: Timestamp,
}

impl Player {
    fn new(stage: Stage, wall: UnixTime) -> Self {
        let now = Now { at: Timestamp(0), wall };
        let settings = Arc::new(stage.settings.clone());
        Self { engine: Engine::new(Arc::clone(&settings), now), stage, settings, now, wake_at: None, heard: now.at }
    }

    /// Lets everything happen that is due before the record, then what the record says.
    fn play<E>(&mut self, record: &Record, tell: &mut impl FnMut(&Told<'_>) -> Result<(), E>) -> Result<(), Wrong<E>> {
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
        let wall = record.w.map_or_else(|| self.now.wall_at(at), UnixTime::from_millis);
        self.step(Now { at, wall }, &[observation], tell).map_err(Wrong::Telling)
    }

    fn step<E>(
        &mut self,
        now: Now,
        observations: &[crate::observation::Observation],
        tell: &mut impl FnMut(&Told<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.now = now;
        let outcome = self.engine.step(now, observations);
        self.wake_at = outcome.wake_at;
        for effect in &outcome.effects {
            let (fired, alert) = match effect {
                Effect::Fired(alert) | Effect::Raised(alert) => (true, alert),
                Effect::Resolved(alert) => (false, alert),
                Effect::Quiet(..) | Effect::NodeState { .. } => continue,
            };
            tell(&Told { at: now.at.0, fired, alert, settings: &self.settings })?;
        }
        Ok(())
    }
}
