//! `haltwatch check-config`: says everything that is wrong with a configuration, without starting anything.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use super::exit;
use crate::{
    config::{self, Source},
    output::http::web_config::WebConfig,
};

/// Say everything that is wrong with a configuration.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "PATH", default_value = "config.toml")]
    config_file: PathBuf,
}

/// Reads the configuration and reports. The exit code tells the outcome even if nobody reads the report.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match config::load(&Source::File(arguments.config_file.clone())) {
        Ok(config) => {
            if let Some(Err(broken)) = config.http.config_file.as_deref().map(WebConfig::load) {
                let _ = writeln!(io::stderr(), "{broken}");
                return ExitCode::from(exit::CONFIG);
            }
            let (networks, nodes) = (config.engine.networks.len(), config.engine.nodes.len());
            let file = arguments.config_file.display();
            let _ = writeln!(io::stdout(), "{file}: good; networks: {networks}, nodes: {nodes}");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            let _ = writeln!(io::stderr(), "{problems}");
            ExitCode::from(exit::CONFIG)
        }
    }
}
