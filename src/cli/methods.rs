//! `haltwatch methods`: every method and path that nodes are asked for, for the allow-list of a proxy before them.

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, process::ExitCode};

use serde_json::json;

use super::{exit, probe::family};
use crate::{
    chain::{Family, Particulars, Permission, Purpose, family::PROFILES, permissions},
    config::{self, Source},
};

const ABOUT: &str = "Nothing but what reads is ever asked. What a node refuses is unknown, except for what is
marked as head: a node that refuses that counts as failed.

The calls of the family generic stand in the configuration: name it with --config.file.";

const NOTHING_TOLD: &str = "the calls of the family generic stand in a configuration: name it with --config.file";

/// Print every method and path that nodes are asked for, for the allow-list of a proxy.
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub struct Arguments {
    /// Only those of this family.
    #[arg(long, value_name = "FAMILY", value_parser = family())]
    family: Option<Family>,
    /// Only those of the networks of this configuration.
    #[arg(long = "config.file", value_name = "PATH")]
    config_file: Option<PathBuf>,
    /// How to tell it.
    #[arg(long, value_name = "FORMAT", default_value = "list")]
    output: Output,
}

/// How the methods are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// One a line, sorted, each once.
    List,
    /// For people: what each is for, and how often it is asked.
    Table,
    /// For tools.
    Json,
}

/// A family, or a variant of it, with what its nodes are asked.
struct Row {
    family: Family,
    variant: Option<&'static str>,
    permission: Permission,
}

/// Prints the methods.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.family == Some(Family::Generic) && arguments.config_file.is_none() {
        return Ok(super::refuse(NOTHING_TOLD, 2));
    }
    let languages = match &arguments.config_file {
        None => known(),
        Some(path) => match config::load(&Source::File(path.clone())) {
            Ok(config) => config.chain.nodes.into_iter().map(|node| (node.family, node.particulars)).collect(),
            Err(problems) => return Ok(super::refuse(&problems.to_string(), exit::CONFIG)),
        },
    };
    let wanted = languages.iter().filter(|(family, _)| arguments.family.is_none_or(|wanted| wanted == *family));
    let rows = rows(wanted);
    let text = match arguments.output {
        Output::List => list(&rows),
        Output::Table => table(&rows),
        Output::Json => format!("{:#}\n", rows.iter().map(json).collect::<serde_json::Value>()),
    };
    super::print(text.as_bytes())
}

/// Every family and variant that needs no configuration to be known.
fn known() -> Vec<(Family, Particulars)> {
    let fixed = PROFILES.iter().filter(|row| row.family != Family::Generic);
    fixed.map(|row| (row.family, Particulars { variant: row.variant, ..Particulars::default() })).collect()
}

/// Variants that are asked what their family is asked have no rows of their own.
fn rows<'l>(languages: impl Iterator<Item = &'l (Family, Particulars)>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (family, particulars) in languages {
        for permission in permissions(*family, particulars) {
            if !rows.iter().any(|row| row.family == *family && row.permission == permission) {
                rows.push(Row { family: *family, variant: particulars.variant, permission });
            }
        }
    }
    rows
}

fn list(rows: &[Row]) -> String {
    let all: BTreeSet<&str> = rows.iter().map(|row| row.permission.what.as_str()).collect();
    all.into_iter().fold(String::new(), |text, line| text + line + "\n")
}

fn table(rows: &[Row]) -> String {
    let cells = rows.iter().map(|row| {
        let family =
            row.variant.map_or_else(|| row.family.as_str().to_owned(), |it| format!("{} {it}", row.family.as_str()));
        [family, row.permission.what.clone(), row.permission.purpose.as_str().to_owned(), pace(&row.permission)]
    });
    let head = ["FAMILY", "METHOD OR PATH", "FOR", "EVERY"].map(str::to_owned);
    let lines: Vec<[String; 4]> = std::iter::once(head).chain(cells).collect();
    let width = |n: usize| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or(0);
    let (family, what, purpose) = (width(0), width(1), width(2));
    lines.iter().fold(String::new(), |mut text, [a, b, c, d]| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{a:family$}  {b:what$}  {c:purpose$}  {d}");
        text
    })
}

/// How often it is asked.
fn pace(permission: &Permission) -> String {
    match permission.purpose {
        Purpose::OlderBlocks => "contradiction".to_owned(),
        Purpose::NewBlocks => "connection".to_owned(),
        Purpose::Head | Purpose::Fact if permission.every.is_zero() => "poll".to_owned(),
        Purpose::Head | Purpose::Fact => humantime::format_duration(permission.every).to_string(),
    }
}

fn json(row: &Row) -> serde_json::Value {
    json!({
        "family": row.family.as_str(),
        "variant": row.variant,
        "method": row.permission.what,
        "for": row.permission.purpose.as_str(),
        "every_seconds": row.permission.every.as_secs_f64(),
        "optional": row.permission.optional,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_what_an_execution_client_must_allow_and_nothing_that_writes() {
        let evm = [(Family::Evm, Particulars::default())];
        let list = list(&rows(evm.iter()));
        for method in ["eth_getBlockByNumber\n", "eth_chainId\n", "eth_subscribe\n", "web3_clientVersion\n"] {
            assert!(list.contains(method), "{list}");
        }
        let all = rows(known().iter());
        for row in &all {
            let what = row.permission.what.to_lowercase();
            let writes = ["send", "submit", "sign_", "_sign", "unlock", "personal", "admin_add", "miner_", "post "];
            assert!(!writes.iter().any(|word| what.contains(word)), "{what}");
        }
    }

    #[test]
    fn what_nodes_push_has_to_be_allowed_too() {
        for (family, wanted) in [
            (Family::Substrate, "chain_subscribeNewHeads\n"),
            (Family::CometBft, "subscribe\n"),
            (Family::Beacon, "GET /eth/v1/events\n"),
        ] {
            let list = list(&rows([(family, Particulars::default())].iter()));
            assert!(list.split_inclusive('\n').any(|line| line == wanted), "{list}");
        }
    }

    #[test]
    fn every_family_has_a_head_and_the_table_says_so() {
        for family in Family::ALL {
            let language = [(family, Particulars::default())];
            let rows = rows(language.iter());
            assert!(rows.iter().any(|row| row.permission.purpose.as_str() == "head"), "{}", family.as_str());
            assert!(table(&rows).contains(" head "), "{}", table(&rows));
        }
    }
}
