//! Reads `config.toml` into the settings of each component and reports every problem at once, with file, line and
//! column. Edge types live in the rooms below; nothing outside sees them.

use std::path::Path;

use crate::{chain, engine, output};

/// The validated configuration, split by component.
#[derive(Debug, Clone)]
pub struct Config {
    /// For the engine.
    pub engine: engine::settings::Settings,
    /// For the pollers.
    pub chain: chain::Settings,
    /// For the HTTP server.
    pub http: output::http::Settings,
    /// For the notifier; `None` = no Alertmanager configured.
    pub alertmanager: Option<output::alertmanager::Settings>,
}

/// Every problem of a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One problem: where it is, what is wrong and what is wanted. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// 1-based line; 0 = the whole file.
    pub line: usize,
    /// 1-based column in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// Reads and validates the configuration at `path`.
///
/// # Errors
/// Every problem found, at once.
pub fn load(_path: &Path) -> Result<Config, Problems> {
    todo!()
}
