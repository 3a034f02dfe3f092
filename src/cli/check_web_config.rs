//! `haltwatch check-web-config`: says everything that is wrong with a web configuration file, those it names included.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use super::exit;
use crate::output::http::web_config::WebConfig;

/// Say everything that is wrong with a web configuration file.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The file that would be given as --web.config.file.
    #[arg(value_name = "PATH")]
    file: PathBuf,
}

/// Reads the file and reports. The exit code tells the outcome even if nobody reads the report.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let file = arguments.file.display();
    match WebConfig::load(&arguments.file) {
        Ok(config) => {
            let tls = if config.tls.is_some() { "TLS" } else { "no TLS" };
            let users = config.users.as_ref().map_or("no users".to_owned(), |users| format!("{users:?}"));
            let _ = writeln!(io::stdout(), "{file}: good; {tls}, {users}");
            for note in &config.notes {
                let _ = writeln!(io::stdout(), "{file}: note: {note}");
            }
            ExitCode::SUCCESS
        }
        Err(broken) => {
            let _ = writeln!(io::stderr(), "{broken}");
            ExitCode::from(exit::CONFIG)
        }
    }
}
