//! The text being read: it turns byte offsets into lines and columns, collects what is wrong, and remembers which keys
//! were asked for.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, HashSet},
    ops::Range,
};

use toml::{Spanned, de::DeValue};

use super::{
    code::{Code, Severity},
    problem::{Excerpt, Problem},
    secret::Vault,
    shape::{Described, Shape},
    syntax,
};

/// More errors than this, and more warnings, are not told in one run.
const MAX_PROBLEMS: usize = 1000;

/// More than this of either are only counted: something that is no configuration at all can hold millions.
const MAX_KEPT: usize = 100_000;

/// The text of a configuration and what was found in it.
pub(super) struct Page<'a> {
    text: &'a str,
    pub(super) vault: &'a Vault<'a>,
    line_starts: Vec<usize>,
    broken_lines: BTreeSet<usize>,
    /// Problems with the byte they begin at; `None` = the whole file. Line and column are filled in at the end.
    problems: RefCell<Vec<(Option<usize>, Problem)>>,
    /// What was warned of: a value that many inherit is one mistake.
    warned: RefCell<HashSet<(Code, Option<usize>)>>,
    errors: Cell<usize>,
    described: RefCell<Described>,
    /// Stands for every key that is not there while the keys are asked to describe themselves; else nothing.
    blank: Option<Spanned<DeValue<'a>>>,
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
            warned: RefCell::default(),
            errors: Cell::default(),
            described: RefCell::default(),
            blank: None,
        };
        for (n, error) in errors.iter().enumerate() {
            let span = error.span().unwrap_or_default();
            let (message, help) = syntax::told(error.message());
            if !syntax::is_echo(error, &errors[..n]) {
                page.note(span.start, Problem::new(Code::Syntax, message, help.map(Into::into)));
            }
            page.broken_lines.extend([page.line(span.start), page.line(span.end)]);
        }
        page
    }

    /// A page on which every key is there, blank, so that all of them describe themselves.
    pub(super) fn blank(text: &'a str, vault: &'a Vault<'a>) -> Self {
        let blank = Spanned::new(0..0, DeValue::Boolean(false));
        Self { blank: Some(blank), ..Self::new(text, vault, &[]) }
    }

    /// What stands for a key that is not there.
    pub(super) fn blank_value(&'a self) -> Option<&'a Spanned<DeValue<'a>>> {
        self.blank.as_ref()
    }

    /// Whether the text is not TOML: then what seems to be missing may be there, unreadable.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken_lines.is_empty()
    }

    /// Whether so many problems are noted that more would not be told.
    pub(super) fn is_full(&self) -> bool {
        MAX_PROBLEMS <= self.errors.get()
    }

    /// Whether so many problems are noted that more are only counted.
    pub(super) fn is_overfull(&self) -> bool {
        MAX_KEPT <= self.errors.get()
    }

    /// How many problems are noted so far.
    fn count(&self, severity: Severity) -> usize {
        match severity {
            Severity::Error => self.errors.get(),
            Severity::Warning => self.warned.borrow().len(),
        }
    }

    /// Whether something is wrong so far.
    pub(super) fn has_errors(&self) -> bool {
        0 < self.errors.get()
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

    /// What has been learned of the keys so far.
    pub(super) fn described(&self) -> std::cell::RefMut<'_, Described> {
        self.described.borrow_mut()
    }

    /// Remembers that `key` of `section` takes values of a shape, the first that is named.
    pub(super) fn describe(&self, section: &'static str, key: &'static str, shape: impl FnOnce() -> Shape) {
        if self.blank.is_some() {
            self.described().fill(section, key, shape());
        }
    }

    /// Notes a problem at the byte `at`, unless its line is already known to be broken.
    pub(super) fn note(&self, at: usize, problem: Problem) {
        if !self.broken_lines.contains(&self.line(at)) {
            self.add(Some(at), problem);
        }
    }

    /// Notes a problem of the file as a whole.
    pub(super) fn note_for_the_file(&self, problem: Problem) {
        self.add(None, problem);
    }

    fn add(&self, at: Option<usize>, problem: Problem) {
        if self.blank.is_some() {
            return;
        }
        match problem.severity() {
            Severity::Error => self.errors.set(self.errors.get() + 1),
            Severity::Warning if !self.warned.borrow_mut().insert((problem.code, at)) => return,
            Severity::Warning => {}
        }
        if self.count(problem.severity()) <= MAX_KEPT {
            self.problems.borrow_mut().push((at, problem));
        }
    }

    /// What was learned of the keys, and the problems in the order of the file: errors if there are any, else warnings.
    pub(super) fn finish(self) -> (Described, Vec<Problem>) {
        let mut problems = self.problems.take();
        let wanted = if self.has_errors() { Severity::Error } else { Severity::Warning };
        problems.retain(|(_, problem)| problem.severity() == wanted);
        problems.sort_by_key(|(at, _)| *at);
        let more = self.count(wanted).saturating_sub(MAX_PROBLEMS);
        let told = problems.into_iter().take(MAX_PROBLEMS).map(|(at, problem)| self.placed(at, problem));
        let rest = (0 < more).then(|| match wanted {
            Severity::Error => Problem::new(Code::TooManyProblems, format!("{more} more problems"), None),
            Severity::Warning => Problem::new(Code::TooManyWarnings, format!("{more} more warnings"), None),
        });
        let problems = told.chain(rest).collect();
        (self.described.take(), problems)
    }

    /// A problem with its line and column.
    fn placed(&self, at: Option<usize>, problem: Problem) -> Problem {
        let Some(at) = at else { return problem };
        let column = self.column(at);
        let is_there = |excerpt: &&Excerpt| self.text.get(at..).is_some_and(|text| text.starts_with(&excerpt.marked()));
        let end_column = problem.excerpt.as_ref().filter(is_there).map(|excerpt| column + excerpt.length);
        Problem { line: self.line(at), column, end_column, ..problem }
    }
}
