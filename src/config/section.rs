//! Reads a table key by key. A key is asked for once, with the kind of value it takes; what was never asked for is an
//! unknown key. Whatever is wrong is noted on the page and reading goes on.

use std::{
    ops::{Range, RangeInclusive},
    sync::LazyLock,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    code::Code,
    page::Page,
    place::Place,
    problem::{Excerpt, Problem},
    secret::has_reference,
    shape::Shape,
    suggest::nearest,
    suspect::looks_like_a_secret,
};

/// What stands in an excerpt for a value that may be a secret.
const REDACTED: &str = "\"<redacted>\"";

/// Values longer than this are not quoted.
const MAX_QUOTED: usize = 64;

/// A table being read.
pub(super) struct Section<'a> {
    pub(super) page: &'a Page<'a>,
    /// Its name without the index: `network.node`.
    path: &'static str,
    table: Option<&'a DeTable<'a>>,
    span: Range<usize>,
    asked: Vec<&'static str>,
    /// Its keys are never quoted: one may be a secret in the wrong place.
    secret: bool,
}

/// One key with its value, or one element of an array.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub(super) page: &'a Page<'a>,
    pub(super) key: &'a str,
    pub(super) value: &'a Spanned<DeValue<'a>>,
    /// The section and the key under which it stands in the documentation.
    origin: (&'static str, &'static str),
    element: bool,
    entry: bool,
    harmless: bool,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(page: &'a Page<'a>, table: &'a DeTable<'a>) -> Self {
        Self { page, path: "", table: Some(table), span: 0..0, asked: Vec::new(), secret: false }
    }

    /// The same section with keys that are never quoted.
    #[must_use]
    pub(super) fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The key with its value, if it is there.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.page.described().know(self.path, key);
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let origin = (self.path, key);
        let given = self.table.and_then(|table| table.get_key_value(key)).map(|(key, value)| (&**key.get_ref(), value));
        let (key, value) = given.or_else(|| Some((key, self.page.blank_value()?)))?;
        Some(Item { page: self.page, key, value, origin, element: false, entry: false, harmless: false })
    }

    /// The value of `key`; `None` if it is not there or wrong.
    pub(super) fn optional<T>(&mut self, key: &'static str, kind: impl Fn(&Item<'a>) -> Option<T>) -> Option<T> {
        kind(&self.item(key)?)
    }

    /// The value of `key`, which must be there.
    pub(super) fn required<T>(&mut self, key: &'static str, kind: impl FnOnce(&Item<'a>) -> Option<T>) -> Option<T> {
        kind(&self.required_item(key)?)
    }

    /// The key with its value; a problem if it is not there.
    pub(super) fn required_item(&mut self, key: &'static str) -> Option<Item<'a>> {
        let item = self.item(key);
        self.page.described().require(self.path, key);
        if item.is_none() {
            let help = format!("ask `haltwatch config explain {}.{key}`", self.path);
            self.lacks(format!("`{key}` is missing in {}", self.path), &help);
        }
        item
    }

    /// Replaces `value` by that of `key`, if it is there.
    pub(super) fn set<T>(&mut self, key: &'static str, kind: impl Fn(&Item<'a>) -> Option<T>, value: &mut T) {
        if let Some(given) = self.optional(key, kind) {
            *value = given;
        }
    }

    /// The table under `key`; an empty one if it is not there or is no table.
    pub(super) fn section(&mut self, key: &'static str, path: &'static str) -> Self {
        self.try_section(key, path).unwrap_or_else(|| Self {
            page: self.page,
            path,
            table: None,
            span: self.span.clone(),
            asked: Vec::new(),
            secret: false,
        })
    }

    /// The table under `key`, if there is one.
    pub(super) fn try_section(&mut self, key: &'static str, path: &'static str) -> Option<Self> {
        let item = self.item(key)?;
        item.describe(|| Shape::Table);
        let help = if self.path.is_empty() { format!("write [{path}]") } else { format!("write {key} = {{ … }}") };
        Self::of(&item, path, &help)
    }

    /// The tables of the array under `key`, which must be there, whatever else is.
    pub(super) fn required_sections(&mut self, key: &'static str, path: &'static str, lack: (&str, &str)) -> Vec<Self> {
        self.page.described().require(self.path, key);
        self.sections(key, path, lack)
    }

    /// The tables of the array under `key`, at least one; what is said if there is none is `lack` with its help.
    pub(super) fn sections(&mut self, key: &'static str, path: &'static str, lack: (&str, &str)) -> Vec<Self> {
        let elements = self.elements(key, path);
        if elements.as_ref().is_some_and(Vec::is_empty) {
            self.lacks(lack.0.to_owned(), lack.1);
        }
        Self::each(elements.unwrap_or_default(), path)
    }

    /// The tables of the array under `key`, if there are any.
    pub(super) fn any_sections(&mut self, key: &'static str, path: &'static str) -> Vec<Self> {
        let elements = self.elements(key, path);
        Self::each(elements.unwrap_or_default(), path)
    }

    /// The elements under `key`, none if it is not there; `None` if it is no array of tables, which has been noted.
    fn elements(&mut self, key: &'static str, path: &'static str) -> Option<Vec<Item<'a>>> {
        let Some(item) = self.item(key) else { return Some(Vec::new()) };
        item.describe(|| Shape::Tables);
        item.elements().or_else(|| item.is_no_array_of_tables(path, &format!("write [[{path}]]")))
    }

    fn each(elements: Vec<Item<'a>>, path: &'static str) -> Vec<Self> {
        let help = format!("write [[{path}]]");
        elements.into_iter().filter_map(|item| Self::of(&item, path, &help)).collect()
    }

    fn of(item: &Item<'a>, path: &'static str, help: &str) -> Option<Self> {
        let DeValue::Table(table) = item.value.get_ref() else {
            return item.is_not("a table", help);
        };
        let (page, span) = (item.page, item.value.span());
        Some(Self { page, path, table: Some(table), span, asked: Vec::new(), secret: false })
    }

    /// Notes that something is not there. In a file that is not TOML it may be there, unreadable: then silence.
    pub(super) fn lacks(&self, message: String, help: &str) {
        if !self.page.is_broken() {
            self.place().note(Code::Missing, message, help);
        }
    }

    /// Where it begins; the file, if it is not there.
    pub(super) fn place(&self) -> Place<'a> {
        if self.path.is_empty() || self.table.is_none() {
            return Place::File(self.page);
        }
        Place::Header { page: self.page, path: self.path, span: self.span.clone() }
    }

    /// Every key that nobody asked for is a problem.
    pub(super) fn finish(self) {
        for (key, value) in self.table.into_iter().flatten() {
            if !self.asked.contains(&key.get_ref().as_ref()) {
                self.unknown(key, value);
            }
        }
    }

    /// What was meant by an unknown key: one that is spelled like it, or the same one elsewhere.
    fn help_for(&self, name: &str) -> String {
        let homes = if self.secret { Vec::new() } else { sections_with(name) };
        let home = homes.join(" or ");
        match nearest(name, self.asked.iter().copied()) {
            Some(word) if homes.is_empty() => format!("did you mean `{word}`?"),
            Some(word) => format!("did you mean `{word}`? `{name}` belongs into {home}"),
            None if homes.is_empty() => format!("known here: {}", self.asked.join(", ")),
            None => format!("it belongs into {home}"),
        }
    }

    fn unknown(&self, key: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue<'_>>) {
        let name = key.get_ref().as_ref();
        let help = if self.page.is_overfull() { String::new() } else { self.help_for(name) };
        if self.secret || !looks_like_a_key(name) {
            let problem = Problem::new(Code::UnknownKey, "unknown key", Some(help));
            return self.page.note(key.span().start, problem);
        }
        let raw = self.page.raw(&value.span());
        let is_table = matches!(value.get_ref(), DeValue::Table(_)) && !raw.starts_with('{');
        let is_header = is_table || raw.starts_with("[[");
        let line = if is_header { name.to_owned() } else { format!("{name} = {REDACTED}") };
        let excerpt = Excerpt { line, before: 0, length: name.chars().count() };
        let problem = Problem::new(Code::UnknownKey, format!("unknown key `{name}`"), Some(help));
        self.page.note(key.span().start, Problem { excerpt: Some(excerpt), ..problem });
    }
}

