//! The answers of a Substrate node: only the fields that are used. Numbers of headers are `0x` strings, those of the
//! state of synchronisation and of votes are plain; both are read in either form.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

use crate::{
    chain::quantity::{Hash, Quantity},
    model::{BlockHash, Height, UnixTime},
    observation::{ABSENT, clean_text},
};

/// Longest name of a validator that is kept, in bytes: an SS58 address has 48 or 49.
const MAX_NAME: usize = 64;

/// Rounds of GRANDPA that are looked at beside the best: a node lists those that are not concluded yet.
const MAX_ROUNDS: usize = 8;

/// The answer to `chain_getHeader`. It tells neither the hash of the block nor its time.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Header {
    number: Quantity,
    #[serde(default, rename = "parentHash")]
    parent: Option<Hash>,
}

impl Header {
    pub(super) fn height(&self) -> Height {
        Height(self.number.0)
    }

    /// The first block has a parent of zeros, or of whatever its makers liked.
    pub(super) fn parent(&self) -> Option<BlockHash> {
        self.parent.map(|hash| hash.0).filter(|_| self.number.0 != 0)
    }
}

/// The answer to `system_health`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    #[serde(default)]
    peers: Option<Quantity>,
    #[serde(default)]
    pub(super) is_syncing: Option<bool>,
    #[serde(default)]
    should_have_peers: Option<bool>,
}

impl Health {
    /// A node that is to have no peers, as in development, and has none says nothing by that.
    pub(super) fn peers(&self) -> Option<u64> {
        let peers = self.peers?.0;
        (peers != 0 || self.should_have_peers != Some(false)).then_some(peers)
    }
}

/// The answer to `system_syncState`. The highest block may be null, or one that was passed long ago.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SyncState {
    current_block: Quantity,
    #[serde(default)]
    highest_block: Option<Quantity>,
}

impl SyncState {
    /// Blocks still missing, if the node knows of any.
    pub(super) fn behind(&self) -> Option<u64> {
        self.highest_block?.0.checked_sub(self.current_block.0).filter(|behind| *behind != 0)
    }
}

/// The answer to `state_getRuntimeVersion`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Runtime<'a> {
    #[serde(borrow)]
    pub(super) spec_name: Cow<'a, str>,
    pub(super) spec_version: Quantity,
}

/// The value of `Timestamp.Now` in storage: milliseconds since 1970 as eight bytes, the lowest first, in hexadecimal.
/// `None` for anything else, and for times beyond the year 9999.
pub(super) fn moment(text: &str) -> Option<UnixTime> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 16)?;
    let bytes: [u8; 8] = alloy_primitives::hex::decode(digits).ok()?.try_into().ok()?;
    let millis = u64::from_le_bytes(bytes);
    UnixTime::from_seconds(millis / 1000)?;
    i64::try_from(millis).ok().map(UnixTime::from_millis)
}

