//! The label block of every network and node, escaped once per configuration instead of once per series.

use std::{ops::Range, sync::Arc};

use super::write::push_label;
use crate::{
    engine::settings::Settings,
    model::{NetworkIndex, NodeIndex},
};

/// Label blocks without braces (`network="a",node="b"`), in one allocation.
#[derive(Debug)]
pub struct Blocks {
    settings: Arc<Settings>,
    text: Vec<u8>,
    /// Where each block begins; networks first, then nodes, then the end of the text.
    begins: Vec<usize>,
    /// Which nodes belong to each network; they stand together.
    nodes: Vec<Range<usize>>,
}

impl Blocks {
    /// The blocks of everything in `settings`.
    #[must_use]
    pub fn new(settings: &Arc<Settings>) -> Self {
        let mut text = Vec::new();
        let mut begins = Vec::with_capacity(settings.networks.len() + settings.nodes.len() + 1);
        for network in &settings.networks {
            begins.push(text.len());
            push_label(&mut text, "network", &network.name);
        }
        for node in &settings.nodes {
            begins.push(text.len());
            let network = settings.networks.get(node.network.index()).map_or("", |network| &network.name);
            push_label(&mut text, "network", network);
            text.push(b',');
            push_label(&mut text, "node", &node.name);
        }
        begins.push(text.len());
        Self { settings: Arc::clone(settings), text, begins, nodes: nodes_by_network(settings) }
    }

    /// Whether these blocks were made for exactly these settings.
    #[must_use]
    pub fn are_of(&self, settings: &Arc<Settings>) -> bool {
        Arc::ptr_eq(&self.settings, settings)
    }

    /// The block of a network; empty if there is no such network.
    #[must_use]
    pub fn network(&self, network: NetworkIndex) -> &[u8] {
        if network.index() < self.settings.networks.len() { self.block(network.index()) } else { &[] }
    }

    /// The block of a node; empty if there is no such node.
    #[must_use]
    pub fn node(&self, node: NodeIndex) -> &[u8] {
        self.block(self.settings.networks.len() + node.index())
    }

    /// The positions of the nodes of a network; none if there is no such network.
    #[must_use]
    pub fn nodes_of(&self, network: usize) -> Range<usize> {
        self.nodes.get(network).cloned().unwrap_or_default()
    }

    fn block(&self, position: usize) -> &[u8] {
        match (self.begins.get(position), self.begins.get(position + 1)) {
            (Some(begin), Some(end)) => &self.text[*begin..*end],
            _ => &[],
        }
    }
}

fn nodes_by_network(settings: &Settings) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = vec![0..0; settings.networks.len()];
    for (position, node) in settings.nodes.iter().enumerate() {
        if let Some(range) = ranges.get_mut(node.network.index()) {
            let begin = if range.start == range.end { position } else { range.start };
            *range = begin..position + 1;
        }
    }
    ranges
}
