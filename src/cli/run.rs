//! `haltwatch run`: the daemon, from the first log line to the last.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit;
use crate::{
    app::{self, Daemon, Options, RELOAD_PAUSE},
    clock::Clock,
    config::{self, Source},
    engine::snapshot::{AlertState, Snapshot},
    model::{AlertName, Endpoint, NodeState},
    output::{
        http::{self, web_config::WebConfig},
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
    /// Where what must survive a restart is kept. Default: the state directory that systemd names; without either
    /// nothing is kept.
    #[arg(long = "storage.path", value_name = "DIRECTORY")]
    storage: Option<PathBuf>,
    #[command(flatten)]
    web: WebArguments,
    /// What is logged: debug, info, warn, error, or a filter such as `info,haltwatch::chain=debug`.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", value_parser = log_level)]
    log_level: String,
    /// How it is logged: text or json.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "text")]
    log_format: log::Format,
}

/// What exporters let the command line say about their HTTP server. It wins over the configuration, after reloads too.
#[derive(Debug, clap::Args)]
struct WebArguments {
    /// Where to listen, instead of what the configuration says; may be given more than once.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", value_parser = http::parse_address)]
    listen: Vec<SocketAddr>,
    /// Listen on the sockets that systemd hands over, instead of at addresses.
    #[arg(long = "web.systemd-socket")]
    systemd_socket: bool,
    /// The file with TLS, users, headers and a rate limit, in the schema of Prometheus exporters.
    #[arg(long = "web.config.file", value_name = "PATH")]
    web_config_file: Option<PathBuf>,
    /// The path of the metrics, beside /metrics.
    #[arg(long = "web.telemetry-path", value_name = "PATH", value_parser = http::parse_path)]
    telemetry_path: Option<String>,
    /// How people who read an alert reach this monitor.
    #[arg(long = "web.external-url", value_name = "URL", value_parser = external_url)]
    external_url: Option<String>,
    /// What stands before every path; by default the path of the external URL.
    #[arg(long = "web.route-prefix", value_name = "PATH", value_parser = http::parse_path)]
    route_prefix: Option<String>,
    /// Open connections at the most.
    #[arg(long = "web.max-connections", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_connections: Option<u32>,
    /// Requests served at a time, more get 503; 0 = as many as connections.
    #[arg(long = "web.max-requests", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=65_536))]
    max_requests: Option<u32>,
    /// How long a connection may be idle.
    #[arg(long = "web.read-timeout", value_name = "TIME", value_parser = read_timeout)]
    read_timeout: Option<Duration>,
    /// Allow reloading by POST /-/reload.
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,
}

impl WebArguments {
    fn overrides(self) -> http::Overrides {
        let number = |given: Option<u32>| given.and_then(|given| usize::try_from(given).ok());
        http::Overrides {
            max_connections: number(self.max_connections),
            max_requests: number(self.max_requests),
            listen: self.listen,
            systemd_socket: self.systemd_socket,
            config_file: self.web_config_file,
            lifecycle: self.enable_lifecycle,
            read_timeout: self.read_timeout,
            telemetry_path: self.telemetry_path,
            route_prefix: self.route_prefix,
            external_url: self.external_url,
        }
    }
}

/// A filter that makes sense.
fn log_level(text: &str) -> Result<String, String> {
    log::parse_filter(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// A URL that is published in alerts.
fn external_url(text: &str) -> Result<String, String> {
    let endpoint = Endpoint::parse(text, "http, https").map_err(|error| error.to_string())?;
    if endpoint.path_and_query().contains('?') {
        return Err("write it without a query: paths are appended to it".to_owned());
    }
    Ok(endpoint.url().trim_end_matches('/').to_owned())
}

fn read_timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(3600);
    if allowed.contains(&time) { Ok(time) } else { Err("1s to 1h are allowed".to_owned()) }
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
    let overrides = arguments.web.overrides();
    let web_config_file = overrides.config_file.as_deref().or(config.http.config_file.as_deref());
    if let Some(Err(broken)) = web_config_file.map(WebConfig::load) {
        report(&broken);
        return Ok(ExitCode::from(exit::CONFIG));
    }
    let context = log::Context::of_process(&config.engine.monitor);
    log::init(arguments.log_format, &arguments.log_level, &own.log_messages, context)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting haltwatch");
    app::log_warnings(&config.warnings);
    // Before anybody is told that we are ready: whoever is may send a signal at once, and one that is not listened for
    // kills.
    let mut signals = Signals::listen()?;

    let (networks, nodes) = (config.engine.networks.len(), config.engine.nodes.len());
    let panics = PanicCounter::from(own.task_panics.clone());
    let systemd = Systemd::connect(&Environment::of_process());
    let options = Options {
        source,
        web: overrides,
        own,
        storage: arguments.storage.or_else(state_directory),
        reload_pause: RELOAD_PAUSE,
        systemd: systemd.clone(),
    };
    let mut daemon = match Daemon::start_with(options, config) {
        Ok(daemon) => daemon,
        Err(error) => {
            tracing::error!("Cannot start: {error:#}");
            return Ok(ExitCode::from(exit::FAILURE));
        }
    };
    let scheme = if daemon.is_encrypted() { "https" } else { "http" };
    for address in daemon.addresses() {
        tracing::info!(address = %address, "Listening on {scheme}://{address}");
    }
    tracing::info!(networks, nodes, "Watching the nodes");
    tell_systemd(systemd, &mut daemon, panics);

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

/// The directory that the service manager made for us; the first if there are several.
fn state_directory() -> Option<PathBuf> {
    let directories = std::env::var_os("STATE_DIRECTORY")?;
    std::env::split_paths(&directories).next().filter(|path| !path.as_os_str().is_empty())
}

/// Tells the service manager that the start is complete, and from then on how things stand and that we are alive.
fn tell_systemd(systemd: Systemd, daemon: &mut Daemon, panics: PanicCounter) {
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
fn report(problems: &dyn std::fmt::Display) {
    eprintln!("{problems}");
}
