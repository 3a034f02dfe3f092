//! What reaches people: every alert, of the engine and of the rules for Prometheus, has a runbook that opens, and rules,
//! runbooks and documents speak only of metrics, keys and paths that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use haltwatch::{
    config, engine,
    model::{AlertName, Level, NodeState},
    observation::ErrorKind,
    output::{label::summary, metrics::family::HALT_REASONS, runbook},
};
use serde_json::Value;

use crate::web::{get, started};

/// The parts of a runbook, in the order in which they are read.
const HEADINGS: [&str; 8] = [
    "What it means",
    "How it is decided",
    "First checks",
    "What to do",
    "When to escalate",
    "How it ends",
    "Tuning",
    "False causes",
];

/// Words like keys that belong to others: Prometheus, the node, systemd, or a reason without a list of its own.
const OTHERS: [&str; 11] = [
    "eth_syncing",
    "metric_relabel_configs",
    "body_size_limit",
    "sample_limit",
    "scrape_timeout",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "external_address",
    "runbook_url",
    "nodes_disagree",
    "no_nodes_left",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    assert!(!files.is_empty(), "no {ending} in {folder}");
    files
}

/// An alert of the rules for Prometheus: what stands between its name and the next rule.
struct Ruled {
    name: String,
    text: String,
}

impl Ruled {
    /// The value of `key`, where it is written in one line.
    fn value(&self, key: &str) -> Option<&str> {
        let prefix = format!("{key}: ");
        self.text.lines().find_map(|line| line.trim().strip_prefix(&prefix)).map(|value| value.trim_matches('"'))
    }
}

fn ruled() -> Vec<Ruled> {
    let mut alerts = Vec::new();
    for path in files("alerts", ".rules.yml") {
        let text = fs::read_to_string(path).unwrap();
        for rule in text.split("\n      - ").filter_map(|rule| rule.strip_prefix("alert: ")) {
            let (name, text) = rule.split_once('\n').unwrap();
            alerts.push(Ruled { name: name.to_owned(), text: text.to_owned() });
        }
    }
    alerts
}

/// Every alert there is.
fn alerts() -> BTreeSet<String> {
    let engine = AlertName::ALL.iter().map(|name| name.as_str().to_owned());
    engine.chain(ruled().into_iter().map(|alert| alert.name)).collect()
}

/// Name and text of every runbook but the index.
fn books() -> impl Iterator<Item = (&'static str, &'static str)> {
    runbook::SHELF.iter().copied().filter(|(name, _)| *name != runbook::INDEX)
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The words of a text that could be names of metrics, keys or fields.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).filter(|word| !word.is_empty())
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let shelved: BTreeSet<_> = books().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(shelved, alerts());
}

#[test]
fn every_runbook_of_the_folder_is_in_the_binary() {
    let found = files("docs/runbooks", ".md");
    let found: BTreeMap<_, _> = found
        .iter()
        .map(|path| (path.file_stem().unwrap().to_str().unwrap(), fs::read_to_string(path).unwrap()))
        .collect();
    let shelved: BTreeMap<_, _> = runbook::SHELF.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    assert_eq!(found, shelved);
}

#[test]
fn every_runbook_is_in_the_index() {
    let index = runbook::text("").unwrap();
    let faults = books().filter(|(name, _)| !index.contains(&format!("[{name}]({name}.md)")));
    assert_none(&faults.map(|(name, _)| name.to_owned()).collect::<Vec<_>>());
}

#[test]
fn runbooks_are_built_alike_and_lead_nowhere_in_vain() {
    let mut faults = Vec::new();
    for (name, text) in books() {
        let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        if headings != HEADINGS {
            faults.push(format!("{name}: headings {headings:?}"));
        }
        if !text.starts_with(&format!("# {name}\n")) {
            faults.push(format!("{name}: another title"));
        }
        let empty = |part: &&str| part.trim().len() < "None.".len();
        if text.split("\n## ").skip(1).map(|part| part.split_once('\n').unwrap().1).any(|part| empty(&part)) {
            faults.push(format!("{name}: an empty part"));
        }
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(".md)"));
        for (target, _) in links.filter(|(target, _)| runbook::text(target).is_none()) {
            faults.push(format!("{name}: a link to {target}, which is not there"));
        }
    }
    assert_none(&faults);
}

