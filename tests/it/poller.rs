//! What the engine can rely on from the pollers: every fault of a node under its own name, in time, and without harm to
//! the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use haltwatch::{
    chain::{CanaryTarget, Family, Fleet, NodeTarget, Settings},
    clock::Clock,
    model::{CanaryIndex, Endpoint, Height, NodeIndex},
    observation::{ErrorKind, Facts, NodeObservation, Observation, PollError, Roster, Sighting},
    supervisor::PanicCounter,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::scripted_node::{Asked, Reply, ScriptedNode, evm_answer, healthy, json_rpc};

const INTERVAL: Duration = Duration::from_millis(40);
const TIMEOUT: Duration = Duration::from_millis(250);

/// Pollers at work.
pub struct Watch {
    sightings: mpsc::Receiver<Sighting>,
    roster: Roster,
    _fleet: Fleet,
}

impl Watch {
    pub fn start(settings: &Settings) -> Self {
        let (sender, sightings) = mpsc::channel(64);
        let (fleet, roster) = fleet(settings, sender);
        Self { sightings, roster, _fleet: fleet }
    }

    pub async fn next(&mut self) -> Observation {
        let sighting = tokio::time::timeout(Duration::from_secs(5), self.sightings.recv()).await.unwrap().unwrap();
        self.roster.place(sighting).unwrap()
    }

    pub async fn node(&mut self) -> NodeObservation {
        match self.next().await {
            Observation::Node(observation) => observation,
            other => panic!("{other:?} where a node was expected"),
        }
    }

    async fn outcome(&mut self) -> Result<Arc<Facts>, PollError> {
        self.node().await.outcome
    }
}

/// A fleet at work under `settings`.
fn fleet(settings: &Settings, sightings: mpsc::Sender<Sighting>) -> (Fleet, Roster) {
    let mut fleet = Fleet::new(Clock, sightings, PanicCounter::default());
    let plan = fleet.plan(settings);
    let roster = plan.roster();
    fleet.carry_out(plan);
    (fleet, roster)
}

pub fn target(index: u32, url: &str) -> NodeTarget {
    NodeTarget {
        node: NodeIndex(index),
        name: format!("test/{index}").into(),
        family: Family::Evm,
        particulars: haltwatch::chain::Particulars::default(),
        rpc: Endpoint::parse(url, "http, https").unwrap(),
        ws: None,
        interval: INTERVAL,
        timeout: TIMEOUT,
        body_limit: 256 * 1024,
        requests_per_second: None,
        block_time: None,
    }
}

pub fn nodes(nodes: Vec<NodeTarget>) -> Settings {
    Settings { nodes, canaries: Vec::new() }
}

async fn watched(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (ScriptedNode, Watch) {
    let node = ScriptedNode::start(script).await;
    let watch = Watch::start(&nodes(vec![target(0, &node.url())]));
    (node, watch)
}

fn is_batch(asked: &Asked) -> bool {
    asked.body.first() == Some(&b'[')
}

fn asks(asked: &Asked, method: &str) -> bool {
    String::from_utf8_lossy(&asked.body).contains(method)
}

#[tokio::test]
async fn a_healthy_node_is_read_in_full_with_one_request_a_poll() {
    let (node, mut watch) = watched(healthy(100)).await;
    for _ in 0..3 {
        let observation = watch.node().await;
        assert!(observation.elapsed < TIMEOUT);
        let facts = observation.outcome.unwrap();
        assert_eq!((facts.head.height, facts.safe, facts.peers), (Height(100), Some(Height(96)), Some(25)));
        assert_eq!((facts.chain_id.as_deref(), facts.version.as_deref()), (Some("1"), Some("Geth/v1.17.5")));
        assert_eq!((facts.head.transactions, facts.pending), (Some(2), Some(60)));
        assert!(facts.genesis.is_some());
    }
    let asked = node.asked();
    assert!((3..=4).contains(&asked.len()) && asked.iter().all(is_batch), "{} requests", asked.len());
    assert_eq!(asked.iter().filter(|asked| asks(asked, "web3_clientVersion")).count(), 1, "the version is asked once");
    assert_eq!(node.connections(), 1);
}

/// The blocks of a chain whose blocks from `fork` on were replaced once `replaced` is set.
fn forked_answer(height: u64, fork: u64, replaced: bool, method: &str, params: &Value) -> Value {
    let hash = |number: u64| format!("{:#066x}", number + if replaced && fork <= number { 0x9000 } else { 0x1000 });
    let number = match params[0].as_str() {
        Some("latest") => Some(height),
        Some(text) => {
            text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok()).filter(|n| 0 < *n)
        }
        None => None,
    };
    let Some(number) = number.filter(|_| method == "eth_getBlockByNumber") else {
        return evm_answer(height, method, params);
    };
    json!({"result": {
        "number": format!("{number:#x}"), "hash": hash(number), "parentHash": hash(number - 1),
        "timestamp": format!("{:#x}", 1_700_000_000 + number), "transactions": [],
    }})
}

