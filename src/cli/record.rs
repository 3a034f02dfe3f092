//! `haltwatch record`: writes down what `run` would observe, to be replayed.

use std::{io, io::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::exit;
use crate::{
    app,
    config::{self, Source},
    recorder::Settings,
};

/// Record what the nodes of a configuration say, for `replay`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "PATH", default_value = "config.toml", alias = "config")]
    config_file: PathBuf,
    /// The file to write; when it is full it becomes PATH.1, and what was PATH.1 becomes PATH.2.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// How large a file may become.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    max_size: u64,
    /// How many files are kept in all.
    #[arg(long, value_name = "N", default_value_t = Settings::KEEP, value_parser = clap::value_parser!(u32).range(1..=1000))]
    keep: u32,
}

/// At least one megabyte, so that a file holds more than its first line.
fn size(text: &str) -> Result<u64, String> {
    let bytes = config::size(text).ok_or("write a size like \"64MiB\"")?;
    let allowed = 1 << 20..=1 << 40;
    if allowed.contains(&bytes) { Ok(bytes as u64) } else { Err("1MiB to 1024GiB are allowed".to_owned()) }
}

/// Records until SIGTERM or Ctrl-C.
///
/// # Errors
/// A file that cannot be written, such as one on a disk that is full.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = match config::load(&Source::File(arguments.config_file)) {
        Ok(config) => config,
        Err(problems) => {
            say(&problems.to_string());
            return Ok(ExitCode::from(exit::CONFIG));
        }
    };
    if !config.discovery.sources.is_empty() {
        say("note: nodes that only [[discovery]] names are not recorded here; [record] in the configuration does");
    }
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let settings = Settings { file: arguments.out, max_size: arguments.max_size, keep: arguments.keep };
    let (networks, nodes) = (config.engine.networks.len(), config.engine.nodes.len());
    say(&format!("recording to {} until Ctrl-C; networks: {networks}, nodes: {nodes}", settings.file.display()));
    app::record(&config, &settings, stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// What cannot be said need not be: the file tells.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
