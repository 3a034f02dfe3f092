//! How a network makes its blocks, and how much it can lose and still make them.

use std::time::Duration;

/// When blocks are due on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// A block about every block time, with or without transactions.
    Interval,
    /// A block at most every block time: slots of that length, some of which stay empty.
    Slots,
    /// Blocks at random, the block time being their mean: proof of work, lotteries.
    Poisson,
    /// A block when there is work, and one at the latest after this time.
    IdleMax(Duration),
    /// A block only when there is work: idle is healthy.
    OnDemand,
}

impl Cadence {
    /// The word used in configuration and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Slots => "slots",
            Self::Poisson => "poisson",
            Self::IdleMax(_) => "idle_max",
            Self::OnDemand => "on_demand",
        }
    }
}

/// How much core weight a protocol can lose and still make blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultTolerance {
    /// `floor((n - 1) / 3)`: PBFT, Tendermint, `HotStuff`.
    Bft,
    /// `n - ceil(2n / 3)`: QBFT, IBFT 2.
    TwoThirds,
    /// `n - (floor(n / 2) + 1)`: Raft, Clique.
    Majority,
    /// All but one: any single producer keeps it alive.
    AllButOne,
}

impl FaultTolerance {
    /// The word used in configuration and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bft => "bft",
            Self::TwoThirds => "two_thirds",
            Self::Majority => "majority",
            Self::AllButOne => "all_but_one",
        }
    }

    /// The weight that may be lost out of `total`.
    #[must_use]
    pub fn tolerated(self, total: u64) -> u64 {
        match self {
            Self::Bft => total.saturating_sub(1) / 3,
            Self::TwoThirds => total.saturating_sub(total.saturating_mul(2).div_ceil(3)),
            Self::Majority => total.saturating_sub(total / 2 + 1),
            Self::AllButOne => total.saturating_sub(1),
        }
    }
}
