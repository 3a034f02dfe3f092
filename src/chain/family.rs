//! The families of nodes, and what is known of each before any of its nodes is asked: a row of a table for each family
//! and for each variant whose blocks come in another way. Everything in a row is a default that the configuration beats.

use std::{sync::Arc, time::Duration};

use super::{adapter::Adapter, generic::Spec};
use crate::model::{Cadence, FaultTolerance};

/// How to talk to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Ethereum execution clients and everything that speaks their JSON-RPC.
    Evm,
    /// The consensus node of an OP stack rollup.
    OpNode,
    /// Ethereum consensus clients: the Beacon API.
    Beacon,
    /// CometBFT and Tendermint: the RPC of the consensus engine.
    CometBft,
    /// FISCO BCOS 2.x: JSON-RPC over HTTP, several groups in a node.
    FiscoBcos2,
    /// FISCO BCOS 3.x: JSON-RPC over HTTP, several groups in a node.
    FiscoBcos3,
    /// Bitcoin Core and its relatives.
    Bitcoin,
    /// Substrate and the Polkadot SDK.
    Substrate,
    /// Monero: the JSON-RPC of monerod.
    Monero,
    /// Any chain whose calls the configuration names.
    Generic,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 10] = [
        Self::Evm,
        Self::OpNode,
        Self::Beacon,
        Self::CometBft,
        Self::FiscoBcos2,
        Self::FiscoBcos3,
        Self::Bitcoin,
        Self::Substrate,
        Self::Monero,
        Self::Generic,
    ];

    /// The word used in configuration and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evm => "evm",
            Self::OpNode => "op-node",
            Self::Beacon => "beacon",
            Self::CometBft => "cometbft",
            Self::FiscoBcos2 => "fisco-bcos-2",
            Self::FiscoBcos3 => "fisco-bcos-3",
            Self::Bitcoin => "bitcoin",
            Self::Substrate => "substrate",
            Self::Monero => "monero",
            Self::Generic => "generic",
        }
    }

    /// The family of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.as_str() == name)
    }

    /// An adapter that knows nothing of its node yet.
    pub(super) fn adapter(self, particulars: &Particulars) -> Box<dyn Adapter> {
        match self {
            Self::Evm => Box::new(super::evm::Evm::new(particulars)),
            Self::OpNode => Box::<super::op_node::OpNode>::default(),
            Self::Beacon => Box::<super::beacon::Beacon>::default(),
            Self::CometBft => Box::<super::cometbft::CometBft>::default(),
            Self::FiscoBcos2 => Box::new(super::fisco_bcos_2::FiscoBcos2::new(particulars)),
            Self::FiscoBcos3 => Box::new(super::fisco_bcos_3::FiscoBcos3::new(particulars)),
            Self::Bitcoin => Box::new(super::bitcoin::Bitcoin::new(particulars)),
            Self::Substrate => Box::new(super::substrate::Substrate::new(particulars)),
            Self::Monero => Box::<super::monero::Monero>::default(),
            Self::Generic => Box::new(super::generic::Generic::new(particulars.spec.clone().unwrap_or_default())),
        }
    }

    /// How its nodes push new heads.
    pub(super) fn stream(self) -> Stream {
        match self {
            Self::Evm => {
                Stream::Rpc { subscribe: "eth_subscribe", topic: Some("newHeads"), unsubscribe: "eth_unsubscribe" }
            }
            Self::CometBft => Stream::CometBft,
            Self::Substrate => Stream::Rpc {
                subscribe: "chain_subscribeNewHeads",
                topic: None,
                unsubscribe: "chain_unsubscribeNewHeads",
            },
            Self::Beacon => Stream::Sse,
            _ => Stream::None,
        }
    }
}

/// What an adapter must be told of its node beside the family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Particulars {
    /// The variant of the family, if one is declared.
    pub variant: Option<&'static str>,
    /// The group of the node that is watched, where a node serves several chains.
    pub group: Option<Arc<str>>,
    /// What is asked and what the answers mean, where only the configuration knows.
    pub spec: Option<Arc<Spec>>,
}

