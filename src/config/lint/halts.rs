//! Whether a halt is told when it should be: thresholds, polls, weights, dependencies.

use std::{collections::HashMap, time::Duration};

use crate::{
    config::{
        code::Code,
        place::Place,
        section::Item,
        shape::written_duration,
        survey::{NetworkSite, NodeSite},
    },
    engine::settings::Cadence,
};

/// A healthy network misses a block now and then, and sometimes two in a row.
const FEWEST_BLOCKS: u32 = 3;

/// So often must a node be asked within the threshold.
const FEWEST_POLLS: u32 = 3;

/// So many requests in each poll are polite.
const MOST_REQUESTS: usize = 2;

/// How deep `depends_on` is followed.
const DEPTH: usize = 8;

/// Whether the threshold leaves room for what healthy networks do.
pub(super) fn threshold(network: &NetworkSite<'_>) {
    let (Some(threshold), Some(block_time)) = (network.threshold, network.block_time.0) else { return };
    if block_time.saturating_mul(FEWEST_BLOCKS) <= threshold {
        return;
    }
    let (threshold, block_time) = (written_duration(&threshold), written_duration(&block_time));
    let message = format!("{threshold} without a block is a halt, and a block comes only every {block_time}");
    place_of_threshold(network).note(Code::HastyHalt, message, "raise `missing_blocks` or `halt_floor`");
}

/// Where the operator would change the threshold.
fn place_of_threshold<'a>(network: &NetworkSite<'a>) -> Place<'a> {
    let items = &network.limit_items;
    items.missing_blocks.as_ref().or(items.halt_floor.as_ref()).map_or(network.place.clone(), shown)
}

/// The place of a value that may be quoted.
pub(super) fn shown<'a>(item: &Item<'a>) -> Place<'a> {
    item.harmless().place()
}

/// Whether enough nodes are polled often enough to see a halt at the threshold. While the block time is not given, the
/// floor is what is known of it.
pub(super) fn polls(network: &NetworkSite<'_>) {
    let threshold = network.threshold.unwrap_or(network.limits.halt_floor);
    let needed = |node: &NodeSite<'_>| {
        let polls = node.interval.saturating_mul(FEWEST_POLLS);
        polls.max(node.interval.saturating_mul(2).saturating_add(node.timeout))
    };
    let late: Vec<&NodeSite<'_>> = network.nodes.iter().filter(|node| threshold < needed(node)).collect();
    // Half of the nodes are enough to see a halt.
    let Some(first) = late.first().filter(|_| network.nodes.len() < 2 * late.len()) else { return };
    let (after, interval) = (written_duration(&threshold), written_duration(&first.interval));
    let items = &first.timing_items;
    let (message, item) = if threshold < first.interval.saturating_mul(FEWEST_POLLS) {
        (format!("a halt after {after} is not seen in time by polls every {interval}"), &items.interval)
    } else {
        (format!("a halt after {after} is not seen in time: two polls and a timeout take longer"), &items.timeout)
    };
    let place = item.as_ref().or(network.limit_items.halt_floor.as_ref());
    let help = "poll at least three times within the threshold, or raise `halt_floor`";
    place.map_or(network.place.clone(), shown).note(Code::UnseenHalt, message, help);
}

/// Whether a halt can be told from idleness.
pub(super) fn work(network: &NetworkSite<'_>) {
    let (cadence, item) = &network.cadence;
    if *cadence != Cadence::OnDemand || network.paces.tells_work {
        return;
    }
    let message = "blocks come only for work here, and its nodes never tell that any waits: a halt looks like idleness";
    let help =
        "if it is hardly ever idle, write cadence = \"idle_max\" and the longest ordinary gap as idle_max = \"20s\"";
    item.as_ref().map_or(network.place.clone(), shown).note(Code::UnseenWork, message, help);
}

/// Whether polls are polite.
pub(super) fn requests(network: &NetworkSite<'_>) {
    let requests = network.paces.requests;
    if MOST_REQUESTS < requests {
        let message = format!("each poll of a node is {requests} requests");
        let help = "give what changes slowly a pace of its own: every = \"1m\"";
        network.place.note(Code::ManyRequests, message, help);
    }
}

/// Whether a node that hangs is told in time.
pub(super) fn timeouts(network: &NetworkSite<'_>) {
    for node in &network.nodes {
        let (after, attempts) = node.offline;
        let took = node.timeout.saturating_mul(attempts);
        if node.timeout <= node.interval || took <= after {
            continue;
        }
        let items = &node.timing_items;
        let place = items.timeout.as_ref().or(items.interval.as_ref()).map_or(node.place.clone(), shown);
        let (took, after) = (written_duration(&took), written_duration(&after));
        let message = format!("a node that hangs is offline only after {took}, not {after}: {attempts} timeouts");
        place.note(Code::SlowTimeout, message, "make `timeout` no longer than `interval`, or set `offline_after`");
    }
}

