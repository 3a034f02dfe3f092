//! The answers of an execution client: only the fields that are used, read in one pass without building the rest.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

use crate::{
    chain::quantity::{Count, Hash, Quantity},
    model::{BlockHash, Height, UnixTime},
    observation::{Head, Syncing},
};

/// A block. Number and hash must be there; the other fields may be missing on unusual chains, but not be nonsense.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Block {
    number: Quantity,
    hash: Hash,
    #[serde(default, rename = "parentHash")]
    parent_hash: Option<Hash>,
    #[serde(default)]
    timestamp: Option<Quantity>,
    #[serde(default)]
    transactions: Option<Count>,
}

impl Block {
    pub(super) fn height(&self) -> Height {
        Height(self.number.0)
    }

    pub(super) fn hash(&self) -> BlockHash {
        self.hash.0
    }

    /// Seconds since the epoch by the rules of the protocol; a time beyond the year 9999 is none.
    pub(super) fn time(&self) -> Option<UnixTime> {
        UnixTime::from_seconds(self.timestamp?.0)
    }

    pub(super) fn head(&self) -> Head {
        Head {
            height: self.height(),
            hash: Some(self.hash()),
            parent: self.parent_hash.map(|hash| hash.0),
            time: self.time(),
            transactions: self.transactions.map(|count| count.0),
        }
    }
}

/// The answer to `txpool_status`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Backlog {
    /// Transactions that the next block could take.
    pub(super) pending: Quantity,
}

/// The answer to `eth_syncing`: false, true, null, or an object in which every field may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SyncAnswer {
    Done,
    Silent,
    Busy { current: Option<u64>, highest: Option<u64>, staged: bool },
}

impl SyncAnswer {
    /// How far behind a staged client is cannot be told while its counters agree: reth writes the current block as the
    /// highest one for the whole of its synchronisation.
    pub(super) fn meaning(self) -> Syncing {
        match self {
            Self::Done => Syncing::No,
            Self::Silent => Syncing::Unknown,
            Self::Busy { current: Some(current), highest: Some(highest), staged } if !staged || current < highest => {
                Syncing::Yes { behind: Some(highest.saturating_sub(current)) }
            }
            Self::Busy { .. } => Syncing::Yes { behind: None },
        }
    }
}