impl<'a> Item<'a> {
    /// The same item whose value may be quoted: it is not where anybody writes a secret.
    #[must_use]
    pub(super) fn harmless(&self) -> Self {
        Self { harmless: true, ..self.clone() }
    }

    /// The elements, if the value is an array.
    pub(super) fn elements(&self) -> Option<Vec<Self>> {
        let DeValue::Array(elements) = self.value.get_ref() else { return None };
        Some(elements.iter().map(|value| Self { value, element: true, ..self.clone() }).collect())
    }

    /// One entry of the table that is the value. Its key may be quoted nowhere: it could be a secret in the wrong place.
    pub(super) fn entry(&self, key: &'a str, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { key, value, entry: true, ..self.clone() }
    }

    /// Says what the key takes. Only the first to say so is heard.
    pub(super) fn describe(&self, shape: impl FnOnce() -> Shape) {
        self.page.describe(self.origin.0, self.origin.1, shape);
    }

    /// Says that the key takes an array of what `kind` takes.
    pub(super) fn describe_list<T>(&self, kind: impl Fn(&Self) -> Option<T>, lengths: &RangeInclusive<usize>) {
        if self.page.blank_value().is_none() {
            return;
        }
        kind(self);
        let element = self.page.described().take(self.origin.0, self.origin.1).unwrap_or(Shape::Text);
        let (least, most) = (*lengths.start(), *lengths.end());
        self.describe(|| Shape::List { element: Box::new(element), least, most });
    }

