//! Finds the family of a node by asking: each family has a cheap question that only its own nodes can answer. They are
//! asked in turn; a new family is one more line.
//!
//! Most nodes speak Ethereum's JSON-RPC, so its question comes first. But a node of another family may speak it as well:
//! whoever does is asked for what only those families know, and is what it is.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::{Deserialize, de::IgnoredAny};

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
    /// Whether all else is answered below this path too: the URL lacks it.
    is_below: bool,
}

/// Families whose nodes may speak Ethereum's JSON-RPC beside their own.
const BILINGUAL: [Family; 3] = [Family::Substrate, Family::CometBft, Family::FiscoBcos3];

/// Where monerod listens, who may be called without it.
const MONERO_PATH: &str = "/json_rpc";

const MONERO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"get_info","params":{}}"#;

/// The questions in the order in which they are asked. Bitcoin stands early: its nodes can be told to refuse with 403
/// whatever is not on a list of theirs.
const RECOGNISERS: &[Recogniser] = &[
    rpc(Family::Evm, r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#, is_quantity),
    rpc(Family::Bitcoin, r#"{"jsonrpc":"2.0","id":1,"method":"getblockchaininfo","params":[]}"#, is_best_block),
    rpc(Family::CometBft, r#"{"jsonrpc":"2.0","id":1,"method":"status","params":{}}"#, is_comet_status),
    // The hash of the first block, which even a light client without peers knows.
    rpc(Family::Substrate, r#"{"jsonrpc":"2.0","id":1,"method":"chain_getBlockHash","params":[0]}"#, is_hash),
    rpc(Family::FiscoBcos3, r#"{"jsonrpc":"2.0","id":1,"method":"getGroupList","params":[]}"#, is_fisco_bcos_3),
    rpc(Family::FiscoBcos2, r#"{"jsonrpc":"2.0","id":1,"method":"getClientVersion","params":[]}"#, is_fisco_bcos_2),
    rpc(Family::OpNode, r#"{"jsonrpc":"2.0","id":1,"method":"optimism_syncStatus","params":[]}"#, names_an_unsafe_head),
    rpc(Family::Monero, MONERO, is_top_block),
    // Old and odd nodes do not tell their chain id.
    rpc(Family::Evm, r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#, is_quantity),
    get(Family::Beacon, "/eth/v1/node/syncing", is_sync_state),
    below(Family::Monero, MONERO_PATH, MONERO, is_top_block),
];

/// A server that refuses so many questions in a row with 403 would refuse all of them.
const REFUSALS: u8 = 2;

const fn rpc(family: Family, body: &'static str, knows: fn(&Response) -> bool) -> Recogniser {
    Recogniser { family, method: Method::POST, path: "", body, knows, is_below: false }
}

/// The same question at a path that belongs to the address of such nodes.
const fn below(family: Family, path: &'static str, body: &'static str, knows: fn(&Response) -> bool) -> Recogniser {
    Recogniser { family, method: Method::POST, path, body, knows, is_below: true }
}

const fn get(family: Family, path: &'static str, knows: fn(&Response) -> bool) -> Recogniser {
    Recogniser { family, method: Method::GET, path, body: "", knows, is_below: false }
}

/// The family of the node, which must be `wanted` if that is given, and how long the first answer took.
pub(super) async fn family(caller: &mut Caller<'_>, wanted: Option<Family>) -> Result<(Family, Duration), ProbeError> {
    if wanted == Some(Family::Generic) {
        // Nothing is known of it but what the configuration says: that it answers is all there is to recognise.
        let adapter = Family::Generic.adapter(&caller.inquiry.particulars);
        let response = caller.put(&adapter.calls()[HEAD].question, HEAD).await?;
        return Ok((Family::Generic, response.elapsed));
    }
    let mut search = Search::default();
    for recogniser in RECOGNISERS.iter().filter(|it| wanted.is_none_or(|wanted| wanted == it.family)) {
        if search.is_idle(recogniser, caller) || !search.finds(recogniser, caller).await? {
            continue;
        }
        if recogniser.is_below {
            caller.below = recogniser.path;
        }
        let mother_tongue = if wanted.is_none() { mother_tongue(recogniser.family, caller).await } else { None };
        return Ok((mother_tongue.unwrap_or(recogniser.family), search.first.unwrap_or_default()));
    }
    let error = search.strange.unwrap_or(ProbeError { reason: Reason::UnknownFamily, detail: "".into() });
    let error = diagnose::second_look(caller, error).await;
    // It may well be of another one.
    let is_strange = wanted.is_some() && error.reason == Reason::UnknownFamily;
    Err(if is_strange { ProbeError { reason: Reason::OtherFamily, ..error } } else { error })
}

/// The family of a node that speaks Ethereum's JSON-RPC beside its own.
async fn mother_tongue(family: Family, caller: &mut Caller<'_>) -> Option<Family> {
    if family != Family::Evm {
        return None;
    }
    for recogniser in RECOGNISERS.iter().filter(|it| BILINGUAL.contains(&it.family)) {
        // Whatever goes wrong now: it is known already how to talk to the node.
        let response = caller.ask(recogniser.method.clone(), recogniser.path, recogniser.body).await.ok()?;
        if (recogniser.knows)(&response) {
            return Some(recogniser.family);
        }
        if is_final(diagnose::response(&response, recogniser.family).reason) {
            return None;
        }
    }
    None
}

/// What has come of the questions so far.
#[derive(Default)]
struct Search {
    /// How long the first answer took.
    first: Option<Duration>,
    /// What was strange about it.
    strange: Option<ProbeError>,
    /// What is posted to the address of the node itself is not understood as JSON-RPC, whatever it asks.
    is_no_rpc: bool,
    /// Answers with 403 in a row.
    refusals: u8,
}

impl Search {
    /// Whether the answer is known already, or the question makes no sense at this URL.
    fn is_idle(&self, recogniser: &Recogniser, caller: &Caller<'_>) -> bool {
        let has_path = !matches!(caller.client.endpoint().path_and_query().split('?').next(), Some("" | "/"));
        (recogniser.path.is_empty() && self.is_no_rpc) || (recogniser.is_below && has_path)
    }

    /// Asks, and returns whether the node is of the family.
    async fn finds(&mut self, recogniser: &Recogniser, caller: &mut Caller<'_>) -> Result<bool, ProbeError> {
        let response = caller.ask(recogniser.method.clone(), recogniser.path, recogniser.body).await?;
        self.first.get_or_insert(response.elapsed);
        if (recogniser.knows)(&response) {
            return Ok(true);
        }
        self.is_no_rpc |= recogniser.path.is_empty() && diagnose::is_no_rpc(&response);
        let is_refused = response.status == StatusCode::FORBIDDEN;
        self.refusals = if is_refused { self.refusals.saturating_add(1) } else { 0 };
        let error = diagnose::response(&response, recogniser.family);
        let is_hopeless = if is_refused { REFUSALS <= self.refusals } else { is_final(error.reason) };
        if is_hopeless {
            return Err(error);
        }
        self.strange.get_or_insert(error);
        Ok(false)
    }
}

/// Whether other questions would be answered in the same way.
fn is_final(reason: Reason) -> bool {
    matches!(reason, Reason::Unauthorized | Reason::RateLimited | Reason::Starting | Reason::Redirect)
}

/// Whether the answer to a JSON-RPC call is of this shape.
fn tells<'a, T: Deserialize<'a>>(response: &'a Response) -> bool {
    match read(response) {
        Ok(Reply::Single { answer: answer @ Answer::Result(_), .. }) => answer.read::<T>().is_some(),
        _ => false,
    }
}

fn is_quantity(response: &Response) -> bool {
    tells::<Quantity>(response)
}

/// Whether the answer has the field that only the consensus node of a rollup tells.
fn names_an_unsafe_head(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct Status {
        #[serde(rename = "unsafe_l2")]
        _head: IgnoredAny,
    }
    tells::<Status>(response)
}

/// Height and hash of the best block, as only Bitcoin and its relatives name them.
fn is_best_block(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct Best {
        #[serde(rename = "blocks")]
        _height: Quantity,
        #[serde(rename = "bestblockhash")]
        _hash: BareHash,
    }
    tells::<Best>(response)
}

/// The number of blocks and the hash of the newest, as only monerod names them.
fn is_top_block(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct Top {
        #[serde(rename = "height")]
        _count: Quantity,
        #[serde(rename = "top_block_hash")]
        _hash: BareHash,
    }
    tells::<Top>(response)
}

/// Other families have a call of this name too, but none tells who the node is in this way.
fn is_comet_status(response: &Response) -> bool {
    match read(response) {
        Ok(Reply::Single { answer, .. }) => CometBft::is_status(&answer),
        _ => false,
    }
}

fn is_hash(response: &Response) -> bool {
    tells::<Hash>(response)
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
