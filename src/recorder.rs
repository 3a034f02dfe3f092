//! Writes down what was observed, as streams that `replay` judges again: an outage can be played under other thresholds,
//! or sent to somebody else. Every file begins with its own first line, so each replays by itself. Names of nodes go
//! into it, never their URLs.

mod line;
mod roll;

use std::{io, path::PathBuf, sync::Arc};

use self::{line::Scene, roll::Roll};
use crate::{
    engine::settings::Settings as Cast,
    model::Now,
    observation::{Notice, Observation},
};

/// Announcements that are written again at the beginning of every file; of more the oldest are left out.
const MAX_NOTICES: usize = 256;

/// Where and how much is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The newest file; older ones stand beside it with `.1`, `.2` ... at their ends.
    pub file: PathBuf,
    /// Size in bytes beyond which another file is begun.
    pub max_size: u64,
    /// Files kept in all.
    pub keep: u32,
}

impl Settings {
    /// Size of a file, unless another is wished for.
    pub const MAX_SIZE: u64 = 64 << 20;
    /// Files in all, unless another number is wished for.
    pub const KEEP: u32 = 8;
}

/// What the monitor took in at one moment.
#[derive(Debug, Clone)]
pub struct Step {
    /// What the places in the observations point into.
    pub cast: Arc<Cast>,
    /// The moment.
    pub now: Now,
    /// What was observed up to then.
    pub observations: Vec<Observation>,
}

/// The recording.
#[derive(Debug)]
pub struct Recorder {
    roll: Roll,
    /// What the file describes; `None` = nothing yet.
    scene: Option<Scene>,
    started: Option<Now>,
    notices: Vec<Notice>,
    lines: Vec<u8>,
}

impl Recorder {
    /// A recording that begins at `now`. A file of an earlier one is moved aside, not written to.
    ///
    /// # Errors
    /// If the file cannot be had.
    pub fn open(settings: &Settings, now: Now) -> io::Result<Self> {
        let roll = Roll::open(settings)?;
        Ok(Self { roll, scene: None, started: Some(now), notices: Vec::new(), lines: Vec::new() })
    }

    /// Writes these steps down; after that they are in the file.
    ///
    /// # Errors
    /// What keeps them from being written, such as a disk that is full. The file then ends with the last whole line
    /// before them, and the next step begins another one.
    pub fn write(&mut self, steps: &[Step]) -> io::Result<()> {
        let written = steps.iter().try_for_each(|step| self.take(step)).and_then(|()| self.flush());
        if written.is_err() {
            self.lines.clear();
            self.scene = None;
        }
        written
    }

    fn take(&mut self, step: &Step) -> io::Result<()> {
        if step.observations.is_empty() {
            return Ok(());
        }
        if self.roll.is_full(self.lines.len()) {
            self.flush()?;
            self.scene = None;
        }
        let scene = match self.scene.take() {
            Some(scene) if Arc::ptr_eq(&scene.cast, &step.cast) => scene,
            // After most reloads the file would begin in the same way: then it goes on.
            Some(scene) if scene.with(&step.cast).opening() == scene.opening() => scene.with(&step.cast),
            _ => self.begin(step)?,
        };
        for (n, observation) in step.observations.iter().enumerate() {
            let more = n + 1 < step.observations.len();
            scene.observation(&mut self.lines, step.now, observation, more);
            if let Observation::Notice(notice) = observation {
                self.remember(notice);
            }
        }
        self.scene = Some(scene);
        Ok(())
    }

    /// Begins a file: its first line, and all that is announced.
    fn begin(&mut self, step: &Step) -> io::Result<Scene> {
        self.flush()?;
        self.roll.begin()?;
        let scene = Scene { cast: Arc::clone(&step.cast), origin: self.started.take().unwrap_or(step.now) };
        self.lines.extend(scene.opening());
        self.notices.retain(|notice| notice.network.index() < step.cast.networks.len());
        self.notices.iter().for_each(|notice| scene.notice(&mut self.lines, scene.origin, notice, false));
        Ok(scene)
    }

    fn remember(&mut self, notice: &Notice) {
        if self.notices.contains(notice) {
            return;
        }
        if self.notices.len() == MAX_NOTICES {
            self.notices.remove(0);
        }
        self.notices.push(notice.clone());
    }

    fn flush(&mut self) -> io::Result<()> {
        self.roll.append(&self.lines)?;
        self.lines.clear();
        Ok(())
    }
}
