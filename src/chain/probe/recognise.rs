//! Finds the family of a node by asking: each family has a cheap question that only its own nodes can answer. They are
//! asked in turn; a new family is one more line.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::{Caller, diagnose};
use crate::{
    chain::{
        Family,
        adapter::HEAD,
        cometbft::CometBft,
        fisco_bcos::Fields,
        quantity::{BareHash, Decimal, Hash, Quantity},
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
const RECOGNISERS: &[Recogniser] = &[
    rpc(Family::Evm, r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#, is_quantity),
    // Old and odd nodes do not tell their chain id.
    rpc(Family::Evm, r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#, is_quantity),
    rpc(Family::OpNode, r#"{"jsonrpc":"2.0","id":1,"method":"optimism_syncStatus","params":[]}"#, names_an_unsafe_head),
    rpc(Family::Bitcoin, r#"{"jsonrpc":"2.0","id":1,"method":"getblockchaininfo","params":[]}"#, is_best_block),
    rpc(Family::Monero, r#"{"jsonrpc":"2.0","id":1,"method":"get_info","params":{}}"#, is_top_block),
    rpc(Family::CometBft, r#"{"jsonrpc":"2.0","id":1,"method":"status","params":{}}"#, is_comet_status),
    // The hash of the first block, which even a light client without peers knows.
    rpc(Family::Substrate, r#"{"jsonrpc":"2.0","id":1,"method":"chain_getBlockHash","params":[0]}"#, is_hash),
    rpc(Family::FiscoBcos2, r#"{"jsonrpc":"2.0","id":1,"method":"getClientVersion","params":[]}"#, is_fisco_bcos_2),
    rpc(Family::FiscoBcos3, r#"{"jsonrpc":"2.0","id":1,"method":"getGroupList","params":[]}"#, is_fisco_bcos_3),
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
    if wanted == Some(Family::Generic) {
        // Nothing is known of it but what the configuration says: that it answers is all there is to recognise.
        let adapter = Family::Generic.adapter(&caller.inquiry.particulars);
        let response = caller.put(&adapter.calls()[HEAD].question, HEAD).await?;
        return Ok((Family::Generic, response.elapsed));
    }
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

/// Whether the answer has the field that only the consensus node of a rollup tells.
fn names_an_unsafe_head(response: &Response) -> bool {
    #[derive(serde::Deserialize)]
    struct Status {
        #[serde(rename = "unsafe_l2")]
        _head: serde::de::IgnoredAny,
    }
    match read(response) {
        Ok(Reply::Single { answer: answer @ Answer::Result(_), .. }) => answer.read::<Status>().is_some(),
        _ => false,
    }
}

/// Height and hash of the best block, as only Bitcoin and its relatives name them.
fn is_best_block(response: &Response) -> bool {
    #[derive(serde::Deserialize)]
    struct Best {
        #[serde(rename = "blocks")]
        _height: Quantity,
        #[serde(rename = "bestblockhash")]
        _hash: BareHash,
    }
    match read(response) {
        Ok(Reply::Single { answer: answer @ Answer::Result(_), .. }) => answer.read::<Best>().is_some(),
        _ => false,
    }
}

/// The number of blocks and the hash of the newest, as only monerod names them.
fn is_top_block(response: &Response) -> bool {
    #[derive(serde::Deserialize)]
    struct Top {
        #[serde(rename = "height")]
        _count: Quantity,
        #[serde(rename = "top_block_hash")]
        _hash: BareHash,
    }
    match read(response) {
        Ok(Reply::Single { answer: answer @ Answer::Result(_), .. }) => answer.read::<Top>().is_some(),
        _ => false,
    }
}

/// Other families have a call of this name too, but none tells who the node is in this way.
fn is_comet_status(response: &Response) -> bool {
    match read(response) {
        Ok(Reply::Single { answer, .. }) => CometBft::is_status(&answer),
        _ => false,
    }
}

fn is_hash(response: &Response) -> bool {
    match read(response) {
        Ok(Reply::Single { answer: answer @ Answer::Result(_), .. }) => answer.read::<Hash>().is_some(),
        _ => false,
    }
}

/// An object whose keys are spelled as nowhere else.
fn is_fisco_bcos_2(response: &Response) -> bool {
    says(response, |fields| fields.get::<String>("FISCO-BCOS Version").is_some())
}

/// 2.x answers the same question with a plain list of numbers.
fn is_fisco_bcos_3(response: &Response) -> bool {
    says(response, |fields| fields.get::<Vec<String>>("groupList").is_some())
}

fn says(response: &Response, what: impl Fn(&Fields<'_>) -> bool) -> bool {
    match read(response) {
        Ok(Reply::Single { answer, .. }) => answer.read::<Fields<'_>>().is_some_and(|fields| what(&fields)),
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
