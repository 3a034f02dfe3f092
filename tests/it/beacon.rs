//! What is read from the answers of a real consensus client, healthy and in trouble, and of nodes that misbehave. The
//! answers in `tests/data/beacon` were recorded from Lodestar 1.5.1, two nodes of a network with slots of two seconds and
//! eight slots in an epoch; every file is one node in one state, asked for one resource after the other.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use expect_test::{Expect, expect};
use haltwatch::{
    chain::{Family, NodeTarget},
    clock::Clock,
    config::{self, Source},
    engine::{
        Engine,
        snapshot::{Effect, Subject},
    },
    model::{AlertName, Height},
    observation::{ErrorKind, Facts, Finality, PollError, Syncing},
    sim::{Cadence, Devnet, Fault, Member, Pace, Plan, Quorum, Script, Tongue, World},
};
use serde_json::{Value, json};

use crate::{
    poller::{Watch, nodes, target},
    scripted_node::{Asked, Reply, ScriptedNode},
};

const HEAD: &str = "/eth/v1/beacon/headers/head";
const SYNCING: &str = "/eth/v1/node/syncing";
const EVENTS: &str = "/eth/v1/events";

fn beacon(url: &str) -> NodeTarget {
    NodeTarget { family: Family::Beacon, timeout: Duration::from_secs(2), ..target(0, url) }
}

