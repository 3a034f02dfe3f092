//! The documentation of every key. What it takes is what its kind says; what it means and its default are read from the
//! example file, which people edit. So a key is documented once, and the terminal, the schema and the docs agree.

use std::collections::HashMap;

use super::{describe, section::header_of, shape::Shape, suggest::nearest};

/// The example: every key there is, with its default and what it means.
pub const EXAMPLE: &str = include_str!("../../config.toml.example");

/// What marks a line of the example whose value is the built-in one.
const DEFAULT_MARK: &str = "# default";

/// What is continued, and how its continuation begins.
const MORE: &str = "...";

/// The documentation of every key.
#[derive(Debug)]
pub struct Manual {
    entries: Vec<Entry>,
}

/// The documentation of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The section it stands in: `network.node`; empty for a section at the top.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
    /// The value that is built in, as TOML.
    pub default: Option<String>,
    /// Whether it is taken from the sections above when it is not here.
    pub inherited: bool,
    /// What it means.
    pub text: String,
}

/// What is found for a word.
#[derive(Debug, PartialEq)]
pub enum Found<'m> {
    /// This key.
    One(&'m Entry),
    /// Keys of this name in several sections.
    Many(Vec<&'m Entry>),
    /// Nothing, but perhaps this was meant.
    Nothing(Option<String>),
}

impl Entry {
    /// `network.node.interval`.
    #[must_use]
    pub fn path(&self) -> String {
        if self.section.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.section, self.key) }
    }

    /// Where it stands: `[[network.node]]`; empty at the top.
    #[must_use]
    pub fn header(&self) -> String {
        if self.section.is_empty() { String::new() } else { header_of(self.section) }
    }
}

impl Default for Manual {
    /// The manual of this version.
    fn default() -> Self {
        let notes = Notes::of_example(EXAMPLE);
        let entries = describe().into_keys().map(|((section, key), said)| {
            let shape = said.shape.unwrap_or(Shape::Text);
            let note = notes.of_key(section, key);
            let inherited = matches!(section, "network" | "network.node") && notes.has("defaults", key);
            let default = note.default.filter(|_| notes.has(section, key) && !inherited);
            Entry { section, key, shape, required: said.required, default, inherited, text: note.text }
        });
        Self { entries: entries.collect() }
    }
}

impl Manual {
    /// Every key, sorted by section and name.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The key that a word names: the whole path, or as much of its end as is needed. Of a key that sections inherit it
    /// is the one in `[defaults]`.
    #[must_use]
    pub fn find(&self, word: &str) -> Found<'_> {
        let word = word.trim_matches(['[', ']', '.', ' ']);
        if let Some(entry) = self.entries.iter().find(|entry| entry.path() == word) {
            return Found::One(entry);
        }
        let end = format!(".{word}");
        let alike: Vec<&Entry> = self.entries.iter().filter(|entry| entry.path().ends_with(&end)).collect();
        match alike[..] {
            [] => Found::Nothing(self.meant(word)),
            [entry] => Found::One(entry),
            _ => alike
                .iter()
                .find(|entry| entry.section == "defaults")
                .map_or(Found::Many(alike.clone()), |it| Found::One(it)),
        }
    }

    /// The known key or path that is nearest to a word.
    fn meant(&self, word: &str) -> Option<String> {
        let paths: Vec<String> = self.entries.iter().map(Entry::path).collect();
        let known = self.entries.iter().map(|entry| entry.key).chain(paths.iter().map(String::as_str));
        nearest(word, known).map(Into::into)
    }
}

/// What the example says of a key.
#[derive(Debug, Clone, Default)]
struct Note {
    text: String,
    default: Option<String>,
}

/// What the example says of keys and sections; of a section under the key `""`.
#[derive(Debug, Default)]
struct Notes(HashMap<(String, String), Note>);

