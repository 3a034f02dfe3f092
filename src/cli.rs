//! The command line, in the manner of Prometheus exporters.

pub mod check_config;
pub mod check_web_config;
pub mod completions;
pub mod config;
pub mod demo;
pub mod man;
pub mod methods;
pub mod probe;
pub mod record;
pub mod replay;
pub mod run;
pub mod test_rules;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Exit codes of every command, beside 0 for success and 2 for wrong usage.
pub mod exit {
    /// Something outside failed: an address in use, a story that did not come true.
    pub const FAILURE: u8 = 1;
    /// There are warnings, and `--strict` was asked for.
    pub const WARNINGS: u8 = 3;
    /// An essential part of the daemon died (`EX_SOFTWARE` of sysexits.h): a bug.
    pub const SOFTWARE: u8 = 70;
    /// The configuration is wrong (`EX_CONFIG` of sysexits.h).
    pub const CONFIG: u8 = 78;
}

const EXIT_CODES: &str = "Exit codes:
  0   success
  1   something outside failed, such as an address in use
  2   wrong usage
  3   warnings, where --strict was asked for
  70  an essential part of the daemon died: a bug, please report it
  78  the configuration is wrong";

/// Watches blockchain nodes and decides whether a network has halted, a node is in trouble, or the monitor is blind.
#[derive(Debug, Parser)]
#[command(name = "haltwatch", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the nodes of a configuration until told to stop.
    Run(run::Arguments),
    /// Say everything that is wrong with a configuration.
    CheckConfig(check_config::Arguments),
    /// Say everything that is wrong with a web configuration file.
    CheckWebConfig(check_web_config::Arguments),
    /// Ask one endpoint and say what it is, how it stands, and which configuration would watch it.
    Probe(probe::Arguments),
    /// Print the example configuration, what a key means, or the schema for editors.
    Config(config::Arguments),
    /// Print every method and path that nodes are asked for, for the allow-list of a proxy.
    Methods(methods::Arguments),
    /// Watch three simulated networks and see one of them halt and recover.
    Demo(demo::Arguments),
    /// Record what the nodes of a configuration say, for `replay`.
    Record(record::Arguments),
    /// Judge a recorded stream of observations and print the alerts.
    Replay(replay::Arguments),
    /// Check by stories of what nodes say that the right alerts are told at the right times.
    TestRules(test_rules::Arguments),
    /// Print the completions for a shell.
    Completions(completions::Arguments),
    /// Print the manual, or write all of its pages.
    Man(man::Arguments),
}

/// Runs the command that `arguments` name.
///
/// # Errors
/// What keeps the command from running at all.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Run(arguments) => run::run(arguments).await,
        Command::CheckConfig(arguments) => Ok(check_config::run(&arguments).await),
        Command::CheckWebConfig(arguments) => Ok(check_web_config::run(&arguments)),
        Command::Probe(arguments) => Ok(probe::run(&arguments).await),
        Command::Config(arguments) => config::run(&arguments),
        Command::Methods(arguments) => methods::run(&arguments),
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Record(arguments) => record::run(arguments).await,
        Command::Replay(arguments) => replay::run(&arguments),
        Command::TestRules(arguments) => Ok(test_rules::run(&arguments)),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}

/// Says why nothing is done, and ends with `code`.
fn refuse(why: &str, code: u8) -> ExitCode {
    // Whoever does not listen is told by the code.
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::from(code)
}

/// Prints a whole document. A reader who leaves early, as `head` does, has seen enough.
fn print(document: &[u8]) -> anyhow::Result<ExitCode> {
    match io::stdout().write_all(document) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
