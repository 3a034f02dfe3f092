//! The daemon against real nodes, a real Prometheus and a real Alertmanager, all on loopback.
//!
//! `cargo test --test real` runs everything; words after it select the scenarios whose names contain one of them, and
//! `-- --list` prints the names. What is needed is installed into `target/real`, or `HALTWATCH_REAL_DIR`, once.
#![allow(clippy::disallowed_methods, reason = "this suite measures other processes: it reads clocks and sleeps")]
#![allow(clippy::print_stdout, reason = "a test suite prints what it found")]

mod alertmanager;
mod anvil;
mod bench;
mod bitcoind;
mod chopsticks;
mod clients;
mod genesis;
mod haltwatch;
mod harness;
mod injective;
mod install;
mod lodestar;
mod monerod;
mod prometheus;
mod scenarios;
mod scripted;

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    bench::Bench,
    harness::{guard, namespace},
    scenarios::Scenario,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == guard::ARGUMENT) {
        guard::run();
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&Scenario> = scenarios::ALL.iter().filter(|scenario| is_wanted(scenario, &arguments)).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for scenario in wanted {
            println!("{}: test", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    match run(&wanted) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("the suite cannot run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Set to anything, the whole is really everything.
const ALL: &str = "HALTWATCH_REAL_ALL";

/// Words without a dash are filters; without any, everything but what runs on request only.
fn is_wanted(scenario: &Scenario, arguments: &[String]) -> bool {
    let mut filters = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    if filters.peek().is_none() {
        return !scenario.on_request || std::env::var_os(ALL).is_some();
    }
    filters.any(|filter| scenario.name.contains(filter.as_str()))
}

/// Runs the scenarios one after the other and returns how many failed.
fn run(wanted: &[&Scenario]) -> Result<usize> {
    guard::start()?;
    let root = install::root();
    let mut tools = install::tools(&root)?;
    // Where the scenarios run nothing can be fetched, and this is fetched only for the one that needs it.
    if wanted.iter().any(|scenario| scenario.name.contains("monero")) {
        tools.monero = Some(install::monero(&root)?);
    }
    namespace::enter();
    let mut bench = Bench::new(tools, root);
    let failed = wanted.iter().filter(|scenario| !bench.run(scenario)).count();
    println!("{} passed, {failed} failed", wanted.len() - failed);
    Ok(failed)
}
