//! The exposition libraries, filled with the series of a text that haltwatch wrote: same names, labels and values.

use std::{collections::BTreeMap, sync::atomic::AtomicU64};

use anyhow::Context;
use prometheus::{Encoder, GaugeVec, Opts, Registry, TextEncoder};
use prometheus_client::{
    encoding::text,
    metrics::{family::Family, gauge::Gauge},
};

/// The `prometheus` crate: one vector of gauges per name. A histogram's buckets are series like any other here.
pub struct Prometheus(Registry);

/// The `prometheus-client` crate, filled in the same way.
pub struct PrometheusClient(prometheus_client::registry::Registry);

/// One line of an exposition.
struct Series<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    value: f64,
}

impl Prometheus {
    /// A registry that holds every series of `text`.
    pub fn with_series_of(text: &str) -> anyhow::Result<Self> {
        let registry = Registry::new();
        for (name, members) in by_name(text) {
            for (labels, members) in by_labels(members) {
                let options = Opts::new(name, "The help text of a family is written once.");
                let family = GaugeVec::new(options, &labels)?;
                for one in members {
                    let values: Vec<_> = one.labels.iter().map(|(_, value)| *value).collect();
                    family.with_label_values(&values).set(one.value);
                }
                registry.register(Box::new(family)).with_context(|| format!("{name} has series of several shapes"))?;
            }
        }
        Ok(Self(registry))
    }

    /// What a scrape costs with this library.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        TextEncoder::new().encode(&self.0.gather(), &mut body).expect("writing to memory cannot fail");
        body
    }
}

impl PrometheusClient {
    /// A registry that holds every series of `text`.
    pub fn with_series_of(text: &str) -> Self {
        let mut registry = prometheus_client::registry::Registry::default();
        for (name, members) in by_name(text) {
            let family = Family::<Vec<(String, String)>, Gauge<f64, AtomicU64>>::default();
            for one in members {
                let labels = one.labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                family.get_or_create(&labels).set(one.value);
            }
            registry.register(name, "The help text of a family is written once", family);
        }
        Self(registry)
    }

    /// What a scrape costs with this library.
    pub fn encode(&self) -> String {
        let mut body = String::new();
        text::encode(&mut body, &self.0).expect("writing to memory cannot fail");
        body
    }
}

fn by_name(text: &str) -> BTreeMap<&str, Vec<Series<'_>>> {
    let mut families: BTreeMap<&str, Vec<Series>> = BTreeMap::new();
    for series in text.lines().filter_map(parse) {
        families.entry(series.name).or_default().push(series);
    }
    families
}

fn by_labels(members: Vec<Series<'_>>) -> BTreeMap<Vec<&str>, Vec<Series<'_>>> {
    let mut shapes: BTreeMap<Vec<&str>, Vec<Series>> = BTreeMap::new();
    for series in members {
        shapes.entry(series.labels.iter().map(|(name, _)| *name).collect()).or_default().push(series);
    }
    shapes
}

/// A sample line as haltwatch writes it for names and labels that need no escaping.
fn parse(line: &str) -> Option<Series<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (subject, value) = line.rsplit_once(' ')?;
    let (name, labels) = subject.split_once('{').unwrap_or((subject, "}"));
    let labels = labels.strip_suffix('}')?.split_terminator(',');
    let labels = labels.filter_map(|label| {
        let (name, value) = label.split_once('=')?;
        Some((name, value.trim_matches('"')))
    });
    Some(Series { name, labels: labels.collect(), value: value.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a Text.\n# TYPE a gauge\na{x=\"1\",y=\"b c\"} 7\na{x=\"2\",y=\"\"} -3\nb 0.5\n";

    #[test]
    fn the_libraries_are_given_exactly_the_series_of_the_text() {
        let ours: Vec<_> = TEXT.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        let written = Prometheus::with_series_of(TEXT).unwrap().encode();
        let theirs = String::from_utf8(written).unwrap();
        assert_eq!(theirs.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(), ours);
        let theirs = PrometheusClient::with_series_of(TEXT).encode();
        assert_eq!(theirs.lines().filter(|line| !line.starts_with('#')).count(), ours.len());
    }
}
