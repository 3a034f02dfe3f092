//! The adapter against the recorded answers of a real network of four validators, in every state it was brought into,
//! and against answers that no honest node gives.

use expect_test::{Expect, expect};
use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{chain::reply::Reply, observation::Seats};

mod hostile;

/// Plays a node: `answer` gives the members `result` or `error` for a method and its parameters.
struct Play<F> {
    adapter: CometBft,
    answer: F,
    /// The calls of the last poll.
    asked: Vec<String>,
}

impl<F: FnMut(&str, &Value) -> Value> Play<F> {
    fn of(answer: F) -> Self {
        Self { adapter: CometBft::default(), answer, asked: Vec::new() }
    }

    fn poll(&mut self, second: i64) -> Result<Facts, PollError> {
        let now = Timestamp(second * 1000);
        self.asked.clear();
        let due = self.adapter.due(now).with(HEAD);
        let first = self.body(due);
        let mut answers = answers(&first);
        let more = self.adapter.follow_up(now, &answers);
        assert!(due.len() <= BATCH && more.len() <= BATCH && more.iter().all(|position| !due.has(position)));
        let second = self.body(more);
        answers.join(self::answers(&second));
        self.adapter.interpret(now, None, &answers)
    }

    fn body(&mut self, set: CallSet) -> String {
        let mut items = Vec::new();
        for position in set.iter() {
            let Question::Rpc { method, params } = &self.adapter.calls[position].question else { panic!() };
            let params: Value = serde_json::from_str(params).unwrap();
            self.asked.push(format!("{method} {params}"));
            let mut item = (self.answer)(method, &params);
            if item.is_object() {
                item["id"] = json!(position + 1);
                items.push(item);
            }
        }
        Value::Array(items).to_string()
    }
}

fn answers(body: &str) -> Answers<'_> {
    let Some(Reply::Batch(answers)) = Reply::parse(body.as_bytes()) else { panic!("{body}") };
    answers
}

fn recorded(file: &str) -> impl Fn(&str, &Value) -> Value {
    let recorded: Value = serde_json::from_str(file).unwrap();
    move |method, _| recorded.get(method).cloned().unwrap_or_else(|| json!({"error": {"code": -32601}}))
}

const HEALTHY: &str = include_str!("../../../tests/data/cometbft/healthy.json");
const ONE_DOWN: &str = include_str!("../../../tests/data/cometbft/one_down.json");
const HALTED: &str = include_str!("../../../tests/data/cometbft/halted.json");
const SYNCING: &str = include_str!("../../../tests/data/cometbft/syncing.json");
const HEIGHT_0: &str = include_str!("../../../tests/data/cometbft/height_0.json");
const ALONE: &str = include_str!("../../../tests/data/cometbft/restarted_alone.json");
const TOMBSTONED: &str = include_str!("../../../tests/data/cometbft/tombstoned.json");
const HEADER: &str = include_str!("../../../tests/data/cometbft/headers.json");

fn summary(facts: &Facts) -> String {
    let Facts { head, chain_id, version, syncing, peers, pending, round, power, participation, .. } = facts;
    let (validators, seats, absent) = (facts.validators, facts.seats, &facts.absent);
    format!(
        "{} {} of {:?} at {}: {syncing:?}, {peers:?} peers, {pending:?} pending, round {round:?}, power {power:?} of \
         {validators:?}, {participation:?} signed, {seats:?}, absent {absent:?}, {:?}",
        head.height,
        head.hash.map(|hash| hash.to_string()).unwrap_or_default().get(..8).unwrap_or_default(),
        chain_id.as_deref().unwrap_or_default(),
        head.time.unwrap(),
        version.as_deref().unwrap_or_default(),
    )
}

/// What is known of a recorded node after it has been polled for some seconds.
fn check(file: &str, wanted: &Expect) {
    let mut play = Play::of(recorded(file));
    let polls: Vec<_> = (0..12).map(|second| play.poll(second)).collect();
    let last = polls.last().unwrap();
    wanted.assert_eq(&last.as_ref().map_or_else(|error| format!("{error:?}"), summary));
}

