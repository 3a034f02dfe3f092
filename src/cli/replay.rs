//! `haltwatch replay`: what would have been announced, had haltwatch watched a recorded stream.

mod evidence;
mod json;
mod table;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;

use self::table::{Summary, Table};
use super::{demo::terminal::Colour, exit};
use crate::{
    config::{self, Config, Source},
    engine::settings::Settings,
    model::AlertName,
    replay::{End, ReplayError, Told, recast, replay},
};

/// How much of a stream is read at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// Judge a recorded stream of observations and print the alerts.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The stream; `-` or nothing is standard input.
    #[arg(value_name = "STREAM")]
    stream: Option<PathBuf>,
    /// Judge under the thresholds, rules and labels of this configuration: when would it have called?
    #[arg(long, value_name = "PATH", alias = "config.file")]
    config: Option<PathBuf>,
    /// How to say it: as JSON lines, or as a table for people.
    #[arg(long, value_name = "FORM", default_value = "json")]
    output: Output,
    /// Say under each alert what proves it, and at the end why each network counts as what it is.
    #[arg(long)]
    explain: bool,
    /// When to use colours in the table.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: Colour,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Json,
    Table,
}

/// Replays the stream.
///
/// # Errors
/// A stream that cannot be read, or whose lines are wrong.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.config.clone().map(|path| config::load(&Source::File(path))).transpose() {
        Ok(config) => config,
        Err(problems) => {
            say(&problems.to_string());
            return Ok(ExitCode::from(exit::CONFIG));
        }
    };
    let input = input(arguments)?;
    let mut teller = Teller::new(arguments);
    let outcome = replay(input, |stream| cast(stream, config.as_ref()), |told| teller.tell(told));
    match outcome.and_then(|end| teller.finish(&end)) {
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
            Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, file)))
        }
    }
}

/// The settings to judge under; where stream and configuration disagree, that is said.
fn cast(stream: &Settings, config: Option<&Config>) -> Settings {
    let Some(config) = config else { return stream.clone() };
    let (settings, notes) = recast(stream, &config.engine);
    for note in notes {
        say(&format!("note: {note}"));
    }
    settings
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("cannot write to standard output: {0}")]
    Print(#[from] io::Error),
}

/// Prints what is told, in the form that was asked for.
struct Teller {
    out: BufWriter<io::StdoutLock<'static>>,
    explain: bool,
    /// The table, if that is the form.
    table: Option<Table>,
    summary: Summary,
}

impl Teller {
    fn new(arguments: &Arguments) -> Self {
        let no_color = std::env::var("NO_COLOR").ok();
        let coloured = arguments.color.wanted(io::stdout().is_terminal(), no_color.as_deref());
        Self {
            out: BufWriter::new(io::stdout().lock()),
            explain: arguments.explain,
            table: (arguments.output == Output::Table).then(|| Table::new(coloured)),
            summary: Summary::default(),
        }
    }

    fn tell(&mut self, told: &Told<'_>) -> Result<(), Failure> {
        // The dead man's switch tells nothing about the stream.
        if told.alert.key.name == AlertName::Watchdog {
            return Ok(());
        }
        self.summary.count(told);
        let snapshot = self.explain.then(|| told.snapshot());
        match &mut self.table {
            None => json::write(&mut self.out, told, snapshot.as_ref())?,
            Some(table) => {
                table.write(&mut self.out, told)?;
                if let Some(snapshot) = snapshot {
                    evidence::of_alert(&snapshot, told.alert)
                        .iter()
                        .try_for_each(|line| writeln!(self.out, "    {line}"))?;
                }
            }
        }
        // Said at once: a stream may come from a pipe that is still being written.
        Ok(self.out.flush()?)
    }

    /// What is to be said at the end. Nothing but alerts goes to the standard output in the form for machines.
    fn finish(&mut self, end: &End) -> Result<(), Failure> {
        if let Some(line) = end.cut_at {
            say(&format!("warning: line {line} is the beginning of one: the recording was interrupted there"));
        }
        if self.explain {
            let text = evidence::of_end(end).join("\n");
            match &self.table {
                Some(_) => writeln!(self.out, "{text}")?,
                None => say(&text),
            }
        }
        self.out.flush()?;
        if self.table.is_some() {
            say(&self.summary.to_string());
        }
        Ok(())
    }
}

/// What is not part of the outcome goes to where errors are read.
#[expect(clippy::print_stderr, reason = "this is how a command speaks beside its output")]
fn say(text: &str) {
    eprintln!("{text}");
}
