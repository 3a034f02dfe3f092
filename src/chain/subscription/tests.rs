//! Streams of heads against a scripted WebSocket server: the pieces of RFC 6455 that a test needs, written by hand.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{broadcast, mpsc},
    task::JoinSet,
};

use super::*;
use crate::{
    chain::{Family, Fleet, Settings},
    clock::Clock,
    model::NodeIndex,
    observation::Observation,
    supervisor::{PanicCounter, Supervisor},
};

const SOON: Duration = Duration::from_secs(2);
const SILENCE: Duration = Duration::from_millis(150);
const PUSHING: [Family; 2] = [Family::Evm, Family::CometBft];

/// What the server does with a connection.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Serves,
    NeverShakesHands,
    NeverConfirms,
    Refuses,
}

struct Server {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    connections: Arc<AtomicUsize>,
    subscriptions: Arc<AtomicUsize>,
    heads: broadcast::Sender<Option<u64>>,
    _accepting: JoinSet<()>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            manner: Arc::new(Mutex::new(manner)),
            connections: Arc::default(),
            subscriptions: Arc::default(),
            heads: broadcast::channel(8).0,
            _accepting: JoinSet::new(),
        };
        let (manner, connections) = (Arc::clone(&server.manner), Arc::clone(&server.connections));
        let (subscriptions, heads) = (Arc::clone(&server.subscriptions), server.heads.clone());
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let manner = *manner.lock().unwrap();
                open.spawn(serve(stream, manner, Arc::clone(&subscriptions), heads.subscribe()));
            }
        });
        Self { _accepting: accepting, ..server }
    }

    /// Sends a head to every subscriber.
    fn push(&self, number: u64) {
        let _ = self.heads.send(Some(number));
    }

    /// Ends every connection without a closing frame, as a process that is killed does.
    fn kill_connections(&self) {
        let _ = self.heads.send(None);
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("ws://{}/SECRET", self.address), "ws, wss").unwrap()
    }

    async fn subscribed(&self, times: usize) {
        reached(&self.subscriptions, times).await;
    }
}

async fn reached(counter: &AtomicUsize, wanted: usize) {
    let reached = async {
        while counter.load(Ordering::SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, reached).await.unwrap();
}

async fn serve(
    mut stream: TcpStream,
    manner: Manner,
    subscriptions: Arc<AtomicUsize>,
    mut heads: broadcast::Receiver<Option<u64>>,
) -> Option<()> {
    let head = read_head(&mut stream).await?;
    match manner {
        Manner::NeverShakesHands => std::future::pending().await,
        Manner::Refuses => {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.ok();
        }
        Manner::Serves | Manner::NeverConfirms => {}
    }
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    })?;
    let accept = BASE64_STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n";
    stream.write_all(format!("{upgrade}sec-websocket-accept: {accept}\r\n\r\n").as_bytes()).await.ok()?;
    let call: serde_json::Value = serde_json::from_slice(&read_frame(&mut stream).await?).ok()?;
    let comet = call["method"] == "subscribe";
    if comet {
        assert_eq!(call["params"]["query"], "tm.event='NewBlockHeader'");
    } else {
        assert_eq!((&call["method"], &call["params"][0]), (&"eth_subscribe".into(), &"newHeads".into()));
    }
    if matches!(manner, Manner::NeverConfirms) {
        std::future::pending::<()>().await;
    }
    let id = &call["id"];
    let confirmation = if comet { "{}" } else { "\"0x9ce\"" };
    write_frame(&mut stream, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{confirmation}}}"#)).await?;
    subscriptions.fetch_add(1, Ordering::SeqCst);
    while let Ok(Some(number)) = heads.recv().await {
        let head = format!(r#"{{"number":"{number:#x}","hash":"0x1","baseFeePerGas":null}}"#);
        let params = format!(r#"{{"subscription":"0x9ce","result":{head}}}"#);
        let event = if comet {
            comet_event(number)
        } else {
            format!(r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{params}}}"#)
        };
        write_frame(&mut stream, &event).await?;
    }
    Some(())
}

