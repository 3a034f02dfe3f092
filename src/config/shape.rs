//! What a key takes, said by the kind that reads it: from this the documentation of keys and the schema are made, so
//! that a key is declared once.

use std::{collections::BTreeMap, fmt, time::Duration};

/// The values a key takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// `true` or `false`.
    Flag,
    /// A name that people read.
    Name,
    /// Any text.
    Text,
    /// A text with a syntax of its own, named.
    Parsed(&'static str),
    /// A duration with its unit.
    Duration {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// A whole number.
    Count {
        /// The smallest.
        least: i128,
        /// The largest.
        most: i128,
    },
    /// A number, whole or not.
    Number {
        /// The smallest.
        least: f64,
        /// The largest.
        most: f64,
    },
    /// Bytes, or a text with a binary unit.
    Size {
        /// The smallest.
        least: usize,
        /// The largest.
        most: usize,
    },
    /// One of some words.
    Word(Vec<&'static str>),
    /// A URL of one of some schemes, as in `http, https`.
    Url(&'static str),
    /// A hash of 32 bytes.
    Hash,
    /// A number or a text.
    ChainId,
    /// An array or a table that is sent as JSON, or JSON in a text.
    Json,
    /// An array.
    List {
        /// What its elements are.
        element: Box<Shape>,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// A table of texts under names of the operator's choice.
    Texts,
    /// A table with keys of its own.
    Table,
    /// An array of tables with keys of their own.
    Tables,
}

/// The shape in words, with its range.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Name => f.write_str("name, 1 to 64 characters"),
            Self::Text => f.write_str("text"),
            Self::Parsed(what) => f.write_str(what),
            Self::Duration { least, most } => {
                write!(f, "duration, {} to {}", written_duration(least), written_duration(most))
            }
            Self::Count { least, most } => write!(f, "whole number, {least} to {most}"),
            Self::Number { least, most } => write!(f, "number, {least} to {most}"),
            Self::Size { least, most } => write!(f, "size, {} to {}", written_size(*least), written_size(*most)),
            Self::Word(words) => write!(f, "one of {}", words.join(", ")),
            Self::Url(schemes) => write!(f, "URL ({schemes})"),
            Self::Hash => f.write_str("hash: 0x and 64 hexadecimal digits"),
            Self::ChainId => f.write_str("number or text"),
            Self::Json => f.write_str("array, table, or JSON in a text"),
            Self::List { element, least, most } => write!(f, "array of {least} to {most}: {element}"),
            Self::Texts => f.write_str("table of texts"),
            Self::Table => f.write_str("table"),
            Self::Tables => f.write_str("array of tables"),
        }
    }
}

/// A duration as it is written in the configuration.
pub(super) fn written_duration(duration: &Duration) -> String {
    humantime::format_duration(*duration).to_string().replace(' ', "")
}

/// A size as it is written in the configuration.
pub(super) fn written_size(bytes: usize) -> String {
    match bytes {
        _ if bytes != 0 && bytes.is_multiple_of(1 << 30) => format!("{}GiB", bytes >> 30),
        _ if bytes != 0 && bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        _ if bytes != 0 && bytes.is_multiple_of(1 << 10) => format!("{}KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

/// What the keys said of themselves.
#[derive(Debug, Default)]
pub(super) struct Described {
    /// By section and key. A key is known before its shape is.
    keys: BTreeMap<(&'static str, &'static str), KeyShape>,
}

/// What is known of one key.
#[derive(Debug, Default, Clone)]
pub(super) struct KeyShape {
    pub shape: Option<Shape>,
    pub required: bool,
}

impl Described {
    /// There is this key.
    pub(super) fn know(&mut self, section: &'static str, key: &'static str) {
        self.keys.entry((section, key)).or_default();
    }

    /// This key must be there.
    pub(super) fn require(&mut self, section: &'static str, key: &'static str) {
        self.keys.entry((section, key)).or_default().required = true;
    }

    /// This key takes this, unless it has said so before: the outermost kind speaks first.
    pub(super) fn fill(&mut self, section: &'static str, key: &'static str, shape: Shape) {
        self.keys.entry((section, key)).or_default().shape.get_or_insert(shape);
    }

    /// Takes back what this key takes, to say something about it.
    pub(super) fn take(&mut self, section: &'static str, key: &'static str) -> Option<Shape> {
        self.keys.get_mut(&(section, key))?.shape.take()
    }

    /// The keys, sorted by section and name.
    pub(super) fn into_keys(self) -> impl Iterator<Item = ((&'static str, &'static str), KeyShape)> {
        self.keys.into_iter()
    }
}
