//! `CometBFT` nodes through the real pollers: what is sent to them, what their refusals cost, and a simulated network that
//! halts as real ones do.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    chain::{Family, NodeTarget},
    clock::Clock,
    engine::{Engine, settings::NetworkSettings},
    model::AlertName,
    observation::{ErrorKind, Facts, Observation, Syncing},
    sim::{Cadence, Devnet, Fault, Member, Pace, Plan, Quorum, Script, Tongue, World},
};
use serde_json::{Value, json};

use crate::{
    engine::world::{network, settings},
    poller::{Watch, nodes, target},
    scripted_node::{Asked, Reply, ScriptedNode, json_rpc},
};

fn comet(index: u32, url: &str) -> NodeTarget {
    NodeTarget { family: Family::CometBft, ..target(index, url) }
}

/// The answers of a recorded healthy node; -32601 to what was not recorded.
fn healthy(method: &str, _params: &Value) -> Value {
    let recorded: Value = serde_json::from_str(include_str!("../data/cometbft/healthy.json")).unwrap();
    recorded.get(method).cloned().unwrap_or_else(|| json!({"error": {"code": -32601, "message": "Method not found"}}))
}

fn methods(asked: &Asked) -> Vec<String> {
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let method = |call: &Value| call["method"].as_str().unwrap().to_owned();
    body.as_array().map_or_else(|| vec![method(&body)], |calls| calls.iter().map(method).collect())
}

