//! What a rule can find. The reason is a closed set; the numbers ride beside it; the text is made from both, so that
//! label, log field and sentence cannot disagree.

mod text;

use std::{sync::Arc, time::Duration};

use super::custom::Fault;
use crate::{
    model::{BlockHash, Height, RuleName, UnixTime},
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
        /// How long ago the window of an announced halt closed, where no block has come since.
        overrun: Option<Duration>,
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
    /// NetworkHalted: the views of those who make blocks stand still.
    ConsensusStands {
        /// The last block.
        tip: Height,
        /// For how long, at the longest.
        still: Duration,
        /// The limit it exceeds.
        limit: Duration,
        /// How many nodes say so.
        voters: usize,
    },
    /// NetworkHalted: the nodes see fewer of those who make blocks than a block needs.
    SeatsGone {
        /// Weight that is seen.
        live: u64,
        /// Weight a block needs.
        needed: u64,
        /// Weight in all.
        total: u64,
        /// For how long.
        lasting: Duration,
        /// How many nodes say so.
        voters: usize,
    },
    /// NetworkUnreachable: no voter answers.
    NoVoterAnswers {
        /// For how long.
        silence: Duration,
        /// Nodes of the network.
        nodes: usize,
        /// How most of them failed last ...
        kind: ErrorKind,
        /// ... and how many did.
        alike: usize,
    },
    /// NetworkUnreachable: nodes answer, but none of them about this chain.
    NoNodeOfThisChain {
        /// For how long.
        lasting: Duration,
        /// Nodes that answer about another chain.
        elsewhere: usize,
        /// Nodes of the network.
        nodes: usize,
    },
    /// NetworkUnreachable: the network had nodes, and nobody names any to us any more.
    NoNodesLeft {
        /// For how long.
        lasting: Duration,
    },
    /// FinalityStalled: the final block is too far behind the head.
    FinalityBehind {
        /// The newest final block.
        finalized: Height,
        /// The tip.
        tip: Height,
        /// How far behind in time.
        lag: Duration,
        /// The limit.
        limit: Duration,
    },
    /// NetworkSplit: two branches grow.
    BranchesGrow {
        /// The first height at which they are known to differ.
        height: Height,
        /// Nodes on the larger branch.
        larger: usize,
        /// Nodes on the smaller branch.
        smaller: usize,
        /// How many blocks the shorter branch has grown.
        length: u64,
        /// For how long both have grown.
        lasting: Duration,
    },
    /// DeepReorg: blocks were replaced.
    Reorganised {
        /// The highest of the replaced blocks.
        from: Height,
        /// So many blocks at least were replaced ...
        depth: u64,
        /// ... and so many at the most, where that is known.
        at_most: Option<u64>,
        /// How many nodes moved.
        nodes: usize,
        /// More than this is deep.
        limit: u64,
    },
    /// QuorumAtRisk: one more core node lost would halt the network.
    MarginGone {
        /// Core weight that is left.
        live: u64,
        /// Core weight the protocol needs.
        needed: u64,
        /// Core weight in all.
        total: u64,
    },
    /// DoubleSign: evidence of equivocation.
    SignedTwice {
        /// Where.
        height: Height,
        /// Who.
        validator: Arc<str>,
    },
    /// ConsensusStruggling: the height in progress needs many rounds.
    RoundsClimb {
        /// The round.
        round: u64,
        /// For how long rounds have been above the usual.
        lasting: Duration,
    },
    /// ConsensusStruggling: too little weight signs.
    ParticipationLow {
        /// Weight that signs, per mille.
        per_mille: u16,
        /// For how long.
        lasting: Duration,
    },
    /// BlocksSlow: fewer blocks than expected.
    BlocksRare {
        /// Blocks that came.
        blocks: u64,
        /// Blocks that should have come.
        expected: u64,
        /// In this time.
        lasting: Duration,
        /// The shortest time over which so few count as slow.
        limit: Duration,
    },
    /// TransactionBacklog: transactions wait for too long.
    Backlog {
        /// Transactions that wait.
        pending: u64,
        /// How long the oldest has.
        oldest: Duration,
        /// The limit.
        limit: Duration,
    },
    /// EmptyBlocks: blocks without transactions, while some wait.
    BlocksEmpty {
        /// Empty blocks in a row.
        blocks: u64,
        /// For how long.
        lasting: Duration,
        /// Transactions that wait, where the nodes say so.
        pending: Option<u64>,
    },
    /// UnusualTraffic: far more or fewer transactions per block than usual.
    TrafficUnusual {
        /// Transactions per block lately, in hundredths.
        lately: u64,
        /// What is usual, in hundredths.
        usual: u64,
    },
    /// PlannedHalt: inside an announced halt.
    Planned {
        /// What is done.
        kind: Arc<str>,
        /// Until when.
        until: UnixTime,
    },
    /// MonitorClockJump: our wall clock was set.
    ClockSet {
        /// By how much, in milliseconds.
        by_ms: i64,
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
    /// NodeStalled: takes no part in the consensus.
    ViewStands {
        /// Its height.
        height: Height,
        /// For how long its view has not moved.
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
    /// NodeWrongChain: the nodes of the network speak for different chains, and nothing tells which is right.
    NodesDisagree {
        /// What they disagree about.
        about: &'static str,
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
    /// A rule of the user's own holds.
    RuleHolds {
        /// Its summary, with the values of now.
        summary: Arc<str>,
    },
    /// `RuleFailing`: a rule of the user's own cannot be evaluated.
    RuleFails {
        /// The rule; the first of them.
        rule: RuleName,
        /// About what, as people call it.
        subject: Arc<str>,
        /// Why.
        fault: Fault,
        /// How many rules fail.
        failing: usize,
    },
    /// Any: announced before we were started again, and not judged since.
    Resumed,
    /// Watchdog.
    Alive,
}

impl Finding {
    /// The closed reason: label value and API field.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BlocksMissing { .. } | Self::ConsensusStands { .. } => "blocks_missing",
            Self::CoreNodesOffline { .. } | Self::SeatsGone { .. } => "core_nodes_offline",
            Self::NoVoterAnswers { .. } => "no_voter_answers",
            Self::NoNodeOfThisChain { .. } => "no_node_of_this_chain",
            Self::NoNodesLeft { .. } => "no_nodes_left",
            Self::NodesDisagree { .. } => "nodes_disagree",
            Self::FinalityBehind { .. } => "finality_behind",
            Self::BranchesGrow { .. } => "branches_grow",
            Self::Reorganised { .. } => "reorganised",
            Self::MarginGone { .. } => "margin_gone",
            Self::SignedTwice { .. } => "signed_twice",
            Self::RoundsClimb { .. } => "rounds_climb",
            Self::ParticipationLow { .. } => "participation_low",
            Self::BlocksRare { .. } => "blocks_rare",
            Self::Backlog { .. } => "backlog",
            Self::BlocksEmpty { .. } => "blocks_empty",
            Self::TrafficUnusual { .. } => "traffic_unusual",
            Self::Planned { .. } => "planned",
            Self::ClockSet { .. } => "clock_set",
            Self::NoAnswer { .. } => "no_answer",
            Self::StandsStill { .. } | Self::ViewStands { .. } => "stands_still",
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
            Self::RuleHolds { .. } => "rule_holds",
            Self::RuleFails { .. } => "rule_fails",
            Self::Resumed => "resumed",
            Self::Alive => "alive",
        }
    }
}
