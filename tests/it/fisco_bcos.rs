//! FISCO BCOS nodes of both generations: what is read from their answers, healthy and broken, and what becomes of a group
//! of four sealers that loses one and then another, polled over real sockets. The answers are composed from the sources of
//! the nodes.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    chain::{Family, NodeTarget, Particulars},
    clock::Clock,
    engine::{Engine, settings::Cadence, settings::NetworkSettings, snapshot::Effect},
    model::{AlertName, BlockHash, Height, Level},
    observation::{ErrorKind, Facts, Finality, PollError, Seats, Syncing},
    sim::{self, Devnet, Fault, Member, Pace, Plan, Quorum, Script, Tongue, World},
};
use serde_json::{Value, json};

use crate::{
    engine::world,
    poller::{Watch, nodes, target},
    scripted_node::{Asked, Reply, ScriptedNode, json_rpc},
};

const A: &str = "aa11";
const B: &str = "bb22";
const C: &str = "cc33";
const D: &str = "dd44";

fn digits(byte: &str) -> String {
    byte.repeat(32)
}

fn of_group(family: Family, group: &str, url: &str) -> NodeTarget {
    let particulars = Particulars { group: Some(group.into()), ..Particulars::default() };
    NodeTarget { family, particulars, ..target(0, url) }
}

async fn poll(
    family: Family,
    answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static,
) -> Result<Facts, PollError> {
    let node = ScriptedNode::start(move |asked| json_rpc(asked, &answer)).await;
    let group = if family == Family::FiscoBcos2 { "1" } else { "group0" };
    let mut watch = Watch::start(&nodes(vec![of_group(family, group, &node.url())]));
    watch.node().await.outcome.map(|facts| Facts::clone(&facts))
}

/// What a sealer of a healthy idle 2.x group of four says.
fn answer_2(method: &str, params: &Value) -> Value {
    let result = match method {
        "getSyncStatus" | "getConsensusStatus" | "getBlockHeaderByNumber" if params[0] != 1 => {
            return json!({"error": {"code": -32602, "message": "Invalid method parameters"}});
        }
        "getSyncStatus" => json!({"isSyncing": false, "protocolId": 265, "genesisHash": digits("47"), "nodeId": A,
            "blockNumber": 31, "latestHash": digits("19"), "knownHighestNumber": 31, "knownLatestHash": digits("19"),
            "txPoolSize": "2", "peers": [{"nodeId": B, "blockNumber": 31}, {"nodeId": C, "blockNumber": 31}, {"nodeId": "ee55"}]}),
        "getConsensusStatus" => json!([{"accountType": 1, "allowFutureBlocks": true, "cfgErr": false,
            "connectedNodes": 3, "currentView": 54477, "groupId": 1, "highestblockHash": format!("0x{}", digits("19")),
            "highestblockNumber": 31, "leaderFailed": false, "max_faulty_leader": 1, "nodeId": A, "nodeNum": 4,
            "node_index": 0, "sealer.0": A, "sealer.1": B, "sealer.2": C, "sealer.3": D, "toView": 54477},
            [{"nodeId": A, "view": 54474}]]),
        "getClientVersion" => json!({"Build Time": "20240101", "Chain Id": "7", "FISCO-BCOS Version": "2.11.0"}),
        "getBlockHeaderByNumber" => json!({"number": "0x1f", "hash": format!("0x{}", digits("19")),
            "parentHash": format!("0x{}", digits("18")), "timestamp": "0x18bcfe56800"}),
        "getBlockHashByNumber" => json!(format!("0x{}", digits("18"))),
        _ => return json!({"error": {"code": -32601, "message": "METHOD_NOT_FOUND"}}),
    };
    json!({"result": result})
}

