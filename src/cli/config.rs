//! `haltwatch config`: the configuration explained: the example, one key on the terminal, the schema for editors.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Subcommand;

use super::exit;
use crate::config::{self, Entry, Found, Manual};

/// Columns of the text of an explanation.
const WIDTH: usize = 78;

/// Explain the configuration file.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print an example with every key, its default and what it means.
    Example,
    /// Print what a key means, what it takes and its default.
    Explain {
        /// The key: `network.node.interval`, or its last part where that is clear.
        key: String,
    },
    /// Print the JSON Schema of the file, for editors.
    Schema,
}

/// Prints what was asked for.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let text = match &arguments.command {
        Command::Example => config::EXAMPLE.to_owned(),
        Command::Schema => format!("{:#}\n", config::schema()),
        Command::Explain { key } => match explain(&Manual::default(), key) {
            Ok(text) => text,
            Err(why) => {
                let _ = write!(io::stderr(), "{why}");
                return Ok(ExitCode::from(exit::FAILURE));
            }
        },
    };
    super::print(text.as_bytes())
}

/// The documentation of the key that `word` names, or why there is none: it is not known, or not clear.
///
/// # Errors
/// What to say instead.
pub fn explain(manual: &Manual, word: &str) -> Result<String, String> {
    match manual.find(word) {
        Found::One(entry) => Ok(explained(manual, entry)),
        Found::Many(entries) => {
            let paths = entries.iter().map(|entry| format!("  {}\n", entry.path()));
            Err(format!("there are several keys of this name:\n{}", paths.collect::<String>()))
        }
        Found::Nothing(Some(meant)) => Err(format!("there is no such key; did you mean {meant}?\n")),
        Found::Nothing(None) => Err("there is no such key; `haltwatch config example` shows them all\n".to_owned()),
    }
}

fn explained(manual: &Manual, entry: &Entry) -> String {
    let mut facts = vec![("takes", entry.shape.to_string())];
    if entry.required {
        facts.push(("required", "yes".to_owned()));
    }
    if let Some(default) = &entry.default {
        facts.push(("default", default.clone()));
    }
    if entry.inherited {
        facts.push(("default", inherited_default(manual, entry)));
    }
    if !entry.header().is_empty() {
        facts.push(("stands in", entry.header()));
    }
    let heirs = manual.entries().iter().filter(|other| other.inherited && other.key == entry.key);
    let heirs: Vec<String> = heirs.filter(|_| entry.section == "defaults").map(Entry::header).collect();
    if !heirs.is_empty() {
        facts.push(("and in", heirs.join(", ")));
    }
    let keys = manual.entries().iter().filter(|other| other.section == entry.path()).map(|other| other.key);
    let keys: Vec<&str> = keys.collect();
    if !keys.is_empty() {
        facts.push(("keys", keys.join(", ")));
    }
    let facts: String = facts.iter().map(|(name, fact)| wrapped(&format!("  {name:<10}"), fact, 12)).collect();
    format!("{}\n{}\n{facts}", entry.path(), wrapped("  ", &entry.text, 2))
}

/// Where the value comes from when the key is not there.
fn inherited_default(manual: &Manual, entry: &Entry) -> String {
    let above = if entry.section == "network" { "[defaults]" } else { "[[network]] or [defaults]" };
    let built_in = manual.entries().iter().find(|other| (other.section, other.key) == ("defaults", entry.key));
    match built_in.and_then(|built_in| built_in.default.as_ref()) {
        Some(default) => format!("that of {above}, else {default}"),
        None => format!("that of {above}"),
    }
}

/// `text` in lines of the usual width behind `first`, later lines indented.
fn wrapped(first: &str, text: &str, indent: usize) -> String {
    let mut lines = vec![first.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if WIDTH < line + 1 + word.chars().count() {
            lines.push(" ".repeat(indent));
        }
        if let Some(line) = lines.last_mut() {
            let gap = if line.ends_with(' ') { "" } else { " " };
            *line = format!("{line}{gap}{word}");
        }
    }
    lines.join("\n") + "\n"
}
