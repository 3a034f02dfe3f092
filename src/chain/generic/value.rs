//! Values as servers write them: numbers as numbers, decimal or hexadecimal texts; times as counts of some unit or as
//! texts; hashes in hexadecimal or base64. Strict enough that nothing wrong passes for a number.

use std::{borrow::Cow, fmt, time::UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::spec::Kind;
use crate::{
    chain::quantity::Quantity,
    model::{BlockHash, UnixTime},
};

/// Longest number, hash or time, in bytes of JSON.
const MAX_SCALAR: usize = 128;

/// How a value is written, where that does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it shows: `7`, `"7"`, `"0x7"`; times in seconds or by RFC 3339; hashes in hexadecimal.
    Any,
    /// The number of elements of an array or object.
    Count,
    /// Hexadecimal digits, with or without `0x`.
    Hex,
    /// Base64, of a hash.
    Base64,
    /// Seconds since the epoch.
    Seconds,
    /// Milliseconds since the epoch.
    Millis,
    /// Microseconds since the epoch.
    Micros,
    /// Nanoseconds since the epoch.
    Nanos,
}

impl Form {
    /// Those that are written.
    const NAMED: [(&'static str, Self); 7] = [
        ("count", Self::Count),
        ("hex", Self::Hex),
        ("base64", Self::Base64),
        ("s", Self::Seconds),
        ("ms", Self::Millis),
        ("us", Self::Micros),
        ("ns", Self::Nanos),
    ];

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(name, _)| *name == word).map(|(_, form)| *form)
    }

    /// The words for people.
    pub(super) fn words() -> String {
        Self::NAMED.map(|(name, _)| name).join(", ")
    }

    /// Whether values of this kind are ever written so.
    pub(super) fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Any => true,
            Self::Count | Self::Hex => kind == Kind::Number,
            Self::Base64 => kind == Kind::Hash,
            Self::Seconds | Self::Millis | Self::Micros | Self::Nanos => kind == Kind::Time,
        }
    }

    fn per_second(self) -> u64 {
        match self {
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
            _ => 1,
        }
    }
}

/// A whole number of 64 bits that is not negative.
pub(super) fn number(json: &str, form: Form) -> Option<u64> {
    if form == Form::Count {
        return count(json);
    }
    if MAX_SCALAR < json.len() {
        return None;
    }
    if !json.starts_with('"') {
        return serde_json::from_str::<Quantity>(json).ok().map(|quantity| quantity.0).filter(|_| form != Form::Hex);
    }
    let text = text(json)?;
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let digits = |text: &str, radix: u32| {
        // The parser of the standard library would take a sign.
        let all_digits = text.chars().all(|digit| digit.is_digit(radix));
        all_digits.then(|| u64::from_str_radix(text, radix).ok())?
    };
    match (hex, form) {
        (Some(hex), _) => digits(hex, 16),
        (None, Form::Hex) => digits(&text, 16),
        (None, _) => digits(&text, 10),
    }
}

/// A point in time; beyond the year 9999 it is none.
pub(super) fn time(json: &str, form: Form) -> Option<UnixTime> {
    match number(json, form) {
        Some(ticks) => {
            let millis = u128::from(ticks) * 1000 / u128::from(form.per_second());
            // Seconds decide whether it is believed at all, the rest is put on top.
            let whole = UnixTime::from_seconds(u64::try_from(millis / 1000).ok()?)?;
            let rest = i64::try_from(millis % 1000).ok()?;
            Some(UnixTime::from_millis(whole.millis().saturating_add(rest)))
        }
        None if form == Form::Any && json.len() <= MAX_SCALAR => written_time(&text(json)?),
        None => None,
    }
}

/// A time by RFC 3339, with `Z` or an offset.
fn written_time(text: &str) -> Option<UnixTime> {
    let date = text.get(..11).filter(|_| text.is_ascii())?;
    let rest = &text[11..];
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => return None,
    };
    let ahead = match offset {
        "Z" | "z" => 0,
        _ => minutes_ahead(offset)?,
    };
    let since = humantime::parse_rfc3339(&format!("{date}{clock}Z")).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let millis = i64::try_from(since.as_millis()).ok()?.checked_sub(ahead * 60_000)?;
    (0 <= millis).then(|| UnixTime::from_millis(millis))
}

/// `+08:00` in minutes.
fn minutes_ahead(offset: &str) -> Option<i64> {
    let (sign, clock) = offset.split_at_checked(1)?;
    let (hours, minutes) = clock.split_once(':')?;
    let number = |text: &str, most: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| is_number && *number <= most)
    };
    let ahead = number(hours, 23)? * 60 + number(minutes, 59)?;
    Some(if sign == "-" { -ahead } else { ahead })
}

