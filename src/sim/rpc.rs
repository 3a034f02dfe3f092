//! Ethereum JSON-RPC as a simulated node speaks it, single and batch: bytes in, bytes out, no sockets. The shapes are
//! those of real clients; what a health monitor never asks for is answered with -32601 as by a node that has the
//! namespace closed.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use super::{
    block::{Block, millis},
    chain::Chain,
    fault::Manner,
    op_node, sealers,
    tongue::{Call, Tongue},
};

/// Calls in one batch above which a node refuses it, as geth's default.
pub const MAX_BATCH: usize = 1000;

/// The id of the only subscription a connection can have.
const SUBSCRIPTION: &str = "0x1";

const INVALID: &str = r#""error":{"code":-32600,"message":"invalid request"}"#;
const BATCH_REFUSED: &str = r#""error":{"code":-32005,"message":"batched requests are not supported by this server"}"#;
const NO_METHOD: &str = r#""error":{"code":-32601,"message":"the method does not exist/is not available"}"#;
const BAD_PARAMS: &str = r#""error":{"code":-32602,"message":"invalid argument 0: hex string without 0x prefix"}"#;

/// A node as its RPC interface sees it.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    /// Its chain, at the time of the question.
    pub chain: &'a Chain,
    /// Its position in the plan.
    pub node: usize,
    /// The wall time of the chain's time zero, in milliseconds since 1970.
    pub epoch_ms: i64,
    /// Seconds of the chain's time that pass in one second of wall time.
    pub speed: u32,
    /// Whether the caller can be told things later, as over a WebSocket.
    pub streams: bool,
}

