//! The exposition: byte for byte what it should be, accepted by strict readers, untouched by what nodes say.
#![allow(clippy::cast_precision_loss, reason = "the sample's numbers are small")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

use expect_test::expect_file;
use haltwatch::{
    engine::snapshot::{NodeView, POLL_BUCKETS, Snapshot},
    model::NodeState,
    output::{
        metrics::{Exposition, FAMILIES, Family, Format, write::Kind},
        own::OwnMetrics,
    },
};
use prometheus::{
    Encoder, TextEncoder,
    proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};
use proptest::prelude::*;

use crate::sample;

fn render(snapshot: Option<&Snapshot>, format: Format) -> String {
    let own = OwnMetrics::new();
    let mut out = Vec::new();
    Exposition::default().render(snapshot, &own.registry, format, &mut out);
    String::from_utf8(out).unwrap()
}

/// The part that does not change from run to run: what comes from the snapshot.
fn from_snapshot(text: &str) -> String {
    let ours = |line: &&str| {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").trim_start_matches("# UNIT ");
        [
            "haltwatch_node",
            "haltwatch_network",
            "haltwatch_alert",
            "haltwatch_canary",
            "haltwatch_last",
            "haltwatch_mon",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    };
    text.lines().filter(ours).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_text_format_is_as_it_was() {
    let text = from_snapshot(&render(Some(&sample::snapshot()), Format::Text));
    expect_file!["../data/metrics/sample.txt"].assert_eq(&text);
}

#[test]
fn the_openmetrics_format_is_as_it_was() {
    let text = from_snapshot(&render(Some(&sample::snapshot()), Format::OpenMetrics));
    expect_file!["../data/metrics/sample.openmetrics.txt"].assert_eq(&text);
}

fn check_with_promtool(text: &str) {
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        // It is one of several readers; where it is not installed, the others have to do.
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout.is_empty() && said.is_empty(), "{said}");
}

#[test]
fn promtool_has_nothing_to_say() {
    check_with_promtool(&render(Some(&sample::snapshot()), Format::Text));
    check_with_promtool(&render(None, Format::Text));
}

/// Prometheus's own reader of OpenMetrics. It wants a time on every sample, which an exporter must not give.
#[test]
fn prometheus_reads_openmetrics() {
    let text = render(Some(&sample::snapshot()), Format::OpenMetrics);
    let timed = |line: &str| if line.starts_with('#') { format!("{line}\n") } else { format!("{line} 1795289659\n") };
    let directory = std::env::temp_dir().join(format!("haltwatch-openmetrics-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let input = directory.join("input");
    fs::write(&input, text.lines().map(timed).collect::<String>()).unwrap();
    let reader = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&input, &directory.join("blocks")])
        .output();
    fs::remove_dir_all(&directory).unwrap();
    if let Ok(output) = reader {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

// ---- docs/metrics.md

/// One row of the table of metrics.
struct Row {
    name: String,
    kind: &'static str,
    labels: Vec<String>,
    help: String,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels: Vec<_> = self.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(f, "| `{}` | {} | {} | {} |", self.name, self.kind, labels.join(", "), self.help)
    }
}

fn declared() -> Vec<Row> {
    let row = |family: &Family| Row {
        name: family.name.to_owned(),
        kind: match family.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Info => "info",
            Kind::Histogram(_) => "histogram",
        },
        labels: family.source.labels().iter().chain(family.labels).map(|label| (*label).to_owned()).collect(),
        help: family.help.to_owned(),
    };
    FAMILIES.iter().map(row).collect()
}

/// The daemon's own metrics, each with a series: those with labels exist once a series does.
fn own_with_every_series() -> OwnMetrics {
    let own = OwnMetrics::new();
    own.log_messages.with_label_values(&[""]);
    own.queue_length.with_label_values(&[""]);
    own.queue_capacity.with_label_values(&[""]);
    for metric in
        [&own.notifications_sent, &own.notifications_attempts, &own.notifications_errors, &own.notifications_dropped]
    {
        metric.with_label_values(&[""]);
    }
    own.deliveries.queue_length.with_label_values(&[""]);
    own.deliveries.queue_capacity.with_label_values(&[""]);
    own.deliveries.latency.with_label_values(&[""]);
    own.deliveries.oldest_unacked.with_label_values(&[""]);
    own.deliveries.clock_skew.with_label_values(&[""]);
    own.http_requests.with_label_values(&["", ""]);
    own.discovery.begin("");
    own
}

/// A scrape in which every metric has a series.
pub fn exposition() -> String {
    let mut out = Vec::new();
    let own = own_with_every_series();
    Exposition::default().render(Some(&sample::snapshot()), &own.registry, Format::Text, &mut out);
    String::from_utf8(out).unwrap()
}

fn registered() -> Vec<Row> {
    let row = |family: &MetricFamily| Row {
        name: family.name().to_owned(),
        kind: match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::HISTOGRAM => "histogram",
            _ => "gauge",
        },
        labels: family.get_metric()[0].get_label().iter().map(|label| label.name().to_owned()).collect(),
        help: family.help().to_owned(),
    };
    own_with_every_series().registry.gather().iter().map(row).collect()
}

