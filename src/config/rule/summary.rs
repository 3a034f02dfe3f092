//! Reads the summary of a rule: `{{node.name}} is {{node.lag_blocks}} blocks behind`.

use super::{expression::field, fault::Fault};
use crate::{
    config::code::Code,
    engine::custom::template::{Part, Template},
    model::alert::Scope,
};

/// Longest summary, in bytes.
const MAX_BYTES: usize = 1024;

const HELP: &str = "write {{node.name}} or another field, and nothing else in the braces";

/// Reads a summary for a rule about `scope`.
pub(super) fn read(text: &str, scope: Scope) -> Result<Template, Fault> {
    if text.trim().is_empty() || MAX_BYTES < text.len() || text.chars().any(char::is_control) {
        let help = "1 to 1024 bytes without control characters";
        return Err(Fault::new(Code::BadValue, 0..text.len(), "not a usable summary", help));
    }
    let (mut parts, mut at) = (Vec::new(), 0);
    while let Some(open) = text[at..].find("{{").map(|open| at + open) {
        let inside = open + 2;
        let Some(close) = text[inside..].find("}}").map(|close| inside + close) else {
            return Err(Fault::new(Code::BadExpression, open..open + 2, "these braces are not closed", HELP));
        };
        if at < open {
            parts.push(Part::Text(text[at..open].to_owned()));
        }
        let path = text[inside..close].trim();
        let begin = inside + text[inside..close].find(path).unwrap_or(0);
        parts.push(Part::Field(field(path, begin..begin + path.len(), scope)?));
        at = close + 2;
    }
    if at < text.len() {
        parts.push(Part::Text(text[at..].to_owned()));
    }
    Ok(Template(parts))
}
