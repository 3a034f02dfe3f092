//! Reads JSON-RPC answers: who answered what, in any order, without building anything that was not asked for.
//!
//! Results stay raw text until an adapter reads the few fields it needs, so an answer of many megabytes costs a scan
//! and no memory. Unwanted parts are skipped by a parser that does not recurse, however deep they are.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::adapter::MAX_CALLS;
use crate::observation::clean_text;

/// Longest text of an error that is kept, in bytes.
const MAX_MESSAGE: usize = 160;

/// An error larger than this is only known to be one: its shape is not known beforehand, so it is buffered.
const MAX_ERROR: usize = 16 * 1024;

/// One method's answer.
#[derive(Debug, Clone, Default)]
pub enum Answer<'a> {
    /// Not asked, or not answered.
    #[default]
    Missing,
    /// The `result`, which may be `null`.
    Result(&'a RawValue),
    /// The `error`.
    Error(RpcError),
}

impl<'a> Answer<'a> {
    /// The result read as `T`; `None` if there is none or if it is something else.
    #[must_use]
    pub fn read<T: Deserialize<'a>>(&self) -> Option<T> {
        match self {
            Self::Result(raw) => serde_json::from_str(raw.get()).ok(),
            Self::Missing | Self::Error(_) => None,
        }
    }
}

/// An error as a node words it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RpcError {
    /// The code; some nodes leave it out.
    pub code: Option<i64>,
    /// The text: bounded, cleaned, URLs cut to their host.
    pub message: String,
}

/// The answers to the calls of one round, by their position in the adapter's table.
#[derive(Debug, Default)]
pub struct Answers<'a>([Answer<'a>; MAX_CALLS]);

impl<'a> Answers<'a> {
    /// The answer to the call at `position`.
    #[must_use]
    pub fn get(&self, position: usize) -> &Answer<'a> {
        self.0.get(position).unwrap_or(&Answer::Missing)
    }

    /// Notes the answer to the call at `position`. The first word counts: a second answer under the same id is as
    /// likely to belong to somebody else.
    pub(super) fn put(&mut self, position: usize, answer: Answer<'a>) {
        if let Some(slot @ Answer::Missing) = self.0.get_mut(position) {
            *slot = answer;
        }
    }

    /// Adds the answers to other calls.
    pub(super) fn join(&mut self, others: Self) {
        for (position, answer) in others.0.into_iter().enumerate() {
            self.put(position, answer);
        }
    }
}

/// What stands at the top of an answer.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for the time of one reading")]
pub(super) enum Reply<'a> {
    /// An array: the answer to a batch.
    Batch(Answers<'a>),
    /// An object: the answer to a single call, or to a batch as a whole.
    Single {
        /// Position of the call, if the id is one of ours.
        position: Option<usize>,
        /// What it says.
        answer: Answer<'a>,
    },
}

impl<'a> Reply<'a> {
    /// `None` if `body` is not a JSON-RPC answer.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

/// The id of the call at `position`: never 0, which some servers treat as missing.
pub(super) fn id_of(position: usize) -> usize {
    position + 1
}

impl<'de> Deserialize<'de> for Reply<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Reply<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON-RPC answer or an array of them")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut answers = Answers::default();
                while let Some(item) = items.next_element::<Item<'de>>()? {
                    if let Some(position) = item.id.position() {
                        answers.put(position, item.answer());
                    }
                }
                Ok(Reply::Batch(answers))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let item = Item::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Reply::Single { position: item.id.position(), answer: item.answer() })
            }
        }
        deserializer.deserialize_any(Top)
    }
}

/// One answer as it is written; unknown members are skipped.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default)]
    id: Id,
    #[serde(default, borrow, deserialize_with = "even_null")]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Problem,
}

impl<'a> Item<'a> {
    fn answer(self) -> Answer<'a> {
        match (self.error.0, self.result) {
            (Some(error), _) => Answer::Error(error),
            (None, Some(result)) => Answer::Result(result),
            (None, None) => Answer::Missing,
        }
    }
}

/// `"result": null` is an answer; no `result` is none.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// An id as a node echoes it: a number, or that number as a string. Anything else is nobody's.
#[derive(Default)]
struct Id(Option<u64>);

impl Id {
    fn position(&self) -> Option<usize> {
        usize::try_from(self.0?.checked_sub(1)?).ok().filter(|position| *position < MAX_CALLS)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(Self(raw.trim_matches('"').parse().ok()))
    }
}

/// The member `error`: an object, in some dialects a mere text; `null` is none.
#[derive(Default)]
struct Problem(Option<RpcError>);

