//! What is wrong with a web configuration file, and where.

use std::{fmt, path::Path};

/// More faults than this are not told in one run.
const MAX_FAULTS: usize = 100;

/// A place in the file: line and column, counted from 1.
pub(super) type Spot = (u64, u64);

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Option<Spot>, String)>);

impl Faults {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn note(&mut self, spot: Spot, message: String) {
        self.0.push((Some(spot), message));
    }

    /// Notes a fault of the file as a whole.
    pub(super) fn note_whole(&mut self, message: String) {
        self.0.push((None, message));
    }

    /// They all, in the order of the file.
    pub(super) fn of(mut self, path: &Path) -> Broken {
        self.0.sort_by_key(|(spot, _)| *spot);
        self.0.truncate(MAX_FAULTS);
        let file = path.display();
        let line = |(spot, message): (Option<Spot>, String)| match spot {
            Some((line, column)) => format!("{file}:{line}:{column}: {message}"),
            None => format!("{file}: {message}"),
        };
        Broken(self.0.into_iter().map(line).collect())
    }
}

/// A web configuration file that cannot be used: one line for each fault, `file:line:column: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub Vec<String>);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Broken {}