/// What a sealer of a healthy idle 3.x group of four says.
fn answer_3(method: &str, params: &Value) -> Value {
    let named = params[1] == "" || params[1] == A;
    let text = |status: Value| json!(format!("{status}\n"));
    let sealers: Vec<Value> = [A, B, C, D].iter().map(|id| json!({"index": 0, "nodeID": id, "weight": 1})).collect();
    let result = match method {
        _ if params[0] != "group0" => return json!({"error": {"code": -32005, "message": "no such group"}}),
        "getGroupInfo" => json!({"chainID": "chain0", "groupID": "group0", "nodeList": [
            {"name": "zz", "iniConfig": "{}"},
            {"name": A, "iniConfig": json!({"binaryInfo": {"version": "3.16.2"}}).to_string()}]}),
        "getGroupPeers" => json!([A, B, format!("0x{C}"), "ee55"]),
        _ if !named => return json!({"error": {"code": -32000, "message": "Invalid request for the specified node"}}),
        "getConsensusStatus" => text(json!({"blockNumber": 7, "changeCycle": 0, "connectedNodeList": 4,
            "consensusNodeList": sealers,
            "consensusNodesNum": 4, "hash": digits("ef"), "index": 0, "isConsensusNode": true, "leaderIndex": 3,
            "maxFaultyQuorum": 1, "minRequiredQuorum": 3, "nodeID": A, "timeout": false, "view": 3})),
        "getPendingTxSize" => json!(5),
        "getSyncStatus" => text(json!({"blockNumber": 7, "genesisHash": digits("47"), "isSyncing": false,
            "knownHighestNumber": 7, "latestHash": digits("ef"), "nodeID": A, "peers": []})),
        "getBlockByNumber" => {
            json!({"number": 7, "hash": format!("0x{}", digits("ef")), "timestamp": 1_700_000_000_000_u64,
            "parentInfo": [{"blockNumber": 6, "blockHash": format!("0x{}", digits("ee"))}]})
        }
        "getBlockHashByNumber" => json!(format!("0x{}", digits("00"))),
        _ => return json!({"error": {"code": -32601, "message": "Method not found"}}),
    };
    json!({"result": result})
}

/// A poll of a healthy node of which one answer is replaced.
async fn poll_with(family: Family, method: &'static str, answer: Value) -> Result<Facts, PollError> {
    let healthy = if family == Family::FiscoBcos2 { answer_2 } else { answer_3 };
    poll(family, move |asked, params| if asked == method { answer.clone() } else { healthy(asked, params) }).await
}

#[tokio::test]
async fn a_sealer_of_2_is_read_in_full() {
    let facts = poll(Family::FiscoBcos2, answer_2).await.unwrap();
    assert_eq!((facts.head.height, facts.head.hash), (Height(31), Some(BlockHash([0x19; 32]))));
    assert_eq!(facts.head.time.unwrap().to_string(), "2023-11-14T22:13:20.000Z");
    assert_eq!((facts.head.parent, facts.genesis), (Some(BlockHash([0x18; 32])), Some(BlockHash([0x47; 32]))));
    assert!(matches!(facts.finality, Finality::Known { height: Height(31), .. }));
    assert_eq!((facts.syncing, facts.peers, facts.pending), (Syncing::No, Some(3), Some(2)));
    assert_eq!((facts.heartbeat, facts.round), (Some(54_477), Some(54_477)));
    assert_eq!(facts.seats, Some(Seats { total: 4, needed: 3, live: 3 }), "an observer is no sealer");
    assert_eq!((facts.absent.len(), &*facts.absent[0], facts.validators), (1, D, Some(4)));
    assert_eq!((facts.chain_id.as_deref(), facts.identity.as_deref()), (Some("7"), Some(A)));
    assert_eq!(facts.version.as_deref(), Some("FISCO BCOS 2.11.0"));
}

#[tokio::test]
async fn a_sealer_of_3_is_read_in_full() {
    let facts = poll(Family::FiscoBcos3, answer_3).await.unwrap();
    assert_eq!((facts.head.height, facts.head.hash), (Height(7), Some(BlockHash([0xef; 32]))));
    assert_eq!(facts.head.time.unwrap().to_string(), "2023-11-14T22:13:20.000Z");
    assert_eq!((facts.head.parent, facts.genesis), (Some(BlockHash([0xee; 32])), Some(BlockHash([0x47; 32]))));
    assert_eq!((facts.syncing, facts.peers, facts.pending), (Syncing::No, Some(3), Some(5)));
    assert_eq!((facts.heartbeat, facts.round), (None, Some(0)), "the view of an idle group rests");
    assert_eq!(facts.seats, Some(Seats { total: 4, needed: 3, live: 3 }), "an observer is no sealer");
    assert_eq!((&*facts.absent[0], facts.validators, facts.power), (D, Some(4), Some(1)));
    assert_eq!((facts.chain_id.as_deref(), facts.identity.as_deref()), (Some("chain0"), Some(A)));
    assert_eq!(facts.version.as_deref(), Some("FISCO BCOS 3.16.2"));
}

