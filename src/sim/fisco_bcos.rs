//! FISCO BCOS as its nodes speak it, 2.x and 3.x: one group, whose sealers are those of the plan that vote.
//!
//! In 2.x the view grows by one a second while enough sealers agree, each block sets it back to 0, and without a quorum it
//! freezes while `toView` runs ahead. In 3.x the view rests; `timeout` and `changeCycle` tell of failed rounds, and only
//! while something waits. Batches are taken by 2.x and refused by 3.x.

use std::time::Duration;

use alloy_primitives::keccak256;
use http::Method;
use serde_json::{Value, json};

use super::{
    block::{Block, millis},
    rpc::Desk,
    tongue::{Asked, Said},
    view::View,
};

/// What a round of 3.x waits at first; each failed one makes it half as long again.
const ROUND: Duration = Duration::from_secs(3);

/// Failed rounds are counted no further than this.
const MAX_CYCLE: u64 = 10;

/// What a call comes to: a result, or code and message of an error.
type Outcome = Result<Value, (i64, &'static str)>;

/// The answer of a 2.x node.
#[must_use]
pub fn reply_2(desk: &Desk<'_>, asked: &Asked<'_>) -> Said {
    if *asked.method != Method::POST {
        return Said { status: 405, json: None };
    }
    let body: Value = serde_json::from_slice(asked.body).unwrap_or_default();
    let answer = |call: &Value| answered(call, |method, params| Group2(desk).outcome(method, params));
    Said::ok(body.as_array().map_or_else(|| answer(&body), |calls| calls.iter().map(answer).collect()).to_string())
}

/// The answer of a 3.x node.
#[must_use]
pub fn reply_3(desk: &Desk<'_>, asked: &Asked<'_>) -> Said {
    if *asked.method != Method::POST {
        return Said { status: 204, json: None };
    }
    let body: Value = serde_json::from_slice(asked.body).unwrap_or_default();
    let whole = body["id"].is_u64() && body["params"].is_array();
    let answer = |call| answered(call, |method, params| Group3(desk).outcome(method, params));
    let refused = || json!({"jsonrpc": "2.0", "id": 0, "error": {"code": -32700, "message": "parse error"}});
    Said::ok(if whole { answer(&body) } else { refused() }.to_string())
}

fn answered(call: &Value, outcome: impl Fn(&str, &Value) -> Outcome) -> Value {
    let id = &call["id"];
    match outcome(call["method"].as_str().unwrap_or_default(), &call["params"]) {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err((code, message)) => json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}),
    }
}

/// The public key of a node: 128 digits.
fn node_id(desk: &Desk<'_>, node: usize) -> String {
    let name = format!("{} {node}", desk.chain.plan().name);
    let half = |of: &str| format!("{:x}", keccak256(format!("{name} {of}")));
    format!("{}{}", half("x"), half("y"))
}

fn bare(block: &Block) -> String {
    format!("{:x}", block.hash)
}

/// When it was sealed, in milliseconds since 1970.
fn timestamp(desk: &Desk<'_>, block: &Block) -> i64 {
    let at = i64::try_from(millis(block.at)).unwrap_or(i64::MAX) / i64::from(desk.speed.max(1));
    desk.epoch_ms.saturating_add(at)
}

/// The positions of those that seal.
fn sealers(desk: &Desk<'_>) -> Vec<usize> {
    let members = desk.chain.plan().members.iter().enumerate();
    members.filter(|(_, member)| member.votes).map(|(node, _)| node).collect()
}

fn peers(desk: &Desk<'_>, name: &str, view: &View<'_>) -> Vec<Value> {
    let genesis = desk.chain.block(desk.node, 0).map(bare).unwrap_or_default();
    let known =
        |node: usize| desk.chain.view(node).map_or_else(|| (0, String::new()), |v| (v.head.number, bare(v.head)));
    let peer = |node: usize| {
        let (number, latest) = known(node);
        json!({name: node_id(desk, node), "genesisHash": genesis, "blockNumber": number.min(view.head.number + 1), "latestHash": latest})
    };
    desk.chain.neighbours(desk.node).into_iter().map(peer).collect()
}

fn number(value: &Value) -> Option<u64> {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x"));
    text.map_or_else(|| value.as_u64(), |digits| u64::from_str_radix(digits, 16).ok())
}

/// What nodes of either kind are asked; they look for the method before they look at the group.
const METHODS: [&str; 13] = [
    "getBlockByNumber",
    "getBlockHashByNumber",
    "getBlockHeaderByNumber",
    "getBlockNumber",
    "getClientVersion",
    "getConsensusStatus",
    "getGroupInfo",
    "getGroupList",
    "getGroupPeers",
    "getPbftView",
    "getPendingTxSize",
    "getSealerList",
    "getSyncStatus",
];

