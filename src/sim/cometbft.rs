//! The RPC of CometBFT as a simulated node speaks it, posted and by URI: the shapes, encodings and refusals of real nodes.
//!
//! Consensus is shown as it would stand. With a quorum, proposers that are away cost a round each. Without one the node
//! stands in its round with the votes of those it sees, for with too few of them no timeout ever runs out.

use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use serde_json::{Value, json, value::RawValue};

use super::{
    block::{Block, millis},
    chain::Process,
    fault::Manner,
    plan::Cadence,
    rpc::Desk,
    tongue::{Asked, Call, Said},
    view::View,
};

/// Calls in one batch above which a node refuses it (`max_request_batch_size`).
const MAX_BATCH: usize = 10;

/// Headers in one answer.
const MAX_HEADERS: u64 = 20;

/// Validators on a page, unless asked otherwise and at most.
const PAGE: usize = 30;
const MAX_PAGE: usize = 100;

/// What every validator weighs.
const POWER: u64 = 1000;

/// Failed rounds shown at the most.
const MAX_ROUNDS: u64 = 16;

/// SHA-256 of nothing, which stands for every root of nothing.
const NOTHING: &str = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";

/// The last millisecond that the calendar can name.
const END_OF_TIME_MS: u64 = 253_402_300_799_999;

/// The events that a subscription to new headers brings.
const QUERY: &str = "tm.event='NewBlockHeader'";

/// The answer of the node behind `desk`.
#[must_use]
pub fn reply(desk: &Desk<'_>, asked: &Asked<'_>) -> Said {
    let node = Node { desk };
    match (asked.method, asked.path) {
        (&Method::POST, "/") => node.posted(asked.body),
        (_, path) => node.by_uri(path),
    }
}

/// The answer to a message over a WebSocket, and whether it subscribed to new headers.
#[must_use]
pub fn converse(desk: &Desk<'_>, body: &[u8]) -> (Option<String>, bool) {
    let call = serde_json::from_slice::<Call<'_>>(body);
    match call {
        Ok(call) if call.method == "subscribe" && call.params.is_some_and(|params| params.get().contains(QUERY)) => {
            let id = call.id.map_or("1", RawValue::get);
            (Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)), true)
        }
        Ok(call) => (Node { desk }.one(&call), false),
        Err(_) => (Some(PARSE_ERROR.to_owned()), false),
    }
}

/// The event of a new block, as one more answer to the call that subscribed.
#[must_use]
pub fn announce(desk: &Desk<'_>, block: &Block) -> String {
    let value = json!({ "header": Node { desk }.header(block) });
    let data = json!({ "type": "tendermint/event/NewBlockHeader", "value": value });
    json!({ "jsonrpc": "2.0", "id": 1, "result": { "query": QUERY, "data": data } }).to_string()
}

const PARSE_ERROR: &str = r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error. Invalid JSON"}}"#;

struct Node<'a, 'b> {
    desk: &'a Desk<'b>,
}

/// The members `error` of an answer.
struct Refusal {
    code: i32,
    message: &'static str,
    data: String,
}

fn internal(data: impl Into<String>) -> Refusal {
    Refusal { code: -32603, message: "Internal error", data: data.into() }
}

