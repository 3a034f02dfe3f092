//! Appends the lines of a metric family to a buffer: names and label blocks are copied, numbers formatted, nothing is
//! allocated per series.
//!
//! The two formats differ in few places, all of them here: the family name of counters and infos, the order of the
//! comment lines, the unit, the escaping of help texts, and how a float without a fraction is written. Sources:
//! Prometheus exposition format 0.0.4 and OpenMetrics 1.0.0.

use crate::engine::snapshot::Histogram;

/// An exposition format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text 0.0.4, the fallback for whoever asks for nothing we know.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The value of the header `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only rises, until the process restarts. Its name ends in `_total`.
    Counter,
    /// Always 1; what matters are its labels. Its name ends in `_info`.
    Info,
    /// Counts by upper bound.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word for the type in the given format.
    fn word(self, format: Format) -> &'static str {
        match self {
            Self::Info if format == Format::OpenMetrics => "info",
            Self::Gauge | Self::Info => "gauge",
            Self::Counter => "counter",
            Self::Histogram(_) => "histogram",
        }
    }

    /// The suffix that belongs to the sample's name only, in `OpenMetrics`.
    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram(_) => "",
        }
    }
}

/// The value of a sample. Integers stay integers: a height needs no float formatter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A count, a height, a flag.
    Unsigned(u64),
    /// A margin, which may be negative.
    Signed(i64),
    /// Seconds and ratios.
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Unsigned(value as u64)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Unsigned(u64::from(value))
    }
}

/// The unit of a family, which is the last word of its name.
#[must_use]
pub fn unit(name: &str, kind: Kind) -> Option<&'static str> {
    let base = name.strip_suffix(kind.suffix()).unwrap_or(name);
    ["seconds", "bytes", "ratio"].into_iter().find(|unit| {
        let stem = base.strip_suffix(unit);
        stem.is_some_and(|stem| stem.ends_with('_'))
    })
}

/// Writes the samples of one family. Series of one subject are written after [`Samples::about`] named its label block.
#[derive(Debug)]
pub struct Samples<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
    /// The name of the samples and the brace that opens the labels: `haltwatch_node_up{`.
    prefix: Vec<u8>,
    /// What follows the label block in each bucket's line: `,le="0.5"} `.
    bounds: Vec<Vec<u8>>,
    /// Labels of the subject without braces: `network="a",node="b"`; empty for the monitor itself.
    block: &'a [u8],
    /// Where the header of the family begins and where its samples do.
    begin: (usize, usize),
}

impl<'a> Samples<'a> {
    /// Writes the header of the family `name` and returns the writer of its samples.
    pub fn new(out: &'a mut Vec<u8>, format: Format, name: &str, kind: Kind, help: &str) -> Self {
        let begin = out.len();
        write_header(out, format, name, kind, help);
        let bounds = match kind {
            Kind::Histogram(bounds) => bounds.iter().map(|bound| bound_suffix(*bound, format)).collect(),
            _ => Vec::new(),
        };
        let prefix = [name.as_bytes(), b"{"].concat();
        let begin = (begin, out.len());
        Self { out, format, prefix, bounds, block: &[], begin }
    }

    /// The samples that follow are about the subject with this label block.
    pub fn about(&mut self, block: &'a [u8]) {
        self.block = block;
    }

    /// Writes one sample; nothing if the value is missing, for missing is not zero.
    pub fn value(&mut self, value: Option<impl Into<Value>>) {
        let Some(value) = value else { return };
        if self.block.is_empty() {
            self.out.extend_from_slice(&self.prefix[..self.prefix.len() - 1]);
            self.out.push(b' ');
        } else {
            self.out.extend_from_slice(&self.prefix);
            self.out.extend_from_slice(self.block);
            self.out.extend_from_slice(b"} ");
        }
        self.finish(value.into());
    }

