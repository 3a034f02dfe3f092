//! Finds nodes: reads target lists as Prometheus does (`file_sd`, `http_sd`), one small task per source. What a list
//! means (`body`, `target`) is pure; files (`files`), HTTP (`fetch`) and what is kept over restarts (`keep`) are not.
//!
//! A source that cannot be read takes no node away: its last good list stays in force. What a source does say is
//! believed, even if that is nothing at all.

mod body;
mod fetch;
mod files;
mod keep;
mod pattern;
mod target;

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

pub use self::{
    body::{BodyError, Format, MAX_BODY, interpret},
    keep::{Keep, KeepError, Kept},
    pattern::{Pattern, PatternError},
    target::{Candidate, Refusal, candidate, shown},
};
use crate::{
    model::Endpoint,
    observation::PollError,
    supervisor::{PanicCounter, Shutdown, Supervisor},
};

/// Reports on their way to whoever merges them; when nobody takes them the sources wait.
pub const REPORT_QUEUE: usize = 64;

/// One reading of a source, all its files included, ends within this.
const DEADLINE: Duration = Duration::from_secs(10);

/// One source of nodes; validated by `config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name, unique: the label `discovery`.
    pub name: Arc<str>,
    /// Where its lists are.
    pub origin: Origin,
    /// Time between two readings. Files are also read soon after they have changed.
    pub refresh: Duration,
    /// The network of nodes whose labels name none.
    pub network: Option<Arc<str>>,
}

/// Where lists of targets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there are at most a hundred of them")]
pub enum Origin {
    /// Files, JSON or YAML by their extension.
    Files(Vec<Pattern>),
    /// A server that answers a GET with JSON.
    Http(Endpoint),
}

/// One target as a list names it, with those labels that mean something to us. `Debug` shows nothing of it: address and
/// labels can hold keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// `host:port` or a URL. It may hold a key, so it is never shown.
    pub address: Arc<str>,
    /// Name and value, sorted by name; without empty values and without names that start with `__` and are not ours.
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
}

/// The targets of one file, or of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The path of the file; empty for an answer.
    pub place: Arc<str>,
    /// In the order in which they stand there.
    pub targets: Arc<[Target]>,
}

/// What one source lists now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name of the source.
    pub source: Arc<str>,
    /// The network of targets whose labels name none.
    pub network: Option<Arc<str>>,
    /// Its lists, in the order of their places.
    pub lists: Vec<List>,
}

/// A target that is left out, and why. Never holds any part of a URL but scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rejection {
    /// The name of the source.
    pub source: Arc<str>,
    /// The path of the file; empty for an answer.
    pub place: Arc<str>,
    /// What it is called, as far as that may be shown.
    pub target: String,
    /// What is wrong.
    pub reason: Refusal,
    /// Which target of the list it is, counted from 1.
    pub position: usize,
}

/// Why a source, or one of its files, could not be read. The text holds nothing of what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The file or its directory cannot be read.
    #[error("cannot be read: {0}")]
    Read(String),
    /// The reading did not end in time.
    #[error("not read within {}", humantime::format_duration(DEADLINE))]
    Late,
    /// More files match than may be read.
    #[error("more than {} files match", files::MAX_FILES)]
    TooManyFiles,
    /// The server did not answer.
    #[error("{}: {}", .0.kind.as_str(), .0.detail)]
    Exchange(PollError),
    /// It answered with another status than 200.
    #[error("the server answered with status {0}, wanted 200")]
    Status(u16),
    /// It answered with something else than JSON.
    #[error("the server did not answer with the content type application/json")]
    ContentType,
    /// We failed.
    #[error("haltwatch itself failed to read it; please report this")]
    Panicked,
    /// What was read is no list of targets.
    #[error("{0}")]
    Body(#[from] BodyError),
}

/// What was seen at one place: its targets, or why they could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The path of the file; empty for an answer.
    pub place: Arc<str>,
    /// Its targets.
    pub outcome: Result<Arc<[Target]>, Failure>,
}

/// One reading of a source: what was seen at every place there is, or why not even the places could be seen.
pub type Reading = Result<Vec<Seen>, Failure>;

/// A reading on its way to whoever merges it.
#[derive(Debug)]
pub struct Report {
    /// The number under which the source was started.
    pub source: u64,
    /// What it read.
    pub reading: Reading,
}