#[tokio::test]
async fn a_poll_is_one_small_batch_and_what_is_heavy_comes_beside_it() {
    let node = ScriptedNode::start(|asked| json_rpc(asked, healthy)).await;
    let mut watch = Watch::start(&nodes(vec![comet(0, &node.url())]));
    for _ in 0..8 {
        let facts = watch.node().await.outcome.unwrap();
        assert_eq!((facts.peers, facts.power, facts.validators), (Some(3), Some(1000), Some(4000)));
    }
    let asked: Vec<_> = node.asked().iter().map(methods).collect();
    assert!(asked.iter().all(|batch| batch.len() <= 10), "nodes refuse more: {asked:?}");
    assert_eq!(asked[0], ["status", "num_unconfirmed_txs"]);
    assert!(asked[1].contains(&"net_info".to_owned()) && asked[1].contains(&"validators".to_owned()), "{asked:?}");
    let light = asked[2..].iter().filter(|it| **it == ["status", "num_unconfirmed_txs", "consensus_state"]).count();
    assert!(5 <= light && asked.len() <= 11, "{asked:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_no_dead_node() {
    let node = ScriptedNode::start(|asked| {
        json_rpc(asked, |method, params| {
            let mut answer = healthy(method, params);
            if method == "net_info" || method == "consensus_state" {
                answer["result"]["padding"] = json!("x".repeat(512 * 1024));
            }
            answer
        })
    })
    .await;
    let mut watch = Watch::start(&nodes(vec![comet(0, &node.url())]));
    let mut last = None;
    for _ in 0..12 {
        last = Some(watch.node().await.outcome.unwrap());
    }
    let facts = last.unwrap();
    assert_eq!((facts.peers, facts.round), (None, None), "they are unknown");
    assert_eq!(facts.validators, Some(4000), "what is small enough is read one by one");
}

#[tokio::test]
async fn a_node_that_refuses_batches_is_asked_singly() {
    let node = ScriptedNode::start(|asked| match asked.body.first() {
        Some(b'[') => Reply::json(r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"}}"#),
        _ => json_rpc(asked, healthy),
    })
    .await;
    let mut watch = Watch::start(&nodes(vec![comet(0, &node.url())]));
    for _ in 0..3 {
        let facts = watch.node().await.outcome.unwrap();
        assert_eq!((facts.peers, facts.pending), (Some(3), Some(0)));
    }
    let batches = node.asked().iter().filter(|asked| asked.body.first() == Some(&b'[')).count();
    assert_eq!(batches, 1);
}

#[tokio::test]
async fn refusals_of_a_proxy_keep_their_names() {
    for (reply, wanted) in [
        (Reply::status(429, "Too Many Requests", "", ""), ErrorKind::RateLimited),
        (Reply::status(403, "Forbidden", "", "{}"), ErrorKind::Unauthorized),
        (Reply::status(502, "Bad Gateway", "", "<html>"), ErrorKind::Http5xx),
        (Reply::json("404 page not found"), ErrorKind::Malformed),
    ] {
        let node = ScriptedNode::always(reply).await;
        let mut watch = Watch::start(&nodes(vec![comet(0, &node.url())]));
        assert_eq!(watch.node().await.outcome.unwrap_err().kind, wanted);
    }
}

const BLOCK: Duration = Duration::from_millis(200);

fn devnet(history: Duration, block: Duration) -> Devnet {
    let plan = Plan {
        tongue: Tongue::CometBft,
        name: "zone".to_owned(),
        chain_id: 7,
        seed: 1,
        cadence: Cadence::Interval(block),
        quorum: Quorum::Bft,
        finality_lag: 0,
        outside_peers: 0,
        members: (1..=4).map(|n| Member { name: format!("v{n}"), votes: true }).collect(),
    };
    Devnet::start(World::open(vec![plan], Script::default(), history), Pace::REAL).unwrap()
}

/// Polls until a node's facts are as wanted.
async fn until(watch: &mut Watch, what: &str, wanted: impl Fn(usize, &Facts) -> bool) -> Arc<Facts> {
    for _ in 0..2000 {
        let observation = watch.node().await;
        if let Ok(facts) = observation.outcome
            && wanted(observation.node.index(), &facts)
        {
            return facts;
        }
    }
    panic!("never: {what}");
}

fn watch_all(devnet: &Devnet) -> Watch {
    let targets = (0..).zip(&devnet.urls()[0]).map(|(i, url)| comet(i, url)).collect();
    Watch::start(&nodes(targets))
}

#[tokio::test]
async fn a_simulated_network_tells_what_a_real_one_does() {
    let devnet = devnet(Duration::from_secs(100), BLOCK);
    let mut watch = watch_all(&devnet);
    let facts = until(&mut watch, "all is known", |_, facts| facts.participation.is_some()).await;
    assert_eq!(facts.chain_id.as_deref(), Some("zone-7"));
    assert_eq!((facts.peers, facts.power, facts.validators), (Some(3), Some(1000), Some(4000)));
    assert_eq!((facts.participation, facts.syncing, facts.seats), (Some(1000), Syncing::No, None));
    assert_eq!(
        facts.version.as_deref(),
        Some(concat!("haltwatch-sim/v", env!("CARGO_PKG_VERSION"), " cometbft/1.0.1"))
    );
    assert!(facts.head.hash.is_some() && facts.genesis.is_some() && facts.identity.is_some());
    devnet.suffer(0, &Fault::Stop(3));
    until(&mut watch, "a proposer that is away costs a round", |node, facts| {
        node == 0 && facts.round.is_some_and(|round| 0 < round)
    })
    .await;
}

#[tokio::test]
async fn a_simulated_network_without_a_block_is_starting() {
    let devnet = devnet(Duration::ZERO, Duration::from_secs(3600));
    let mut watch = Watch::start(&nodes(vec![comet(0, &devnet.urls()[0][0])]));
    assert_eq!(watch.node().await.outcome.unwrap_err().kind, ErrorKind::Starting);
}

#[tokio::test]
async fn a_simulated_loss_of_quorum_is_found_as_a_halt() {
    let devnet = devnet(Duration::from_secs(100), BLOCK);
    let mut watch = watch_all(&devnet);
    let limits = network("zone").limits;
    let limits = haltwatch::engine::settings::NetworkLimits { halt_floor: 5 * BLOCK, missing_blocks: 5, ..limits };
    let zone = NetworkSettings { block_time: Some(BLOCK), limits, ..network("zone") };
    let mut settings = settings(&[(zone, "A B C D")]);
    for node in &mut settings.nodes {
        (node.interval, node.timeout) = (Duration::from_millis(40), Duration::from_millis(250));
    }
    let mut engine = Engine::new(Arc::new(settings), Clock.now());
    let mut fired = Vec::new();
    for poll in 0..2000 {
        if poll == 60 {
            assert_eq!(fired, Vec::<AlertName>::new(), "a healthy network");
            devnet.suffer(0, &Fault::Stop(2));
            devnet.suffer(0, &Fault::Stop(3));
        }
        let observation = watch.node().await;
        let outcome = engine.step(Clock.now(), &[Observation::Node(observation)]);
        fired.extend(outcome.effects.iter().filter_map(|effect| match effect {
            haltwatch::engine::snapshot::Effect::Fired(alert) => Some(alert.key.name),
            _ => None,
        }));
        fired.retain(|name| *name != AlertName::Watchdog);
        if fired.contains(&AlertName::NetworkHalted) {
            return;
        }
    }
    panic!("the halt was never found: {fired:?}");
}
