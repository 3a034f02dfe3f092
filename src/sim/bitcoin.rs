//! Bitcoin's JSON-RPC as a simulated node speaks it: `result` and `error` are both always there, errors of single calls
//! ride on HTTP 404 or 500, a batch is always 200. Bytes in, bytes out, no sockets.

use serde_json::value::RawValue;

use super::{
    block::{Block, millis},
    fault::Manner,
    rpc::Desk,
    tongue::{Asked, Call, Said},
    view::View,
};

/// Blocks below the head among which one is looked for by its hash.
const FINDABLE: u64 = 64;

/// An error of `rpc/protocol.h` with its text.
struct Fault(i32, &'static str);

const NO_METHOD: Fault = Fault(-32601, "Method not found");
const INVALID: Fault = Fault(-32600, "Invalid Request object");
const UNREADABLE: Fault = Fault(-32700, "Parse error");
const OUT_OF_RANGE: Fault = Fault(-8, "Block height out of range");
const NOT_FOUND: Fault = Fault(-5, "Block not found");

impl Fault {
    /// The HTTP status with which it comes, outside of batches.
    fn status(&self) -> u16 {
        match self.0 {
            -32601 => 404,
            -32600 => 400,
            _ => 500,
        }
    }
}

/// What the node answers.
#[must_use]
pub fn reply(desk: &Desk<'_>, asked: &Asked<'_>) -> Said {
    if *asked.method != http::Method::POST {
        return Said { status: 405, json: None };
    }
    if !asked.body.trim_ascii_start().starts_with(b"[") {
        let (json, fault) = one(desk, asked.body);
        return Said { status: fault.map_or(200, |fault| fault.status()), json: Some(json) };
    }
    if desk.chain.manner(desk.node) == Manner::RefusesBatch {
        return Said { status: INVALID.status(), json: Some(answer(None, &Err(INVALID))) };
    }
    match serde_json::from_slice::<Vec<&RawValue>>(asked.body) {
        Ok(calls) => {
            let answers: Vec<String> = calls.iter().map(|call| one(desk, call.get().as_bytes()).0).collect();
            Said::ok(format!("[{}]", answers.join(",")))
        }
        Err(_) => Said { status: UNREADABLE.status(), json: Some(answer(None, &Err(UNREADABLE))) },
    }
}

/// The answer to a call, and what is wrong with it.
fn one(desk: &Desk<'_>, body: &[u8]) -> (String, Option<Fault>) {
    let Ok(call) = serde_json::from_slice::<Call<'_>>(body) else {
        return (answer(None, &Err(UNREADABLE)), Some(UNREADABLE));
    };
    let outcome = match desk.chain.view(desk.node) {
        Some(view) => result(desk, &view, call.method, call.params.map_or("[]", RawValue::get)),
        None => Err(NO_METHOD),
    };
    (answer(call.id, &outcome), outcome.err())
}

fn answer(id: Option<&RawValue>, outcome: &Result<String, Fault>) -> String {
    let id = id.map_or("null", RawValue::get);
    match outcome {
        Ok(result) => format!(r#"{{"result":{result},"error":null,"id":{id}}}"#),
        Err(Fault(code, text)) => {
            format!(r#"{{"result":null,"error":{{"code":{code},"message":"{text}"}},"id":{id}}}"#)
        }
    }
}

fn result(desk: &Desk<'_>, view: &View<'_>, method: &str, params: &str) -> Result<String, Fault> {
    let (height, hash) = (view.head.number, view.head.hash);
    match method {
        "getblockchaininfo" => Ok(info(desk, view)),
        "getblockcount" => Ok(height.to_string()),
        "getbestblockhash" => Ok(format!(r#""{hash:x}""#)),
        "getblockhash" => block_hash(desk, params),
        "getblockheader" => header(desk, view, params),
        "getmempoolinfo" => Ok(format!(r#"{{"loaded":true,"size":{},"maxmempool":300000000}}"#, view.pending)),
        "getconnectioncount" => Ok(view.peers.to_string()),
        "getnetworkinfo" => Ok(format!(
            r#"{{"version":280000,"subversion":"/haltwatch-sim:{}/","networkactive":true,"connections":{},"warnings":[]}}"#,
            env!("CARGO_PKG_VERSION"),
            view.peers
        )),
        "getchaintips" => Ok(format!(r#"[{{"height":{height},"hash":"{hash:x}","branchlen":0,"status":"active"}}]"#)),
        "getpeerinfo" => Ok(peers(view)),
        _ => Err(NO_METHOD),
    }
}

fn info(desk: &Desk<'_>, view: &View<'_>) -> String {
    let chain = if view.chain_id == desk.chain.plan().chain_id { "main" } else { "test" };
    let (height, hash) = (view.head.number, view.head.hash);
    let (headers, downloads) = (view.syncing_to.unwrap_or(height), view.syncing_to.is_some());
    let time = seconds(desk, view.head);
    format!(
        r#"{{"chain":"{chain}","blocks":{height},"headers":{headers},"bestblockhash":"{hash:x}","difficulty":1.0,"time":{time},"mediantime":{time},"verificationprogress":0.999998,"initialblockdownload":{downloads},"pruned":false,"warnings":[]}}"#
    )
}

fn block_hash(desk: &Desk<'_>, params: &str) -> Result<String, Fault> {
    let (number,) = serde_json::from_str::<(u64,)>(params).map_err(|_| OUT_OF_RANGE)?;
    let block = desk.chain.block(desk.node, number).ok_or(OUT_OF_RANGE)?;
    Ok(format!(r#""{:x}""#, block.hash))
}

fn header(desk: &Desk<'_>, view: &View<'_>, params: &str) -> Result<String, Fault> {
    let (wanted, _) = serde_json::from_str::<(&str, bool)>(params).map_err(|_| NOT_FOUND)?;
    let (head, lowest) = (view.head.number, view.head.number.saturating_sub(FINDABLE));
    let mut blocks = (lowest..=head).rev().filter_map(|number| desk.chain.block(desk.node, number));
    let block = blocks.find(|block| format!("{:x}", block.hash) == wanted).ok_or(NOT_FOUND)?;
    let (number, confirmations) = (block.number, head.saturating_sub(block.number) + 1);
    let parent = if number == 0 { String::new() } else { format!(r#","previousblockhash":"{:x}""#, block.parent) };
    Ok(format!(
        r#"{{"hash":"{wanted}","confirmations":{confirmations},"height":{number},"time":{},"nTx":{}{parent}}}"#,
        seconds(desk, block),
        // The reward of the miner is a transaction too.
        block.transactions.saturating_add(1)
    ))
}

fn peers(view: &View<'_>) -> String {
    let known = view.syncing_to.unwrap_or(view.head.number);
    let peer = |id| format!(r#"{{"id":{id},"inbound":false,"synced_headers":{known},"synced_blocks":{known}}}"#);
    let peers: Vec<String> = (0..view.peers).map(peer).collect();
    format!("[{}]", peers.join(","))
}

/// When a block was made, in seconds of wall time.
fn seconds(desk: &Desk<'_>, block: &Block) -> i64 {
    let at = i64::try_from(millis(block.at)).unwrap_or(i64::MAX) / i64::from(desk.speed.max(1));
    desk.epoch_ms.saturating_add(at) / 1000
}
