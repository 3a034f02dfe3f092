//! `haltwatch completions`: what a shell needs to complete our command line, made from the definition of that line.

use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

/// Print the completions for a shell.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell that will read them.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completions.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::print(&script(super::Arguments::command(), arguments.shell))
}

/// In memory first: the generator panics where it cannot write, and a reader may well leave early.
fn script(mut command: Command, shell: Shell) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}