struct Group2<'a>(&'a Desk<'a>);

impl Group2<'_> {
    fn outcome(&self, method: &str, params: &Value) -> Outcome {
        let desk = self.0;
        if !METHODS.contains(&method) {
            return Err((-32601, "METHOD_NOT_FOUND: The method being requested is not available on this server"));
        }
        let view = desk.chain.view(desk.node).ok_or((-40009, "the node does not belong to this group"))?;
        match method {
            "getClientVersion" => {
                return Ok(json!({"Build Time": "", "Chain Id": view.chain_id.to_string(),
                    "FISCO-BCOS Version": "2.11.0", "Supported Version": "2.11.0"}));
            }
            "getGroupList" => return Ok(json!([1])),
            _ => {}
        }
        match params[0].as_u64() {
            Some(1) => {}
            Some(_) => return Err((-40001, "GroupID does not exist")),
            None => return Err((-32602, "Invalid method parameters (invalid name and/or type) recognised")),
        }
        match method {
            "getBlockNumber" => Ok(json!(format!("{:#x}", view.head.number))),
            "getPbftView" => Ok(json!(format!("{:#x}", self.view()))),
            "getPendingTxSize" => Ok(json!(format!("{:#x}", view.pending))),
            "getSyncStatus" => Ok(self.sync(&view)),
            "getConsensusStatus" => Ok(self.consensus(&view)),
            "getSealerList" => Ok(sealers(desk).into_iter().map(|node| json!(node_id(desk, node))).collect()),
            "getBlockHashByNumber" => self.block(params).map(|block| json!(format!("{:#x}", block.hash))),
            "getBlockHeaderByNumber" | "getBlockByNumber" => self.block(params).map(|block| {
                json!({"number": format!("{:#x}", block.number), "hash": format!("{:#x}", block.hash),
                    "parentHash": format!("{:#x}", block.parent),
                    "timestamp": format!("{:#x}", timestamp(desk, block))})
            }),
            _ => Err((-32601, "METHOD_NOT_FOUND: The method being requested is not available on this server")),
        }
    }

    fn view(&self) -> u64 {
        self.0.chain.turns(self.0.node).map_or(0, |turns| turns.agreed)
    }

    fn block(&self, params: &Value) -> Result<&Block, (i64, &'static str)> {
        let wanted = number(&params[1]).and_then(|number| self.0.chain.block(self.0.node, number));
        wanted.ok_or((-40004, "BlockNumber does not exist"))
    }

    fn sync(&self, view: &View<'_>) -> Value {
        let desk = self.0;
        let known = view.syncing_to.unwrap_or(view.head.number);
        json!({"isSyncing": view.syncing_to.is_some(), "protocolId": 265,
            "genesisHash": desk.chain.block(desk.node, 0).map(bare), "nodeId": node_id(desk, desk.node),
            "blockNumber": view.head.number, "latestHash": bare(view.head), "knownHighestNumber": known,
            "knownLatestHash": bare(view.head), "txPoolSize": view.pending.to_string(),
            "peers": peers(desk, "nodeId", view)})
    }

    fn consensus(&self, view: &View<'_>) -> Value {
        let desk = self.0;
        let (sealers, now) = (sealers(desk), self.view());
        let stuck = desk.chain.turns(desk.node).is_some_and(|turns| turns.stuck.is_some());
        let place = sealers.iter().position(|node| *node == desk.node);
        let mut status = json!({"accountType": u8::from(place.is_some()), "allowFutureBlocks": true,
            "cfgErr": place.is_none(), "connectedNodes": desk.chain.neighbours(desk.node).len(),
            "consensusedBlockNumber": view.head.number + 1, "currentView": now, "groupId": 1,
            "highestblockHash": bare(view.head), "highestblockNumber": view.head.number, "leaderFailed": stuck,
            "max_faulty_leader": sealers.len().saturating_sub(1) / 3, "nodeId": node_id(desk, desk.node),
            "nodeNum": sealers.len(), "node_index": place.unwrap_or(65_535), "omitEmptyBlock": true,
            "protocolId": 264, "toView": now + u64::from(stuck)});
        for (place, node) in sealers.iter().enumerate() {
            status[format!("sealer.{place}")] = json!(node_id(desk, *node));
        }
        let heard = sealers.iter().map(|node| json!({"nodeId": node_id(desk, *node), "view": now}));
        json!([status, heard.collect::<Vec<_>>()])
    }
}

struct Group3<'a>(&'a Desk<'a>);

