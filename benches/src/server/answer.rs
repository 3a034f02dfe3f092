//! What the fake node says to a JSON-RPC request, single or batch.

use std::fmt::Write;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::BLOCK_SECONDS;

/// Blocks from the head to the newest safe one.
const SAFE_DISTANCE: u64 = 32;

/// Blocks from the head to the newest final one.
const FINAL_DISTANCE: u64 = 64;

/// One call of a request. A notification, which has no id, is never sent by a monitor.
#[derive(Debug, Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    method: &'a str,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// A call without its id: what is the same from one poll to the next.
#[derive(Debug, Serialize)]
struct Question<'a> {
    method: &'a str,
    params: Option<&'a RawValue>,
}

/// The calls of a request as a JSON array of `{method, params}`.
pub fn calls_in(body: &[u8]) -> anyhow::Result<String> {
    let (calls, _) = parse(body)?;
    let questions: Vec<_> = calls.iter().map(|call| Question { method: call.method, params: call.params }).collect();
    Ok(serde_json::to_string(&questions)?)
}

/// The answer to the request `body` when the chain stands at `height`.
pub fn to(body: &[u8], height: u64, transactions: usize) -> anyhow::Result<String> {
    let (calls, batch) = parse(body)?;
    let replies: Vec<_> = calls.iter().map(|call| reply(call, height, transactions)).collect();
    let text = replies.join(",");
    Ok(if batch { format!("[{text}]") } else { text })
}

fn parse(body: &[u8]) -> anyhow::Result<(Vec<Call<'_>>, bool)> {
    if body.first() == Some(&b'[') {
        return Ok((serde_json::from_slice(body).context("not a batch")?, true));
    }
    Ok((vec![serde_json::from_slice(body).context("not a call")?], false))
}

fn reply(call: &Call<'_>, height: u64, transactions: usize) -> String {
    let id = call.id.get();
    match result(call, height, transactions) {
        Some(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        None => format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"the method {} does not exist/is not available"}}}}"#,
            call.method
        ),
    }
}

fn result(call: &Call<'_>, height: u64, transactions: usize) -> Option<String> {
    Some(match call.method {
        "eth_chainId" => r#""0x1""#.to_owned(),
        "net_version" => r#""1""#.to_owned(),
        "eth_blockNumber" => format!(r#""{height:#x}""#),
        "eth_syncing" => "false".to_owned(),
        "net_peerCount" => r#""0x32""#.to_owned(),
        "web3_clientVersion" => r#""Geth/v1.17.5-stable-9d3d0a1c/linux-amd64/go1.25.4""#.to_owned(),
        "txpool_status" => r#"{"pending":"0x3c","queued":"0x8"}"#.to_owned(),
        "eth_getBlockByNumber" => block(asked_height(call, height), transactions),
        _ => return None,
    })
}

fn asked_height(call: &Call<'_>, head: u64) -> u64 {
    let params: Vec<&RawValue> =
        call.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
    match params.first().map_or("", |tag| tag.get().trim_matches('"')) {
        "safe" => head.saturating_sub(SAFE_DISTANCE),
        "finalized" => head.saturating_sub(FINAL_DISTANCE),
        "earliest" => 0,
        number => match number.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap_or(head),
            None => head,
        },
    }
}

/// A block as a post-merge client shows it, with the hashes of its transactions.
fn block(height: u64, transactions: usize) -> String {
    let mut hashes = String::with_capacity(transactions * 69);
    for index in 0..transactions as u64 {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(hashes, r#"{comma}"{}""#, hash(height, 100 + index));
    }
    let (number, time, bloom) = (height, height * BLOCK_SECONDS, "a5".repeat(256));
    let (own, parent) = (hash(height, 0), hash(height.wrapping_sub(1), 0));
    let (state, receipts, mix, root) = (hash(height, 1), hash(height, 2), hash(height, 3), hash(height, 4));
    format!(
        r#"{{"baseFeePerGas":"0x1a2b3c4d5","blobGasUsed":"0x60000","difficulty":"0x0","excessBlobGas":"0x4b80000","extraData":"0x68616c747761746368","gasLimit":"0x2255100","gasUsed":"0xf3a8b2","hash":"{own}","logsBloom":"0x{bloom}","miner":"0x00000000000000000000000000000000000000fe","mixHash":"{mix}","nonce":"0x0000000000000000","number":"{number:#x}","parentBeaconBlockRoot":"{root}","parentHash":"{parent}","receiptsRoot":"{receipts}","sha3Uncles":"0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347","size":"0x1a2b3","stateRoot":"{state}","timestamp":"{time:#x}","transactions":[{hashes}],"transactionsRoot":"{root}","uncles":[],"withdrawals":[],"withdrawalsRoot":"{root}"}}"#
    )
}

/// 32 bytes that differ for each `height` and `salt`.
fn hash(height: u64, salt: u64) -> String {
    let seed = height.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    format!("0x{:016x}{:016x}{:016x}{:016x}", seed, seed.rotate_left(17), seed.rotate_left(31), seed.rotate_left(47))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_answered_call_by_call() {
        let body = br#"[{"jsonrpc":"2.0","id":7,"method":"eth_getBlockByNumber","params":["finalized",false]},
            {"jsonrpc":"2.0","id":8,"method":"eth_mining","params":[]}]"#;
        let answer: Vec<serde_json::Value> = serde_json::from_str(&to(body, 164, 2).unwrap()).unwrap();
        assert_eq!((&answer[0]["id"], &answer[0]["result"]["number"]), (&7.into(), &"0x64".into()));
        assert_eq!(answer[0]["result"]["transactions"].as_array().unwrap().len(), 2);
        assert_eq!(answer[1]["error"]["code"], -32601);
    }

    #[test]
    fn a_block_follows_its_parent() {
        let field = |height, name: &str| {
            let block: serde_json::Value = serde_json::from_str(&block(height, 0)).unwrap();
            block[name].as_str().unwrap().to_owned()
        };
        assert_eq!(field(9, "parentHash"), field(8, "hash"));
    }

    #[test]
    fn the_calls_of_a_request_are_told_without_their_ids() {
        let body = br#"{"jsonrpc":"2.0","id":3,"method":"eth_chainId","params":[]}"#;
        assert_eq!(calls_in(body).unwrap(), r#"[{"method":"eth_chainId","params":[]}]"#);
    }
}
