//! `haltwatch replay`: what would have been announced, had haltwatch watched a recorded stream.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use serde::Serialize;

use crate::{
    engine::{settings::Settings, snapshot::Subject},
    model::AlertName,
    replay::{ReplayError, Told, replay},
};

/// Judge a recorded stream of observations and print the alerts as JSON lines.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The stream; `-` or nothing is standard input.
    #[arg(value_name = "STREAM")]
    stream: Option<PathBuf>,
}

/// Replays the stream.
///
/// # Errors
/// A stream that cannot be read, or whose lines are wrong.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = replay(input(arguments)?, |told| print(&mut out, told)).and_then(|()| Ok(out.flush()?));
    match outcome {
        // Whoever reads has seen enough, as `head` has after ten lines.
        Err(Failure::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

fn input(arguments: &Arguments) -> anyhow::Result<Box<dyn BufRead>> {
    match arguments.stream.as_deref().filter(|path| path.as_os_str() != "-") {
        None => Ok(Box::new(io::stdin().lock())),
        Some(path) => {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(Box::new(BufReader::new(file)))
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("cannot write to standard output: {0}")]
    Print(#[from] io::Error),
}

/// One line of the output.
#[derive(Serialize)]
struct Line<'a> {
    t: i64,
    state: &'static str,
    alert: &'static str,
    level: &'static str,
    scope: Scope<'a>,
    reason: &'static str,
}

/// What an alert is about.
#[derive(Serialize)]
#[serde(untagged)]
enum Scope<'a> {
    Monitor { monitor: &'a str },
    Network { chain: &'a str },
    Node { chain: &'a str, node: &'a str },
}

impl<'a> Scope<'a> {
    fn of(settings: &'a Settings, subject: Subject) -> Self {
        match subject {
            subject @ (Subject::Monitor | Subject::Vantage(_)) => {
                Self::Monitor { monitor: settings.monitor_of(subject) }
            }
            Subject::Network(network) => Self::Network { chain: &settings.networks[network.index()].name },
            Subject::Node(node) => {
                let node = &settings.nodes[node.index()];
                Self::Node { chain: &settings.networks[node.network.index()].name, node: &node.name }
            }
        }
    }
}

fn print(out: &mut impl Write, told: &Told<'_>) -> Result<(), Failure> {
    let alert = told.alert;
    // The dead man's switch tells nothing about the stream.
    if alert.key.name == AlertName::Watchdog {
        return Ok(());
    }
    let line = Line {
        t: told.at,
        state: if told.fired { "fire" } else { "resolve" },
        alert: alert.key.name.as_str(),
        level: alert.level.as_str(),
        scope: Scope::of(told.settings, alert.key.subject),
        reason: alert.finding.reason(),
    };
    serde_json::to_writer(&mut *out, &line).map_err(io::Error::from)?;
    // Said at once: a stream may come from a pipe that is still being written.
    writeln!(out)?;
    Ok(out.flush()?)
}
