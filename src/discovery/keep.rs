//! Keeps what every source listed last over restarts, so that a monitor that starts while a source is down still watches
//! its nodes. Addresses can hold keys: the file is for its owner alone.

use std::{io, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{List, Origin, Settings, Target};
use crate::storage::WholeFile;

/// How the file is written. One of another version is ignored.
const VERSION: u32 = 1;

/// Largest file that is read.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

const NAME: &str = "discovery.json";

/// The file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keep(WholeFile);

/// Why the file is of no use. The text holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is not what we write.
    #[error("broken, or written by another version")]
    Broken,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    sources: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: Arc<str>,
    /// From where: a list of another server is not the last list of this one.
    origin: String,
    lists: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    place: Arc<str>,
    groups: Vec<Group>,
}

/// Targets with the labels they share, as they were listed: written out with every target, the labels of one small list
/// would fill the disk.
#[derive(Serialize, Deserialize)]
struct Group {
    targets: Vec<Arc<str>>,
    labels: Vec<(Arc<str>, Arc<str>)>,
}

/// What was kept. `Debug` shows nothing of it.
#[derive(Default)]
pub struct Kept(Vec<(Arc<str>, String, Vec<List>)>);

impl Kept {
    /// The last lists of a source, if they were kept.
    #[must_use]
    pub fn of(&self, settings: &Settings) -> Option<&[List]> {
        let origin = origin(settings);
        let entry = self.0.iter().find(|(name, from, _)| *name == settings.name && *from == origin);
        entry.map(|(_, _, lists)| lists.as_slice())
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept({})", self.0.len())
    }
}

impl Keep {
    /// The file in the directory of the daemon's state.
    #[must_use]
    pub fn inside(directory: &Path) -> Self {
        Self(WholeFile::inside(directory, NAME))
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Reads what was kept; nothing if there is no file.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn read(&self) -> Result<Kept, KeepError> {
        let Some(bytes) = self.0.read(MAX_BYTES)? else { return Ok(Kept::default()) };
        let document: Document = serde_json::from_slice(&bytes).map_err(|_| KeepError::Broken)?;
        if document.version != VERSION {
            return Err(KeepError::Broken);
        }
        Ok(Kept(document.sources.into_iter().map(Entry::into_kept).collect()))
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, sources: &[(Settings, Vec<List>)]) -> io::Result<()> {
        let sources = sources.iter().map(|(settings, lists)| Entry::of(settings, lists)).collect();
        self.0.replace(&serde_json::to_vec(&Document { version: VERSION, sources })?)
    }
}

impl Entry {
    fn of(settings: &Settings, lists: &[List]) -> Self {
        let lists = lists.iter().map(Place::of).collect();
        Self { name: Arc::clone(&settings.name), origin: origin(settings), lists }
    }

    fn into_kept(self) -> (Arc<str>, String, Vec<List>) {
        (self.name, self.origin, self.lists.into_iter().map(Place::into_list).collect())
    }
}

impl Place {
    fn of(list: &List) -> Self {
        let group = |targets: &[Target]| Group {
            targets: targets.iter().map(|target| Arc::clone(&target.address)).collect(),
            labels: targets.first().map(|target| target.labels.to_vec()).unwrap_or_default(),
        };
        let groups = list.targets.chunk_by(|a, b| Arc::ptr_eq(&a.labels, &b.labels)).map(group).collect();
        Self { place: Arc::clone(&list.place), groups }
    }

    fn into_list(self) -> List {
        let targets = self.groups.into_iter().flat_map(|Group { targets, labels }| {
            let labels: Arc<[_]> = Arc::from(labels);
            targets.into_iter().map(move |address| Target { address, labels: Arc::clone(&labels) })
        });
        List { place: self.place, targets: targets.collect() }
    }
}

fn origin(settings: &Settings) -> String {
    match &settings.origin {
        Origin::Http(endpoint) => endpoint.url().to_owned(),
        Origin::Files(patterns) => {
            let paths = patterns.iter().map(|pattern| pattern.directory.join(&pattern.name).display().to_string());
            paths.collect::<Vec<_>>().join("\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::{
        discovery::{Format, interpret, tests::Directory},
        model::Endpoint,
    };

    fn settings(url: &str) -> Settings {
        let origin = Origin::Http(Endpoint::parse(url, "http").unwrap());
        Settings { name: Arc::from("0"), origin, refresh: Duration::from_secs(60), network: None }
    }

    fn lists() -> Vec<List> {
        let labels: Arc<[_]> = Arc::from([(Arc::from("network"), Arc::from("main"))]);
        let target = |address: &str| Target { address: Arc::from(address), labels: Arc::clone(&labels) };
        let alone = Target { address: Arc::from("http://c/KEY"), labels: Arc::from([]) };
        vec![List { place: Arc::from(""), targets: Arc::from([target("http://a/KEY"), target("http://b"), alone]) }]
    }

    #[test]
    fn what_is_kept_is_read_again_by_the_same_source_only() {
        let directory = Directory::new();
        let keep = Keep::inside(&directory.0.join("state"));
        assert!(keep.read().unwrap().of(&settings("http://sd/")).is_none());
        keep.write(&[(settings("http://other/"), Vec::new())]).unwrap();
        keep.write(&[(settings("http://sd/"), lists())]).unwrap();
        let kept = keep.read().unwrap();
        assert_eq!(kept.of(&settings("http://sd/")), Some(lists().as_slice()));
        assert_eq!(kept.of(&settings("http://another/")), None);
    }

    #[test]
    fn labels_that_targets_share_are_written_once() {
        let body = format!(
            "[{{\"targets\":[{}\"a:1\"],\"labels\":{{\"rack\":\"{}\"}}}}]",
            "\"a:1\",".repeat(999),
            "r".repeat(4096)
        );
        let targets = Arc::from(interpret(body.as_bytes(), Format::Json).unwrap());
        let directory = Directory::new();
        let keep = Keep::inside(&directory.0);
        keep.write(&[(settings("http://sd/"), vec![List { place: Arc::from(""), targets }])]).unwrap();
        assert!(fs::metadata(keep.path()).unwrap().len() < 20_000, "a thousand targets, one set of labels");
    }

    #[test]
    fn a_file_that_is_not_ours_is_an_error_that_quotes_nothing() {
        let directory = Directory::new();
        let keep = Keep::inside(&directory.0);
        for text in
            ["", "SECRET", "{\"version\":2,\"sources\":[]}", "{\"version\":1,\"sources\":[{\"name\":\"SECRET\"}]}"]
        {
            fs::write(keep.path(), text).unwrap();
            let error = keep.read().unwrap_err();
            assert!(matches!(error, KeepError::Broken) && !format!("{error} {error:?}").contains("SECRET"), "{text}");
        }
    }
}