/// Starts the task that reads a source and sends a report of every reading. It stops with the supervisor.
pub fn spawn(
    supervisor: &mut Supervisor,
    source: u64,
    settings: &Settings,
    reports: &mpsc::Sender<Report>,
    panics: &PanicCounter,
) {
    let (settings, reports, shutdown) = (settings.clone(), reports.clone(), supervisor.shutdown());
    let counter = panics.clone();
    match settings.origin.clone() {
        Origin::Files(patterns) => supervisor.spawn("discovery", panics.clone(), move || {
            let (patterns, reports, shutdown) = (patterns.clone(), reports.clone(), shutdown.clone());
            files::run(source, patterns, settings.refresh, reports, counter.clone(), shutdown)
        }),
        Origin::Http(endpoint) => supervisor.spawn("discovery", panics.clone(), move || {
            fetch::run(source, endpoint.clone(), settings.refresh, reports.clone(), counter.clone(), shutdown.clone())
        }),
    }
}

/// Hands a report over; `false` if the shutdown has begun, or if nobody takes reports any more.
async fn send(reports: &mpsc::Sender<Report>, report: Report, shutdown: &mut Shutdown) -> bool {
    tokio::select! {
        sent = reports.send(report) => sent.is_ok(),
        () = shutdown.begun() => false,
    }
}

/// The lists in force after a reading: what could be read is as it was read, what could not be read is as it was, and
/// what is no longer there is gone. A reading that could read nothing takes nothing away, wherever the lists are from.
#[must_use]
pub fn renewed(last: &[List], reading: &Reading) -> Vec<List> {
    let Ok(places) = reading else { return last.to_vec() };
    if !places.is_empty() && places.iter().all(|seen| seen.outcome.is_err()) {
        return last.to_vec();
    }
    let kept = |place: &str| last.iter().find(|list| &*list.place == place).map(|list| Arc::clone(&list.targets));
    let mut lists: Vec<List> = places
        .iter()
        .filter_map(|Seen { place, outcome }| {
            let targets = outcome.as_ref().ok().map(Arc::clone).or_else(|| kept(place))?;
            Some(List { place: Arc::clone(place), targets })
        })
        .collect();
    lists.sort_by(|a, b| a.place.cmp(&b.place));
    lists
}

/// The first failure of a reading, with its place.
#[must_use]
pub fn failure(reading: &Reading) -> Option<(Arc<str>, &Failure)> {
    match reading {
        Err(failure) => Some((Arc::from(""), failure)),
        Ok(places) => places.iter().find_map(|seen| Some((Arc::clone(&seen.place), seen.outcome.as_ref().err()?))),
    }
}

impl Found {
    /// How many targets it lists.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.lists.iter().map(|list| list.targets.len()).sum()
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target")
    }
}

/// `target 3 of nodes.json (main/n1): reason`.
impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "target {}", self.position)?;
        if !self.place.is_empty() {
            write!(f, " of {}", self.place)?;
        }
        if !self.target.is_empty() {
            write!(f, " ({})", self.target)?;
        }
        write!(f, ": {}", self.reason)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::PathBuf,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    /// A directory of one test; it goes when dropped.
    pub(super) struct Directory(pub PathBuf);

    impl Directory {
        pub(super) fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name = format!("haltwatch-discovery-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn targets(addresses: &[&str]) -> Arc<[Target]> {
        addresses.iter().map(|address| Target { address: Arc::from(*address), labels: Arc::from([]) }).collect()
    }

    fn list(place: &str, addresses: &[&str]) -> List {
        List { place: Arc::from(place), targets: targets(addresses) }
    }

    fn seen(place: &str, outcome: Result<&[&str], Failure>) -> Seen {
        Seen { place: Arc::from(place), outcome: outcome.map(targets) }
    }

    #[test]
    fn what_cannot_be_read_keeps_what_it_said_and_what_is_gone_is_gone() {
        let last = [list("a", &["one"]), list("b", &["two"]), list("c", &["three"])];
        let broken = || Err(Failure::Read("no".to_owned()));
        let reading = Ok(vec![seen("b", Ok(&["new"])), seen("a", broken()), seen("d", broken()), seen("e", Ok(&[]))]);
        assert_eq!(renewed(&last, &reading), [list("a", &["one"]), list("b", &["new"]), list("e", &[])]);
        assert_eq!(renewed(&last, &Err(Failure::Late)), last);
        assert_eq!(renewed(&last, &Ok(vec![seen("d", broken())])), last, "it has moved, and is not there yet");
        assert_eq!(renewed(&last, &Ok(Vec::new())), [], "nothing is there, and that could be seen");
        assert_eq!(failure(&reading).map(|(place, _)| place.to_string()).as_deref(), Some("a"));
    }
}
