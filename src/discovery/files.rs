//! Reads lists from files, as Prometheus does with `file_sd`. Whoever writes a file takes a moment for it, so a change
//! counts only when the file looks the same at the next glance: half a list is not a list, and a file that is being
//! replaced has not gone.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

use super::{
    BodyError, DEADLINE, Failure, MAX_BODY, Pattern, Reading, Report, Seen, Target, interpret, pattern::format_of, send,
};
use crate::{
    clock::Clock,
    supervisor::{PanicCounter, Shutdown},
};

/// Files of one source.
pub(super) const MAX_FILES: usize = 1000;

/// Time between two glances at the files.
const GLANCE: Duration = Duration::from_secs(1);

/// Reads the files of `patterns` when they change, and every `refresh`, until the shutdown.
pub(super) async fn run(
    source: u64,
    patterns: Vec<Pattern>,
    refresh: Duration,
    reports: mpsc::Sender<Report>,
    panics: PanicCounter,
    mut shutdown: Shutdown,
) {
    let patterns: Arc<[Pattern]> = Arc::from(patterns);
    let mut memory = Memory::default();
    let mut due = Clock.now().at;
    loop {
        let whole = due <= Clock.now().at;
        if whole {
            due = Clock.now().at.after(refresh);
        }
        let patterns = Arc::clone(&patterns);
        let mut glance = tokio::task::spawn_blocking(move || memory.glance(&patterns, whole));
        let reading;
        let done = if let Ok(done) = timeout(DEADLINE, &mut glance).await {
            done
        } else {
            if !send(&reports, Report { source, reading: Err(Failure::Late) }, &mut shutdown).await {
                return;
            }
            // A disk that hangs is not asked a second time before it has answered.
            tokio::select! {
                done = glance => done,
                () = shutdown.begun() => return,
            }
        };
        (memory, reading) = done.unwrap_or_else(|error| {
            panics.note("discovery", &error);
            // A glance that panicked knows nothing any more.
            (Memory::default(), Some(Err(Failure::Panicked)))
        });
        if let Some(reading) = reading
            && !send(&reports, Report { source, reading }, &mut shutdown).await
        {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(GLANCE) => {}
            () = shutdown.begun() => return,
        }
    }
}

/// What a glance shows of a file, or why it shows nothing.
type Look = Result<Stamp, String>;

/// What changes when a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

/// What was read from a file.
type Outcome = Result<Arc<[Target]>, Failure>;

/// What is known of the files.
#[derive(Debug, Default)]
struct Memory {
    files: BTreeMap<Arc<str>, File>,
    began: bool,
    /// Why the last glance showed nothing.
    failed: Option<Failure>,
}

#[derive(Debug)]
struct File {
    /// What the last glance showed; `None` = it was not there.
    last: Option<Look>,
    /// What it looked like when it was read, and what was read.
    read: Option<(Look, Outcome)>,
}

impl Memory {
    /// Looks at all files and reads those that have changed and settled, or if `whole` all that have settled. Returns a
    /// reading if there is anything to tell.
    fn glance(mut self, patterns: &[Pattern], whole: bool) -> (Self, Option<Reading>) {
        let looks = match looks(patterns) {
            Ok(looks) => looks,
            Err(failure) => {
                let news = whole || self.failed.as_ref() != Some(&failure);
                self.failed = Some(failure.clone());
                return (self, news.then_some(Err(failure)));
            }
        };
        let mut news = whole || self.failed.take().is_some();
        let at_once = !std::mem::replace(&mut self.began, true);
        let before = self.files.len();
        self.files.retain(|path, file| looks.contains_key(path) || file.last.take().is_some());
        news |= self.files.len() < before;
        for (path, look) in looks {
            news |= self.settle(&path, look, at_once, whole);
        }
        let reading = news.then(|| self.reading());
        (self, reading.map(Ok))
    }

    /// Takes in what a glance showed of one file; returns whether it was read.
    fn settle(&mut self, path: &Arc<str>, look: Look, at_once: bool, again: bool) -> bool {
        let file = self.files.entry(Arc::clone(path)).or_insert(File { last: None, read: None });
        let settled = at_once || file.last.as_ref() == Some(&look);
        let known = file.read.as_ref().is_some_and(|(then, _)| *then == look);
        file.last = Some(look.clone());
        if !settled || known && !again {
            return false;
        }
        let path = Path::new(&**path);
        let outcome = look.as_ref().map_err(|text| Failure::Read(text.clone())).and_then(|_| read(path));
        let meanwhile = self::look(path);
        if meanwhile != look {
            // It was written while it was read: what was read may be half of it.
            file.last = Some(meanwhile);
            return false;
        }
        file.read = Some((look, outcome));
        true
    }

    fn reading(&self) -> Vec<Seen> {
        let read = self.files.iter().filter_map(|(place, file)| Some((place, &file.read.as_ref()?.1)));
        read.map(|(place, outcome)| Seen { place: Arc::clone(place), outcome: outcome.clone() }).collect()
    }
}

