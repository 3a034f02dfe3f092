//! `haltwatch check-config`: says everything that is wrong with a configuration, without starting anything.

use std::{path::PathBuf, process::ExitCode};

use super::exit;
use crate::config::{self, Source};

/// Say everything that is wrong with a configuration.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "PATH", default_value = "config.toml")]
    config_file: PathBuf,
}

/// Reads the configuration and reports.
#[must_use]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this command speaks to its terminal")]
pub fn run(arguments: &Arguments) -> ExitCode {
    match config::load(&Source::File(arguments.config_file.clone())) {
        Ok(config) => {
            let (networks, nodes) = (config.engine.networks.len(), config.engine.nodes.len());
            println!("{}: good, {nodes} nodes of {networks} networks", arguments.config_file.display());
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::from(exit::CONFIG)
        }
    }
}
