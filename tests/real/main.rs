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

use std::{
    iter,
    path::Path,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::Result;

use crate::{
    bench::Bench,
    harness::{guard, namespace},
    install::Installer,
    scenarios::{Run, Scenario},
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

/// Gets what only some scenarios need. It must be there before the namespace is entered: in there nothing can be fetched.
/// What cannot be had is missed by nobody but its scenario, which fails for want of it.
fn install_more(wanted: &[&Scenario], root: &Path) {
    if namespace::inside() {
        return;
    }
    for scenario in wanted {
        if let Err(error) = (scenario.install)(&Installer::at(root)) {
            println!("cannot install what {} needs: {error:#}", scenario.name);
        }
    }
}

/// Runs the scenarios and returns how many failed. Two go on at a time, for they mostly wait: those that share the
/// validators one after the other, and beside them the others.
fn run(wanted: &[&Scenario]) -> Result<usize> {
    guard::start()?;
    let root = install::root()?;
    let tools = install::tools(&root)?;
    install_more(wanted, &root);
    namespace::enter();
    let (sharing, alone): (Vec<&Scenario>, _) =
        wanted.iter().partition(|scenario| matches!(scenario.run, Run::WithValidators(_)));
    let alone = Mutex::new(alone.into_iter());
    let next = || alone.lock().unwrap_or_else(PoisonError::into_inner).next();
    let failing = |place, scenarios: &mut dyn Iterator<Item = &Scenario>| {
        let mut bench = Bench::new(tools.clone(), root.clone(), place);
        scenarios.filter(|scenario| !bench.run(scenario)).count()
    };
    let failed = thread::scope(|scope| {
        let beside = scope.spawn(|| failing("beside", &mut iter::from_fn(next)));
        let first = failing("first", &mut sharing.into_iter()) + failing("first", &mut iter::from_fn(next));
        first + beside.join().expect("a scenario that panics has failed, and no more")
    });
    println!("{} passed, {failed} failed", wanted.len() - failed);
    Ok(failed)
}
