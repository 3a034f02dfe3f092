//! `/api/v1/explain`: why a network counts as halted or not, whose word counts and why, and what would change that.

mod next;
mod rules;

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use self::{next::Next, rules::ExplainedRule};
use super::{
    Error, Time,
    alerts::ShownAlert,
    networks::{ShownBlockTime, ShownPlan, ShownTip, plans, ratio},
    success,
};
use crate::{
    engine::{
        settings::NetworkSettings,
        snapshot::{Alert, AlertState, NetworkPhase, NetworkView, Snapshot, Subject, Vote},
    },
    model::{AlertName, NetworkIndex, NodeState},
    output::{
        http::query::Query,
        label::{halt_reason, subject_name},
        runbook::Runbooks,
    },
};

#[derive(Serialize)]
struct Data {
    taken: Time,
    monitor: Monitor,
    wake_at: Option<Time>,
    networks: Vec<Explained>,
    alerts: Vec<ExplainedAlert>,
}

#[derive(Serialize)]
struct Monitor {
    name: Arc<str>,
    isolated_since: Option<Time>,
    canaries: Vec<Canary>,
}

#[derive(Serialize)]
struct Canary {
    name: Arc<str>,
    reachable: Option<bool>,
}

/// Why a network is what it is.
#[derive(Serialize)]
struct Explained {
    network: Arc<str>,
    phase: &'static str,
    verdict: String,
    confidence: &'static str,
    confidence_reason: &'static str,
    tip: Option<ShownTip>,
    last_progress: Option<Time>,
    gap_seconds: Option<f64>,
    halt_threshold_seconds: Option<f64>,
    halt_ratio: Option<f64>,
    block_time: Option<ShownBlockTime>,
    cadence: &'static str,
    voters: usize,
    voters_expected: usize,
    voters_needed: usize,
    tolerance: &'static str,
    quorum_margin: Option<i64>,
    quorum_tolerated: Option<u64>,
    finality_lag_seconds: Option<f64>,
    consensus_round: Option<u64>,
    participation_ratio: Option<f64>,
    planned_halts: Vec<ShownPlan>,
    votes: Vec<ExplainedVote>,
    rules: Vec<ExplainedRule>,
    next: Vec<Next>,
    wake_at: Option<Time>,
}

/// One node's say.
#[derive(Serialize)]
struct ExplainedVote {
    node: Arc<str>,
    counts: bool,
    why: &'static str,
    state: &'static str,
    height: Option<u64>,
    evidence_age_seconds: Option<f64>,
}

/// An alert with what Prometheus has no field for.
#[derive(Serialize)]
struct ExplainedAlert {
    subject: String,
    level: &'static str,
    reason: &'static str,
    explanation: String,
    fired_at: Option<Time>,
    muted_by: Option<MutedBy>,
    silenced_by: Option<Arc<str>>,
    clear_since: Option<Time>,
    #[serde(flatten)]
    alert: ShownAlert,
}

#[derive(Serialize)]
struct MutedBy {
    alertname: &'static str,
    subject: String,
}

/// What the caller asks about.
struct Question<'q> {
    alert: Option<AlertName>,
    network: Option<usize>,
    node: Option<&'q str>,
}

/// Explains everything, or what concerns `network`, `node` of that network, or alerts named `alert`.
pub fn explain(snapshot: &Snapshot, runbooks: &Runbooks, query: &Query) -> Result<Vec<u8>, Error> {
    let question = Question::from(snapshot, query)?;
    let alerts = snapshot.alerts.iter().filter(|alert| question.concerns(snapshot, alert));
    let networks = snapshot.settings.networks.iter().zip(&snapshot.networks).enumerate();
    let asked = networks.filter(|(index, _)| question.network.is_none_or(|wanted| wanted == *index));
    Ok(success(Data {
        taken: Time(snapshot.taken.wall),
        monitor: monitor(snapshot),
        wake_at: snapshot.wake_at.map(|at| Time(snapshot.taken.wall_at(at))),
        networks: asked.map(|(index, (settings, view))| explained(snapshot, index, settings, view)).collect(),
        alerts: alerts.map(|alert| explained_alert(snapshot, runbooks, alert)).collect(),
    }))
}

