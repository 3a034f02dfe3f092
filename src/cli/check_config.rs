//! `haltwatch check-config`: says everything that is wrong with a configuration, without starting anything.
//! With `--online` it also dials everything that the configuration names.

mod online;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use self::online::Online;
use super::exit;
use crate::{
    config::{self, Config, Source},
    output::http::web_config::WebConfig,
};

/// Say everything that is wrong with a configuration.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "PATH", default_value = "config.toml")]
    config_file: PathBuf,
    /// Dial every node, canary and Alertmanager as well, and say what was found.
    #[arg(long)]
    online: bool,
}

/// Reads the configuration and reports. The exit code tells the outcome even if nobody reads the report.
pub async fn run(arguments: &Arguments) -> ExitCode {
    match config::load(&Source::File(arguments.config_file.clone())) {
        Ok(config) => {
            if let Some(Err(broken)) = config.http.config_file.as_deref().map(WebConfig::load) {
                let _ = writeln!(io::stderr(), "{broken}");
                return ExitCode::from(exit::CONFIG);
            }
            let (networks, nodes) = (config.engine.networks.len(), config.engine.nodes.len());
            let file = arguments.config_file.display();
            let _ = writeln!(io::stdout(), "{file}: good; networks: {networks}, nodes: {nodes}");
            if arguments.online { dial(&config).await } else { ExitCode::SUCCESS }
        }
        Err(problems) => {
            let _ = writeln!(io::stderr(), "{problems}");
            ExitCode::from(exit::CONFIG)
        }
    }
}

async fn dial(config: &Config) -> ExitCode {
    let online = Online::check(config).await;
    for line in online.lines() {
        let _ = writeln!(io::stdout(), "{line}");
    }
    online.exit_code()
}
