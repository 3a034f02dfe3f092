//! A block of a simulated chain. Its hash covers everything that makes it what it is, its parent included.

use std::time::Duration;

use alloy_primitives::{B256, keccak256};

use super::plan::Plan;

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Block {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent: B256,
    /// When it was made.
    pub at: Duration,
    /// Who made it: a position in the plan, or any number if the chain is made outside the simulation.
    pub producer: u64,
    /// Transactions in it.
    pub transactions: u64,
}

impl Block {
    /// Block 0 of a chain.
    #[must_use]
    pub fn first(plan: &Plan) -> Self {
        Self::default().hashed(plan, 0)
    }

    /// This block as the child of `parent`. Different salts give different blocks.
    #[must_use]
    pub fn on_top_of(self, parent: &Self, plan: &Plan, salt: u64) -> Self {
        Self { parent: parent.hash, ..self }.hashed(plan, salt)
    }

    fn hashed(self, plan: &Plan, salt: u64) -> Self {
        let at = millis(self.at);
        let numbers = [plan.chain_id, plan.seed, salt, self.number, at, self.producer, self.transactions];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        bytes.extend_from_slice(self.parent.as_slice());
        Self { hash: keccak256(&bytes), ..self }
    }
}

/// A duration in whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
