//! The parts that play what a configuration says, and how a new one is put under them: what can fail is done first and in
//! one go, and then nothing can fail any more, so that never half of a configuration is in force.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use super::{decision::Reconfiguration, prober::Targets};
use crate::{
    chain::{self, Fleet},
    clock::Clock,
    config::{self, Config},
    output::{
        alertmanager::{self, Notifier},
        http::{self, Server},
        runbook::Runbooks,
        systemd::Heartbeat,
    },
};

/// Beyond two intervals and deadlines of the busiest node, waits for leave included, the pollers hang.
const POLL_SLACK: Duration = Duration::from_secs(60);

/// Every part that a configuration concerns.
#[derive(Debug)]
pub(super) struct Ensemble {
    /// What the command line says, now and after every reload.
    pub(super) overrides: http::Overrides,
    pub(super) server: Server,
    pub(super) fleet: Fleet,
    pub(super) notifier: Notifier,
    /// What may be probed on request.
    pub(super) targets: Arc<ArcSwap<Targets>>,
    /// Where the runbooks of alerts are read.
    pub(super) runbooks: Arc<ArcSwap<Runbooks>>,
    pub(super) reconfigure: mpsc::Sender<Reconfiguration>,
    pub(super) expectation: Expectation,
}

impl Ensemble {
    /// Has the server do as `config` says: the one thing that can fail, so it goes first.
    ///
    /// # Errors
    /// Why it cannot, such as an address in use; then everything is as it was.
    pub(super) fn listen(&self, config: &Config) -> Result<(), String> {
        self.server.rebind(&self.overrides.applied(&config.http)).map_err(|error| error.to_string())
    }

    /// Puts the rest of `config` in force. What it does not change is not disturbed.
    pub(super) async fn apply(&mut self, config: &Config) {
        let links = Links::of(&self.overrides.applied(&config.http), &self.server);
        let notified = links.on(config);
        self.runbooks.store(Arc::new(links.runbooks));
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
        self.targets.store(Arc::new(Targets::of(config, self.fleet.gates())));
        self.expectation.of(&config.chain);
        // After the engine: an Alertmanager that is new must hear of what fires under the new labels only.
        self.notifier.reconfigure(notified).await;
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

/// Where readers of an alert find us and its runbook, as far as we can know.
pub(super) struct Links {
    external_url: Option<String>,
    pub(super) runbooks: Runbooks,
}

impl Links {
    /// When `server` follows `web`.
    pub(super) fn of(web: &http::Settings, server: &Server) -> Self {
        let external_url = web.external_url.clone().or_else(|| found_at(web, server));
        let own = web.runbook_url.as_deref().map(Runbooks::at).unwrap_or_default();
        Self { runbooks: own.or_served_at(external_url.as_deref()), external_url }
    }

    /// What the notifier is told by `config`, with these links.
    pub(super) fn on(&self, config: &Config) -> Option<alertmanager::Settings> {
        let (external_url, runbooks) = (self.external_url.clone(), self.runbooks.clone());
        config.alertmanager.clone().map(|settings| alertmanager::Settings { external_url, runbooks, ..settings })
    }
}

fn found_at(web: &http::Settings, server: &Server) -> Option<String> {
    let address = *server.addresses().first()?;
    let scheme = if server.is_encrypted() { "https" } else { "http" };
    let prefix = web.route_prefix.as_deref().unwrap_or_default().trim_end_matches('/');
    if !address.ip().is_unspecified() {
        return Some(format!("{scheme}://{address}{prefix}"));
    }
    Some(format!("{scheme}://{}:{}{prefix}", config::host_name(), address.port()))
}

/// How long all pollers together may be without the end of any poll; nothing is expected where there is no node.
fn poll_limit(settings: &chain::Settings) -> Duration {
    let rates = settings.nodes.iter().filter_map(|node| node.requests_per_second);
    let leaves = rates.filter_map(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
    let leave = leaves.max().unwrap_or_default();
    let busiest = settings.nodes.iter().map(|node| node.interval.saturating_add(node.timeout)).min();
    busiest.map_or(Duration::ZERO, |busiest| busiest.saturating_add(leave).saturating_mul(2).saturating_add(POLL_SLACK))
}
