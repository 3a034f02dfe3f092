//! `haltwatch test-rules`: plays stories of what nodes say, and checks which alerts are told when.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use super::exit;
use crate::{
    config::{self, Source},
    ruletest::{self, Story},
};

const EXIT_CODES: &str = "Exit codes:
  0   everything came true
  1   something did not
  2   a file cannot be used, or wrong usage";

/// Something is wrong with a file itself.
const UNUSABLE: u8 = 2;

/// Check by stories of what nodes say that the right alerts are told at the right times.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// The stories.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// How one file did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Good,
    Failed,
    Unusable,
}

/// Plays every file. The exit code tells the outcome even if nobody reads the report.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let outcomes: Vec<Outcome> = arguments.files.iter().map(|file| test(file.clone())).collect();
    let bad = outcomes.iter().filter(|outcome| **outcome != Outcome::Good).count();
    if 0 < bad && 1 < outcomes.len() {
        let _ = writeln!(io::stderr(), "{bad} of {} files failed", outcomes.len());
    }
    ExitCode::from(match outcomes.into_iter().max() {
        None | Some(Outcome::Good) => 0,
        Some(Outcome::Failed) => exit::FAILURE,
        Some(Outcome::Unusable) => UNUSABLE,
    })
}

fn test(file: PathBuf) -> Outcome {
    let source = Source::File(file);
    // What cannot be written is not: the exit code says the same.
    match config::load_story(&source) {
        Err(problems) => {
            let _ = writeln!(io::stderr(), "{problems}");
            Outcome::Unusable
        }
        Ok(story) => {
            let (text, good) = verdict(&source.to_string(), &story);
            let _ =
                if good { io::stdout().write_all(text.as_bytes()) } else { io::stderr().write_all(text.as_bytes()) };
            if good { Outcome::Good } else { Outcome::Failed }
        }
    }
}

/// What is said of a story that was played, and whether all of it came true.
fn verdict(name: &str, story: &Story) -> (String, bool) {
    let failures = ruletest::play(story);
    let time = humantime::format_duration(story.lasts);
    let count = story.expectations.len();
    let noun = if count == 1 { "expectation" } else { "expectations" };
    if failures.is_empty() {
        return (format!("{name}: ok, {count} {noun} in {time}\n"), true);
    }
    let mut lines = Vec::new();
    for failure in &failures {
        lines.push(format!("{name}:{}: {}", failure.line, failure.what));
        lines.extend(failure.instead.iter().map(|line| format!("    {line}")));
    }
    lines.push(format!("{name}: {} of {count} {noun} did not come true\n", failures.len()));
    (lines.join("\n"), false)
}
