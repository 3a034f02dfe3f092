//! Values that must not repeat: names and addresses. The second one is a problem that points at the first.

use std::collections::HashMap;

use super::{code::Code, section::Item};
use crate::model::Endpoint;

/// The values seen so far, with offset and line of the first of each.
pub(super) struct Unique {
    what: &'static str,
    help: &'static str,
    seen: HashMap<String, (usize, usize)>,
}

impl Unique {
    /// `what` is taken, the message says; `help` says why that matters.
    pub(super) fn new(what: &'static str, help: &'static str) -> Self {
        Self { what, help, seen: HashMap::new() }
    }

    /// Notes a value that was there before. An empty one stands for what could not be read and has been noted.
    pub(super) fn check(&mut self, item: &Item<'_>, value: &str) {
        if value.is_empty() {
            return;
        }
        let here = (item.value.span().start, item.line());
        let first = *self.seen.entry(value.to_owned()).or_insert(here);
        if first != here {
            item.note_as(Code::Duplicate, format!("{} is taken on line {}", self.what, first.1), self.help);
        }
    }
}

/// What makes two URLs the same: not how their host is spelled, nor whether an implied port or path is written out.
pub(super) fn identity(endpoint: &Endpoint) -> String {
    let host = endpoint.host().to_ascii_lowercase();
    format!("{} {host} {} {}", endpoint.is_tls(), endpoint.port(), endpoint.path_and_query())
}