impl Desk<'_> {
    /// The answer to a request body; `None` if there is nothing to answer, as for a notification.
    #[must_use]
    pub fn answer(&self, body: &[u8]) -> Option<String> {
        if !body.trim_ascii_start().starts_with(b"[") {
            return self.answer_one(body);
        }
        if self.chain.manner(self.node) == Manner::RefusesBatch {
            return Some(without_id(BATCH_REFUSED));
        }
        match serde_json::from_slice::<Vec<&RawValue>>(body) {
            Ok(calls) if !calls.is_empty() && calls.len() <= MAX_BATCH => self.answer_all(&calls),
            _ => Some(without_id(INVALID)),
        }
    }

    fn answer_all(&self, calls: &[&RawValue]) -> Option<String> {
        let answers: Vec<String> = calls.iter().filter_map(|call| self.answer_one(call.get().as_bytes())).collect();
        (!answers.is_empty()).then(|| format!("[{}]", answers.join(",")))
    }

    fn answer_one(&self, body: &[u8]) -> Option<String> {
        let Ok(call) = serde_json::from_slice::<Call<'_>>(body) else { return Some(without_id(INVALID)) };
        if call.jsonrpc != Some("2.0") {
            return Some(without_id(INVALID));
        }
        let outcome = self.outcome(call.method, call.params.map_or("[]", RawValue::get));
        Some(format!(r#"{{"jsonrpc":"2.0","id":{},{outcome}}}"#, call.id?.get()))
    }

    /// `"result":...` or `"error":...`.
    fn outcome(&self, method: &str, params: &str) -> String {
        let Some(view) = self.chain.view(self.node) else { return NO_METHOD.to_owned() };
        let tongue = self.chain.plan().tongue;
        if tongue == Tongue::OpNode {
            return op_node::outcome(self, &view, method).unwrap_or_else(|| NO_METHOD.to_owned());
        }
        match method {
            "eth_chainId" => format!(r#""result":"{:#x}""#, view.chain_id),
            "net_version" => format!(r#""result":"{}""#, view.chain_id),
            "web3_clientVersion" => {
                format!(r#""result":"haltwatch-sim/v{}/{}""#, env!("CARGO_PKG_VERSION"), self.chain.plan().name)
            }
            "eth_blockNumber" => format!(r#""result":"{:#x}""#, view.head.number),
            "eth_getBlockByNumber" => self.block(params),
            "eth_syncing" => match view.syncing_to {
                None => r#""result":false"#.to_owned(),
                Some(highest) => format!(
                    r#""result":{{"startingBlock":"0x0","currentBlock":"{:#x}","highestBlock":"{highest:#x}"}}"#,
                    view.head.number
                ),
            },
            "net_peerCount" => format!(r#""result":"{:#x}""#, view.peers),
            "eth_subscribe" if self.subscribes(params) => format!(r#""result":"{SUBSCRIPTION}""#),
            "net_listening" => r#""result":true"#.to_owned(),
            // Besu has another name for it.
            "txpool_status" if tongue != Tongue::Qbft => {
                format!(r#""result":{{"pending":"{:#x}","queued":"0x0"}}"#, view.pending)
            }
            _ => sealers::outcome(self, &view, method).unwrap_or_else(|| NO_METHOD.to_owned()),
        }
    }

    /// The timestamp of a block, in seconds since 1970.
    pub(super) fn seconds(&self, block: &Block) -> i64 {
        let at = i64::try_from(millis(block.at)).unwrap_or(i64::MAX) / i64::from(self.speed.max(1));
        self.epoch_ms.saturating_add(at) / 1000
    }

    /// Whether a request over a WebSocket asks to be told of new heads.
    #[must_use]
    pub fn is_subscription(&self, body: &[u8]) -> bool {
        serde_json::from_slice::<Call<'_>>(body).is_ok_and(|call| {
            call.method == "eth_subscribe" && self.subscribes(call.params.map_or("[]", RawValue::get))
        })
    }

    fn subscribes(&self, params: &str) -> bool {
        self.streams && params.contains(r#""newHeads""#)
    }

    /// The notification of a new head.
    #[must_use]
    pub fn announce(&self, block: &Block) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{SUBSCRIPTION}","result":{}}}}}"#,
            self.write_block(block)
        )
    }

    fn block(&self, params: &str) -> String {
        let Ok(params) = serde_json::from_str::<Vec<serde_json::Value>>(params) else { return BAD_PARAMS.to_owned() };
        let Some(which) = params.first().and_then(serde_json::Value::as_str) else { return BAD_PARAMS.to_owned() };
        let Some(view) = self.chain.view(self.node) else { return NO_METHOD.to_owned() };
        let block = match which {
            "latest" | "pending" => Some(view.head),
            "safe" => Some(view.safe),
            "finalized" => Some(view.finalized),
            "earliest" => self.chain.block(self.node, 0),
            number => match number.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16)) {
                Some(Ok(number)) => self.chain.block(self.node, number),
                _ => return BAD_PARAMS.to_owned(),
            },
        };
        block.map_or_else(|| r#""result":null"#.to_owned(), |block| format!(r#""result":{}"#, self.write_block(block)))
    }

    fn write_block(&self, block: &Block) -> String {
        let mut json = String::with_capacity(1024 + 70 * usize::try_from(block.transactions).unwrap_or_default());
        let (seconds, miner) = (self.seconds(block), producer(block.producer));
        // Where validators take turns it says whose it is; where another layer makes the blocks there is none.
        let difficulty = match self.chain.plan().tongue {
            Tongue::Qbft => 1,
            Tongue::Clique => 2,
            _ => 0,
        };
        // Writing to a string cannot fail.
        let _ = write!(
            json,
            r#"{{"hash":"{:#x}","parentHash":"{:#x}","number":"{:#x}","timestamp":"{seconds:#x}","miner":"{miner}","difficulty":"{difficulty:#x}","#,
            block.hash, block.parent, block.number
        );
        json.push_str(UNCHANGING);
        for index in 0..block.transactions {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(json, r#"{comma}"0x{:016x}{:048x}""#, block.number, index);
        }
        json.push_str("]}");
        json
    }
}

/// The address of the node at this place of the plan.
pub(super) fn producer(node: u64) -> String {
    format!("{:#042x}", node.saturating_add(1))
}

fn without_id(outcome: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":null,{outcome}}}"#)
}

/// The fields that are the same in every block, up to the opening of the list of transactions.
const UNCHANGING: &str = concat!(
    r#""sha3Uncles":"0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347","#,
    r#""gasLimit":"0x1c9c380","gasUsed":"0x0","extraData":"0x","nonce":"0x0000000000000000","#,
    r#""baseFeePerGas":"0x7","size":"0x220","uncles":[],"transactions":["#,
);
