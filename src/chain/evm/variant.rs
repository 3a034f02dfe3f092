//! What side chains, rollups and consortium chains tell beside what every execution client tells: a row for each variant
//! with the calls that only its nodes know. Whatever is asked here may be missing from a good node.

use std::time::Duration;

use super::{FINALIZED, PEERS, SAFE, VERSION};
use crate::{
    chain::{
        Family, Profile,
        adapter::{Call, CallSet},
    },
    model::FaultTolerance,
};

/// The set of validators changes with votes and epochs, not with blocks, and some nodes work for it.
pub(super) const ROLL_CALL: Duration = Duration::from_secs(60);

/// Who made the last blocks: the node reads up to a hundred headers for it.
pub(super) const REVIEW: Duration = Duration::from_secs(60);

/// A variant of the family: what is asked beside the usual, what is not, and what its head means.
#[derive(Debug)]
pub(super) struct Variant {
    name: &'static str,
    /// The calls of its own; in the adapter's table they stand behind the common ones.
    pub(super) extras: &'static [Extra],
    /// Common calls that say nothing here.
    left_out: &'static [usize],
    /// Whether a block is final as soon as it is there. Many nodes of such chains do not know the tag.
    pub(super) head_is_final: bool,
}

/// A call of a variant and what its answer tells.
#[derive(Debug)]
pub(super) struct Extra {
    pub(super) call: Call,
    pub(super) tells: Tells,
}

/// What the answer to an extra call tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tells {
    /// Who may make or sign blocks.
    Validators,
    /// How many of the last blocks each of them made.
    Makers,
    /// Transactions waiting.
    Pending,
    /// The newest block that is justified.
    Justified,
    /// The newest block that is final.
    Finalized,
    /// The members of a Raft cluster, and who of them is connected.
    Cluster,
    /// Who leads a Raft cluster.
    Leader,
}

const fn extra(method: &'static str, params: &'static str, tells: Tells) -> Extra {
    let call = Call::rpc(method, params).optional();
    let call = match tells {
        Tells::Validators => call.every(ROLL_CALL),
        Tells::Makers => call.every(REVIEW),
        // These are counters in the memory of the node, and true only at the moment.
        Tells::Pending | Tells::Justified | Tells::Finalized | Tells::Cluster | Tells::Leader => call,
    };
    Extra { call, tells }
}

const fn row(name: &'static str, extras: &'static [Extra]) -> Variant {
    Variant { name, extras, left_out: &[], head_is_final: false }
}

const fn with_final_head(name: &'static str, extras: &'static [Extra]) -> Variant {
    Variant { left_out: &[SAFE, FINALIZED], head_is_final: true, ..row(name, extras) }
}

const LATEST: &str = r#"["latest"]"#;

static BSC: [Extra; 3] = [
    extra("parlia_getValidators", LATEST, Tells::Validators),
    extra("parlia_getJustifiedNumber", "[]", Tells::Justified),
    extra("parlia_getFinalizedNumber", "[]", Tells::Finalized),
];

static BOR: [Extra; 1] = [extra("bor_getCurrentValidators", "[]", Tells::Validators)];

static QBFT: [Extra; 3] = [
    extra("qbft_getValidatorsByBlockNumber", LATEST, Tells::Validators),
    extra("qbft_getSignerMetrics", "[]", Tells::Makers),
    BESU_POOL,
];

static IBFT2: [Extra; 3] = [
    extra("ibft_getValidatorsByBlockNumber", LATEST, Tells::Validators),
    extra("ibft_getSignerMetrics", "[]", Tells::Makers),
    BESU_POOL,
];

/// Not `istanbul_getSignersFromBlock`: a block is closed with the first signatures that suffice, so who is missing under
/// one of them may be in the best of health.
static ISTANBUL: [Extra; 2] =
    [extra("istanbul_getValidators", LATEST, Tells::Validators), extra("istanbul_status", "[]", Tells::Makers)];

static RAFT: [Extra; 2] = [extra("raft_cluster", "[]", Tells::Cluster), extra("raft_leader", "[]", Tells::Leader)];

/// geth knows `clique_status` up to 1.15, Besu the metrics.
static CLIQUE: [Extra; 4] = [
    extra("clique_getSigners", LATEST, Tells::Validators),
    extra("clique_status", "[]", Tells::Makers),
    extra("clique_getSignerMetrics", "[]", Tells::Makers),
    BESU_POOL,
];

/// Besu has no `txpool_status`.
const BESU_POOL: Extra = extra("txpool_besuStatistics", "[]", Tells::Pending);

static PLAIN: Variant = row("", &[]);

static VARIANTS: [Variant; 8] = [
    row("bsc", &BSC),
    row("bor", &BOR),
    // Its nodes always say that they have no peers.
    Variant { left_out: &[SAFE, FINALIZED, PEERS], ..with_final_head("avalanche", &[]) },
    with_final_head("qbft", &QBFT),
    with_final_head("ibft2", &IBFT2),
    with_final_head("istanbul", &ISTANBUL),
    with_final_head("raft", &RAFT),
    row("clique", &CLIQUE),
];

impl Variant {
    /// The variant of this name; a chain without peculiarities where there is none.
    pub(super) fn named(name: Option<&str>) -> &'static Self {
        name.and_then(|name| VARIANTS.iter().find(|variant| variant.name == name)).unwrap_or(&PLAIN)
    }

    /// Every call that can be made of a node, from the `common` ones on.
    pub(super) fn calls(&self, common: &[Call]) -> Vec<Call> {
        common.iter().chain(self.extras.iter().map(|extra| &extra.call)).cloned().collect()
    }

    /// The set without what says nothing here.
    pub(super) fn sensible(&self, calls: CallSet) -> CallSet {
        self.left_out.iter().fold(calls, |calls, position| calls.without(*position))
    }

    /// The calls of its own with their positions in the adapter's table.
    pub(super) fn extras(&self) -> impl Iterator<Item = (usize, &Extra)> {
        self.extras.iter().enumerate().map(|(offset, extra)| (VERSION + 1 + offset, extra))
    }

    /// How much of the weight of its validators the protocol can lose.
    pub(super) fn tolerance(&self) -> FaultTolerance {
        Profile::of(Family::Evm, Some(self.name)).tolerance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::adapter::MAX_CALLS;

    #[test]
    fn every_variant_is_one_of_the_profiles_and_asks_for_nothing_a_node_must_know() {
        for variant in &VARIANTS {
            assert!(Profile::variants(Family::Evm).any(|name| name == variant.name), "{}", variant.name);
            assert!(variant.extras.iter().all(|extra| extra.call.optional), "{}", variant.name);
            assert!(variant.calls(&super::super::CALLS).len() <= MAX_CALLS, "{}", variant.name);
        }
        assert!(Variant::named(Some("op")).extras.is_empty() && Variant::named(None).extras.is_empty());
    }
}
