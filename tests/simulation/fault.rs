//! What can happen in a story, what must be told of it, and what may be.

use haltwatch::model::AlertName::{self, self as N};

/// Something that happens to a network, a node or the monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The network makes no blocks (on demand: takes no transactions, and one waits).
    Halt,
    /// Its final height stands still.
    FinalityStops,
    /// Its last blocks are replaced by so many others and one more.
    Reorg {
        /// How many.
        depth: u64,
    },
    /// It is set back by so many blocks and goes on from there, on blocks of its own.
    Rollback {
        /// How many.
        depth: u64,
    },
    /// A node refuses connections.
    Down,
    /// A node fails three polls in ten.
    Flaps,
    /// A node claims to be ten million blocks ahead, on blocks of its own.
    Rogue,
    /// A node follows another chain, far ahead.
    WrongChain,
    /// A node takes in no more blocks.
    Freezes,
    /// A node is a balancer over backends some blocks apart.
    Balances,
    /// A node's clock is ten minutes off.
    ClockWrong,
    /// The monitor's uplink is cut.
    CutOff,
    /// The monitor is not run.
    Paused,
    /// The monitor's wall clock is set by an hour.
    ClockSet,
}

/// A fault in its time, in milliseconds since the start.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub kind: Kind,
    /// Position of the network.
    pub network: usize,
    /// Position of the node among all nodes, where the fault is a node's.
    pub node: Option<usize>,
    pub from: i64,
    pub until: i64,
}

impl Fault {
    pub fn lasts_at(&self, ms: i64) -> bool {
        self.from <= ms && ms < self.until
    }
}

impl Kind {
    /// Loud alerts about its network that it may cause.
    pub fn of_network(self) -> &'static [AlertName] {
        match self {
            Self::Halt => &[N::NetworkHalted, N::BlocksSlow],
            Self::FinalityStops => &[N::FinalityStalled],
            Self::Reorg { .. } | Self::Rollback { .. } => &[N::DeepReorg],
            // A network whose only node is gone is not seen; and a core node fewer is a margin less.
            Self::Down => &[N::NetworkUnreachable, N::NetworkHalted, N::QuorumAtRisk],
            Self::Flaps => &[N::NetworkUnreachable, N::QuorumAtRisk],
            Self::Rogue | Self::WrongChain | Self::Freezes => &[N::QuorumAtRisk],
            Self::Balances | Self::ClockWrong | Self::CutOff | Self::Paused | Self::ClockSet => &[],
        }
    }

    /// Loud alerts about its node, or about all nodes of its network where it is the network's, that it may cause.
    pub fn of_nodes(self) -> &'static [AlertName] {
        match self {
            // Nodes that come back from a halt do not come back at once; one that freezes answers on, always the same.
            Self::Halt | Self::Freezes => &[N::NodeStalled, N::NodeLagging],
            Self::Down => &[N::NodeOffline, N::NodeStalled, N::NodeLagging],
            // Where polls are rare all of them may fail by chance for as long as makes a node offline.
            Self::Flaps => &[N::NodeOffline],
            Self::Rogue => &[N::NodeForked, N::NodeStalled, N::NodeLagging, N::NodeWrongChain],
            Self::WrongChain => &[N::NodeWrongChain],
            _ => &[],
        }
    }
}