/// Whether the loss of a single core node is called a halt.
pub(super) fn losses(network: &NetworkSite<'_>) {
    let (core, watched) = network.core();
    let total = network.core_total.0.unwrap_or(watched).max(watched);
    let tolerated = network.tolerance.tolerated(total);
    let heavy: Vec<_> = core.iter().filter(|node| tolerated < node.weight.0).collect();
    let is_all = core.len() == 1 && network.core_total.0.is_some_and(|total| total <= watched);
    if heavy.is_empty() || is_all {
        return;
    }
    if let ([only], None) = (&core[..], network.core_total.0) {
        if network.paces.tells_validators {
            return;
        }
        let message = "the only core node: unless the nodes tell how many validators there are, its loss is a halt";
        let help = "say how many core nodes the chain has with `core_total`, which is 1 if this is all of it";
        return only.place.note(Code::NoTolerance, message, help);
    }
    let word = network.tolerance.as_str();
    if heavy.len() == core.len() {
        let message =
            format!("{word} with {} core nodes tolerates no loss: any one of them gone is a halt", core.len());
        return network.place.note(
            Code::NoTolerance,
            message,
            "list all core nodes of the chain, say how many there are with `core_total`, or check `tolerance`",
        );
    }
    for node in heavy {
        let weight = node.weight.0;
        let message = format!("this node gone is a halt: weight {weight} of {total}, and {word} tolerates {tolerated}");
        let place = node.weight.1.as_ref().map_or(node.place.clone(), shown);
        place.note(Code::NoTolerance, message, "check `weight` and `tolerance`");
    }
}

/// Keys that speak of core nodes where there are none.
pub(super) fn without_effect(network: &NetworkSite<'_>) {
    if !network.nodes.iter().any(|node| node.core) {
        for item in &network.loss_items {
            let message = format!("`{}` has no effect: the network has no core node", item.key);
            shown(item).note(Code::NoEffect, message, "set `role` or `core` of its nodes, or remove it");
        }
    }
    for (node, item) in network.nodes.iter().filter_map(|node| Some((node, node.weight.1.as_ref()?))) {
        if !node.core && node.weight.0 != 1 {
            let message = "`weight` has no effect: this is no core node";
            shown(item).note(Code::NoEffect, message, "set `core = true`, or remove it");
        }
    }
}

/// Whether a halt that explains another is told before it.
pub(super) fn dependencies(networks: &[NetworkSite<'_>]) {
    let positions: HashMap<&str, usize> =
        networks.iter().enumerate().map(|(position, network)| (&*network.name, position)).collect();
    let edges: Vec<Vec<usize>> = networks
        .iter()
        .map(|network| network.depends_on.iter().filter_map(|(name, _)| positions.get(&**name).copied()).collect())
        .collect();
    for (position, network) in networks.iter().enumerate() {
        for (name, item) in &network.depends_on {
            if let Some(other) = positions.get(&**name) {
                late_excuse(network, &networks[*other], item);
            }
        }
        if let Some((_, item)) = network.depends_on.first()
            && is_deeper_than_followed(position, &edges)
        {
            let message = format!("more than {DEPTH} networks below each other: the deepest explain nothing here");
            item.harmless().note_as(Code::DeepDependency, message, "name the network at the bottom directly");
        }
    }
}

fn late_excuse(network: &NetworkSite<'_>, other: &NetworkSite<'_>, item: &Item<'_>) {
    let Some(own) = network.threshold else { return };
    // What is not given is learned; the floor holds in any case.
    let least: Duration = other.threshold.unwrap_or(other.limits.halt_floor);
    if own < least {
        let (own, least) = (written_duration(&own), written_duration(&least));
        let message = format!("its halt is told after {least} at the earliest, the one it explains after {own}");
        item.harmless().note_as(Code::LateExcuse, message, "give it the lower threshold of the two");
    }
}

/// Whether some network is reached only through more steps than are followed.
fn is_deeper_than_followed(start: usize, edges: &[Vec<usize>]) -> bool {
    let mut level = edges[start].clone();
    let mut reached: std::collections::HashSet<usize> = level.iter().copied().collect();
    for _ in 1..DEPTH {
        level = level.iter().flat_map(|at| &edges[*at]).copied().filter(|to| reached.insert(*to)).collect();
    }
    level.iter().flat_map(|at| &edges[*at]).any(|to| !reached.contains(to))
}
