//! Owns the pollers and replaces them when the configuration is read again. A bad configuration changes nothing.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::decision::Reconfiguration;
use crate::{
    chain,
    clock::Clock,
    config::{self, Config},
    observation::Observation,
    output::{http::ReloadRequest, own::OwnMetrics, systemd::Heartbeat},
    supervisor::{PanicCounter, Shutdown, Supervisor},
};

/// Pollers that are replaced get this long to end their polls.
const POLLER_STOP_LIMIT: Duration = Duration::from_secs(1);

/// Beyond two intervals and deadlines of the busiest node, waits for leave included, the pollers hang.
const POLL_SLACK: Duration = Duration::from_secs(60);

/// Starts the pollers and reloads the configuration on request.
#[derive(Debug)]
pub(super) struct Conductor {
    pub(super) source: config::Source,
    pub(super) running: Config,
    pub(super) clock: Clock,
    pub(super) own: OwnMetrics,
    pub(super) heartbeat: Heartbeat,
    pub(super) panics: PanicCounter,
    pub(super) observations: mpsc::Sender<Observation>,
    pub(super) reconfigure: mpsc::Sender<Reconfiguration>,
}

impl Conductor {
    /// Runs until the shutdown begins.
    pub(super) async fn run(mut self, mut reloads: mpsc::Receiver<ReloadRequest>, mut shutdown: Shutdown) {
        let mut pollers = self.spawn_pollers();
        loop {
            let first = tokio::select! {
                request = reloads.recv() => request,
                () = shutdown.begun() => None,
            };
            let Some(first) = first else { break };
            let mut waiting = vec![first];
            while let Ok(another) = reloads.try_recv() {
                waiting.push(another);
            }
            let outcome = match self.read().await {
                Ok(config) => {
                    pollers = self.replace(pollers, config).await;
                    Ok(())
                }
                Err(text) => Err(text),
            };
            self.report(outcome.as_ref().err());
            for request in waiting {
                // A requester that no longer waits loses nothing: the outcome is in the log and the metrics too.
                let _ = request.send(outcome.clone());
            }
        }
        pollers.stop(POLLER_STOP_LIMIT).await;
    }

    /// Reads the configuration off the event loop: files can be on slow disks.
    async fn read(&self) -> Result<Config, String> {
        let source = self.source.clone();
        match tokio::task::spawn_blocking(move || config::load(&source)).await {
            Ok(loaded) => loaded.map_err(|problems| problems.to_string()),
            Err(_) => Err("reading the configuration failed".to_owned()),
        }
    }

    /// Swaps engine settings and, where nodes changed, pollers. The old pollers are gone before the engine changes, so
    /// that no observation made under old indices reaches it under new ones.
    async fn replace(&mut self, pollers: Supervisor, config: Config) -> Supervisor {
        super::log_warnings(&config.warnings);
        self.warn_about_fixed_parts(&config);
        // The same nodes at the same places: their pollers go on, with their connections and what they have learned,
        // however often somebody asks for a reload.
        let same = config.chain == self.running.chain;
        let pollers = if same {
            Some(pollers)
        } else {
            pollers.stop(POLLER_STOP_LIMIT).await;
            None
        };
        let (done, applied) = oneshot::channel();
        let request = Reconfiguration { settings: Arc::new(config.engine.clone()), done };
        if self.reconfigure.send(request).await.is_ok() {
            // The decision loop is gone only in a shutdown, which ends this loop too.
            let _ = applied.await;
        }
        self.running = config;
        self.heartbeat.expect_polls_within(poll_limit(&self.running.chain));
        pollers.unwrap_or_else(|| self.spawn_pollers())
    }

    fn spawn_pollers(&self) -> Supervisor {
        let mut pollers = Supervisor::default();
        chain::spawn(&mut pollers, &self.running.chain, self.clock, &self.observations, &self.panics);
        pollers
    }

    fn warn_about_fixed_parts(&self, config: &Config) {
        if config.http != self.running.http {
            tracing::warn!("changes under [web] take effect at the next restart");
        }
        if config.alertmanager != self.running.alertmanager {
            tracing::warn!("changes under [alertmanager] take effect at the next restart");
        }
    }

    fn report(&self, failure: Option<&String>) {
        self.own.config_loaded(failure.is_none(), self.clock.now().wall);
        match failure {
            None => tracing::info!(
                networks = self.running.engine.networks.len(),
                nodes = self.running.engine.nodes.len(),
                "configuration reloaded"
            ),
            Some(problems) => tracing::error!(problems, "configuration not reloaded, the old one stays in force"),
        }
    }
}

/// How long all pollers together may be without the end of any poll.
pub(super) fn poll_limit(settings: &chain::Settings) -> Duration {
    let rates = settings.nodes.iter().filter_map(|node| node.requests_per_second);
    let leaves = rates.filter_map(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
    let leave = leaves.max().unwrap_or_default();
    let busiest = settings.nodes.iter().map(|node| node.interval.saturating_add(node.timeout)).min();
    busiest.unwrap_or_default().saturating_add(leave).saturating_mul(2).saturating_add(POLL_SLACK)
}