const BEFORE: &str = "\
# Metrics

Everything `GET /metrics` tells, as Prometheus text 0.0.4 or OpenMetrics 1.0. This file is made from the code:
`UPDATE_EXPECT=1 cargo test --test it metrics`.

- A value that is not known is absent: a silent node has no height, a removed node has no series at all.
- Sets of states (`state`, `phase`, `reason`) have one series per member, 1 for the one that holds and 0 for the others.
- Labels of the configuration stand on `haltwatch_network_info` and `haltwatch_node_info` only. Join them where you need
  them: `haltwatch_node_lag_blocks * on (network, node) group_left (rack) haltwatch_node_info`.
- An `info` is a gauge with the value 1 in the text format.
- Nodes are polled on the monitor's own beat; a scrape reads what is known and waits for nobody.

";

const HEAD: &str = "| name | type | labels | meaning |\n|---|---|---|---|\n";

#[test]
fn every_metric_is_documented() {
    let (declared, registered) = (declared(), registered());
    for source in [include_str!("../../src/output/own.rs")] {
        for name in source.split("\"haltwatch_").skip(1).filter_map(|rest| rest.split('"').next()) {
            let name = format!("haltwatch_{name}");
            assert!(registered.iter().any(|row| row.name == name), "{name} has no series in this test");
        }
    }
    let rows = |rows: &[Row]| rows.iter().map(ToString::to_string).collect::<String>();
    let text = format!(
        "{BEFORE}## Nodes, networks, alerts, process\n\n{HEAD}{}\n## The daemon\n\n{HEAD}{}",
        rows(&declared),
        rows(&registered)
    );
    expect_file!["../../docs/metrics.md"].assert_eq(&text);
}

#[test]
fn every_family_is_declared_once_and_well_named() {
    let rows: Vec<_> = declared().into_iter().chain(registered()).collect();
    let names: BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
    assert_eq!(names.len(), rows.len());
    for row in &rows {
        assert!(row.name.starts_with("haltwatch_") || row.name.starts_with("process_"), "{}", row.name);
        assert_eq!(row.name.ends_with("_total"), row.kind == "counter", "{}", row.name);
        assert_eq!(row.name.ends_with("_info"), row.kind == "info", "{}", row.name);
        assert!(row.help.ends_with('.') && !row.help.contains('\n'), "{}: {}", row.name, row.help);
    }
}

// ---- the `prometheus` crate as the oracle

fn labels(pairs: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    pairs.iter().map(pair).collect()
}

