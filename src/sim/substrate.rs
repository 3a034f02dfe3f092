//! Substrate's JSON-RPC as a simulated node speaks it. Its blocks are made by whoever is there, as by BABE and Aura; what
//! is final is voted on by GRANDPA, which needs more than two thirds: where a plan lets fewer make blocks, finality stands
//! while the chain goes on. Bytes in, bytes out, no sockets.

use serde_json::{Value, json, value::RawValue};

use super::{
    block::{Block, millis},
    chain::Chain,
    fault::Manner,
    plan::{Cadence, Quorum},
    rpc::Desk,
    tongue::{Asked, Call, Said},
    view::View,
};

/// Blocks below the head among which one is looked for by its hash.
const FINDABLE: u64 = 256;

/// The key of `Timestamp.Now` in storage.
const NOW_KEY: &str = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";

/// An error with its code, as jsonrpsee words it.
struct Fault(i32, &'static str);

const UNREADABLE: Fault = Fault(-32700, "Parse error");
const NO_METHOD: Fault = Fault(-32601, "Method not found");
const UNSAFE: Fault = Fault(-32601, "RPC call is unsafe to be called externally");
const BAD_PARAMS: Fault = Fault(-32602, "Invalid params");
const UNKNOWN_BLOCK: Fault = Fault(4003, "Client error: UnknownBlock: Header was not found in the database");
const NO_BATCHES: Fault = Fault(-32005, "Batched requests are not supported by this server");
const NOT_READY: Fault = Fault(1, "GRANDPA RPC endpoint not ready");

/// What the node answers.
#[must_use]
pub fn reply(desk: &Desk<'_>, asked: &Asked<'_>) -> Said {
    if *asked.method != http::Method::POST {
        return Said { status: 405, json: None };
    }
    if !asked.body.trim_ascii_start().starts_with(b"[") {
        return Said::ok(one(desk, asked.body));
    }
    if desk.chain.manner(desk.node) == Manner::RefusesBatch {
        return Said::ok(answer(None, Err(NO_BATCHES)));
    }
    let Ok(calls) = serde_json::from_slice::<Vec<&RawValue>>(asked.body) else {
        return Said::ok(answer(None, Err(UNREADABLE)));
    };
    let answers: Vec<String> = calls.iter().map(|call| one(desk, call.get().as_bytes())).collect();
    Said::ok(format!("[{}]", answers.join(",")))
}

fn one(desk: &Desk<'_>, body: &[u8]) -> String {
    let Ok(call) = serde_json::from_slice::<Call<'_>>(body) else { return answer(None, Err(UNREADABLE)) };
    let params = call.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
    let outcome = desk.chain.view(desk.node).ok_or(NO_METHOD);
    answer(call.id, outcome.and_then(|view| Window { desk, view }.result(call.method, &params)))
}

fn answer(id: Option<&RawValue>, outcome: Result<Value, Fault>) -> String {
    let id = id.map_or("null", RawValue::get);
    match outcome {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(Fault(code, message)) => {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#)
        }
    }
}

/// A node and what it sees.
struct Window<'a> {
    desk: &'a Desk<'a>,
    view: View<'a>,
}