/// Every file that is meant and what it looks like now. One that is named without `*` is meant even if it is not there.
fn looks(patterns: &[Pattern]) -> Result<BTreeMap<Arc<str>, Look>, Failure> {
    let mut looks = BTreeMap::new();
    for pattern in patterns {
        for name in names(pattern).map_err(|error| Failure::Read(error.to_string()))? {
            let path = pattern.directory.join(name);
            looks.insert(Arc::from(path.to_string_lossy()), look(&path));
            if MAX_FILES < looks.len() {
                return Err(Failure::TooManyFiles);
            }
        }
    }
    Ok(looks)
}

fn names(pattern: &Pattern) -> io::Result<Vec<String>> {
    if !pattern.is_glob() {
        return Ok(vec![pattern.name.clone()]);
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&pattern.directory)? {
        let name = entry?.file_name();
        names.extend(name.to_str().filter(|name| pattern.matches(name)).map(str::to_owned));
        if MAX_FILES < names.len() {
            break;
        }
    }
    Ok(names)
}

fn look(path: &Path) -> Look {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Ok(Stamp { modified, size: metadata.size(), inode: metadata.ino() })
}

fn read(path: &Path) -> Outcome {
    let format = path.file_name().and_then(|name| format_of(name.to_str()?));
    let format = format.ok_or_else(|| Failure::Read("neither JSON nor YAML".to_owned()))?;
    let limit = MAX_BODY as u64 + 1;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| Failure::Read(error.to_string()))?;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| Failure::Read(error.to_string()))?;
    let targets = interpret(&bytes, format).map_err(|error: BodyError| Failure::Body(error))?;
    Ok(Arc::from(targets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::tests::Directory;

    struct World {
        directory: Directory,
        patterns: Vec<Pattern>,
        memory: Memory,
    }

    impl World {
        fn new(names: &[&str]) -> Self {
            let directory = Directory::new();
            let patterns = names.iter().map(|name| Pattern::parse(name, &directory.0).unwrap()).collect();
            Self { directory, patterns, memory: Memory::default() }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.directory.0.join(name), text).unwrap();
        }

        /// One glance: `name=address,...` or `name!` for every file, `-` if there is nothing to tell.
        fn glance(&mut self, whole: bool) -> String {
            let (memory, reading) = std::mem::take(&mut self.memory).glance(&self.patterns, whole);
            self.memory = memory;
            let Some(reading) = reading else { return "-".to_owned() };
            let Ok(places) = reading else { return "failed".to_owned() };
            let one = |seen: &Seen| {
                let name = seen.place.rsplit('/').next().unwrap().trim_end_matches(".json").to_owned();
                match &seen.outcome {
                    Ok(targets) => {
                        let addresses: Vec<&str> = targets.iter().map(|target| &*target.address).collect();
                        format!("{name}={}", addresses.join(","))
                    }
                    Err(_) => format!("{name}!"),
                }
            };
            places.iter().map(one).collect::<Vec<_>>().join(" ")
        }
    }

    fn list(addresses: &[&str]) -> String {
        format!("[{{\"targets\":{addresses:?}}}]")
    }

    #[test]
    fn a_change_counts_once_it_has_settled() {
        let mut world = World::new(&["*.json"]);
        world.write("a.json", &list(&["one:1"]));
        assert_eq!(world.glance(true), "a=one:1");
        assert_eq!(world.glance(false), "-");
        world.write("a.json", "[{\"targets\":[\"one:1\",");
        assert_eq!(world.glance(false), "-", "it is being written");
        world.write("a.json", &list(&["one:1", "two:2"]));
        world.write("b.json", &list(&[]));
        assert_eq!(world.glance(false), "-", "it has just been written");
        assert_eq!(world.glance(false), "a=one:1,two:2 b=");
        assert_eq!(world.glance(true), "a=one:1,two:2 b=");
    }

    #[test]
    fn a_file_is_gone_when_it_is_missing_twice() {
        let mut world = World::new(&["*.json"]);
        world.write("a.json", &list(&["one:1"]));
        world.write("b.json", &list(&["two:2"]));
        assert_eq!(world.glance(true), "a=one:1 b=two:2");
        fs::remove_file(world.directory.0.join("a.json")).unwrap();
        assert_eq!(world.glance(false), "-", "it may be on its way back");
        assert_eq!(world.glance(false), "b=two:2");
        fs::remove_dir_all(&world.directory.0).unwrap();
        assert_eq!([world.glance(false), world.glance(false)], ["failed", "-"]);
    }

    #[test]
    fn a_file_that_is_named_must_be_there_and_be_a_list() {
        let mut world = World::new(&["a.json"]);
        assert_eq!(world.glance(true), "a!");
        world.write("a.json", "no list");
        assert_eq!([world.glance(false), world.glance(false), world.glance(false)], ["-", "a!", "-"]);
        world.write("a.json", &list(&["one:1"]));
        assert_eq!([world.glance(false), world.glance(false)], ["-", "a=one:1"]);
        fs::remove_file(world.directory.0.join("a.json")).unwrap();
        fs::create_dir(world.directory.0.join("a.json")).unwrap();
        assert_eq!([world.glance(false), world.glance(false)], ["-", "a!"]);
    }
}
