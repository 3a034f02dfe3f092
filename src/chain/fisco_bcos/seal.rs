//! Who seals blocks, and how many of them one node sees.

use std::collections::BTreeSet;

use super::NodeId;
use crate::observation::Seats;

/// One that seals blocks, with its weight; that is 1 where weights are unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::chain) struct Sealer {
    /// Its name.
    pub(in crate::chain) id: NodeId,
    /// Its weight.
    pub(in crate::chain) weight: u64,
}

/// The weight of all of them.
pub(in crate::chain) fn sum<'a>(sealers: impl Iterator<Item = &'a Sealer>) -> u64 {
    sealers.fold(0, |sum, sealer| sum.saturating_add(sealer.weight))
}

/// What a node sees of the sealers: those that are `present`, and those that are not.
pub(in crate::chain) fn seats<'a>(
    sealers: &'a [Sealer],
    needed: u64,
    present: &BTreeSet<NodeId>,
) -> (Seats, BTreeSet<&'a NodeId>) {
    let (here, gone): (Vec<&Sealer>, Vec<&Sealer>) = sealers.iter().partition(|sealer| present.contains(&sealer.id));
    let seats = Seats { total: sum(sealers.iter()), needed, live: sum(here.into_iter()) };
    (seats, gone.into_iter().map(|sealer| &sealer.id).collect())
}
