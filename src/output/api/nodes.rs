//! `/api/v1/nodes`: what is known of each node.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{Error, LabelMap, Time, network_name, network_named, networks::ratio, success};
use crate::{
    engine::{
        settings::NodeSettings,
        snapshot::{NodeView, Snapshot},
    },
    observation::{ErrorKind, Facts, clean_text},
    output::http::query::Query,
};

/// Longest node-supplied text in bytes.
const NODE_TEXT: usize = 128;

/// A node as the API shows it. What it said is there only while it is fresh.
#[derive(Debug, Serialize)]
struct ShownNode {
    network: Arc<str>,
    node: Arc<str>,
    role: &'static str,
    core: bool,
    weight: u64,
    labels: LabelMap,
    state: &'static str,
    state_since: Option<Time>,
    up: Option<bool>,
    last_poll: Option<Time>,
    last_success: Option<Time>,
    lag_blocks: Option<u64>,
    clock_skew_seconds: Option<f64>,
    facts: Option<ShownFacts>,
    error: Option<ShownError>,
    polls: BTreeMap<&'static str, u64>,
    reorgs: u64,
}

/// What the node said at its last good poll.
#[derive(Debug, Serialize)]
struct ShownFacts {
    chain_id: Option<String>,
    genesis: Option<String>,
    version: Option<String>,
    height: u64,
    hash: Option<String>,
    time: Option<Time>,
    safe_height: Option<u64>,
    finalized_height: Option<u64>,
    syncing: Option<bool>,
    peers: Option<u64>,
    pending_transactions: Option<u64>,
    consensus_round: Option<u64>,
    participation_ratio: Option<f64>,
    identity: Option<String>,
    validators: Option<u64>,
}

impl From<&Facts> for ShownFacts {
    fn from(facts: &Facts) -> Self {
        Self {
            chain_id: facts.chain_id.as_deref().map(|text| clean_text(text, NODE_TEXT)),
            genesis: facts.genesis.map(|hash| hash.to_string()),
            version: facts.version.as_deref().map(|text| clean_text(text, NODE_TEXT)),
            height: facts.head.height.0,
            hash: facts.head.hash.map(|hash| hash.to_string()),
            time: facts.head.time.map(Time),
            safe_height: facts.safe.map(|height| height.0),
            finalized_height: facts.finality.height().map(|height| height.0),
            syncing: facts.syncing.is_under_way(),
            peers: facts.peers,
            pending_transactions: facts.pending,
            consensus_round: facts.round,
            participation_ratio: facts.participation.map(ratio),
            identity: facts.identity.as_deref().map(|text| clean_text(text, NODE_TEXT)),
            validators: facts.validators,
        }
    }
}

/// Why its last poll failed.
#[derive(Debug, Serialize)]
struct ShownError {
    kind: &'static str,
    detail: Arc<str>,
}

/// Every node, or those of `network`, in the order of the configuration.
pub fn nodes(snapshot: &Snapshot, query: &Query) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Data {
        nodes: Vec<ShownNode>,
    }
    let only = query.get("network").map(|name| network_named(snapshot, name)).transpose()?.map(|(index, _)| index);
    let all = snapshot.settings.nodes.iter().zip(&snapshot.nodes);
    let wanted = all.filter(|(node, _)| only.is_none_or(|index| node.network.index() == index));
    Ok(success(Data { nodes: wanted.map(|(settings, view)| shown(snapshot, settings, view)).collect() }))
}

#[expect(clippy::cast_precision_loss, reason = "a skew that does not fit 53 bits of milliseconds is absurd anyway")]
fn shown(snapshot: &Snapshot, settings: &NodeSettings, view: &NodeView) -> ShownNode {
    let wall = |at| Time(snapshot.taken.wall_at(at));
    let outcomes = std::iter::once("success").chain(ErrorKind::ALL.iter().map(|kind| kind.as_str()));
    ShownNode {
        network: network_name(snapshot, settings.network.index()),
        node: Arc::clone(&settings.name),
        role: settings.role.as_str(),
        core: settings.core,
        weight: settings.weight,
        labels: LabelMap(settings.labels.clone()),
        state: view.state.as_str(),
        state_since: view.state_since.map(wall),
        up: view.up,
        last_poll: view.last_poll.map(wall),
        last_success: view.last_success.map(wall),
        lag_blocks: view.lag_blocks,
        clock_skew_seconds: view.clock_skew_ms.map(|ms| ms as f64 / 1000.0),
        facts: view.facts.as_deref().map(ShownFacts::from),
        error: view.error.as_ref().map(|(kind, detail)| ShownError { kind: kind.as_str(), detail: Arc::clone(detail) }),
        polls: outcomes.zip(view.polls).filter(|(_, count)| 0 < *count).collect(),
        reorgs: view.reorgs,
    }
}