impl<'de> Deserialize<'de> for SyncAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sync;
        impl<'de> Visitor<'de> for Sync {
            type Value = SyncAnswer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a boolean, null or an object")
            }

            fn visit_bool<E: Error>(self, syncing: bool) -> Result<SyncAnswer, E> {
                let busy = SyncAnswer::Busy { current: None, highest: None, staged: false };
                Ok(if syncing { busy } else { SyncAnswer::Done })
            }

            fn visit_unit<E: Error>(self) -> Result<SyncAnswer, E> {
                Ok(SyncAnswer::Silent)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SyncAnswer, A::Error> {
                let (mut current, mut highest, mut staged) = (None, None, false);
                while let Some(key) = map.next_key::<Key>()? {
                    match key {
                        Key::CurrentBlock | Key::MsgCount => current = map.next_value::<Lenient>()?.0,
                        Key::HighestBlock | Key::MaxMessageCount => highest = map.next_value::<Lenient>()?.0,
                        Key::Stages => {
                            staged = true;
                            map.next_value::<IgnoredAny>()?;
                        }
                        Key::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(SyncAnswer::Busy { current, highest, staged })
            }
        }
        deserializer.deserialize_any(Sync)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Key {
    CurrentBlock,
    HighestBlock,
    /// Arbitrum counts messages, each of which becomes a block.
    MsgCount,
    MaxMessageCount,
    Stages,
    #[serde(other)]
    Other,
}

/// A quantity, or `None` for whatever is not one: the fields of this hint have no agreed type.
struct Lenient(Option<u64>);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str::<Quantity>(raw.get()).ok().map(|quantity| quantity.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syncing(json: &str) -> Option<Syncing> {
        serde_json::from_str::<SyncAnswer>(json).ok().map(SyncAnswer::meaning)
    }

    #[test]
    fn every_shape_of_the_answer_about_synchronisation_is_understood() {
        for (json, wanted) in [
            ("false", Syncing::No),
            ("true", Syncing::Yes { behind: None }),
            ("null", Syncing::Unknown),
            (r#"{"currentBlock":"0xcf","startingBlock":"0x1"}"#, Syncing::Yes { behind: None }),
            (
                r#"{"currentBlock":"0x10","highestBlock":"0x20","pulledStates":"0x1"}"#,
                Syncing::Yes { behind: Some(16) },
            ),
            (r#"{"currentBlock":16,"highestBlock":32}"#, Syncing::Yes { behind: Some(16) }),
            (
                r#"{"currentBlock":"0x20","highestBlock":"0x20","txIndexRemainingBlocks":"0x9"}"#,
                Syncing::Yes { behind: Some(0) },
            ),
            (
                r#"{"currentBlock":"0x20","highestBlock":"0x20","stages":[{"name":"Headers","block":"0x20"}]}"#,
                Syncing::Yes { behind: None },
            ),
            (r#"{"msgCount":7,"maxMessageCount":9,"blockNum":3}"#, Syncing::Yes { behind: Some(2) }),
            (r#"{"currentBlock":"0x30","highestBlock":"0x20"}"#, Syncing::Yes { behind: Some(0) }),
            (r#"{"currentBlock":{},"highestBlock":null}"#, Syncing::Yes { behind: None }),
        ] {
            assert_eq!(syncing(json), Some(wanted), "{json}");
        }
        assert_eq!((syncing("7"), syncing("\"no\"")), (None, None));
    }

    #[test]
    fn a_block_needs_number_and_hash_and_counts_what_it_does_not_read() {
        let hash = format!("0x{}", "11".repeat(32));
        let block = |rest: &str| serde_json::from_str::<Block>(&format!(r#"{{"hash":"{hash}"{rest}}}"#));
        let full =
            block(r#","number":"0x7","timestamp":"0x65","transactions":["0x1",{"deep":[[1]]},null]"#).unwrap().head();
        assert_eq!((full.height, full.transactions, full.parent), (Height(7), Some(3), None));
        assert_eq!(full.time, UnixTime::from_seconds(0x65));
        assert_eq!(block(r#","number":"0x7""#).unwrap().head().transactions, None);
        for wrong in ["", r#","number":null"#, r#","number":"7""#, r#","number":"0x7","timestamp":"soon""#] {
            assert!(block(wrong).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Block>("{}").is_err());
        assert!(serde_json::from_str::<Block>(r#"{"number":"0x7","hash":null}"#).is_err());
    }
}

/// An independent reader of the same blocks, and bytes that are nothing at all.
#[cfg(test)]
mod against_others {
    use ethers_core::types::{Block as Oracle, H256, U64};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn hex_hash() -> impl Strategy<Value = String> {
        any::<[u8; 32]>().prop_map(|bytes| BlockHash(bytes).to_string())
    }

    fn quantity() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0..1000_u64, Just(u64::MAX), Just(0)]
    }

    prop_compose! {
        /// A well-formed block with everything an Ethereum header has.
        fn block()(
            number in quantity(),
            timestamp in quantity(),
            [hash, parent, other] in [hex_hash(), hex_hash(), hex_hash()],
            transactions in prop::collection::vec(hex_hash(), 0..5),
            padding in 1..=16_usize,
            extra in any::<bool>(),
        ) -> Value {
            let mut block = json!({
                "number": format!("0x{number:0padding$x}"), "timestamp": format!("{timestamp:#x}"),
                "hash": hash, "parentHash": parent, "transactions": transactions, "uncles": [],
                "sha3Uncles": other, "stateRoot": other, "transactionsRoot": other, "receiptsRoot": other,
                "miner": format!("0x{}", "ab".repeat(20)), "logsBloom": format!("0x{}", "00".repeat(256)),
                "difficulty": "0x0", "gasLimit": "0x1c9c380", "gasUsed": "0x0", "extraData": "0x", "size": "0x224",
                "nonce": "0x0000000000000000", "mixHash": other, "totalDifficulty": "0x0",
            });
            if extra {
                block["sendRoot"] = json!(block["hash"]);
                block["l1BlockNumber"] = json!("0x7");
            }
            block
        }
    }

    proptest! {
        #[test]
        fn we_read_a_block_as_another_library_does(block in block()) {
            let oracle: Oracle<H256> = serde_json::from_value(block.clone()).unwrap();
            let text = block.to_string();
            let ours: Block = serde_json::from_str(&text).unwrap();
            let head = ours.head();
            prop_assert_eq!(Some(U64::from(head.height.0)), oracle.number);
            prop_assert_eq!(head.hash.map(|hash| H256(hash.0)), oracle.hash);
            prop_assert_eq!(head.parent.map(|hash| H256(hash.0)), Some(oracle.parent_hash));
            prop_assert_eq!(head.transactions, Some(oracle.transactions.len() as u64));
            // Beyond the year 9999 we believe no time at all.
            if let Some(time) = head.time {
                prop_assert_eq!(time.millis() / 1000, i64::try_from(oracle.timestamp.as_u64()).unwrap());
            } else {
                prop_assert!(oracle.timestamp.as_u64() > 253_402_300_799);
            }
        }

        #[test]
        fn a_quantity_that_another_library_reads_is_the_same_for_us(text in "0x[0-9a-fA-F]{1,20}") {
            let json = format!("\"{text}\"");
            let ours = serde_json::from_str::<Quantity>(&json).ok().map(|quantity| quantity.0);
            // Whatever it takes, we take, and for the same number; it does not take long runs of leading zeros.
            if let Ok(oracle) = serde_json::from_str::<U64>(&json) {
                prop_assert_eq!(ours, Some(oracle.as_u64()));
            }
        }

        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,80}") {
            let _ = serde_json::from_str::<Block>(&text);
            let _ = serde_json::from_str::<SyncAnswer>(&text);
            let _ = serde_json::from_str::<Backlog>(&text);
        }
    }
}