fn consensus_2(change: &Value) -> Value {
    let mut answer = answer_2("getConsensusStatus", &json!([1]));
    for (name, value) in change.as_object().unwrap() {
        answer["result"][0][name] = value.clone();
    }
    answer
}

#[tokio::test]
async fn the_view_of_who_takes_no_part_is_no_heartbeat() {
    for (change, wanted) in [
        (json!({"currentView": "0x7", "toView": 8}), (Some(7), Some(8))),
        (json!({"leaderFailed": true}), (Some(54_477), Some(54_478))),
        (json!({"accountType": 0}), (None, None)),
        (json!({"cfgErr": true}), (None, None)),
        (json!({"node_index": 65535}), (None, None)),
        (json!({"currentView": null}), (None, None)),
        (json!({"currentView": -1, "toView": [[]]}), (None, None)),
    ] {
        let facts = poll_with(Family::FiscoBcos2, "getConsensusStatus", consensus_2(&change)).await.unwrap();
        assert_eq!((facts.heartbeat, facts.round), wanted, "{change}");
    }
    let rpbft = poll_with(Family::FiscoBcos2, "getConsensusStatus", consensus_2(&json!({"nodeNum": 3}))).await.unwrap();
    assert_eq!(rpbft.seats, None, "only some of the sealers vote, and nobody says which");
    let mut behind = answer_2("getSyncStatus", &json!([1]));
    (behind["result"]["isSyncing"], behind["result"]["knownHighestNumber"]) = (json!(true), json!("0x28"));
    let facts = poll_with(Family::FiscoBcos2, "getSyncStatus", behind).await.unwrap();
    assert_eq!((facts.heartbeat, facts.syncing), (None, Syncing::Yes { behind: Some(9) }));
}

#[tokio::test]
async fn what_is_missing_beside_the_head_is_no_failure() {
    let broken =
        [json!({"result": null}), json!({"result": "{"}), json!({"result": 7}), json!({"error": {"code": -40007}})];
    for answer in broken {
        for method in ["getConsensusStatus", "getClientVersion", "getBlockHeaderByNumber"] {
            let facts = poll_with(Family::FiscoBcos2, method, answer.clone()).await.unwrap();
            assert_eq!(facts.head.height, Height(31), "{method}: {answer}");
        }
        for method in ["getSyncStatus", "getPendingTxSize", "getGroupInfo", "getGroupPeers", "getBlockByNumber"] {
            let facts = poll_with(Family::FiscoBcos3, method, answer.clone()).await.unwrap();
            assert_eq!(facts.head.height, Height(7), "{method}: {answer}");
        }
    }
}

#[tokio::test]
async fn errors_are_named_for_what_they_mean_in_each_generation() {
    for (family, head, code, wanted) in [
        (Family::FiscoBcos2, "getSyncStatus", -40010, ErrorKind::Starting),
        (Family::FiscoBcos2, "getSyncStatus", -40011, ErrorKind::RateLimited),
        (Family::FiscoBcos2, "getSyncStatus", -40012, ErrorKind::Unauthorized),
        (Family::FiscoBcos2, "getSyncStatus", -40009, ErrorKind::Rpc),
        (Family::FiscoBcos3, "getConsensusStatus", -32004, ErrorKind::Starting),
        (Family::FiscoBcos3, "getConsensusStatus", -32000, ErrorKind::Rpc),
        (Family::FiscoBcos3, "getConsensusStatus", -32005, ErrorKind::Rpc),
    ] {
        let answer = json!({"error": {"code": code, "message": "no"}});
        let error = poll_with(family, head, answer).await.unwrap_err();
        assert_eq!(error.kind, wanted, "{family:?} {code}");
    }
    let node = ScriptedNode::always(Reply::json("ERROR while handleRequest: bad cast")).await;
    let mut watch = Watch::start(&nodes(vec![of_group(Family::FiscoBcos2, "1", &node.url())]));
    assert_eq!(watch.node().await.outcome.unwrap_err().kind, ErrorKind::Malformed);
    for status in ["{}", "{\"blockNumber\":-1}", "[]", "null", "{\"blockNumber\":1"] {
        let error = poll_with(Family::FiscoBcos3, "getConsensusStatus", json!({"result": status})).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Malformed, "{status}");
    }
}

