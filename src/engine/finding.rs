//! What a rule can find. The reason is a closed set; the numbers ride beside it; the text is made from both, so that
//! label, log field and sentence cannot disagree.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    model::{BlockHash, Height},
    observation::ErrorKind,
};

/// What a rule found: the evidence for an alert.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// NetworkHalted: no new block for too long.
    BlocksMissing {
        /// The last block.
        tip: Height,
        /// How long ago the tip last rose.
        gap: Duration,
        /// The limit it exceeds.
        threshold: Duration,
        /// Transactions waiting, where that is what proves the halt (on-demand networks).
        pending: Option<u64>,
        /// How many nodes say so.
        voters: usize,
    },
    /// NetworkHalted: more core weight is offline than the protocol tolerates.
    CoreNodesOffline {
        /// Offline core weight.
        offline: u64,
        /// Core weight in all.
        total: u64,
        /// What the protocol tolerates.
        tolerated: u64,
    },
    /// NetworkUnreachable: no voter answers.
    NoVoterAnswers {
        /// For how long.
        silence: Duration,
        /// Nodes of the network.
        nodes: usize,
    },
    /// NodeOffline: no good answer.
    NoAnswer {
        /// For how long.
        silence: Duration,
        /// Failed attempts since.
        attempts: u32,
        /// How the last one failed.
        kind: ErrorKind,
    },
    /// NodeStalled: stands still while the tip moves.
    StandsStill {
        /// Its height.
        height: Height,
        /// The tip.
        tip: Height,
        /// For how long its height has not moved.
        still: Duration,
    },
    /// NodeLagging: moves, but is behind.
    Behind {
        /// Its height.
        height: Height,
        /// The tip.
        tip: Height,
        /// How far behind in time.
        lag: Duration,
        /// The limit.
        limit: Duration,
    },
    /// NodeSyncing: says it is catching up.
    CatchingUp {
        /// Blocks still missing, by its own word or by comparison with the tip.
        behind: Option<u64>,
    },
    /// NodeWrongChain: another chain id.
    ChainIdDiffers {
        /// What the network has.
        wanted: Arc<str>,
        /// What the node says.
        said: Arc<str>,
    },
    /// NodeWrongChain: another genesis block.
    GenesisDiffers {
        /// What the network has.
        wanted: BlockHash,
        /// What the node says.
        said: BlockHash,
    },
    /// NodeForked: another hash at a common height.
    HashDiffers {
        /// The height.
        height: Height,
        /// The majority's hash.
        wanted: BlockHash,
        /// The node's hash.
        said: BlockHash,
    },
    /// NodeLowPeers.
    FewPeers {
        /// Peers it has.
        peers: u64,
        /// Peers it should have.
        wanted: u64,
    },
    /// NodeSlow.
    SlowAnswers {
        /// 95th percentile of its recent polls.
        p95: Duration,
        /// The limit in force.
        limit: Duration,
    },
    /// NodeErrors.
    ManyErrors {
        /// Failed polls in the window.
        failed: u32,
        /// Polls in the window.
        polls: u32,
        /// The most frequent kind.
        kind: ErrorKind,
    },
    /// NodeRateLimited.
    Limited {
        /// For how long.
        lasting: Duration,
    },
    /// NodeUnauthorized.
    CredentialsRefused {
        /// For how long.
        lasting: Duration,
    },
    /// NodeClockSkew.
    ClockDiffers {
        /// The node's clock minus ours, in milliseconds.
        skew_ms: i64,
    },
    /// HeightRegression.
    WentBack {
        /// The height it had told.
        from: Height,
        /// The height it tells now.
        to: Height,
    },
    /// MonitorIsolated.
    CutOff {
        /// For how long nothing has answered.
        silence: Duration,
        /// Canaries, all of them silent.
        canaries: usize,
        /// Nodes, all of them silent.
        nodes: usize,
    },
    /// Watchdog.
    Alive,
}

impl Finding {
    /// The closed reason: label value and API field.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BlocksMissing { .. } => "blocks_missing",
            Self::CoreNodesOffline { .. } => "core_nodes_offline",
            Self::NoVoterAnswers { .. } => "no_voter_answers",
            Self::NoAnswer { .. } => "no_answer",
            Self::StandsStill { .. } => "stands_still",
            Self::Behind { .. } => "behind",
            Self::CatchingUp { .. } => "catching_up",
            Self::ChainIdDiffers { .. } => "chain_id_differs",
            Self::GenesisDiffers { .. } => "genesis_differs",
            Self::HashDiffers { .. } => "hash_differs",
            Self::FewPeers { .. } => "few_peers",
            Self::SlowAnswers { .. } => "slow_answers",
            Self::ManyErrors { .. } => "many_errors",
            Self::Limited { .. } => "limited",
            Self::CredentialsRefused { .. } => "credentials_refused",
            Self::ClockDiffers { .. } => "clock_differs",
            Self::WentBack { .. } => "went_back",
            Self::CutOff { .. } => "cut_off",
            Self::Alive => "alive",
        }
    }
}

/// One sentence for people, with the numbers.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}
