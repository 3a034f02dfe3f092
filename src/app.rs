//! The composition root: turns a configuration into running parts and connects them. After the wiring only data moves:
//! pollers send observations to the decision loop, which publishes snapshots and sends notifications.

mod conductor;
mod decision;
mod ensemble;
mod herald;
mod journal;
mod memory;
mod prober;
mod recording;
mod scouts;
mod silences;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

pub use self::recording::record;
use self::{
    conductor::Conductor,
    decision::Decision,
    ensemble::{Ensemble, Expectation, Links},
    herald::Herald,
    prober::Targets,
    scouts::Scouts,
};
use crate::{
    chain::Fleet,
    clock::Clock,
    config::{self, Config, Problems},
    discovery::Keep,
    engine::{
        Engine,
        snapshot::{Effect, Snapshot},
    },
    output::{
        alertmanager, http,
        own::{OwnMetrics, Queue},
        systemd::{Heartbeat, Systemd},
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

/// The shortest time between the beginnings of two reloads, for [`Options::reload_pause`]: a storm of requests must not
/// keep the daemon from its work.
pub const RELOAD_PAUSE: Duration = Duration::from_millis(500);

/// Effects kept for whoever follows the daemon in the same process.
const EFFECT_QUEUE: usize = 1024;

/// All of the daemon stops within this, what does not is cut off.
const DRAIN_LIMIT: Duration = Duration::from_secs(9);

/// How a daemon is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the configuration is read from, now and at every reload.
    pub source: config::Source,
    /// What the command line says about the HTTP server.
    pub web: http::Overrides,
    /// The daemon's own metrics.
    pub own: OwnMetrics,
    /// The directory of what is kept over restarts; `None` = nothing is.
    pub storage: Option<PathBuf>,
    /// The shortest time between the beginnings of two reloads: [`RELOAD_PAUSE`].
    pub reload_pause: Duration,
    /// Who is told of reloads.
    pub systemd: Systemd,
}

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] Problems),
    /// Anything else, such as a port in use; its text is the whole chain of causes.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    supervisor: Supervisor,
    server: http::Server,
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
        let Options { source, web: overrides, own, storage, reload_pause, systemd } = options;
        let clock = Clock;
        let panics = PanicCounter::from(own.task_panics.clone());
        let mut supervisor = Supervisor::default();
        let web = overrides.applied(&config.http);
        let server = http::bind(&web).context("cannot start the HTTP server")?;

        let (sightings, sighted) = mpsc::channel(OBSERVATION_QUEUE);
        let (notifications, notified) = mpsc::channel(NOTIFICATION_QUEUE);
        let (reload, reloads) = mpsc::channel(RELOAD_QUEUE);
        let (reconfigure, reconfigurations) = mpsc::channel(1);
        let (follow, effects) = mpsc::channel(EFFECT_QUEUE);
        own.queue_bound(Queue::Observations, OBSERVATION_QUEUE);
        own.queue_bound(Queue::Notifications, NOTIFICATION_QUEUE);
        own.config_loaded(Some(config.hash.0), clock.now().wall);

        let (silences, silenced) = silences::spawn(&mut supervisor, storage.as_deref(), clock, &panics);
        let mut scouts =
            Scouts::new(storage.as_deref().map(Keep::inside), own.discovery.clone(), clock, panics.clone());
        scouts.follow(&config.discovery.sources);
        let running = scouts.merged(&config);
        let mut fleet = Fleet::new(clock, sightings, panics.clone());
        let plan = fleet.plan(&running.chain);
        let snapshot = Arc::new(ArcSwap::from_pointee(None));
        let heartbeat = Heartbeat::starting(clock.now().at);
        let tap = recording::start(&mut supervisor, config.record.as_ref(), clock, &own, &panics)?;
        let (memory, known) = memory::spawn(&mut supervisor, storage.as_deref(), &panics);
        let engine = memory::resumed(Engine::new(Arc::new(running.engine.clone()), clock.now()), &known, clock.now());
        let decision = Decision {
            engine,
            roster: plan.roster(),
            clock,
            own: own.clone(),
            snapshot: Arc::clone(&snapshot),
            heartbeat: heartbeat.clone(),
            herald: Herald::new(notifications, external_labels(&config)),
            follow,
            tap,
            memory,
        };
        let deciding = decision.run(sighted, (reconfigurations, silenced), supervisor.shutdown());
        supervisor.spawn_essential("decision", panics.clone(), deciding);
        let links = Links::of(&web, &server);
        let notifier = alertmanager::spawn(&mut supervisor, links.on(&config), clock, notified, &own, &panics);
        let runbooks = Arc::new(ArcSwap::from_pointee(links.runbooks));
        fleet.carry_out(plan);
        let (probe, targets) = prober::spawn(&mut supervisor, Targets::of(&running, fleet.gates()), &panics);
        let shared = http::Shared {
            snapshot: Arc::clone(&snapshot),
            own: own.clone(),
            reload: reload.clone(),
            probe,
            silences,
            runbooks: Arc::clone(&runbooks),
        };
        supervisor.spawn_essential("http", panics.clone(), server.clone().run(shared, supervisor.shutdown()));
        let mut expectation = Expectation::new(heartbeat.clone(), clock);
        expectation.of(&running.chain);
        let ensemble = Ensemble {
            overrides,
            server: server.clone(),
            fleet,
            notifier,
            targets,
            runbooks,
            reconfigure,
            expectation,
        };
        let conductor =
            Conductor { source, loaded: config, running, scouts, ensemble, clock, own, systemd, pause: reload_pause };
        supervisor.spawn_essential("conductor", panics, conductor.run(reloads, supervisor.shutdown()));

        Ok(Self { supervisor, server, snapshot, heartbeat, reload, effects: Some(effects) })
    }

    /// Where the HTTP server listens now; port 0 is resolved.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.server.addresses()
    }

    /// Whether the HTTP server speaks TLS now.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.server.is_encrypted()
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

/// Logs each warning about a configuration that has just been loaded.
pub fn log_warnings(warnings: &Problems) {
    for problem in &warnings.list {
        let known = |number: usize| (0 < number).then_some(number);
        let (code, line, column) = (problem.code.as_str(), known(problem.line), known(problem.column));
        tracing::warn!(code, line, column, help = problem.help.as_deref(), "{}: {}", warnings.source, problem.message);
    }
}

fn external_labels(config: &Config) -> crate::model::Labels {
    config.alertmanager.as_ref().map(|settings| settings.external_labels.clone()).unwrap_or_default()
}