fn family(name: &str, kind: MetricType, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn gauge(pairs: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(labels(pairs));
    metric.set_gauge(gauge);
    metric
}

fn counter(pairs: &[(&str, &str)], value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = Metric::from_label(labels(pairs));
    metric.set_counter(counter);
    metric
}

fn histogram(pairs: &[(&str, &str)], view: &NodeView) -> Metric {
    let mut below = 0;
    let buckets = POLL_BUCKETS.iter().zip(view.poll_duration.buckets).map(|(bound, count)| {
        below += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(view.poll_duration.count);
    histogram.set_sample_sum(view.poll_duration.sum);
    let mut metric = Metric::from_label(labels(pairs));
    metric.set_histogram(histogram);
    metric
}

/// The same nodes in the vocabulary of the `prometheus` crate.
fn oracle(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let settings = &snapshot.settings;
    let nodes: Vec<_> = settings
        .nodes
        .iter()
        .zip(&snapshot.nodes)
        .map(|(node, view)| {
            ([("network", &*settings.networks[node.network.index()].name), ("node", &*node.name)], view)
        })
        .collect();
    let each = |value: &dyn Fn(&NodeView) -> Option<f64>| -> Vec<Metric> {
        nodes.iter().filter_map(|(pairs, view)| Some(gauge(pairs, value(view)?))).collect()
    };
    let states = nodes.iter().flat_map(|(pairs, view)| {
        NodeState::ALL.map(|state| {
            let pairs = [pairs[0], pairs[1], ("state", state.as_str())];
            gauge(&pairs, f64::from(u8::from(state == view.state)))
        })
    });
    let seconds = |at: haltwatch::model::Timestamp| snapshot.taken.wall_at(at).seconds();
    vec![
        family("haltwatch_node_up", MetricType::GAUGE, "", each(&|view| view.up.map(|up| f64::from(u8::from(up))))),
        family("haltwatch_node_state", MetricType::GAUGE, "", states.collect()),
        family(
            "haltwatch_node_height",
            MetricType::GAUGE,
            "",
            each(&|view| Some(view.facts.as_ref()?.head.height.0 as f64)),
        ),
        family(
            "haltwatch_node_clock_skew_seconds",
            MetricType::GAUGE,
            "",
            each(&|view| Some(view.clock_skew_ms? as f64 / 1000.0)),
        ),
        family(
            "haltwatch_node_last_poll_timestamp_seconds",
            MetricType::GAUGE,
            "",
            each(&|view| view.last_poll.map(seconds)),
        ),
        family(
            "haltwatch_node_poll_duration_seconds",
            MetricType::HISTOGRAM,
            "",
            nodes.iter().map(|(pairs, view)| histogram(pairs, view)).collect(),
        ),
        family(
            "haltwatch_node_reorgs_total",
            MetricType::COUNTER,
            "",
            nodes.iter().map(|(pairs, view)| counter(pairs, view.reorgs)).collect(),
        ),
    ]
}

/// The lines of one family: its samples, and its comments without the help text.
fn lines_of(text: &str, name: &str) -> Vec<String> {
    let of_family = |line: &&str| {
        let rest = line.trim_start_matches("# TYPE ").strip_prefix(name).unwrap_or("?");
        ["{", " ", "_bucket{", "_sum{", "_count{"].iter().any(|next| rest.starts_with(next))
    };
    text.lines().filter(of_family).map(str::to_owned).collect()
}

#[test]
fn our_bytes_equal_those_of_the_prometheus_crate() {
    let mut snapshot = sample::snapshot();
    let mut settings = sample::settings();
    settings.networks[0].name = "a \"quoted\\\" name\nwith a line feed".into();
    settings.nodes[2].name = "café 節点".into();
    snapshot.settings = Arc::new(settings);
    let ours = render(Some(&snapshot), Format::Text);
    for family in oracle(&snapshot) {
        let mut theirs = Vec::new();
        TextEncoder::new().encode(std::slice::from_ref(&family), &mut theirs).unwrap();
        let theirs = String::from_utf8(theirs).unwrap();
        let wanted = lines_of(&theirs, family.name());
        assert!(4 <= wanted.len(), "{}", family.name());
        assert_eq!(lines_of(&ours, family.name()), wanted);
    }
}

#[test]
fn the_daemons_own_metrics_equal_those_of_the_prometheus_crate() {
    let own = OwnMetrics::new();
    own.step_duration.observe(0.000_25);
    own.http_requests.with_label_values(&["metrics", "200"]).inc_by(3);
    own.queue_length.with_label_values(&["a \"b\""]).set(-1);
    let mut ours = Vec::new();
    Exposition::default().render(None, &own.registry, Format::Text, &mut ours);
    let mut theirs = Vec::new();
    TextEncoder::new().encode(&own.registry.gather(), &mut theirs).unwrap();
    let (ours, theirs) = (String::from_utf8(ours).unwrap(), String::from_utf8(theirs).unwrap());
    assert!(ours.ends_with(&theirs), "{ours}\n---\n{theirs}");
}

// ---- a strict reader of OpenMetrics

#[derive(Debug, Default)]
struct Seen {
    kind: String,
    unit: Option<String>,
    helped: bool,
    series: BTreeSet<String>,
}

/// Reads an exposition as the specification wants it and returns the families; panics at any deviation.
fn read_strictly(text: &str) -> BTreeMap<String, Seen> {
    let body = text.strip_suffix("# EOF\n").expect("ends with # EOF");
    let mut families: BTreeMap<String, Seen> = BTreeMap::new();
    let mut current = String::new();
    for line in body.lines() {
        assert!(!line.is_empty() && !line.contains('\r'), "blank or CR: {line:?}");
        let Some(comment) = line.strip_prefix("# ") else {
            read_sample(line, &current, families.get_mut(&current).expect("a sample has a TYPE before it"));
            continue;
        };
        let [keyword, name, rest] = comment.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        match keyword {
            "TYPE" => {
                name.clone_into(&mut current);
                let seen = Seen { kind: rest.to_owned(), ..Seen::default() };
                assert!(families.insert(current.clone(), seen).is_none(), "{name} is interleaved");
                assert!(["gauge", "counter", "info", "histogram"].contains(&rest), "{line}");
            }
            "UNIT" => {
                assert!(name == current && name.ends_with(&format!("_{rest}")), "{line}");
                families.get_mut(name).unwrap().unit = Some(rest.to_owned());
            }
            "HELP" => {
                assert!(name == current && families[name].series.is_empty() && !families[name].helped, "{line}");
                families.get_mut(name).unwrap().helped = true;
            }
            _ => panic!("unknown comment {line}"),
        }
    }
    families
}

fn read_sample(line: &str, family: &str, seen: &mut Seen) {
    let (name, rest) = line.split_at(line.find(['{', ' ']).expect("a sample has a value"));
    let suffixes: &[&str] = match seen.kind.as_str() {
        "counter" => &["_total"],
        "info" => &["_info"],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    assert!(suffixes.iter().any(|suffix| format!("{family}{suffix}") == name), "{line} in {family}");
    let (labels, value) = if rest.starts_with('{') { read_labels(rest) } else { (BTreeMap::new(), rest) };
    let number = value.strip_prefix(' ').expect("one space before the value");
    assert!(number.parse::<f64>().is_ok() && !number.contains(' '), "{line}");
    if let Some(le) = labels.get("le") {
        assert!(le == "+Inf" || le.contains('.') || le.contains('e'), "le is not canonical: {line}");
    }
    assert!(seen.series.insert(format!("{name}{labels:?}")), "a series twice: {line}");
}

/// Reads `{a="b",c="d"}` and returns what follows it.
fn read_labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    let mut rest = text.strip_prefix('{').unwrap();
    loop {
        let (name, after) = rest.split_once("=\"").expect("a label");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty(), "{text}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("a closing quote") {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next().expect("an escaped character").1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("unknown escape {c}"),
                }),
                (_, c) => value.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "a label twice: {text}");
        rest = &after[end + 1..];
        match rest.split_at(1) {
            (",", more) => rest = more,
            ("}", value) => return (labels, value),
            _ => panic!("{text}"),
        }
    }
}

