//! What proves an alert, and why a network counts as what it is. The words are those of `/api/v1/explain`.

use serde_json::{Value, json};

use crate::{
    engine::snapshot::{Alert, Snapshot, Subject},
    model::NetworkIndex,
    output::{api::network_explained, label::subject_name},
    replay::End,
};

/// Nodes whose votes are shown of one network; of a larger one the rest is counted.
const SHOWN_VOTES: usize = 40;

/// The evidence as a value.
pub(super) fn as_json(snapshot: &Snapshot, alert: &Alert) -> Value {
    json!({
        "finding": alert.finding.to_string(),
        "muted_by": muter(snapshot, alert),
        "network": network_of(snapshot, alert).and_then(|network| network_explained(snapshot, network)),
    })
}

/// The evidence as lines.
pub(super) fn of_alert(snapshot: &Snapshot, alert: &Alert) -> Vec<String> {
    let muted = muter(snapshot, alert).map(|muter| format!("muted by {muter}"));
    let network = network_of(snapshot, alert).and_then(|network| network_explained(snapshot, network));
    muted.into_iter().chain(network.iter().flat_map(lines)).collect()
}

/// Why each network is what it is at the end, and what would change that.
pub(super) fn of_end(end: &End) -> Vec<String> {
    let snapshot = &end.snapshot;
    let mut told = vec![format!("at the end, {}:", snapshot.taken.wall)];
    let networks = (0..).map(NetworkIndex).take(snapshot.networks.len());
    for value in networks.filter_map(|network| network_explained(snapshot, network)) {
        told.push(format!("{} is {}", word(&value, "network"), word(&value, "phase")));
        told.extend(lines(&value).into_iter().map(|line| format!("    {line}")));
    }
    let wake_at = end.wake_at.map(|at| snapshot.taken.wall_at(at));
    told.push(match wake_at {
        Some(at) => format!("without any news a verdict can change next at {at}"),
        None => "without any news no verdict changes".to_owned(),
    });
    told
}

fn muter(snapshot: &Snapshot, alert: &Alert) -> Option<String> {
    let key = alert.inhibited_by?;
    Some(format!("{} {}", key.name.as_str(), subject_name(&snapshot.settings, key.subject)))
}

fn network_of(snapshot: &Snapshot, alert: &Alert) -> Option<NetworkIndex> {
    match alert.key.subject {
        Subject::Monitor | Subject::Vantage(_) => None,
        Subject::Network(network) => Some(network),
        Subject::Node(node) => Some(snapshot.settings.nodes.get(node.index())?.network),
    }
}

/// One explained network for people.
fn lines(value: &Value) -> Vec<String> {
    let mut lines = vec![
        format!(
            "verdict: {}; confidence {}: {}",
            word(value, "verdict"),
            word(value, "confidence"),
            word(value, "confidence_reason")
        ),
        format!(
            "tip {}, the last block {} ago, a halt after {}",
            shown(&value["tip"]["height"]),
            seconds(&value["gap_seconds"]),
            seconds(&value["halt_threshold_seconds"]),
        ),
        format!(
            "voters: {} of {} answer, {} needed; quorum margin {}",
            shown(&value["voters"]),
            shown(&value["voters_expected"]),
            shown(&value["voters_needed"]),
            shown(&value["quorum_margin"]),
        ),
    ];
    let votes = value["votes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let width = votes.iter().map(|vote| word(vote, "node").chars().count()).max().unwrap_or_default();
    lines.extend(votes.iter().take(SHOWN_VOTES).map(|vote| shown_vote(vote, width)));
    if let Some(more) = votes.len().checked_sub(SHOWN_VOTES + 1) {
        lines.push(format!("  and {} nodes more", more + 1));
    }
    let next = value["next"].as_array().into_iter().flatten();
    lines.extend(next.map(|next| {
        let at = next["at"].as_str().map(|at| format!(", at {at}")).unwrap_or_default();
        format!("it will be {} when {}{at}", word(next, "change"), word(next, "condition"))
    }));
    lines
}

fn shown_vote(vote: &Value, width: usize) -> String {
    let counts = if vote["counts"] == true { "counts" } else { "does not count" };
    format!(
        "  {:width$}  {:>10}  {counts}, heard {} ago: {}",
        word(vote, "node"),
        shown(&vote["height"]),
        seconds(&vote["evidence_age_seconds"]),
        word(vote, "why"),
    )
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn shown(value: &Value) -> String {
    if value.is_null() { "unknown".to_owned() } else { value.to_string() }
}

fn seconds(value: &Value) -> String {
    value.as_f64().map_or_else(|| "an unknown time".to_owned(), |seconds| format!("{seconds:.1}s"))
}