#[test]
fn a_healthy_node_is_read_in_full() {
    check(
        HEALTHY,
        &expect![[
            r#"38 0x70d774 of "injective-777" at 2026-11-21T19:37:43.403Z: No, Some(3) peers, Some(0) pending, round Some(0), power Some(1000) of Some(4000), Some(750) signed, None, absent [], "injective/v1.20.1 cometbft/1.0.1""#
        ]],
    );
    let facts = Play::of(recorded(HEALTHY)).poll(0).unwrap();
    assert_eq!(facts.identity.as_deref(), Some("cb44de1e736974929fd6e943e5b3b5590ee57112"));
    let final_block = Finality::Known { height: facts.head.height, hash: facts.head.hash, time: facts.head.time };
    assert_eq!(facts.finality, final_block, "what is committed is final");
    assert!(facts.genesis.is_some() && facts.absent.is_empty() && facts.equivocations.is_empty());
}

#[test]
fn a_network_in_trouble_is_read_as_it_was() {
    check(
        ONE_DOWN,
        &expect![[
            r#"94 0xd2bc1a of "injective-777" at 2026-11-21T19:38:45.157Z: No, Some(2) peers, Some(0) pending, round Some(0), power Some(1000) of Some(4000), Some(750) signed, None, absent [], "injective/v1.20.1 cometbft/1.0.1""#
        ]],
    );
    check(
        HALTED,
        &expect![[
            r#"99 0x8bcc43 of "injective-777" at 2026-11-21T19:38:51.779Z: No, Some(1) peers, Some(0) pending, round Some(0), power Some(1000) of Some(4000), Some(750) signed, Some(Seats { total: 4000, needed: 2667, live: 2000 }), absent ["0038AA6687B0", "CBED9D77AD45"], "injective/v1.20.1 cometbft/1.0.1""#
        ]],
    );
    check(
        SYNCING,
        &expect![[
            r#"50 0x48fcfa of "injective-777" at 2026-11-21T19:37:56.046Z: Yes { behind: None }, Some(4) peers, Some(0) pending, round None, power None of None, None signed, None, absent [], "injective/v1.20.1 cometbft/1.0.1""#
        ]],
    );
    check(
        ALONE,
        &expect![[
            r#"4065 0x5813f4 of "injective-777" at 2026-11-21T20:35:34.402Z: Yes { behind: None }, Some(0) peers, None pending, round None, power Some(1000) of None, None signed, None, absent [], "injective/v1.20.1 cometbft/1.0.1""#
        ]],
    );
    check(HEIGHT_0, &expect![[r#"PollError { kind: Starting, detail: "no block yet" }"#]]);
}

#[test]
fn a_halt_without_quorum_names_who_is_missing_once_it_lasts() {
    let mut play = Play::of(recorded(HALTED));
    let mut at = |second| {
        let facts = play.poll(second).unwrap();
        (facts.seats, facts.absent.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(at(0), (None, vec![]));
    assert_eq!(at(9), (None, vec![]));
    let seats = Seats { total: 4000, needed: 2667, live: 2000 };
    assert_eq!(at(10), (Some(seats), vec!["0038AA6687B0".to_owned(), "CBED9D77AD45".to_owned()]));
}

/// A node that has made the recorded block with evidence and says so.
fn double_signed(method: &str, params: &Value) -> Value {
    let recorded = recorded(TOMBSTONED);
    if method != "blockchain" {
        return recorded(method, params);
    }
    let meta = |height: u64| {
        let hash = if height == 4126 { "D8C3BBAD" } else { "" };
        json!({"block_id": {"hash": ""}, "header": {"height": height.to_string(), "evidence_hash": hash}})
    };
    let bound = |name: &str| params[name].as_str().unwrap().parse::<u64>().unwrap();
    json!({"result": {"block_metas": (bound("minHeight")..=bound("maxHeight")).rev().map(meta).collect::<Vec<_>>()}})
}

#[test]
fn a_double_sign_is_found_in_the_block_that_holds_its_evidence() {
    let mut play = Play::of(double_signed);
    assert!(play.poll(0).unwrap().equivocations.is_empty());
    let facts = play.poll(2).unwrap();
    assert!(play.asked.iter().any(|call| call == r#"block {"height":"4126"}"#), "{:?}", play.asked);
    let found: Vec<_> = facts.equivocations.iter().map(|it| (it.height.0, &*it.validator)).collect();
    assert_eq!(found, [(4097, "0038AA6687B09967A157F91644FAF9A2DE90F320")]);
    assert_eq!((facts.power, facts.validators), (Some(0), Some(3000)), "it is no validator any more");
    assert_eq!(play.poll(40).unwrap().equivocations.len(), 1, "it goes on to be told");
}

#[test]
fn an_older_block_is_asked_for_by_its_header() {
    let adapter = CometBft::default();
    let question = adapter.block_call(Height(38)).unwrap();
    let Question::Rpc { method, params } = question else { panic!() };
    assert_eq!((&*method, &*params), ("blockchain", r#"{"minHeight":"38","maxHeight":"38"}"#));
    let recorded = recorded(HEADER)("blockchain", &Value::Null)["result"].to_string();
    let raw: &RawValue = serde_json::from_str(&recorded).unwrap();
    let block = adapter.block(Height(38), &Answer::Result(raw)).unwrap();
    assert!(block.hash.unwrap().to_string().contains("70d77400"), "{block:?}");
    assert!(block.parent.is_some() && block.time.is_some() && block.transactions == Some(0));
    assert_eq!(adapter.block(Height(37), &Answer::Result(raw)), None);
}

#[test]
fn what_is_heavy_is_asked_for_rarely_and_forgotten_when_it_is_old() {
    let mut play = Play::of(recorded(HEALTHY));
    let mut counts = std::collections::BTreeMap::new();
    for second in 0..600 {
        play.poll(second).unwrap();
        for call in &play.asked {
            *counts.entry(call.split(' ').next().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    let count = |method: &str| counts.get(method).copied().unwrap_or_default();
    assert_eq!((count("status"), count("consensus_state"), count("num_unconfirmed_txs")), (600, 600, 600));
    assert_eq!((count("net_info"), count("abci_info"), count("validators")), (20, 1, 10));
    // The recorded node knows neither headers nor plans; a node that does not is not asked again by the session.
    assert_eq!((count("commit"), count("abci_query"), count("block")), (60, 10, 0));
}

#[test]
fn what_is_not_told_again_is_unknown_after_three_paces() {
    let silent = std::cell::Cell::new(false);
    let mut play = Play::of(|method: &str, params: &Value| {
        let heavy = ["net_info", "commit", "validators"].contains(&method);
        if heavy && silent.get() { json!({"error": {"code": -32603}}) } else { recorded(HEALTHY)(method, params) }
    });
    let facts = play.poll(0).unwrap();
    assert_eq!((facts.peers, facts.participation), (Some(3), Some(750)));
    silent.set(true);
    for (second, wanted) in
        [(30, (Some(3), Some(750))), (31, (Some(3), None)), (90, (Some(3), None)), (91, (None, None))]
    {
        let facts = play.poll(second).unwrap();
        assert_eq!((facts.peers, facts.participation), wanted, "{second}");
    }
}

#[test]
fn a_long_state_of_consensus_leaves_the_batch_with_the_head() {
    let long = std::cell::Cell::new(false);
    let mut play = Play::of(|method: &str, params: &Value| {
        let mut answer = recorded(HEALTHY)(method, params);
        if long.get() && method == "consensus_state" {
            answer["result"]["round_state"]["padding"] = json!("x".repeat(LONG));
        }
        answer
    });
    for second in 0..5 {
        assert_eq!(play.poll(second).unwrap().round, Some(0));
    }
    long.set(true);
    let rounds: Vec<bool> = (5..68).map(|second| play.poll(second).unwrap().round.is_some()).collect();
    let told: Vec<usize> = rounds.iter().enumerate().filter(|(_, told)| **told).map(|(i, _)| i).collect();
    assert_eq!(told, [0, 25, 55], "every thirty seconds");
    long.set(false);
    assert!((68..100).filter(|second| play.poll(*second).unwrap().round.is_some()).count() > 5);
    play.adapter.doubt_identity();
    assert!(!play.adapter.due(Timestamp(100_000)).has(CONSENSUS), "after a failure it may have been too long");
}

#[test]
fn a_second_round_that_fails_is_made_of_single_calls_afterwards() {
    let mut play = Play::of(|method: &str, params: &Value| match method {
        "status" | "num_unconfirmed_txs" => recorded(HEALTHY)(method, params),
        _ => Value::Null,
    });
    play.poll(0).unwrap();
    assert!(6 <= play.asked.len());
    let mut single = Vec::new();
    for second in 1..7 {
        play.poll(second).unwrap();
        assert_eq!(play.asked.len(), 3, "{:?}", play.asked);
        single.push(play.asked[2].split(' ').next().unwrap().to_owned());
    }
    single.sort();
    single.dedup();
    let all = ["abci_info", "abci_query", "blockchain", "commit", "net_info", "validators"];
    assert_eq!(single, all, "each gets its turn");
}

#[test]
fn another_chain_behind_the_endpoint_is_told_at_once_and_shares_no_memory() {
    let chain = std::cell::Cell::new("injective-777");
    let mut play = Play::of(|method: &str, params: &Value| {
        let mut answer = recorded(HEALTHY)(method, params);
        if method == "status" {
            answer["result"]["node_info"]["network"] = json!(chain.get());
        }
        answer
    });
    assert_eq!(play.poll(0).unwrap().peers, Some(3));
    chain.set("injective-2");
    let facts = play.poll(1).unwrap();
    assert_eq!((facts.chain_id.as_deref(), facts.peers), (Some("injective-2"), None));
}

#[test]
fn failures_are_named_for_what_they_are() {
    let error = |code: i64, message: &str| json!({"error": {"code": code, "message": message}});
    let status = |change: fn(&mut Value)| {
        let mut answer = recorded(HEALTHY)("status", &Value::Null);
        change(&mut answer["result"]);
        answer
    };
    for (answer, wanted) in [
        (error(-32603, "Internal error"), ErrorKind::Rpc),
        (error(-32601, "Method not found"), ErrorKind::Rpc),
        (error(-32000, "Too Many Requests"), ErrorKind::RateLimited),
        (error(429, ""), ErrorKind::RateLimited),
        (error(-32603, "injective is not ready; please wait for first block"), ErrorKind::Starting),
        (json!({"result": null}), ErrorKind::Malformed),
        (json!({"result": {}}), ErrorKind::Malformed),
        (json!({}), ErrorKind::Malformed),
        (status(|it| it["sync_info"]["latest_block_height"] = json!("-1")), ErrorKind::Malformed),
        (status(|it| it["sync_info"]["latest_block_height"] = json!("18446744073709551616")), ErrorKind::Malformed),
        (status(|it| it["sync_info"]["latest_block_height"] = json!("0")), ErrorKind::Starting),
        (status(|it| it["sync_info"]["latest_block_hash"] = json!("0xabc")), ErrorKind::Malformed),
        (status(|it| it["node_info"] = json!(7)), ErrorKind::Malformed),
    ] {
        let failed = Play::of(|method: &str, params: &Value| match method {
            "status" => answer.clone(),
            _ => recorded(HEALTHY)(method, params),
        })
        .poll(0);
        assert_eq!(failed.unwrap_err().kind, wanted, "{answer}");
    }
}

#[test]
fn a_node_that_tells_nothing_but_its_status_is_a_good_node() {
    let mut play = Play::of(|method: &str, params: &Value| match method {
        "status" => {
            let mut answer = recorded(HEALTHY)(method, params);
            answer["result"]["validator_info"] = Value::Null;
            answer["result"]["sync_info"]["latest_block_height"] = json!(u64::MAX);
            answer
        }
        _ => json!({"error": {"code": -32601, "message": "Method not found"}}),
    });
    for second in 0..40 {
        let facts = play.poll(second).unwrap();
        assert_eq!((facts.peers, facts.power, facts.validators, facts.round), (None, None, None, None));
    }
}
