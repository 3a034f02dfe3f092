//! The composition root: turns a configuration into running parts and connects them. After the wiring only data moves:
//! pollers send observations to the decision loop, which publishes snapshots and sends notifications.

mod conductor;
mod decision;
mod herald;
mod journal;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use self::{conductor::Conductor, decision::Decision, herald::Herald};
use crate::{
    clock::Clock,
    config::{self, Config, Problems},
    engine::{
        Engine,
        snapshot::{Effect, Snapshot},
    },
    output::{
        alertmanager, http,
        own::{OwnMetrics, Queue},
        systemd::Heartbeat,
    },
    supervisor::{PanicCounter, Supervisor},
};

/// Observations waiting for the decision loop. It takes all that are ready at once, so this is only a cushion; when it
/// is full the pollers wait.
const OBSERVATION_QUEUE: usize = 16_384;

/// Announcements on their way to the notifier, which takes them without waiting for any network.
const NOTIFICATION_QUEUE: usize = 16_384;

/// Reload requests waiting for the conductor, which answers all that wait with one reload.
const RELOAD_QUEUE: usize = 64;

/// Effects kept for whoever follows the daemon in the same process.
const EFFECT_QUEUE: usize = 1024;

/// All of the daemon stops within this, what does not is cut off.
const DRAIN_LIMIT: Duration = Duration::from_secs(9);

/// How a daemon is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the configuration is read from, now and at every reload.
    pub source: config::Source,
    /// Where to listen instead of what the configuration says, if not empty.
    pub listen: Vec<SocketAddr>,
    /// Allows `POST /-/reload` whatever the configuration says.
    pub enable_lifecycle: bool,
    /// The daemon's own metrics.
    pub own: OwnMetrics,
}

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] Problems),
    /// Anything else, such as a port in use.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    supervisor: Supervisor,
    addresses: Vec<SocketAddr>,
    snapshot: Arc<ArcSwap<Option<Snapshot>>>,
    heartbeat: Heartbeat,
    reload: mpsc::Sender<http::ReloadRequest>,
    effects: Option<mpsc::Receiver<Effect>>,
}

impl Daemon {
    /// Reads the configuration and starts the daemon.
    ///
    /// # Errors
    /// A wrong configuration, or an address that cannot be listened on.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let config = config::load(&options.source)?;
        Self::start_with(options, config).map_err(StartError::Other)
    }

    /// Starts the daemon with a configuration that has been read already; reloads read `options.source`.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub fn start_with(options: Options, config: Config) -> anyhow::Result<Self> {
        let Options { source, listen, enable_lifecycle, own } = options;
        let clock = Clock;
        let panics = PanicCounter::from(own.task_panics.clone());
        let mut supervisor = Supervisor::default();

        let mut web = config.http.clone();
        if !listen.is_empty() {
            web.listen = listen;
        }
        web.lifecycle |= enable_lifecycle;
        let server = http::bind(&web).context("cannot start the HTTP server")?;
        let addresses = server.addresses();

        let (observations, observed) = mpsc::channel(OBSERVATION_QUEUE);
        let (notifications, notified) = mpsc::channel(NOTIFICATION_QUEUE);
        let (reload, reloads) = mpsc::channel(RELOAD_QUEUE);
        let (reconfigure, reconfigurations) = mpsc::channel(1);
        let (follow, effects) = mpsc::channel(EFFECT_QUEUE);
        own.queue_bound(Queue::Observations, OBSERVATION_QUEUE);
        own.queue_bound(Queue::Notifications, NOTIFICATION_QUEUE);
        own.config_loaded(true, clock.now().wall);

        let snapshot = Arc::new(ArcSwap::from_pointee(None));
        let heartbeat = Heartbeat::starting(clock.now().at);
        heartbeat.expect_polls_within(conductor::poll_limit(&config.chain));
        let decision = Decision {
            engine: Engine::new(Arc::new(config.engine.clone()), clock.now()),
            clock,
            own: own.clone(),
            snapshot: Arc::clone(&snapshot),
            heartbeat: heartbeat.clone(),
            herald: Herald::new(config.alertmanager.is_some().then_some(notifications)),
            follow,
        };
        supervisor.spawn_essential(
            "decision",
            panics.clone(),
            decision.run(observed, reconfigurations, supervisor.shutdown()),
        );
        let runbooks = config.runbooks.clone().or_served_at(addresses.first().map(link).as_deref());
        if let Some(mut settings) = config.alertmanager.clone() {
            settings.external_url = settings.external_url.or_else(|| addresses.first().map(link));
            settings.runbooks = runbooks.clone();
            alertmanager::spawn(&mut supervisor, settings, clock, notified, &own, &panics);
        }
        let shared =
            http::Shared { snapshot: Arc::clone(&snapshot), own: own.clone(), reload: reload.clone(), runbooks };
        supervisor.spawn_essential("http", panics.clone(), server.run(shared, supervisor.shutdown()));
        let conductor = Conductor {
            source,
            running: config,
            clock,
            own,
            heartbeat: heartbeat.clone(),
            panics: panics.clone(),
            observations,
            reconfigure,
        };
        supervisor.spawn_essential("conductor", panics, conductor.run(reloads, supervisor.shutdown()));

        Ok(Self { supervisor, addresses, snapshot, heartbeat, reload, effects: Some(effects) })
    }

    /// Where the HTTP server listens; port 0 is resolved.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The latest picture; `None` until the first step.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Option<Snapshot>> {
        self.snapshot.load_full()
    }

    /// The latest picture, followed by whoever holds this.
    #[must_use]
    pub fn snapshots(&self) -> Arc<ArcSwap<Option<Snapshot>>> {
        Arc::clone(&self.snapshot)
    }

    /// The marks that decisions and polls leave: what the watchdog asks.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    /// A copy of every effect from now on, for one follower; what a slow follower does not take is lost to it.
    ///
    /// # Panics
    /// If it is called twice.
    pub fn effects(&mut self) -> mpsc::Receiver<Effect> {
        self.effects.take().expect("there is one follower")
    }

    /// Reads the configuration again. A bad one changes nothing.
    ///
    /// # Errors
    /// The text to show to whoever asked.
    pub async fn reload(&self) -> Result<(), String> {
        let (done, outcome) = oneshot::channel();
        let stopping = || "the daemon is stopping".to_owned();
        self.reload.send(done).await.map_err(|_| stopping())?;
        outcome.await.map_err(|_| stopping())?
    }

    /// Asks for the same and does not wait for the outcome, which is logged and counted. Requests that cannot be noted
    /// are covered by those that wait already.
    pub fn ask_reload(&self) {
        let (done, _) = oneshot::channel();
        let _ = self.reload.try_send(done);
    }

    /// Completes when an essential part has died: the process is useless then.
    pub fn failure(&self) -> impl Future<Output = ()> + Send + use<> {
        self.supervisor.failure()
    }

    /// A place for more tasks that live as long as the daemon.
    pub fn supervisor(&mut self) -> &mut Supervisor {
        &mut self.supervisor
    }

    /// Stops everything within ten seconds: announcements are drained, alerts that fire are left firing.
    ///
    /// Returns whether all parts stopped by themselves.
    pub async fn stop(self) -> bool {
        self.supervisor.stop(DRAIN_LIMIT).await
    }
}

/// Where a reader of an alert finds the server that listens at `address`, as far as we can know.
fn link(address: &SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://{}:{}", config::host_name(), address.port())
    } else {
        format!("http://{address}")
    }
}
