//! What is wrong with a configuration, as data and as text. Neither ever holds a secret: a value is quoted only where
//! the key is known to be harmless.

use std::fmt;

/// Every problem of a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// What was read: the path, or `<text>`.
    pub source: String,
    /// The problems; at least one.
    pub list: Vec<Problem>,
}

/// One problem: where it is, what is wrong and what is wanted. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// 1-based line; 0 = the whole file.
    pub line: usize,
    /// 1-based column in characters; 0 = the whole file.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The offending place, as far as it may be shown.
    pub excerpt: Option<Excerpt>,
}

/// The offending key and value, with `"<redacted>"` in place of what could be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// One line of TOML.
    pub line: String,
    /// How many characters of it stand before the fault.
    pub before: usize,
    /// How many characters are at fault; at least one.
    pub length: usize,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(super) fn of_the_file(message: impl Into<String>, help: Option<&str>) -> Self {
        Self { line: 0, column: 0, message: message.into(), help: help.map(Into::into), excerpt: None }
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.iter().enumerate().try_for_each(|(n, problem)| {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{}{problem}", self.source)
        })
    }
}

/// `:line:col: error: message` and what belongs to it; the name of the file is the list's.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if 0 < self.line {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": error: {}", self.message)?;
        let gutter = self.line.to_string().len();
        if let Some(Excerpt { line, before, length }) = &self.excerpt {
            write!(f, "\n{} | {line}", self.line)?;
            write!(f, "\n{:gutter$} | {:before$}{}", "", "", "^".repeat(*length))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = help: {help}", "")?;
        }
        Ok(())
    }
}