impl Group3<'_> {
    fn outcome(&self, method: &str, params: &Value) -> Outcome {
        let desk = self.0;
        if !METHODS.contains(&method) {
            return Err((-32601, "Method not found"));
        }
        let gone = (-32000, "Invalid request for the specified node: the node does not exist or has not started");
        let view = desk.chain.view(desk.node).ok_or(gone)?;
        if method == "getGroupList" {
            return Ok(json!({"code": 0, "msg": "success", "groupList": ["group0"]}));
        }
        if params[0] != "group0" {
            return Err((-32005, "The group does not exist"));
        }
        match method {
            "getGroupInfo" => return Ok(self.group(&view)),
            "getGroupPeers" => return Ok(self.present()),
            _ if params[1] != "" && params[1] != node_id(desk, desk.node).as_str() => return Err(gone),
            _ => {}
        }
        match method {
            "getBlockNumber" => Ok(json!(view.head.number)),
            "getPendingTxSize" => Ok(json!(view.pending)),
            "getConsensusStatus" => Ok(wrapped(&self.consensus(&view))),
            "getSyncStatus" => Ok(wrapped(&self.sync(&view))),
            "getBlockHashByNumber" => {
                let zero = format!("0x{}", "0".repeat(64));
                Ok(json!(self.block(params).map_or(zero, |block| format!("{:#x}", block.hash))))
            }
            "getBlockByNumber" => {
                let block = self.block(params).ok_or((-32603, "the block does not exist"))?;
                let parent = json!([{"blockNumber": block.number.saturating_sub(1), "blockHash": format!("{:#x}", block.parent)}]);
                Ok(json!({"number": block.number, "hash": format!("{:#x}", block.hash),
                    "parentInfo": parent, "timestamp": timestamp(desk, block)}))
            }
            _ => Err((-32601, "Method not found")),
        }
    }

    fn block(&self, params: &Value) -> Option<&Block> {
        self.0.chain.block(self.0.node, number(&params[2])?)
    }

    fn group(&self, view: &View<'_>) -> Value {
        let name = node_id(self.0, self.0.node);
        let config = json!({"binaryInfo": {"version": "3.16.2"}, "nodeID": name});
        json!({"chainID": format!("chain{}", view.chain_id), "groupID": "group0", "genesisConfig": "{}",
            "nodeList": [{"type": 0, "name": name, "iniConfig": config.to_string()}]})
    }

    fn present(&self) -> Value {
        let all = self.0.chain.neighbours(self.0.node).into_iter().chain([self.0.node]);
        all.map(|node| json!(node_id(self.0, node))).collect()
    }

    fn sync(&self, view: &View<'_>) -> Value {
        let desk = self.0;
        json!({"archivedBlockNumber": 0, "blockNumber": view.head.number,
            "genesisHash": desk.chain.block(desk.node, 0).map(bare), "isSyncing": view.syncing_to.is_some(),
            "knownHighestNumber": view.syncing_to.unwrap_or(view.head.number), "knownLatestHash": bare(view.head),
            "latestHash": bare(view.head), "nodeID": node_id(desk, desk.node), "peers": peers(desk, "nodeID", view)})
    }

    fn consensus(&self, view: &View<'_>) -> Value {
        let desk = self.0;
        let sealers = sealers(desk);
        let place = sealers.iter().position(|node| *node == desk.node);
        let stuck = desk.chain.turns(desk.node).and_then(|turns| turns.stuck).filter(|_| 0 < view.pending);
        let list = sealers.iter().enumerate();
        let list = list.map(|(index, node)| json!({"index": index, "nodeID": node_id(desk, *node), "weight": 1}));
        let faulty = sealers.len().saturating_sub(1) / 3;
        json!({"blockNumber": view.head.number, "changeCycle": stuck.map_or(0, failed_rounds),
            "connectedNodeList": desk.chain.neighbours(desk.node).len() + 1,
            "consensusNodeList": list.collect::<Vec<_>>(), "consensusNodesNum": sealers.len(),
            "hash": bare(view.head), "index": place, "isConsensusNode": place.is_some(), "leaderIndex": 0,
            "maxFaultyQuorum": faulty, "minRequiredQuorum": sealers.len() - faulty,
            "nodeID": node_id(desk, desk.node), "timeout": place.is_some() && stuck.is_some(), "view": 3})
    }
}

/// JSON as the text of a string, with an end of line.
fn wrapped(status: &Value) -> Value {
    json!(format!("{status}\n"))
}

/// How often agreeing has failed in this time.
fn failed_rounds(stuck: Duration) -> u64 {
    let (mut left, mut round, mut failed) = (stuck, ROUND, 0);
    while round <= left && failed < MAX_CYCLE {
        (left, round, failed) = (left.saturating_sub(round), round * 3 / 2, failed + 1);
    }
    failed
}
