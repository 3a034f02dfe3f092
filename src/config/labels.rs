//! Labels: few, short, with names that neither Prometheus nor haltwatch uses itself.

use std::sync::Arc;

use toml::de::DeValue;

use super::{code::Code, section::Item, shape::Shape};
use crate::model::Labels;

/// Labels of one subject, inherited ones included.
pub(super) const MAX_LABELS: usize = 16;

/// Bytes in the value of a label.
const MAX_VALUE: usize = 128;

/// Names that haltwatch and Prometheus give their own meaning.
const RESERVED: &[&str] = &[
    "alertname",
    "alertstate",
    "cadence",
    "chain_id",
    "client",
    "core",
    "direction",
    "family",
    "kind",
    "le",
    "level",
    "monitor",
    "name",
    "network",
    "node",
    "outcome",
    "peer",
    "priority",
    "quantile",
    "reason",
    "role",
    "severity",
    "state",
    "tolerance",
    "version",
];

/// Labels over the inherited ones, sorted by name.
pub(super) fn labels<'a>(inherited: &Labels) -> impl Fn(&Item<'a>) -> Option<Labels> {
    move |item| {
        item.describe(|| Shape::Texts);
        let DeValue::Table(table) = item.value.get_ref() else {
            return item.is_not("a table", "write labels = { name = \"value\" }");
        };
        let mut labels = inherited.clone();
        for (name, value) in table {
            let item = item.entry(name.get_ref(), value);
            let label = check_name(&item, name.span().start).then(|| check_value(&item)).flatten();
            if let Some(value) = label {
                labels.retain(|(taken, _)| **taken != *item.key);
                labels.push((Arc::from(item.key), value));
            }
        }
        labels.sort();
        if MAX_LABELS < labels.len() {
            let message = format!("{} labels are too many", labels.len());
            item.note_as(Code::OutOfRange, message, "at most 16, inherited ones included");
            return None;
        }
        Some(labels)
    }
}

fn check_name(item: &Item<'_>, at: usize) -> bool {
    match fault_of_name(item.key) {
        Some((message, help)) => item.wrong_key(Code::BadName, at, message, help),
        None => return true,
    }
    false
}

/// What is wrong with the name of a label, and what would be right.
pub(super) fn fault_of_name(name: &str) -> Option<(&'static str, &'static str)> {
    let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !letters || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        Some(("not the name of a label", "letters, digits and _, no digit first"))
    } else if name.starts_with("__") {
        Some(("names of labels that start with __ belong to Prometheus", "choose another name"))
    } else if RESERVED.contains(&name) {
        Some(("haltwatch gives this label its own meaning", "choose another name"))
    } else {
        None
    }
}

fn check_value(item: &Item<'_>) -> Option<Arc<str>> {
    let text = item.text("a string", "write it in quotes")?;
    if !is_usable_value(&text) {
        let help = format!("1 to {MAX_VALUE} bytes without control characters");
        return item.wrong("not a usable value of a label".to_owned(), &help);
    }
    Some(Arc::from(text))
}

/// Whether a label may have this value.
pub(super) fn is_usable_value(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_VALUE && !text.chars().any(char::is_control)
}
