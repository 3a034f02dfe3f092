//! Simulated nodes over real sockets: they must look to a client as real nodes do.

use std::{io, time::Duration};

use haltwatch::sim::{Cadence, Devnet, Fault, Manner, Member, Pace, Plan, Quorum, Script, Tongue, World};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(5);

fn plan() -> Plan {
    Plan {
        tongue: Tongue::Evm,
        name: "consortium".to_owned(),
        chain_id: 0x7a69,
        seed: 1,
        cadence: Cadence::Interval(Duration::from_secs(1)),
        quorum: Quorum::Bft,
        finality_lag: 8,
        outside_peers: 0,
        members: (1..=4).map(|n| Member { name: format!("v{n}"), votes: true }).collect(),
    }
}

fn devnet() -> Devnet {
    let world = World::open(vec![plan()], Script::default(), Duration::from_secs(100));
    Devnet::start(world, Pace::REAL).unwrap()
}

/// One HTTP exchange on a connection of its own: status line and headers, and body.
async fn exchange(url: &str, body: &str) -> io::Result<(String, String)> {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Ok((head.to_owned(), body.to_owned()))
}

async fn ask(url: &str, body: &Value) -> Value {
    let (head, body) = timeout(PATIENCE, exchange(url, &body.to_string())).await.unwrap().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(&body).unwrap()
}

fn call(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

async fn result(url: &str, method: &str, params: Value) -> Value {
    ask(url, &call(method, &params)).await["result"].clone()
}

/// Repeats `question` until it is answered with yes.
async fn eventually<F: Future<Output = bool>>(mut question: impl FnMut() -> F) {
    let asked = async {
        while !question().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, asked).await.expect("it never came true");
}

#[tokio::test]
async fn a_node_answers_single_calls_in_the_shapes_of_real_clients() {
    let devnet = devnet();
    let url = &devnet.urls()[0][0];
    assert_eq!(result(url, "eth_chainId", json!([])).await, "0x7a69");
    assert_eq!(result(url, "net_version", json!([])).await, "31337");
    assert_eq!(result(url, "eth_syncing", json!([])).await, false);
    assert_eq!(result(url, "net_peerCount", json!([])).await, "0x3");
    assert_eq!(result(url, "txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x0" }));
    assert_eq!(result(url, "eth_getBlockByNumber", json!(["0xffffff", false])).await, Value::Null);

    let latest = result(url, "eth_getBlockByNumber", json!(["latest", false])).await;
    for field in ["number", "hash", "parentHash", "timestamp", "miner"] {
        assert!(latest[field].as_str().unwrap().starts_with("0x"), "{field} of {latest}");
    }
    assert_eq!(latest["hash"].as_str().unwrap().len(), 66);
    assert!(latest["transactions"].is_array());
    let parent = number(&latest["number"]) - 1;
    let before = result(url, "eth_getBlockByNumber", json!([format!("{parent:#x}"), false])).await;
    assert_eq!(before["hash"], latest["parentHash"]);
    let finalized = result(url, "eth_getBlockByNumber", json!(["finalized", false])).await;
    assert!(number(&latest["number"]) <= number(&finalized["number"]) + 10);
    devnet.stop().await;
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[tokio::test]
async fn a_batch_answers_in_place_and_an_error_spoils_only_its_own_call() {
    let devnet = devnet();
    let url = &devnet.urls()[0][1];
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] },
        { "jsonrpc": "2.0", "id": "two", "method": "no_such_method", "params": [] },
        { "jsonrpc": "2.0", "id": 3, "method": "eth_getBlockByNumber", "params": ["bogus", false] },
    ]);
    let answer = ask(url, &batch).await;
    assert_eq!(answer[0], json!({ "jsonrpc": "2.0", "id": 1, "result": "0x7a69" }));
    assert_eq!((&answer[1]["id"], &answer[1]["error"]["code"]), (&json!("two"), &json!(-32601)));
    assert_eq!((&answer[2]["id"], &answer[2]["error"]["code"]), (&json!(3), &json!(-32602)));

    assert_eq!(ask(url, &json!([])).await["error"]["code"], -32600);
    let (head, body) = exchange(url, r#"{"jsonrpc":"2.0","method":"eth_chainId","params":[]}"#).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 204") && body.is_empty(), "a notification has no answer: {head}");
    let (_, body) = exchange(url, "{").await.unwrap();
    assert!(body.contains("-32600"), "{body}");
    devnet.stop().await;
}