/// The path of a GET, query included.
fn path(asked: &Asked) -> &str {
    asked.head.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

type Recorded = HashMap<String, Value>;

fn recorded(name: &str) -> Recorded {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/beacon").join(name).with_extension("json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn answer(recorded: &Recorded, asked: &Asked) -> Reply {
    let missing = json!({"status": 404, "body": {"message": "not recorded", "statusCode": 404}});
    let answer = recorded.get(path(asked)).unwrap_or(&missing);
    let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
    Reply::status(status, "Whatever", "", answer["body"].to_string())
}

async fn poll(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Result<Facts, PollError> {
    let node = ScriptedNode::start(script).await;
    let mut watch = Watch::start(&nodes(vec![beacon(&node.url())]));
    watch.node().await.outcome.map(|facts| Facts::clone(&facts))
}

/// A poll of a healthy node of which one answer is replaced.
async fn poll_with(replaced: &'static str, reply: Reply) -> Result<Facts, PollError> {
    let healthy = recorded("lodestar");
    poll(move |asked| if path(asked) == replaced { reply.clone() } else { answer(&healthy, asked) }).await
}

fn summary(facts: &Facts) -> String {
    let Facts { head, finality, chain_id, version, identity, safe, syncing, peers, genesis, .. } = facts;
    let (finalized, hash) = match finality {
        Finality::Unknown => ("unknown".to_owned(), None),
        Finality::Known { height, hash, .. } => (height.to_string(), *hash),
    };
    let short = |text: Option<String>| text.map_or_else(|| "?".to_owned(), |text| text.chars().take(10).collect());
    format!(
        "slot {} {} on {} at {} of chain {} {}, safe {:?}, final {finalized} {}, {syncing:?}, peers {peers:?}, {} {}",
        head.height,
        short(head.hash.map(|hash| hash.to_string())),
        short(head.parent.map(|hash| hash.to_string())),
        head.time.map_or_else(|| "?".to_owned(), |time| time.to_string()),
        chain_id.as_deref().unwrap_or("?"),
        short(genesis.map(|hash| hash.to_string())),
        safe.map(|safe| safe.0),
        short(hash.map(|hash| hash.to_string())),
        version.as_deref().unwrap_or("?"),
        short(identity.as_ref().map(ToString::to_string)),
    )
}

async fn check(name: &str, wanted: Expect) {
    let recorded = recorded(name);
    let read = poll(move |asked| answer(&recorded, asked)).await;
    wanted.assert_eq(&read.map_or_else(|error| format!("{error:?}"), |facts| summary(&facts)));
}

#[tokio::test]
async fn the_answers_of_a_real_client_are_read_as_they_were_meant() {
    check("lodestar", expect!["slot 73 0x3abbd850 on 0x21292b85 at 2026-11-21T20:02:55.000Z of chain 5 0x270d43e7, safe Some(64), final 56 0x00853b6c, No, peers Some(1), Lodestar/v1.5.1/2115aa7 16Uiu2HAmE"]).await;
    check("lodestar_finality_stalled", expect!["slot 129 0xaa0b68e0 on 0xeb4b8eaa at 2026-11-21T20:04:47.000Z of chain 5 0x270d43e7, safe Some(80), final 72 0x21292b85, No, peers Some(1), Lodestar/v1.5.1/2115aa7 ?"]).await;
    check("lodestar_finality_recovered", expect!["slot 168 0xde0a78f1 on 0x0593d69a at 2026-11-21T20:06:05.000Z of chain 5 0x270d43e7, safe Some(160), final 152 0xb23cd999, No, peers Some(1), Lodestar/v1.5.1/2115aa7 ?"]).await;
    check("lodestar_halted", expect!["slot 51 0xce94debc on 0x1fa7a6c2 at ? of chain 5 ?, safe Some(40), final 32 0xc58c72eb, Yes { behind: Some(11) }, peers Some(1), Lodestar/v1.5.1/2115aa7 ?"]).await;
    check("lodestar_isolated", expect!["slot 0 0x243c717c on ? at ? of chain 5 ?, safe None, final unknown ?, Yes { behind: Some(249) }, peers Some(0), Lodestar/v1.5.1/2115aa7 ?"]).await;
}

#[tokio::test]
async fn what_keeps_a_node_from_telling_its_head_is_named_for_what_it_is() {
    let error =
        |code: u16, message: &str| Reply::status(code, "No", "", json!({"code": code, "message": message}).to_string());
    for (reply, wanted) in [
        (error(503, "Beacon node is currently syncing and not serving request on that endpoint"), ErrorKind::Starting),
        (error(503, "no backend is available"), ErrorKind::Http5xx),
        (Reply::status(503, "No", "", "<html>"), ErrorKind::Http5xx),
        (error(404, "Chain genesis info is not yet known"), ErrorKind::Starting),
        (error(404, "State not found"), ErrorKind::Starting),
        (error(500, "internal error"), ErrorKind::Http5xx),
        (error(400, "Invalid block id"), ErrorKind::HttpStatus),
        (error(429, "slow down"), ErrorKind::RateLimited),
        (error(401, "who are you"), ErrorKind::Unauthorized),
        (Reply::status(301, "Moved", "location: /x\r\n", ""), ErrorKind::Redirect),
        (Reply::json("{}"), ErrorKind::Malformed),
        (Reply::json("null"), ErrorKind::Malformed),
        (Reply::json(r#"{"data":null}"#), ErrorKind::Malformed),
        (Reply::json(r#"{"data":{"root":"0x12","header":{"message":{"slot":"1"}}}}"#), ErrorKind::Malformed),
        (Reply::json(r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#), ErrorKind::Malformed),
        (Reply::Hang, ErrorKind::Timeout),
    ] {
        let told = poll_with(HEAD, reply.clone()).await;
        assert_eq!(told.as_ref().err().map(|error| error.kind), Some(wanted), "{reply:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_server_that_knows_none_of_the_resources_is_no_client_that_starts() {
    let error =
        poll(|_| Reply::status(404, "Not Found", "", r#"{"message":"Route not found","statusCode":404}"#)).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::HttpStatus);
}

#[tokio::test]
async fn what_a_node_does_not_tell_beside_its_head_is_unknown() {
    let facts = poll_with(SYNCING, Reply::json(r#"{"data":{"head_slot":"72","is_syncing":"no"}}"#)).await.unwrap();
    assert_eq!((facts.syncing, facts.head.height), (Syncing::Unknown, Height(73)));
    let facts = poll_with("/eth/v1/config/spec", Reply::status(404, "No", "", "{}")).await.unwrap();
    assert_eq!((facts.chain_id, facts.head.time, facts.finality), (None, None, Finality::Unknown));
    let facts = poll_with("/eth/v1/beacon/genesis", Reply::json("[]")).await.unwrap();
    assert_eq!((facts.genesis, facts.head.time), (None, None));
}

#[tokio::test]
async fn a_poll_asks_for_two_resources_once_it_is_known_who_the_node_is() {
    let healthy = recorded("lodestar");
    let node = ScriptedNode::start(move |asked| answer(&healthy, asked)).await;
    let mut watch = Watch::start(&nodes(vec![beacon(&node.url())]));
    for _ in 0..10 {
        watch.node().await.outcome.unwrap();
    }
    let asked = node.asked();
    let count = |wanted: &str| asked.iter().filter(|asked| path(asked) == wanted).count();
    assert!(
        (10..=11).contains(&count(HEAD)) && (9..=11).contains(&count(SYNCING)),
        "{} {}",
        count(HEAD),
        count(SYNCING)
    );
    assert_eq!((count("/eth/v1/beacon/genesis"), count("/eth/v1/config/spec")), (1, 1));
    assert_eq!(
        asked.iter().find(|asked| path(asked).starts_with(EVENTS)).map(|asked| asked.head.contains("event-stream")),
        Some(true)
    );
}

#[tokio::test]
async fn an_event_calls_for_a_poll_long_before_it_is_due() {
    let healthy = recorded("lodestar");
    let node = ScriptedNode::start(move |asked| {
        if path(asked).starts_with(EVENTS) {
            let event = ": hello\n\nevent: head\ndata: {\"slot\":\"74\"}\n\n";
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            return Reply::Drip(
                format!("{head}{:x}\r\n{event}\r\n", event.len()).into_bytes(),
                Duration::from_millis(5),
            );
        }
        answer(&healthy, asked)
    })
    .await;
    let hourly = NodeTarget { interval: Duration::from_secs(3600), ..beacon(&node.url()) };
    let mut watch = Watch::start(&nodes(vec![hourly]));
    assert!(watch.node().await.outcome.is_ok(), "called for by the event");
}

fn plan() -> Plan {
    Plan {
        tongue: Tongue::Beacon,
        name: "beacon".to_owned(),
        chain_id: 17,
        seed: 5,
        cadence: Cadence::Slots { every: Duration::from_secs(2), missed_per_mille: 0 },
        quorum: Quorum::Bft,
        finality_lag: 0,
        outside_peers: 40,
        members: (1..=4).map(|n| Member { name: format!("bn{n}"), votes: true }).collect(),
    }
}

#[tokio::test]
async fn a_simulated_client_is_read_as_a_real_one() {
    let world = World::open(vec![plan()], Script::default(), Duration::from_secs(401));
    let devnet = Devnet::start(world, Pace::REAL).unwrap();
    let mut watch = Watch::start(&nodes(vec![beacon(&devnet.urls()[0][0])]));
    let facts = watch.node().await.outcome.unwrap();
    let finalized = facts.finality.height();
    assert_eq!((facts.head.height, facts.safe, finalized), (Height(200), Some(Height(192)), Some(Height(184))));
    assert_eq!((facts.chain_id.as_deref(), facts.peers, facts.syncing), (Some("17"), Some(43), Syncing::No));
    assert!(facts.genesis.is_some() && facts.identity.is_some() && facts.head.time.is_some());
}

/// The alerts about the network that the engine fires, with the facts that pollers bring, until the one called `until`.
async fn told(engine: &mut Engine, watch: &mut Watch, until: AlertName) -> Vec<AlertName> {
    let mut told = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !told.contains(&until) && Instant::now() < deadline {
        let observation = watch.next().await;
        let effects = engine.step(Clock.now(), &[observation]).effects;
        told.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Fired(alert) if is_network(effect) => Some(alert.key.name),
            _ => None,
        }));
    }
    told
}

#[tokio::test]
async fn a_simulated_network_without_a_quorum_is_halted_though_all_its_nodes_say_that_they_are_syncing() {
    let world = World::open(vec![plan()], Script::default(), Duration::from_secs(401));
    let devnet = Devnet::start(world, Pace::times(10)).unwrap();
    let node = |n: usize| format!("[[network.node]]\nname = \"bn{n}\"\nurl = \"{}\"\n", devnet.urls()[0][n]);
    let text = format!(
        "[defaults]\ninterval = \"200ms\"\n[[network]]\nname = \"layer\"\nfamily = \"beacon\"\nblock_time = \"200ms\"\n\
         halt_floor = \"3s\"\n{}{}",
        node(0),
        node(1)
    );
    let config = config::load(&Source::Text(text)).unwrap();
    let mut engine = Engine::new(Arc::new(config.engine), Clock.now());
    let mut watch = Watch::start(&config.chain);
    for _ in 0..20 {
        let observation = watch.next().await;
        assert_eq!(engine.step(Clock.now(), &[observation]).effects.iter().filter(|it| is_network(it)).count(), 0);
    }
    devnet.suffer(0, &Fault::Freeze(2));
    devnet.suffer(0, &Fault::Freeze(3));
    assert_eq!(told(&mut engine, &mut watch, AlertName::NetworkHalted).await, [AlertName::NetworkHalted]);
    assert!(matches!(watch.node().await.outcome.unwrap().syncing, Syncing::Yes { .. }));
}

fn is_network(effect: &Effect) -> bool {
    matches!(effect, Effect::Fired(alert) if matches!(alert.key.subject, Subject::Network(_)))
}