/// How nodes push new heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// A JSON-RPC subscription over WebSocket; what is pushed tells its `number`.
    Rpc {
        /// The method that opens it.
        subscribe: &'static str,
        /// Its only parameter, if it takes one.
        topic: Option<&'static str>,
        /// The method that ends it.
        unsubscribe: &'static str,
    },
    /// Events of a CometBFT node over WebSocket.
    CometBft,
    /// Server-sent events of a consensus client, below the address that answers requests.
    Sse,
    /// Not at all, as far as we know.
    None,
}

/// What is known of a family, or of a variant of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// The family.
    pub family: Family,
    /// The variant; `None` for the row of the family itself, which stands before its variants.
    pub variant: Option<&'static str>,
    /// When blocks are due.
    pub cadence: Cadence,
    /// How much core weight may be lost.
    pub tolerance: FaultTolerance,
    /// Mean time between blocks, where the protocol fixes it.
    pub block_time: Option<Duration>,
    /// Reorganisations up to this depth are ordinary life.
    pub reorg_depth: u32,
    /// Blocks from one to its finality, where the protocol fixes them; `None` = learned by watching.
    pub finality_blocks: Option<u32>,
    /// Finality behind by this many times that has stalled.
    pub finality_factor: u32,
    /// Fewer peers than this is too few; 0 where nodes have none, or do not tell.
    pub min_peers: u64,
    /// Whether nodes tell that work waits for a block, or that consensus goes on without one. Where they do not, and blocks
    /// come only for work, a chain that stands still may always be idle.
    pub tells_work: bool,
    /// Whether nodes tell how much weight all validators have together.
    pub tells_validators: bool,
    /// Whether a node serves several chains, so that a network must say which group it is.
    pub groups: bool,
}

/// A row with the defaults of most networks.
const fn row(family: Family, variant: Option<&'static str>) -> Profile {
    Profile {
        family,
        variant,
        cadence: Cadence::Interval,
        tolerance: FaultTolerance::Bft,
        block_time: None,
        reorg_depth: 10,
        finality_blocks: None,
        finality_factor: 3,
        min_peers: 1,
        tells_work: true,
        tells_validators: false,
        groups: false,
    }
}

/// A row of an EVM chain whose blocks are final at once: no depth of a reorganisation is ordinary there, but a balancer in
/// front of its nodes may still show two blocks twice.
const fn without_forks(variant: &'static str) -> Profile {
    Profile { reorg_depth: 2, ..row(Family::Evm, Some(variant)) }
}

/// Bitcoin or a relative of it: the mean time between its blocks in seconds, and how many of them are replaced now and
/// then. A node keeps eight to eleven connections of its own choice; with fewer than four it hears of little.
const fn proof_of_work(variant: Option<&'static str>, seconds: u64, reorg_depth: u32) -> Profile {
    Profile {
        cadence: Cadence::Poisson,
        tolerance: FaultTolerance::AllButOne,
        block_time: Some(Duration::from_secs(seconds)),
        reorg_depth,
        min_peers: 4,
        ..row(Family::Bitcoin, variant)
    }
}

/// A row of a consensus layer: the length of its slots, and the slots of two epochs. One late block that is replaced is
/// daily life there, seven are a catastrophe.
const fn beacon(variant: Option<&'static str>, slot: Duration, two_epochs: u32) -> Profile {
    Profile {
        cadence: Cadence::Slots,
        block_time: Some(slot),
        reorg_depth: 6,
        finality_blocks: Some(two_epochs),
        finality_factor: 2,
        ..row(Family::Beacon, variant)
    }
}