#[tokio::test]
async fn a_stopped_node_refuses_connections_and_returns_on_the_same_port() {
    let devnet = devnet();
    let urls = devnet.urls();
    let url = urls[0][2].as_str();
    devnet.suffer(0, &Fault::Stop(2));
    let refused =
        || async { matches!(exchange(url, "{}").await, Err(e) if e.kind() == io::ErrorKind::ConnectionRefused) };
    eventually(refused).await;
    assert_eq!(result(&urls[0][0], "net_peerCount", json!([])).await, "0x2");
    devnet.suffer(0, &Fault::Start(2));
    eventually(|| async { exchange(url, "{}").await.is_ok() }).await;
    assert_eq!(result(url, "net_peerCount", json!([])).await, "0x3");
    devnet.stop().await;
}

#[tokio::test]
async fn a_stopped_node_cuts_the_connections_it_had() {
    let devnet = devnet();
    let address = devnet.urls()[0][0].replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = call("eth_chainId", &json!([])).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = [0; 4096];
    assert_ne!(timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap(), 0);
    devnet.suffer(0, &Fault::Stop(0));
    let end = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("the connection was left open");
    assert!(matches!(end, Ok(0) | Err(_)));
    devnet.stop().await;
}

#[tokio::test]
async fn a_frozen_node_accepts_and_answers_only_after_the_thaw() {
    let devnet = devnet();
    let url = devnet.urls()[0][3].clone();
    devnet.suffer(0, &Fault::Freeze(3));
    let body = call("eth_chainId", &json!([])).to_string();
    let mut waiting = Box::pin(exchange(&url, &body));
    assert!(timeout(Duration::from_millis(200), &mut waiting).await.is_err(), "a frozen node answered");
    devnet.suffer(0, &Fault::Start(3));
    let (_, answer) = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert!(answer.contains("0x7a69"));
    devnet.stop().await;
}