#[tokio::test]
async fn a_replaced_block_makes_the_poller_look_back_at_those_before_it() {
    let height = Arc::new(AtomicU64::new(1000));
    let replaced = Arc::new(AtomicBool::new(false));
    let (now, then) = (Arc::clone(&height), Arc::clone(&replaced));
    let (_node, mut watch) = watched(move |asked| {
        let (height, replaced) = (now.load(Ordering::Relaxed), then.load(Ordering::Relaxed));
        json_rpc(asked, |method, params| forked_answer(height, 1003, replaced, method, params))
    })
    .await;
    for _ in 0..8 {
        let facts = watch.outcome().await.unwrap();
        assert_eq!(facts.checkpoints, [], "nothing was replaced yet");
        height.fetch_add(1, Ordering::Relaxed);
    }
    replaced.store(true, Ordering::Relaxed);
    let looked_back = loop {
        let facts = watch.outcome().await.unwrap();
        if !facts.checkpoints.is_empty() {
            break facts;
        }
    };
    let at =
        |height| looked_back.checkpoints.iter().find(|(told, _)| *told == Height(height)).map(|(_, hash)| hash.0[30]);
    assert_eq!(at(1000), Some(0x13), "a block below the fork is what it was: {:?}", looked_back.checkpoints);
    let new = looked_back.checkpoints.iter().filter(|(height, hash)| Height(1003) <= *height && hash.0[30] == 0x93);
    assert!(2 <= new.count(), "those above it are others: {:?}", looked_back.checkpoints);
}

