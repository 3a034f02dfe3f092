//! The exposition: everything a scrape reads, written from one snapshot. A scrape never waits for a node and never
//! fails because of one: a silent node's values are absent.

mod block;
pub mod family;
mod own;
mod process;
pub mod write;

use prometheus::Registry;

use self::{
    block::Blocks,
    family::{NetworkScene, NodeScene, Source},
    process::Process,
    write::Samples,
};
pub use self::{
    family::{FAMILIES, Family},
    write::Format,
};
use crate::{
    engine::snapshot::{Alert, Snapshot, Subject},
    model::{NetworkIndex, NodeIndex},
    output::label::halt_reason,
};

/// Writes expositions. Keeps the escaped label blocks of the configuration it wrote last.
#[derive(Debug, Default)]
pub struct Exposition {
    blocks: Option<Blocks>,
}

impl Exposition {
    /// Appends the whole exposition to `out`. Without a snapshot only the metrics of the daemon itself are known.
    pub fn render(&mut self, snapshot: Option<&Snapshot>, own: &Registry, format: Format, out: &mut Vec<u8>) {
        let process = Process::read();
        if let Some(snapshot) = snapshot {
            self.remember(snapshot);
        }
        let stage = snapshot.zip(self.blocks.as_ref()).map(|(snapshot, blocks)| Stage::new(snapshot, blocks));
        for family in FAMILIES {
            let mut samples = Samples::new(out, format, family.name, family.kind, family.help);
            match (family.source, &stage) {
                (Source::Build(write), _) => write(&mut samples),
                (Source::Process(read), _) => samples.value(read(&process)),
                (source, Some(stage)) => stage.write(&mut samples, source),
                (_, None) => {}
            }
            samples.end();
        }
        own::write(out, format, own);
        if format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
    }

    fn remember(&mut self, snapshot: &Snapshot) {
        if !self.blocks.as_ref().is_some_and(|blocks| blocks.are_of(&snapshot.settings)) {
            self.blocks = Some(Blocks::new(&snapshot.settings));
        }
    }
}

/// A snapshot prepared for the families that speak of it.
struct Stage<'a> {
    snapshot: &'a Snapshot,
    blocks: &'a Blocks,
    networks: Vec<NetworkScene<'a>>,
}

impl<'a> Stage<'a> {
    fn new(snapshot: &'a Snapshot, blocks: &'a Blocks) -> Self {
        let halted = halted(snapshot);
        let scene = |(index, (settings, view))| NetworkScene {
            now: snapshot.taken,
            settings,
            view,
            nodes: snapshot.nodes.get(blocks.nodes_of(index)).unwrap_or_default(),
            halted: halted.iter().find(|(network, _)| network.index() == index).map(|(_, reason)| *reason),
        };
        let networks = snapshot.settings.networks.iter().zip(&snapshot.networks).enumerate().map(scene).collect();
        Self { snapshot, blocks, networks }
    }

    fn write(&self, samples: &mut Samples<'a>, source: Source) {
        match source {
            Source::Build(_) | Source::Process(_) => {}
            Source::Monitor(write) => write(samples, self.snapshot),
            Source::Alert(write) => self.write_alerts(samples, write),
            Source::Network(write) => {
                for (index, network) in (0..).zip(&self.networks) {
                    samples.about(self.blocks.network(NetworkIndex(index)));
                    write(samples, network);
                }
            }
            Source::Node(write) => self.write_nodes(samples, write),
        }
    }

    fn write_alerts(&self, samples: &mut Samples<'a>, write: fn(&mut Samples<'_>, &Alert)) {
        for alert in &self.snapshot.alerts {
            samples.about(match alert.key.subject {
                Subject::Monitor | Subject::Vantage(_) => &[],
                Subject::Network(network) => self.blocks.network(network),
                Subject::Node(node) => self.blocks.node(node),
            });
            write(samples, alert);
        }
    }

    fn write_nodes(&self, samples: &mut Samples<'a>, write: fn(&mut Samples<'_>, &NodeScene<'_>)) {
        let settings = &self.snapshot.settings;
        for (index, (node, view)) in (0..).zip(settings.nodes.iter().zip(&self.snapshot.nodes)) {
            samples.about(self.blocks.node(NodeIndex(index)));
            let network = settings.networks.get(node.network.index());
            write(samples, &NodeScene { now: self.snapshot.taken, network, settings: node, view });
        }
    }
}

/// The networks that have halted, and why.
fn halted(snapshot: &Snapshot) -> Vec<(NetworkIndex, &'static str)> {
    let halted = snapshot.alerts.iter().filter_map(|alert| match alert.key.subject {
        Subject::Network(network) => Some((network, halt_reason(alert)?)),
        Subject::Monitor | Subject::Vantage(_) | Subject::Node(_) => None,
    });
    halted.collect()
}
