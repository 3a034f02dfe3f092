//! Polls of invented nodes: what is asked in which poll, and what is made of the answers, good, odd and hostile.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chain::reply::Reply;

/// What a node answers to a method with its parameters: the members `result` or `error`.
type Node<'a> = &'a dyn Fn(&str, &Value) -> Value;

/// The answers to a set of calls, as one batch.
fn batch(calls: &[Call], set: CallSet, node: Node<'_>) -> String {
    let one = |position: usize| {
        let Question::Rpc { method, params } = &calls[position].question else { unreachable!() };
        let mut item = node(method, &serde_json::from_str(params).unwrap());
        item["id"] = json!(position + 1);
        item
    };
    Value::Array(set.iter().map(one).collect()).to_string()
}

fn read(body: &str) -> Answers<'_> {
    match Reply::parse(body.as_bytes()) {
        Some(Reply::Batch(answers)) => answers,
        other => panic!("{other:?}"),
    }
}

/// One poll, and what was asked in its second round.
fn poll(adapter: &mut Substrate, seconds: i64, node: Node<'_>) -> (Result<Facts, PollError>, Vec<usize>) {
    let now = Timestamp(seconds * 1000);
    let due = adapter.due(now).with(HEAD);
    let first = batch(adapter.calls(), due, node);
    let mut answers = read(&first);
    let more = adapter.follow_up(now, &answers);
    let second = batch(adapter.calls(), more, node);
    answers.join(read(&second));
    (adapter.interpret(now, None, &answers), more.iter().collect())
}

fn facts(adapter: &mut Substrate, seconds: i64, node: Node<'_>) -> Facts {
    poll(adapter, seconds, node).0.unwrap()
}

fn adapter(variant: Option<&'static str>) -> Substrate {
    Substrate::new(&Particulars { variant, ..Particulars::default() })
}

fn hash_of(number: u64) -> String {
    format!("{:#066x}", number + 0x1000)
}

/// What a validator of a relay chain at `height` answers.
fn healthy(height: u64, method: &str, params: &Value) -> Value {
    let header = |number: u64| {
        json!({"result": {"number": format!("{number:#x}"), "parentHash": hash_of(number.saturating_sub(1)),
            "digest": {"logs": ["0x0642414245"]}}})
    };
    let number = |hash: &Value| {
        let number = u64::from_str_radix(&hash.as_str().unwrap()[2..], 16);
        number.unwrap_or(u64::MAX).saturating_sub(0x1000)
    };
    match (method, &params[0]) {
        ("chain_getHeader", Value::Null) => header(height),
        ("chain_getHeader", hash) => header(number(hash)),
        ("chain_getBlockHash", Value::Null) => json!({"result": hash_of(height)}),
        ("chain_getBlockHash", number) => json!({"result": hash_of(number.as_u64().unwrap())}),
        ("chain_getFinalizedHead", _) => json!({"result": hash_of(height - 3)}),
        ("state_getStorage", key) if key == NOW_KEY => json!({"result": "0xd0b1a4c58f010000"}),
        ("system_health", _) => json!({"result": {"peers": 38, "isSyncing": false, "shouldHavePeers": true}}),
        ("system_syncState", _) => {
            json!({"result": {"startingBlock": 0, "currentBlock": height, "highestBlock": height + 500}})
        }
        ("system_chain", _) => json!({"result": "Polkadot"}),
        ("system_name", _) => json!({"result": "Parity Polkadot"}),
        ("system_version", _) => json!({"result": "1.15.0-7c9fd83805c"}),
        ("state_getRuntimeVersion", _) => json!({"result": {"specName": "polkadot", "specVersion": 1_002_000}}),
        ("system_localPeerId", _) => json!({"result": "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"}),
        ("grandpa_roundState", _) => round_state(height, 290),
        ("author_pendingExtrinsics", _) => json!({"result": ["0x2804", "0x2805"]}),
        _ => json!({"error": {"code": -32601, "message": "Method not found"}}),
    }
}

fn round_state(round: u64, prevotes: u64) -> Value {
    json!({"result": {"setId": 8123, "background": [], "best": {
        "round": round, "totalWeight": 297, "thresholdWeight": 199,
        "prevotes": {"currentWeight": prevotes, "missing": ["5F", "5G"]},
        "precommits": {"currentWeight": 0, "missing": ["5F", "5G", "5H"]},
    }}})
}

/// A healthy node of which the answers to one method are others.
fn with(method: &'static str, answer: Value) -> impl Fn(&str, &Value) -> Value {
    move |asked, params| if asked == method { answer.clone() } else { healthy(100, asked, params) }
}