impl Node<'_, '_> {
    fn posted(&self, body: &[u8]) -> Said {
        if !body.trim_ascii_start().starts_with(b"[") {
            return match serde_json::from_slice::<Call<'_>>(body) {
                Ok(call) => self.one(&call).map_or(Said { status: 200, json: None }, Said::ok),
                Err(_) => Said { status: 500, json: Some(PARSE_ERROR.to_owned()) },
            };
        }
        let refused = |text: &str| {
            let error = json!({ "code": -32600, "message": "Invalid Request", "data": text });
            Said::ok(json!({ "jsonrpc": "2.0", "error": error }).to_string())
        };
        if self.desk.chain.manner(self.desk.node) == Manner::RefusesBatch {
            return refused("batch requests are disabled");
        }
        match serde_json::from_slice::<Vec<Call<'_>>>(body) {
            Err(_) => Said { status: 500, json: Some(PARSE_ERROR.to_owned()) },
            Ok(calls) if MAX_BATCH < calls.len() => refused("batch request exceeds maximum"),
            Ok(calls) => {
                let answers: Vec<String> = calls.iter().filter_map(|call| self.one(call)).collect();
                match answers.as_slice() {
                    [] => Said { status: 200, json: None },
                    // A single answer comes without its array.
                    [only] => Said::ok(only.clone()),
                    many => Said::ok(format!("[{}]", many.join(","))),
                }
            }
        }
    }

    /// What has no id is a notification and is not answered.
    fn one(&self, call: &Call<'_>) -> Option<String> {
        let id = call.id?.get();
        let params = call.params.map_or(Ok(json!({})), |params| serde_json::from_str(params.get()));
        let outcome = self.outcome(call.method, &params.unwrap_or_default());
        Some(written(id, outcome))
    }

    fn by_uri(&self, path: &str) -> Said {
        let (method, query) =
            path.trim_start_matches('/').split_once('?').unwrap_or((path.trim_start_matches('/'), ""));
        let pair =
            |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), json!(value.trim_matches('"'))));
        let params = Value::Object(query.split('&').filter_map(pair).collect());
        match self.outcome(method, &params) {
            Err(Refusal { code: -32601, .. }) => Said { status: 404, json: None },
            outcome => Said { status: if outcome.is_ok() { 200 } else { 500 }, json: Some(written("-1", outcome)) },
        }
    }

    fn outcome(&self, method: &str, params: &Value) -> Result<Value, Refusal> {
        let unknown = || Refusal { code: -32601, message: "Method not found", data: String::new() };
        let view = self.desk.chain.view(self.desk.node).ok_or_else(unknown)?;
        match method {
            "health" => Ok(json!({})),
            "status" => Ok(self.status(&view)),
            "net_info" => Ok(json!({
                "listening": true, "listeners": ["Listener(@)"], "n_peers": view.peers.to_string(), "peers": []
            })),
            "num_unconfirmed_txs" => {
                let waiting = view.pending.to_string();
                Ok(json!({ "n_txs": waiting, "total": waiting, "total_bytes": "0", "txs": null }))
            }
            "consensus_state" => Ok(json!({ "round_state": self.round_state(&view) })),
            "abci_info" => {
                let version = concat!("v", env!("CARGO_PKG_VERSION"));
                Ok(json!({ "response": { "data": "haltwatch-sim", "version": version } }))
            }
            "abci_query" => {
                Ok(json!({ "response": { "code": 0, "value": null, "height": view.head.number.to_string() } }))
            }
            "validators" => self.validators(&view, params),
            "commit" => self.commit(&view, params),
            "blockchain" => Ok(self.headers(&view, params)),
            "block" => self.block(&view, params),
            _ => Err(unknown()),
        }
    }

    fn status(&self, view: &View<'_>) -> Value {
        let head = view.head;
        let first = self.desk.chain.block(self.desk.node, 1).filter(|_| head.number != 0);
        let height = |block: Option<&Block>| block.map_or(0, |block| block.number).to_string();
        let hash = |block: Option<&Block>| block.map(hash).unwrap_or_default();
        let newest = Some(head).filter(|head| head.number != 0);
        json!({
            "node_info": {
                "id": format!("{:040x}", self.desk.node + 1),
                "network": self.network(view),
                "version": "1.0.1",
                "moniker": self.desk.chain.plan().members[self.desk.node].name,
            },
            "sync_info": {
                "latest_block_hash": hash(newest),
                "latest_block_height": height(newest),
                "latest_block_time": newest.map_or("1970-01-01T00:00:00Z".to_owned(), |block| self.time(block)),
                "earliest_block_hash": hash(first),
                "earliest_block_height": height(first),
                "catching_up": view.syncing_to.is_some() || head.number == 0,
            },
            "validator_info": {
                "address": address(self.desk.node),
                "voting_power": if self.votes(self.desk.node) && head.number != 0 { POWER } else { 0 }.to_string(),
            },
        })
    }

    /// The name of the chain, with its number so that each has its own.
    fn network(&self, view: &View<'_>) -> String {
        format!("{}-{}", self.desk.chain.plan().name, view.chain_id)
    }

    fn time(&self, block: &Block) -> String {
        let at = i64::try_from(millis(block.at)).unwrap_or(i64::MAX) / i64::from(self.desk.speed.max(1));
        let ms = u64::try_from(self.desk.epoch_ms.saturating_add(at)).unwrap_or(0).min(END_OF_TIME_MS);
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
    }

    fn header(&self, block: &Block) -> Value {
        let parent = if block.number <= 1 { String::new() } else { format!("{:x}", block.parent).to_ascii_uppercase() };
        json!({
            "chain_id": self.desk.chain.plan().name,
            "height": block.number.to_string(),
            "time": self.time(block),
            "last_block_id": { "hash": parent },
            "evidence_hash": NOTHING,
            "proposer_address": address(usize::try_from(block.producer).unwrap_or_default()),
        })
    }

    fn votes(&self, node: usize) -> bool {
        self.desk.chain.plan().members.get(node).is_some_and(|member| member.votes)
    }

    /// The validators, in the order of their set.
    fn voters(&self) -> impl Iterator<Item = usize> {
        (0..self.desk.chain.plan().members.len()).filter(|node| self.votes(*node))
    }

    /// Whether this node sees the other one vote.
    fn sees(&self, other: usize) -> bool {
        let seats = &self.desk.chain.seats;
        let side = seats.get(self.desk.node).map(|seat| seat.side);
        seats.get(other).is_some_and(|seat| Some(seat.side) == side && seat.process == Process::Running)
    }

    fn validators(&self, view: &View<'_>, params: &Value) -> Result<Value, Refusal> {
        if view.head.number == 0 {
            return Err(internal("could not find validator set for height #0"));
        }
        let all: Vec<usize> = self.voters().collect();
        let wanted = |name: &str| params[name].as_str().and_then(|text| text.parse::<usize>().ok());
        let size = wanted("per_page").unwrap_or(PAGE).clamp(1, MAX_PAGE);
        let page = wanted("page").unwrap_or(1).max(1);
        let member = |node: &usize| json!({ "address": address(*node), "voting_power": POWER.to_string() });
        let shown: Vec<Value> = all.iter().skip((page - 1).saturating_mul(size)).take(size).map(member).collect();
        Ok(json!({
            "block_height": (view.head.number + 1).to_string(),
            "count": shown.len().to_string(), "total": all.len().to_string(), "validators": shown,
        }))
    }

    fn known(&self, view: &View<'_>, params: &Value) -> Result<Block, Refusal> {
        let height = params["height"].as_str().map(str::parse::<u64>);
        let head = view.head.number;
        match height {
            None => Ok(*view.head),
            Some(Ok(height)) if head < height => {
                let text = "must be less than or equal to the current blockchain height";
                Err(internal(format!("height {height} {text} {head}")))
            }
            Some(Ok(height)) => {
                let block = self.desk.chain.block(self.desk.node, height).copied();
                block.ok_or_else(|| internal(format!("height {height} is not available")))
            }
            Some(Err(_)) => Err(Refusal { code: -32602, message: "Invalid params", data: String::new() }),
        }
    }

    fn commit(&self, view: &View<'_>, params: &Value) -> Result<Value, Refusal> {
        let block = self.known(view, params)?;
        if block.number == 0 {
            return Ok(Value::Null);
        }
        let signature = |node: usize| {
            if self.sees(node) {
                json!({ "block_id_flag": 2, "validator_address": address(node), "timestamp": self.time(&block) })
            } else {
                json!({ "block_id_flag": 1, "validator_address": "", "signature": null })
            }
        };
        let commit = json!({
            "height": block.number.to_string(), "round": 0, "block_id": { "hash": hash(&block) },
            "signatures": self.voters().map(signature).collect::<Vec<_>>(),
        });
        let canonical = block.number < view.head.number;
        Ok(json!({ "signed_header": { "header": self.header(&block), "commit": commit }, "canonical": canonical }))
    }

    fn block(&self, view: &View<'_>, params: &Value) -> Result<Value, Refusal> {
        let block = self.known(view, params)?;
        let body = json!({ "header": self.header(&block), "data": { "txs": [] }, "evidence": { "evidence": [] } });
        Ok(json!({ "block_id": { "hash": hash(&block) }, "block": body }))
    }

    /// Newest first.
    fn headers(&self, view: &View<'_>, params: &Value) -> Value {
        let bound = |name: &str| params[name].as_str().and_then(|text| text.parse::<u64>().ok()).filter(|it| *it != 0);
        let last = bound("maxHeight").unwrap_or(u64::MAX).min(view.head.number);
        let first = bound("minHeight").unwrap_or(1).max((last + 1).saturating_sub(MAX_HEADERS)).max(1);
        let blocks = (first..=last).rev().filter_map(|height| self.desk.chain.block(self.desk.node, height));
        let meta = |block: &Block| {
            let transactions = block.transactions.to_string();
            json!({ "block_id": { "hash": hash(block) }, "header": self.header(block), "num_txs": transactions })
        };
        json!({ "last_height": view.head.number.to_string(), "block_metas": blocks.map(meta).collect::<Vec<_>>() })
    }

    fn round_state(&self, view: &View<'_>) -> Value {
        let height = view.head.number + 1;
        let all: Vec<usize> = self.voters().collect();
        let there: Vec<bool> = all.iter().map(|node| self.sees(*node)).collect();
        let nobody = vec![false; all.len()];
        let waited = self.rounds_waited(view);
        let quorum = self.desk.chain.plan().quorum.needed(all.len()) <= there.iter().filter(|it| **it).count();
        // Without a quorum the first prevotes are the last.
        let (round, step) = if quorum { (waited, 1) } else { (0, if waited == 0 { 1 } else { 4 }) };
        let failed = |n: u64| (n, &there, if quorum { &there } else { &nobody });
        let begun = if step == 4 { failed(round) } else { (round, &nobody, &nobody) };
        let rounds = (round.saturating_sub(MAX_ROUNDS)..round).map(failed).chain([begun]);
        let show = |(n, prevotes, precommits): (u64, &Vec<bool>, &Vec<bool>)| {
            json!({
                "round": n,
                "prevotes": written_votes(&all, prevotes, height, n, "PREVOTE(Prevote)"),
                "prevotes_bit_array": bit_array(prevotes),
                "precommits": written_votes(&all, precommits, height, n, "PRECOMMIT(Precommit)"),
                "precommits_bit_array": bit_array(precommits),
            })
        };
        json!({
            "height/round/step": format!("{height}/{round}/{step}"),
            "start_time": self.time(view.head),
            "height_vote_set": rounds.map(show).collect::<Vec<_>>(),
        })
    }

    /// Block times that have passed since the newest block: with every proposer there, a block comes in the first.
    fn rounds_waited(&self, view: &View<'_>) -> u64 {
        let Cadence::Interval(every) = self.desk.chain.plan().cadence else { return 0 };
        let passed = millis(self.desk.chain.now.saturating_sub(view.head.at));
        passed / millis(every).max(1)
    }
}