    /// Notes a problem with the key of an entry, which begins at `at`.
    pub(super) fn wrong_key(&self, code: Code, at: usize, message: &str, help: &str) {
        self.page.note(at, Problem::new(code, message, some(help)));
    }

    /// The text of a string with its references to secrets replaced; a problem if it is no string.
    pub(super) fn text(&self, wanted: &str, help: &str) -> Option<String> {
        let DeValue::String(text) = self.value.get_ref() else { return self.is_not(wanted, help) };
        self.expanded(text, &mut Vec::new())
    }

    /// A text of the value with its references to secrets replaced; `secrets` takes what they stand for.
    pub(super) fn expanded(&self, text: &str, secrets: &mut Vec<String>) -> Option<String> {
        let warn = |message, help| self.note_as(Code::OpenSecretFile, message, help);
        let expanded = self.page.vault.expand_noting(text, &warn, secrets);
        expanded.map_err(|(message, help)| self.note_as(Code::BadReference, message, help)).ok()
    }

    /// Whether the value is a text in which nothing stands for a secret kept elsewhere.
    pub(super) fn is_literal(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::String(text) if !has_reference(text))
    }

    /// Notes a value of the wrong type.
    pub(super) fn is_not<T>(&self, wanted: &str, help: &str) -> Option<T> {
        let key = if self.entry { "the value".to_owned() } else { format!("`{}`", self.key) };
        self.note_as(Code::WrongType, format!("{key} must be {wanted}, not {}", kind_of(self.value)), help);
        None
    }

    /// Notes that a table stands where tables are listed: `[network]` for `[[network]]`, or a part of one above it.
    fn is_no_array_of_tables<T>(&self, path: &str, help: &str) -> Option<T> {
        let span = self.value.span();
        let is_table = matches!(self.value.get_ref(), DeValue::Table(_));
        match self.page.raw(&span).chars().next() {
            Some('[') if is_table => {
                let excerpt = Some(Excerpt::of_line(format!("[{path}]")));
                let problem = Problem::new(Code::WrongType, format!("[{path}] must be [[{path}]]"), some(help));
                self.page.note(span.start, Problem { excerpt, ..problem });
            }
            Some(first) if is_table && first != '{' => {
                let message = format!("what belongs to [[{path}]] stands above it");
                let help = Some(format!("write [[{path}]] first"));
                self.page.note(span.start, Problem::new(Code::WrongType, message, help));
            }
            _ => return self.is_not("an array of tables", help),
        }
        None
    }

    /// Notes a problem with the value: it cannot be understood or used.
    pub(super) fn note(&self, message: String, help: &str) {
        self.note_as(Code::BadValue, message, help);
    }

    /// Notes a problem of a certain kind with the value.
    pub(super) fn note_as(&self, code: Code, message: impl Into<String>, help: &str) {
        let problem = Problem::new(code, message, some(help));
        self.page.note(self.value.span().start, Problem { excerpt: self.excerpt(), ..problem });
    }

    /// Where it stands.
    pub(super) fn place(&self) -> Place<'a> {
        Place::Value(self.clone())
    }

    /// Notes a problem with the value, which is therefore not there.
    pub(super) fn wrong<T>(&self, message: String, help: &str) -> Option<T> {
        self.note(message, help);
        None
    }

    /// The line on which the value begins.
    pub(super) fn line(&self) -> usize {
        self.page.line(self.value.span().start)
    }

    /// The value as written, for a message, if it may be shown; else `the value`.
    pub(super) fn quoted(&self) -> &'a str {
        self.shown().unwrap_or("the value")
    }

    /// The value as written, if it may be shown.
    pub(super) fn shown(&self) -> Option<&'a str> {
        let raw = self.page.raw(&self.value.span());
        let scalar = !matches!(self.value.get_ref(), DeValue::Array(_) | DeValue::Table(_));
        let plain = !["${", "://", "@"].iter().any(|mark| raw.contains(mark)) && !raw.chars().any(char::is_control);
        let short = raw.chars().count() <= MAX_QUOTED;
        (self.harmless && scalar && plain && short && !looks_like_a_secret(raw)).then_some(raw)
    }

    fn excerpt(&self) -> Option<Excerpt> {
        if self.entry {
            return None;
        }
        let shown = self.shown().unwrap_or(match self.value.get_ref() {
            DeValue::Array(_) => "[…]",
            DeValue::Table(_) => "{ … }",
            _ => REDACTED,
        });
        let (lead, tail) = if self.element { (" = [… ", " …]") } else { (" = ", "") };
        let line = format!("{}{lead}{shown}{tail}", self.key);
        Some(Excerpt { line, before: self.key.chars().count() + lead.chars().count(), length: shown.chars().count() })
    }
}

/// The headers of the sections in which `key` is known.
fn sections_with(key: &str) -> Vec<String> {
    static KEYS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(super::keys);
    let known = KEYS.iter().filter(|(section, known)| *known == key && !section.is_empty());
    known.map(|(section, _)| header_of(section)).collect()
}

/// How the header of a section is written.
pub(super) fn header_of(section: &str) -> String {
    let repeated = ["discovery", "network", "network.call", "network.node", "network.planned_halt", "rule", "silence"];
    if repeated.contains(&section) { format!("[[{section}]]") } else { format!("[{section}]") }
}

/// Keys of the configuration are words in small letters; anything else may be a secret in the wrong place.
fn looks_like_a_key(name: &str) -> bool {
    name.len() <= 32
        && !looks_like_a_secret(name)
        && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-')
}

pub(super) fn some(help: &str) -> Option<String> {
    (!help.is_empty()).then(|| help.to_owned())
}

/// What a value is, with its article.
fn kind_of(value: &Spanned<DeValue<'_>>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
