//! The web configuration in force. The file and the files it names are looked at every second, so a renewed certificate
//! or a new user needs no restart; a file that has become wrong changes nothing.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;

use super::web_config::{Broken, WebConfig};
use crate::output::own::OwnMetrics;

/// How often the files are looked at.
pub const LOOK: Duration = Duration::from_secs(1);

/// What changes when a file is replaced or written: device, inode, length, and when it was changed.
type Mark = (u64, u64, u64, i64, i64);

/// The web configuration in force, if there is a file for it.
#[derive(Debug)]
pub struct Door {
    path: Option<PathBuf>,
    current: ArcSwapOption<WebConfig>,
    seen: Mutex<Vec<(PathBuf, Option<Mark>)>>,
}

impl Door {
    /// Reads the file at `path`; without one, everybody is let in.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn open(path: Option<&Path>) -> Result<Self, Broken> {
        let door = Self { path: path.map(Path::to_owned), current: ArcSwapOption::empty(), seen: Mutex::default() };
        if let Some(path) = path {
            door.read(path)?;
        }
        Ok(door)
    }

    /// What is in force now; `None` without a file.
    #[must_use]
    pub fn config(&self) -> Option<Arc<WebConfig>> {
        self.current.load_full()
    }

    /// Reads the files again if any of them has changed, and tells how that ended. Blocks while it reads.
    pub fn refresh(&self, own: &OwnMetrics) {
        let Some(path) = &self.path else { return };
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if seen.iter().all(|(file, before)| mark(file) == *before) {
            return;
        }
        let outcome = self.read(path);
        own.web.config_last_reload_successful.set(i64::from(outcome.is_ok()));
        match outcome {
            Ok(()) => tracing::info!(file = %path.display(), "The web configuration was read again"),
            Err(broken) => tracing::error!(
                file = %path.display(),
                "The web configuration is wrong, the last good one stays in force: {broken}"
            ),
        }
    }

    fn read(&self, path: &Path) -> Result<(), Broken> {
        // Marked before they are read: what changes in between is read once more.
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = known.into_iter().map(|(file, _)| file).chain([path.to_owned()]);
        let before: Vec<_> = known.map(|file| (mark(&file), file)).collect();
        let (outcome, files) = WebConfig::load_noting(path);
        let marks = files.into_iter().map(|file| {
            let earlier = before.iter().find(|(_, known)| *known == file).map(|(mark, _)| *mark);
            let mark = earlier.unwrap_or_else(|| mark(&file));
            (file, mark)
        });
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = marks.collect();
        let config = outcome?;
        for note in &config.notes {
            tracing::info!(file = %path.display(), "The web configuration: {note}");
        }
        self.current.store(Some(Arc::new(config)));
        Ok(())
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let of = |data: fs::Metadata| (data.dev(), data.ino(), data.len(), data.mtime(), data.mtime_nsec());
    fs::metadata(path).map(of).ok()
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        Self::new(io::ErrorKind::InvalidData, broken)
    }
}
