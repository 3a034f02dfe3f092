//! The dashboards on a real Prometheus: every query is understood, and none is empty that could show something.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{DEVNET, DEVNET_CHAIN_ID};
use crate::{
    bench::Bench,
    haltwatch::{Config, Node},
    harness::{port, wait},
    prometheus::Prometheus,
};

/// Nodes of the watched network: one that lives, one that nobody reaches.
const NODES: [&str; 2] = ["plain", "dead"];

/// What stands for `$__rate_interval` at a scrape a second.
const RATE: &str = "15s";

/// Panels that show nothing in this world, each with its reason.
const EMPTY: &[(&str, &str)] = &[
    ("Consensus round", "nodes of this family tell no round"),
    ("Nodes without an alert", "no such panel: this list is looked at too"),
];

/// A question of a dashboard.
struct Question {
    page: String,
    panel: String,
    expr: String,
}

/// Every query of every dashboard is answered by Prometheus after a node has gone offline, and shows something.
pub fn every_panel_of_every_dashboard_shows_something(bench: &Bench) -> Result<String> {
    let questions = questions()?;
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let alertmanager = bench.alertmanager()?;
    let nodes = [
        Node::validator(NODES[0], anvil.address),
        Node::validator("second", anvil.address),
        Node::validator("third", anvil.address),
        Node::validator(NODES[1], port::free()),
    ];
    let config = Config::default()
        .monitor(&format!("canaries = [\"{}\"]", anvil.address))
        .alertmanager(alertmanager.address)
        .network(DEVNET, Some(DEVNET_CHAIN_ID), "", &nodes);
    let daemon = bench.haltwatch(&config)?;
    let prometheus = bench.prometheus(&[("haltwatch", daemon.address)])?;
    wait::eventually("half a minute of scrapes, and the alert of the silent node", Duration::from_secs(60), || {
        let scrapes = prometheus.query("count_over_time(up[5m])")?;
        let offline = prometheus.query(r#"haltwatch_alert{alertname="NodeOffline",state="firing"}"#)?;
        Ok((scrapes.first().is_some_and(|(_, count)| 30.0 <= *count) && !offline.is_empty()).then_some(()))
    })?;
    let empty = unanswered(&prometheus, &questions)?;
    let excused = |panel: &str| EMPTY.iter().any(|(excused, _)| *excused == panel);
    let odd: Vec<_> = empty
        .iter()
        .filter(|it| !excused(&it.panel))
        .map(|it| format!("{} / {}: {}", it.page, it.panel, it.expr))
        .collect();
    ensure!(odd.is_empty(), "nothing is shown by\n{}", odd.join("\n"));
    let silent: BTreeSet<_> = empty.iter().map(|it| it.panel.as_str()).collect();
    let needless: Vec<_> = EMPTY.iter().filter(|(panel, _)| !silent.contains(panel)).collect();
    ensure!(needless.is_empty(), "excused for nothing: {needless:?}");
    Ok(format!("{} queries answered, {} empty for a known reason", questions.len(), empty.len()))
}

/// The questions that no node of the page has an answer to.
fn unanswered<'q>(prometheus: &Prometheus, questions: &'q [Question]) -> Result<Vec<&'q Question>> {
    let mut empty = Vec::new();
    for question in questions {
        let mut shown = false;
        for node in NODES {
            let expr = filled(&question.expr, node);
            let answer =
                prometheus.query(&expr).with_context(|| format!("{} / {}: {expr}", question.page, question.panel))?;
            shown |= !answer.is_empty();
        }
        if !shown {
            empty.push(question);
        }
    }
    Ok(empty)
}

/// A query as Grafana sends it.
fn filled(expr: &str, node: &str) -> String {
    let values =
        [("$__rate_interval", RATE), ("$instance", ".+"), ("$job", ".+"), ("$network", DEVNET), ("$node", node)];
    values.iter().fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value))
}

/// The queries of all panels, annotations and variables of the shipped files.
fn questions() -> Result<Vec<Question>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let mut questions = Vec::new();
    for entry in fs::read_dir(folder)? {
        let page: Value = serde_json::from_str(&fs::read_to_string(entry?.path())?)?;
        let title = page["title"].as_str().context("no title")?;
        let mut ask = |panel: &Value, expr: &str| {
            let panel = panel.as_str().unwrap_or_default().to_owned();
            questions.push(Question { page: title.to_owned(), panel, expr: expr.to_owned() });
        };
        for panel in page["panels"].as_array().context("no panels")? {
            for target in panel["targets"].as_array().into_iter().flatten() {
                ask(&panel["title"], target["expr"].as_str().context("no expr")?);
            }
        }
        for annotation in page["annotations"]["list"].as_array().context("no annotations")? {
            ask(&annotation["name"], annotation["expr"].as_str().context("no expr")?);
        }
        for variable in page["templating"]["list"].as_array().context("no variables")? {
            let known = variable["query"]["query"].as_str().and_then(|query| query.strip_prefix("label_values("));
            if let Some((series, _)) = known.and_then(|query| query.rsplit_once(", ")) {
                ask(&variable["label"], series);
            }
        }
    }
    Ok(questions)
}
