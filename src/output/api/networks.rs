//! `/api/v1/networks`: what is known of each network.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{Error, LabelMap, Time, success};
use crate::{
    engine::{
        settings::{NetworkSettings, NodeSettings, Settings},
        snapshot::{BlockTime, NetworkView, NodeView, Snapshot, Tip},
    },
    model::Level,
};

/// A network as the API shows it. Times are RFC 3339, durations seconds; what is not known is `null`.
#[derive(Debug, Serialize)]
pub(super) struct ShownNetwork {
    name: Arc<str>,
    family: Arc<str>,
    labels: LabelMap,
    chain_id: Option<Arc<str>>,
    phase: &'static str,
    cadence: &'static str,
    tolerance: &'static str,
    tip: Option<ShownTip>,
    finalized_height: Option<u64>,
    last_progress: Option<Time>,
    gap_seconds: Option<f64>,
    halt_threshold_seconds: Option<f64>,
    halt_ratio: Option<f64>,
    block_time: Option<ShownBlockTime>,
    voters: usize,
    voters_expected: usize,
    quorum_margin: Option<i64>,
    nodes: usize,
    nodes_by_state: BTreeMap<&'static str, usize>,
    incidents: BTreeMap<&'static str, u64>,
}

/// The corroborated tip.
#[derive(Debug, Serialize)]
pub(super) struct ShownTip {
    height: u64,
    hash: Option<String>,
    time: Option<Time>,
    confirmed_by: usize,
}

impl From<Tip> for ShownTip {
    fn from(tip: Tip) -> Self {
        Self {
            height: tip.height.0,
            hash: tip.hash.map(|hash| hash.to_string()),
            time: tip.time.map(Time),
            confirmed_by: tip.confirmed_by,
        }
    }
}

/// The block time in use and where it is from.
#[derive(Debug, Serialize)]
pub(super) struct ShownBlockTime {
    seconds: f64,
    origin: &'static str,
    samples: Option<usize>,
}

impl From<BlockTime> for ShownBlockTime {
    fn from(time: BlockTime) -> Self {
        let origin = if time.samples.is_some() { "learned" } else { "declared" };
        Self { seconds: time.value.as_secs_f64(), origin, samples: time.samples }
    }
}

/// Every network, in the order of the configuration.
pub fn networks(snapshot: &Snapshot) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Data {
        networks: Vec<ShownNetwork>,
    }
    let all = snapshot.settings.networks.iter().zip(&snapshot.networks).enumerate();
    Ok(success(Data {
        networks: all.map(|(index, (settings, view))| shown(snapshot, index, settings, view)).collect(),
    }))
}

fn shown(snapshot: &Snapshot, index: usize, settings: &NetworkSettings, view: &NetworkView) -> ShownNetwork {
    let nodes = nodes_of(&snapshot.settings, &snapshot.nodes, index);
    let mut nodes_by_state = BTreeMap::new();
    for node in nodes {
        *nodes_by_state.entry(node.state.as_str()).or_default() += 1;
    }
    ShownNetwork {
        name: Arc::clone(&settings.name),
        family: Arc::clone(&settings.family),
        labels: LabelMap(settings.labels.clone()),
        chain_id: settings.chain_id.clone(),
        phase: view.phase.as_str(),
        cadence: settings.cadence.as_str(),
        tolerance: settings.tolerance.as_str(),
        tip: view.tip.map(ShownTip::from),
        finalized_height: view.finalized.map(|height| height.0),
        last_progress: view.progress_at.map(|at| Time(snapshot.taken.wall_at(at))),
        gap_seconds: view.progress_at.map(|at| snapshot.taken.at.since(at).as_secs_f64()),
        halt_threshold_seconds: view.halt_threshold.map(|threshold| threshold.as_secs_f64()),
        halt_ratio: view.halt_ratio.filter(|ratio| ratio.is_finite()),
        block_time: view.block_time.map(ShownBlockTime::from),
        voters: view.voters,
        voters_expected: view.voters_expected,
        quorum_margin: view.quorum_margin,
        nodes: nodes.len(),
        nodes_by_state,
        incidents: Level::ALL.into_iter().map(Level::as_str).zip(view.incidents).collect(),
    }
}

/// Nodes of a network stand together in the settings: the part of `nodes` that belongs to network number `network`.
fn nodes_of<'a>(settings: &Settings, nodes: &'a [NodeView], network: usize) -> &'a [NodeView] {
    let belongs = |node: &NodeSettings| node.network.index() == network;
    let begin = settings.nodes.iter().position(belongs).unwrap_or(settings.nodes.len());
    let length = settings.nodes[begin..].iter().take_while(|node| belongs(node)).count();
    nodes.get(begin..begin + length).unwrap_or_default()
}
