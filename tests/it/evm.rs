//! What is read from the answers of real execution clients, healthy and broken. The answers in `tests/data/evm` were
//! recorded from anvil, Injective, `EthereumJS`, Hardhat and Ganache; every file is one node in one state, asked call by
//! call, so that a later answer may be a block ahead of an earlier one.

use std::{fs, path::Path};

use expect_test::{Expect, expect};
use haltwatch::{
    model::Height,
    observation::{ErrorKind, Facts, Finality, PollError},
};
use serde_json::{Value, json};

use crate::{
    poller::{Watch, nodes, target},
    scripted_node::{Reply, ScriptedNode, evm_answer, json_rpc},
};

/// One poll of a node that says what the recorded one said.
async fn poll_recorded(name: &str) -> Result<String, PollError> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/evm").join(name).with_extension("json");
    let recorded: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    poll(move |method, params| {
        let key = params[0].as_str().map_or_else(|| method.to_owned(), |tag| format!("{method} {tag}"));
        match recorded.get(&key) {
            Some(answer) => answer.clone(),
            None => json!({"error": {"code": -32000, "message": "not recorded"}}),
        }
    })
    .await
    .map(|facts| summary(&facts))
}

async fn poll(answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Result<Facts, PollError> {
    let node = ScriptedNode::start(move |asked| json_rpc(asked, &answer)).await;
    let mut watch = Watch::start(&nodes(vec![target(0, &node.url())]));
    watch.node().await.outcome.map(|facts| Facts::clone(&facts))
}

/// A poll of a healthy node of which one answer is replaced.
async fn poll_with(method: &'static str, tag: &'static str, answer: Value) -> Result<Facts, PollError> {
    poll(move |asked, params| {
        let replaced = asked == method && params[0].as_str().unwrap_or_default() == tag;
        if replaced { answer.clone() } else { evm_answer(100, asked, params) }
    })
    .await
}

fn summary(facts: &Facts) -> String {
    let Facts { head, finality, chain_id, version, safe, syncing, peers, pending, .. } = facts;
    let finality = match finality {
        Finality::Unknown => "unknown".to_owned(),
        Finality::Known { height, .. } => height.to_string(),
    };
    format!(
        "height {} of chain {:?} at {:?} with {:?} txs, safe {:?}, final {finality}, {syncing:?}, peers {peers:?}, pending {pending:?}, {:?}",
        head.height,
        chain_id.as_deref().unwrap_or("?"),
        head.time.map(|time| time.to_string()).unwrap_or_default(),
        head.transactions,
        safe.map(|safe| safe.0),
        version.as_deref().unwrap_or("?"),
    )
}

async fn check(name: &str, wanted: Expect) {
    let read = poll_recorded(name).await.unwrap_or_else(|error| format!("{error:?}"));
    wanted.assert_eq(&read);
}

#[tokio::test]
async fn the_answers_of_real_clients_are_read_as_they_were_meant() {
    check("anvil", expect![[r#"height 37 of chain "31337" at "2026-11-21T19:34:18.000Z" with Some(0) txs, safe Some(33), final 29, No, peers None, pending Some(0), "anvil/v1.7.1""#]]).await;
    check("injective", expect![[r#"height 59 of chain "1776" at "2026-11-21T19:38:05.000Z" with Some(0) txs, safe Some(59), final 59, No, peers Some(3), pending Some(0), "1.6.0""#]]).await;
    check("ethjs", expect![[r#"height 2 of chain "123456" at "2026-11-21T20:15:21.000Z" with Some(0) txs, safe None, final unknown, No, peers Some(0), pending None, "EthereumJS/0.10.5/linux/node20.20.2""#]]).await;
    check("hardhat", expect![[r#"height 6 of chain "31337" at "2026-11-21T20:17:11.000Z" with Some(0) txs, safe Some(7), final 7, No, peers None, pending None, "HardhatNetwork/3.18.0/@nomicfoundation/edr/0.3.8""#]]).await;
    check("ganache", expect![[r#"height 9 of chain "1337" at "2026-11-21T20:18:00.000Z" with Some(0) txs, safe Some(9), final 10, No, peers Some(0), pending None, "Ganache/v7.9.2/EthereumJS TestRPC/v7.9.2/ethereum-js""#]]).await;
}

#[tokio::test]
async fn the_answers_of_real_clients_in_trouble_are_read_as_they_were_meant() {
    check("anvil_future_timestamp", expect![[r#"height 89 of chain "31337" at "2026-11-21T20:35:10.000Z" with Some(0) txs, safe Some(33), final 29, No, peers None, pending Some(0), "anvil/v1.7.1""#]]).await;
    check("injective_syncing", expect![[r#"height 59 of chain "1776" at "2026-11-21T19:38:05.000Z" with Some(0) txs, safe Some(59), final 59, Yes { behind: None }, peers Some(4), pending Some(0), "1.6.0""#]]).await;
    check("injective_height_0", expect![[r#"PollError { kind: Starting, detail: "no block yet" }"#]]).await;
    check("ethjs_isolated", expect![[r#"height 0 of chain "11155111" at "2021-10-03T13:24:41.000Z" with Some(0) txs, safe None, final unknown, Starting, peers Some(0), pending None, "EthereumJS/0.10.5/linux/node20.20.2""#]]).await;
}

#[tokio::test]
async fn a_node_that_cannot_tell_finality_is_a_good_node() {
    for answer in [
        json!({"result": null}),
        json!({"error": {"code": -39001, "message": "Unknown block"}}),
        json!({"error": {"code": -32000, "message": "finalized block not found"}}),
        json!({"error": {"code": -32602, "message": "invalid block tag"}}),
        json!({"error": {"code": -32600, "message": "not supported"}}),
        json!({"result": {"number": "0x1"}}),
        json!({"result": "soon"}),
    ] {
        let facts = poll_with("eth_getBlockByNumber", "finalized", answer.clone()).await.unwrap();
        assert_eq!((facts.finality, facts.head.height), (Finality::Unknown, Height(100)), "{answer}");
    }
}

#[tokio::test]
async fn a_head_that_is_not_a_block_is_named_for_what_it_is() {
    for (answer, wanted) in [
        (json!({"result": null}), ErrorKind::Malformed),
        (json!({"result": {}}), ErrorKind::Malformed),
        (json!({"result": {"number": "0x1", "hash": null}}), ErrorKind::Malformed),
        (json!({"result": {"number": -1, "hash": format!("{:#066x}", 1)}}), ErrorKind::Malformed),
        (json!({"result": {"number": "0x10000000000000000", "hash": format!("{:#066x}", 1)}}), ErrorKind::Malformed),
        (json!({"result": "0x1"}), ErrorKind::Malformed),
        (json!({}), ErrorKind::Malformed),
        (json!({"error": {"code": -32000, "message": "missing trie node"}}), ErrorKind::Rpc),
        (json!({"error": {"code": -32000, "message": "daily request capacity exceeded"}}), ErrorKind::RateLimited),
        (json!({"error": {"code": -32000, "message": "please wait for first block"}}), ErrorKind::Starting),
        (json!({"error": "busy"}), ErrorKind::Rpc),
    ] {
        let error = poll_with("eth_getBlockByNumber", "latest", answer.clone()).await.unwrap_err();
        assert_eq!(error.kind, wanted, "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn what_a_node_says_beside_its_head_is_never_made_up() {
    for (method, answer) in [("net_peerCount", json!({"result": "25"})), ("net_peerCount", json!({"result": -1}))] {
        assert_eq!(poll_with(method, "", answer).await.unwrap().peers, None);
    }
    assert_eq!(poll_with("net_peerCount", "", json!({"result": 3})).await.unwrap().peers, Some(3));
    assert_eq!(poll_with("txpool_status", "", json!({"result": {"queued": "0x1"}})).await.unwrap().pending, None);
    assert_eq!(poll_with("eth_chainId", "", json!({"result": "injective"})).await.unwrap().chain_id, None);
    // An endpoint whose "block 0" is another block does not know its genesis.
    let later = json!({"result": {"number": "0x1", "hash": format!("{:#066x}", 1)}});
    assert_eq!(poll_with("eth_getBlockByNumber", "0x0", later).await.unwrap().genesis, None);
}

#[tokio::test]
async fn the_version_is_cleaned_and_bounded() {
    let nasty = format!("Geth\u{1b}[31m\r\n\u{202e}{}", "x".repeat(5000));
    let version = poll_with("web3_clientVersion", "", json!({"result": nasty})).await.unwrap().version.unwrap();
    assert!(version.len() <= 128 && !version.chars().any(char::is_control) && !version.contains('\u{202e}'));
}

#[tokio::test]
async fn the_clock_of_a_node_is_taken_from_its_date() {
    let node = ScriptedNode::start(|asked| {
        let Reply::Raw(bytes) = json_rpc(asked, |method, params| evm_answer(1, method, params)) else { panic!() };
        let text = String::from_utf8(bytes).unwrap();
        Reply::Raw(text.replacen("content-type", "date: Sat, 21 Nov 2026 20:00:00 GMT\r\ncontent-type", 1).into_bytes())
    })
    .await;
    let mut watch = Watch::start(&nodes(vec![target(0, &node.url())]));
    let facts = watch.node().await.outcome.unwrap();
    assert_eq!(facts.clock.unwrap().to_string(), "2026-11-21T20:00:00.000Z");
}