    /// Writes one sample per word of a closed set, each with one more label that holds the word.
    pub fn words<V: Into<Value>>(&mut self, label: &str, words: impl IntoIterator<Item = (&'static str, V)>) {
        let begin = self.out.len();
        let mut stem = begin..begin;
        for (word, value) in words {
            if stem.is_empty() {
                self.open(b"{");
                if !self.block.is_empty() {
                    self.out.push(b',');
                }
                self.out.extend_from_slice(label.as_bytes());
                self.out.extend_from_slice(b"=\"");
                stem.end = self.out.len();
            } else {
                // What all lines begin with is copied in one piece: there are more lines of this kind than of any other.
                self.out.extend_from_within(stem.clone());
            }
            self.out.extend_from_slice(word.as_bytes());
            self.out.extend_from_slice(b"\"} ");
            self.finish(value.into());
        }
    }

    /// Writes one sample with more labels; their values are escaped.
    pub fn labelled<'l>(&mut self, labels: impl IntoIterator<Item = (&'l str, &'l str)>, value: impl Into<Value>) {
        self.suffixed("", labels, value);
    }

    /// The same for a part of a histogram: `_sum` or `_count`.
    pub fn suffixed<'l>(
        &mut self,
        suffix: &'static str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: impl Into<Value>,
    ) {
        self.out.extend_from_slice(&self.prefix[..self.prefix.len() - 1]);
        self.out.extend_from_slice(suffix.as_bytes());
        let mut separator = b'{';
        if !self.block.is_empty() {
            self.out.push(b'{');
            self.out.extend_from_slice(self.block);
            separator = b',';
        }
        for (name, value) in labels {
            self.out.push(separator);
            push_label(self.out, name, value);
            separator = b',';
        }
        if separator == b',' {
            self.out.push(b'}');
        }
        self.out.push(b' ');
        self.finish(value.into());
    }

    /// Writes the buckets, sum and count of a histogram whose bounds are those of the family.
    pub fn histogram<const N: usize>(&mut self, histogram: &Histogram<N>) {
        let comma = usize::from(self.block.is_empty());
        let begin = self.out.len();
        self.open(b"_bucket{");
        let stem = begin..self.out.len();
        let mut below = 0_u64;
        for (index, count) in histogram.buckets.iter().enumerate() {
            below = below.saturating_add(*count);
            if let Some(bound) = self.bounds.get(index) {
                self.out.extend_from_slice(&bound[comma..]);
            }
            self.finish(Value::Unsigned(below));
            // The next line, that of the unbounded bucket at the latest, begins in the same way.
            self.out.extend_from_within(stem.clone());
        }
        self.out.extend_from_slice(&b",le=\"+Inf\"} "[comma..]);
        self.finish(Value::Unsigned(histogram.count));
        self.suffixed("_sum", [], histogram.sum);
        self.suffixed("_count", [], histogram.count);
    }

    /// Takes the header back if no sample followed it.
    pub fn end(self) {
        if self.out.len() == self.begin.1 {
            self.out.truncate(self.begin.0);
        }
    }

    /// The name, then `then`, then the block.
    fn open(&mut self, then: &[u8]) {
        let name = &self.prefix[..self.prefix.len() - 1];
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(then);
        self.out.extend_from_slice(self.block);
    }

    fn finish(&mut self, value: Value) {
        push_value(self.out, self.format, value);
        self.out.push(b'\n');
    }
}

