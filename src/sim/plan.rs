//! What a simulated chain is like before anything has happened: its nodes, its rhythm and its quorum.

use std::time::Duration;

use super::tongue::Tongue;

/// What a chain is like.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its chain id.
    pub chain_id: u64,
    /// Where all its chance comes from.
    pub seed: u64,
    /// When it makes blocks.
    pub cadence: Cadence,
    /// What its nodes speak.
    pub tongue: Tongue,
    /// How many votes a block needs.
    pub quorum: Quorum,
    /// How far the final block is behind the newest.
    pub finality_lag: u64,
    /// Peers every node has outside the simulation.
    pub outside_peers: u64,
    /// Its nodes.
    pub members: Vec<Member>,
}

/// A node of a plan.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Whether it takes part in consensus. If nobody does, the chain is made outside the simulation.
    pub votes: bool,
}

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// One every so often; a proposer that is away costs one more interval.
    Interval(Duration),
    /// One in every slot, but for a share of missed slots.
    Slots {
        /// Length of a slot.
        every: Duration,
        /// Missed slots in a thousand.
        missed_per_mille: u64,
    },
    /// Only when transactions wait.
    OnDemand {
        /// How long the first of them waits.
        seal_after: Duration,
        /// Mean time between transactions; `None` = only those submitted by hand.
        work_every: Option<Duration>,
    },
}

/// How many of `n` votes a block needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// All but `floor((n - 1) / 3)`: PBFT, Tendermint.
    Bft,
    /// At least two thirds: QBFT, IBFT 2.
    TwoThirds,
    /// More than half: Raft, Clique.
    Majority,
    /// Any one.
    One,
}

impl Quorum {
    /// Votes needed out of `voters`.
    #[must_use]
    pub fn needed(self, voters: usize) -> usize {
        match self {
            Self::Bft => voters - voters.saturating_sub(1) / 3,
            Self::TwoThirds => voters.saturating_mul(2).div_ceil(3),
            Self::Majority => voters / 2 + 1,
            Self::One => 1,
        }
    }
}