impl<'de> Deserialize<'de> for Problem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape<'a> {
            Object {
                #[serde(default, borrow)]
                code: Option<Code<'a>>,
                #[serde(default, borrow)]
                message: Option<Cow<'a, str>>,
            },
            Text(#[serde(borrow)] Cow<'a, str>),
            Other(IgnoredAny),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Code<'a> {
            Number(i64),
            Text(#[serde(borrow)] Cow<'a, str>),
            Other(IgnoredAny),
        }
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw == "null" {
            return Ok(Self(None));
        }
        // A second reading of an error, which is rare and short, keeps the first one free of any copy.
        let raw = if MAX_ERROR < raw.len() { "" } else { raw };
        let error = match serde_json::from_str(raw) {
            Ok(Shape::Object { code, message }) => RpcError {
                code: code.and_then(|code| match code {
                    Code::Number(code) => Some(code),
                    Code::Text(code) => code.parse().ok(),
                    Code::Other(_) => None,
                }),
                message: message.map(|message| shown(&message)).unwrap_or_default(),
            },
            Ok(Shape::Text(message)) => RpcError { code: None, message: shown(&message) },
            Ok(Shape::Other(_)) | Err(_) => RpcError::default(),
        };
        Ok(Self(Some(error)))
    }
}

/// Cleans and bounds a node's text, and cuts every URL in it down to its host: nodes quote the addresses of their own
/// upstreams, keys and all.
pub(super) fn shown(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once("://") {
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ')' | '>' | ','))
            .unwrap_or(after.len());
        let url = &after[..end];
        let host =
            url.rsplit_once('@').map_or(url, |(_, host)| host).split(['/', '?', '#', '\\']).next().unwrap_or_default();
        out.extend([before, "://", host]);
        rest = &after[end..];
        if MAX_MESSAGE <= out.len() {
            break;
        }
    }
    out.push_str(rest);
    clean_text(&out, MAX_MESSAGE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(body: &str) -> Answers<'_> {
        match Reply::parse(body.as_bytes()) {
            Some(Reply::Batch(answers)) => answers,
            other => panic!("{other:?}"),
        }
    }

    fn error(body: &str) -> RpcError {
        match Reply::parse(body.as_bytes()) {
            Some(Reply::Single { answer: Answer::Error(error), .. }) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_go_to_their_calls_whatever_their_order_and_strangers_are_dropped() {
        let answers = batch(
            r#"[{"id":2,"result":null},{"id":"1","result":"0x1"},{"id":1,"result":"0x2"},{"id":0,"result":1},
                {"id":99,"result":1},{"id":-1,"result":1},{"id":1.5,"result":1},{"id":null,"result":1},{"result":1}]"#,
        );
        assert_eq!(answers.get(0).read::<String>().as_deref(), Some("0x1"), "the first word counts");
        assert!(matches!(answers.get(1), Answer::Result(raw) if raw.get() == "null"), "null is an answer");
        assert!((2..MAX_CALLS).all(|position| matches!(answers.get(position), Answer::Missing)));
    }

    #[test]
    fn errors_are_read_in_every_shape() {
        for (body, code, message) in [
            (r#"{"id":1,"error":{"code":-32601,"message":"no","data":{"stack":[1]}}}"#, Some(-32601), "no"),
            (r#"{"id":1,"error":{"message":"no code"}}"#, None, "no code"),
            (r#"{"id":1,"error":{"code":"-32000","message":"text"}}"#, Some(-32000), "text"),
            (r#"{"error":"busy"}"#, None, "busy"),
            (r#"{"error":17}"#, None, ""),
            (r#"{"id":1,"result":"0x1","error":{"code":1,"message":"both"}}"#, Some(1), "both"),
        ] {
            assert_eq!(error(body), RpcError { code, message: message.to_owned() }, "{body}");
        }
        let good = Reply::parse(br#"{"id":1,"result":7,"error":null}"#);
        assert!(matches!(good, Some(Reply::Single { position: Some(0), answer: Answer::Result(_) })));
    }

    #[test]
    fn a_text_loses_the_paths_of_the_urls_in_it() {
        assert_eq!(
            shown(r#"Fork Error: url: "https://user:pw@up.example:8545/v3/KEY?k=KEY", also wss://b/KEY and more"#),
            r#"Fork Error: url: "https://up.example:8545", also wss://b and more"#
        );
        assert!(shown(&"://x".repeat(10_000)).len() <= MAX_MESSAGE);
    }

    #[test]
    fn depth_and_width_cost_nothing() {
        let deep = format!(r#"[{{"id":1,"deep":{}{},"result":1}}]"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(matches!(batch(&deep).get(0), Answer::Result(_)));
        let wide = format!(r#"[{{"id":1,"result":[{}1]}}]"#, "1,".repeat(1_000_000));
        assert!(matches!(batch(&wide).get(0), Answer::Result(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reply::parse(&bytes);
        }

        #[test]
        fn no_json_like_text_makes_the_reader_panic(text in r#"[\[\]{}:,"a-z0-9.eE\\-]{0,100}"#) {
            let _ = Reply::parse(text.as_bytes());
            let _ = Reply::parse(format!(r#"[{{"id":1,"result":{text}}}]"#).as_bytes());
        }

        #[test]
        fn no_text_of_an_error_grows_or_panics(text in "\\PC{0,300}") {
            prop_assert!(shown(&text).len() <= MAX_MESSAGE);
        }
    }
}
