//! What is read from the answers of Bitcoin Core and its relatives, healthy and broken. The answers in `tests/data/bitcoin`
//! were recorded from a Bitcoin SV node on regtest; those composed here have the shapes of Bitcoin Core.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use expect_test::{Expect, expect};
use haltwatch::{
    chain::{Family, NodeTarget, Particulars, Profile},
    model::{Cadence, Height},
    observation::{ErrorKind, Facts, Finality, PollError, Syncing},
    sim::{Cadence as Pacing, Devnet, Fault, Member, Pace, Plan, Quorum, Script, Tongue, World},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    poller::{Watch, nodes, target},
    scripted_node::{Asked, Reply, ScriptedNode, json_rpc},
};

fn bitcoin(url: &str, variant: Option<&'static str>) -> NodeTarget {
    let particulars = Particulars { variant, ..Particulars::default() };
    NodeTarget { family: Family::Bitcoin, particulars, ..target(0, url) }
}

async fn watched(
    variant: Option<&'static str>,
    script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (ScriptedNode, Watch) {
    let node = ScriptedNode::start(script).await;
    let watch = Watch::start(&nodes(vec![bitcoin(&node.url(), variant)]));
    (node, watch)
}

/// One poll of a node that answers call by call.
async fn poll(
    variant: Option<&'static str>,
    answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static,
) -> Result<Facts, PollError> {
    let (_node, mut watch) = watched(variant, move |asked| json_rpc(asked, &answer)).await;
    watch.node().await.outcome.map(|facts| Facts::clone(&facts))
}

fn hash(number: u64) -> String {
    format!("{:064x}", number + 0x1000)
}

/// What a healthy Bitcoin Core at `height` says to any of our calls.
fn core(height: u64, method: &str, params: &Value) -> Value {
    match method {
        "getblockchaininfo" => json!({"error": null, "result": {
            "chain": "main", "blocks": height, "headers": height, "bestblockhash": hash(height), "difficulty": 8.9e13,
            "time": 1_725_700_000 + height, "mediantime": 1_725_697_000, "verificationprogress": 0.999_998,
            "initialblockdownload": false, "chainwork": hash(7), "size_on_disk": 650_000_000_000_u64, "pruned": false,
            "warnings": [],
        }}),
        "getmempoolinfo" => json!({"error": null, "result": {"loaded": true, "size": 51_234, "bytes": 30_123_456}}),
        "getconnectioncount" => json!({"error": null, "result": 34}),
        "getblockheader" => json!({"error": null, "result": {
            "hash": params[0], "confirmations": 1, "height": height, "time": 1_725_700_100 + height,
            "previousblockhash": hash(height - 1), "nTx": 3120,
        }}),
        "getnetworkinfo" => json!({"error": null, "result": {
            "version": 280_000, "subversion": "/Satoshi:28.0.0/", "connections": 34, "warnings": [],
        }}),
        "getblockhash" => json!({"error": null, "result": hash(params[0].as_u64().unwrap())}),
        "getchaintips" => json!({"error": null, "result": [
            {"height": height, "hash": hash(height), "branchlen": 0, "status": "active"},
            {"height": height + 100, "hash": hash(9), "branchlen": 104, "status": "headers-only"},
        ]}),
        "getpeerinfo" => json!({"error": null, "result": [
            {"inbound": false, "synced_headers": height, "subver": "/Satoshi:27.0.0/"},
            {"inbound": true, "synced_headers": 4_000_000_000_u64},
            {"inbound": false, "synced_headers": -1},
        ]}),
        _ => json!({"result": null, "error": {"code": -32601, "message": "Method not found"}}),
    }
}

/// A poll of a healthy node in whose answer to one method `change` has been made.
async fn poll_with(method: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Facts {
    let answer = move |asked: &str, params: &Value| {
        let mut answer = core(860_000, asked, params);
        if asked == method {
            change(&mut answer["result"]);
        }
        answer
    };
    poll(None, answer).await.unwrap()
}

fn summary(facts: &Facts) -> String {
    let Facts { head, finality, chain_id, version, genesis, syncing, peers, pending, .. } = facts;
    format!(
        "height {} of chain {:?} from {:?} at {:?} with {:?} txs, parent {}, final {finality:?}, {syncing:?}, peers {peers:?}, pending {pending:?}, {:?}",
        head.height,
        chain_id.as_deref().unwrap_or("?"),
        genesis.map(|hash| hash.to_string()[..10].to_owned()).unwrap_or_default(),
        head.time.map(|time| time.to_string()).unwrap_or_default(),
        head.transactions,
        head.parent.is_some(),
        version.as_deref().unwrap_or("?"),
    )
}

/// A poll of a node that says what the recorded one said, in one state, call by call.
async fn check(name: &str, wanted: Expect) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bitcoin").join(name).with_extension("json");
    let recorded: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let not_recorded = json!({"result": null, "error": {"code": -32601, "message": "Method not found"}});
    let read = poll(None, move |method, _| recorded.get(method).unwrap_or(&not_recorded).clone()).await;
    wanted.assert_eq(&read.map_or_else(|error| format!("{error:?}"), |facts| summary(&facts)));
}

#[tokio::test]
async fn the_answers_of_a_real_node_are_read_as_they_were_meant() {
    check("bitcoind", expect![[r#"height 14 of chain "regtest" from "0x0f9188f1" at "2026-11-21T20:20:26.000Z" with Some(1) txs, parent true, final Unknown, No, peers Some(1), pending Some(0), "/Bitcoin SV:1.0.13/""#]]).await;
    check("bitcoind_height_0", expect![[r#"height 0 of chain "regtest" from "0x0f9188f1" at "" with None txs, parent false, final Unknown, No, peers Some(1), pending Some(0), "/Bitcoin SV:1.0.13/""#]]).await;
    check("bitcoind_warmup", expect![[r#"PollError { kind: Starting, detail: "-28 Loading wallet..." }"#]]).await;
}

#[tokio::test]
async fn a_healthy_node_is_read_in_full_with_one_request_a_poll_and_a_second_one_for_a_new_head() {
    let height = Arc::new(AtomicU64::new(860_000));
    let now = Arc::clone(&height);
    let (node, mut watch) =
        watched(None, move |asked| json_rpc(asked, |method, params| core(now.load(Ordering::Relaxed), method, params)))
            .await;
    for _ in 0..3 {
        let facts = watch.node().await.outcome.unwrap();
        expect![[r#"height 860000 of chain "main" from "0x00000000" at "2024-09-17T08:01:40.000Z" with Some(3120) txs, parent true, final Unknown, No, peers Some(34), pending Some(51234), "/Satoshi:28.0.0/""#]].assert_eq(&summary(&facts));
    }
    let asked = node.asked();
    assert!((4..=5).contains(&asked.len()), "{} requests for three polls", asked.len());
    height.store(860_001, Ordering::Relaxed);
    let facts = loop {
        let facts = watch.node().await.outcome.unwrap();
        if facts.head.height == Height(860_001) {
            break facts;
        }
    };
    assert_eq!(facts.head.time.unwrap().millis(), 1_726_560_101_000);
    let asked: Vec<String> = node.asked().iter().map(|it| String::from_utf8_lossy(&it.body).into_owned()).collect();
    for (method, wanted) in [("getblockheader", 2), ("getpeerinfo", 1), ("getchaintips", 1), ("getnetworkinfo", 1)] {
        assert_eq!(asked.iter().filter(|body| body.contains(method)).count(), wanted, "{method}: {asked:#?}");
    }
}

#[tokio::test]
async fn a_node_that_refuses_batches_is_read_by_single_calls() {
    let (_node, mut watch) = watched(None, |asked| {
        if asked.body.first() == Some(&b'[') {
            return Reply::status(
                500,
                "Internal Server Error",
                "",
                r#"{"result":null,"error":{"code":-32600,"message":"Batches are disabled"},"id":null}"#,
            );
        }
        json_rpc(asked, |method, params| core(860_000, method, params))
    })
    .await;
    let facts = watch.node().await.outcome.unwrap();
    assert_eq!((facts.peers, facts.head.transactions, facts.version.is_some()), (Some(34), Some(3120), true));
}

#[tokio::test]
async fn heavy_answers_that_fail_are_no_failure_of_the_poll() {
    let (_node, mut watch) = watched(None, |asked| {
        if String::from_utf8_lossy(&asked.body).contains("getpeerinfo") {
            return Reply::Flood;
        }
        json_rpc(asked, |method, params| core(860_000, method, params))
    })
    .await;
    let facts = watch.node().await.outcome.unwrap();
    assert_eq!((facts.head.height, facts.peers), (Height(860_000), Some(34)));
    assert!(facts.head.time.is_some(), "newer versions tell the time of the head at once");
}

#[tokio::test]
async fn what_a_node_lacks_is_told_as_a_hint() {
    let behind = |behind| Syncing::Yes { behind };
    for (change, wanted) in [
        (json!({"headers": 860_002}), Syncing::No),
        (json!({"headers": 860_003}), behind(Some(3))),
        (json!({"headers": 861_000, "initialblockdownload": true}), behind(Some(1000))),
        (json!({"headers": -1}), Syncing::No),
        (json!({"headers": "many", "initialblockdownload": "perhaps"}), Syncing::Unknown),
        // Its peers know no more than it does: it is the chain that stands still.
        (json!({"initialblockdownload": true}), Syncing::Unknown),
        (json!({"initialblockdownload": null, "initial_block_download_complete": true}), Syncing::No),
    ] {
        let told = change.clone();
        let facts = poll_with("getblockchaininfo", move |result| {
            for (key, value) in told.as_object().unwrap() {
                result[key] = value.clone();
            }
        })
        .await;
        // A height that no peer tells leaves the peers' as the second opinion.
        let wanted = if change["headers"] == "many" { Syncing::No } else { wanted };
        assert_eq!(facts.syncing, wanted, "{change}");
    }
}

#[tokio::test]
async fn two_peers_of_its_own_choice_are_a_second_opinion_and_one_of_many_is_not() {
    for (peers, wanted) in [
        (json!([{"inbound": false, "synced_headers": 860_050}]), Syncing::Yes { behind: Some(50) }),
        (json!([{"inbound": true, "synced_headers": 860_050}]), Syncing::No),
        (
            json!([{"inbound": false, "synced_headers": 999_999}, {"inbound": false, "synced_headers": 860_000}]),
            Syncing::No,
        ),
        (json!({"no": "array"}), Syncing::No),
    ] {
        let told = peers.clone();
        let facts = poll_with("getpeerinfo", move |result| *result = told.clone()).await;
        assert_eq!(facts.syncing, wanted, "{peers}");
    }
}

/// What a node says that has refused the last ten blocks.
fn refusing(method: &str, params: &Value) -> Value {
    let mut answer = core(860_000, method, params);
    match method {
        "getblockchaininfo" => answer["result"]["headers"] = json!(860_010),
        "getchaintips" => {
            answer["result"] = json!([
                {"height": 860_000, "hash": hash(1), "branchlen": 0, "status": "active"},
                {"height": 860_010, "hash": hash(2), "branchlen": 11, "status": "invalid"},
            ]);
        }
        _ => {}
    }
    answer
}

#[tokio::test]
async fn blocks_that_a_node_has_refused_are_not_missing() {
    assert_eq!(poll(None, refusing).await.unwrap().syncing, Syncing::No, "it disagrees, it does not catch up");
}

#[tokio::test]
async fn a_branch_is_known_to_be_refused_as_soon_as_its_blocks_are_lacking() {
    let refuses = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&refuses);
    let (node, mut watch) = watched(None, move |asked| {
        let refuses = now.load(Ordering::Relaxed);
        json_rpc(asked, |method, params| if refuses { refusing(method, params) } else { core(860_010, method, params) })
    })
    .await;
    for _ in 0..2 {
        watch.node().await.outcome.unwrap();
    }
    refuses.store(true, Ordering::Relaxed);
    for _ in 0..4 {
        assert_eq!(watch.node().await.outcome.unwrap().syncing, Syncing::No);
    }
    let asked = node.asked();
    let tips = asked.iter().filter(|it| String::from_utf8_lossy(&it.body).contains("getchaintips")).count();
    assert_eq!(tips, 2, "once at the beginning, once when blocks were lacking");
}

#[tokio::test]
async fn a_head_that_is_none_is_named_for_what_it_is() {
    let error = |code: i64, message: &str| json!({"result": null, "error": {"code": code, "message": message}});
    for (answer, wanted) in [
        (json!({"result": null, "error": null}), ErrorKind::Malformed),
        (json!({"result": {}}), ErrorKind::Malformed),
        (json!({"result": {"blocks": 7, "bestblockhash": "beef"}}), ErrorKind::Malformed),
        (json!({"result": {"blocks": -1, "bestblockhash": hash(7)}}), ErrorKind::Malformed),
        (json!({"result": {"blocks": 7, "bestblockhash": format!("0x{}", hash(7))}}), ErrorKind::Malformed),
        (json!({"result": {"blocks": 1.5, "bestblockhash": hash(7)}}), ErrorKind::Malformed),
        (json!({"result": 7}), ErrorKind::Malformed),
        (error(-28, "Verifying blocks…"), ErrorKind::Starting),
        (error(-1, "something else"), ErrorKind::Rpc),
        (error(-32601, "Method not found"), ErrorKind::Rpc),
        (error(429, "slow down"), ErrorKind::RateLimited),
        (error(-32000, "Daily request quota spent"), ErrorKind::RateLimited),
    ] {
        let told = answer.clone();
        let failed = poll(None, move |method, params| match method {
            "getblockchaininfo" => told.clone(),
            _ => core(7, method, params),
        });
        let failure = failed.await.unwrap_err();
        assert_eq!(failure.kind, wanted, "{answer}: {failure:?}");
    }
}

#[tokio::test]
async fn http_errors_of_a_node_have_their_own_names() {
    let json = |code: i64| format!(r#"{{"result":null,"error":{{"code":{code},"message":"so it is"}},"id":null}}"#);
    for (reply, wanted) in [
        (Reply::status(500, "Internal Server Error", "", json(-28)), ErrorKind::Starting),
        (Reply::status(503, "Service Unavailable", "", "Work queue depth exceeded"), ErrorKind::RateLimited),
        (
            Reply::status(401, "Unauthorized", "WWW-Authenticate: Basic realm=\"jsonrpc\"\r\n", ""),
            ErrorKind::Unauthorized,
        ),
        (Reply::status(403, "Forbidden", "", ""), ErrorKind::Unauthorized),
        (Reply::status(404, "Not Found", "", ""), ErrorKind::HttpStatus),
        (Reply::status(503, "Service Unavailable", "", "<html>"), ErrorKind::Http5xx),
    ] {
        let (_node, mut watch) = watched(None, move |_| reply.clone()).await;
        assert_eq!(watch.node().await.outcome.unwrap_err().kind, wanted);
    }
}

#[tokio::test]
async fn another_chain_behind_the_same_address_takes_nothing_of_the_old_one_over() {
    let moved = Arc::new(AtomicBool::new(false));
    let then = Arc::clone(&moved);
    let (_node, mut watch) = watched(None, move |asked| {
        json_rpc(asked, |method, params| {
            let mut answer = core(860_000, method, params);
            match method {
                "getblockchaininfo" if then.load(Ordering::Relaxed) => answer["result"]["chain"] = json!("test"),
                "getblockhash" if then.load(Ordering::Relaxed) => answer["result"] = json!(hash(77)),
                _ => {}
            }
            answer
        })
    })
    .await;
    let before = watch.node().await.outcome.unwrap().genesis.unwrap();
    moved.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    while seen.last().is_none_or(|genesis: &Option<_>| genesis.is_none() || *genesis == Some(before)) {
        let facts = watch.node().await.outcome.unwrap();
        let is_moved = facts.chain_id.as_deref() == Some("test");
        assert!(!is_moved || facts.genesis != Some(before), "the genesis of the old chain under the name of the new");
        seen.push(facts.genesis);
        assert!(seen.len() < 20, "the genesis of the new chain is never asked for");
    }
}

#[tokio::test]
async fn dash_tells_what_its_masternodes_have_locked_and_nobody_else_is_asked() {
    let answer = |method: &str, params: &Value| match method {
        "getbestchainlock" => {
            json!({"error": null, "result": {"blockhash": hash(1), "height": 859_999, "signature": "ab"}})
        }
        _ => core(860_000, method, params),
    };
    let facts = poll(Some("dash"), answer).await.unwrap();
    assert_eq!(facts.finality.height(), Some(Height(859_999)));
    let none_yet = |method: &str, params: &Value| match method {
        "getbestchainlock" => {
            json!({"result": null, "error": {"code": -32603, "message": "Unable to find any ChainLock"}})
        }
        _ => core(860_000, method, params),
    };
    assert_eq!(poll(Some("dash"), none_yet).await.unwrap().finality, Finality::Unknown);
    let (node, mut watch) = watched(None, move |asked| json_rpc(asked, answer)).await;
    assert_eq!(watch.node().await.outcome.unwrap().finality, Finality::Unknown);
    assert!(!node.asked().iter().any(|asked| String::from_utf8_lossy(&asked.body).contains("getbestchainlock")));
}

#[test]
fn every_relative_has_its_pace_and_its_own_idea_of_a_deep_reorganisation() {
    for (variant, seconds, depth) in [
        (None, 600, 2),
        (Some("bitcoin-cash"), 600, 6),
        (Some("litecoin"), 150, 3),
        (Some("dogecoin"), 60, 4),
        (Some("dash"), 150, 2),
        (Some("zcash"), 75, 4),
        (Some("digibyte"), 15, 6),
    ] {
        let profile = Profile::of(Family::Bitcoin, variant);
        assert_eq!((profile.variant, profile.cadence), (variant, Cadence::Poisson));
        assert_eq!((profile.block_time.unwrap().as_secs(), profile.reorg_depth), (seconds, depth), "{variant:?}");
    }
    assert_eq!(Profile::of(Family::Bitcoin, Some("regtest")).cadence, Cadence::OnDemand);
}

/// A node that takes whoever shows `password`.
fn guarded(password: &Arc<Mutex<String>>) -> impl Fn(&Asked) -> Reply + Send + Sync + use<> {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let password = Arc::clone(password);
    move |asked| {
        let wanted = BASE64_STANDARD.encode(format!("__cookie__:{}", password.lock().unwrap()));
        if asked.head.contains(&format!("authorization: Basic {wanted}")) {
            return json_rpc(asked, |method, params| core(7, method, params));
        }
        Reply::status(401, "Unauthorized", "WWW-Authenticate: Basic realm=\"jsonrpc\"\r\n", "")
    }
}

#[tokio::test]
async fn a_cookie_is_read_when_it_is_needed_and_anew_when_the_node_has_another() {
    let file = std::env::temp_dir().join(format!("haltwatch-it-{}.cookie", std::process::id()));
    let password = Arc::new(Mutex::new("first".to_owned()));
    let node = ScriptedNode::start(guarded(&password)).await;
    let mut target = bitcoin(&node.url(), None);
    target.rpc = target.rpc.with_cookie_file(Some(Arc::from(file.as_path())));
    target.interval = Duration::from_millis(20);
    let mut watch = Watch::start(&nodes(vec![target]));

    let failure = watch.node().await.outcome.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Unauthorized);
    assert!(failure.detail.contains("cookie file") && failure.detail.contains("No such file"), "{failure:?}");

    fs::write(&file, "__cookie__:first").unwrap();
    let told = loop {
        if let Ok(facts) = watch.node().await.outcome {
            break facts;
        }
    };
    assert_eq!(told.head.height, Height(7));

    // As at a restart: another password, and the file comes a moment before it counts.
    fs::write(&file, "__cookie__:second").unwrap();
    "second".clone_into(&mut password.lock().unwrap());
    for _ in 0..3 {
        watch.node().await.outcome.expect("a cookie that was replaced costs no poll");
    }

    fs::write(&file, "__cookie__:third").unwrap();
    "else".clone_into(&mut password.lock().unwrap());
    let failure = loop {
        if let Err(failure) = watch.node().await.outcome {
            break failure;
        }
    };
    assert_eq!(failure.kind, ErrorKind::Unauthorized, "{failure:?}");
    assert!(!format!("{failure:?}").contains("third"));
    fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn answers_nested_without_end_are_only_malformed() {
    let deep = format!(r#"[{{"id":1,"error":null,"result":{{"blocks":{}"#, "[".repeat(60_000));
    let (_node, mut watch) = watched(None, move |_| Reply::json(&deep)).await;
    assert_eq!(watch.node().await.outcome.unwrap_err().kind, ErrorKind::Malformed);
}

/// Four miners with a block every second, in a simulation of that pace.
fn simulated() -> Devnet {
    let plan = Plan {
        tongue: Tongue::Bitcoin,
        name: "coin".to_owned(),
        chain_id: 1,
        seed: 1,
        cadence: Pacing::Interval(Duration::from_secs(1)),
        quorum: Quorum::Bft,
        finality_lag: 0,
        outside_peers: 5,
        members: (1..=4).map(|n| Member { name: format!("m{n}"), votes: true }).collect(),
    };
    let world = World::open(vec![plan], Script::default(), Duration::from_secs(100));
    Devnet::start(world, Pace::times(10)).unwrap()
}

#[tokio::test]
async fn a_simulated_node_is_read_as_a_real_one_and_a_halt_shows() {
    let devnet = simulated();
    let mut watch = Watch::start(&nodes(vec![bitcoin(&devnet.urls()[0][0], None)]));
    let first = watch.node().await.outcome.unwrap();
    assert_eq!((first.chain_id.as_deref(), first.peers, first.syncing), (Some("main"), Some(8), Syncing::No));
    assert!(first.genesis.is_some() && first.version.is_some() && first.pending == Some(0));
    let (mut last, mut told, mut children) = (first, BTreeMap::new(), 0);
    while children < 3 {
        let next = watch.node().await.outcome.unwrap();
        let age = haltwatch::clock::Clock.now().wall.millis() - next.head.time.unwrap().millis();
        assert!((-1000..3000).contains(&age), "the head is {age} ms old");
        if next.head.height.above(last.head.height) == 1 {
            assert_eq!(next.head.parent, last.head.hash, "a head is the child of the one before");
            children += 1;
        }
        told.insert(next.head.height, next.head.hash);
        last = next;
    }
    devnet.suffer(0, &Fault::Reorg(8));
    let looked_back = loop {
        let facts = watch.node().await.outcome.unwrap();
        if !facts.checkpoints.is_empty() {
            break facts.checkpoints.clone();
        }
    };
    let is_replaced = |(height, hash): &(Height, _)| told.get(height).is_some_and(|before| *before != Some(*hash));
    assert!(looked_back.iter().any(is_replaced), "{looked_back:?} after {told:?}");
    devnet.suffer(0, &Fault::Freeze(2));
    devnet.suffer(0, &Fault::Freeze(3));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let halted = watch.node().await.outcome.unwrap().head.height;
    for _ in 0..8 {
        assert_eq!(watch.node().await.outcome.unwrap().head.height, halted);
    }
    devnet.stop().await;
}

/// JSON of wild shapes, with what our calls are answered with in the wrong places.
fn wild() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[0-9a-f]{64}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("blocks"),
        Just("bestblockhash"),
        Just("headers"),
        Just("chain"),
        Just("hash"),
        Just("height"),
        Just("time"),
        Just("size"),
        Just("status"),
        Just("inbound"),
        Just("synced_headers"),
        Just("subversion"),
        Just("previousblockhash"),
        Just("nTx"),
        Just("num_tx"),
        Just("initialblockdownload"),
    ];
    leaf.prop_recursive(6, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..12)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_makes_the_adapter_panic(
        answers in prop::collection::vec(wild(), 9),
        honest_head in any::<bool>(),
        cut in prop::option::of(0_usize..400),
    ) {
        let methods = ["getblockchaininfo", "getmempoolinfo", "getconnectioncount", "getblockheader", "getnetworkinfo",
            "getblockhash", "getchaintips", "getpeerinfo", "getbestchainlock"];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (_node, mut watch) = watched(Some("dash"), move |asked| {
                let reply = json_rpc(asked, |method, params| {
                    let place = methods.iter().position(|known| *known == method).unwrap_or_default();
                    if place == 0 && honest_head { core(7, method, params) } else { json!({"result": answers[place]}) }
                });
                let Reply::Raw(bytes) = reply else { unreachable!() };
                let text = String::from_utf8(bytes).unwrap();
                let body = text.split_once("\r\n\r\n").unwrap().1;
                Reply::json(&body.as_bytes()[..cut.unwrap_or(body.len()).min(body.len())])
            }).await;
            let told = watch.node().await.outcome;
            if let Ok(facts) = told {
                assert!(facts.version.as_ref().is_none_or(|version| version.len() <= 128));
                assert!(facts.chain_id.as_ref().is_none_or(|chain| chain.len() <= 32));
            }
        });
    }
}
