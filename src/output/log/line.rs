//! One log line: the fields of an event, in the order of the event, as logfmt or as JSON.

use std::fmt::{self, Write};

use tracing::{
    Level,
    field::{Field, Visit},
};

use super::{
    Context,
    text::{push_logfmt, push_quoted},
};
use crate::model::UnixTime;

/// The name of the program in every JSON line.
const SERVICE: &str = "haltwatch";
/// Numeric fields whose names begin so stand under `metrics` in JSON, without it.
const METRIC_PREFIX: &str = "metrics.";
/// The field that ties the lines of one incident, alert or step together.
const TRACE_ID: &str = "trace_id";

/// The fields of one event.
#[derive(Debug, Default)]
pub struct Fields {
    message: String,
    trace_id: Option<String>,
    metrics: Vec<(&'static str, String)>,
    context: Vec<(&'static str, Value)>,
}

#[derive(Debug)]
enum Value {
    /// A number or a truth value: written bare in both formats.
    Bare(String),
    Text(String),
}

impl Fields {
    fn put_text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            TRACE_ID => self.trace_id = Some(text),
            name => self.context.push((name, Value::Text(text))),
        }
    }

    fn put_number(&mut self, field: &Field, number: String) {
        match (field.name(), field.name().strip_prefix(METRIC_PREFIX)) {
            (TRACE_ID, _) => self.trace_id = Some(number),
            (_, Some(metric)) => self.metrics.push((metric, number)),
            (name, None) => self.context.push((name, Value::Bare(number))),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.put_number(field, value.to_string());
        } else {
            // JSON has no word for these.
            self.put_text(field, value.to_string());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_number(field, value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_number(field, value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.context.push((field.name(), Value::Bare(value.to_string())));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(value.source(), |error| error.source());
        let text = causes.fold(value.to_string(), |text, cause| format!("{text}: {cause}"));
        self.put_text(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A value that cannot describe itself leaves what it has said so far.
        let _ = write!(text, "{value:?}");
        self.put_text(field, text);
    }
}

/// A line in the making.
#[derive(Debug)]
pub struct Line<'a> {
    /// When the event happened.
    pub time: UnixTime,
    /// How grave it is.
    pub level: Level,
    /// Who says it.
    pub context: &'a Context,
    /// What it says.
    pub fields: &'a Fields,
}

impl Line<'_> {
    /// `time=… level=INFO msg="…" trace_id=… key=value metrics.key=value` and the end of the line.
    #[must_use]
    pub fn as_text(&self) -> String {
        let mut out = String::with_capacity(256);
        if self.context.journal {
            // Writing to a String cannot fail, here and below.
            let _ = write!(out, "<{}>", priority(self.level));
        }
        let _ = write!(out, "time={} level={} msg=", self.time, self.level);
        push_quoted(&mut out, &self.fields.message);
        if let Some(trace_id) = &self.fields.trace_id {
            out.push_str(" trace_id=");
            push_logfmt(&mut out, trace_id);
        }
        for (name, value) in &self.fields.context {
            let _ = write!(out, " {name}=");
            match value {
                Value::Bare(value) => out.push_str(value),
                Value::Text(value) => push_logfmt(&mut out, value),
            }
        }
        for (name, value) in &self.fields.metrics {
            let _ = write!(out, " {METRIC_PREFIX}{name}={value}");
        }
        out.push('\n');
        out
    }

    /// A JSON object with `timestamp`, `level`, `service`, `instance`, `message` and, where there are any, `trace_id`,
    /// `context` and `metrics`, and the end of the line.
    #[must_use]
    pub fn as_json(&self) -> String {
        let mut out = String::with_capacity(384);
        let _ = write!(out, "{{\"timestamp\":\"{}\",\"level\":\"{}\"", self.time, self.level);
        let _ = write!(out, ",\"service\":\"{SERVICE}\",\"instance\":");
        push_quoted(&mut out, &self.context.instance);
        if let Some(trace_id) = &self.fields.trace_id {
            out.push_str(",\"trace_id\":");
            push_quoted(&mut out, trace_id);
        }
        out.push_str(",\"message\":");
        push_quoted(&mut out, &self.fields.message);
        push_object(&mut out, "context", &self.fields.context, |out, value| match value {
            Value::Bare(value) => out.push_str(value),
            Value::Text(value) => push_quoted(out, value),
        });
        push_object(&mut out, "metrics", &self.fields.metrics, |out, value| out.push_str(value));
        out.push_str("}\n");
        out
    }
}

/// Appends `,"name":{…}`; nothing if there are no entries.
fn push_object<V>(out: &mut String, name: &str, entries: &[(&str, V)], push_value: impl Fn(&mut String, &V)) {
    if entries.is_empty() {
        return;
    }
    let _ = write!(out, ",\"{name}\":{{");
    for (position, (key, value)) in entries.iter().enumerate() {
        if position != 0 {
            out.push(',');
        }
        push_quoted(out, key);
        out.push(':');
        push_value(out, value);
    }
    out.push('}');
}

/// The syslog priority, see syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}
