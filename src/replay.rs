//! Judges a recorded stream of observations with the engine, the rules and the defaults of the daemon, on the stream's
//! own time: what would have been announced, and when. Pure: lines in, alerts out.
//!
//! A stream is JSON lines. The first (`meta`) names networks and nodes, every other is a poll of a node (`sample`), a
//! probe of the surroundings (`canary`) or an announcement (`notice`). Lines come in the order of their time. `record`
//! writes such streams.

pub mod own;
pub mod record;

mod lines;
mod player;
mod recast;
mod stage;

use std::io::{self, BufRead};

pub use self::recast::recast;
use self::{
    lines::Lines,
    player::{Player, Wrong},
    stage::Stage,
};
use crate::{
    engine::{
        Engine,
        settings::Settings,
        snapshot::{Alert, Snapshot},
    },
    model::{Now, Timestamp, UnixTime},
};

/// The format that is read and written.
pub const SCHEMA: &str = "halt-replay/1";

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

/// How an alert changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It began, or an announced one has another level now.
    Fired,
    /// It ended.
    Resolved,
}

/// One announcement: what the daemon would have told the world.
#[derive(Debug)]
pub struct Told<'a> {
    /// When, on the clock of the stream.
    pub now: Now,
    /// What happened to the alert.
    pub change: Change,
    /// The alert.
    pub alert: &'a Alert,
    /// What its positions point into.
    pub settings: &'a Settings,
    engine: &'a Engine,
}

impl Told<'_> {
    /// Everything the engine knew at that moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now)
    }
}

/// How a replay ended.
#[derive(Debug)]
pub struct End {
    /// Everything the engine knew at the last line.
    pub snapshot: Snapshot,
    /// When a verdict could have changed next though nothing was heard.
    pub wake_at: Option<Timestamp>,
    /// The number of the last line, if that is only the beginning of one.
    pub cut_at: Option<usize>,
}

/// Replays the stream that `input` gives and hands every announcement to `tell`, in the order of time. `cast` sees the
/// settings that the stream describes before anything is judged, and may change all but the places in them.
///
/// # Errors
/// [`ReplayError`] for the first line that is wrong, or what `tell` returns.
pub fn replay<E: From<ReplayError>>(
    input: impl BufRead,
    cast: impl FnOnce(&Settings) -> Settings,
    mut tell: impl FnMut(&Told<'_>) -> Result<(), E>,
) -> Result<End, E> {
    let mut lines = Lines::of(input);
    let meta = lines.meta()?;
    let stage = Stage::set(&meta).map_err(|problem| lines.wrong(&problem))?;
    let settings = cast(&stage.settings);
    let mut player = Player::new(stage, settings, UnixTime::from_millis(meta.wall0));
    while let Some(record) = lines.record()? {
        player.play(&record, &mut tell).map_err(|wrong| match wrong {
            Wrong::Record(problem) => E::from(lines.wrong(&problem)),
            Wrong::Telling(error) => error,
        })?;
    }
    Ok(End { snapshot: player.snapshot(), wake_at: player.wake_at(), cut_at: lines.cut_at() })
}
