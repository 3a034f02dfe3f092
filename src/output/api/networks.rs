//! `/api/v1/networks`: what is known of each network.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;

use super::{Error, LabelMap, Time, success};
use crate::{
    engine::{
        settings::NetworkSettings,
        snapshot::{BlockTime, NetworkView, NodeView, Snapshot, Tip},
    },
    model::{Instant, Level},
    observation::clean_text,
};

/// Longest node-supplied text in bytes.
const NODE_TEXT: usize = 128;

/// Upgrades shown of those that nodes tell of.
const MAX_TOLD: usize = 8;

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
    finality_lag_seconds: Option<f64>,
    consensus_round: Option<u64>,
    participation_ratio: Option<f64>,
    last_progress: Option<Time>,
    gap_seconds: Option<f64>,
    halt_threshold_seconds: Option<f64>,
    halt_ratio: Option<f64>,
    block_time: Option<ShownBlockTime>,
    voters: usize,
    voters_expected: usize,
    quorum_margin: Option<i64>,
    quorum_tolerated: Option<u64>,
    core_total: Option<u64>,
    planned_halts: Vec<ShownPlan>,
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

/// A halt that was announced, by the configuration or by the chain itself.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShownPlan {
    kind: String,
    origin: &'static str,
    from: Option<Time>,
    until: Option<Time>,
    at_height: Option<u64>,
}

/// The announced halts of the network at a position: those of the configuration, and upgrades that its nodes tell of.
pub(super) fn plans(snapshot: &Snapshot, index: usize) -> Vec<ShownPlan> {
    let wall = |at: Instant| Time(at.wall(snapshot.taken));
    let settings = snapshot.settings.networks.get(index);
    let declared = settings.into_iter().flat_map(|network| &network.planned).map(|plan| ShownPlan {
        kind: plan.kind.to_string(),
        origin: "configuration",
        from: plan.from.map(wall),
        until: plan.until.map(wall),
        at_height: plan.at_height.map(|height| height.0),
    });
    let nodes = snapshot.settings.nodes.iter().zip(&snapshot.nodes);
    let facts = nodes.filter(|(node, _)| node.network.index() == index).filter_map(|(_, view)| view.facts.as_deref());
    let told: BTreeSet<ShownPlan> = facts
        .filter_map(|facts| facts.upgrade.as_ref())
        .map(|upgrade| ShownPlan {
            kind: clean_text(&upgrade.name, NODE_TEXT),
            origin: "chain",
            from: None,
            until: None,
            at_height: Some(upgrade.height.0),
        })
        .collect();
    declared.chain(told.into_iter().take(MAX_TOLD)).collect()
}

/// A share of 1.
pub(super) fn ratio(per_mille: u16) -> f64 {
    f64::from(per_mille) / 1000.0
}

/// Every network, in the order of the configuration.
pub fn networks(snapshot: &Snapshot) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Data {
        networks: Vec<ShownNetwork>,
    }
    let all = snapshot.settings.networks.iter().zip(&snapshot.networks).zip(snapshot.settings.nodes_by_network());
    let shown = |(index, ((settings, view), nodes))| {
        shown(snapshot, index, (settings, view), snapshot.nodes.get(nodes).unwrap_or_default())
    };
    Ok(success(Data { networks: all.enumerate().map(shown).collect() }))
}

fn shown(
    snapshot: &Snapshot,
    index: usize,
    (settings, view): (&NetworkSettings, &NetworkView),
    nodes: &[NodeView],
) -> ShownNetwork {
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
        finality_lag_seconds: view.finality_lag.map(|lag| lag.as_secs_f64()),
        consensus_round: view.round,
        participation_ratio: view.participation.map(ratio),
        last_progress: view.progress_at.map(|at| Time(snapshot.taken.wall_at(at))),
        gap_seconds: view.progress_at.map(|at| snapshot.taken.at.since(at).as_secs_f64()),
        halt_threshold_seconds: view.halt_threshold.map(|threshold| threshold.as_secs_f64()),
        halt_ratio: view.halt_ratio.filter(|ratio| ratio.is_finite()),
        block_time: view.block_time.map(ShownBlockTime::from),
        voters: view.voters,
        voters_expected: view.voters_expected,
        quorum_margin: view.quorum_margin,
        quorum_tolerated: view.quorum_tolerated,
        core_total: settings.core_total,
        planned_halts: plans(snapshot, index),
        nodes: nodes.len(),
        nodes_by_state,
        incidents: Level::ALL.into_iter().map(Level::as_str).zip(view.incidents).collect(),
    }
}
