//! placeholder
use std::process::ExitCode;
/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Arguments {}
/// Runs.
pub async fn run(_arguments: Arguments) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
