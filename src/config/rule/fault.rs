//! What is wrong with a part of a text, told at that part: line and column are those of the file where the text stands in
//! it as it is, and the part is counted in the text where escapes hide it.

use std::ops::Range;

use crate::config::{
    code::Code,
    problem::{Excerpt, Problem},
    section::{Item, some},
    suspect::looks_like_a_secret,
};

/// Longer lines are not quoted.
const MAX_QUOTED: usize = 160;

/// What is wrong with a part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: String,
    /// Which bytes of the text are at fault.
    pub(super) at: Range<usize>,
}

impl Fault {
    pub(super) fn new(code: Code, at: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into(), at }
    }

    /// Notes it where `text` stands, the value of `item`. What looks like a secret is not quoted, in no part.
    pub(super) fn note(self, item: &Item<'_>, text: &str) {
        if looks_like_a_secret(text) {
            return item.note_as(self.code, format!("`{}` cannot be used as it is", item.key), "");
        }
        let span = item.value.span();
        let raw = item.page.raw(&span);
        let Some(begin) = raw.find(text).filter(|_| !text.is_empty()) else {
            let column = text.get(..self.at.start).map_or(1, |before| before.chars().count() + 1);
            let message = format!("{}, at character {column} of `{}`", self.message, item.key);
            return item.note_as(self.code, message, &self.help);
        };
        let at = begin + self.at.start;
        let problem = Problem::new(self.code, self.message, some(&self.help));
        let excerpt = excerpt(item.key, raw, at, text.get(self.at).unwrap_or_default());
        item.page.note(span.start + at, Problem { excerpt, ..problem });
    }
}

/// The line of the value in which the fault stands, with the key in front of the first.
fn excerpt(key: &str, raw: &str, at: usize, marked: &str) -> Option<Excerpt> {
    let before = raw.get(..at)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = raw.get(start..)?.lines().next()?;
    let is_shown = line.len() <= MAX_QUOTED && !looks_like_a_secret(line) && !line.contains("${");
    let lead = if start == 0 { format!("{key} = ") } else { String::new() };
    let marked = marked.lines().next().unwrap_or_default().chars().count();
    is_shown.then(|| Excerpt {
        before: lead.chars().count() + before.get(start..).map_or(0, |before| before.chars().count()),
        length: marked.max(1),
        line: format!("{lead}{line}"),
    })
}
