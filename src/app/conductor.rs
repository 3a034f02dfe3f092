//! Listens to wishes for another configuration and has the ensemble play it. A bad configuration changes nothing.

use std::time::Duration;

use tokio::sync::mpsc;

use super::ensemble::Ensemble;
use crate::{
    clock::Clock,
    config::{self, Config},
    model::Timestamp,
    output::{http::ReloadRequest, own::OwnMetrics, systemd::Systemd},
    supervisor::Shutdown,
};

/// Pollers get this long to end their polls at the end.
const POLLER_STOP_LIMIT: Duration = Duration::from_secs(1);

/// Has new configurations played, whoever wishes for them.
#[derive(Debug)]
pub(super) struct Conductor {
    pub(super) source: config::Source,
    /// The configuration that was read last and is in force.
    pub(super) loaded: Config,
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
            let first = tokio::select! {
                request = reloads.recv() => request,
                () = shutdown.begun() => None,
            };
            let Some(first) = first else { break };
            tokio::select! {
                () = self.clock.sleep_until(rested) => {}
                () = shutdown.begun() => break,
            }
            rested = self.clock.now().at.after(self.pause);
            self.answer(first, &mut reloads).await;
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
        self.report(outcome.as_ref().err());
        self.systemd.reloaded();
        for request in waiting {
            // A requester that no longer waits loses nothing: the outcome is in the log and the metrics too.
            let _ = request.send(outcome.clone());
        }
    }

    async fn reload(&mut self) -> Result<(), String> {
        let config = self.read().await?;
        self.ensemble.apply(&config).await?;
        self.loaded = config;
        Ok(())
    }

    /// Reads the configuration off the event loop: files can be on slow disks.
    async fn read(&self) -> Result<Config, String> {
        let source = self.source.clone();
        match tokio::task::spawn_blocking(move || config::load(&source)).await {
            Ok(loaded) => loaded.map_err(|problems| problems.to_string()),
            Err(_) => Err("reading the configuration failed".to_owned()),
        }
    }

    fn report(&self, failure: Option<&String>) {
        self.own.config_loaded(failure.is_none().then_some(self.loaded.hash.0), self.clock.now().wall);
        match failure {
            None => tracing::info!(
                networks = self.loaded.engine.networks.len(),
                nodes = self.loaded.engine.nodes.len(),
                "configuration reloaded"
            ),
            Some(problems) => {
                tracing::error!(problems, "configuration not reloaded, the old one stays in force:\n{problems}");
            }
        }
    }
}