#[tokio::test]
async fn each_bad_manner_looks_as_it_does_in_the_wild() {
    let devnet = devnet();
    let url = &devnet.urls()[0][0];
    let batch = json!([call("eth_chainId", &json!([]))]).to_string();
    for (manner, status, part) in [
        (Manner::RateLimited, "429", "retry-after: 2"),
        (Manner::Unauthorized, "401", "invalid credentials"),
        (Manner::BadGateway, "502", "<html>"),
        (Manner::RefusesBatch, "200", r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32005"#),
        (Manner::WrongChain(5), "200", r#""result":"0x5""#),
    ] {
        devnet.suffer(0, &Fault::Manner(0, manner));
        let (head, body) = timeout(PATIENCE, exchange(url, &batch)).await.unwrap().unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{manner:?}: {head}");
        assert!(head.contains(part) || body.contains(part), "{manner:?}: {head}\n{body}");
    }
    devnet.suffer(0, &Fault::Manner(0, Manner::Hanging));
    let other = result(&devnet.urls()[0][1], "eth_chainId", json!([])).await;
    assert_eq!(other, "0x7a69", "a hanging node hurts nobody else");
    assert!(timeout(Duration::from_millis(200), exchange(url, &batch)).await.is_err());
    devnet.stop().await;
}

#[tokio::test]
async fn a_skewed_clock_shows_in_the_date_of_the_answers() {
    let devnet = devnet();
    let url = &devnet.urls()[0][0];
    devnet.suffer(0, &Fault::ClockSkew(0, 3_600_000));
    let body = call("eth_chainId", &json!([])).to_string();
    let date = |head: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap().to_owned();
        httpdate::parse_http_date(&line).unwrap()
    };
    let skewed = date(&exchange(url, &body).await.unwrap().0);
    let honest = date(&exchange(&devnet.urls()[0][1], &body).await.unwrap().0);
    let ahead = skewed.duration_since(honest).unwrap().as_secs();
    assert!((3595..=3605).contains(&ahead), "{ahead}");
    devnet.stop().await;
}

#[tokio::test]
async fn the_script_runs_at_its_pace_and_is_announced() {
    let script = Script::default().at(Duration::from_secs(20), 0, Fault::Stop(2), "v3 stops").at(
        Duration::from_secs(10),
        0,
        Fault::Stop(3),
        "v4 stops",
    );
    let world = World::open(vec![plan()], script, Duration::from_secs(100));
    let mut devnet = Devnet::start(world, Pace::times(100)).unwrap();
    let mut voice = devnet.voice().unwrap();
    let mut said = Vec::new();
    while said.len() < 2 {
        said.push(timeout(PATIENCE, voice.recv()).await.unwrap().unwrap().says);
    }
    assert_eq!(said, ["v4 stops", "v3 stops"]);
    let url = devnet.urls()[0][0].clone();
    let halted = result(&url, "eth_blockNumber", json!([])).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(result(&url, "eth_blockNumber", json!([])).await, halted, "ten seconds of its time without a quorum");
    devnet.stop().await;
}

#[tokio::test]
async fn the_newest_block_is_young_at_any_pace() {
    for pace in [1, 50] {
        let world = World::open(vec![plan()], Script::default(), Duration::from_secs(1000));
        let devnet = Devnet::start(world, Pace::times(pace)).unwrap();
        let latest = result(&devnet.urls()[0][0], "eth_getBlockByNumber", json!(["latest", false])).await;
        let now = haltwatch::clock::Clock.now().wall.millis() / 1000;
        let age = now - i64::try_from(number(&latest["timestamp"])).unwrap();
        assert!((-1..=3).contains(&age), "{age} s at pace {pace}");
        devnet.stop().await;
    }
}

#[tokio::test]
async fn a_websocket_tells_each_new_head_and_dies_with_its_node() {
    use jsonrpsee::{
        core::client::{ClientT, Subscription, SubscriptionClientT},
        rpc_params,
        ws_client::WsClientBuilder,
    };

    let world = World::open(vec![plan()], Script::default(), Duration::from_secs(100));
    let devnet = Devnet::start(world, Pace::times(20)).unwrap();
    let client = WsClientBuilder::default().build(devnet.urls()[0][0].replace("http", "ws")).await.unwrap();
    let chain: String = client.request("eth_chainId", rpc_params![]).await.unwrap();
    assert_eq!(chain, "0x7a69");
    let mut heads: Subscription<Value> =
        client.subscribe("eth_subscribe", rpc_params!["newHeads"], "eth_unsubscribe").await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let head = timeout(PATIENCE, heads.next()).await.expect("no new head").unwrap().unwrap();
        seen.push((head["hash"].clone(), head["parentHash"].clone()));
    }
    assert!(seen.windows(2).all(|pair| pair[0].0 == pair[1].1), "each head is the child of the one before: {seen:?}");
    devnet.suffer(0, &Fault::Manner(0, Manner::Hanging));
    // What was on its way when the silence began may still come.
    while timeout(Duration::from_millis(300), heads.next()).await.is_ok() {}
    assert!(client.is_connected(), "a silent subscription looks like a quiet chain");
    devnet.suffer(0, &Fault::Stop(0));
    assert!(timeout(PATIENCE, client.on_disconnect()).await.is_ok(), "the connection was left open");
    devnet.stop().await;
}
