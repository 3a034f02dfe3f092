//! `haltwatch run`: the daemon, from the first log line to the last.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::exit;
use crate::{
    app::{Daemon, Options},
    config::{self, Source},
    output::{log, own::OwnMetrics, systemd},
};

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
    /// How it is logged.
    #[arg(long = "log.format", value_name = "FORMAT", value_enum, default_value_t)]
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
    log::init(arguments.log_format, &arguments.log_level, &config.engine.monitor, &own)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting haltwatch");

    let (networks, nodes) = (config.engine.networks.len(), config.engine.nodes.len());
    let options = Options { source, listen: arguments.listen, enable_lifecycle: arguments.enable_lifecycle, own };
    let mut daemon = Daemon::start_with(options, config).await?;
    for address in daemon.addresses() {
        tracing::info!(address = %address, "Listening on http://{address}");
    }
    systemd::start(&mut daemon, networks, nodes);
    tracing::info!(networks, nodes, "Watching {nodes} nodes of {networks} networks");

    let code = wait(&daemon).await?;
    systemd::stopping();
    tracing::info!("Stopping");
    if !daemon.stop().await {
        tracing::warn!("Not every part stopped in time; cut off");
    }
    Ok(code)
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