/// Every family and variant.
pub const PROFILES: &[Profile] = &[
    row(Family::Evm, None),
    Profile { min_peers: 0, ..row(Family::Evm, Some("op")) },
    Profile { cadence: Cadence::OnDemand, min_peers: 0, tells_work: false, ..row(Family::Evm, Some("arbitrum")) },
    Profile { tells_validators: true, ..row(Family::Evm, Some("bsc")) },
    // Reorganisations of tens of blocks have been seen where producers change.
    Profile { reorg_depth: 64, ..row(Family::Evm, Some("bor")) },
    Profile { cadence: Cadence::OnDemand, min_peers: 0, tells_work: false, ..without_forks("avalanche") },
    Profile { tolerance: FaultTolerance::TwoThirds, tells_validators: true, ..without_forks("qbft") },
    Profile { tolerance: FaultTolerance::TwoThirds, tells_validators: true, ..without_forks("ibft2") },
    Profile { tolerance: FaultTolerance::TwoThirds, tells_validators: true, ..without_forks("istanbul") },
    Profile {
        cadence: Cadence::OnDemand,
        tolerance: FaultTolerance::Majority,
        tells_validators: true,
        ..without_forks("raft")
    },
    Profile { tolerance: FaultTolerance::Majority, tells_validators: true, ..row(Family::Evm, Some("clique")) },
    Profile { min_peers: 0, ..row(Family::OpNode, None) },
    // Two epochs are the best that finality does, and at twice that, behind by more than four, it has been lost.
    beacon(None, Duration::from_secs(12), 64),
    beacon(Some("gnosis"), Duration::from_secs(5), 32),
    // What is committed is final: a block that is replaced is no part of life here.
    Profile { reorg_depth: 1, tells_validators: true, ..row(Family::CometBft, None) },
    Profile { cadence: Cadence::OnDemand, tells_validators: true, groups: true, ..row(Family::FiscoBcos2, None) },
    Profile { cadence: Cadence::OnDemand, tells_validators: true, groups: true, ..row(Family::FiscoBcos3, None) },
    proof_of_work(None, 600, 2),
    proof_of_work(Some("bitcoin-cash"), 600, 6),
    proof_of_work(Some("litecoin"), 150, 3),
    proof_of_work(Some("dogecoin"), 60, 4),
    proof_of_work(Some("dash"), 150, 2),
    proof_of_work(Some("zcash"), 75, 4),
    proof_of_work(Some("digibyte"), 15, 6),
    // Blocks come when its developer asks for them, from a node that may be alone.
    Profile { cadence: Cadence::OnDemand, block_time: None, min_peers: 0, ..proof_of_work(Some("regtest"), 0, 6) },
    // More than a third of the validators gone stops GRANDPA: blocks go on, but none is final any more.
    // Final blocks follow the head by two to four, so that a stall is known for one whenever we begin to look.
    Profile { finality_blocks: Some(5), tells_validators: true, ..row(Family::Substrate, None) },
    // Any collator makes blocks; what is final is the business of the relay chain.
    Profile {
        tolerance: FaultTolerance::AllButOne,
        finality_blocks: Some(8),
        ..row(Family::Substrate, Some("parachain"))
    },
    Profile {
        cadence: Cadence::OnDemand,
        tolerance: FaultTolerance::AllButOne,
        min_peers: 0,
        ..row(Family::Substrate, Some("manual-seal"))
    },
    Profile { family: Family::Monero, ..proof_of_work(None, 120, 3) },
    row(Family::Generic, None),
];

impl Profile {
    /// The row of a family, or of its variant if there is one of that name.
    #[must_use]
    pub fn of(family: Family, variant: Option<&str>) -> &'static Self {
        let mut rows = PROFILES.iter().filter(|row| row.family == family);
        let own = rows.clone().find(|row| row.variant == variant);
        own.or_else(|| rows.next()).expect("every family has a row, as a test of the table says")
    }

    /// The normal time from a block to its finality, if one comes every `block_time`.
    #[must_use]
    pub fn finality_lag(&self, block_time: Option<Duration>) -> Option<Duration> {
        block_time?.checked_mul(self.finality_blocks?)
    }

    /// The names of the variants of a family.
    pub fn variants(family: Family) -> impl Iterator<Item = &'static str> {
        PROFILES.iter().filter(move |row| row.family == family).filter_map(|row| row.variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_row_that_stands_before_those_of_its_variants() {
        for family in Family::ALL {
            let first = PROFILES.iter().find(|row| row.family == family);
            assert_eq!(first.map(|row| row.variant), Some(None), "{}", family.as_str());
            assert_eq!(Profile::of(family, Some("nobody's")).variant, None);
        }
    }

    #[test]
    fn where_finality_is_expected_its_limit_is_twice_what_is_ordinary_at_least() {
        for (family, variant, ordinary) in [
            (Family::Beacon, None, 64),
            (Family::Beacon, Some("gnosis"), 32),
            (Family::Substrate, None, 4),
            (Family::Substrate, Some("parachain"), 6),
        ] {
            let row = Profile::of(family, variant);
            let limit = row.finality_blocks.unwrap() * row.finality_factor;
            assert!((2 * ordinary..=4 * ordinary).contains(&limit), "{row:?}");
        }
    }
}