/// A hash of 32 bytes.
pub(super) fn hash(json: &str, form: Form) -> Option<BlockHash> {
    if MAX_SCALAR < json.len() {
        return None;
    }
    let text = text(json).filter(|_| json.starts_with('"'))?;
    if form == Form::Base64 {
        return BASE64_STANDARD.decode(&*text).ok()?.try_into().ok().map(BlockHash);
    }
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    let is_hash = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hash.then(|| digits.parse::<alloy_primitives::B256>().ok())?.map(|hash| BlockHash(hash.0))
}

/// A text; of a number its digits.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(json).ok().map(Cow::Owned),
        b'0'..=b'9' | b'-' => Some(Cow::Borrowed(json)),
        _ => None,
    }
}

/// A flag; an object is what some nodes write for a plain `true`.
pub(super) fn flag(json: &str) -> Option<bool> {
    match json {
        "true" | "\"true\"" => Some(true),
        "false" | "\"false\"" => Some(false),
        _ => json.starts_with('{').then_some(true),
    }
}

fn count(json: &str) -> Option<u64> {
    struct Counter;
    impl<'de> Visitor<'de> for Counter {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array or an object")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<u64, A::Error> {
            let mut count: u64 = 0;
            while elements.next_element::<IgnoredAny>()?.is_some() {
                count = count.saturating_add(1);
            }
            Ok(count)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
            let mut count: u64 = 0;
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                count = count.saturating_add(1);
            }
            Ok(count)
        }
    }
    serde_json::Deserializer::from_str(json).deserialize_any(Counter).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_show() {
        for (json, form, wanted) in [
            ("7", Form::Any, Some(7)),
            (r#""7""#, Form::Any, Some(7)),
            (r#""0x10""#, Form::Any, Some(16)),
            (r#""10""#, Form::Hex, Some(16)),
            (r#""18446744073709551615""#, Form::Any, Some(u64::MAX)),
            (r#""18446744073709551616""#, Form::Any, None),
            ("10", Form::Hex, None),
            ("-1", Form::Any, None),
            ("1.5", Form::Any, None),
            (r#""-1""#, Form::Any, None),
            (r#""+1""#, Form::Any, None),
            (r#""""#, Form::Any, None),
            (r#""0x""#, Form::Any, None),
            ("null", Form::Any, None),
            ("{}", Form::Any, None),
            ("[1,[2]]", Form::Count, Some(2)),
            (r#"{"a":[],"b":1}"#, Form::Count, Some(2)),
            ("7", Form::Count, None),
        ] {
            assert_eq!(number(json, form), wanted, "{json}");
        }
    }

    #[test]
    fn times_are_read_in_their_units() {
        for (json, form, wanted) in [
            ("1700000000", Form::Any, Some(1_700_000_000_000)),
            (r#""1700000000123""#, Form::Millis, Some(1_700_000_000_123)),
            ("1700000000123456", Form::Micros, Some(1_700_000_000_123)),
            ("1700000000123456789", Form::Nanos, Some(1_700_000_000_123)),
            (r#""2023-11-14T22:13:20.123456789Z""#, Form::Any, Some(1_700_000_000_123)),
            (r#""2023-11-15T06:13:20+08:00""#, Form::Any, Some(1_700_000_000_000)),
            (r#""2023-11-14T22:13:20""#, Form::Any, None),
            (r#""1969-01-01T00:00:00Z""#, Form::Any, None),
            (r#""2023-11-14T22:13:20Z""#, Form::Millis, None),
            (r#""ﬁnally and then some""#, Form::Any, None),
            ("18446744073709551615", Form::Any, None),
        ] {
            assert_eq!(time(json, form).map(UnixTime::millis), wanted, "{json}");
        }
    }

    #[test]
    fn hashes_have_32_bytes() {
        let digits = "aB".repeat(32);
        let wanted = Some(BlockHash([0xab; 32]));
        assert_eq!(hash(&format!("\"{digits}\""), Form::Any), wanted);
        assert_eq!(hash(&format!("\"0x{digits}\""), Form::Any), wanted);
        assert_eq!(hash(&format!("\"{}\"", BASE64_STANDARD.encode([0xab; 32])), Form::Base64), wanted);
        for wrong in ["7", "\"\"", "\"0x12\"", &"1".repeat(64)] {
            assert_eq!(hash(wrong, Form::Any), None, "{wrong}");
        }
    }
}
