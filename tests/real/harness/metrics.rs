//! Reads the Prometheus text format, strictly enough to compare values.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// One line of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name of the metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// Whether it carries all of `labels`.
    pub fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.labels.get(*name).is_some_and(|known| known == value))
    }
}

/// Every sample of a scrape.
#[derive(Debug, Clone, Default)]
pub struct Scrape(pub Vec<Sample>);

impl Scrape {
    /// Reads a whole scrape.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| sample(line).with_context(|| format!("bad sample: {line}"))).collect::<Result<_>>().map(Self)
    }

    /// The samples of `name` that carry all of `labels`.
    pub fn all<'a>(&'a self, name: &'a str, labels: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name && sample.has(labels))
    }

    /// The value of the only sample of `name` with `labels`; `None` if there is none or more than one.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.all(name, labels);
        let value = found.next()?.value;
        found.next().is_none().then_some(value)
    }

    /// As `value`, but a missing sample is an error.
    pub fn must(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        self.value(name, labels).with_context(|| format!("no single sample {name}{labels:?}"))
    }

    /// As `must`, of a value that is a whole number: a height, a count, a flag.
    pub fn whole(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        whole(self.must(name, labels)?).with_context(|| format!("{name}{labels:?}"))
    }
}

/// The whole number that `value` is.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and not negative")]
pub fn whole(value: f64) -> Result<u64> {
    ensure!(0.0 <= value && value.fract() == 0.0, "{value} is not a whole number");
    Ok(value as u64)
}

fn sample(line: &str) -> Result<Sample> {
    let end = line.find(['{', ' ']).context("no value")?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next().context("no value")?;
    Ok(Sample { name: name.to_owned(), labels, value: number(value)? })
}

fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"").context("a label without a value")?;
        let (value, after) = unquote(quoted)?;
        ensure!(labels.insert(name.to_owned(), value).is_none(), "label {name} twice");
        rest = after;
    }
}

fn unquote(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next().context("a label value cut short")?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    anyhow::bail!("a label value without an end")
}

fn number(text: &str) -> Result<f64> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        other => other.parse().with_context(|| format!("not a number: {other}")),
    }
}
