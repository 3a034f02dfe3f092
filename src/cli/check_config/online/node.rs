//! What a node says of itself, held against its configuration and against the other nodes of its network.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{DEADLINE, Remark};
use crate::{
    chain::{
        NodeTarget,
        probe::{Inquiry, probe},
    },
    config::Config,
    engine::settings::{Cadence, NetworkSettings, NodeSettings},
    observation::{Facts, probe::Report},
    output::probe::{Thresholds, Told, certificate_end, clock_skew_seconds, head_age_seconds, lines, rows},
};

/// A certificate that ends sooner than this is told.
const CERTIFICATE_DAYS: i64 = 14;

/// A declared block time that is off by more than this share of the observed one is told.
const BLOCK_TIME_TOLERANCE: f64 = 0.25;

/// A newest block that is older than ten years is told.
const HEAD_AGE_SECONDS: f64 = 10.0 * 365.0 * 24.0 * 3600.0;

/// A newest block that is so far ahead of our clock is told.
const HEAD_AHEAD_SECONDS: f64 = 3600.0;

/// Columns of a row; a check is read in logs as often as on a terminal.
const WIDTH: usize = 110;

/// Rows that are not repeated for a configured node.
const NOT_SHOWN: [&str; 4] = ["head hash", "genesis", "safe", "untold"];

/// One node.
#[derive(Debug, Serialize)]
pub(super) struct NodeFinding {
    pub(super) name: String,
    #[serde(flatten)]
    told: Told,
    pub(super) problems: Vec<Remark>,
    #[serde(skip)]
    rows: Vec<String>,
    #[serde(skip)]
    network: usize,
    #[serde(skip)]
    identity: Option<Identity>,
}

/// What nodes of one network must agree about.
#[derive(Debug)]
struct Identity {
    chain_id: Option<String>,
    genesis: Option<String>,
    tells_work: bool,
}

/// Probes the node at `position`.
pub(super) fn ask(config: &Config, position: usize) -> impl Future<Output = Report> + Send + use<> {
    let node = &config.chain.nodes[position];
    let inquiry = Inquiry::of_node(node, node.timeout.max(DEADLINE));
    async move { probe(&inquiry).await }
}

/// Holds each report against the configuration. A node without a report is left out.
pub(super) fn judge_all(config: &Config, reports: Vec<Option<Report>>) -> Vec<NodeFinding> {
    let nodes = config.engine.nodes.iter().zip(&config.chain.nodes).zip(reports);
    let judged = nodes.filter_map(|((node, target), report)| {
        let network = config.engine.networks.get(node.network.index())?;
        Some(judge(target, network, node, &report?))
    });
    judged.collect()
}

fn judge(target: &NodeTarget, network: &NetworkSettings, node: &NodeSettings, report: &Report) -> NodeFinding {
    let thresholds = report.is_node().then(|| Thresholds::of(report, network, node));
    let mut shown = rows(report, thresholds.as_ref());
    shown.retain(|row| !NOT_SHOWN.contains(&row.label));
    let facts = report.facts.as_deref();
    NodeFinding {
        name: target.name.to_string(),
        told: Told::of(report, thresholds.as_ref()),
        problems: problems(target, network, node, report),
        rows: lines(&shown, WIDTH),
        network: node.network.index(),
        identity: facts.map(|facts| Identity {
            chain_id: facts.chain_id.as_deref().map(str::to_owned),
            genesis: facts.genesis.map(|hash| hash.to_string()),
            tells_work: facts.pending.is_some() || facts.heartbeat.is_some() || facts.seats.is_some(),
        }),
    }
}

fn problems(target: &NodeTarget, network: &NetworkSettings, node: &NodeSettings, report: &Report) -> Vec<Remark> {
    let mut problems = Vec::new();
    if let Some(failure) = &report.failure {
        problems.push(Remark::error(format!("{} {}", failure.reason.says(), failure.reason.advice())));
    }
    if let Some(facts) = report.facts.as_deref() {
        problems.extend(of_identity(network, facts));
    }
    problems.extend(of_variant(target.particulars.variant, report));
    problems.extend(of_block_time(network.block_time, report));
    problems.extend(of_clock(node, report));
    problems.extend(of_head_time(report));
    if let Some((_, days)) = certificate_end(report).filter(|(_, days)| (0..CERTIFICATE_DAYS).contains(days)) {
        problems.push(Remark::warning(format!("the certificate ends in {days} days")));
    }
    problems.extend(report.untold.iter().map(|untold| Remark::warning(untold.as_str())));
    if report.new_heads == Some(false) {
        problems.push(Remark::warning("new heads cannot be subscribed to at `ws`; polling goes on without"));
    }
    problems
}