#[test]
fn openmetrics_is_read_back_by_a_strict_reader() {
    let families = read_strictly(&render(Some(&sample::snapshot()), Format::OpenMetrics));
    assert_eq!(families["haltwatch_node_polls"].kind, "counter");
    assert_eq!(families["haltwatch_build"].kind, "info");
    assert_eq!(families["haltwatch_node_poll_duration_seconds"].unit.as_deref(), Some("seconds"));
    assert_eq!(families["process_cpu_seconds"].unit.as_deref(), Some("seconds"));
    assert_eq!(families["haltwatch_node_height"].series.len(), 3, "the silent node has no height");
    assert!(families.values().all(|family| family.helped && !family.series.is_empty()));
    read_strictly(&render(None, Format::OpenMetrics));
}

#[test]
fn both_formats_tell_the_same_series() {
    let series = |format| -> BTreeSet<String> {
        let text = render(Some(&sample::snapshot()), format);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.rsplit_once(' ').unwrap().0.replace(".0\"}", "\"}")).collect()
    };
    assert_eq!(series(Format::Text), series(Format::OpenMetrics));
}

#[test]
fn labels_of_the_configuration_stand_on_info_series_only_and_never_replace_ours() {
    let mut snapshot = sample::snapshot();
    let mut settings = sample::settings();
    settings.nodes[0].labels = vec![
        ("__name__".into(), "evil".into()),
        ("node".into(), "evil".into()),
        ("rack".into(), "b4".into()),
        ("version".into(), "evil".into()),
    ];
    snapshot.settings = Arc::new(settings);
    let text = render(Some(&snapshot), Format::OpenMetrics);
    read_strictly(&text);
    assert!(!text.contains("evil"));
    assert!(text.lines().filter(|line| line.contains("rack=")).all(|line| line.starts_with("haltwatch_node_info{")));
}

