//! Where something stands in the file, to be kept until all of it is read and then warned of.

use std::ops::Range;

use super::{
    code::Code,
    page::Page,
    problem::{Excerpt, Problem},
    section::{Item, some},
};

/// A place in the file.
#[derive(Clone)]
pub(super) enum Place<'a> {
    /// The file as a whole.
    File(&'a Page<'a>),
    /// Where a table begins.
    Header {
        /// The text.
        page: &'a Page<'a>,
        /// Its name without the index: `network.node`.
        path: &'static str,
        /// Where it is.
        span: Range<usize>,
    },
    /// A value.
    Value(Item<'a>),
}

impl<'a> Place<'a> {
    /// The file as a whole.
    pub(super) fn file(&self) -> Self {
        Self::File(self.page())
    }

    fn page(&self) -> &'a Page<'a> {
        match self {
            Self::File(page) | Self::Header { page, .. } => page,
            Self::Value(item) => item.page,
        }
    }

    /// Notes a problem there.
    pub(super) fn note(&self, code: Code, message: impl Into<String>, help: &str) {
        match self {
            Self::File(page) => page.note_for_the_file(Problem::new(code, message, some(help))),
            Self::Header { page, path, span } => {
                let header = match page.raw(span) {
                    raw if raw.starts_with("[[") => Some(format!("[[{path}]]")),
                    raw if raw.starts_with('[') => Some(format!("[{path}]")),
                    _ => None,
                };
                let problem = Problem::new(code, message, some(help));
                page.note(span.start, Problem { excerpt: header.map(Excerpt::of_line), ..problem });
            }
            Self::Value(item) => item.note_as(code, message, help),
        }
    }
}
