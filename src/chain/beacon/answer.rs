//! The answers of a consensus client: only the fields that are used. Nearly all of them stand under `data`.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{
    chain::quantity::{Decimal, Hash},
    model::{BlockHash, Height, UnixTime},
    observation::Syncing,
};

/// Slots of another length than this are not believed.
const SLOT_MILLIS: std::ops::RangeInclusive<u64> = 1..=3_600_000;

/// Epochs of more slots than this are not believed.
const EPOCH_SLOTS: std::ops::RangeInclusive<u64> = 1..=65_536;

/// What most answers are wrapped in.
#[derive(Debug, Deserialize)]
pub(super) struct Wrapped<T> {
    pub(super) data: T,
    /// Whether the execution client has not verified yet what is told here.
    #[serde(default)]
    pub(super) execution_optimistic: Option<bool>,
}

/// `headers/{block}`: slot and both roots must be there.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) root: Hash,
    #[serde(default)]
    pub(super) canonical: Option<bool>,
    header: Signed,
}

#[derive(Debug, Deserialize)]
struct Signed {
    message: Message,
}

#[derive(Debug, Deserialize)]
struct Message {
    slot: Decimal,
    parent_root: Hash,
}

impl Header {
    pub(super) fn slot(&self) -> u64 {
        self.header.message.slot.0
    }

    /// The block before it; the first of all has none.
    pub(super) fn parent(&self) -> Option<BlockHash> {
        Some(self.header.message.parent_root.0).filter(|parent| *parent != NO_ROOT)
    }
}

/// The root that stands for none.
const NO_ROOT: BlockHash = BlockHash([0; 32]);

/// `node/syncing`. Old nodes leave out the last two.
#[derive(Debug, Deserialize)]
pub(super) struct SyncState {
    is_syncing: bool,
    #[serde(default)]
    sync_distance: Lenient<Decimal>,
    #[serde(default)]
    is_optimistic: Option<bool>,
    #[serde(default)]
    el_offline: Option<bool>,
}

impl SyncState {
    /// A head that the execution client has not verified, or cannot, is followed in good faith only. The distance is
    /// counted in slots from the clock, so when the chain stops it grows for everybody.
    pub(super) fn meaning(&self) -> Syncing {
        let in_good_faith = self.is_optimistic == Some(true) || self.el_offline == Some(true);
        match self.is_syncing {
            true => Syncing::Yes { behind: self.sync_distance.0.map(|distance| distance.0) },
            false if in_good_faith => Syncing::Yes { behind: None },
            false => Syncing::No,
        }
    }
}

/// `states/head/finality_checkpoints`.
#[derive(Debug, Deserialize)]
pub(super) struct Checkpoints {
    #[serde(default)]
    pub(super) current_justified: Option<Checkpoint>,
    #[serde(default)]
    pub(super) finalized: Option<Checkpoint>,
}

/// The first slot of an epoch, and the newest block in or before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) epoch: Decimal,
    pub(super) root: Hash,
}

impl Checkpoint {
    /// Before the first there is epoch 0 with no root.
    pub(super) fn is_one(&self) -> bool {
        self.root.0 != NO_ROOT
    }
}

/// `genesis`.
#[derive(Debug, Deserialize)]
pub(super) struct Genesis {
    genesis_time: Decimal,
    pub(super) genesis_validators_root: Hash,
}

impl Genesis {
    /// When slot 0 began.
    pub(super) fn time(&self) -> Option<UnixTime> {
        UnixTime::from_seconds(self.genesis_time.0)
    }
}

/// `config/spec`, of whose keys every fork adds some and drops some.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) struct Spec {
    #[serde(default)]
    slot_duration_ms: Lenient<Decimal>,
    #[serde(default)]
    seconds_per_slot: Lenient<Decimal>,
    #[serde(default)]
    slots_per_epoch: Lenient<Decimal>,
    #[serde(default)]
    deposit_chain_id: Lenient<Decimal>,
}

impl Spec {
    /// The length of a slot: the newer key counts.
    pub(super) fn slot(&self) -> Option<Duration> {
        let seconds = || Some(self.seconds_per_slot.0?.0.saturating_mul(1000));
        let millis = self.slot_duration_ms.0.map(|millis| millis.0).or_else(seconds)?;
        SLOT_MILLIS.contains(&millis).then(|| Duration::from_millis(millis))
    }

    pub(super) fn slots_per_epoch(&self) -> Option<u64> {
        Some(self.slots_per_epoch.0?.0).filter(|slots| EPOCH_SLOTS.contains(slots))
    }

    /// The chain id of the execution layer.
    pub(super) fn chain_id(&self) -> Option<u64> {
        Some(self.deposit_chain_id.0?.0)
    }
}

/// `node/peer_count`.
#[derive(Debug, Deserialize)]
pub(super) struct PeerCount {
    pub(super) connected: Decimal,
}

/// `node/version`.
#[derive(Debug, Deserialize)]
pub(super) struct Version<'a> {
    #[serde(borrow)]
    pub(super) version: Cow<'a, str>,
}