#[test]
fn no_label_collides_with_those_a_prometheus_sets_itself() {
    let families = read_strictly(&render(Some(&sample::snapshot()), Format::OpenMetrics));
    for series in families.values().flat_map(|family| &family.series) {
        for reserved in ["job", "instance", "cluster", "service", "env", "chain", "type"] {
            assert!(!series.contains(&format!("\"{reserved}\":")), "{series}");
        }
    }
}

#[test]
fn exactly_one_state_and_one_phase_hold() {
    let text = render(Some(&sample::snapshot()), Format::Text);
    let ones = |prefix: &str| text.lines().filter(|line| line.starts_with(prefix) && line.ends_with(" 1")).count();
    assert_eq!(ones("haltwatch_node_state{network=\"main\",node=\"val-2\","), 1);
    assert_eq!(ones("haltwatch_network_phase{network=\"main\","), 1);
    assert!(text.contains("haltwatch_network_halted{network=\"main\",reason=\"blocks_missing\"} 1\n"));
    assert!(text.contains("haltwatch_network_halted{network=\"main\",reason=\"core_nodes_offline\"} 0\n"));
    assert!(text.contains("haltwatch_network_halted{network=\"ledger\",reason=\"blocks_missing\"} 0\n"));
}

#[test]
fn new_settings_bring_new_labels_and_removed_nodes_vanish() {
    let (own, mut exposition) = (OwnMetrics::new(), Exposition::default());
    let mut render = |snapshot: &Snapshot| {
        let mut out = Vec::new();
        exposition.render(Some(snapshot), &own.registry, Format::Text, &mut out);
        String::from_utf8(out).unwrap()
    };
    let mut snapshot = sample::snapshot();
    assert!(render(&snapshot).contains("node=\"val-1\""));
    let mut settings = sample::settings();
    settings.nodes.remove(0);
    settings.nodes[0].name = "renamed".into();
    snapshot.nodes.remove(0);
    snapshot.alerts.clear();
    snapshot.settings = Arc::new(settings);
    let text = render(&snapshot);
    assert!(!text.contains("val-1") && !text.contains("val-2") && text.contains("node=\"renamed\""));
}

fn series_names(text: &str) -> Vec<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

proptest! {
    #[test]
    fn nothing_a_node_says_changes_the_series_or_breaks_a_line(
        version in proptest::collection::vec(any::<u8>(), 0..400),
        chain in ".{0,40}",
        detail in "(?s).{0,80}",
        height in any::<u64>(),
    ) {
        let quiet = render(Some(&sample::snapshot()), Format::OpenMetrics);
        let mut snapshot = sample::snapshot();
        let mut facts = sample::facts(height.max(2), &String::from_utf8_lossy(&version));
        facts.chain_id = Some(chain.into());
        snapshot.nodes[0].facts = Some(Arc::new(facts));
        snapshot.nodes[1].error = Some((haltwatch::observation::ErrorKind::Rpc, detail.into()));
        let loud = render(Some(&snapshot), Format::OpenMetrics);
        prop_assert_eq!(series_names(&loud), series_names(&quiet));
        read_strictly(&loud);
        let longest = loud.lines().filter(|line| line.starts_with("haltwatch_node_info")).map(str::len).max();
        prop_assert!(longest < Some(700));
    }
}