/// The same about one network at any moment, for whoever replays a recording.
pub(crate) fn network_explained(snapshot: &Snapshot, network: NetworkIndex) -> Option<serde_json::Value> {
    let index = network.index();
    let (settings, view) = (snapshot.settings.networks.get(index)?, snapshot.networks.get(index)?);
    serde_json::to_value(explained(snapshot, index, settings, view)).ok()
}

impl<'q> Question<'q> {
    fn from(snapshot: &Snapshot, query: &'q Query) -> Result<Self, Error> {
        let rules = || snapshot.settings.rules.iter().map(|rule| AlertName::Custom(rule.name));
        let named = |name: &str| AlertName::ALL.iter().copied().chain(rules()).find(|alert| alert.as_str() == name);
        let alert = match query.get("alert") {
            Some(name) => Some(named(name).ok_or_else(|| Error::bad_data(format!("no alert is called {name:?}")))?),
            None => None,
        };
        let network = query.get("network").map(|name| super::network_named(snapshot, name)).transpose()?;
        let network = network.map(|(index, _)| index);
        let node = query.get("node");
        if let Some(node) = node {
            let Some(network) = network else { return Err(Error::bad_data("node needs network beside it")) };
            let mut nodes = snapshot.settings.nodes.iter();
            if !nodes.any(|it| it.network.index() == network && &*it.name == node) {
                return Err(Error::not_found(format!("no node {node:?} in that network")));
            }
        }
        Ok(Self { alert, network, node })
    }

    fn concerns(&self, snapshot: &Snapshot, alert: &Alert) -> bool {
        let (network, node) = match alert.key.subject {
            Subject::Monitor | Subject::Vantage(_) => (None, None),
            Subject::Network(network) => (Some(network.index()), None),
            Subject::Node(index) => {
                let node = snapshot.settings.nodes.get(index.index());
                (node.map(|node| node.network.index()), node.map(|node| &*node.name))
            }
        };
        alert.state != AlertState::Resolved
            && self.alert.is_none_or(|wanted| wanted == alert.key.name)
            && self.network.is_none_or(|wanted| Some(wanted) == network)
            && self.node.is_none_or(|wanted| Some(wanted) == node)
    }
}

fn monitor(snapshot: &Snapshot) -> Monitor {
    let canaries = snapshot.settings.canaries.iter().zip(&snapshot.canaries);
    Monitor {
        name: Arc::clone(&snapshot.settings.monitor),
        isolated_since: snapshot.isolated_since.map(|at| Time(snapshot.taken.wall_at(at))),
        canaries: canaries
            .map(|(canary, reachable)| Canary { name: Arc::clone(&canary.name), reachable: *reachable })
            .collect(),
    }
}

fn explained(snapshot: &Snapshot, index: usize, settings: &NetworkSettings, view: &NetworkView) -> Explained {
    let now = snapshot.taken;
    let (confidence, confidence_reason) = confidence(view);
    Explained {
        network: Arc::clone(&settings.name),
        phase: view.phase.as_str(),
        verdict: verdict(snapshot, index),
        confidence,
        confidence_reason,
        tip: view.tip.map(ShownTip::from),
        last_progress: view.progress_at.map(|at| Time(now.wall_at(at))),
        gap_seconds: gap(snapshot, view).map(|gap| gap.as_secs_f64()),
        halt_threshold_seconds: view.halt_threshold.map(|threshold| threshold.as_secs_f64()),
        halt_ratio: view.halt_ratio.filter(|ratio| ratio.is_finite()),
        block_time: view.block_time.map(ShownBlockTime::from),
        cadence: settings.cadence.as_str(),
        voters: view.voters,
        voters_expected: view.voters_expected,
        voters_needed: voters_needed(view),
        tolerance: settings.tolerance.as_str(),
        quorum_margin: view.quorum_margin,
        quorum_tolerated: view.quorum_tolerated,
        finality_lag_seconds: view.finality_lag.map(|lag| lag.as_secs_f64()),
        consensus_round: view.round,
        participation_ratio: view.participation.map(ratio),
        planned_halts: plans(snapshot, index),
        votes: view.votes.iter().map(|vote| explained_vote(snapshot, vote)).collect(),
        rules: rules::rules(snapshot, index),
        next: next::next(snapshot, settings, view),
        wake_at: view.wake_at.map(|at| Time(now.wall_at(at))),
    }
}