fn written(id: &str, outcome: Result<Value, Refusal>) -> String {
    match outcome {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(Refusal { code, message, data }) => {
            let error = json!({ "code": code, "message": message, "data": data });
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
        }
    }
}

fn hash(block: &Block) -> String {
    format!("{:x}", block.hash).to_ascii_uppercase()
}

/// Twenty bytes, of which the first six, with which a vote names its validator, already differ.
fn address(node: usize) -> String {
    format!("{:012X}{:028X}", node + 1, node + 1)
}

fn bit_array(votes: &[bool]) -> String {
    let cast = votes.iter().filter(|vote| **vote).count();
    let bits: String = votes.iter().map(|vote| if *vote { 'x' } else { '_' }).collect();
    let weight = |votes: usize| POWER.saturating_mul(votes as u64);
    let hundredths = 100 * cast / votes.len().max(1);
    let ratio = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("BA{{{}:{bits}}} {}/{} = {ratio}", votes.len(), weight(cast), weight(votes.len()))
}

/// Votes for no block: those for one would have made it.
fn written_votes(all: &[usize], cast: &[bool], height: u64, round: u64, kind: &str) -> Vec<String> {
    let write = |(index, (node, cast)): (usize, (&usize, &bool))| {
        if !cast {
            return "nil-Vote".to_owned();
        }
        let vote = format!("{height}/{round:02}/SIGNED_MSG_TYPE_{kind} 000000000000 32F593FA58D0 000000000000");
        format!("Vote{{{index}:{} {vote} @ 2026-11-21T19:38:54Z}}", &address(*node)[..12])
    };
    all.iter().zip(cast).enumerate().map(write).collect()
}
