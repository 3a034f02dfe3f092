//! Finds the family of a node by asking: each family has a cheap question that only its own nodes can answer. They are
//! asked in turn; a new family is one more line.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::{Caller, diagnose};
use crate::{
    chain::{
        Family,
        quantity::{Decimal, Quantity},
        reply::{Answer, Reply},
        rpc::{read, resource},
    },
    observation::probe::{ProbeError, Reason},
    transport::Response,
};

/// A question and how to tell from the answer that the node is of the family.
struct Recogniser {
    family: Family,
    method: Method,
    path: &'static str,
    body: &'static str,
    knows: fn(&Response) -> bool,
}

/// The questions in the order in which they are asked.
const RECOGNISERS: [Recogniser; 3] = [
    rpc(Family::Evm, r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#, is_quantity),
    // Old and odd nodes do not tell their chain id.
    rpc(Family::Evm, r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#, is_quantity),
    get(Family::Beacon, "/eth/v1/node/syncing", is_sync_state),
];

const fn rpc(family: Family, body: &'static str, knows: fn(&Response) -> bool) -> Recogniser {
    Recogniser { family, method: Method::POST, path: "", body, knows }
}

const fn get(family: Family, path: &'static str, knows: fn(&Response) -> bool) -> Recogniser {
    Recogniser { family, method: Method::GET, path, body: "", knows }
}

/// The family of the node, which must be `wanted` if that is given, and how long the first answer took.
pub(super) async fn family(caller: &mut Caller<'_>, wanted: Option<Family>) -> Result<(Family, Duration), ProbeError> {
    let mut first = None;
    let mut strange = None;
    for recogniser in RECOGNISERS.iter().filter(|it| wanted.is_none_or(|wanted| wanted == it.family)) {
        let response = caller.ask(recogniser.method.clone(), recogniser.path, recogniser.body).await?;
        let elapsed = *first.get_or_insert(response.elapsed);
        if (recogniser.knows)(&response) {
            return Ok((recogniser.family, elapsed));
        }
        let error = diagnose::response(&response, recogniser.family);
        if is_final(error.reason) {
            return Err(error);
        }
        strange.get_or_insert(error);
    }
    let error = strange.unwrap_or(ProbeError { reason: Reason::UnknownFamily, detail: "".into() });
    Err(diagnose::second_look(caller, error).await)
}

/// Whether other questions would be answered in the same way.
fn is_final(reason: Reason) -> bool {
    matches!(reason, Reason::Unauthorized | Reason::RateLimited | Reason::Starting | Reason::Redirect)
}

fn is_quantity(response: &Response) -> bool {
    match read(response) {
        Ok(Reply::Single { answer: answer @ Answer::Result(_), .. }) => answer.read::<Quantity>().is_some(),
        _ => false,
    }
}

/// How a consensus client stands: slots as decimal strings, under `data`.
fn is_sync_state(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct Wrapped {
        #[serde(rename = "data")]
        _data: State,
    }
    #[derive(Deserialize)]
    struct State {
        #[serde(rename = "head_slot")]
        _head_slot: Decimal,
        #[serde(rename = "is_syncing")]
        _is_syncing: bool,
    }
    resource(response).is_ok_and(|answer| answer.read::<Wrapped>().is_some())
}
