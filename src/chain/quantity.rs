//! Integers as nodes write them, lengths of lists, and hashes, read strictly enough that nothing wrong passes for a number: a height of
//! zero that was never said is worse than no height.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Unexpected, Visitor},
};

use crate::model::BlockHash;

/// An unsigned 64-bit integer, written as a `0x` string (leading zeros and odd lengths are fine) or as a JSON number
/// without a fraction. Refused: negative, too large, with a fraction, `"0x"`, `""`, decimal strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity(pub u64);

/// An unsigned 64-bit integer, written as a string of decimal digits or as a JSON number without a fraction. Refused:
/// everything else, signs and spaces among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal(pub u64);

/// A 32-byte hash: `0x` and exactly 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub BlockHash);

/// A 20-byte address: `0x` and exactly 40 hexadecimal digits, in any case. Shown in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(alloy_primitives::Address);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A 32-byte hash as Bitcoin and its kin write it: exactly 64 hexadecimal digits and nothing before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BareHash(pub BlockHash);

/// The length of an array of any length, none of whose items is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64);

/// The integers that an `f64` holds exactly end here.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn from_hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    // The parser of the standard library would take a sign.
    let all_digits = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    all_digits.then(|| u64::from_str_radix(digits, 16).ok())?
}

struct QuantityVisitor;

impl Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an unsigned integer below 2^64, as a number or as a 0x string")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Quantity, E> {
        Ok(Quantity(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Quantity, E> {
        u64::try_from(number).map(Quantity).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
    fn visit_f64<E: Error>(self, number: f64) -> Result<Quantity, E> {
        let whole = (0.0..EXACT).contains(&number) && number.fract() == 0.0;
        whole.then_some(Quantity(number as u64)).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Quantity, E> {
        from_hex(text).map(Quantity).ok_or_else(|| E::custom("not a 0x quantity"))
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

struct DecimalVisitor;

impl Visitor<'_> for DecimalVisitor {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an unsigned integer below 2^64, as a decimal string or as a number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Decimal, E> {
        Ok(Decimal(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Decimal, E> {
        // The parser of the standard library would take a sign.
        let all_digits = text.bytes().all(|digit| digit.is_ascii_digit());
        let number = all_digits.then(|| text.parse().ok()).flatten();
        number.map(Decimal).ok_or_else(|| E::custom("not a decimal quantity"))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DecimalVisitor)
    }
}

struct HashVisitor;

impl Visitor<'_> for HashVisitor {
    type Value = Hash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hash: 0x and 64 hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Hash, E> {
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 64);
        let bytes = digits.and_then(|digits| digits.parse::<alloy_primitives::B256>().ok());
        bytes.map(|bytes| Hash(BlockHash(bytes.0))).ok_or_else(|| E::custom("not a 32-byte hash"))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HashVisitor)
    }
}

struct AddressVisitor;

impl Visitor<'_> for AddressVisitor {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address: 0x and 40 hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Address, E> {
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40);
        let address = digits.and_then(|digits| digits.parse().ok());
        address.map(Address).ok_or_else(|| E::custom("not a 20-byte address"))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AddressVisitor)
    }
}

struct BareHashVisitor;

impl Visitor<'_> for BareHashVisitor {
    type Value = BareHash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hash: 64 hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<BareHash, E> {
        // The parser would take a prefix in place of digits.
        let digits = Some(text).filter(|text| text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let bytes = digits.and_then(|digits| digits.parse::<alloy_primitives::B256>().ok());
        bytes.map(|bytes| BareHash(BlockHash(bytes.0))).ok_or_else(|| E::custom("not a 32-byte hash"))
    }
}

impl<'de> Deserialize<'de> for BareHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(BareHashVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
        let mut count: u64 = 0;
        while items.next_element::<IgnoredAny>()?.is_some() {
            count = count.saturating_add(1);
        }
        Ok(Count(count))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CountVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(json: &str) -> Option<u64> {
        serde_json::from_str::<Quantity>(json).ok().map(|quantity| quantity.0)
    }

    #[test]
    fn quantities_are_read_in_every_spelling_that_real_nodes_use() {
        for (json, wanted) in [
            (r#""0x0""#, 0),
            (r#""0x1b4""#, 436),
            (r#""0x00000014""#, 20),
            (r#""0XfF""#, 255),
            (r#""0xffffffffffffffff""#, u64::MAX),
            ("3", 3),
            ("3.0", 3),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(quantity(json), Some(wanted), "{json}");
        }
    }

    #[test]
    fn what_is_not_a_quantity_is_never_taken_for_one() {
        let strings = [r#""""#, r#""0x""#, r#""16""#, r#""0x+1""#, r#""0x-1""#, r#""0x1_0""#, r#""0xg""#, r#"" 0x1""#];
        let others =
            ["-1", "1.5", "1e30", "18446744073709551616", "null", "true", "[]", "{}", r#""0x10000000000000000""#];
        for json in strings.into_iter().chain(others) {
            assert_eq!(quantity(json), None, "{json}");
        }
    }

    #[test]
    fn decimal_quantities_are_digits_and_nothing_else() {
        let decimal = |json: &str| serde_json::from_str::<Decimal>(json).ok().map(|decimal| decimal.0);
        for (json, wanted) in [
            (r#""0""#, Some(0)),
            (r#""9123456""#, Some(9_123_456)),
            (r#""007""#, Some(7)),
            (r#""18446744073709551615""#, Some(u64::MAX)),
            ("7", Some(7)),
            (r#""18446744073709551616""#, None),
            (r#""""#, None),
            (r#""+7""#, None),
            (r#""0x7""#, None),
            (r#"" 7""#, None),
            ("-7", None),
            ("7.0", None),
            ("null", None),
        ] {
            assert_eq!(decimal(json), wanted, "{json}");
        }
    }

    #[test]
    fn only_the_length_of_an_array_is_read() {
        let count = |json: &str| serde_json::from_str::<Count>(json).ok().map(|count| count.0);
        assert_eq!([count("[]"), count(r#"["0x28",["deep"],null]"#)], [Some(0), Some(3)]);
        assert_eq!([count(r#"{"a":1}"#), count("3"), count("null"), count("[1,")], [None; 4]);
    }

    #[test]
    fn a_hash_has_exactly_32_bytes() {
        let digits = "ab".repeat(32);
        let hash = |text: &str| serde_json::from_str::<Hash>(&format!("\"{text}\"")).ok();
        assert_eq!(hash(&format!("0x{digits}")), Some(Hash(BlockHash([0xab; 32]))));
        for wrong in [
            digits.clone(),
            format!("0x{}", &digits[1..]),
            format!("0x{digits}0"),
            "0x".to_owned(),
            format!("0x0x{}", &digits[2..]),
        ] {
            assert_eq!(hash(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_bare_hash_has_no_prefix() {
        let digits = "aB".repeat(32);
        let hash = |text: &str| serde_json::from_str::<BareHash>(&format!("\"{text}\"")).ok();
        assert_eq!(hash(&digits), Some(BareHash(BlockHash([0xab; 32]))));
        for wrong in [format!("0x{digits}"), format!("0x{}", &digits[2..]), digits[1..].to_owned(), String::new()] {
            assert_eq!(hash(&wrong), None, "{wrong}");
        }
    }
}
