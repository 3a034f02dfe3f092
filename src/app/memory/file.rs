//! The file in which announced alerts survive. It holds names, levels and times, and no address.

use std::{io, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    engine::resume::{About, Announced},
    model::{Level, UnixTime},
    storage::WholeFile,
};

/// How the file is written. One of another version is ignored.
const VERSION: u32 = 1;

/// Largest file that is read: as many alerts as are kept fit with long names.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Alerts that are kept at the most; of more the loudest.
const MAX_ALERTS: usize = 50_000;

const NAME: &str = "alerts.json";

/// The file. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct AlertFile(WholeFile);

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    alerts: Vec<Entry>,
}

/// What an alert is about is told by those of the three that are there.
#[derive(Serialize, Deserialize)]
struct Entry {
    alertname: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vantage: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<Arc<str>>,
    level: String,
    active_at_ms: i64,
    fired_at_ms: i64,
}

impl AlertFile {
    /// The file in the directory of the daemon's state.
    pub(super) fn inside(directory: &Path) -> Self {
        Self(WholeFile::inside(directory, NAME))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// What was kept. A file that is of no use is told: then everything that fires is announced as if it were new.
    pub(super) fn read(&self) -> Vec<Announced> {
        let why = match self.0.read(MAX_BYTES) {
            Ok(None) => return Vec::new(),
            Ok(Some(bytes)) => match parse(&bytes) {
                Some(known) => return known,
                None => format!("it is broken or not of version {VERSION}"),
            },
            Err(error) => error.to_string(),
        };
        let file = self.path().display();
        let aside =
            self.0.set_aside().map_or_else(|_| String::new(), |aside| format!(", it lies in {} now", aside.display()));
        tracing::warn!(%file, "{file} cannot be read{aside}; no alert goes on from before: {why}");
        Vec::new()
    }

    /// Replaces the file.
    pub(super) fn write(&self, known: &[Announced]) -> io::Result<()> {
        let mut loudest: Vec<&Announced> = known.iter().collect();
        if MAX_ALERTS < loudest.len() {
            loudest.sort_by_key(|alert| alert.level);
            loudest.truncate(MAX_ALERTS);
        }
        let alerts = loudest.into_iter().map(Entry::of).collect();
        self.0.replace(&serde_json::to_vec(&Document { version: VERSION, alerts })?)
    }
}

/// All of it or nothing: a file of which a part is strange is not ours.
fn parse(bytes: &[u8]) -> Option<Vec<Announced>> {
    let document: Document = serde_json::from_slice(bytes).ok()?;
    if document.version != VERSION || MAX_ALERTS < document.alerts.len() {
        return None;
    }
    document.alerts.into_iter().map(Entry::into_announced).collect()
}

impl Entry {
    fn of(alert: &Announced) -> Self {
        let (vantage, network, node) = match &alert.about {
            About::Monitor => (None, None, None),
            About::Vantage(name) => (Some(Arc::clone(name)), None, None),
            About::Network(name) => (None, Some(Arc::clone(name)), None),
            About::Node(network, name) => (None, Some(Arc::clone(network)), Some(Arc::clone(name))),
        };
        Self {
            alertname: Arc::clone(&alert.name),
            vantage,
            network,
            node,
            level: alert.level.as_str().to_owned(),
            active_at_ms: alert.active_at.millis(),
            fired_at_ms: alert.fired_at.millis(),
        }
    }

    fn into_announced(self) -> Option<Announced> {
        let about = match (self.vantage, self.network, self.node) {
            (None, None, None) => About::Monitor,
            (Some(vantage), None, None) => About::Vantage(vantage),
            (None, Some(network), None) => About::Network(network),
            (None, Some(network), Some(node)) => About::Node(network, node),
            _ => return None,
        };
        let mut levels = Level::ALL.into_iter().chain([Level::None]);
        Some(Announced {
            name: self.alertname,
            about,
            level: levels.find(|level| level.as_str() == self.level)?,
            active_at: UnixTime::from_millis(self.active_at_ms),
            fired_at: UnixTime::from_millis(self.fired_at_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::storage::tests::Directory;

    fn alert(name: &str, about: About, level: Level) -> Announced {
        let time = UnixTime::from_millis;
        Announced { name: Arc::from(name), about, level, active_at: time(1_795_000_000_001), fired_at: time(7) }
    }

    fn all_kinds() -> Vec<Announced> {
        vec![
            alert("RuleFailing", About::Monitor, Level::L3),
            alert("MonitorIsolated", About::Vantage("east".into()), Level::L2),
            alert("NetworkHalted", About::Network("main \"\\\u{7f}".into()), Level::L1),
            alert("MyRule", About::Node("main".into(), "a".into()), Level::None),
        ]
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let directory = Directory::new("alerts-round");
        let file = AlertFile::inside(&directory.0);
        assert_eq!(file.read(), []);
        file.write(&all_kinds()).unwrap();
        assert_eq!(file.read(), all_kinds());
        file.write(&[]).unwrap();
        assert_eq!(file.read(), []);
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_of_no_use_and_harms_nobody() {
        let directory = Directory::new("alerts-cut");
        let file = AlertFile::inside(&directory.0);
        file.write(&all_kinds()).unwrap();
        let whole = fs::read(file.path()).unwrap();
        for length in 0..whole.len() {
            fs::write(file.path(), &whole[..length]).unwrap();
            assert_eq!(file.read(), [], "cut after {length} bytes");
        }
    }

    #[test]
    fn what_is_not_ours_is_ignored_as_a_whole() {
        let entry = r#"{"alertname":"A","level":"L1","active_at_ms":1,"fired_at_ms":2"#;
        let with = |version: u32, entry: &str| format!(r#"{{"version":{version},"alerts":[{entry}]}}"#);
        assert_eq!(parse(with(1, &format!("{entry}}}")).as_bytes()).map(|alerts| alerts.len()), Some(1));
        for text in [
            String::new(),
            "\0\u{ff}".to_owned(),
            "[]".to_owned(),
            with(2, ""),
            with(1, &format!("{entry}}},{{}}")),
            with(1, &format!(r#"{entry},"node":"a"}}"#)),
            with(1, &format!(r#"{entry},"vantage":"a","network":"b"}}"#)),
            with(1, &entry.replace("L1", "L9")),
            format!(r#"{{"version":1,"alerts":{}"#, "[".repeat(100_000)),
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:.100}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_and_of_too_many_alerts_the_loudest_are_written() {
        let directory = Directory::new("alerts-large");
        let file = AlertFile::inside(&directory.0);
        let mut many = vec![alert("Quiet", About::Monitor, Level::L4); MAX_ALERTS];
        many.push(alert("Loud", About::Monitor, Level::L1));
        file.write(&many).unwrap();
        let read = file.read();
        assert_eq!((read.len(), &*read[0].name), (MAX_ALERTS, "Loud"));
        let sparse = fs::File::create(file.path()).unwrap();
        sparse.set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(file.read(), []);
    }

    #[test]
    fn whoever_is_killed_in_the_middle_of_writing_finds_the_old_state_whole() {
        let directory = Directory::new("alerts-killed");
        let file = AlertFile::inside(&directory.0);
        file.write(&all_kinds()).unwrap();
        fs::write(directory.0.join("alerts.json.new"), "{\"version\":1,\"al").unwrap();
        assert_eq!(file.read(), all_kinds());
        file.write(&all_kinds()[1..]).unwrap();
        assert_eq!(file.read(), all_kinds()[1..]);
    }
}
