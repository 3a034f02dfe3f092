//! The dashboards on a real Prometheus: every query is understood, and none is empty that could show something.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{DEVNET, DEVNET_CHAIN_ID};
use crate::{
    bench::Bench,
    haltwatch::{Config, Node},
    harness::{http, port, wait},
    prometheus::Prometheus,
    scripted::{Manners, Scripted},
};

/// Nodes of the watched network: one that lives, one that nobody reaches.
const NODES: [&str; 2] = ["plain", "dead"];

/// What stands for `$__rate_interval` at a scrape a second.
const RATE: &str = "15s";

/// What shows nothing in this world, by the metric it asks for, each with its reason.
const EMPTY: &[(&str, &str)] = &[
    ("haltwatch_node_consensus_round", "nodes of this family tell no round"),
    ("haltwatch_network_consensus_round", "so nothing is known of the network's"),
    ("participation_ratio", "nodes of this family tell nothing of who signs"),
    ("haltwatch_discovery_", "no list of nodes is configured here"),
    ("haltwatch_node_peers", "a development node has no network and tells no peers"),
];

/// A question of a dashboard.
struct Question {
    page: String,
    panel: String,
    expr: String,
}

/// Every query of every dashboard is answered by Prometheus, and shows something while a node is offline or later, when
/// the network has halted too.
pub fn every_panel_of_every_dashboard_shows_something(bench: &Bench) -> Result<String> {
    let questions = questions()?;
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    // The same node twice would have two votes, so the second stands behind a server of its own.
    let second = Scripted::start(anvil.address, Manners::RefusesBatches)?;
    let alertmanager = bench.alertmanager()?;
    let nodes = [
        Node::validator(NODES[0], anvil.address),
        Node::validator("second", second.address()),
        Node::rpc(NODES[1], port::free()),
    ];
    let config = Config::default()
        .monitor(&format!("canaries = [\"{}\"]", anvil.address))
        .alertmanager(alertmanager.address)
        .network(DEVNET, Some(DEVNET_CHAIN_ID), "", &nodes);
    let daemon = bench.haltwatch(&config)?;
    // So that there is an error to be shown.
    ensure!(http::get(daemon.address, "/no/such/page", &[])?.status == 404, "it knows a page that is not there");
    let prometheus = bench.prometheus(&[("haltwatch", daemon.address)])?;
    wait::eventually("half a minute of scrapes, and the alert of the silent node", Duration::from_secs(60), || {
        let scrapes = prometheus.query("count_over_time(up[5m])")?;
        let offline = prometheus.query(r#"haltwatch_alert{alertname="NodeOffline",state="firing"}"#)?;
        Ok((scrapes.first().is_some_and(|(_, count)| 30.0 <= *count) && !offline.is_empty()).then_some(()))
    })?;
    let empty = unanswered(&prometheus, questions.iter())?;
    http::rpc(anvil.address, "evm_setIntervalMining", &json!([0]))?;
    daemon.fires("NetworkHalted", Duration::from_secs(20))?;
    // The next scrapes tell it.
    wait::pass(Duration::from_secs(2));
    let empty = unanswered(&prometheus, empty.into_iter())?;
    let reason = |it: &Question| EMPTY.iter().find(|(metric, _)| it.expr.contains(metric));
    let describe = |it: &&Question| format!("{} / {}: {}", it.page, it.panel, it.expr);
    let odd: Vec<_> = empty.iter().filter(|it| reason(it).is_none()).map(describe).collect();
    ensure!(odd.is_empty(), "nothing is shown by\n{}", odd.join("\n"));
    let needed: Vec<_> = empty.iter().filter_map(|it| reason(it)).collect();
    let needless: Vec<_> = EMPTY.iter().filter(|excuse| !needed.contains(excuse)).collect();
    ensure!(needless.is_empty(), "excused for nothing: {needless:?}");
    Ok(format!("{} queries answered, {} of them empty for a known reason", questions.len(), empty.len()))
}

/// The questions that no node of the page has an answer to.
fn unanswered<'q>(prometheus: &Prometheus, questions: impl Iterator<Item = &'q Question>) -> Result<Vec<&'q Question>> {
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
