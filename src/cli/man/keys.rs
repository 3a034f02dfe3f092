//! The page of the configuration: the example configuration, read as the document it is.
//!
//! In `config.toml.example` comments describe what follows them: a section, a key, a group of keys (`# --- Keys of
//! nodes ---`). A comment that a blank line follows describes the whole. `#key = value` is a key without a default.

use std::{collections::BTreeSet, io, mem};

use clap_mangen::roff::{Roff, bold, roman};

use super::{MANUAL, Page, SOURCE, tell_verbatim};

/// The document.
const EXAMPLE: &str = include_str!("../../../config.toml.example");

/// Marks a value that is the built-in one.
const DEFAULT: &str = "# default";

pub(super) fn page() -> io::Result<Page> {
    let mut text = Vec::new();
    render(EXAMPLE).to_writer(&mut text)?;
    Ok(Page { file: "haltwatch.toml.5".to_owned(), text })
}

fn render(example: &str) -> Roff {
    let mut roff = Roff::default();
    roff.control("TH", ["haltwatch.toml", "5", "", SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("haltwatch.toml - configuration of haltwatch")]);
    roff.control("SH", ["DESCRIPTION"]);
    tell(&mut roff, example);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("haltwatch(8), haltwatch-check-config(8)")]);
    roff
}

/// What one line of the document is.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Blank,
    /// `# --- Keys of nodes ---`
    Group(&'a str),
    Comment(&'a str),
    /// `[monitor]`, `[[network]]`
    Section(&'a str),
    /// A key with its value, the built-in one or an example.
    Key {
        name: &'a str,
        value: &'a str,
        is_default: bool,
    },
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let line = line.trim_end();
        if let Some(group) = line.strip_prefix("# --- ") {
            return Self::Group(group.trim_end_matches(" ---"));
        }
        match line.strip_prefix('#').map(|text| (text, text.strip_prefix(' '))) {
            Some((_, Some(text))) => Self::Comment(text),
            Some(("", None)) => Self::Comment(""),
            // One that is commented out is a section all the same: what follows belongs to it.
            Some((section, None)) if section.starts_with('[') => Self::Section(section),
            Some((key, None)) => Self::key(key),
            None if line.is_empty() => Self::Blank,
            None if line.starts_with('[') => Self::Section(line),
            None => Self::key(line),
        }
    }

    fn key(line: &'a str) -> Self {
        let Some((name, value)) = line.split_once('=') else { return Self::Comment(line) };
        let value = value.trim();
        match value.strip_suffix(DEFAULT) {
            Some(value) => Self::Key { name: name.trim(), value: value.trim_end(), is_default: true },
            None => Self::Key { name: name.trim(), value, is_default: false },
        }
    }
}

fn tell(roff: &mut Roff, example: &str) {
    let mut comments: Vec<&str> = Vec::new();
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut section = "";
    for line in example.lines().map(Line::read) {
        match line {
            Line::Comment(text) => comments.push(text),
            Line::Blank => tell_paragraphs(roff, &mem::take(&mut comments)),
            Line::Group(name) => {
                roff.control("SS", [name]);
            }
            // A second one shows how to go on: it needs no heading, and of its keys only the new ones are told.
            Line::Section(name) => {
                section = name;
                if told.insert((name, "")) {
                    roff.control("SH", [name])
                } else {
                    roff.control("PP", [])
                };
                tell_paragraphs(roff, &mem::take(&mut comments));
            }
            Line::Key { name, .. } if !told.insert((section, name)) => comments.clear(),
            Line::Key { name, value, is_default } => {
                let remark = if is_default { "   (default)" } else { "" };
                roff.control("TP", []);
                roff.text([bold(name), roman(format!(" = {value}{remark}"))]);
                tell_paragraphs(roff, &mem::take(&mut comments));
            }
        }
    }
}

/// Text is filled; lines that are set in stay as they are.
fn tell_paragraphs(roff: &mut Roff, comments: &[&str]) {
    for block in comments.chunk_by(|a, b| is_set_in(a) == is_set_in(b)) {
        if is_set_in(block[0]) {
            tell_verbatim(roff, block.iter().copied());
            continue;
        }
        for (n, paragraph) in block.split(|text| text.is_empty()).filter(|text| !text.is_empty()).enumerate() {
            if n != 0 {
                roff.control("PP", []);
            }
            roff.text([roman(paragraph.join(" "))]);
        }
    }
}

fn is_set_in(text: &str) -> bool {
    text.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_its_look_says() {
        for (line, wanted) in [
            ("", Line::Blank),
            ("# --- Keys of nodes ---", Line::Group("Keys of nodes")),
            ("# How long.", Line::Comment("How long.")),
            ("#", Line::Comment("")),
            ("[[network.node]]", Line::Section("[[network.node]]")),
            ("#[[discovery]]", Line::Section("[[discovery]]")),
            ("timeout = \"5s\"   # default", Line::Key { name: "timeout", value: "\"5s\"", is_default: true }),
            ("#ws = \"ws://[::1]\"", Line::Key { name: "ws", value: "\"ws://[::1]\"", is_default: false }),
        ] {
            assert_eq!(Line::read(line), wanted, "{line}");
        }
    }

    #[test]
    fn the_description_of_a_key_follows_it() {
        let mut roff = Roff::default();
        tell(&mut roff, "# All of it.\n\n# Who.\n[monitor]\n# First.\n# Second.\nname = \"a\" # default\n");
        let text = roff.render();
        let wanted = "All of it.\n.SH [monitor]\nWho.\n.TP\n\\fBname\\fR = \"a\"   (default)\nFirst. Second.\n";
        assert!(text.ends_with(wanted), "{text}");
    }

    #[test]
    fn sections_that_are_commented_out_have_their_place_and_what_follows_a_second_one_is_told() {
        let mut roff = Roff::default();
        tell(&mut roff, "[a]\n# One.\nx = 1\n# More.\n#[[b]]\n# Two.\n#y = 2\n#[[b]]\n#y = 3\n#z = 4\n[c]\nx = 5\n");
        let text = roff.render();
        let parts = [".SH [a]", "fBx", ".SH [[b]]", "More.", "fBy", "Two.", ".PP", "fBz", ".SH [c]", "fBx"];
        let places: Vec<usize> = parts
            .iter()
            .scan(0, |at, part| {
                *at += text[*at..].find(part)?;
                Some(*at)
            })
            .collect();
        assert_eq!(places.len(), parts.len(), "{text}");
        assert_eq!(text.matches("fBy").count(), 1, "{text}");
    }

    #[test]
    fn every_key_of_the_example_is_on_the_page() {
        let page = render(EXAMPLE).render().replace('\\', "");
        let keys = EXAMPLE.lines().map(Line::read).filter_map(|line| match line {
            Line::Key { name, .. } => Some(name),
            _ => None,
        });
        for key in keys {
            assert!(page.contains(&format!("fB{key}fR = ")), "{key}");
        }
    }
}