#[test]
fn a_healthy_node_is_read_in_full() {
    let facts = facts(&mut adapter(None), 0, &|method, params| healthy(100, method, params));
    let hash = |number: u64| serde_json::from_value::<Hash>(json!(hash_of(number))).unwrap().0;
    assert_eq!((facts.head.height, facts.head.hash, facts.head.parent), (Height(100), Some(hash(100)), Some(hash(99))));
    assert_eq!(facts.head.time.unwrap().to_string(), "2024-05-29T18:37:36.080Z");
    assert_eq!(facts.finality, Finality::Known { height: Height(97), hash: Some(hash(97)), time: None });
    assert_eq!((facts.peers, facts.syncing, facts.pending), (Some(38), Syncing::No, Some(2)));
    assert_eq!((facts.chain_id.as_deref(), facts.genesis), (Some("Polkadot"), Some(hash(0))));
    assert_eq!(facts.version.as_deref(), Some("Parity Polkadot 1.15.0-7c9fd83805c (polkadot-1002000)"));
    assert!(facts.identity.unwrap().starts_with("12D3KooW"));
    assert_eq!((facts.validators, facts.participation), (Some(297), Some(976)));
    assert_eq!((facts.round, facts.seats, facts.absent.len()), (None, None, 0));
}

#[test]
fn a_second_round_is_made_for_what_is_new_only() {
    let mut node = adapter(None);
    let mut asked = |seconds, height: u64| {
        let (outcome, asked) = poll(&mut node, seconds, &|method, params| healthy(height, method, params));
        let facts = outcome.unwrap();
        assert!(facts.head.hash.is_some() && facts.head.time.is_some() && facts.finality.height().is_some());
        asked
    };
    assert_eq!(asked(0, 100).len(), 10);
    assert!(asked(2, 100).is_empty());
    assert_eq!(asked(4, 101), [AT_HEIGHT, TIME, FINAL_HEADER]);
    assert_eq!(asked(30, 101), [ROUND_STATE]);
    assert_eq!(asked(60, 101), [ROUND_STATE, PENDING]);
    assert_eq!(asked(600, 101), [CHAIN, CLIENT, VERSION, RUNTIME, PEER_ID, ROUND_STATE, PENDING]);
}

#[test]
fn hash_and_time_belong_to_the_head_or_are_not_told() {
    // A block came between the call for the header and the call for the best hash.
    let late = |method: &str, params: &Value| match (method, &params[0]) {
        ("chain_getBlockHash", Value::Null) => json!({"result": hash_of(101)}),
        _ => healthy(100, method, params),
    };
    let mut node = adapter(None);
    let head = facts(&mut node, 0, &late).head;
    assert_eq!((head.hash.unwrap().to_string(), head.time), (hash_of(100), None));
    let head = facts(&mut node, 1, &|method, params| healthy(101, method, params)).head;
    assert_eq!((head.hash.unwrap().to_string(), head.time.is_some()), (hash_of(101), true));
    for nothing in [json!({"result": null}), json!({"error": {"code": 4003, "message": "UnknownBlock"}})] {
        let head = facts(&mut adapter(None), 0, &with("state_getStorage", nothing)).head;
        assert!(head.hash.is_some() && head.time.is_none(), "a chain without that pallet, a state that is gone");
    }
}

#[test]
fn finality_that_cannot_be_told_is_unknown_and_no_failure() {
    let first = json!({"result": {"number": "0x00000000", "parentHash": hash_of(7)}});
    for answer in [json!({"result": null}), first, json!({"error": {"message": "busy"}}), json!({"result": 7})] {
        let odd = |method: &str, params: &Value| match (method, &params[0]) {
            ("chain_getHeader", Value::String(_)) => answer.clone(),
            _ => healthy(100, method, params),
        };
        let facts = facts(&mut adapter(None), 0, &odd);
        assert_eq!((facts.finality, facts.head.height), (Finality::Unknown, Height(100)), "{answer}");
    }
    for answer in [json!({"result": null}), json!({"result": "0x12"}), json!({"error": {"code": -32601}})] {
        let facts = facts(&mut adapter(None), 0, &with("chain_getFinalizedHead", answer));
        assert_eq!(facts.finality, Finality::Unknown);
    }
    let without_grandpa = with("chain_getFinalizedHead", json!({"result": hash_of(0)}));
    assert_eq!(
        facts(&mut adapter(None), 0, &without_grandpa).finality,
        Finality::Unknown,
        "nothing but the first block"
    );
}

