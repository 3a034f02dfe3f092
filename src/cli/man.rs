//! `haltwatch man`: the manual pages, made from the definition of the command line and from the example configuration,
//! so that they cannot say anything else than the program does.
//!
//! One page for haltwatch, one for each of its commands, all in section 8, and one for the configuration in section 5.

mod keys;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

/// System administration.
const SECTION: &str = "8";

/// What the pages are part of and which version they tell of.
const SOURCE: &str = concat!("haltwatch ", env!("CARGO_PKG_VERSION"));

/// What stands at the top of every page.
const MANUAL: &str = "Blockchain node health monitor";

const SIGNALS: &[(&str, &str)] = &[
    ("SIGHUP", "Read the configuration again. A wrong one is told in the log, and the old one goes on."),
    ("SIGTERM, SIGINT", "Stop. A second one does not wait for what is still under way."),
];

const FILES: &[(&str, &str)] = &[
    ("/etc/haltwatch/config.toml", "The configuration of the service: haltwatch.toml(5)."),
    ("/etc/default/haltwatch", "More arguments and environment variables for the service."),
    ("/var/lib/haltwatch", "The state of the service."),
    ("/usr/share/haltwatch", "Rules for Prometheus, dashboards for Grafana, runbooks."),
];

/// Print the manual, or write all of its pages.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write every page into this directory, which is created if need be, instead of printing the first.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A manual page: its file name and its text, in the language of `man(7)`.
struct Page {
    file: String,
    text: Vec<u8>,
}

/// Prints the page of haltwatch itself, or writes all of them.
///
/// # Errors
/// If that cannot be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let command = definition();
    match &arguments.out {
        Some(directory) => write_all(&pages(&command)?, directory).map(|()| ExitCode::SUCCESS),
        None => super::print(&page(&command)?.text),
    }
}

/// The command line, complete: commands know the name they are called by.
fn definition() -> Command {
    // `help` says what the pages say.
    let mut command = super::Arguments::command().disable_help_subcommand(true);
    command.build();
    command
}

fn write_all(pages: &[Page], directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    for page in pages {
        let path = directory.join(&page.file);
        fs::write(&path, &page.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn pages(command: &Command) -> io::Result<Vec<Page>> {
    let mut pages = vec![page(command)?, keys::page()?];
    for command in commands_below(command) {
        pages.push(page(command)?);
    }
    Ok(pages)
}

/// Every command below `command`, however deep.
fn commands_below(command: &Command) -> Vec<&Command> {
    let own = command.get_subcommands().filter(|command| !command.is_hide_set());
    own.flat_map(|command| [vec![command], commands_below(command)].concat()).collect()
}

fn page(command: &Command) -> io::Result<Page> {
    let man = Man::new(command.clone()).section(SECTION).source(SOURCE).manual(MANUAL);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::default();
    if let Some(epilogue) = command.get_after_help() {
        tell_epilogue(&mut rest, &epilogue.to_string());
    }
    if command.has_subcommands() {
        tell_list(&mut rest, "SIGNALS", SIGNALS);
        tell_list(&mut rest, "FILES", FILES);
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman("haltwatch(8), haltwatch.toml(5), systemctl(1)")]);
    rest.to_writer(&mut text)?;
    Ok(Page { file: man.get_filename(), text })
}

/// What `--help` says last, part by part: a heading that ends with a colon, and lines that stay as they are.
fn tell_epilogue(roff: &mut Roff, epilogue: &str) {
    for part in epilogue.split("\n\n") {
        let titled = part.split_once(":\n").filter(|(heading, _)| !heading.contains(['\n', '.']));
        let (heading, lines) = titled.unwrap_or(("Notes", part));
        roff.control("SH", [heading.to_uppercase().as_str()]);
        tell_verbatim(roff, lines.lines());
    }
}

fn tell_list(roff: &mut Roff, heading: &str, items: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (name, text) in items {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*text)]);
    }
}

/// Lines that are neither filled nor joined.
fn tell_verbatim<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(page: &Page) -> String {
        String::from_utf8(page.text.clone()).unwrap()
    }

    #[test]
    fn every_command_has_a_page_that_the_first_page_names() {
        let command = definition();
        let first = text_of(&page(&command).unwrap()).replace('\\', "");
        let files: Vec<String> = pages(&command).unwrap().into_iter().map(|page| page.file).collect();
        for command in command.get_subcommands() {
            let name = format!("haltwatch-{}", command.get_name());
            assert!(files.contains(&format!("{name}.8")), "{name} is missing among {files:?}");
            assert!(first.contains(&format!("{name}(8)")), "{name} is not named:\n{first}");
        }
        assert!(files.contains(&"haltwatch.8".to_owned()) && files.contains(&"haltwatch.toml.5".to_owned()));
    }

    #[test]
    fn exit_codes_stand_one_a_line() {
        let text = text_of(&page(&definition()).unwrap());
        let (_, codes) = text.split_once(".SH \"EXIT CODES\"\n.nf\n").unwrap();
        let (codes, _) = codes.split_once("\n.fi").unwrap();
        assert_eq!(codes.lines().count(), super::super::EXIT_CODES.lines().count() - 1, "{codes}");
    }
}
