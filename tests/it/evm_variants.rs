//! Consortium chains, rollups and the web3 port of FISCO BCOS: what is read from nodes that answer as theirs do, and what
//! the whole daemon makes of it.

use std::{fmt::Write as _, time::Duration};

use haltwatch::{
    chain::{Family, Particulars},
    clock::Clock,
    model::Height,
    observation::Facts,
    sim::{Cadence, Devnet, Fault, Member, Pace, Plan, Quorum, Script, Tongue, World},
};
use serde_json::{Value, json};

use crate::{
    daemon::{File, alertmanager, eventually, start},
    poller::{Watch, nodes, target},
    scripted_node::{Asked, Reply, ScriptedNode, json_rpc},
};

fn plan(tongue: Tongue, quorum: Quorum, voters: usize) -> Plan {
    Plan {
        tongue,
        name: "consortium".to_owned(),
        chain_id: 1337,
        seed: 1,
        cadence: Cadence::Interval(Duration::from_millis(250)),
        quorum,
        finality_lag: 8,
        outside_peers: 0,
        members: (1..=voters).map(|n| Member { name: format!("v{n}"), votes: true }).collect(),
    }
}

/// A chain that is a hundred seconds old.
fn devnet(plan: Plan) -> Devnet {
    let world = World::open(vec![plan], Script::default(), Duration::from_secs(100));
    Devnet::start(world, Pace::REAL).unwrap()
}

/// The first poll of the node at `url`.
async fn poll(url: &str, family: Family, variant: Option<&'static str>) -> Facts {
    let mut target = target(0, url);
    (target.family, target.particulars) = (family, Particulars { variant, ..Particulars::default() });
    let mut watch = Watch::start(&nodes(vec![target]));
    watch.node().await.outcome.map(|facts| Facts::clone(&facts)).unwrap()
}

#[tokio::test]
async fn consortium_nodes_tell_their_validators_and_who_takes_no_part() {
    for (tongue, variant, finality_lag) in [(Tongue::Qbft, "qbft", 0), (Tongue::Clique, "clique", 8)] {
        let devnet = devnet(plan(tongue, Quorum::TwoThirds, 4));
        let url = &devnet.urls()[0][0];
        let facts = poll(url, Family::Evm, Some(variant)).await;
        assert_eq!((facts.validators, facts.participation), (Some(4), Some(1000)), "{variant}");
        assert!(facts.absent.is_empty() && facts.peers == Some(3), "{variant}: {facts:?}");
        assert_eq!(facts.pending, Some(0), "{variant}");
        let behind = facts.head.height.0 - facts.finality.height().unwrap().0;
        assert!(behind == finality_lag || behind == finality_lag + 1, "{variant}: {behind}");
        devnet.stop().await;
    }
}

#[tokio::test]
async fn a_rollup_tells_three_lines_of_progress() {
    let devnet = devnet(plan(Tongue::OpNode, Quorum::One, 1));
    let facts = poll(&devnet.urls()[0][0], Family::OpNode, None).await;
    let tip = devnet.look(|world| world.chains()[0].tip().number);
    let head = facts.head.height.0;
    assert!(tip.abs_diff(head) <= 2, "{head} of {tip}");
    assert_eq!((facts.safe, facts.finality.height()), (Some(Height(head - 4)), Some(Height(head - 8))));
    assert_eq!((facts.chain_id.as_deref(), facts.peers), (Some("1337"), Some(0)));
    assert!(facts.genesis.is_some() && facts.identity.is_some() && facts.version.is_some(), "{facts:?}");
    devnet.stop().await;
}

/// The web3 port of FISCO BCOS: eight calls in a batch, peers as a plain integer, one head under every tag, no pool.
fn fisco(asked: &Asked) -> Reply {
    let calls = serde_json::from_slice::<Value>(&asked.body).unwrap().as_array().map_or(1, Vec::len);
    if 8 < calls {
        return Reply::json(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}"#);
    }
    json_rpc(asked, |method, params| {
        let block = |number: u64| {
            let hash = |number: u64| format!("{:#066x}", number + 0x1000);
            json!({"result": {
                "number": format!("{number:#x}"), "hash": hash(number), "parentHash": hash(number.saturating_sub(1)),
                "timestamp": format!("{:#x}", 1_700_000_000 + number), "gasLimit": "0x1c9c380", "transactions": [],
            }})
        };
        match (method, params[0].as_str().unwrap_or_default()) {
            ("eth_getBlockByNumber", "0x0") => block(0),
            ("eth_getBlockByNumber", _) => block(77),
            ("eth_chainId", _) => json!({"result": "0x4ee8"}),
            ("eth_syncing", _) => json!({"result": false}),
            ("net_peerCount", _) => json!({"result": 3}),
            ("web3_clientVersion", _) => json!({"result": "FISCO-BCOS-Web3RPC/v3.16.2"}),
            _ => json!({"error": {"code": -32601, "message": "Method not found"}}),
        }
    })
}