fn of_identity(network: &NetworkSettings, facts: &Facts) -> Vec<Remark> {
    let mut problems = Vec::new();
    match (network.chain_id.as_deref(), facts.chain_id.as_deref()) {
        (Some(wanted), Some(said)) if wanted != said => {
            problems.push(Remark::error(format!("chain id {said}, but the configuration wants {wanted}")));
        }
        (Some(_), None) => problems.push(Remark::warning("does not tell its chain id, which cannot be checked")),
        _ => {}
    }
    match (network.genesis, facts.genesis) {
        (Some(wanted), Some(said)) if wanted != said => {
            problems.push(Remark::error(format!("genesis {said}, but the configuration wants {wanted}")));
        }
        _ => {}
    }
    problems
}

fn of_variant(declared: Option<&str>, report: &Report) -> Option<Remark> {
    let proven = report.kind.proven.filter(|proven| declared != Some(proven))?;
    let said = declared.map_or("none".to_owned(), |declared| format!("\"{declared}\""));
    Some(Remark::warning(format!("answers as one of variant \"{proven}\", the configuration names {said}")))
}

fn of_block_time(declared: Option<Duration>, report: &Report) -> Option<Remark> {
    let (declared, observed) = (declared?.as_secs_f64(), report.block_time?.mean.as_secs_f64());
    let differs = BLOCK_TIME_TOLERANCE * observed < (declared - observed).abs();
    differs.then(|| {
        let text =
            format!("block_time is {declared} s, but blocks took {observed:.3} s lately; every threshold follows it");
        Remark::warning(text)
    })
}

/// A chain may have stood still for years, but not since before there were any, and no block comes from the future.
fn of_head_time(report: &Report) -> Option<Remark> {
    let age = head_age_seconds(report)?;
    let is_odd = !(-HEAD_AHEAD_SECONDS..HEAD_AGE_SECONDS).contains(&age);
    let time = report.facts.as_ref()?.head.time?;
    is_odd.then(|| Remark::warning(format!("its newest block is of {time}: check its clock, or the unit of `time`")))
}

fn of_clock(node: &NodeSettings, report: &Report) -> Option<Remark> {
    let (skew, doubt) = clock_skew_seconds(report)?;
    let limit = node.limits.clock_skew.as_secs_f64();
    (limit < skew.abs() - doubt)
        .then(|| Remark::warning(format!("its clock is {skew:+.1} s off ours, {limit} s are allowed")))
}

impl NodeFinding {
    /// The finding for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("node {}", self.name)];
        lines.extend(self.rows.iter().map(|row| format!("    {row}")));
        lines.extend(self.problems.iter().map(Remark::line));
        lines
    }
}

/// Networks whose blocks come only for work, and whose nodes do not tell whether any waits: a halt looks like idleness.
pub(super) fn silences(config: &Config, nodes: &[NodeFinding]) -> Vec<Remark> {
    let silent = |position: usize| {
        let mut told = nodes.iter().filter(|node| node.network == position).filter_map(|node| node.identity.as_ref());
        told.clone().count() != 0 && told.all(|told| !told.tells_work)
    };
    let networks = config.engine.networks.iter().enumerate();
    let on_demand = networks.filter(|(position, network)| network.cadence == Cadence::OnDemand && silent(*position));
    let remark = |(_, network): (usize, &NetworkSettings)| {
        let name = &network.name;
        Remark::warning(format!("no node of {name} tells whether work waits for a block: a halt looks like idleness"))
    };
    on_demand.map(remark).collect()
}

/// Networks whose nodes speak for different chains.
pub(super) fn disagreements(config: &Config, nodes: &[NodeFinding]) -> Vec<Remark> {
    let mut problems = Vec::new();
    for (position, network) in config.engine.networks.iter().enumerate() {
        let members = || nodes.iter().filter(move |node| node.network == position);
        let of = |what: &str, said: fn(&Identity) -> Option<&String>| {
            let mut camps: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
            for node in members() {
                if let Some(value) = node.identity.as_ref().and_then(said) {
                    camps.entry(value).or_default().push(&node.name);
                }
            }
            let told: Vec<_> = camps.iter().map(|(value, names)| format!("{value} ({})", names.join(", "))).collect();
            let text = || format!("the nodes of {} disagree about the {what}: {}", network.name, told.join("; "));
            (1 < camps.len()).then(|| Remark::error(text()))
        };
        problems.extend(of("chain id", |identity| identity.chain_id.as_ref()));
        problems.extend(of("genesis block", |identity| identity.genesis.as_ref()));
    }
    problems
}
