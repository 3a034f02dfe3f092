//! The text being read: it turns byte offsets into lines and columns, collects what is wrong, and remembers which keys
//! were asked for.

use std::{cell::RefCell, collections::BTreeSet, ops::Range};

use super::{
    problem::{Excerpt, Problem},
    secret::Vault,
};

/// More problems than this are not told in one run.
const MAX_PROBLEMS: usize = 1000;

/// The text of a configuration and what was found in it.
pub(super) struct Page<'a> {
    text: &'a str,
    pub(super) vault: &'a Vault<'a>,
    line_starts: Vec<usize>,
    broken_lines: BTreeSet<usize>,
    problems: RefCell<Vec<(usize, Problem)>>,
    keys: RefCell<BTreeSet<(&'static str, &'static str)>>,
}

impl<'a> Page<'a> {
    /// A page with the syntax errors of its text noted. Their lines are never quoted: what is on them is unknown.
    pub(super) fn new(text: &'a str, vault: &'a Vault<'a>, errors: &[toml::de::Error]) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut page = Self {
            text,
            vault,
            line_starts,
            broken_lines: BTreeSet::new(),
            problems: RefCell::default(),
            keys: RefCell::default(),
        };
        for error in errors {
            let span = error.span().unwrap_or_default();
            page.note(&span, error.message().to_owned(), None, None);
            page.broken_lines.extend([page.position(span.start).0, page.position(span.end).0]);
        }
        page
    }

    /// Whether the text is not TOML: then what seems to be missing may be there, unreadable.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken_lines.is_empty()
    }

    /// Whether so many problems are noted that more would not be told.
    pub(super) fn is_full(&self) -> bool {
        MAX_PROBLEMS <= self.problems.borrow().len()
    }

    /// The text at `span`.
    pub(super) fn raw(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// 1-based line and column of a byte offset; the column counts characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts[line - 1];
        let before = self.text.get(start..offset).unwrap_or(self.raw(&(start..self.text.len())));
        (line, before.chars().count() + 1)
    }

    /// Remembers that `key` of `section` is a key there is.
    pub(super) fn knows(&self, section: &'static str, key: &'static str) {
        self.keys.borrow_mut().insert((section, key));
    }

    /// Notes a problem at `span`, unless the line is already known to be broken.
    pub(super) fn note(&self, span: &Range<usize>, message: String, help: Option<String>, excerpt: Option<Excerpt>) {
        let (line, column) = self.position(span.start);
        if !self.broken_lines.contains(&line) {
            let problem = Problem { line, column, message, help, excerpt };
            self.problems.borrow_mut().push((span.start, problem));
        }
    }

    /// Notes a problem of the file as a whole.
    pub(super) fn note_for_the_file(&self, message: String, help: &str) {
        self.problems.borrow_mut().push((0, Problem::of_the_file(message, Some(help))));
    }

    /// The keys that were asked for, and the problems in the order of the file.
    pub(super) fn finish(self) -> (Vec<(&'static str, &'static str)>, Vec<Problem>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(offset, problem)| (problem.line, *offset));
        let mut problems: Vec<Problem> = problems.into_iter().map(|(_, problem)| problem).collect();
        let more = problems.len().saturating_sub(MAX_PROBLEMS);
        if 0 < more {
            problems.truncate(MAX_PROBLEMS);
            problems.push(Problem::of_the_file(format!("{more} more problems"), None));
        }
        (self.keys.into_inner().into_iter().collect(), problems)
    }
}
