//! Listens to wishes for another configuration, of people and of sources of nodes, and has the ensemble play it. A bad
//! configuration changes nothing.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{ensemble::Ensemble, scouts::Scouts};
use crate::{
    clock::Clock,
    config::{self, Config, Problem, Problems},
    model::Timestamp,
    output::{http::ReloadRequest, own::OwnMetrics, systemd::Systemd},
    supervisor::{PanicCounter, Shutdown},
};

/// Pollers get this long to end their polls at the end.
const POLLER_STOP_LIMIT: Duration = Duration::from_secs(1);

/// Why another configuration is to be played.
#[derive(Debug)]
enum Wish {
    /// Somebody asks for the file to be read again.
    Reload(ReloadRequest),
    /// Sources list other nodes than before.
    Nodes,
}

/// Has new configurations played, whoever wishes for them.
#[derive(Debug)]
pub(super) struct Conductor {
    pub(super) source: config::Source,
    /// The configuration that was read last and is in force.
    pub(super) loaded: Config,
    /// The same with the nodes that were found: what is played.
    pub(super) running: Config,
    pub(super) scouts: Scouts,
    pub(super) ensemble: Ensemble,
    pub(super) clock: Clock,
    pub(super) own: OwnMetrics,
    pub(super) systemd: Systemd,
    /// The shortest time between the beginnings of two reloads.
    pub(super) pause: Duration,
}

impl Conductor {
    /// Runs until the shutdown begins.
    pub(super) async fn run(mut self, mut reloads: mpsc::Receiver<ReloadRequest>, mut shutdown: Shutdown) {
        let mut rested = Timestamp(i64::MIN);
        loop {
            let wish = tokio::select! {
                request = reloads.recv() => request.map(Wish::Reload),
                () = self.scouts.news() => Some(Wish::Nodes),
                () = shutdown.begun() => None,
            };
            let Some(wish) = wish else { break };
            tokio::select! {
                () = self.clock.sleep_until(rested) => {}
                () = shutdown.begun() => break,
            }
            rested = self.clock.now().at.after(self.pause);
            match wish {
                Wish::Reload(first) => self.answer(first, &mut reloads).await,
                Wish::Nodes => self.take_nodes().await,
            }
        }
        self.ensemble.fleet.stop(POLLER_STOP_LIMIT).await;
    }

    /// Answers all requests that wait with one reload. One that comes once the reading has begun is not among them: the
    /// file may have changed behind it.
    async fn answer(&mut self, first: ReloadRequest, reloads: &mut mpsc::Receiver<ReloadRequest>) {
        let mut waiting = vec![first];
        while let Ok(another) = reloads.try_recv() {
            waiting.push(another);
        }
        self.systemd.reloading();
        let outcome = self.reload().await;
        self.report(&outcome);
        self.systemd.reloaded();
        for request in waiting {
            // A requester that no longer waits loses nothing: the outcome is in the log and the metrics too.
            let _ = request.send(outcome.as_ref().copied().map_err(ToString::to_string));
        }
    }

    async fn reload(&mut self) -> Result<(), Refusal> {
        let config = self.read().await?;
        self.ensemble.listen(&config).map_err(Refusal::Other)?;
        self.scouts.follow(&config.discovery.sources);
        let running = self.scouts.merged(&config);
        self.ensemble.apply(&running).await;
        self.scouts.write_down().await;
        super::log_warnings(&config.warnings);
        (self.loaded, self.running) = (config, running);
        Ok(())
    }

    /// Puts in force what the sources of nodes list now. That is no reload: no file is read, and nobody asked.
    async fn take_nodes(&mut self) {
        let running = self.scouts.merged(&self.loaded);
        if running.engine != self.running.engine || running.chain != self.running.chain {
            self.ensemble.apply(&running).await;
            tracing::info!(nodes = running.engine.nodes.len(), "the nodes that are watched have changed");
            self.running = running;
        }
        self.scouts.write_down().await;
    }

    /// Reads the configuration off the event loop: files can be on slow disks.
    async fn read(&self) -> Result<Config, Refusal> {
        let source = self.source.clone();
        match tokio::task::spawn_blocking(move || config::load(&source)).await {
            Ok(loaded) => Ok(loaded?),
            Err(error) => {
                PanicCounter::from(self.own.task_panics.clone()).note("conductor", &error);
                Err(Refusal::Other("reading the configuration failed".to_owned()))
            }
        }
    }

    fn report(&self, outcome: &Result<(), Refusal>) {
        self.own.config_loaded(outcome.is_ok().then_some(self.loaded.hash.0), self.clock.now().wall);
        match outcome {
            Ok(()) => tracing::info!(
                networks = self.loaded.engine.networks.len(),
                nodes = self.running.engine.nodes.len(),
                "configuration reloaded"
            ),
            Err(refusal) => refusal.log(),
        }
    }
}

/// Why a configuration was not put in force.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Problems(#[from] Problems),
    #[error("{0}")]
    Other(String),
}

impl Refusal {
    /// A line for each problem: as one value, many would be cut.
    fn log(&self) {
        if let Self::Problems(problems) = self {
            let file = &*problems.source;
            for Problem { line, column, message, .. } in &problems.list {
                tracing::error!(file, line, column, "{file}:{line}:{column}: {message}");
            }
            let count = problems.list.len();
            tracing::error!(
                file,
                count,
                "configuration not reloaded, the old one stays in force; problems in {file}: {count}"
            );
        } else {
            tracing::error!(why = %self, "configuration not reloaded, the old one stays in force: {self}");
        }
    }
}