#[test]
fn a_head_that_is_none_is_named_for_what_it_is() {
    for (answer, wanted) in [
        (json!({"result": null}), ErrorKind::Malformed),
        (json!({"result": {}}), ErrorKind::Malformed),
        (json!({"result": {"number": "20"}}), ErrorKind::Malformed),
        (json!({"result": {"number": -1}}), ErrorKind::Malformed),
        (json!({"result": {"number": "0x10000000000000000"}}), ErrorKind::Malformed),
        (json!({"result": {"number": "0x1", "parentHash": "0x1"}}), ErrorKind::Malformed),
        (json!({"result": []}), ErrorKind::Malformed),
        (json!({}), ErrorKind::Malformed),
        (json!({"error": {"code": 4003, "message": "Client error: UnknownBlock"}}), ErrorKind::Rpc),
        (json!({"error": {"code": -32601, "message": "RPC call is unsafe to be called externally"}}), ErrorKind::Rpc),
        (json!({"error": {"code": -32005, "message": "server is busy"}}), ErrorKind::Rpc),
        (json!({"error": {"code": -32999, "message": "RPC rate limit exceeded"}}), ErrorKind::RateLimited),
        (json!({"error": {"code": 429, "message": ""}}), ErrorKind::RateLimited),
        (json!({"error": {"code": -32000, "message": "daily quota exceeded"}}), ErrorKind::RateLimited),
        (json!({"error": {"code": 401, "message": "no key"}}), ErrorKind::Unauthorized),
        (json!({"error": {"code": 1, "message": "endpoint not ready"}}), ErrorKind::Starting),
    ] {
        let error = poll(&mut adapter(None), 0, &with("chain_getHeader", answer.clone())).0.unwrap_err();
        assert_eq!(error.kind, wanted, "{answer}: {error:?}");
    }
    let padded = with("chain_getHeader", json!({"result": {"number": "0x00000014"}}));
    assert_eq!(facts(&mut adapter(None), 0, &padded).head.height, Height(20));
    let plain = with("chain_getHeader", json!({"result": {"number": 20}}));
    assert_eq!(facts(&mut adapter(None), 0, &plain).head.height, Height(20));
}

#[test]
fn a_moment_of_import_is_no_synchronisation() {
    let busy = |highest: Value| {
        move |method: &str, params: &Value| match method {
            "system_health" => json!({"result": {"peers": 3, "isSyncing": true, "shouldHavePeers": true}}),
            "system_syncState" => json!({"result": {"startingBlock": 0, "currentBlock": 100, "highestBlock": highest}}),
            _ => healthy(100, method, params),
        }
    };
    let told = |highest: Value| {
        let mut node = adapter(None);
        [0, 1, 2].map(|seconds| facts(&mut node, seconds, &busy(highest.clone())).syncing)
    };
    assert_eq!(told(json!(600)), [Syncing::Yes { behind: Some(500) }; 3]);
    assert_eq!(told(json!(110)), [Syncing::No; 3]);
    let unsure = [Syncing::Unknown, Syncing::Unknown, Syncing::Yes { behind: None }];
    assert_eq!((told(json!(null)), told(json!(7))), (unsure, unsure));
    let silent = facts(&mut adapter(None), 0, &with("system_health", json!({"error": {"code": -32601}})));
    assert_eq!((silent.syncing, silent.peers), (Syncing::Unknown, None));
}

#[test]
fn validators_that_stay_away_are_told_when_a_round_stands() {
    let mut node = adapter(None);
    let mut told = |seconds, round, prevotes| {
        let facts = facts(&mut node, seconds, &with("grandpa_roundState", round_state(round, prevotes)));
        (facts.participation, facts.absent.len())
    };
    assert_eq!(told(0, 7, 180), (None, 0), "it may only have begun");
    assert_eq!(told(30, 8, 100), (None, 0), "another one");
    assert_eq!(told(60, 8, 180), (Some(606), 2));
    assert_eq!(told(90, 9, 290), (Some(976), 0));
    assert_eq!(told(91, 1, 1), (Some(976), 0), "remembered");
    let gone = with("grandpa_roundState", json!({"error": {"code": 1, "message": "GRANDPA RPC endpoint not ready"}}));
    assert_eq!(facts(&mut node, 181, &gone).participation, None, "for three paces");
}

