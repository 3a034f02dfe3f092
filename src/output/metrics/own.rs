//! Writes the daemon's own metrics, few series kept in a registry, in the format asked for.

use prometheus::{
    Registry,
    proto::{Histogram, Metric, MetricFamily, MetricType},
};

use super::write::{Format, Kind, Samples, bound_text};

/// Appends every metric of `registry` to `out`.
pub fn write(out: &mut Vec<u8>, format: Format, registry: &Registry) {
    for family in registry.gather() {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => Kind::Counter,
            MetricType::GAUGE => Kind::Gauge,
            MetricType::HISTOGRAM => Kind::Histogram(&[]),
            // The daemon has no metrics of other types.
            MetricType::SUMMARY | MetricType::UNTYPED => continue,
        };
        write_family(out, format, kind, &family);
    }
}

fn write_family(out: &mut Vec<u8>, format: Format, kind: Kind, family: &MetricFamily) {
    let mut samples = Samples::new(out, format, family.name(), kind, family.help());
    for metric in family.get_metric() {
        let labels = metric.get_label().iter().map(|label| (label.name(), label.value()));
        match kind {
            Kind::Counter => samples.labelled(labels, metric.get_counter().get_value()),
            Kind::Gauge | Kind::Info => samples.labelled(labels, metric.get_gauge().get_value()),
            Kind::Histogram(_) => write_histogram(&mut samples, format, metric, metric.get_histogram()),
        }
    }
    samples.end();
}

fn write_histogram(samples: &mut Samples<'_>, format: Format, metric: &Metric, histogram: &Histogram) {
    let labels: Vec<(&str, &str)> = metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
    let bounds = histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let unbounded = (f64::INFINITY, histogram.get_sample_count());
    for (bound, count) in bounds.filter(|(bound, _)| bound.is_finite()).chain([unbounded]) {
        let bound = bound_text(bound, format);
        samples.suffixed("_bucket", labels.iter().copied().chain([("le", &*bound)]), count);
    }
    samples.suffixed("_sum", labels.iter().copied(), histogram.get_sample_sum());
    samples.suffixed("_count", labels.iter().copied(), histogram.get_sample_count());
}
