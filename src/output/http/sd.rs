//! `/sd` and `/sd/probe`: what there is to scrape, for Prometheus's `http_sd`. The addresses at which nodes answer us
//! are in neither: they may hold keys.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::engine::{
    settings::{NetworkSettings, NodeSettings, Settings},
    snapshot::Snapshot,
};

/// One target with its labels; a group of its own, since no two have the same labels.
#[derive(Debug, Serialize)]
struct Group<'s> {
    targets: [String; 1],
    labels: BTreeMap<&'s str, &'s str>,
}

/// The metrics of every node that has some of its own: the whole list.
#[must_use]
pub fn nodes(snapshot: &Snapshot) -> Vec<u8> {
    to_json(members(&snapshot.settings).filter_map(|(network, node)| metrics_of(network, node)))
}

/// Every node, named as `/probe` wants it: the whole list.
#[must_use]
pub fn probes(snapshot: &Snapshot) -> Vec<u8> {
    to_json(members(&snapshot.settings).map(|(network, node)| Group {
        targets: [format!("{}/{}", network.name, node.name)],
        labels: BTreeMap::from([("family", &*network.family), ("network", &*network.name), ("node", &*node.name)]),
    }))
}

fn members(settings: &Settings) -> impl Iterator<Item = (&NetworkSettings, &NodeSettings)> {
    settings.nodes.iter().filter_map(|node| Some((settings.networks.get(node.network.index())?, node)))
}

/// Labels of the configuration never replace those of haltwatch.
fn metrics_of<'s>(network: &'s NetworkSettings, node: &'s NodeSettings) -> Option<Group<'s>> {
    let metrics = node.metrics.as_ref()?;
    let mut labels: BTreeMap<&str, &str> = node.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    labels.extend([
        ("__metrics_path__", &*metrics.path),
        ("__scheme__", metrics.scheme),
        ("network", &*network.name),
        ("node", &*node.name),
        ("role", node.role.as_str()),
    ]);
    Some(Group { targets: [metrics.address.to_string()], labels })
}

fn to_json<'s>(groups: impl Iterator<Item = Group<'s>>) -> Vec<u8> {
    let groups: Vec<Group<'_>> = groups.collect();
    serde_json::to_vec(&groups).expect("the groups have string keys and no failing serializers")
}