#[tokio::test]
async fn every_fault_has_its_own_name_in_time_and_harms_nobody() {
    let page = |code, reason: &str| Reply::status(code, reason, "", "<html>sorry</html>");
    let wrong_ids = r#"[{"jsonrpc":"2.0","id":77,"result":"0x1"}]"#;
    let faults = [
        (Reply::Hang, ErrorKind::Timeout),
        (Reply::Drip(vec![b'H'; 999], Duration::from_millis(100)), ErrorKind::Timeout),
        (Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[{".to_vec()), ErrorKind::Reset),
        (Reply::Close, ErrorKind::Reset),
        (Reply::Flood, ErrorKind::TooLarge),
        (Reply::status(429, "Too Many Requests", "retry-after: 60\r\n", ""), ErrorKind::RateLimited),
        (Reply::status(402, "Payment Required", "", "{}"), ErrorKind::RateLimited),
        (page(401, "Unauthorized"), ErrorKind::Unauthorized),
        (Reply::status(403, "Forbidden", "", "invalid host specified"), ErrorKind::Unauthorized),
        (page(500, "Internal Server Error"), ErrorKind::Http5xx),
        (Reply::status(503, "Service Unavailable", "", r#"{"error":"no backend"}"#), ErrorKind::Http5xx),
        (page(404, "Not Found"), ErrorKind::HttpStatus),
        (Reply::status(301, "Moved", "location: http://127.0.0.1:1/\r\n", ""), ErrorKind::Redirect),
        (page(200, "OK"), ErrorKind::Malformed),
        (Reply::json(""), ErrorKind::Malformed),
        (Reply::json("\u{0}\u{1}garbage"), ErrorKind::Malformed),
        (Reply::json(wrong_ids), ErrorKind::Malformed),
        (Reply::json("[".repeat(100_000)), ErrorKind::Malformed),
        (
            Reply::json(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit exceeded"}}"#),
            ErrorKind::RateLimited,
        ),
    ];
    let mut running = vec![ScriptedNode::start(healthy(7)).await];
    for (reply, _) in &faults {
        running.push(ScriptedNode::always(reply.clone()).await);
    }
    let targets = running.iter().enumerate().map(|(n, node)| target(u32::try_from(n).unwrap(), &node.url()));
    let mut watch = Watch::start(&nodes(targets.collect()));
    let mut named = vec![None; running.len()];
    let (mut good, started) = (0, Instant::now());
    while named[1..].iter().any(Option::is_none) {
        let NodeObservation { node, outcome, elapsed, .. } = watch.node().await;
        assert!(elapsed < TIMEOUT * 2, "{node:?} took {elapsed:?}");
        match outcome {
            Ok(_) if node.index() == 0 => good += 1,
            outcome => named[node.index()] = Some(outcome.unwrap_err().kind),
        }
    }
    let wanted: Vec<_> = faults.iter().map(|(_, kind)| Some(*kind)).collect();
    assert_eq!(named[1..], wanted);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // The healthy one kept its beat, as far as a busy machine lets it.
    let possible = started.elapsed().as_millis() / INTERVAL.as_millis();
    assert!(possible / 4 <= good, "{good} of {possible} polls");
}

#[tokio::test]
async fn a_node_that_refuses_batches_is_asked_call_by_call_from_then_on() {
    let refusals = [
        Reply::json(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#),
        Reply::json(r#"[{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"batch too large"}}]"#),
        Reply::json(
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"Batched requests are not supported"}}"#,
        ),
        Reply::status(400, "Bad Request", "", "no arrays please"),
        Reply::status(413, "Content Too Large", "", ""),
        Reply::status(500, "Internal Server Error", "", "array"),
        Reply::json(r#"[{"jsonrpc":"2.0","id":null,"result":"0x1"}]"#),
    ];
    for refusal in refusals {
        let seen = format!("{refusal:?}");
        let script = move |asked: &Asked| if is_batch(asked) { refusal.clone() } else { healthy(9)(asked) };
        let (node, mut watch) = watched(script).await;
        for _ in 0..3 {
            let facts = watch.outcome().await.unwrap();
            assert_eq!((facts.head.height, facts.peers, facts.pending), (Height(9), Some(25), Some(60)), "{seen}");
        }
        // All calls at once, and after that eight of them: for all we know it was the size.
        let sizes: Vec<usize> = node.asked().iter().filter(|asked| is_batch(asked)).map(size).collect();
        assert_eq!(sizes, [9, 8], "{seen}");
    }
}

#[tokio::test]
async fn a_node_that_refuses_large_batches_gets_small_ones_from_then_on() {
    let script = |asked: &Asked| match size(asked) {
        9.. => Reply::json(
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Batch size exceeds the limit"}}"#,
        ),
        _ => healthy(9)(asked),
    };
    let (node, mut watch) = watched(script).await;
    let first = watch.outcome().await.unwrap();
    assert_eq!((first.version.as_deref(), first.genesis.is_some()), (Some("Geth/v1.17.5"), true));
    for _ in 0..3 {
        let facts = watch.outcome().await.unwrap();
        assert_eq!((facts.head.height, facts.peers, facts.pending), (Height(9), Some(25), Some(60)));
    }
    let sizes: Vec<usize> = node.asked().iter().map(size).collect();
    assert_eq!(sizes[..6], [9, 8, 1, 7, 7, 7], "one more request for what did not fit, then one a poll");
}

/// The number of calls in a request.
fn size(asked: &Asked) -> usize {
    serde_json::from_slice::<Value>(&asked.body).unwrap().as_array().map_or(1, Vec::len)
}

#[tokio::test]
async fn one_bad_gateway_does_not_end_batches_for_a_node_that_takes_them() {
    let (node, mut watch) = watched(healthy(1)).await;
    watch.outcome().await.unwrap();
    node.rewrite(|_| Reply::status(502, "Bad Gateway", "", "<html>"));
    assert_eq!(loop_until_error(&mut watch).await.kind, ErrorKind::Http5xx);
    node.rewrite(healthy(2));
    while watch.outcome().await.is_err() {}
    assert!(node.asked().iter().all(is_batch));
}

#[tokio::test]
async fn a_gateway_that_begins_to_refuse_batches_is_found_out_before_the_node_is_offline() {
    let (node, mut watch) = watched(healthy(1)).await;
    watch.outcome().await.unwrap();
    let refuses = |asked: &Asked| {
        if is_batch(asked) { Reply::status(500, "Internal Server Error", "", "<html>") } else { healthy(2)(asked) }
    };
    node.rewrite(refuses);
    let mut failures = 0;
    while watch.outcome().await.is_err() {
        failures += 1;
        assert!(failures < 8, "the node answers single calls");
    }
    assert!(0 < failures, "one bad answer is that of a bad gateway");
}

#[tokio::test]
async fn a_node_without_batches_and_without_a_head_is_asked_for_nothing_else() {
    let script = |asked: &Asked| match is_batch(asked) {
        true => Reply::status(400, "Bad Request", "", "one at a time"),
        false if asks(asked, "latest") => Reply::status(502, "Bad Gateway", "", "<html>"),
        false => healthy(9)(asked),
    };
    let (node, mut watch) = watched(script).await;
    assert_eq!(watch.outcome().await.unwrap_err().kind, ErrorKind::Http5xx);
    let singles =
        node.asked().iter().filter(|asked| !is_batch(asked)).map(|asked| asks(asked, "latest")).collect::<Vec<_>>();
    assert!(!singles.is_empty() && singles.iter().all(|head| *head), "{singles:?}");
}

async fn loop_until_error(watch: &mut Watch) -> PollError {
    loop {
        if let Err(error) = watch.outcome().await {
            return error;
        }
    }
}

#[tokio::test]
async fn a_method_the_node_lacks_is_not_asked_again_but_the_head_always_is() {
    let (node, mut watch) = watched(|asked| {
        json_rpc(asked, |method, params| match method {
            "eth_getBlockByNumber" | "eth_chainId" => evm_answer(5, method, params),
            "net_peerCount" => json!({"error": {"code": -32004, "message": "Method net_peerCount is not supported"}}),
            "txpool_status" => {
                json!({"error": {"code": -32700, "message": "The method txpool_status does not exist/is not available"}})
            }
            _ => json!({"error": {"message": "Method not found"}}),
        })
    })
    .await;
    for _ in 0..3 {
        let facts = watch.outcome().await.unwrap();
        assert_eq!((facts.peers, facts.pending, facts.head.height), (None, None, Height(5)));
    }
    for method in ["net_peerCount", "txpool_status", "eth_syncing"] {
        assert_eq!(node.asked().iter().filter(|asked| asks(asked, method)).count(), 1, "{method}");
    }
    // A balancer answers from a broken backend: the head is asked for again all the same, and found again.
    node.rewrite(|asked| {
        json_rpc(asked, |method, _| json!({"error": {"code": -32601, "message": format!("no method {method}")}}))
    });
    assert_eq!(loop_until_error(&mut watch).await.kind, ErrorKind::Rpc);
    node.rewrite(healthy(6));
    while watch.outcome().await.is_err() {}
}

#[tokio::test]
async fn answers_are_matched_by_id_and_the_first_word_counts() {
    let shuffled = |asked: &Asked| {
        let Reply::Raw(bytes) = healthy(5)(asked) else { panic!() };
        let body = String::from_utf8(bytes).unwrap().split_once("\r\n\r\n").unwrap().1.to_owned();
        let mut items: Vec<Value> = serde_json::from_str(&body).unwrap();
        items.reverse();
        items.push(json!({"jsonrpc": "2.0", "id": 1, "result": evm_answer(99, "eth_getBlockByNumber", &json!(["latest"]))["result"]}));
        items.push(json!({"jsonrpc": "2.0", "id": {"odd": true}, "result": null}));
        for item in &mut items {
            // As a string, as some nodes echo it.
            item["id"] = item["id"].as_u64().map_or(json!(null), |id| json!(id.to_string()));
        }
        Reply::json(json!(items).to_string())
    };
    let (_node, mut watch) = watched(shuffled).await;
    let facts = watch.outcome().await.unwrap();
    assert_eq!((facts.head.height, facts.peers, facts.safe), (Height(5), Some(25), Some(Height(1))));
}

#[tokio::test]
async fn a_limited_node_is_left_alone_for_as_long_as_it_says() {
    let limited = Reply::status(429, "Too Many Requests", "retry-after: 1\r\n", "");
    let (node, mut watch) = watched(move |_| limited.clone()).await;
    assert_eq!(watch.outcome().await.unwrap_err().kind, ErrorKind::RateLimited);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(node.asked().len(), 1);
    assert_eq!(watch.outcome().await.unwrap_err().kind, ErrorKind::RateLimited);
}

#[tokio::test]
async fn the_death_of_a_process_is_told_long_before_the_next_poll() {
    let node = ScriptedNode::start(healthy(3)).await;
    let slow = NodeTarget { interval: Duration::from_secs(3), ..target(0, &node.url()) };
    let mut watch = Watch::start(&nodes(vec![slow]));
    watch.outcome().await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    let killed = Instant::now();
    drop(node);
    assert_eq!(watch.outcome().await.unwrap_err().kind, ErrorKind::Refused);
    assert!(killed.elapsed() < Duration::from_millis(500), "{:?}", killed.elapsed());
}

#[tokio::test]
async fn requests_to_one_host_keep_its_limit_together() {
    let node = ScriptedNode::start(healthy(3)).await;
    let limited = |n| NodeTarget { requests_per_second: Some(20.0), ..target(n, &node.url()) };
    let mut watch = Watch::start(&nodes((0..4).map(limited).collect()));
    let started = Instant::now();
    let mut heard = [0; 4];
    for _ in 0..32 {
        let observation = watch.node().await;
        observation.outcome.unwrap();
        assert!(observation.elapsed < TIMEOUT, "waiting for leave is no latency");
        heard[observation.node.index()] += 1;
    }
    assert!(Duration::from_millis(1500) < started.elapsed(), "32 requests at 20 a second took {:?}", started.elapsed());
    assert!(heard.iter().all(|heard| *heard >= 4), "nobody starves: {heard:?}");
}

#[tokio::test]
async fn a_full_queue_makes_pollers_wait_and_loses_nothing() {
    let height = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&height);
    let node = ScriptedNode::start(move |asked| healthy(counter.fetch_add(1, Ordering::SeqCst))(asked)).await;
    let (sender, mut observations) = mpsc::channel(1);
    let (_fleet, _) = fleet(&nodes(vec![target(0, &node.url())]), sender);
    tokio::time::sleep(INTERVAL * 8).await;
    assert!(height.load(Ordering::SeqCst) <= 2, "one in the queue, one waiting");
    for expected in 0..3 {
        let Some(Observation::Node(observation)) = observations.recv().await else { panic!() };
        assert_eq!(observation.outcome.unwrap().head.height, Height(expected));
    }
}

#[tokio::test]
async fn another_rate_limit_reaches_a_poller_that_goes_on() {
    let node = ScriptedNode::start(healthy(3)).await;
    let limited = |rate| nodes(vec![NodeTarget { requests_per_second: rate, ..target(0, &node.url()) }]);
    let (sender, mut sightings) = mpsc::channel(64);
    let (mut fleet, _) = fleet(&limited(Some(0.01)), sender);
    sightings.recv().await.unwrap();
    tokio::time::sleep(INTERVAL * 3).await;
    assert_eq!(node.asked().len(), 1, "the next leave comes in a hundred seconds");
    let plan = fleet.plan(&limited(None));
    fleet.carry_out(plan);
    for _ in 0..3 {
        tokio::time::timeout(Duration::from_secs(5), sightings.recv()).await.unwrap().unwrap();
    }
    assert_eq!(node.connections(), 1);
}

#[tokio::test]
async fn a_canary_tells_a_living_host_from_a_silent_one() {
    let node = ScriptedNode::start(healthy(3)).await;
    let canary = |index, host: &str, port| CanaryTarget {
        canary: CanaryIndex(index),
        host: host.into(),
        port,
        interval: INTERVAL,
        timeout: TIMEOUT,
    };
    let canaries = vec![
        canary(0, "127.0.0.1", node.address().port()),
        canary(1, "does-not-exist.invalid", 53),
        canary(2, "127.0.0.1", 1),
    ];
    let mut watch = Watch::start(&Settings { nodes: Vec::new(), canaries });
    let mut reachable = [None; 3];
    while reachable.contains(&None) {
        let Observation::Canary(observation) = watch.next().await else { panic!() };
        reachable[observation.canary.index()] = Some(observation.reachable);
    }
    assert_eq!(reachable, [Some(true), Some(false), Some(false)]);
}

#[tokio::test]
async fn pollers_stop_with_the_fleet_even_in_the_middle_of_a_poll() {
    let node = ScriptedNode::always(Reply::Hang).await;
    let (sender, _observations) = mpsc::channel(1);
    let patient = NodeTarget { timeout: Duration::from_secs(60), ..target(0, &node.url()) };
    let (fleet, _) = fleet(&nodes(vec![patient]), sender);
    tokio::time::sleep(INTERVAL * 3).await;
    assert!(fleet.stop(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn a_key_in_the_url_never_reaches_an_observation() {
    let quoting = |asked: &Asked| {
        let line = asked.head.lines().next().unwrap().to_owned();
        json_rpc(
            asked,
            |_, _| json!({"error": {"code": -32000, "message": format!("bad key in {line} at https://up.example/v3/UPSTREAMKEY")}}),
        )
    };
    let node = ScriptedNode::start(quoting).await;
    let mut watch = Watch::start(&nodes(vec![target(0, &format!("{}/v3/0123456789SECRET", node.url()))]));
    let error = watch.outcome().await.unwrap_err();
    assert!(error.detail.contains("bad key"), "{error:?}");
    assert!(!error.detail.contains("SECRET") && !error.detail.contains("UPSTREAMKEY"), "{error:?}");
}

#[tokio::test]
async fn a_node_that_comes_back_as_another_chain_is_seen_as_such_at_once() {
    let (node, mut watch) = watched(healthy(100)).await;
    assert_eq!(watch.outcome().await.unwrap().chain_id.as_deref(), Some("1"));
    let other = |asked: &Asked| {
        json_rpc(asked, |method, params| match method {
            "eth_chainId" => json!({"result": "0x5"}),
            "web3_clientVersion" => json!({"error": {"code": -32601, "message": "no"}}),
            _ => evm_answer(999, method, params),
        })
    };
    node.rewrite(other);
    node.drop_connections();
    loop {
        let Ok(facts) = watch.outcome().await else { continue };
        if facts.head.height == Height(999) {
            assert_eq!((facts.chain_id.as_deref(), facts.version.as_deref()), (Some("5"), None));
            return;
        }
    }
}

#[tokio::test]
async fn once_the_head_is_known_a_call_that_hangs_costs_no_more_than_its_answer() {
    let (_node, mut watch) = watched(|asked| match is_batch(asked) {
        true => Reply::status(400, "Bad Request", "", "one at a time"),
        false if asks(asked, "net_peerCount") => Reply::Hang,
        false => healthy(9)(asked),
    })
    .await;
    for _ in 0..2 {
        let facts = watch.outcome().await.unwrap();
        assert_eq!((facts.head.height, facts.chain_id.as_deref(), facts.peers), (Height(9), Some("1"), None));
    }
}

#[tokio::test]
async fn looking_back_in_vain_costs_neither_the_head_nor_its_freshness() {
    let (height, replaced) = (Arc::new(AtomicU64::new(1000)), Arc::new(AtomicBool::new(false)));
    let (now, then) = (Arc::clone(&height), Arc::clone(&replaced));
    let (_node, mut watch) = watched(move |asked| {
        let (height, replaced) = (now.load(Ordering::Relaxed), then.load(Ordering::Relaxed));
        if replaced && !asks(asked, "latest") {
            return Reply::Hang;
        }
        json_rpc(asked, |method, params| forked_answer(height, 1003, replaced, method, params))
    })
    .await;
    for _ in 0..8 {
        watch.outcome().await.unwrap();
        height.fetch_add(1, Ordering::Relaxed);
    }
    replaced.store(true, Ordering::Relaxed);
    for _ in 0..4 {
        let facts = watch.outcome().await.expect("the head is known");
        assert!(height.load(Ordering::Relaxed) <= facts.head.height.0 + 1, "{}", facts.head.height);
        height.fetch_add(1, Ordering::Relaxed);
    }
}
