//! The binary: reads the command line, runs the command, tells why it failed.

use std::process::ExitCode;

use clap::Parser;
use haltwatch::cli;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(cli::exit::FAILURE)
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is how a command says why it failed")]
fn report(error: &anyhow::Error) {
    eprintln!("haltwatch: {error:#}");
}