fn gap(snapshot: &Snapshot, view: &NetworkView) -> Option<Duration> {
    view.progress_at.map(|at| snapshot.taken.at.since(at))
}

/// Half of the voters of the last good view, rounded up.
fn voters_needed(view: &NetworkView) -> usize {
    view.voters_expected.div_ceil(2).max(1)
}

/// One sentence.
pub(in crate::output) fn verdict(snapshot: &Snapshot, network: usize) -> String {
    let Some(view) = snapshot.networks.get(network) else { return String::new() };
    let since = gap(snapshot, view).map_or_else(|| "an unknown time".to_owned(), whole_seconds);
    match view.phase {
        NetworkPhase::Unknown => {
            let answering = counted(view.voters, "voter");
            format!("not enough evidence: answers from {answering}, {} needed", voters_needed(view))
        }
        NetworkPhase::Live => format!("makes blocks; the last one {since} ago"),
        NetworkPhase::Idle => format!("idle: nothing to do; the last block {since} ago"),
        NetworkPhase::Halted => {
            let about = |alert: &&Alert| matches!(alert.key.subject, Subject::Network(it) if it.index() == network);
            let reason = snapshot.alerts.iter().filter(about).find_map(halt_reason).unwrap_or("blocks_missing");
            format!("halted ({reason}); the last block {since} ago")
        }
        NetworkPhase::Unreachable => "no voter answers; whether it makes blocks cannot be seen".to_owned(),
    }
}

/// `1 node`, `2 nodes`.
pub(in crate::output) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `1h 2m 3s`, without fractions.
pub(in crate::output) fn whole_seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

fn confidence(view: &NetworkView) -> (&'static str, &'static str) {
    if view.voters < voters_needed(view) {
        ("none", "fewer than half of the voters of the last good view answer")
    } else if view.voters < 2 {
        ("low", "one voter only: nobody confirms what it says")
    } else if view.tip.is_some_and(|tip| tip.confirmed_by < 2) && view.halt_ratio.is_some_and(|ratio| 0.5 < ratio) {
        ("low", "one voter only stands at the tip: nobody confirms it")
    } else {
        ("normal", "several voters answer")
    }
}

fn explained_vote(snapshot: &Snapshot, vote: &Vote) -> ExplainedVote {
    let node = snapshot.settings.nodes.get(vote.node.index());
    ExplainedVote {
        node: node.map_or_else(|| Arc::from(""), |node| Arc::clone(&node.name)),
        counts: vote.counts,
        why: why(vote),
        state: vote.state.as_str(),
        height: vote.height.map(|height| height.0),
        evidence_age_seconds: vote.heard.map(|at| snapshot.taken.at.since(at).as_secs_f64()),
    }
}

/// Why a vote counts or does not.
fn why(vote: &Vote) -> &'static str {
    match vote.state {
        _ if vote.counts => "its answer is fresh and about the right chain",
        NodeState::Unknown => "it was never polled, or not lately",
        NodeState::Starting => "it is starting",
        NodeState::Syncing => "it is catching up",
        NodeState::Live | NodeState::Lagging | NodeState::Stalled => "its last answer is too old",
        NodeState::RateLimited => "it limits our requests",
        NodeState::Unauthorized => "it refuses our credentials",
        NodeState::Unreachable => "its last polls failed",
        NodeState::Offline => "it is offline",
        NodeState::WrongChain => "it speaks for another chain",
        NodeState::Forked => "it is on a minority branch",
    }
}

fn explained_alert(snapshot: &Snapshot, runbooks: &Runbooks, alert: &Alert) -> ExplainedAlert {
    ExplainedAlert {
        subject: subject_name(&snapshot.settings, alert.key.subject),
        level: alert.level.as_str(),
        reason: alert.finding.reason(),
        explanation: alert.finding.to_string(),
        fired_at: alert.fired_at.map(Time),
        muted_by: alert.inhibited_by.map(|key| MutedBy {
            alertname: key.name.as_str(),
            subject: subject_name(&snapshot.settings, key.subject),
        }),
        silenced_by: alert.silenced_by.clone(),
        clear_since: alert.clear_since.map(Time),
        alert: ShownAlert::new(snapshot, runbooks, alert),
    }
}
