//! `haltwatch run`: the daemon, from the first log line to the last.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::exit;
use crate::{
    app::{Daemon, Options},
    clock::Clock,
    config::{self, Source},
    engine::snapshot::{AlertState, Snapshot},
    model::{AlertName, NodeState},
    output::{
        log,
        own::OwnMetrics,
        systemd::{self, Environment, ProgressLimits, Systemd},
    },
    supervisor::PanicCounter,
};

/// The decision loop turns every second; this long without a step it hangs.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// Beyond two intervals and deadlines of the slowest node, back-off included, the pollers hang.
const POLL_SLACK: Duration = Duration::from_secs(60);

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

    let (networks, nodes) = (config.engine.networks.len(), config.engine.nodes.len());
    let limits = ProgressLimits { step: STEP_LIMIT, poll: poll_limit(&config) };
    let panics = PanicCounter::from(own.task_panics.clone());
    let options = Options { source, listen: arguments.listen, enable_lifecycle: arguments.enable_lifecycle, own };
    let mut daemon = Daemon::start_with(options, config)?;
    for address in daemon.addresses() {
        tracing::info!(address = %address, "Listening on http://{address}");
    }
    tracing::info!(networks, nodes, "Watching {nodes} nodes of {networks} networks");
    tell_systemd(&mut daemon, limits, panics);

    let code = wait(&daemon).await?;
    tracing::info!("Stopping");
    if !daemon.stop().await {
        tracing::warn!("Not every part stopped in time; cut off");
    }
    Ok(code)
}

/// Tells the service manager that the start is complete, and from then on how things stand and that we are alive.
fn tell_systemd(daemon: &mut Daemon, limits: ProgressLimits, panics: PanicCounter) {
    let systemd = Systemd::connect(&Environment::of_process());
    let (heartbeat, snapshots) = (daemon.heartbeat(), daemon.snapshots());
    systemd.ready("started");
    let shutdown = daemon.supervisor().shutdown();
    daemon.supervisor().spawn("systemd", panics, move || {
        let (heartbeat, snapshots) = (heartbeat.clone(), snapshots.clone());
        let progress = move || heartbeat.progress();
        let status = move || snapshots.load().as_ref().as_ref().map_or_else(|| "starting".to_owned(), status_line);
        systemd::run(systemd.clone(), Clock, shutdown.clone(), limits, progress, status)
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

/// How long the daemon may be without the end of any poll.
fn poll_limit(config: &config::Config) -> Duration {
    let slowest = config.engine.nodes.iter().map(|node| node.interval + node.timeout).max().unwrap_or_default();
    slowest * 2 + POLL_SLACK
}

/// Serves signals until one of them, or the death of an essential part, ends the daemon.
async fn wait(daemon: &Daemon) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let failure = daemon.failure();
    tokio::pin!(failure);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            // The outcome is logged and counted where it is known.
            _ = hangup.recv() => drop(daemon.reload().await),
            () = &mut failure => return Ok(ExitCode::from(exit::SOFTWARE)),
        }
    }
}

/// The log is not open yet when the configuration is wrong.
#[expect(clippy::print_stderr, reason = "this is how a command says why it does not start")]
fn report(problems: &config::Problems) {
    eprintln!("{problems}");
}
