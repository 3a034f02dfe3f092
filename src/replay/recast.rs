//! Other settings for a recorded stream: what would have been announced under them? The stream says who was watched and
//! how often; a configuration says what is made of it. They are matched by the names of networks and nodes.

use std::{collections::HashMap, sync::Arc};

use crate::{
    engine::settings::{NetworkSettings, NodeSettings, Settings},
    model::NetworkIndex,
};

/// A note that stands for more than this many is cut.
const NAMES: usize = 5;

/// The settings of a stream with the thresholds, rules and labels of `config`, and what they disagree about: at most one
/// note of each kind.
#[must_use]
pub fn recast(stream: &Settings, config: &Settings) -> (Settings, Vec<String>) {
    let places: HashMap<&str, usize> = config.networks.iter().zip(0..).map(|(it, n)| (&*it.name, n)).collect();
    let nodes: HashMap<(&str, &str), &NodeSettings> =
        config.nodes.iter().map(|it| (full_name(config, it), it)).collect();
    let recast = Settings {
        monitor: Arc::clone(&stream.monitor),
        networks: stream.networks.iter().map(|network| recast_network(stream, config, network, &places)).collect(),
        nodes: stream
            .nodes
            .iter()
            .map(|node| recast_node(node, nodes.get(&full_name(stream, node)).copied()))
            .collect(),
        vantages: stream.vantages.clone(),
        canaries: stream.canaries.clone(),
        ..config.clone()
    };
    (recast, disagreements(stream, config))
}

fn full_name<'s>(settings: &'s Settings, node: &'s NodeSettings) -> (&'s str, &'s str) {
    (&settings.networks[node.network.index()].name, &node.name)
}

/// All that the configuration says of the network; who depends on whom is told by names.
fn recast_network(
    stream: &Settings,
    config: &Settings,
    network: &NetworkSettings,
    places: &HashMap<&str, usize>,
) -> NetworkSettings {
    let Some(place) = places.get(&*network.name) else { return network.clone() };
    let settings = config.networks[*place].clone();
    let parents = settings.depends_on.iter().map(|parent| &config.networks[parent.index()].name);
    let here = |name: &Arc<str>| stream.networks.iter().zip((0..).map(NetworkIndex)).find(|(it, _)| it.name == *name);
    let depends_on = parents.filter_map(|name| Some(here(name)?.1)).collect();
    NetworkSettings { depends_on, ..settings }
}

/// How often the node was polled is a fact of the stream, which no configuration changes afterwards.
fn recast_node(node: &NodeSettings, named: Option<&NodeSettings>) -> NodeSettings {
    let Some(named) = named else { return node.clone() };
    let NodeSettings { network, interval, timeout, .. } = *node;
    NodeSettings { network, interval, timeout, ..named.clone() }
}

fn disagreements(stream: &Settings, config: &Settings) -> Vec<String> {
    let networks = |it: &Settings| it.networks.iter().map(|network| network.name.to_string()).collect::<Vec<_>>();
    let nodes = |it: &Settings| {
        let joined = |node| {
            let (network, name) = full_name(it, node);
            format!("{network}/{name}")
        };
        it.nodes.iter().map(joined).collect::<Vec<_>>()
    };
    [
        (
            "the configuration does not name these networks, which keep what the stream says",
            networks(stream),
            networks(config),
        ),
        ("the configuration does not name these nodes, which keep what the stream says", nodes(stream), nodes(config)),
        ("the stream knows nothing of these networks of the configuration", networks(config), networks(stream)),
        ("the stream knows nothing of these nodes of the configuration", nodes(config), nodes(stream)),
    ]
    .into_iter()
    .filter_map(|(what, all, known)| note(what, all, known))
    .collect()
}

fn note(what: &str, all: Vec<String>, known: Vec<String>) -> Option<String> {
    let known: std::collections::HashSet<_> = known.into_iter().collect();
    let missing: Vec<_> = all.into_iter().filter(|name| !known.contains(name)).collect();
    let more = missing.len().checked_sub(NAMES + 1).map(|more| format!(" and {} more", more + 1)).unwrap_or_default();
    let told = missing.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
    (!missing.is_empty()).then(|| format!("{what}: {told}{more}"))
}
