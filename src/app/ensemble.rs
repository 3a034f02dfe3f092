//! The parts that play what a configuration says, and how a new one is put under them: whatever can fail is made ready
//! first, and then nothing can fail any more, so that never half of a configuration is in force.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::decision::Reconfiguration;
use crate::{
    chain::{self, Fleet},
    clock::Clock,
    config::{self, Config},
    output::{
        alertmanager::{self, Notifier},
        http::{self, Server},
        systemd::Heartbeat,
    },
};

/// Beyond two intervals and deadlines of the busiest node, waits for leave included, the pollers hang.
const POLL_SLACK: Duration = Duration::from_secs(60);

/// What the command line says instead of the configuration, now and after every reload.
#[derive(Debug, Clone)]
pub(super) struct Overrides {
    pub(super) listen: Vec<SocketAddr>,
    pub(super) enable_lifecycle: bool,
}

impl Overrides {
    /// The settings of the server that are to be in force.
    pub(super) fn web(&self, settings: &http::Settings) -> http::Settings {
        let mut web = settings.clone();
        if !self.listen.is_empty() {
            web.listen.clone_from(&self.listen);
        }
        web.lifecycle |= self.enable_lifecycle;
        web
    }
}

/// Every part that a configuration concerns.
#[derive(Debug)]
pub(super) struct Ensemble {
    pub(super) overrides: Overrides,
    pub(super) server: Server,
    pub(super) fleet: Fleet,
    pub(super) notifier: Notifier,
    pub(super) reconfigure: mpsc::Sender<Reconfiguration>,
    pub(super) expectation: Expectation,
}

impl Ensemble {
    /// Puts `config` in force. What it does not change is not disturbed.
    ///
    /// # Errors
    /// Why it cannot be put in force, such as an address in use; then everything is as it was.
    pub(super) async fn apply(&mut self, config: &Config) -> Result<(), String> {
        let bound = self.server.rebind(&self.overrides.web(&config.http)).map_err(|error| error.to_string())?;
        let notified = notifier_settings(config, &bound.addresses());
        self.server.adopt(bound);
        let plan = self.fleet.plan(&config.chain);
        let (done, applied) = oneshot::channel();
        let request = Reconfiguration {
            settings: Arc::new(config.engine.clone()),
            roster: plan.roster(),
            // Without any Alertmanager nobody hears of other labels, and those that go must not hear that all is over.
            external_labels: notified.as_ref().map(|settings| settings.external_labels.clone()),
            done,
        };
        if self.reconfigure.send(request).await.is_ok() {
            // The decision loop is gone only in a shutdown, which ends everything else too.
            let _ = applied.await;
        }
        self.fleet.carry_out(plan);
        self.expectation.of(&config.chain);
        // After the engine: an Alertmanager that is new must hear of what fires under the new labels only.
        self.notifier.reconfigure(notified).await;
        Ok(())
    }
}

/// What the watchdog is told to expect of the pollers.
#[derive(Debug)]
pub(super) struct Expectation {
    heartbeat: Heartbeat,
    clock: Clock,
    limit: Option<Duration>,
}

impl Expectation {
    pub(super) fn new(heartbeat: Heartbeat, clock: Clock) -> Self {
        Self { heartbeat, clock, limit: None }
    }

    /// From now on polls are expected as `settings` ask for them. Of a limit that is new no time has passed yet.
    pub(super) fn of(&mut self, settings: &chain::Settings) {
        let limit = poll_limit(settings);
        if self.limit.replace(limit) != Some(limit) {
            self.heartbeat.polled(self.clock.now().at);
            self.heartbeat.expect_polls_within(limit);
        }
    }
}

/// What the notifier is told, where the server listens at `addresses`.
pub(super) fn notifier_settings(config: &Config, addresses: &[SocketAddr]) -> Option<alertmanager::Settings> {
    let mut settings = config.alertmanager.clone()?;
    settings.external_url = settings.external_url.or_else(|| addresses.first().map(link));
    Some(settings)
}

/// Where a reader of an alert finds the server that listens at `address`, as far as we can know.
fn link(address: &SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://{}:{}", config::host_name(), address.port())
    } else {
        format!("http://{address}")
    }
}

/// How long all pollers together may be without the end of any poll; nothing is expected where there is no node.
fn poll_limit(settings: &chain::Settings) -> Duration {
    let rates = settings.nodes.iter().filter_map(|node| node.requests_per_second);
    let leaves = rates.filter_map(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
    let leave = leaves.max().unwrap_or_default();
    let busiest = settings.nodes.iter().map(|node| node.interval.saturating_add(node.timeout)).min();
    busiest.map_or(Duration::ZERO, |busiest| busiest.saturating_add(leave).saturating_mul(2).saturating_add(POLL_SLACK))
}