impl Notes {
    /// Reads the comments above keys and sections. Keys that follow each other share one; `...` ties two together.
    fn of_example(example: &str) -> Self {
        let mut notes = Self::default();
        let (mut section, mut comment) = (String::new(), String::new());
        let mut last = (String::new(), String::new());
        for line in example.lines() {
            if let Some(header) = header(line) {
                header.clone_into(&mut section);
                notes.add(&section, "", Note { text: std::mem::take(&mut comment), default: None });
                last = (String::new(), String::new());
            } else if let Some((key, value)) = key_and_value(line) {
                let text = match std::mem::take(&mut comment) {
                    text if text.is_empty() => last.1.clone(),
                    text if text.starts_with(MORE) => notes.tie(&section, &last, &text),
                    text => text,
                };
                let default = value.strip_suffix(DEFAULT_MARK).map(|value| value.trim().to_owned());
                notes.add(&section, key, Note { text: text.clone(), default });
                last = (key.to_owned(), text);
            } else if let Some(more) = line.strip_prefix("# ").filter(|more| !more.starts_with("---")) {
                let gap = if comment.is_empty() { "" } else { " " };
                comment.extend([gap, more.trim()]);
            } else {
                comment.clear();
            }
        }
        notes
    }

    /// The first to be said about a key counts: later ones are examples of use.
    fn add(&mut self, section: &str, key: &str, note: Note) {
        if note.text.is_empty() {
            return;
        }
        self.0.entry((section.to_owned(), key.to_owned())).or_insert(note);
    }

    /// Ends the sentence that the key before began, for both.
    fn tie(&mut self, section: &str, (key, begun): &(String, String), end: &str) -> String {
        let whole = format!("{} {end}", begun.trim_end_matches(MORE).trim_end());
        if let Some(note) = self.0.get_mut(&(section.to_owned(), key.clone())) {
            note.text.clone_from(&whole);
        }
        whole
    }

    fn has(&self, section: &str, key: &str) -> bool {
        self.0.contains_key(&(section.to_owned(), key.to_owned()))
    }

    /// What is said of a key here, of its section, of the key in `[defaults]`, or of what it is a part of.
    fn of_key(&self, section: &str, key: &str) -> Note {
        let path = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        let (parent, own) = section.rsplit_once('.').unwrap_or(("", section));
        let places = [(section, key), (path.as_str(), ""), ("defaults", key), (parent, own)];
        let said = places.iter().find_map(|(section, key)| self.0.get(&((*section).to_owned(), (*key).to_owned())));
        said.cloned().unwrap_or_default()
    }
}

/// The name in `[name]` or `[[name]]`, commented out or not.
fn header(line: &str) -> Option<&str> {
    Some(line.trim_start_matches('#').strip_prefix('[')?.trim_matches(['[', ']']))
}

/// `key = value`, commented out or not.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix('#').unwrap_or(line);
    let (key, value) = line.split_once(" = ")?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_key.then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> Entry {
        match Manual::default().find(path) {
            Found::One(entry) => entry.clone(),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn every_key_is_documented_with_what_it_takes() {
        for entry in Manual::default().entries() {
            assert!(!entry.text.is_empty(), "{}: {}", entry.path(), entry.text);
            let is_text = entry.shape == Shape::Text;
            let is_secret = ["bearer_token", "username", "password"].contains(&entry.key);
            assert_eq!(is_text, is_secret, "{}", entry.path());
        }
    }

    #[test]
    fn defaults_come_from_the_example_and_inherited_ones_stay_where_they_are() {
        assert_eq!(entry("defaults.interval").default.as_deref(), Some("\"5s\""));
        assert_eq!((entry("network.node.interval").default, entry("network.node.interval").inherited), (None, true));
        assert_eq!(entry("web.listen").default.as_deref(), Some("[\"127.0.0.1:10019\"]"));
        assert_eq!(entry("network.node.ws").default, None);
        assert!(entry("network.node.url").required && !entry("network.node.ws").required);
    }

    #[test]
    fn sentences_that_go_over_two_keys_are_whole_for_both() {
        let texts = [entry("defaults.error_ratio").text, entry("defaults.error_count").text];
        assert_eq!(texts[0], texts[1]);
        assert_eq!(
            texts[0],
            "NodeErrors: more than this share of polls fails (0 to 1) ... and at least this many of them."
        );
    }

    #[test]
    fn words_are_found_as_far_as_they_are_clear() {
        let manual = Manual::default();
        assert!(matches!(manual.find("tolerance"), Found::One(entry) if entry.section == "network"));
        assert!(matches!(manual.find("interval"), Found::One(entry) if entry.section == "defaults"));
        assert!(matches!(manual.find("basic_auth"), Found::Many(keys) if keys.len() == 3));
        assert_eq!(manual.find("intervall"), Found::Nothing(Some("interval".to_owned())));
        assert_eq!(manual.find("zzzzzzzzz"), Found::Nothing(None));
    }
}