/// `node/identity`.
#[derive(Debug, Deserialize)]
pub(super) struct Identity<'a> {
    #[serde(borrow)]
    pub(super) peer_id: Cow<'a, str>,
}

/// A value, or `None` for whatever is not one: a key of another type must not take the others with it.
#[derive(Debug, Clone, Copy)]
struct Lenient<T>(Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// When slots and epochs are, as far as a node has told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Calendar {
    pub(super) genesis: Option<UnixTime>,
    pub(super) slot: Option<Duration>,
    pub(super) slots_per_epoch: Option<u64>,
}

impl Calendar {
    /// When a slot begins; a time beyond the year 9999 is none.
    pub(super) fn time_of(&self, slot: u64) -> Option<UnixTime> {
        let since = slot.checked_mul(u64::try_from(self.slot?.as_millis()).ok()?)?;
        let genesis = u64::try_from(self.genesis?.millis()).ok()?;
        let at = genesis.checked_add(since)?;
        Some(UnixTime::from_seconds(at / 1000)?.after(Duration::from_millis(at % 1000)))
    }

    /// The first slot of an epoch.
    pub(super) fn first_slot(&self, epoch: u64) -> Option<Height> {
        epoch.checked_mul(self.slots_per_epoch?).map(Height)
    }

    /// The length of an epoch.
    pub(super) fn epoch(&self) -> Option<Duration> {
        self.slot?.checked_mul(u32::try_from(self.slots_per_epoch?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> (Option<u128>, Option<u64>, Option<u64>) {
        let spec: Spec = serde_json::from_str(json).unwrap();
        (spec.slot().map(|slot| slot.as_millis()), spec.slots_per_epoch(), spec.chain_id())
    }

    #[test]
    fn the_newer_key_for_the_length_of_a_slot_counts_and_nonsense_is_unknown() {
        let both = r#"{"SECONDS_PER_SLOT":"12","SLOT_DURATION_MS":"6000","SLOTS_PER_EPOCH":"32","DEPOSIT_CHAIN_ID":"1",
            "BLOB_SCHEDULE":[{"EPOCH":"269568"}]}"#;
        assert_eq!(spec(both), (Some(6000), Some(32), Some(1)));
        assert_eq!(spec(r#"{"SECONDS_PER_SLOT":5,"SLOTS_PER_EPOCH":16}"#), (Some(5000), Some(16), None));
        assert_eq!(
            spec(r#"{"SECONDS_PER_SLOT":"0","SLOTS_PER_EPOCH":"0","DEPOSIT_CHAIN_ID":"0x1"}"#),
            (None, None, None)
        );
        assert_eq!(spec(r#"{"SLOT_DURATION_MS":["6000"],"SECONDS_PER_SLOT":"12"}"#).0, Some(12_000));
        assert_eq!(spec(r#"{"SECONDS_PER_SLOT":"18446744073709551615"}"#).0, None);
        assert_eq!(spec("{}"), (None, None, None));
    }

    #[test]
    fn what_is_followed_in_good_faith_is_not_in_sync() {
        let meaning = |json: &str| serde_json::from_str::<SyncState>(json).map(|state| state.meaning());
        let check = |json: &str, wanted: Syncing| assert_eq!(meaning(json).unwrap(), wanted, "{json}");
        check(r#"{"is_syncing":false}"#, Syncing::No);
        check(r#"{"is_syncing":false,"sync_distance":"2","is_optimistic":false,"el_offline":false}"#, Syncing::No);
        check(r#"{"is_syncing":true,"sync_distance":"249"}"#, Syncing::Yes { behind: Some(249) });
        check(r#"{"is_syncing":true,"sync_distance":249}"#, Syncing::Yes { behind: Some(249) });
        check(r#"{"is_syncing":true,"sync_distance":"-1"}"#, Syncing::Yes { behind: None });
        check(r#"{"is_syncing":false,"is_optimistic":true}"#, Syncing::Yes { behind: None });
        check(r#"{"is_syncing":false,"el_offline":true}"#, Syncing::Yes { behind: None });
        assert!(meaning(r#"{"sync_distance":"0"}"#).is_err() && meaning(r#"{"is_syncing":"false"}"#).is_err());
    }

    #[test]
    fn no_number_of_a_node_leads_out_of_time() {
        let time = |genesis, slot, millis| {
            let genesis = UnixTime::from_seconds(genesis);
            let calendar = Calendar { genesis, slot: Some(Duration::from_millis(millis)), slots_per_epoch: Some(32) };
            calendar.time_of(slot).map(UnixTime::millis)
        };
        assert_eq!(time(1_606_824_023, 1, 12_000), Some(1_606_824_035_000));
        assert_eq!(time(100, 3, 500), Some(101_500));
        assert_eq!((time(100, u64::MAX, 12_000), time(100, u64::MAX, 1)), (None, None));
        let calendar = Calendar { slots_per_epoch: Some(32), ..Calendar::default() };
        assert_eq!((calendar.first_slot(2), calendar.first_slot(u64::MAX)), (Some(Height(64)), None));
        assert_eq!((calendar.time_of(1), calendar.epoch()), (None, None));
    }
}
