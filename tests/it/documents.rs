//! No document lies about metrics: whatever rules, dashboards, runbooks and texts name is in a scrape, with the labels
//! they select by.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::metrics;

/// Where metrics are named for people and tools to use: files, and folders with everything in them.
const TOLD: &[&str] = &["README.md", "config.toml.example", "alerts", "dashboards", "docs"];

/// Labels a Prometheus adds to everything it scrapes.
const ADDED: [&str; 2] = ["job", "instance"];

/// Prefixes of the metrics that are ours to tell.
const OURS: [&str; 2] = ["haltwatch_", "process_"];

/// Prefix of what a probe tells of the node it asked.
const PROBED: &str = "haltwatch_probe_";

/// What a scrape holds.
struct Scrape {
    /// Every sample's name and the labels it has.
    samples: BTreeMap<String, BTreeSet<String>>,
    /// Every family's name, which texts use for histograms.
    families: BTreeSet<String>,
}

impl Scrape {
    /// A scrape in which every metric has a series.
    fn of_everything() -> Self {
        let text = metrics::exposition();
        let mut scrape = Self { samples: BTreeMap::new(), families: BTreeSet::new() };
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                scrape.families.insert(family.split(' ').next().unwrap().to_owned());
            } else if !line.starts_with('#') {
                let found = selectors(line).swap_remove(0);
                let labels = label_names(&found.matchers).into_iter().map(str::to_owned);
                scrape.samples.entry(found.name.to_owned()).or_default().extend(labels);
            }
        }
        scrape
    }

    /// The labels of what a text calls `name`: a sample or, in prose, a family.
    fn labels_of(&self, name: &str, prose: bool) -> Option<&BTreeSet<String>> {
        let of_family =
            || self.samples.get(&format!("{name}_bucket")).filter(|_| prose && self.families.contains(name));
        self.samples.get(name).or_else(of_family)
    }
}

/// A metric as a query or a text names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector<'t> {
    /// Its name; the name of a recording rule holds colons.
    pub name: &'t str,
    /// What stands in the braces behind it; a text may give only the names of labels.
    pub matchers: String,
    /// The text before it.
    pub before: &'t str,
    /// The text behind it.
    pub after: &'t str,
}

/// Every metric of ours named in `text`, and `up`, where it is selected.
pub fn selectors(text: &str) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part_of_a_name) {
        let from = &rest[start..];
        let (name, behind) = from.split_at(from.find(|c| !is_part_of_a_name(c)).unwrap_or(from.len()));
        let before = &text[..text.len() - from.len()];
        rest = behind;
        let is_ours = OURS.iter().any(|prefix| name.starts_with(prefix) || name.contains(&format!(":{prefix}")));
        let is_selected = name == "up" && behind.starts_with('{');
        // In a path, a package or an address it is the name of something else.
        let is_other = before.ends_with(['/', '-', '.', '@']) || behind.starts_with("::");
        if (is_ours || is_selected) && !is_other {
            let (matchers, after) = braces(behind);
            found.push(Selector { name: name.trim_end_matches(':'), matchers, before, after });
        }
    }
    found
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The content of the braces `text` begins with, quoted braces being part of it, and what follows.
fn braces(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('{') else { return (String::new(), text) };
    let mut quoted = false;
    for (at, c) in inner.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '}' if !quoted => return (inner[..at].to_owned(), &inner[at + 1..]),
            _ => {}
        }
    }
    (String::new(), text)
}

/// The names in `a="x",b!~"y,z"` or in `a, b`.
fn label_names(matchers: &str) -> Vec<&str> {
    let mut quoted = false;
    let parts = matchers.split(|c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    let names = parts.map(|part| part.split(['=', '!']).next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty()).collect()
}

fn files_below(path: &Path, out: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in &entries {
            files_below(entry, out);
        }
    } else {
        out.push(path.to_owned());
    }
}

/// Every file that may name a metric, and what it says: of JSON the strings, of others the text.
fn told() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for place in TOLD {
        files_below(&root.join(place), &mut files);
    }
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let said = if is_json { strings(&serde_json::from_str(&text).unwrap()) } else { text.replace("\\\"", "\"") };
        (name, said)
    };
    files.iter().map(read).collect()
}

fn strings(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(values) => values.iter().map(strings).collect(),
        Value::Object(fields) => fields.values().map(strings).collect(),
        _ => String::new(),
    }
}

/// The names of the recording rules in the shipped files.
fn recorded(told: &[(String, String)]) -> BTreeSet<&str> {
    let rules = told.iter().filter(|(file, _)| file.ends_with(".rules.yml"));
    let lines = rules.flat_map(|(_, text)| text.lines());
    let names = lines.filter_map(|line| line.trim_start_matches([' ', '-', '{']).strip_prefix("record:"));
    names.map(|name| name.split(',').next().unwrap_or_default().trim().trim_matches('"')).collect()
}

