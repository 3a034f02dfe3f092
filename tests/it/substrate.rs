//! What is read from Substrate nodes through the real poller: recorded answers of Chopsticks, servers that limit what they
//! offer, and simulated nodes whose finality stands while the chain goes on.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use expect_test::expect;
use haltwatch::{
    chain::{Family, NodeTarget, Particulars, Profile},
    model::{Cadence, FaultTolerance, Height},
    observation::{ErrorKind, Facts, Finality, PollError, Syncing},
    sim::{Cadence as Pacing, Devnet, Fault, Manner, Member, Pace, Plan, Quorum, Script, Tongue, World},
};
use serde_json::{Value, json};

use crate::{
    daemon::{self, File, alertmanager, eventually},
    poller::{Watch, nodes, target},
    scripted_node::{Asked, Reply, ScriptedNode, json_rpc},
};

fn substrate(url: &str) -> NodeTarget {
    let particulars = Particulars { variant: None, group: None };
    NodeTarget { family: Family::Substrate, particulars, ..target(0, url) }
}

async fn watched(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (ScriptedNode, Watch) {
    let node = ScriptedNode::start(script).await;
    let watch = Watch::start(&nodes(vec![substrate(&node.url())]));
    (node, watch)
}

/// What the recorded node said: one node in one state, asked call by call.
fn recorded() -> impl Fn(&str, &Value) -> Value + Send + Sync + Clone {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/substrate/chopsticks.json");
    let recorded: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    move |method, params| {
        let answer = recorded.get(format!("{method} {params}"));
        answer.cloned().unwrap_or_else(|| json!({"error": {"code": -32000, "message": "not recorded"}}))
    }
}

async fn poll(answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Result<Facts, PollError> {
    let (_node, mut watch) = watched(move |asked| json_rpc(asked, &answer)).await;
    watch.node().await.outcome.map(|facts| Facts::clone(&facts))
}

fn methods(asked: &Asked) -> Vec<String> {
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let calls = body.as_array().cloned().unwrap_or_else(|| vec![body]);
    calls.iter().map(|call| call["method"].as_str().unwrap().to_owned()).collect()
}

fn is_batch(asked: &Asked) -> bool {
    asked.body.first() == Some(&b'[')
}

#[tokio::test]
async fn the_answers_of_a_real_runtime_are_read_as_they_were_meant() {
    let facts = poll(recorded()).await.unwrap();
    expect![[r"Head { height: Height(5), hash: Some(0x02eb7a8de36be113adb2fb923e2a3e364b2c8cf002d8ab4345196aac9eef3c65), parent: Some(0x8b35a7526cbc9b062c156b3278d0c8cf803f8153682a94ea4441448f3882d84b), time: Some(UnixTime(1795341133245)), transactions: None }"]]
    .assert_eq(&format!("{:?}", facts.head));
    expect![[r"Known { height: Height(5), hash: Some(0x02eb7a8de36be113adb2fb923e2a3e364b2c8cf002d8ab4345196aac9eef3c65), time: None }"]]
    .assert_eq(&format!("{:?}", facts.finality));
    assert_eq!((facts.chain_id.as_deref(), facts.pending), (Some("asset-hub-rococo"), Some(0)));
    assert_eq!(facts.version.as_deref(), Some("Rococo Asset Hub chopsticks-v1 (statemine-900)"));
    assert_eq!((facts.syncing, facts.peers), (Syncing::No, None), "it is to have no peers");
    assert_eq!(facts.identity, None, "every Chopsticks gives the same");
    assert_eq!((facts.validators, facts.participation), (None, None), "it has no GRANDPA");
    assert_eq!(facts.genesis.unwrap().to_string(), format!("0x{}", "11".repeat(32)));
}

#[tokio::test]
async fn a_first_poll_costs_two_requests_and_one_without_a_new_block_costs_one() {
    let answer = recorded();
    let (node, mut watch) = watched(move |asked| json_rpc(asked, &answer)).await;
    for _ in 0..3 {
        watch.node().await.outcome.unwrap();
    }
    let asked: Vec<usize> = node.asked().iter().map(|asked| methods(asked).len()).collect();
    assert_eq!(asked[..4], [5, 10, 5, 5], "calls of each request");
    assert!(node.asked().iter().all(is_batch));
}

#[tokio::test]
async fn a_server_without_batches_is_read_by_single_calls() {
    for error in [
        json!({"code": -32005, "message": "Batched requests are not supported by this server"}),
        json!({"code": -32010, "message": "The batch request was too large"}),
        json!({"code": -32700, "message": "Parse error"}),
    ] {
        let (answer, refusal) = (recorded(), json!({"jsonrpc": "2.0", "id": null, "error": error}).to_string());
        let script = move |asked: &Asked| {
            if is_batch(asked) { Reply::json(&refusal) } else { json_rpc(asked, &answer) }
        };
        let (node, mut watch) = watched(script).await;
        for _ in 0..2 {
            let facts = watch.node().await.outcome.unwrap();
            assert_eq!((facts.head.height, facts.finality.height()), (Height(5), Some(Height(5))));
            assert!(facts.head.hash.is_some());
        }
        assert_eq!(node.asked().iter().filter(|asked| is_batch(asked)).count(), 1, "refused once, not tried again");
    }
}

#[tokio::test]
async fn methods_that_are_unsafe_or_unknown_are_left_out_and_spoil_nothing() {
    let answer = recorded();
    let closed = move |method: &str, params: &Value| match method {
        "chain_getHeader" | "chain_getBlockHash" => answer(method, params),
        _ => json!({"error": {"code": -32601, "message": "RPC call is unsafe to be called externally"}}),
    };
    let (node, mut watch) = watched(move |asked| json_rpc(asked, &closed)).await;
    for _ in 0..3 {
        let facts = watch.node().await.outcome.unwrap();
        assert_eq!((facts.head.height, facts.finality), (Height(5), Finality::Unknown));
        assert_eq!((facts.syncing, facts.peers, facts.pending), (Syncing::Unknown, None, None));
        assert!(facts.genesis.is_some() && facts.head.hash.is_some());
    }
    let later: BTreeSet<String> = node.asked().iter().skip(2).flat_map(methods).collect();
    assert_eq!(later, BTreeSet::from(["chain_getHeader".to_owned(), "chain_getBlockHash".to_owned()]));
}

#[tokio::test]
async fn what_keeps_a_node_from_telling_its_head_has_its_name() {
    for (reply, wanted) in [
        (Reply::status(429, "Too Many Requests", "retry-after: 1\r\n", ""), ErrorKind::RateLimited),
        (Reply::status(401, "Unauthorized", "", ""), ErrorKind::Unauthorized),
        (Reply::status(502, "Bad Gateway", "", "<html>"), ErrorKind::Http5xx),
        (Reply::json(format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000))), ErrorKind::Malformed),
        (Reply::json(r#"[{"jsonrpc":"2.0","id":1,"result":{"number":"0x"#), ErrorKind::Malformed),
        (Reply::json("[]"), ErrorKind::Malformed),
        (Reply::Hang, ErrorKind::Timeout),
        (Reply::Flood, ErrorKind::TooLarge),
    ] {
        let (_node, mut watch) = watched(move |_| reply.clone()).await;
        let error = watch.node().await.outcome.unwrap_err();
        assert_eq!(error.kind, wanted, "{error:?}");
    }
}

#[test]
fn variants_differ_in_what_makes_a_block_and_in_who_may_be_lost() {
    let row = |variant| Profile::of(Family::Substrate, variant);
    assert_eq!((row(None).cadence, row(None).tolerance), (Cadence::Interval, FaultTolerance::Bft));
    let parachain = row(Some("parachain"));
    assert_eq!((parachain.cadence, parachain.tolerance), (Cadence::Interval, FaultTolerance::AllButOne));
    let manual = row(Some("manual-seal"));
    assert_eq!((manual.cadence, manual.min_peers), (Cadence::OnDemand, 0));
}

/// Four validators with a block every quarter of a second, for which `quorum` of them must be there; three must agree on
/// what is final.
fn simulated(quorum: Quorum) -> Devnet {
    let plan = Plan {
        tongue: Tongue::Substrate,
        name: "solo".to_owned(),
        chain_id: 42,
        seed: 1,
        cadence: Pacing::Interval(Duration::from_millis(250)),
        quorum,
        finality_lag: 2,
        outside_peers: 0,
        members: (1..=4).map(|n| Member { name: format!("v{n}"), votes: true }).collect(),
    };
    let world = World::open(vec![plan], Script::default(), Duration::from_secs(100));
    Devnet::start(world, Pace::REAL).unwrap()
}

#[tokio::test]
async fn a_simulated_node_is_read_as_a_real_one() {
    let devnet = simulated(Quorum::One);
    let mut watch = Watch::start(&nodes(vec![substrate(&devnet.urls()[0][0])]));
    let mut last = watch.node().await.outcome.unwrap();
    assert_eq!((last.chain_id.as_deref(), last.peers, last.syncing), (Some("solo"), Some(3), Syncing::No));
    assert_eq!((last.validators, last.participation, last.pending), (Some(4), Some(1000), Some(0)));
    assert!(last.genesis.is_some() && last.identity.is_some() && last.version.is_some());
    let mut children = 0;
    while children < 3 {
        let next = watch.node().await.outcome.unwrap();
        let age = haltwatch::clock::Clock.now().wall.millis() - next.head.time.unwrap().millis();
        assert!((-1000..3000).contains(&age), "the head is {age} ms old");
        assert_eq!(next.finality.height(), Some(Height(next.head.height.0 - 2)));
        if next.head.height.above(last.head.height) == 1 {
            assert_eq!(next.head.parent, last.head.hash, "a head is the child of the one before");
            children += 1;
        }
        last = next;
    }
    devnet.suffer(0, &Fault::Manner(0, Manner::RefusesBatch));
    assert!(watch.node().await.outcome.unwrap().head.hash.is_some());
    let genesis = last.genesis;
    devnet.suffer(0, &Fault::Manner(0, Manner::WrongChain(7)));
    assert_ne!(watch.node().await.outcome.unwrap().genesis, genesis);
    devnet.stop().await;
}

#[tokio::test]
async fn finality_stands_when_two_of_four_are_gone_and_the_chain_goes_on() {
    let devnet = simulated(Quorum::One);
    let mut watch = Watch::start(&nodes(vec![substrate(&devnet.urls()[0][0])]));
    watch.node().await.outcome.unwrap();
    devnet.suffer(0, &Fault::Stop(2));
    devnet.suffer(0, &Fault::Stop(3));
    let (mut best, mut finalized) = (BTreeSet::new(), BTreeSet::new());
    watch.node().await.outcome.unwrap();
    while best.len() < 4 {
        let facts = watch.node().await.outcome.unwrap();
        best.insert(facts.head.height);
        finalized.insert(facts.finality.height().unwrap());
    }
    assert_eq!(finalized.len(), 1, "{finalized:?} while the head was at {best:?}");
    devnet.suffer(0, &Fault::Start(3));
    let lag = |facts: &Facts| facts.head.height.above(facts.finality.height().unwrap());
    eventually_in(&mut watch, |facts| lag(facts) == 2).await;
    devnet.stop().await;
}

async fn eventually_in(watch: &mut Watch, probe: impl Fn(&Facts) -> bool) {
    let looked = async { while !watch.node().await.outcome.is_ok_and(|facts| probe(&facts)) {} };
    tokio::time::timeout(Duration::from_secs(10), looked).await.expect("it never came true");
}

/// The alerts told to `peer` so far, but for the Watchdog.
fn told(peer: &ScriptedNode) -> BTreeSet<String> {
    let posts = peer.asked().into_iter().filter(|asked| asked.head.starts_with("POST "));
    let alerts = posts.flat_map(|asked| serde_json::from_slice::<Vec<Value>>(&asked.body).unwrap());
    let names = alerts.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned());
    names.filter(|name| name != "Watchdog").collect()
}

/// What the daemon tells of a simulated network of which two of four validators end after a healthy while.
async fn told_when_two_of_four_end(quorum: Quorum, wanted: &str) {
    let (devnet, peer) = (simulated(quorum), alertmanager().await);
    let node = |(i, url): (usize, &String)| {
        format!("[[network.node]]\nname = \"v{i}\"\nrole = \"validator\"\nurl = \"{url}\"\n")
    };
    let list: String = devnet.urls()[0].iter().enumerate().map(node).collect();
    let file = File::new(&format!(
        "[monitor]\nname = \"m\"\n[web]\nlisten = [\"127.0.0.1:0\"]\n[alertmanager]\nurls = [\"{}\"]\n[defaults]\n\
         interval = \"200ms\"\ntimeout = \"1s\"\n[[network]]\nname = \"solo\"\nfamily = \"substrate\"\n\
         chain_id = \"solo\"\nblock_time = \"250ms\"\nhalt_floor = \"4s\"\nfinality_lag = \"500ms\"\n\
         finality_floor = \"6s\"\n{list}",
        peer.url()
    ));
    let daemon = daemon::start(&file);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(told(&peer), BTreeSet::new(), "all is well");
    devnet.suffer(0, &Fault::Stop(2));
    devnet.suffer(0, &Fault::Stop(3));
    eventually(wanted, || told(&peer).contains(wanted)).await;
    assert_eq!(told(&peer), BTreeSet::from([wanted.to_owned()]));
    assert!(daemon.stop().await);
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_makes_no_blocks_without_them_is_told_as_halted() {
    told_when_two_of_four_end(Quorum::Bft, "NetworkHalted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_goes_on_without_them_is_told_as_having_lost_its_finality() {
    told_when_two_of_four_end(Quorum::One, "FinalityStalled").await;
}
