//! The JSON Schema (2020-12) of the configuration, for editors: they complete keys, show what they mean and mark what is
//! misspelt while it is typed. It is made from what the keys say of themselves.
//!
//! Any text may refer to a secret (`${NAME}`), so every pattern lets such texts pass.

use serde_json::{Map, Value, json};

use super::{
    manual::{Entry, Manual},
    shape::Shape,
};

/// What every text may be instead: one that refers to a variable or a file.
const REFERENCE: &str = r"\$\{";

const DURATION: &str = "([0-9]+ ?(nsec|ns|nanos|usec|us|µs|msec|ms|millis|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|\
                        h|days?|d|weeks?|wks?|w|months?|M|years?|yrs?|y) ?)+";

const SIZE: &str = "[0-9]+(B|KiB|MiB|GiB)";

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let manual = Manual::default();
    let mut root = table(&manual, "");
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!("Configuration of haltwatch"));
    Value::Object(root)
}

/// The table of a section.
fn table(manual: &Manual, section: &str) -> Map<String, Value> {
    let entries: Vec<&Entry> = manual.entries().iter().filter(|entry| entry.section == section).collect();
    let properties: Map<String, Value> =
        entries.iter().map(|entry| (entry.key.to_owned(), Value::Object(key(manual, entry)))).collect();
    let required: Vec<&str> = entries.iter().filter(|entry| entry.required).map(|entry| entry.key).collect();
    let mut table = object(&json!({ "type": "object", "additionalProperties": false }));
    table.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        table.insert("required".to_owned(), json!(required));
    }
    table
}

/// What a key takes, what it means and its default.
fn key(manual: &Manual, entry: &Entry) -> Map<String, Value> {
    let mut schema = match entry.shape {
        Shape::Table => table(manual, &entry.path()),
        Shape::Tables => {
            let items = table(manual, &entry.path());
            object(&json!({ "type": "array", "minItems": 1, "items": items }))
        }
        _ => object(&value(&entry.shape)),
    };
    schema.insert("description".to_owned(), json!(description(entry)));
    if let Some(default) = entry.default.as_deref().and_then(json_of_toml) {
        schema.insert("default".to_owned(), default);
    }
    schema
}

fn description(entry: &Entry) -> String {
    match entry.shape {
        Shape::Table | Shape::Tables => entry.text.clone(),
        ref shape => format!("{}\n\nTakes: {shape}.", entry.text),
    }
}

/// What a value must be.
fn value(shape: &Shape) -> Value {
    match shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Name | Shape::Text | Shape::Parsed(_) => json!({ "type": "string", "minLength": 1 }),
        Shape::Duration { .. } => text(DURATION),
        Shape::Count { least, most } => json!({ "type": "integer", "minimum": small(*least), "maximum": small(*most) }),
        Shape::Number { least, most } => json!({ "type": "number", "minimum": least, "maximum": most }),
        Shape::Size { least, most } => {
            json!({ "anyOf": [{ "type": "integer", "minimum": least, "maximum": most }, text(SIZE)] })
        }
        Shape::Word(words) => json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": REFERENCE }] }),
        Shape::Url(schemes) => {
            let schemes = schemes.replace(", ", "|");
            json!({ "type": "string", "pattern": format!(r"^\s*({schemes})://|{REFERENCE}") })
        }
        Shape::Hash => text("0x[0-9a-fA-F]{64}"),
        Shape::ChainId => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "minLength": 1 }] })
        }
        Shape::Json => json!({ "anyOf": [{ "type": "array" }, { "type": "object" }, { "type": "string" }] }),
        Shape::List { element, least, most } => {
            json!({ "type": "array", "minItems": least, "maxItems": most, "items": value(element) })
        }
        Shape::Texts => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Shape::Table => json!({ "type": "object" }),
        Shape::Tables => json!({ "type": "array" }),
    }
}

/// A text that matches a pattern as a whole, or refers to something.
fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^({pattern})$|{REFERENCE}") })
}

/// A bound as JSON knows it; all of ours fit.
fn small(bound: i128) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// A value as the example writes it.
fn json_of_toml(text: &str) -> Option<Value> {
    let table: toml::Table = format!("value = {text}").parse().ok()?;
    serde_json::to_value(table.get("value")?).ok()
}
