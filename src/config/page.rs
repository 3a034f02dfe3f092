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
    /// Problems with the byte they begin at; `None` = the whole file. Line and column are filled in at the end.
    problems: RefCell<Vec<(Option<usize>, Problem)>>,
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
            page.note(span.start, error.message().to_owned(), None, None);
            page.broken_lines.extend([page.line(span.start), page.line(span.end)]);
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

    /// 1-based line of a byte offset.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// 1-based column of a byte offset, in characters.
    fn column(&self, offset: usize) -> usize {
        let start = self.line_starts[self.line(offset) - 1];
        self.text.get(start..offset).map_or(1, |before| before.chars().count() + 1)
    }

    /// Remembers that `key` of `section` is a key there is.
    pub(super) fn knows(&self, section: &'static str, key: &'static str) {
        self.keys.borrow_mut().insert((section, key));
    }

    /// Notes a problem at the byte `at`, unless its line is already known to be broken.
    pub(super) fn note(&self, at: usize, message: String, help: Option<String>, excerpt: Option<Excerpt>) {
        if !self.broken_lines.contains(&self.line(at)) {
            let problem = Problem { line: 0, column: 0, message, help, excerpt };
            self.problems.borrow_mut().push((Some(at), problem));
        }
    }

    /// Notes a problem of the file as a whole.
    pub(super) fn note_for_the_file(&self, message: String, help: &str) {
        self.problems.borrow_mut().push((None, Problem::of_the_file(message, Some(help))));
    }

    /// The keys that were asked for, and the problems in the order of the file.
    pub(super) fn finish(self) -> (Vec<(&'static str, &'static str)>, Vec<Problem>) {
        let mut problems = self.problems.take();
        problems.sort_by_key(|(at, _)| *at);
        let more = problems.len().saturating_sub(MAX_PROBLEMS);
        let told = problems.into_iter().take(MAX_PROBLEMS).map(|(at, problem)| match at {
            Some(at) => Problem { line: self.line(at), column: self.column(at), ..problem },
            None => problem,
        });
        let rest = (0 < more).then(|| Problem::of_the_file(format!("{more} more problems"), None));
        let problems = told.chain(rest).collect();
        (self.keys.take().into_iter().collect(), problems)
    }
}