/// Writes HELP, TYPE and, in `OpenMetrics`, UNIT of a family.
fn write_header(out: &mut Vec<u8>, format: Format, name: &str, kind: Kind, help: &str) {
    let mut line = |keyword: &str, family: &str, text: &str| {
        for part in ["# ", keyword, " ", family, " ", text, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    };
    match format {
        Format::Text => {
            line("HELP", name, &escape_help(help, format));
            line("TYPE", name, kind.word(format));
        }
        Format::OpenMetrics => {
            let family = name.strip_suffix(kind.suffix()).unwrap_or(name);
            line("TYPE", family, kind.word(format));
            if let Some(unit) = unit(name, kind) {
                line("UNIT", family, unit);
            }
            line("HELP", family, &escape_help(help, format));
        }
    }
}

fn escape_help(help: &str, format: Format) -> String {
    let help = help.trim().replace('\\', "\\\\").replace('\n', "\\n");
    if format == Format::OpenMetrics { help.replace('"', "\\\"") } else { help }
}

/// `,le="0.5"} `: what follows the label block in a bucket's line.
fn bound_suffix(bound: f64, format: Format) -> Vec<u8> {
    format!(",le=\"{}\"}} ", bound_text(bound, format)).into_bytes()
}

/// A bound of a histogram as the value of the label `le`.
#[must_use]
pub fn bound_text(bound: f64, format: Format) -> String {
    let mut text = Vec::with_capacity(24);
    push_float(&mut text, format, bound);
    text.into_iter().map(char::from).collect()
}

/// Appends `name="value"` with the value escaped: backslash, quote and line feed.
pub fn push_label(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Largest whole number that is printed as an integer; every integer up to here is exact in a float.
const WHOLE: f64 = 9_007_199_254_740_992.0;

fn push_value(out: &mut Vec<u8>, format: Format, value: Value) {
    match value {
        Value::Unsigned(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Value::Signed(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Value::Float(value) => push_float(out, format, value),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers up to 2^53 fit an i64 exactly")]
fn push_float(out: &mut Vec<u8>, format: Format, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value < 0.0 { b"-Inf" } else { b"+Inf" });
    }
    if value.abs() < WHOLE && value.trunc().to_bits() == value.to_bits() {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
        if format == Format::OpenMetrics {
            out.extend_from_slice(b".0");
        }
        return;
    }
    out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(format: Format, value: Value) -> String {
        let mut out = Vec::new();
        push_value(&mut out, format, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_each_format_wants_them() {
        for (value, text, open) in [
            (Value::Unsigned(u64::MAX), "18446744073709551615", "18446744073709551615"),
            (Value::Signed(-3), "-3", "-3"),
            (Value::Float(0.0), "0", "0.0"),
            (Value::Float(30.0), "30", "30.0"),
            (Value::Float(-1.5), "-1.5", "-1.5"),
            (Value::Float(1_795_289_659.25), "1795289659.25", "1795289659.25"),
            (Value::Float(1e300), "1e300", "1e300"),
            (Value::Float(f64::NAN), "NaN", "NaN"),
            (Value::Float(f64::INFINITY), "+Inf", "+Inf"),
            (Value::Float(f64::NEG_INFINITY), "-Inf", "-Inf"),
        ] {
            assert_eq!((&*number(Format::Text, value), &*number(Format::OpenMetrics, value)), (text, open));
        }
    }

    #[test]
    fn help_texts_are_escaped() {
        let mut out = Vec::new();
        Samples::new(&mut out, Format::OpenMetrics, "a_seconds_total", Kind::Counter, "Say \"a\\b\"\nand")
            .value(Some(1_u64));
        let wanted = "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Say \\\"a\\\\b\\\"\\nand\na_seconds_total 1\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn a_family_without_samples_leaves_no_trace() {
        let mut out = b"before\n".to_vec();
        let mut samples = Samples::new(&mut out, Format::Text, "a", Kind::Gauge, "A.");
        samples.value(None::<u64>);
        samples.end();
        assert_eq!(out, b"before\n");
    }

    #[test]
    fn a_unit_is_the_last_word_of_the_name() {
        assert_eq!(unit("process_cpu_seconds_total", Kind::Counter), Some("seconds"));
        assert_eq!(unit("haltwatch_network_halt_ratio", Kind::Gauge), Some("ratio"));
        assert_eq!(unit("seconds", Kind::Gauge), None);
        assert_eq!(unit("haltwatch_node_height", Kind::Gauge), None);
    }
}
