//! What is wrong with a configuration, as data and as text. Neither ever holds a secret: a value is quoted only where
//! the key is known to be harmless and the value does not look like a key.

use std::fmt;

use super::code::{Code, Severity};

/// Problems of a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    /// What was read: the path, `<stdin>` or `<text>`.
    pub source: String,
    /// The problems. Where a configuration could not be loaded, all are errors and there is at least one.
    pub list: Vec<Problem>,
}

/// One problem: where it is, what is wrong and what is wanted. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem it is.
    pub code: Code,
    /// 1-based line; 0 = the whole file.
    pub line: usize,
    /// 1-based column in characters; 0 = the whole file.
    pub column: usize,
    /// The column after the fault, where what is marked in the excerpt stands so in the file.
    pub end_column: Option<usize>,
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

impl Excerpt {
    /// A line that is at fault as a whole.
    pub(super) fn of_line(line: String) -> Self {
        Self { length: line.chars().count(), line, before: 0 }
    }

    /// What is at fault.
    pub(super) fn marked(&self) -> String {
        self.line.chars().skip(self.before).take(self.length).collect()
    }
}

impl Problem {
    /// A problem whose place is yet to be said.
    pub(super) fn new(code: Code, message: impl Into<String>, help: Option<String>) -> Self {
        Self { code, line: 0, column: 0, end_column: None, message: message.into(), help, excerpt: None }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl Problems {
    /// How many of them are as bad as that.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|problem| problem.severity() == severity).count()
    }

    /// Each problem with the name of the file in front of it, as text.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.list.iter().map(|problem| format!("{}{problem}", self.source))
    }
}

impl std::error::Error for Problems {}

/// The alternate form `{:#}` is coloured for a terminal; the words are the same.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.iter().enumerate().try_for_each(|(n, problem)| {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", self.source)?;
            fmt::Display::fmt(problem, f)
        })
    }
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[36m";
const END: &str = "\x1b[0m";

/// `:line:col: error[E…]: message` and what belongs to it; the name of the file is the list's. The alternate form is
/// coloured.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (loud, calm, end) = match (f.alternate(), self.severity()) {
            (false, _) => ("", "", ""),
            (true, Severity::Error) => (RED, CYAN, END),
            (true, Severity::Warning) => (YELLOW, CYAN, END),
        };
        if 0 < self.line {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {loud}{}[{}]{end}: {}", self.severity().as_str(), self.code, self.message)?;
        let gutter = self.line.to_string().len();
        if let Some(Excerpt { line, before, length }) = &self.excerpt {
            write!(f, "\n{} | {line}", self.line)?;
            write!(f, "\n{:gutter$} | {:before$}{loud}{}{end}", "", "", "^".repeat(*length))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = {calm}help{end}: {help}", "")?;
        }
        Ok(())
    }
}
