//! The summary of a rule: text in which facts stand in double braces.

use std::fmt::Write;

use super::field::{Field, Scene};

/// Longest summary that is told, in bytes: what a node says of itself may be long.
const MAX_BYTES: usize = 1024;

/// What stands for a fact that is not known.
const UNKNOWN: &str = "unknown";

/// A piece of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// The value of a fact.
    Field(Field),
}

/// A summary with facts in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(pub Vec<Part>);

impl Template {
    /// The summary for a subject.
    #[must_use]
    pub fn render(&self, scene: &Scene<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field(field) => match field.value(scene) {
                    // Writing to a string cannot fail.
                    Some(value) => drop(write!(text, "{value}")),
                    None => text.push_str(UNKNOWN),
                },
            }
        }
        if MAX_BYTES < text.len() {
            let end = (0..=MAX_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
        }
        text
    }

    /// As it is written, for people: `{{node.name}} is late`.
    #[must_use]
    pub fn source(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => format!("{{{{{}}}}}", field.path()),
        };
        self.0.iter().map(part).collect()
    }
}
