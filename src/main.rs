//! The binary: reads the command line, runs the command, tells why it failed.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use haltwatch::cli;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let code = tokio::runtime::Runtime::new().context("cannot start the runtime").and_then(|runtime| {
        let code = runtime.block_on(cli::run(arguments));
        // Names that are being resolved, and files that are being read, hold threads that cannot be interrupted: to
        // wait for them would make a shutdown as long as a resolver that hangs.
        runtime.shutdown_background();
        code
    });
    code.unwrap_or_else(|error| {
        report(&error);
        ExitCode::from(cli::exit::FAILURE)
    })
}

#[expect(clippy::print_stderr, reason = "this is how a command says why it failed")]
fn report(error: &anyhow::Error) {
    eprintln!("haltwatch: {error:#}");
}