impl Window<'_> {
    fn chain(&self) -> &Chain {
        self.desk.chain
    }

    fn result(&self, method: &str, params: &Vec<Value>) -> Result<Value, Fault> {
        let known = |hash: &Value| self.block_of(hash);
        Ok(match (method, params.as_slice()) {
            ("chain_getHeader", []) => header(self.view.head),
            ("chain_getHeader", [hash]) => known(hash).map_or(Value::Null, header),
            ("chain_getBlockHash", []) => self.hash(self.view.head),
            ("chain_getBlockHash", [number]) => self.hash_at(number)?,
            ("chain_getFinalizedHead", _) => self.hash(self.finalized()),
            ("state_getStorage", [key]) if key == NOW_KEY => self.moment(self.view.head),
            ("state_getStorage", [key, hash]) if key == NOW_KEY => self.moment(known(hash).ok_or(UNKNOWN_BLOCK)?),
            ("state_getStorage", _) => Value::Null,
            ("system_health", _) => {
                let busy = self.view.syncing_to.is_some();
                json!({ "peers": self.view.peers, "isSyncing": busy, "shouldHavePeers": true })
            }
            ("system_syncState", _) => {
                let head = self.view.head.number;
                let highest = self.view.syncing_to.unwrap_or(head);
                json!({ "startingBlock": 0, "currentBlock": head, "highestBlock": highest })
            }
            ("system_chain", _) => json!(self.chain().plan().name),
            ("system_name", _) => json!("haltwatch-sim"),
            ("system_version", _) => json!(env!("CARGO_PKG_VERSION")),
            ("state_getRuntimeVersion", _) => json!({
                "specName": self.chain().plan().name, "implName": "haltwatch-sim", "authoringVersion": 0,
                "specVersion": 1, "implVersion": 0, "transactionVersion": 1, "stateVersion": 1, "apis": [],
            }),
            ("system_localPeerId", _) => json!(self.peer_id()),
            ("grandpa_roundState", _) => self.round_state()?,
            ("author_pendingExtrinsics", _) => self.pending(),
            ("system_peers", _) => return Err(UNSAFE),
            ("chain_subscribeNewHeads", _) => return Err(NO_METHOD),
            _ if method.starts_with("chain_") => return Err(BAD_PARAMS),
            _ => return Err(NO_METHOD),
        })
    }

    /// The hash a node gives; one that follows another chain gives others throughout, that of its first block included.
    fn hash(&self, block: &Block) -> Value {
        let mut hash = block.hash;
        if self.view.chain_id != self.chain().plan().chain_id {
            hash.0[..8].copy_from_slice(&self.view.chain_id.to_be_bytes());
        }
        json!(format!("{hash:#x}"))
    }

    fn hash_at(&self, number: &Value) -> Result<Value, Fault> {
        let number = number.as_u64().ok_or(BAD_PARAMS)?;
        Ok(self.chain().block(self.desk.node, number).map_or(Value::Null, |block| self.hash(block)))
    }

    /// The block that was given under this hash, if it is not too old to be found.
    fn block_of(&self, hash: &Value) -> Option<&Block> {
        let head = self.view.head.number;
        let numbers = (head.saturating_sub(FINDABLE)..=head).rev().chain([0]);
        let mut blocks = numbers.filter_map(|number| self.chain().block(self.desk.node, number));
        blocks.find(|block| self.hash(block) == *hash)
    }

    fn finalized(&self) -> &Block {
        let lag = self.chain().plan().finality_lag;
        let decided = self.chain().undecided(self.desk.node).unwrap_or(u64::MAX).min(self.view.head.number);
        self.chain().block(self.desk.node, decided.saturating_sub(lag)).unwrap_or(self.view.finalized)
    }

    /// When a block was made, as storage holds it; the first one does not know.
    fn moment(&self, block: &Block) -> Value {
        if block.number == 0 {
            return Value::Null;
        }
        let at = i64::try_from(millis(block.at)).unwrap_or(i64::MAX) / i64::from(self.desk.speed.max(1));
        let digits: String =
            self.desk.epoch_ms.saturating_add(at).to_le_bytes().map(|byte| format!("{byte:02x}")).concat();
        json!(format!("0x{digits}"))
    }

    /// The votes of GRANDPA: as many as are there, in a round that ends with each block or stands with finality.
    fn round_state(&self) -> Result<Value, Fault> {
        let (voting, away) = self.chain().votes(self.desk.node);
        let total = voting.len() + away.len();
        if total == 0 || matches!(self.chain().plan().cadence, Cadence::OnDemand { .. }) {
            return Err(NOT_READY);
        }
        let undecided = self.chain().undecided(self.desk.node);
        let precommits = if undecided.is_none() { voting.len() } else { 0 };
        Ok(json!({ "setId": 0, "background": [], "best": {
            "round": undecided.unwrap_or(self.view.head.number),
            "totalWeight": total,
            "thresholdWeight": Quorum::Bft.needed(total),
            "prevotes": { "currentWeight": voting.len(), "missing": away },
            "precommits": { "currentWeight": precommits, "missing": away },
        } }))
    }

    fn pending(&self) -> Value {
        (0..self.view.pending).map(|number| json!(format!("0x2804{number:016x}"))).collect()
    }

    /// Of the shape of a real one, and another for each node.
    fn peer_id(&self) -> String {
        format!("12D3KooWsim{:041}", self.desk.node + 1)
    }
}

fn header(block: &Block) -> Value {
    json!({
        "parentHash": format!("{:#x}", block.parent),
        "number": format!("{:#x}", block.number),
        "stateRoot": format!("{:#x}", block.hash),
        "extrinsicsRoot": format!("{:#x}", block.hash),
        "digest": { "logs": [] },
    })
}