/// The loudness that a runbook tells is the one the alert has.
#[test]
fn runbooks_tell_the_level_of_their_alert() {
    let mut faults = Vec::new();
    for alert in AlertName::ALL {
        let text = runbook::text(alert.as_str()).unwrap();
        for level in
            [engine::level(*alert, false), engine::level(*alert, true)].into_iter().filter(|l| *l != Level::None)
        {
            let told = format!("{}, priority {}", level.as_str(), level.priority());
            if !text.contains(&told) {
                faults.push(format!("{}: does not say {told}", alert.as_str()));
            }
        }
        if !text.contains(summary(*alert)) {
            faults.push(format!("{}: its first line is not {}", alert.as_str(), summary(*alert)));
        }
    }
    for alert in ruled() {
        let Some(level) = alert.value("labels").and_then(|it| it.strip_prefix("{ level: ")?.get(..2)) else { continue };
        if level != "no" && !runbook::text(&alert.name).unwrap().contains(&format!("**{level}")) {
            faults.push(format!("{}: the rule says {level}", alert.name));
        }
    }
    assert_none(&faults);
}

/// Both ways of deciding speak of the same thing when they use the same name.
#[test]
fn rules_of_the_engines_names_have_its_levels_and_sentences() {
    let mut compared = 0;
    for alert in ruled() {
        let Some(name) = AlertName::ALL.iter().find(|name| name.as_str() == alert.name) else { continue };
        compared += 1;
        assert_eq!(alert.value("summary"), Some(summary(*name)), "{}", alert.name);
        let (core, other) = (engine::level(*name, true), engine::level(*name, false));
        let wanted = if core == other {
            format!("{{ level: {}, severity: {}, priority: {} }}", core.as_str(), core.severity(), core.priority())
        } else {
            "by_core".to_owned()
        };
        let labels = alert.value("labels").unwrap().trim_start_matches(['*', '&']);
        assert_eq!(labels, wanted, "{}", alert.name);
    }
    assert!(10 < compared, "{compared} names are shared");
}

#[test]
fn every_rule_tells_level_summary_description_and_runbook_and_is_tested_firing_and_silent() {
    let tests: String = files("alerts", ".test.yml").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut faults = Vec::new();
    for alert in ruled() {
        let name = &alert.name;
        let mut need = |what: &str, holds: bool| {
            if !holds {
                faults.push(format!("{name}: {what}"));
            }
        };
        need("no labels", alert.value("labels").is_some());
        need("a summary is one sentence", alert.value("summary").is_some_and(|text| text.ends_with('.')));
        need("no description", alert.value("description").is_some());
        let url = alert.value("runbook_url").unwrap_or_default();
        need("no runbook_url of its own", url.ends_with(&format!("/runbooks/{name}")));
        need("no test in which it fires", tests.contains(&format!("alertname: {name}\n        exp_alerts:\n")));
        let silent = tests.contains(&format!("alertname: {name}, exp_alerts: []"));
        need("no test in which it is silent", silent || name.ends_with("Watchdog"));
    }
    assert_none(&faults);
}

/// A metric that does not exist makes a rule that never fires, and a command that finds nothing.
#[test]
fn only_metrics_that_exist_are_named() {
    let documented = read("docs/metrics.md");
    let known: BTreeSet<_> =
        documented.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let exists = |word: &str| {
        let whole = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end));
        known.contains(word) || whole.is_some_and(|whole| known.contains(whole))
    };
    let prefix = |word: &str| word.ends_with('_') && known.iter().any(|name| name.starts_with(word));
    let mut texts: Vec<PathBuf> = files("docs/runbooks", ".md");
    texts.extend(files("alerts", ".yml"));
    texts.extend(["docs/alerts.md", "docs/alertmanager.md"].map(|path| root().join(path)));
    let mut faults = Vec::new();
    for path in texts {
        let text = fs::read_to_string(&path).unwrap();
        let named = words(&text).filter(|word| word.starts_with("haltwatch_") || word.starts_with("process_"));
        for word in named.filter(|word| !exists(word) && !prefix(word)) {
            faults.push(format!("{}: {word}", path.display()));
        }
    }
    assert_none(&faults);
}

