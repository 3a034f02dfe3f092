//! Single words of FISCO BCOS answers. Docs and sources of the versions differ in small things, so each is read in every
//! form it is known to have: numbers as numbers, as `0x` text and as decimal text; hashes and names of nodes with and
//! without `0x`.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    chain::{
        quantity::{Hash, Quantity},
        reply::Answer,
    },
    model::BlockHash,
};

/// Text with JSON in it is read up to this size, in bytes: the status of a group of hundreds of nodes.
const MAX_INSIDE: usize = 512 * 1024;

/// A name of a node is not longer, in bytes: 128 digits, a certificate's fingerprint, or what an operator called it.
const MAX_NAME: usize = 160;

/// So much of a node's name is shown to people, in bytes.
const SHOWN_NAME: usize = 16;

/// Members of an object at the most; further ones are left out.
const MAX_MEMBERS: usize = 4096;

/// Longer lists are not believed: what is missing from the beginning of one would look absent.
const MAX_ITEMS: usize = 4096;

/// An unsigned 64-bit integer: a JSON number, `0x` text or decimal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chain) struct Number(pub(in crate::chain) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let decimal = raw.trim_matches('"');
        let is_decimal = !decimal.is_empty() && decimal.bytes().all(|digit| digit.is_ascii_digit());
        let number =
            if is_decimal { decimal.parse().ok() } else { serde_json::from_str::<Quantity>(raw).ok().map(|q| q.0) };
        number.map(Self).ok_or_else(|| D::Error::custom("not a number"))
    }
}

/// A 32-byte hash with or without `0x`. All zero is none: 3.x answers so when it does not know the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chain) struct Digest(pub(in crate::chain) BlockHash);

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let digits = bare(&text);
        let hash = serde_json::from_str::<Hash>(&format!("\"0x{digits}\"")).ok().filter(|_| digits.len() == 64);
        let hash = hash.map(|hash| hash.0).filter(|hash| hash.0 != [0; 32]);
        hash.map(Self).ok_or_else(|| D::Error::custom("not a 32-byte hash"))
    }
}

/// The public key by which a node is known, in lower case and without `0x`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::chain) struct NodeId(Box<str>);

impl NodeId {
    /// All of it.
    pub(in crate::chain) fn whole(&self) -> Arc<str> {
        (*self.0).into()
    }

    /// Enough of it for people.
    pub(super) fn short(&self) -> Arc<str> {
        self.0.get(..SHOWN_NAME).unwrap_or(&self.0).into()
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let name = bare(&text);
        let plain = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_plain);
        plain.then(|| Self(name.to_ascii_lowercase().into())).ok_or_else(|| D::Error::custom("not the name of a node"))
    }
}

/// What may stand in a name: nothing that would end a JSON string or deceive a reader.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn bare(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

/// A list that is no longer than that of any group.
#[derive(Debug, Clone)]
pub(in crate::chain) struct List<T>(pub(in crate::chain) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Vec<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = all.next_element()? {
                    if items.len() == MAX_ITEMS {
                        return Err(A::Error::custom("a list longer than that of any group"));
                    }
                    items.push(item);
                }
                Ok(items)
            }
        }
        deserializer.deserialize_seq(Items(PhantomData)).map(Self)
    }
}

/// The items of such a list that are what they should be; what is not is left out.
#[derive(Debug, Clone)]
pub(in crate::chain) struct Words<T>(pub(in crate::chain) Vec<T>);

impl<'de, T: for<'a> Deserialize<'a>> Deserialize<'de> for Words<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let List(items) = List::<&RawValue>::deserialize(deserializer)?;
        Ok(Self(items.into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()))
    }
}

/// The members of an object, each still unread: a wrong one spoils no other.
#[derive(Debug)]
pub(in crate::chain) struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    /// The member of this name as a `T`; `None` if there is none or if it is something else.
    pub(in crate::chain) fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// The members whose names begin with `prefix` and that are `T`s.
    pub(in crate::chain) fn beginning<T: Deserialize<'a>>(&self, prefix: &str) -> Vec<T> {
        let named = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        named.filter_map(|(_, raw)| serde_json::from_str(raw.get()).ok()).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    if MAX_MEMBERS <= fields.len() {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        fields.insert(name.0, map.next_value()?);
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A member's name, borrowed where nothing in it is escaped.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// JSON that is itself the text of a string, as 3.x wraps its longer answers; plain JSON is taken as well. The text is
/// handed to `read`, since what is read may borrow from it.
pub(in crate::chain) fn inside<T>(answer: &Answer<'_>, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let Answer::Result(raw) = answer else { return None };
    match serde_json::from_str::<Cow<'_, str>>(raw.get()) {
        Ok(text) if text.len() <= MAX_INSIDE => read(&text),
        Ok(_) => None,
        Err(_) => read(raw.get()),
    }
}

/// A `T` in this text.
pub(in crate::chain) fn perhaps<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_all_three_forms_and_in_no_other() {
        for (json, wanted) in
            [("31", 31), (r#""0x1f""#, 31), (r#""31""#, 31), (r#""0""#, 0), ("18446744073709551615", u64::MAX)]
        {
            assert_eq!(perhaps::<Number>(json), Some(Number(wanted)), "{json}");
        }
        for json in ["-1", r#""""#, r#""-1""#, r#""1f""#, "1.5", "null", "[]", r#""18446744073709551616""#, r#"" 1""#] {
            assert_eq!(perhaps::<Number>(json), None, "{json}");
        }
    }

    #[test]
    fn hashes_and_names_are_the_same_with_and_without_their_prefix() {
        let digits = "Ab".repeat(32);
        for text in [digits.clone(), format!("0x{digits}")] {
            assert_eq!(perhaps::<Digest>(&format!("\"{text}\"")), Some(Digest(BlockHash([0xab; 32]))));
            assert_eq!(&*perhaps::<NodeId>(&format!("\"{text}\"")).unwrap().whole(), digits.to_lowercase());
        }
        let (zero, long) = ("0".repeat(64), "a".repeat(999));
        for text in [zero.as_str(), "", "0x", &digits[1..], "\\u0000"] {
            assert_eq!(perhaps::<Digest>(&format!("\"{text}\"")), None, "{text}");
        }
        for text in ["", "a b", "x\\\"y", "\\u202e", long.as_str()] {
            assert_eq!(perhaps::<NodeId>(&format!("\"{text}\"")), None, "{text}");
        }
    }

    #[test]
    fn a_wrong_member_or_item_spoils_no_other() {
        let fields: Fields<'_> = perhaps(r#"{"a":[1,{"b":[]}],"n":"0x2","sealer.0":"ab","sealer.1":7}"#).unwrap();
        assert_eq!(fields.get::<Number>("n"), Some(Number(2)));
        assert_eq!((fields.get::<Number>("a"), fields.get::<Number>("c")), (None, None));
        assert_eq!(fields.beginning::<NodeId>("sealer.").len(), 1);
        assert_eq!(perhaps::<Words<Number>>(r#"[1,"x",{"deep":[[]]},2]"#).unwrap().0, [Number(1), Number(2)]);
    }

    #[test]
    fn a_list_longer_than_that_of_any_group_is_none() {
        let list = |length: usize| format!("[{}]", vec![r#""ab""#; length].join(","));
        assert_eq!(perhaps::<Words<NodeId>>(&list(MAX_ITEMS)).map(|words| words.0.len()), Some(MAX_ITEMS));
        assert!(perhaps::<Words<NodeId>>(&list(MAX_ITEMS + 1)).is_none());
        assert!(perhaps::<List<NodeId>>(&list(MAX_ITEMS + 1)).is_none());
    }
}
