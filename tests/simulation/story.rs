//! A story: networks, nodes, a monitor, and what happens to them, all from one seed.

use std::{fmt, time::Duration};

use fastrand::Rng;
use haltwatch::{
    engine::settings::{
        Cadence, CanarySettings, FaultTolerance, NetworkLimits, NetworkSettings, NodeLimits, NodeSettings, Settings,
    },
    model::{Labels, NetworkIndex, Role, VantageIndex},
};

use crate::fault::{Fault, Kind};

/// Nothing happens for so long at first: the monitor looks around.
pub const LEAD_MS: i64 = 150_000;

/// Nothing happens any more for so long: everything must be well again by then.
pub const TAIL_MS: i64 = 420_000;

/// A node may be back this long before what it has missed stops mattering.
pub const AFTERMATH_MS: i64 = 200_000;

/// Everything that is to be played.
pub struct Story {
    pub seed: u64,
    pub settings: Settings,
    /// Time between two blocks, in milliseconds, parallel to the networks.
    pub block_ms: Vec<i64>,
    pub faults: Vec<Fault>,
    pub poll_ms: i64,
    /// Whether all nodes are asked at the same moments, so that their answers are judged together.
    pub in_chorus: bool,
    /// Whether nodes tell older blocks beside their head.
    pub checkpoints: bool,
    end: i64,
}

