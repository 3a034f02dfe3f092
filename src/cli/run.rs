//! `haltwatch run`: the daemon, from the first log line to the last.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit;
use crate::{
    app::{self, Daemon, Options},
    clock::Clock,
    config::{self, Source},
    engine::snapshot::{AlertState, Snapshot},
    model::{AlertName, NodeState},
    output::{
        log,
        own::OwnMetrics,
        systemd::{self, Environment, Systemd},
    },
    supervisor::PanicCounter,
};

/// The decision loop turns every second; this long without a step it hangs.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// Watch the nodes of a configuration until told to stop.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "PATH", default_value = "config.toml")]
    config_file: PathBuf,
    /// Where to listen, instead of what the configuration says; may be given more than once.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT")]
    listen: Vec<SocketAddr>,
    /// Allow reloading by POST /-/reload.
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,
    /// What is logged: debug, info, warn, error, or a filter such as `info,haltwatch::chain=debug`.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// How it is logged: text or json.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "text")]
    log_format: log::Format,
}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// A log filter that makes no sense, an address that cannot be listened on.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let own = OwnMetrics::new();
    let source = Source::File(arguments.config_file);
    let config = match config::load(&source) {
        Ok(config) => config,
        Err(problems) => {
            report(&problems);
            return Ok(ExitCode::from(exit::CONFIG));
        }
    };
    let context = log::Context::of_process(&config.engine.monitor);
    log::init(arguments.log_format, &arguments.log_level, &own.log_messages, context)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting haltwatch");
    app::log_warnings(&config.warnings);
    // Before anybody is told that we are ready: whoever is may send a signal at once, and one that is not listened for
    // kills.
    let mut signals = Signals::listen()?;

    let (networks, nodes) = (config.engine.networks.len(), config.engine.nodes.len());
    let panics = PanicCounter::from(own.task_panics.clone());
    let options = Options { source, listen: arguments.listen, enable_lifecycle: arguments.enable_lifecycle, own };
    let mut daemon = match Daemon::start_with(options, config) {
        Ok(daemon) => daemon,
        Err(error) => {
            tracing::error!("Cannot start: {error:#}");
            return Ok(ExitCode::from(exit::FAILURE));
        }
    };
    for address in daemon.addresses() {
        tracing::info!(address = %address, "Listening on http://{address}");
    }
    tracing::info!(networks, nodes, "Watching the nodes");
    tell_systemd(&mut daemon, panics);

    let code = wait(&daemon, &mut signals).await;
    tracing::info!("Stopping");
    tokio::select! {
        stopped = daemon.stop() => if !stopped {
            tracing::warn!("Not every part stopped in time; cut off");
        },
        () = signals.stop() => tracing::warn!("Told to stop again; what is still under way is cut off"),
    }
    Ok(code)
}

/// Tells the service manager that the start is complete, and from then on how things stand and that we are alive.
fn tell_systemd(daemon: &mut Daemon, panics: PanicCounter) {
    let systemd = Systemd::connect(&Environment::of_process());
    let (heartbeat, snapshots) = (daemon.heartbeat(), daemon.snapshots());
    systemd.ready("started");
    let shutdown = daemon.supervisor().shutdown();
    daemon.supervisor().spawn("systemd", panics, move || {
        let (heartbeat, snapshots) = (heartbeat.clone(), snapshots.clone());
        let progress = move || heartbeat.progress();
        let status = move || snapshots.load().as_ref().as_ref().map_or_else(|| "starting".to_owned(), status_line);
        systemd::run(systemd.clone(), Clock, shutdown.clone(), STEP_LIMIT, progress, status)
    });
}

/// `12 of 13 nodes live, 1 alert firing`.
fn status_line(snapshot: &Snapshot) -> String {
    let live = snapshot.nodes.iter().filter(|node| node.state == NodeState::Live).count();
    let firing = snapshot
        .alerts
        .iter()
        .filter(|alert| alert.state == AlertState::Firing && alert.key.name != AlertName::Watchdog)
        .count();
    let alerts = if firing == 1 { "alert" } else { "alerts" };
    format!("{live} of {} nodes live, {firing} {alerts} firing", snapshot.nodes.len())
}

/// Serves signals until one of them, or the death of an essential part, ends the daemon.
async fn wait(daemon: &Daemon, signals: &mut Signals) -> ExitCode {
    let failure = daemon.failure();
    tokio::pin!(failure);
    loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::Stop => return ExitCode::SUCCESS,
                // Not waited for: a file that is slow to read must not keep us from hearing the next signal.
                Wish::Reload => daemon.ask_reload(),
            },
            () = &mut failure => return ExitCode::from(exit::SOFTWARE),
        }
    }
}

/// The signals that the daemon serves; from the first listening on they do not kill any more.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            hangup: signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?,
        })
    }

    /// What the next signal asks for.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }

    /// Completes when one asks to stop.
    async fn stop(&mut self) {
        while self.next().await != Wish::Stop {}
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Stop,
    Reload,
}

/// The log is not open yet when the configuration is wrong.
#[expect(clippy::print_stderr, reason = "this is how a command says why it does not start")]
fn report(problems: &config::Problems) {
    eprintln!("{problems}");
}
