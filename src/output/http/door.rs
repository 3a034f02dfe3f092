//! The web configuration in force. The file and the files it names are looked at every second, so a renewed certificate
//! or a new user needs no restart; a file that has become wrong changes nothing.
//!
//! A file that is being written says less than the whole one: without its last lines it may ask for no password. So it is
//! read when two looks in a row found it the same, and one that has become empty is taken for what a full disk left.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;

use super::web_config::{Broken, WebConfig};
use crate::output::own::OwnMetrics;

/// How often the files are looked at.
pub const LOOK: Duration = Duration::from_secs(1);

/// What changes when a file is replaced or written: device, inode, length, and when it was changed.
type Mark = (u64, u64, u64, i64, i64);

/// Files with their marks; no mark where there is no file.
type Marks = Vec<(PathBuf, Option<Mark>)>;

/// The web configuration in force, if there is a file for it.
#[derive(Debug)]
pub struct Door {
    path: Option<PathBuf>,
    current: ArcSwapOption<WebConfig>,
    seen: Mutex<Seen>,
    /// Whether the files as they were read last are what is in force.
    is_good: AtomicBool,
}

/// What the looks at the files have found.
#[derive(Debug, Default)]
struct Seen {
    /// When they were read.
    read: Marks,
    /// At the last look, if that was something else.
    changing: Option<Marks>,
}

impl Door {
    /// Reads the file at `path`; without one, everybody is let in.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn open(path: Option<&Path>) -> Result<Self, Broken> {
        let door = Self {
            path: path.map(Path::to_owned),
            current: ArcSwapOption::empty(),
            seen: Mutex::default(),
            is_good: AtomicBool::new(true),
        };
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
        if let Some(path) = self.path.as_ref().filter(|_| self.has_changed()) {
            let outcome = self.read(path);
            self.is_good.store(outcome.is_ok(), Relaxed);
            match outcome {
                Ok(()) => tracing::info!(file = %path.display(), "The web configuration was read again"),
                Err(broken) => tracing::error!(
                    file = %path.display(),
                    "The web configuration is wrong, the last good one stays in force: {broken}"
                ),
            }
        }
        // Set at every look: the door before this one may have left something else.
        own.web.config_last_reload_successful.set(i64::from(self.is_good.load(Relaxed)));
    }

    /// Whether the files are other ones than those that were read, and nobody is writing them any more.
    fn has_changed(&self) -> bool {
        let mut seen = self.seen();
        let now: Marks = seen.read.iter().map(|(file, _)| (file.clone(), mark(file))).collect();
        if now == seen.read {
            seen.changing = None;
            return false;
        }
        seen.changing.replace(now.clone()) == Some(now)
    }

    fn read(&self, path: &Path) -> Result<(), Broken> {
        // Marked before they are read: what changes in between is read once more.
        let known = self.seen().read.clone();
        let known = known.into_iter().map(|(file, _)| file).chain([path.to_owned()]);
        let before: Vec<_> = known.map(|file| (mark(&file), file)).collect();
        let (outcome, files) = WebConfig::load_noting(path);
        let marks = files.into_iter().map(|file| {
            let earlier = before.iter().find(|(_, known)| *known == file).map(|(mark, _)| *mark);
            let mark = earlier.unwrap_or_else(|| mark(&file));
            (file, mark)
        });
        *self.seen() = Seen { read: marks.collect(), changing: None };
        let config = outcome?;
        if config.is_blank && self.config().is_some_and(|before| !before.is_blank) {
            return Err(Broken(vec![format!("{}: has become empty; write {{}} to ask for nothing", path.display())]));
        }
        for note in &config.notes {
            tracing::info!(file = %path.display(), "The web configuration: {note}");
        }
        self.current.store(Some(Arc::new(config)));
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_when_nobody_writes_it_any_more_and_an_emptied_one_opens_nothing() {
        let path = std::env::temp_dir().join(format!("haltwatch-door-{}.yml", std::process::id()));
        let limit = |rate: &str| format!("rate_limit: {{interval: 1h, burst: {rate}}}\n");
        fs::write(&path, limit("1")).unwrap();
        let (door, own) = (Door::open(Some(&path)).unwrap(), OwnMetrics::new());
        let mut before = door.config().unwrap();
        let mut look = |text: Option<&str>| {
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            door.refresh(&own);
            let now = door.config().unwrap();
            let is_new = !Arc::ptr_eq(&now, &before);
            before = now;
            (is_new, own.web.config_last_reload_successful.get())
        };
        assert_eq!(look(None), (false, 1));
        assert_eq!(look(Some("")), (false, 1), "it may be written still");
        assert_eq!(look(Some(&limit("22"))), (false, 1), "it was");
        assert_eq!(look(None), (true, 1));
        assert_eq!(look(None), (false, 1));
        assert_eq!((look(Some("\n")), look(None), look(None)), ((false, 1), (false, 0), (false, 0)), "no door opens");
        assert_eq!((look(Some("{}")), look(None)), ((false, 0), (true, 1)), "it does when asked for");
        fs::remove_file(&path).unwrap();
        assert_eq!((look(None), look(None), look(None)), ((false, 1), (false, 0), (false, 0)));
    }
}
