//! The answers of a CometBFT node: only the fields that are used. Integers of 64 bits are decimal strings there, hashes
//! and addresses upper-case hexadecimal digits without a prefix, times RFC 3339 with up to nine digits of a fraction
//! (CometBFT `libs/json`, `rpc/core/types/responses.go`).

use std::{borrow::Cow, collections::VecDeque, fmt, marker::PhantomData, time::UNIX_EPOCH};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Unexpected, Visitor},
};

use crate::model::{BlockHash, UnixTime};

/// An unsigned 64-bit integer, written as a decimal string or as a JSON number. Refused: signs, fractions, what is too
/// large, nothing at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decimal(pub u64);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an unsigned integer below 2^64, as a number or as a decimal string")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Decimal, E> {
                Ok(Decimal(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Decimal, E> {
                let number = decimal(text).map(Decimal);
                number.ok_or_else(|| E::invalid_value(Unexpected::Other("another text"), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// The number that a text of digits stands for.
pub(super) fn decimal(text: &str) -> Option<u64> {
    // The parser of the standard library would take a sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// A hash, or the empty text that stands for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct HexHash(pub(super) Option<BlockHash>);

impl<'de> Deserialize<'de> for HexHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        let hash = hash(text.as_bytes()).ok_or_else(|| D::Error::custom("not 64 hexadecimal digits"))?;
        Ok(Self(Some(hash)))
    }
}

fn hash(digits: &[u8]) -> Option<BlockHash> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<_>>()?;
    rest.is_empty().then(|| bytes.try_into().ok().map(BlockHash))?
}

/// A time; the unset one of the year 1, the one before the first block, and what cannot be read are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Instant(pub(super) Option<UnixTime>);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let ms = time.and_then(|time| i64::try_from(time.as_millis()).ok()).filter(|ms| *ms != 0);
        Ok(Self(ms.map(UnixTime::from_millis)))
    }
}

/// The last `N` items of an array, which may be `null`; those before them are skipped.
#[derive(Debug)]
pub(super) struct Last<T, const N: usize>(pub(super) VecDeque<T>);

impl<T, const N: usize> Default for Last<T, N> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Last<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Items<T, N> {
            type Value = Last<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array or null")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut last = VecDeque::new();
                while let Some(item) = items.next_element()? {
                    if last.len() == N {
                        last.pop_front();
                    }
                    last.push_back(item);
                }
                Ok(Last(last))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Last::default())
            }
        }
        deserializer.deserialize_any(Items(PhantomData))
    }
}

/// The answer to `status`.
#[derive(Debug, Deserialize)]
pub(super) struct Status<'a> {
    #[serde(borrow)]
    pub(super) node_info: NodeInfo<'a>,
    pub(super) sync_info: SyncInfo,
    #[serde(default)]
    pub(super) validator_info: Option<ValidatorInfo>,
}

/// Who a node is.
#[derive(Debug, Deserialize)]
pub(super) struct NodeInfo<'a> {
    /// Its key as the other nodes know it.
    #[serde(default, borrow)]
    pub(super) id: Cow<'a, str>,
    /// The chain id.
    #[serde(borrow)]
    pub(super) network: Cow<'a, str>,
    /// The version of the consensus engine.
    #[serde(default, borrow)]
    pub(super) version: Cow<'a, str>,
}

/// How far a node is.
#[derive(Debug, Deserialize)]
pub(super) struct SyncInfo {
    pub(super) latest_block_height: Decimal,
    #[serde(default)]
    pub(super) latest_block_hash: HexHash,
    #[serde(default)]
    pub(super) latest_block_time: Instant,
    #[serde(default)]
    pub(super) earliest_block_height: Decimal,
    #[serde(default)]
    pub(super) earliest_block_hash: HexHash,
    #[serde(default)]
    pub(super) catching_up: Option<bool>,
}

/// A node as a validator.
#[derive(Debug, Deserialize)]
pub(super) struct ValidatorInfo {
    #[serde(default)]
    pub(super) voting_power: Option<Decimal>,
}