impl Story {
    /// The story of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let poll_ms = *pick(&mut rng, &[5000, 10_000, 10_000, 10_000, 15_000, 15_000]);
        let mut story = Self {
            seed,
            settings: Settings {
                monitor: "m".into(),
                isolated_after: Duration::from_secs(60),
                canaries: (0..2).map(|n| canary(n, poll_ms)).collect(),
                ..Settings::default()
            },
            block_ms: Vec::new(),
            faults: Vec::new(),
            poll_ms,
            in_chorus: rng.bool(),
            checkpoints: rng.bool(),
            end: 0,
        };
        for index in 0..rng.u32(1..=2) {
            story.add_network(&mut rng, index);
        }
        let happen = rng.usize(0..=2);
        let mut at = LEAD_MS + rng.i64(0..20_000);
        for _ in 0..happen {
            let fault = story.fault(&mut rng, at);
            // Two things may happen at once, or one after the other.
            at = if rng.u8(0..3) == 0 { fault.from + rng.i64(0..60_000) } else { fault.until + TAIL_MS };
            story.faults.push(fault);
        }
        let last = story.faults.iter().map(|fault| fault.until).max().unwrap_or(LEAD_MS);
        let deep = story.faults.iter().any(|fault| matches!(fault.kind, Kind::Reorg { .. } | Kind::Rollback { .. }));
        story.end = last + if deep { 2 * TAIL_MS } else { TAIL_MS };
        story
    }

    pub fn end(&self) -> i64 {
        self.end
    }

    pub fn seconds(&self) -> i64 {
        self.end / 1000
    }

    fn add_network(&mut self, rng: &mut Rng, index: u32) {
        let block_ms = *pick(rng, &[400, 1000, 2000, 6000, 12_000]);
        let on_demand = rng.u8(0..6) == 0;
        self.block_ms.push(block_ms);
        self.settings.networks.push(NetworkSettings {
            name: format!("n{index}").into(),
            family: "evm".into(),
            chain_id: rng.bool().then(|| format!("n{index}").into()),
            genesis: None,
            cadence: if on_demand { Cadence::OnDemand } else { Cadence::Interval },
            block_time: (on_demand || rng.u8(0..8) != 0).then(|| Duration::from_millis(block_ms.unsigned_abs())),
            tolerance: *pick(rng, &[FaultTolerance::Bft, FaultTolerance::Bft, FaultTolerance::AllButOne]),
            core_total: None,
            finality_lag: Some(Duration::ZERO),
            planned: Vec::new(),
            limits: NetworkLimits { flap_window: Duration::from_secs(60), ..NetworkLimits::default() },
            labels: Labels::new(),
            depends_on: Vec::new(),
        });
        let cores = rng.bool();
        let uneven = rng.u8(0..4) == 0;
        for node in 0..rng.u32(1..=6) {
            self.settings.nodes.push(NodeSettings {
                name: format!("n{index}-{node}").into(),
                network: NetworkIndex(index),
                role: if cores { Role::Validator } else { Role::Rpc },
                core: cores,
                weight: 1,
                labels: Labels::new(),
                metrics: None,
                interval: Duration::from_millis(self.poll_ms.unsigned_abs() / if uneven && rng.bool() { 2 } else { 1 }),
                timeout: Duration::from_secs(5),
                limits: NodeLimits { min_peers: Some(1), ..NodeLimits::default() },
            });
        }
    }

    /// The nodes of a network, by position.
    pub fn members(&self, network: usize) -> Vec<usize> {
        let nodes = self.settings.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.network.index() == network).map(|(position, _)| position).collect()
    }

    pub fn is_on_demand(&self, network: usize) -> bool {
        self.settings.networks[network].cadence == Cadence::OnDemand
    }

    fn fault(&self, rng: &mut Rng, at: i64) -> Fault {
        let network = rng.usize(0..self.settings.networks.len());
        let members = self.members(network);
        let node = members[rng.usize(0..members.len())];
        let kind = self.kind(rng, network, members.len());
        let length = match kind {
            Kind::Reorg { .. } | Kind::ClockSet => 1,
            // Until it has grown again to where it was.
            Kind::Rollback { depth } => i64::try_from(depth).unwrap() * self.block_ms[network] * 6 / 5,
            // Below every limit, or beyond it.
            _ if rng.u8(0..3) == 0 => rng.i64(5000..22_000),
            _ => rng.i64(150_000..420_000),
        };
        let of_node = matches!(
            kind,
            Kind::Down
                | Kind::Flaps
                | Kind::Rogue
                | Kind::WrongChain
                | Kind::Freezes
                | Kind::Balances
                | Kind::ClockWrong
        );
        Fault { kind, network, node: of_node.then_some(node), from: at, until: at + length }
    }

    fn kind(&self, rng: &mut Rng, network: usize, nodes: usize) -> Kind {
        use Kind as K;
        let always =
            [K::Halt, K::Halt, K::Down, K::Flaps, K::Balances, K::ClockWrong, K::CutOff, K::Paused, K::ClockSet];
        // Where nobody can contradict a liar, nobody can tell.
        let outvoted = [K::Rogue, K::WrongChain, K::Freezes];
        let with_blocks = [K::FinalityStops, K::Reorg { depth: rng.u64(1..=2) }, K::Reorg { depth: rng.u64(60..=200) }];
        let set_back = K::Rollback { depth: rng.u64(60..=100) };
        let mut kinds = always.to_vec();
        if 4 <= nodes {
            kinds.extend(outvoted);
        }
        if 3 <= nodes && !self.is_on_demand(network) {
            kinds.extend(with_blocks);
            // Heights alone may as well be those of a balancer's slower backend.
            if self.checkpoints {
                kinds.push(set_back);
            }
        }
        *pick(rng, &kinds)
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_once = if self.in_chorus { " of all at once" } else { "" };
        writeln!(f, "seed {}: polls{at_once} every {} ms, {} s", self.seed, self.poll_ms, self.seconds())?;
        for (index, network) in self.settings.networks.iter().enumerate() {
            let (cadence, block_ms) = (network.cadence.as_str(), self.block_ms[index]);
            let cores = self.members(index).iter().any(|node| self.settings.nodes[*node].core);
            let declared = if network.block_time.is_some() { "" } else { " (not declared)" };
            let (nodes, kind) = (self.members(index).len(), if cores { "core nodes" } else { "nodes" });
            let tolerance = network.tolerance.as_str();
            writeln!(
                f,
                "{}: {cadence}, a block every {block_ms} ms{declared}, {nodes} {kind}, {tolerance}",
                network.name
            )?;
        }
        for Fault { kind, network, node, from, until } in &self.faults {
            let (network, name) = (&self.settings.networks[*network].name, node.map(|n| &self.settings.nodes[n].name));
            writeln!(f, "{from:>8} to {until} ms: {kind:?} {}", name.unwrap_or(network))?;
        }
        Ok(())
    }
}

fn canary(number: u32, poll_ms: i64) -> CanarySettings {
    let interval = Duration::from_millis(poll_ms.unsigned_abs());
    CanarySettings { vantage: VantageIndex::default(), name: format!("canary {number}").into(), interval }
}

fn pick<'a, T>(rng: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.usize(0..choices.len())]
}
