//! Follows the sources of nodes: remembers what each listed last, also over restarts, and says in log and metrics what
//! becomes of it. What cannot be read takes nothing away.

use std::{collections::HashSet, sync::Arc};

use tokio::sync::mpsc;

use crate::{
    clock::Clock,
    config::Config,
    discovery::{self, Found, Keep, Kept, List, REPORT_QUEUE, Refusal, Rejection, Report, Settings},
    output::own::DiscoveryMetrics,
    supervisor::{PanicCounter, Supervisor},
};

/// Left-out targets that are told one by one after one reading.
const MAX_TOLD: usize = 100;

/// What one source has said and how it is.
#[derive(Debug)]
struct Source {
    /// Of this start of it: reports of an earlier one are void.
    number: u64,
    settings: Settings,
    lists: Vec<List>,
    /// What the log says is wrong with it now.
    trouble: Option<String>,
    /// Reading it ends when this is dropped.
    _tasks: Supervisor,
}

/// A left-out target as it is told: once, not at every reading.
type Told = (Arc<str>, Arc<str>, String, Refusal);

/// All sources.
#[derive(Debug)]
pub(super) struct Scouts {
    sources: Vec<Source>,
    started: u64,
    reports: mpsc::Sender<Report>,
    reported: mpsc::Receiver<Report>,
    keep: Option<Keep>,
    /// What was kept when we started, for the sources we start with: later it is old.
    kept: Kept,
    /// What was written down last.
    written: Option<Vec<(Settings, Vec<List>)>>,
    /// The log says that the lists cannot be kept.
    unkept: bool,
    told: HashSet<Told>,
    metrics: DiscoveryMetrics,
    clock: Clock,
    panics: PanicCounter,
}

impl Scouts {
    /// Follows nothing yet. What was kept by an earlier run is read now.
    pub(super) fn new(keep: Option<Keep>, metrics: DiscoveryMetrics, clock: Clock, panics: PanicCounter) -> Self {
        let (reports, reported) = mpsc::channel(REPORT_QUEUE);
        let kept = keep.as_ref().map(read_kept).unwrap_or_default();
        Self {
            sources: Vec::new(),
            started: 0,
            reports,
            reported,
            keep,
            kept,
            written: None,
            unkept: false,
            told: HashSet::new(),
            metrics,
            clock,
            panics,
        }
    }

    /// Follows the sources of `wanted` from now on. Those that stay as they are go on undisturbed; one that was renamed
    /// or moved keeps its nodes until it has been read under its new settings.
    pub(super) fn follow(&mut self, wanted: &[Settings]) {
        if self.sources.is_empty() && self.keep.is_none() && !wanted.is_empty() {
            tracing::warn!("without --storage.path the nodes that discovery finds are not kept over a restart");
        }
        let mut before = std::mem::take(&mut self.sources);
        let names: Vec<Arc<str>> = before.iter().map(|source| Arc::clone(&source.settings.name)).collect();
        let mut after: Vec<Option<Source>> =
            wanted.iter().map(|settings| take_first(&mut before, |old| old == settings)).collect();
        for alike in [same_origin, same_name] {
            for (slot, settings) in after.iter_mut().zip(wanted).filter(|(slot, _)| slot.is_none()) {
                let old = take_first(&mut before, |old| alike(old, settings));
                *slot = old.map(|old| self.start(settings, old.lists));
            }
        }
        let kept = std::mem::take(&mut self.kept);
        for (slot, settings) in after.into_iter().zip(wanted) {
            let source = slot.unwrap_or_else(|| self.start(settings, kept.of(settings).unwrap_or_default().to_vec()));
            self.sources.push(source);
        }
        let gone = |name: &&Arc<str>| !wanted.iter().any(|settings| settings.name == **name);
        names.iter().filter(gone).for_each(|name| self.metrics.end(name));
    }

    fn start(&mut self, settings: &Settings, lists: Vec<List>) -> Source {
        self.started += 1;
        self.metrics.begin(&settings.name);
        let mut tasks = Supervisor::default();
        discovery::spawn(&mut tasks, self.started, settings, &self.reports, &self.panics);
        Source { number: self.started, settings: settings.clone(), lists, trouble: None, _tasks: tasks }
    }

    /// Completes when a source lists something else than before. Nothing is lost if it is not waited for to the end.
    pub(super) async fn news(&mut self) {
        loop {
            match self.reported.recv().await {
                Some(report) if self.take(&report) => return,
                Some(_) => {}
                // We hold a sender ourselves.
                None => std::future::pending().await,
            }
        }
    }

