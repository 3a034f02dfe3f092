//! What is read from the answers of monerod. The answers in `tests/data/monero` were recorded on regtest.

use std::{fs, path::Path};

use expect_test::{Expect, expect};
use haltwatch::{
    chain::{Family, NodeTarget, Profile},
    model::Cadence,
    observation::{ErrorKind, Facts, PollError, Syncing},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    poller::{Watch, nodes, target},
    scripted_node::{Reply, ScriptedNode, json_rpc},
};

fn recorded(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/monero").join(name).with_extension("json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// One poll of a node that says `answers`, and refuses batches as monerod does.
async fn poll(answers: Value) -> Result<Facts, PollError> {
    let node = ScriptedNode::start(move |asked| {
        if asked.body.first() == Some(&b'[') {
            return Reply::json(r#"{"error":{"code":-32700,"message":"Parse error"},"id":0,"jsonrpc":"2.0"}"#);
        }
        let unknown = json!({"error": {"code": -32601, "message": "Method not found"}});
        json_rpc(asked, |method, _| answers.get(method).unwrap_or(&unknown).clone())
    })
    .await;
    let target = NodeTarget { family: Family::Monero, ..target(0, &node.url()) };
    let mut watch = Watch::start(&nodes(vec![target]));
    let outcome = watch.node().await.outcome;
    assert!(node.asked().iter().all(|asked| asked.body.first() == Some(&b'{')), "a batch was tried");
    outcome.map(|facts| Facts::clone(&facts))
}

async fn check(name: &str, wanted: Expect) {
    let read = match poll(recorded(name)).await {
        Err(error) => format!("{error:?}"),
        Ok(Facts { head, chain_id, version, syncing, peers, pending, .. }) => format!(
            "height {} of chain {chain_id:?} at {:?} with {:?} txs, parent {}, {syncing:?}, peers {peers:?}, pending {pending:?}, {version:?}",
            head.height,
            head.time.map(|time| time.to_string()).unwrap_or_default(),
            head.transactions,
            head.parent.is_some(),
        ),
    };
    wanted.assert_eq(&read);
}

#[tokio::test]
async fn the_answers_of_a_real_node_are_read_as_they_were_meant() {
    check("monerod", expect![[r#"height 10 of chain Some("fakechain") at "2026-11-21T20:23:56.000Z" with Some(0) txs, parent true, No, peers Some(1), pending Some(0), Some("0.18.0.0-unknown")"#]]).await;
    check("monerod_isolated", expect![[r#"height 0 of chain Some("fakechain") at "" with None txs, parent false, Yes { behind: None }, peers Some(0), pending Some(0), Some("0.18.0.0-unknown")"#]]).await;
    check("monerod_busy", expect![[r#"PollError { kind: Starting, detail: "BUSY" }"#]]).await;
}

/// A poll of a node that says something else in one place.
async fn poll_with(key: &str, value: Value) -> Result<Facts, PollError> {
    let mut answers = recorded("monerod");
    answers["get_info"]["result"][key] = value;
    poll(answers).await
}

#[tokio::test]
async fn what_a_node_does_not_know_is_not_made_up() {
    assert_eq!(poll_with("restricted", json!(true)).await.unwrap().peers, None, "it tells strangers zero");
    let behind = poll_with("synchronized", json!(false)).await.unwrap().syncing;
    assert_eq!(behind, Syncing::Yes { behind: None });
    for (key, value, wanted) in [
        ("untrusted", json!(true), ErrorKind::Starting),
        ("status", json!("BUSY"), ErrorKind::Starting),
        ("status", json!("Failed"), ErrorKind::Rpc),
        ("height", json!(0), ErrorKind::Starting),
        ("height", json!(-1), ErrorKind::Malformed),
        ("top_block_hash", json!(""), ErrorKind::Malformed),
        ("top_block_hash", Value::Null, ErrorKind::Malformed),
    ] {
        assert_eq!(poll_with(key, value.clone()).await.unwrap_err().kind, wanted, "{key} = {value}");
    }
}

#[test]
fn its_blocks_come_at_random_every_two_minutes() {
    let profile = Profile::of(Family::Monero, None);
    assert_eq!((profile.family, profile.cadence), (Family::Monero, Cadence::Poisson));
    assert_eq!(profile.block_time.unwrap().as_secs(), 120);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_makes_the_adapter_panic(
        key in "height|top_block_hash|status|nettype|version|target_height|synchronized|restricted|tx_pool_size",
        value in prop_oneof![
            Just(Value::Null), Just(json!([[[[]]]])), any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from), "\\PC{0,200}".prop_map(Value::from),
        ],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = runtime.block_on(poll_with(&key, value));
        if let Ok(facts) = told {
            prop_assert!(facts.chain_id.is_none_or(|chain| chain.len() <= 64));
            prop_assert!(facts.version.is_none_or(|version| version.len() <= 64));
        }
    }
}