#[test]
fn runbooks_name_only_keys_and_words_that_exist() {
    let keys: BTreeSet<_> = config::keys().into_iter().map(|(_, key)| key).collect();
    let states = NodeState::ALL.iter().map(|state| state.as_str());
    let kinds = ErrorKind::ALL.iter().map(|kind| kind.as_str());
    let closed: BTreeSet<_> = states.chain(kinds).chain(HALT_REASONS).chain(OTHERS).collect();
    let mut faults = Vec::new();
    for (name, text) in books() {
        // Outside code blocks; between backticks.
        let prose: String = text.split("```").step_by(2).collect();
        for code in prose.split('`').skip(1).step_by(2) {
            let like_a_key = |c: char| c.is_ascii_lowercase() || c == '_';
            let candidate = code.contains('_') && code.chars().all(like_a_key) && !code.starts_with("haltwatch_");
            let foreign = ["alertmanager_", "process_"].iter().any(|prefix| code.starts_with(prefix));
            if candidate && !foreign && !keys.contains(code) && !closed.contains(code) {
                faults.push(format!("{name}: `{code}`"));
            }
        }
    }
    assert_none(&faults);
}

/// A command that is typed at night answers.
#[tokio::test]
async fn the_paths_that_runbooks_ask_exist() {
    let web = started();
    let mut asked = BTreeSet::new();
    for (name, text) in books() {
        for rest in text.split("http://127.0.0.1:10019").skip(1) {
            let url: String = rest.chars().take_while(|c| !c.is_whitespace() && !"'`)".contains(*c)).collect();
            asked.insert((url.split(';').next().unwrap().to_owned(), name));
        }
    }
    assert!(10 < asked.len(), "{asked:?}");
    for (url, name) in asked {
        let url = url.replace("NAME", "main").replace("NODE", "val-1");
        // Nobody probes here; another path would be 404, and a question that is not understood 400.
        let wanted = if url.starts_with("/probe?") { 503 } else { 200 };
        assert_eq!(get(&web, &url).await.status, wanted, "{name}: {url}");
    }
}

#[tokio::test]
async fn the_link_of_an_alert_opens_its_runbook() {
    let web = started();
    let alerts: Value = serde_json::from_slice(&get(&web, "/api/v1/alerts").await.body).unwrap();
    let urls: Vec<_> = alerts["data"]["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| {
            let url = alert["annotations"]["runbook_url"].as_str().unwrap();
            (
                alert["labels"]["alertname"].as_str().unwrap(),
                url.strip_prefix("http://watch.example.org:10019").unwrap(),
            )
        })
        .collect();
    assert!(!urls.is_empty());
    for (name, path) in urls {
        let page = get(&web, path).await;
        assert_eq!((page.status, &*page.headers["content-type"]), (200, "text/html; charset=utf-8"));
        assert!(page.text().contains(&format!("<h1>{name}</h1>")), "{name}");
        assert!(
            page.text().contains("<h2>First checks</h2><ol><li>") || page.text().contains("<h2>First checks</h2><p>")
        );
    }
}

#[tokio::test]
async fn every_runbook_is_served_and_nothing_else_under_their_path() {
    let web = started();
    let index = get(&web, "/runbooks/").await;
    assert!(index.text().contains("<a href=\"NetworkHalted\">"), "{}", index.text());
    let beside = get(&web, "/runbooks").await;
    assert_eq!((beside.status, &*beside.headers["location"]), (302, "runbooks/"));
    for (name, _) in books() {
        assert_eq!(get(&web, &format!("/runbooks/{name}")).await.status, 200, "{name}");
    }
    for path in ["/runbooks/Nonsense", "/runbooks/../Cargo.toml", "/runbooksNetworkHalted"] {
        assert_eq!(get(&web, path).await.status, 404, "{path}");
    }
}