/// The answer to `num_unconfirmed_txs`: `n_txs` is only what the answer lists.
#[derive(Debug, Deserialize)]
pub(super) struct Backlog {
    pub(super) total: Decimal,
}

/// The answer to `net_info`, of which the long part is skipped.
#[derive(Debug, Deserialize)]
pub(super) struct NetInfo {
    pub(super) n_peers: Decimal,
}

/// The answer to `abci_info`.
#[derive(Debug, Deserialize)]
pub(super) struct AbciInfo<'a> {
    #[serde(borrow)]
    pub(super) response: Application<'a>,
}

/// What runs above the consensus engine.
#[derive(Debug, Deserialize)]
pub(super) struct Application<'a> {
    /// Its name.
    #[serde(default, borrow)]
    pub(super) data: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) version: Cow<'a, str>,
}

/// The answer to `blockchain`: headers, newest first.
#[derive(Debug, Deserialize)]
pub(super) struct Headers<'a> {
    #[serde(default, borrow)]
    pub(super) block_metas: Last<Meta<'a>, 20>,
}

/// A header and what is known of its block.
#[derive(Debug, Deserialize)]
pub(super) struct Meta<'a> {
    pub(super) block_id: BlockId,
    #[serde(borrow)]
    pub(super) header: Header<'a>,
    #[serde(default)]
    pub(super) num_txs: Option<Decimal>,
}

/// What a block is called.
#[derive(Debug, Deserialize)]
pub(super) struct BlockId {
    pub(super) hash: HexHash,
}

/// A header.
#[derive(Debug, Deserialize)]
pub(super) struct Header<'a> {
    pub(super) height: Decimal,
    #[serde(default)]
    pub(super) time: Instant,
    #[serde(default)]
    pub(super) last_block_id: Option<BlockId>,
    #[serde(default, borrow)]
    pub(super) evidence_hash: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn integers_are_strings_or_numbers_and_nothing_else() {
        for (json, wanted) in [
            (r#""0""#, Some(0)),
            (r#""123""#, Some(123)),
            ("7", Some(7)),
            (r#""18446744073709551615""#, Some(u64::MAX)),
            (r#""18446744073709551616""#, None),
            (r#""-1""#, None),
            (r#""+1""#, None),
            (r#""0x1""#, None),
            (r#""""#, None),
            (r#"" 1""#, None),
            ("-1", None),
            ("1.5", None),
            ("null", None),
            ("[]", None),
        ] {
            assert_eq!(read::<Decimal>(json).map(|it| it.0), wanted, "{json}");
        }
    }

    #[test]
    fn a_hash_is_64_digits_or_nothing() {
        let digits = "aB".repeat(32);
        assert_eq!(read::<HexHash>(&format!("\"{digits}\"")), Some(HexHash(Some(BlockHash([0xab; 32])))));
        assert_eq!(read::<HexHash>(r#""""#), Some(HexHash(None)));
        for wrong in [&digits[1..], &format!("{digits}0"), &format!("0x{}", &digits[2..]), "nonsense"] {
            assert_eq!(read::<HexHash>(&format!("\"{wrong}\"")), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_that_means_none_is_none() {
        for (text, wanted) in [
            ("2026-11-21T19:37:43.403443874Z", Some(1_795_289_863_403)),
            ("2026-11-21T19:37:43Z", Some(1_795_289_863_000)),
            ("1970-01-01T00:00:00Z", None),
            ("0001-01-01T00:00:00Z", None),
            ("soon", None),
            ("", None),
        ] {
            let time = read::<Instant>(&format!("\"{text}\"")).unwrap().0;
            assert_eq!(time, wanted.map(UnixTime::from_millis), "{text}");
        }
    }

    #[test]
    fn of_an_endless_list_only_the_end_is_kept() {
        let list = format!("[{}9]", "1,".repeat(10_000));
        assert_eq!(read::<Last<u64, 3>>(&list).unwrap().0, [1, 1, 9]);
        assert!(read::<Last<u64, 3>>("null").unwrap().0.is_empty());
    }
}
