//! Whether the nodes of a network are independent witnesses.

use std::collections::{HashMap, HashSet};

use crate::config::{
    code::Code,
    host::{canonical, spelling},
    survey::NetworkSite,
    unique::identity,
};

/// One node under two spellings.
pub(super) fn spellings(network: &NetworkSite<'_>) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (url, item) in network.nodes.iter().filter_map(|node| node.url.as_ref()) {
        let (here, line) = (seen.len(), item.line());
        let first = *seen.entry(spelling(url)).or_insert(line);
        if seen.len() == here {
            let message = format!("this seems to be the node on line {first} under another name");
            item.note_as(Code::SameNode, message, "the same node twice would have two votes");
        }
    }
}

/// One node in two networks. Where nodes serve several chains, each of these is a network of its own.
pub(super) fn in_two_networks(networks: &[NetworkSite<'_>]) {
    let mut seen: HashMap<(String, Option<&str>), (usize, usize)> = HashMap::new();
    for (position, network) in networks.iter().enumerate() {
        for (url, item) in network.nodes.iter().filter_map(|node| node.url.as_ref()) {
            let (owner, line) =
                *seen.entry((identity(url), network.group.as_deref())).or_insert((position, item.line()));
            if owner != position {
                let message = format!("another network watches the same URL on line {line}");
                item.note_as(Code::NodeInTwoNetworks, message, "a node speaks for one chain");
            }
        }
    }
}

/// Whether what one node says can be checked with another that does not fail with it.
pub(super) fn witnesses(network: &NetworkSite<'_>) {
    if network.nodes.len() == 1 {
        let message = "one node alone: nothing it says can be checked";
        return network.place.note(Code::SingleNode, message, "add a second node on another machine");
    }
    let urls = network.nodes.iter().filter_map(|node| node.url.as_ref());
    let hosts: HashSet<String> = urls.map(|(url, _)| canonical(url.host())).collect();
    if hosts.len() == 1 {
        let message = "all nodes of this network are on one host: they fail together";
        network.place.note(Code::SingleHost, message, "add a node on another machine");
    }
}

/// Whether the operator says which chain is the right one.
pub(super) fn identity_of_chain(network: &NetworkSite<'_>) {
    if !network.is_pinned && network.nodes.iter().any(|node| node.core) {
        let message = "most nodes decide which chain is the right one";
        network.place.note(Code::NotPinned, message, "set `chain_id`, best `genesis` too");
    }
}