#[tokio::test]
async fn the_web3_port_of_fisco_bcos_is_an_execution_client_of_small_batches() {
    let node = ScriptedNode::start(fisco).await;
    let facts = poll(&node.url(), Family::Evm, None).await;
    assert_eq!((facts.head.height, facts.finality.height()), (Height(77), Some(Height(77))));
    assert_eq!((facts.chain_id.as_deref(), facts.peers, facts.pending), (Some("20200"), Some(3), None));
    assert_eq!(facts.version.as_deref(), Some("FISCO-BCOS-Web3RPC/v3.16.2"));
    assert_eq!(node.asked().len(), 3, "the large batch, the small one, and what did not fit into it");
}

/// The names of the alerts that `peer` was told of and not of their end.
fn firing(peer: &ScriptedNode) -> Vec<String> {
    let mut firing = Vec::new();
    let posts = peer.asked().into_iter().filter(|asked| asked.head.starts_with("POST "));
    let now = Clock.now().wall.to_string();
    for alert in posts.flat_map(|asked| serde_json::from_slice::<Vec<Value>>(&asked.body).unwrap()) {
        let name = alert["labels"]["alertname"].as_str().unwrap().to_owned();
        firing.retain(|other| *other != name);
        if now.as_str() < alert["endsAt"].as_str().unwrap() {
            firing.push(name);
        }
    }
    firing
}

fn config(peer: &ScriptedNode, network: &str, urls: &[String]) -> String {
    let mut nodes = String::new();
    for (n, url) in urls.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(nodes, "[[network.node]]\nname = \"v{n}\"\nrole = \"validator\"\nurl = \"{url}\"\n");
    }
    format!(
        "[monitor]\nname = \"test\"\n[web]\nlisten = [\"127.0.0.1:0\"]\n[alertmanager]\nurls = [\"{}\"]\n\
         [defaults]\ninterval = \"200ms\"\ntimeout = \"1s\"\noffline_after = \"2s\"\nflap_window = \"1s\"\n\
         [[network]]\nname = \"main\"\nblock_time = \"250ms\"\nhalt_floor = \"3s\"\n{network}\n{nodes}",
        peer.url()
    )
}

fn has(peer: &ScriptedNode, name: &str) -> bool {
    firing(peer).iter().any(|alert| alert == name)
}

/// Three validators under QBFT need two: by the rule for other BFT chains they would need all three, and the loss of one
/// would be no risk but a halt.
#[tokio::test(flavor = "multi_thread")]
async fn three_validators_of_qbft_can_lose_one_and_halt_without_the_second() {
    let peer = alertmanager().await;
    let devnet = devnet(plan(Tongue::Qbft, Quorum::TwoThirds, 3));
    let file = File::new(&config(&peer, "family = \"evm\"\nvariant = \"qbft\"", &devnet.urls()[0]));
    let daemon = start(&file);
    eventually("the watchdog is announced", || has(&peer, "Watchdog")).await;
    devnet.suffer(0, &Fault::Stop(2));
    eventually("the next loss is one too many", || has(&peer, "QuorumAtRisk")).await;
    assert!(!has(&peer, "NetworkHalted"), "{:?}", firing(&peer));
    devnet.suffer(0, &Fault::Stop(1));
    eventually("the network has halted", || has(&peer, "NetworkHalted")).await;
    devnet.suffer(0, &Fault::Start(1));
    devnet.suffer(0, &Fault::Start(2));
    eventually("the halt is over", || !has(&peer, "NetworkHalted")).await;
    assert!(daemon.stop().await);
    devnet.stop().await;
}

/// Of seven validators two are watched: that one of these is away is not yet a risk, since the nodes tell of all seven.
#[tokio::test(flavor = "multi_thread")]
async fn the_validators_nodes_tell_of_count_beside_those_that_are_watched() {
    let peer = alertmanager().await;
    let devnet = devnet(plan(Tongue::Qbft, Quorum::TwoThirds, 7));
    let file = File::new(&config(&peer, "family = \"evm\"\nvariant = \"qbft\"", &devnet.urls()[0][..2]));
    let daemon = start(&file);
    eventually("the watchdog is announced", || has(&peer, "Watchdog")).await;
    devnet.suffer(0, &Fault::Stop(1));
    eventually("one of the two is away", || has(&peer, "NodeOffline")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        !has(&peer, "QuorumAtRisk") && !has(&peer, "NetworkHalted"),
        "two of seven may be lost: {:?}",
        firing(&peer)
    );
    assert!(daemon.stop().await);
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollup_whose_sequencer_stops_has_halted() {
    let peer = alertmanager().await;
    let mut plan = plan(Tongue::OpNode, Quorum::One, 1);
    plan.members.push(Member { name: "replica".to_owned(), votes: false });
    let devnet = devnet(plan);
    let replica = &devnet.urls()[0][1..];
    let file = File::new(&config(&peer, "family = \"op-node\"", replica));
    let daemon = start(&file);
    eventually("the watchdog is announced", || has(&peer, "Watchdog")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(firing(&peer), ["Watchdog"]);
    devnet.suffer(0, &Fault::Stop(0));
    eventually("the network has halted", || has(&peer, "NetworkHalted")).await;
    devnet.suffer(0, &Fault::Start(0));
    eventually("all is well again", || firing(&peer) == ["Watchdog"]).await;
    assert!(daemon.stop().await);
    devnet.stop().await;
}
