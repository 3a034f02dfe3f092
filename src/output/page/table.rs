//! The table of nodes, those in trouble first.

use super::html::Html;
use crate::{
    engine::{
        settings::NodeSettings,
        snapshot::{NodeView, Snapshot},
    },
    model::NodeState,
    observation::clean_text,
    output::api::whole_seconds,
};

/// Nodes shown at the most; the rest is behind a link.
const MAX_NODES: usize = 500;

/// Longest node-supplied text in bytes.
const NODE_TEXT: usize = 128;

/// A table that scrolls on its own where it is wider than the screen.
pub fn table(html: &mut Html, columns: &[&str], rows: impl FnOnce(&mut Html)) {
    html.element("div", &[("class", "scroll"), ("tabindex", "0")], |html| {
        html.element("table", &[], |html| {
            html.element("thead", &[], |html| html.element("tr", &[], |html| headings(html, columns)));
            html.element("tbody", &[], rows);
        });
    });
}

fn headings(html: &mut Html, columns: &[&str]) {
    for column in columns {
        html.leaf("th", &[("scope", "col")], column);
    }
}

/// A word on its colour.
pub fn badge(html: &mut Html, class: &'static str, word: &str) {
    html.leaf("span", &[("class", &format!("badge {class}"))], word);
}

/// Every node, as far as they fit.
pub fn nodes(html: &mut Html, snapshot: &Snapshot) {
    let mut nodes: Vec<_> = snapshot.settings.nodes.iter().zip(&snapshot.nodes).collect();
    // A stable sort: within each half the order stays that of the configuration.
    nodes.sort_by_key(|(_, view)| view.state == NodeState::Live);
    table(
        html,
        &["Network", "Node", "Role", "State", "Height", "Behind", "Peers", "Heard", "Client", "Error"],
        |html| {
            for (settings, view) in nodes.iter().take(MAX_NODES) {
                html.element("tr", &[], |html| node(html, snapshot, settings, view));
            }
        },
    );
    if MAX_NODES < nodes.len() {
        html.leaf("p", &[], &format!("{} more: see the API.", nodes.len() - MAX_NODES));
    }
}

fn node(html: &mut Html, snapshot: &Snapshot, settings: &NodeSettings, view: &NodeView) {
    let network = snapshot.settings.networks.get(settings.network.index()).map_or("", |network| &network.name);
    html.leaf("td", &[], network);
    html.leaf("td", &[], &settings.name);
    html.leaf("td", &[], settings.role.as_str());
    html.element("td", &[], |html| badge(html, state_class(view.state), view.state.as_str()));
    let facts = view.facts.as_deref();
    number(html, facts.map(|facts| facts.head.height.0));
    number(html, view.lag_blocks);
    number(html, facts.and_then(|facts| facts.peers));
    let heard = view.last_success.map(|at| format!("{} ago", whole_seconds(snapshot.taken.at.since(at))));
    html.leaf("td", &[], &heard.unwrap_or_else(|| "never".to_owned()));
    let version = facts.and_then(|facts| facts.version.as_deref()).unwrap_or_default();
    html.leaf("td", &[], &clean_text(version, NODE_TEXT));
    let error = view.error.as_ref().map(|(kind, detail)| format!("{}: {detail}", kind.as_str()));
    html.leaf("td", &[], &error.unwrap_or_default());
}

fn number(html: &mut Html, value: Option<u64>) {
    let text = value.map_or_else(|| "–".to_owned(), |value| value.to_string());
    html.leaf("td", &[("class", "number")], &text);
}

fn state_class(state: NodeState) -> &'static str {
    match state {
        NodeState::Live => "live",
        NodeState::Unknown | NodeState::Starting | NodeState::Syncing => "unknown",
        NodeState::Lagging | NodeState::RateLimited | NodeState::Unauthorized | NodeState::Unreachable => "warning",
        NodeState::Stalled | NodeState::Offline | NodeState::WrongChain | NodeState::Forked => "error",
    }
}