#[test]
fn what_waited_before_a_block_says_nothing_of_what_waits_after_it() {
    let at = |height| move |method: &str, params: &Value| healthy(height, method, params);
    let mut node = adapter(None);
    let told = [(0, 100), (5, 100), (6, 101), (60, 101)].map(|(s, height)| facts(&mut node, s, &at(height)).pending);
    assert_eq!(told, [Some(2), Some(2), None, Some(2)]);
    let mut manual = adapter(Some(MANUAL_SEAL));
    assert_eq!([0, 1, 2].map(|s| facts(&mut manual, s, &at(100)).pending), [Some(2); 3]);
    let mut asked = |s| poll(&mut manual, s, &at(100)).1.contains(&PENDING);
    assert!(asked(3) && asked(4), "it is all that makes a block due");
}

#[test]
fn a_pool_that_is_not_told_is_left_alone_for_a_while() {
    let mut node = adapter(None);
    let silent = with("author_pendingExtrinsics", json!({}));
    let mut asked = |seconds| poll(&mut node, seconds, &silent).1.contains(&PENDING);
    assert_eq!([0, 60, 299, 361].map(&mut asked), [true, false, false, true]);
}

#[test]
fn of_another_chain_behind_the_same_address_nothing_is_known_before_it_has_told() {
    let other = |method: &str, params: &Value| match (method, &params[0]) {
        ("chain_getBlockHash", number) if number == 0 => json!({"result": hash_of(0xdead)}),
        ("system_chain", _) => json!({"result": "Kusama"}),
        _ => healthy(100, method, params),
    };
    let mut node = adapter(None);
    assert_eq!(facts(&mut node, 0, &|m, p| healthy(100, m, p)).chain_id.as_deref(), Some("Polkadot"));
    let facts = facts(&mut node, 1, &other);
    assert_eq!(facts.genesis.unwrap().to_string(), hash_of(0xdead));
    assert_eq!(facts.chain_id.as_deref(), Some("Kusama"), "asked again in the same poll");
}

#[test]
fn an_older_block_is_asked_for_by_its_height() {
    let node = adapter(None);
    let question = node.block_call(Height(u64::MAX)).unwrap();
    assert_eq!(
        question,
        Question::Rpc { method: "chain_getBlockHash".into(), params: "[18446744073709551615]".into() }
    );
    let told = |json: Value| {
        let body = json!([{"id": 1, "result": json}]).to_string();
        node.block(Height(7), read(&body).get(0)).map(|head| (head.height, head.hash.unwrap().to_string()))
    };
    assert_eq!(told(json!(hash_of(7))), Some((Height(7), hash_of(7))));
    assert_eq!((told(json!(null)), told(json!("0x7")), told(json!([hash_of(7)]))), (None, None, None));
}

/// Any JSON, and what looks nearly right.
fn wild() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "0x[0-9a-f]{0,70}".prop_map(Value::from),
        (0..200_u64).prop_map(|number| Value::from(hash_of(number))),
    ];
    let key = prop_oneof![
        Just("number"),
        Just("parentHash"),
        Just("peers"),
        Just("isSyncing"),
        Just("currentBlock"),
        Just("highestBlock"),
        Just("setId"),
        Just("best"),
        Just("background"),
        Just("round"),
        Just("totalWeight"),
        Just("thresholdWeight"),
        Just("prevotes"),
        Just("precommits"),
        Just("currentWeight"),
        Just("missing"),
        Just("specName"),
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(key.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_answer_makes_the_adapter_panic(
        wild in prop::collection::vec(prop::option::weighted(0.4, wild()), 16),
        heights in prop::collection::vec(prop_oneof![Just(0), Just(3), Just(u64::MAX - 0x1000), 4..200_u64], 4),
        gaps in prop::collection::vec(0..700_i64, 4),
    ) {
        let mut node = adapter(None);
        let mut seconds = 0;
        for (height, gap) in heights.into_iter().zip(gaps) {
            seconds += gap;
            let at = std::cell::Cell::new(0);
            let answer = |method: &str, params: &Value| {
                let position = at.get();
                at.set(position + 1);
                match wild.get(position).cloned().flatten() {
                    Some(wild) => json!({"result": wild}),
                    None => healthy(height.max(3), method, params),
                }
            };
            match poll(&mut node, seconds, &answer).0 {
                Ok(facts) => {
                    prop_assert!(facts.absent.len() <= crate::observation::ABSENT);
                    prop_assert!(facts.participation.unwrap_or_default() <= 1000);
                    prop_assert!(facts.version.is_none_or(|version| version.len() <= 128));
                }
                Err(error) => prop_assert!(error.kind == ErrorKind::Malformed),
            }
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,80}") {
        let _ = serde_json::from_str::<Header>(&text);
        let _ = serde_json::from_str::<RoundState>(&text);
        let _ = serde_json::from_str::<SyncState>(&text);
        let _ = moment(&text);
    }
}
