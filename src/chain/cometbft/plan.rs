//! The upgrade a Cosmos SDK chain has planned. It is asked for through the consensus engine (`abci_query`), so the answer
//! is base64 with protobuf in it: `QueryCurrentPlanResponse { plan = 1: Plan { name = 1, time = 2, height = 3, info = 4 } }`
//! (cosmos-sdk `proto/cosmos/upgrade/v1beta1`). Three fields of one message are not worth a library.

#![expect(clippy::option_option, reason = "what cannot be read is not what says that there is nothing")]

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;

use crate::{
    model::Height,
    observation::{Upgrade, clean_text},
};

/// The parameters of the question.
pub(super) const QUERY: &str =
    r#"{"path":"/cosmos.upgrade.v1beta1.Query/CurrentPlan","data":"","height":"0","prove":false}"#;

/// The longest answer that is looked at, in characters of base64: `info` may hold links to programs for every platform.
const MAX_ANSWER: usize = 64 * 1024;

/// The longest name that is kept, in bytes.
const MAX_NAME: usize = 64;

/// The answer to `abci_query`.
#[derive(Debug, Deserialize)]
pub(super) struct Queried<'a> {
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Debug, Deserialize)]
struct Response<'a> {
    /// Not 0 where the application does not know the query.
    #[serde(default)]
    code: u32,
    #[serde(default, borrow)]
    value: Option<Cow<'a, str>>,
}

impl Queried<'_> {
    /// What is planned: `Some(None)` if nothing is; `None` if the answer does not tell.
    pub(super) fn plan(&self) -> Option<Option<Upgrade>> {
        if self.response.code != 0 {
            return None;
        }
        let value = self.response.value.as_deref().unwrap_or_default();
        if MAX_ANSWER < value.len() {
            return None;
        }
        let bytes = BASE64_STANDARD.decode(value).ok()?;
        match message(&bytes, 1)? {
            None => Some(None),
            Some(plan) => upgrade(plan).map(Some),
        }
    }
}

fn upgrade(plan: &[u8]) -> Option<Upgrade> {
    let name = String::from_utf8_lossy(message(plan, 1)?.unwrap_or_default()).into_owned();
    let height = number(plan, 3)?.filter(|height| 0 < *height)?;
    Some(Upgrade { name: clean_text(&name, MAX_NAME).into(), height: Height(height) })
}

/// A field as it is written.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The last field `wanted` that holds bytes, as the rules of protobuf have it; the outer `None` if `bytes` is no message.
fn message(bytes: &[u8], wanted: u64) -> Option<Option<&[u8]>> {
    let mut found = None;
    fields(bytes, |number, field| {
        if let (true, Field::Bytes(bytes)) = (number == wanted, field) {
            found = Some(bytes);
        }
    })?;
    Some(found)
}

/// The same for a number; one that is negative is none.
fn number(bytes: &[u8], wanted: u64) -> Option<Option<u64>> {
    let mut found = None;
    fields(bytes, |number, field| {
        if let (true, Field::Number(value)) = (number == wanted, field) {
            found = Some(value);
        }
    })?;
    Some(found.filter(|value| i64::try_from(*value).is_ok()))
}

fn fields<'a>(mut rest: &'a [u8], mut each: impl FnMut(u64, Field<'a>)) -> Option<()> {
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut rest)?),
            1 => cut(&mut rest, 8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Field::Bytes(cut(&mut rest, length)?)
            }
            5 => cut(&mut rest, 4).map(|_| Field::Other)?,
            _ => return None,
        };
        each(tag >> 3, field);
    }
    Some(())
}

fn cut<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Option<Option<Upgrade>> {
        serde_json::from_str::<Queried<'_>>(json).ok()?.plan()
    }

    fn answer(bytes: &[u8]) -> String {
        format!(r#"{{"response":{{"code":0,"value":"{}","height":"9"}}}}"#, BASE64_STANDARD.encode(bytes))
    }

    /// `Plan { name: "v18", time: {}, height: 20739800, info: "x" }` in its response.
    const PLANNED: &[u8] = b"\x0a\x14\x0a\x03v18\x12\x0b\x08\x80\x92\xb8\xc3\x98\xfe\xff\xff\xff\x01";

    #[test]
    fn a_planned_upgrade_is_read() {
        let time = &PLANNED[7..];
        let body = [b"\x0a\x03v18".as_slice(), time, b"\x18\xd8\xed\xf1\x09", b"\x22\x01x"].concat();
        let message = [&[0x0a, u8::try_from(body.len()).unwrap()][..], &body].concat();
        let wanted = Upgrade { name: "v18".into(), height: Height(20_739_800) };
        assert_eq!(plan(&answer(&message)), Some(Some(wanted)));
    }

    #[test]
    fn no_plan_is_an_answer_and_an_unknown_query_is_none() {
        assert_eq!(plan(&answer(b"")), Some(None));
        assert_eq!(plan(r#"{"response":{"code":0,"value":null}}"#), Some(None));
        assert_eq!(plan(r#"{"response":{"value":""}}"#), Some(None));
        assert_eq!(plan(r#"{"response":{"code":6,"log":"unknown query path"}}"#), None);
    }

    #[test]
    fn what_is_no_message_is_no_plan() {
        let many: Vec<u8> =
            [b"\x0a\x05\x0a\x03v18".as_slice(), b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"].concat();
        for bytes in [&b"\x0a"[..], b"\x0a\x05abc", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b", &many] {
            assert_eq!(plan(&answer(bytes)), None, "{bytes:?}");
        }
        // A height of nothing, and one below it.
        assert_eq!(plan(&answer(b"\x0a\x05\x0a\x03v18")), None);
        assert_eq!(plan(&answer(b"\x0a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), None);
        assert_eq!(plan(r#"{"response":{"code":0,"value":"%%%"}}"#), None);
        let long = format!(r#"{{"response":{{"code":0,"value":"{}"}}}}"#, "A".repeat(MAX_ANSWER + 4));
        assert_eq!(plan(&long), None);
    }
}