/// The metrics of `/probe`, which tells what one node says and is no part of our own scrape: the names in the sources.
fn told_by_probes() -> BTreeSet<String> {
    let mut files = Vec::new();
    files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let sources = files.iter().map(|path| fs::read_to_string(path).unwrap());
    let named = |source: String| -> Vec<String> {
        let literals = source.split('"').skip(1).step_by(2);
        literals.filter(|literal| literal.starts_with(PROBED)).map(str::to_owned).collect()
    };
    sources.flat_map(named).collect()
}

/// What is wrong with one mention.
fn fault(scrape: &Scrape, recorded: &BTreeSet<&str>, prose: bool, named: &Selector<'_>) -> Option<String> {
    let Selector { name, matchers, after, .. } = named;
    if name.contains(':') {
        return (!recorded.contains(name)).then(|| format!("{name} is recorded by no rule"));
    }
    // Prose may speak of all metrics that begin alike.
    if prose && (name.ends_with('_') || after.starts_with('*')) {
        return (!scrape.samples.keys().any(|it| it.starts_with(name))).then(|| format!("nothing begins with {name}"));
    }
    let Some(known) = scrape.labels_of(name, prose) else { return Some(format!("{name} is not in a scrape")) };
    let is_known = |label: &&str| ADDED.contains(label) || known.contains(*label);
    let odd: Vec<_> = label_names(matchers).into_iter().filter(|label| !is_known(label)).collect();
    (!odd.is_empty()).then(|| format!("{name} has no label {}", odd.join(", ")))
}

#[test]
fn every_metric_and_label_that_is_named_is_in_a_scrape() {
    let (scrape, told) = (Scrape::of_everything(), told());
    let (recorded, probed) = (recorded(&told), told_by_probes());
    let mut faults = Vec::new();
    // What is made from the code need not be compared with it again; its help texts speak of kinds of metrics.
    for (file, text) in told.iter().filter(|(file, _)| file != "docs/metrics.md") {
        let prose = !["alerts", "dashboards"].iter().any(|folder| file.starts_with(folder));
        for named in selectors(text).iter().filter(|named| named.name != "up" && !probed.contains(named.name)) {
            faults.extend(fault(&scrape, &recorded, prose, named).map(|fault| format!("{file}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Were the shipped queries not found, the test above would prove nothing.
#[test]
fn rules_and_dashboards_are_read() {
    for (file, text) in told() {
        // Rules about the machine ask the exporter of the machine.
        let is_ours = file.ends_with(".rules.yml") && !file.contains("host");
        if is_ours || is_dashboard(&file) {
            assert!(!selectors(&text).is_empty(), "{file} names no metric: is it read rightly?");
        }
    }
}

fn is_dashboard(file: &str) -> bool {
    let path = Path::new(file);
    path.starts_with("dashboards") && path.extension().is_some_and(|extension| extension == "json")
}

#[test]
fn a_lie_is_found() {
    let (scrape, recorded) = (Scrape::of_everything(), BTreeSet::from(["network:haltwatch_halt_ratio:max"]));
    let first = |text: &str, prose| fault(&scrape, &recorded, prose, &selectors(text)[0]);
    for (text, prose) in [
        ("haltwatch_node_height{node=\"a}b\",job=\"x\"}", false),
        ("rate(haltwatch_node_poll_duration_seconds_bucket{le=\"1\"}[5m])", false),
        ("`haltwatch_node_poll_duration_seconds{node}`", true),
        ("`haltwatch_notifications_*`", true),
        ("grep ^haltwatch_", true),
        ("network:haltwatch_halt_ratio:max{network=\"x\"}", false),
        ("process_open_fds", false),
    ] {
        assert_eq!(first(text, prose), None, "{text}");
    }
    for (text, prose) in [
        ("haltwatch_node_hight", true),
        ("haltwatch_node_height{nodes=\"a\"}", false),
        ("haltwatch_node_poll_duration_seconds", false),
        ("haltwatch_build_info{node}", true),
        ("`haltwatch_notes_*`", true),
        ("network:haltwatch_halt_ratio:min", false),
        ("process_open_files", true),
    ] {
        assert!(first(text, prose).is_some(), "{text}");
    }
}

/// The labels by which a query groups and names its series are those of the metrics it asks for.
#[test]
fn dashboards_group_by_labels_that_are_there() {
    let scrape = Scrape::of_everything();
    let everything: BTreeSet<_> = scrape.samples.values().flatten().map(String::as_str).chain(ADDED).collect();
    for (file, text) in told().iter().filter(|(file, _)| is_dashboard(file)) {
        for expr in text.lines().filter(|line| line.contains("$job")) {
            let known: BTreeSet<_> = selectors(expr)
                .iter()
                .filter_map(|named| scrape.samples.get(named.name))
                .flatten()
                .map(String::as_str)
                .chain(ADDED)
                .collect();
            let groups = expr.split(" by (").skip(1).filter_map(|rest| rest.split(')').next());
            for label in groups.flat_map(|list| list.split(',').map(str::trim)).filter(|label| !label.is_empty()) {
                assert!(known.contains(label), "{file}: {label} in {expr}");
            }
        }
        for legend in text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            assert!(everything.contains(legend), "{file}: {{{{{legend}}}}}");
        }
    }
}