#[tokio::test]
async fn a_node_that_takes_no_batches_is_asked_one_by_one() {
    let script = |asked: &Asked| match asked.body.first() {
        Some(b'[') => Reply::json(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}"#),
        _ => json_rpc(asked, answer_2),
    };
    let node = ScriptedNode::start(script).await;
    let mut watch = Watch::start(&nodes(vec![of_group(Family::FiscoBcos2, "1", &node.url())]));
    let facts = watch.node().await.outcome.unwrap();
    assert_eq!((facts.head.height, facts.heartbeat), (Height(31), Some(54_477)));
}

#[tokio::test]
async fn a_quiet_group_costs_one_request_a_poll_in_2_and_two_in_3() {
    for (family, answer, wanted) in
        [(Family::FiscoBcos2, answer_2 as fn(&str, &Value) -> Value, 1), (Family::FiscoBcos3, answer_3, 2)]
    {
        let node = ScriptedNode::start(move |asked| json_rpc(asked, answer)).await;
        let group = if family == Family::FiscoBcos2 { "1" } else { "group0" };
        let mut watch = Watch::start(&nodes(vec![of_group(family, group, &node.url())]));
        for _ in 0..2 {
            watch.node().await.outcome.unwrap();
        }
        let before = node.asked().len();
        for _ in 0..5 {
            watch.node().await.outcome.unwrap();
        }
        let asked = node.asked();
        let polls = asked.len() - before;
        assert!(polls <= 5 * wanted + wanted, "{family:?}: {polls} requests in five polls");
        if family == Family::FiscoBcos3 {
            let texts: Vec<_> = asked[before..].iter().map(|asked| String::from_utf8_lossy(&asked.body)).collect();
            assert!(texts.iter().all(|text| text.contains(&format!(r#"["group0","{A}"]"#))), "{texts:?}");
        }
    }
}

#[tokio::test]
async fn a_sealer_that_leaves_is_missed_at_once_by_3() {
    let connected = Arc::new(std::sync::atomic::AtomicU64::new(4));
    let shared = Arc::clone(&connected);
    let node = ScriptedNode::start(move |asked| {
        json_rpc(asked, |method, params| {
            let connected = shared.load(std::sync::atomic::Ordering::SeqCst);
            let mut answer = answer_3(method, params);
            match method {
                "getConsensusStatus" => {
                    let text = answer["result"].as_str().unwrap();
                    let text = text.replace("\"connectedNodeList\":4", &format!("\"connectedNodeList\":{connected}"));
                    answer["result"] = json!(text);
                }
                "getGroupPeers" if connected == 2 => answer["result"] = json!([A, B]),
                _ => {}
            }
            answer
        })
    })
    .await;
    let mut watch = Watch::start(&nodes(vec![of_group(Family::FiscoBcos3, "group0", &node.url())]));
    assert_eq!(watch.node().await.outcome.unwrap().seats.unwrap().live, 3);
    connected.store(2, std::sync::atomic::Ordering::SeqCst);
    watch.node().await.outcome.unwrap();
    assert_eq!(watch.node().await.outcome.unwrap().seats.unwrap().live, 2);
}

/// A simulated group of four sealers, polled and judged.
struct Group {
    devnet: Devnet,
    watch: Watch,
    engine: Engine,
    told: Vec<(AlertName, bool, Level, String)>,
}

impl Group {
    fn start(tongue: Tongue) -> Self {
        let members = (1..=4).map(|n| Member { name: format!("s{n}"), votes: true }).collect();
        let cadence = sim::Cadence::OnDemand { seal_after: Duration::from_millis(500), work_every: None };
        let plan = Plan {
            tongue,
            name: "consortium".to_owned(),
            chain_id: 1,
            seed: 1,
            cadence,
            quorum: Quorum::Bft,
            finality_lag: 0,
            outside_peers: 0,
            members,
        };
        let devnet =
            Devnet::start(World::open(vec![plan], Script::default(), Duration::from_secs(60)), Pace::REAL).unwrap();
        let (family, group) = match tongue {
            Tongue::FiscoBcos3 => (Family::FiscoBcos3, "group0"),
            _ => (Family::FiscoBcos2, "1"),
        };
        let target = |(n, url): (u32, &String)| NodeTarget {
            node: haltwatch::model::NodeIndex(n),
            name: format!("test/{n}").into(),
            interval: Duration::from_millis(500),
            timeout: Duration::from_secs(2),
            ..of_group(family, group, url)
        };
        let targets = (0..).zip(&devnet.urls()[0]).map(target).collect();
        let network = NetworkSettings { cadence: Cadence::OnDemand, block_time: None, ..world::network("main") };
        let mut settings = world::settings(&[(network, "A B C D")]);
        for node in &mut settings.nodes {
            (node.interval, node.timeout) = (Duration::from_millis(500), Duration::from_secs(2));
            node.limits.offline_after = Duration::from_secs(3);
        }
        let engine = Engine::new(Arc::new(settings), Clock.now());
        Self { devnet, watch: Watch::start(&nodes(targets)), engine, told: Vec::new() }
    }

    /// Watches for so many seconds, or until `name` was told to have begun or ended.
    async fn watch(&mut self, seconds: u64, until: Option<(AlertName, bool)>) {
        let from = self.told.len();
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        let done = |told: &[(AlertName, bool, Level, String)]| {
            until.is_some_and(|(name, began)| told.iter().any(|it| (it.0, it.1) == (name, began)))
        };
        while tokio::time::Instant::now() < end && !done(&self.told[from..]) {
            let observation = tokio::time::timeout(Duration::from_millis(100), self.watch.next()).await;
            let observations: Vec<_> = observation.into_iter().collect();
            for effect in self.engine.step(Clock.now(), &observations).effects {
                let (began, alert) = match effect {
                    Effect::Fired(alert) => (true, alert),
                    Effect::Resolved(alert) => (false, alert),
                    _ => continue,
                };
                self.told.push((alert.key.name, began, alert.level, alert.finding.to_string()));
            }
        }
        assert!(until.is_none() || done(&self.told[from..]), "{until:?} was not told: {:?}", self.told);
    }

    /// The alerts told so far, in the order of the alphabet.
    fn alerts(&self) -> Vec<&'static str> {
        let names = self.told.iter().map(|it| it.0).filter(|name| *name != AlertName::Watchdog);
        let mut names: Vec<_> = names.map(AlertName::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// Healthy and idle; one dies, another dies, both return.
async fn story_of_four(tongue: Tongue) {
    let mut group = Group::start(tongue);
    group.devnet.suffer(0, &Fault::Submit(3));
    group.watch(6, None).await;
    assert_eq!(group.alerts(), Vec::<&str>::new());
    assert_eq!(group.devnet.look(|world| world.chains()[0].tip().number), 1);

    group.devnet.suffer(0, &Fault::Stop(3));
    group.watch(30, Some((AlertName::QuorumAtRisk, true))).await;
    assert_eq!(group.alerts(), ["NodeOffline", "QuorumAtRisk"]);
    assert!(group.told.iter().all(|it| it.0 == AlertName::Watchdog || it.2 == Level::L2), "{:?}", group.told);
    group.devnet.suffer(0, &Fault::Submit(1));
    group.watch(3, None).await;
    assert_eq!(group.devnet.look(|world| world.chains()[0].tip().number), 2, "the chain goes on");

    group.devnet.suffer(0, &Fault::Stop(2));
    group.watch(60, Some((AlertName::NetworkHalted, true))).await;
    let halted = group.told.iter().find(|it| it.0 == AlertName::NetworkHalted).unwrap();
    assert_eq!(halted.2, Level::L1);
    assert_eq!(group.devnet.look(|world| world.chains()[0].view(0).unwrap().pending), 0, "nobody waits for a block");

    group.devnet.suffer(0, &Fault::Start(2));
    group.devnet.suffer(0, &Fault::Start(3));
    group.watch(60, Some((AlertName::NetworkHalted, false))).await;
    group.devnet.stop().await;
}

#[tokio::test]
async fn four_sealers_of_2_lose_one_and_another_and_return() {
    story_of_four(Tongue::FiscoBcos2).await;
}

#[tokio::test]
async fn four_sealers_of_3_lose_one_and_another_and_return() {
    story_of_four(Tongue::FiscoBcos3).await;
}