    /// Takes in what a source read; returns whether that changes what it lists.
    fn take(&mut self, report: &Report) -> bool {
        let Some(source) = self.sources.iter_mut().find(|source| source.number == report.source) else { return false };
        let failure = discovery::failure(&report.reading);
        self.metrics.refreshed(&source.settings.name, failure.is_none(), self.clock.now().wall);
        let trouble = failure.map(|(place, failure)| match &*place {
            "" => failure.to_string(),
            place => format!("{place}: {failure}"),
        });
        source.tell_trouble(trouble);
        let lists = discovery::renewed(&source.lists, &report.reading);
        if lists == source.lists {
            return false;
        }
        let before = count(&source.lists);
        source.lists = lists;
        source.tell_change(before);
        true
    }

    /// `config` with what is found now; tells what is left out.
    pub(super) fn merged(&mut self, config: &Config) -> Config {
        let found: Vec<Found> = self.sources.iter().map(Source::found).collect();
        let (config, rejections) = config.with_found(&found);
        for source in &found {
            let rejected = rejections.iter().filter(|rejection| rejection.source == source.source).count();
            self.metrics.lists(&source.source, source.targets(), rejected);
        }
        self.tell_rejections(&rejections);
        config
    }

    fn tell_rejections(&mut self, rejections: &[Rejection]) {
        let key = |r: &Rejection| (Arc::clone(&r.source), Arc::clone(&r.place), r.target.clone(), r.reason);
        let news: Vec<&Rejection> =
            rejections.iter().filter(|rejection| !self.told.contains(&key(rejection))).collect();
        for rejection in news.iter().take(MAX_TOLD) {
            let source = &*rejection.source;
            tracing::warn!(discovery = source, "discovery {source} leaves out {rejection}");
        }
        if MAX_TOLD < news.len() {
            tracing::warn!("discovery leaves out {} more targets", news.len() - MAX_TOLD);
        }
        self.told = rejections.iter().map(key).collect();
    }

    /// Writes down what is found now, for the next start, unless that is what was written last.
    pub(super) async fn write_down(&mut self) {
        let Some(keep) = self.keep.clone() else { return };
        let sources: Vec<_> = self.sources.iter().map(|s| (s.settings.clone(), s.lists.clone())).collect();
        if self.written.as_ref().map_or(sources.is_empty(), |written| *written == sources) {
            return;
        }
        let path = keep.path().display().to_string();
        let written = tokio::task::spawn_blocking({
            let sources = sources.clone();
            move || keep.write(&sources)
        })
        .await;
        let failed = match written {
            Ok(Ok(())) => false,
            Ok(Err(error)) => {
                if !self.unkept {
                    tracing::warn!(path, "the nodes found cannot be kept in {path}: {error}");
                }
                true
            }
            Err(error) => {
                self.panics.note("discovery", &error);
                true
            }
        };
        self.unkept = failed;
        self.written = (!failed).then_some(sources);
    }
}

/// Takes out the first source whose settings fit.
fn take_first(sources: &mut Vec<Source>, fits: impl Fn(&Settings) -> bool) -> Option<Source> {
    let position = sources.iter().position(|source| fits(&source.settings))?;
    Some(sources.remove(position))
}

fn same_origin(a: &Settings, b: &Settings) -> bool {
    a.origin == b.origin
}

fn same_name(a: &Settings, b: &Settings) -> bool {
    a.name == b.name
}

impl Source {
    fn found(&self) -> Found {
        let Settings { name, network, .. } = &self.settings;
        Found { source: Arc::clone(name), network: network.clone(), lists: self.lists.clone() }
    }

    fn tell_trouble(&mut self, trouble: Option<String>) {
        let name = &*self.settings.name;
        match &trouble {
            Some(text) if self.trouble.as_ref() != Some(text) => {
                tracing::warn!(
                    discovery = name,
                    "discovery {name} cannot be read, its last good list stays in force: {text}"
                );
            }
            None if self.trouble.is_some() => tracing::info!(discovery = name, "discovery {name} can be read again"),
            _ => {}
        }
        self.trouble = trouble;
    }

    fn tell_change(&self, before: usize) {
        let (name, targets) = (&*self.settings.name, count(&self.lists));
        if targets == 0 && before != 0 {
            tracing::warn!(
                discovery = name,
                before,
                "discovery {name} lists no target any more, after {before}: nobody watches them now"
            );
        } else {
            tracing::info!(
                discovery = name,
                before,
                targets,
                "discovery {name} lists {targets} targets, after {before}"
            );
        }
    }
}

fn count(lists: &[List]) -> usize {
    lists.iter().map(|list| list.targets.len()).sum()
}

fn read_kept(keep: &Keep) -> Kept {
    keep.read().unwrap_or_else(|error| {
        let path = keep.path().display().to_string();
        tracing::warn!(path, "the nodes kept in {path} are ignored: {error}");
        Kept::default()
    })
}
