//! The labels of an alert one by one, for matchers: the same as those it is announced with.

use crate::{
    engine::{
        settings::Settings,
        snapshot::{AlertKey, Subject},
    },
    model::{Labels, Level},
};

/// The value of an alert's label; empty if it has none of that name, as everywhere in the world of Prometheus.
#[must_use]
pub fn label<'s>(settings: &'s Settings, key: AlertKey, level: Level, name: &str) -> &'s str {
    let node = match key.subject {
        Subject::Node(node) => settings.nodes.get(node.index()),
        Subject::Network(_) | Subject::Vantage(_) | Subject::Monitor => None,
    };
    let network = match key.subject {
        Subject::Network(network) => settings.networks.get(network.index()),
        _ => node.and_then(|node| settings.networks.get(node.network.index())),
    };
    let own = match name {
        "alertname" => Some(key.name.as_str()),
        "level" => Some(level.as_str()),
        "severity" => Some(level.severity()),
        "priority" => Some(level.priority()),
        "monitor" => Some(settings.monitor_of(key.subject)),
        "network" => network.map(|network| &*network.name),
        "family" => network.map(|network| &*network.family),
        "node" => node.map(|node| &*node.name),
        "role" => node.map(|node| node.role.as_str()),
        _ => None,
    };
    let of_rule = || settings.rule(key.name).and_then(|rule| among(&rule.labels, name));
    let of_subject = || among(node.map_or(&network?.labels, |node| &node.labels), name);
    own.or_else(of_rule).or_else(of_subject).unwrap_or_default()
}

fn among<'l>(labels: &'l Labels, name: &str) -> Option<&'l str> {
    labels.iter().find(|(given, _)| &**given == name).map(|(_, value)| &**value)
}