/// A text that names a libp2p peer, by which a node can be told from every other: Ed25519 and secp256k1 keys, and hashes
/// of longer ones. Chopsticks, which is no peer of anybody, gives the same address of an account everywhere.
pub(super) fn is_peer_id(text: &str) -> bool {
    let known = ["12D3KooW", "16Uiu2HA", "Qm"].iter().any(|start| text.starts_with(start));
    known && (40..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The answer to `grandpa_roundState`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoundState {
    set_id: Quantity,
    best: Round,
    #[serde(default)]
    background: Rounds,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    round: Quantity,
    total_weight: Quantity,
    threshold_weight: Quantity,
    prevotes: Votes,
    precommits: Votes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Votes {
    current_weight: Quantity,
    #[serde(default)]
    missing: Names,
}

impl RoundState {
    /// Which round is voted on: of which set of voters, and its number.
    pub(super) fn round(&self) -> (u64, u64) {
        (self.set_id.0, self.best.round.0)
    }

    /// Weight of all voters.
    pub(super) fn total(&self) -> u64 {
        self.best.total_weight.0
    }

    /// Weight that voted, per mille of all. A round that has just begun holds few votes, so the fullest of all tells; if
    /// that is not enough to finalise, it tells something only if the round `stands` where it stood long before.
    pub(super) fn participation(&self, stands: bool) -> Option<u16> {
        let fullest =
            self.rounds().flat_map(|round| [&round.prevotes, &round.precommits]).map(|it| it.current_weight.0);
        let weight = fullest.max()?.min(self.total());
        let told = stands || self.best.threshold_weight.0 <= weight;
        let per_mille = u128::from(weight) * 1000 / u128::from(self.total().max(1));
        u16::try_from(per_mille).ok().filter(|_| told && self.total() != 0)
    }

    /// Who has not voted in the round that is voted on.
    pub(super) fn missing(&self) -> Vec<Arc<str>> {
        let Round { prevotes, precommits, .. } = &self.best;
        let fuller = if prevotes.current_weight.0 < precommits.current_weight.0 { precommits } else { prevotes };
        fuller.missing.0.clone()
    }

    /// The rounds of the same set of voters.
    fn rounds(&self) -> impl Iterator<Item = &Round> {
        let same = |round: &&Round| round.total_weight.0 == self.best.total_weight.0;
        std::iter::once(&self.best).chain(self.background.0.iter().filter(same))
    }
}

/// The first names of a list of any length, cleaned.
#[derive(Debug, Default)]
struct Names(Vec<Arc<str>>);

/// The first rounds of a list of any length.
#[derive(Debug, Default)]
struct Rounds(Vec<Round>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = deserializer.deserialize_seq(First::<Cow<'de, str>>::new(ABSENT))?;
        Ok(Self(names.iter().map(|name| clean_text(name, MAX_NAME).into()).collect()))
    }
}

impl<'de> Deserialize<'de> for Rounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(First::<Round>::new(MAX_ROUNDS)).map(Self)
    }
}

/// Reads the first items of an array and skips the others.
struct First<T> {
    limit: usize,
    items: Vec<T>,
}

impl<T> First<T> {
    fn new(limit: usize) -> Self {
        Self { limit, items: Vec::new() }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut all: A) -> Result<Vec<T>, A::Error> {
        while self.items.len() < self.limit {
            match all.next_element()? {
                Some(item) => self.items.push(item),
                None => return Ok(self.items),
            }
        }
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_eight_bytes_with_the_lowest_first() {
        let shown = |text| moment(text).map(|time| time.to_string());
        assert_eq!(shown("0xd0b1a4c58f010000").as_deref(), Some("2024-05-29T18:37:36.080Z"));
        assert_eq!(shown("0x0000000000000000").as_deref(), Some("1970-01-01T00:00:00.000Z"));
        for wrong in [
            "",
            "0x",
            "d0b1a4c58f010000",
            "0xd0b1a4c58f0100",
            "0xd0b1a4c58f01000000",
            "0xffffffffffffffff",
            "0x+0b1a4c58f010000",
        ] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn peers_count_only_where_there_should_be_some() {
        for (json, wanted) in [
            (r#"{"peers":38,"isSyncing":false,"shouldHavePeers":true}"#, Some(38)),
            (r#"{"peers":0,"isSyncing":false,"shouldHavePeers":true}"#, Some(0)),
            (r#"{"peers":0,"isSyncing":false,"shouldHavePeers":false}"#, None),
            (r#"{"peers":2,"isSyncing":false,"shouldHavePeers":false}"#, Some(2)),
            (r#"{"peers":0}"#, Some(0)),
            (r#"{"isSyncing":true}"#, None),
        ] {
            assert_eq!(serde_json::from_str::<Health>(json).unwrap().peers(), wanted, "{json}");
        }
    }

    #[test]
    fn how_far_behind_is_told_only_by_a_goal_that_is_ahead() {
        for (json, wanted) in [
            (r#"{"startingBlock":0,"currentBlock":50,"highestBlock":128}"#, Some(78)),
            (r#"{"startingBlock":0,"currentBlock":50,"highestBlock":50}"#, None),
            (r#"{"startingBlock":0,"currentBlock":50,"highestBlock":7}"#, None),
            (r#"{"startingBlock":0,"currentBlock":50,"highestBlock":null}"#, None),
            (r#"{"startingBlock":"0x0","currentBlock":"0x32","highestBlock":"0x80"}"#, Some(78)),
        ] {
            assert_eq!(serde_json::from_str::<SyncState>(json).unwrap().behind(), wanted, "{json}");
        }
    }

    fn state(prevotes: u64, precommits: u64, background: &str) -> RoundState {
        let json = format!(
            r#"{{"setId":8,"best":{{"round":4711,"totalWeight":300,"thresholdWeight":201,
            "prevotes":{{"currentWeight":{prevotes},"missing":["5F","5G"]}},
            "precommits":{{"currentWeight":{precommits},"missing":["5F","5G","5H"]}}}},"background":[{background}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn votes_are_counted_where_enough_are_in_or_where_they_stay_away() {
        let before = r#"{"round":4710,"totalWeight":300,"thresholdWeight":201,"prevotes":{"currentWeight":297},
            "precommits":{"currentWeight":291,"missing":[]}}"#;
        let told = |state: RoundState, stands| state.participation(stands);
        assert_eq!(told(state(290, 12, ""), false), Some(966), "the precommits have only begun");
        assert_eq!(told(state(3, 0, before), false), Some(990), "the round before is still listed");
        assert_eq!(told(state(3, 0, ""), false), None, "a round that has only begun tells nothing");
        assert_eq!(told(state(180, 0, ""), true), Some(600), "a round that stands still tells who is there");
        assert_eq!(told(state(900, 0, ""), false), Some(1000));
        assert_eq!(state(290, 12, "").missing(), ["5F".into(), "5G".into()]);
    }

    #[test]
    fn of_long_lists_only_the_first_items_are_kept() {
        let names: Names = serde_json::from_str(&format!("[{}\"5F\"]", "\"5E\u{202e}\",".repeat(100_000))).unwrap();
        assert_eq!((names.0.len(), &*names.0[0]), (ABSENT, "5E "));
    }

    #[test]
    fn only_a_peer_of_a_network_has_the_name_of_one() {
        assert!(is_peer_id("12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"));
        assert!(is_peer_id("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"));
        assert!(!is_peer_id("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"));
        assert!(!is_peer_id("12D3KooW") && !is_peer_id(""));
    }
}