/// An event as a node sends it: one more answer to the call that subscribed.
fn comet_event(height: u64) -> String {
    let header = format!(r#"{{"chain_id":"injective-777","height":"{height}","time":"2026-11-21T19:37:51Z"}}"#);
    let data = format!(r#"{{"type":"tendermint/event/NewBlockHeader","value":{{"header":{header}}}}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"query":"tm.event='NewBlockHeader'","data":{data}}}}}"#)
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// The payload of one masked frame of a client.
async fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    stream.read_u8().await.ok()?;
    let length = match stream.read_u8().await.ok()? & 0x7f {
        126 => stream.read_u16().await.ok()?,
        short => u16::from(short),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await.ok()?;
    let mut payload = vec![0; usize::from(length)];
    stream.read_exact(&mut payload).await.ok()?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Some(payload)
}

async fn write_frame(stream: &mut TcpStream, text: &str) -> Option<()> {
    let length = u16::try_from(text.len()).ok()?.to_be_bytes();
    let frame = [[0x81, 126].as_slice(), &length, text.as_bytes()].concat();
    stream.write_all(&frame).await.ok()
}

fn target(ws: Option<Endpoint>) -> NodeTarget {
    NodeTarget {
        node: NodeIndex(0),
        name: "test/0".into(),
        family: Family::Evm,
        particulars: crate::chain::Particulars::default(),
        // Nobody listens on the port of a service that no machine runs any more.
        rpc: Endpoint::parse("http://127.0.0.1:1", "http").unwrap(),
        ws,
        interval: Duration::from_millis(800),
        timeout: Duration::from_secs(1),
        body_limit: 1024,
        requests_per_second: None,
        block_time: None,
    }
}

/// A subscription that loses its patience quickly.
fn subscribe_as(family: Family, server: &Server) -> (Pulse, Supervisor) {
    let pulse = Pulse::default();
    let target = NodeTarget { family, ..target(None) };
    let patient = Subscription::new(server.endpoint(), &target, pulse.clone());
    let hasty = Subscription { silence: SILENCE, setup: SILENCE, first_pause: Duration::from_millis(20), ..patient };
    let mut supervisor = Supervisor::default();
    let shutdown = supervisor.shutdown();
    supervisor.spawn("test", PanicCounter::default(), move || hasty.clone().run(shutdown.clone()));
    (pulse, supervisor)
}

async fn called(pulse: &Pulse) -> bool {
    tokio::time::timeout(SILENCE * 2, pulse.called()).await.is_ok()
}

#[tokio::test]
async fn a_new_head_calls_for_a_poll() {
    for family in PUSHING {
        let server = Server::start(Manner::Serves).await;
        let (pulse, _supervisor) = subscribe_as(family, &server);
        server.subscribed(1).await;
        for number in 1..4 {
            server.push(number);
            assert!(called(&pulse).await, "head {number}");
        }
        assert!(!called(&pulse).await, "silence calls for nothing");
    }
}

#[tokio::test]
async fn a_stream_that_is_killed_without_a_farewell_is_made_anew() {
    for family in PUSHING {
        let server = Server::start(Manner::Serves).await;
        let (pulse, _supervisor) = subscribe_as(family, &server);
        for round in 1..4 {
            server.subscribed(round).await;
            server.kill_connections();
        }
        server.subscribed(4).await;
        server.push(1);
        assert!(called(&pulse).await);
    }
}

#[tokio::test]
async fn a_stream_that_is_open_and_dead_is_made_anew_once_polls_see_blocks_it_did_not_bring() {
    for family in PUSHING {
        let server = Server::start(Manner::Serves).await;
        let (pulse, _supervisor) = subscribe_as(family, &server);
        server.subscribed(1).await;
        server.push(5);
        assert!(called(&pulse).await);
        pulse.saw(Height(5));
        tokio::time::sleep(SILENCE * 3).await;
        assert_eq!(server.connections.load(Ordering::SeqCst), 1, "a silent chain is no dead stream");
        pulse.saw(Height(6));
        server.subscribed(2).await;
    }
}

#[tokio::test]
async fn a_stream_that_never_comes_about_is_tried_again() {
    let manners = [Manner::NeverShakesHands, Manner::NeverConfirms, Manner::Refuses];
    for (manner, family) in manners.into_iter().flat_map(|manner| PUSHING.map(|family| (manner, family))) {
        let server = Server::start(manner).await;
        let (pulse, _supervisor) = subscribe_as(family, &server);
        reached(&server.connections, 2).await;
        assert!(!called(&pulse).await, "{manner:?}");
        *server.manner.lock().unwrap() = Manner::Serves;
        server.subscribed(1).await;
    }
}

#[tokio::test]
async fn a_head_brings_a_poll_before_it_is_due_and_a_dead_stream_changes_nothing() {
    let server = Server::start(Manner::Serves).await;
    let (sender, mut observations) = mpsc::channel(8);
    let settings = Settings { nodes: vec![target(Some(server.endpoint()))], canaries: Vec::new() };
    let mut fleet = Fleet::new(Clock, sender, PanicCounter::default());
    let plan = fleet.plan(&settings);
    fleet.carry_out(plan);
    server.subscribed(1).await;
    // The beat and the quick retry after the first failure; the next poll is due most of a second later.
    for _ in 0..2 {
        observations.recv().await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(250)).await;
    server.push(1);
    let early = tokio::time::timeout(Duration::from_millis(250), observations.recv()).await.unwrap().unwrap();
    server.kill_connections();
    let next = tokio::time::timeout(Duration::from_secs(4), observations.recv()).await.unwrap().unwrap();
    for observation in [early, next] {
        assert!(matches!(observation, Observation::Node(node) if node.outcome.is_err()), "the polls alone tell");
    }
}
