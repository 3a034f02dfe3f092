//! Probes of nodes that behave and of everything else that answers at an address: from the library, on the command line,
//! at `/probe`, and as a check of a whole configuration.

mod families;
mod online;
mod tls;

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use haltwatch::{
    app::{Daemon, Options},
    chain::{
        Family,
        probe::{Inquiry, Reach, probe},
    },
    config::Source,
    model::Endpoint,
    observation::probe::{Access, Reason, Report},
    output::{http::Overrides, own::OwnMetrics, probe::FAMILIES, systemd::Systemd},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::scripted_node::{Asked, Reply, ScriptedNode, evm_answer, healthy, json_rpc};

const TIMEOUT: Duration = Duration::from_secs(5);

/// For what never answers.
const SHORT: Duration = Duration::from_millis(300);

/// A folder that goes when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("haltwatch-probe-{}-{name}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A node with block 1,000,000 at its head, whose blocks take one second.
fn node_script(asked: &Asked) -> Reply {
    json_rpc(asked, |method, params| match params[0].as_str() {
        Some(height) if method == "eth_getBlockByNumber" && height.starts_with("0x") && height != "0x0" => {
            let height = u64::from_str_radix(&height[2..], 16).unwrap();
            evm_answer(height, method, &json!(["latest", false]))
        }
        _ => evm_answer(1_000_000, method, params),
    })
}

async fn ask(url: &str, timeout: Duration) -> Report {
    probe(&Inquiry::new(Endpoint::parse(url, "http, https").unwrap(), timeout)).await
}

async fn reason_of(reply: Reply) -> Option<Reason> {
    let node = ScriptedNode::always(reply).await;
    let report = ask(&node.url(), SHORT).await;
    assert!(!report.is_node());
    report.failure.map(|failure| failure.reason)
}

/// Runs the program away from this thread, which has nodes to play.
pub async fn haltwatch(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haltwatch"));
    command.args(arguments).envs(environment.iter().copied());
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

// ---- the inquiry

#[tokio::test]
async fn a_healthy_node_is_described_in_full() {
    let node = ScriptedNode::start(node_script).await;
    let report = ask(&node.url(), TIMEOUT).await;
    assert_eq!((report.family, report.batch, report.failure.as_ref()), (Some("evm"), Some(true), None));
    let facts = report.facts.as_deref().unwrap();
    assert_eq!((facts.chain_id.as_deref(), facts.head.height.0, facts.peers), (Some("1"), 1_000_000, Some(25)));
    assert_eq!((facts.version.as_deref(), facts.pending), (Some("Geth/v1.17.5"), Some(60)));
    assert_eq!(facts.safe.map(|height| height.0), Some(999_996));
    let block_time = report.block_time.unwrap();
    assert_eq!((block_time.mean, block_time.blocks), (Duration::from_secs(1), 100));
    assert!(report.methods.iter().all(|method| method.access == Access::Open), "{:?}", report.methods);
    let latency = report.latency.unwrap();
    assert!(latency.best <= latency.median && !latency.first.is_zero());
    assert_eq!(node.connections(), 1, "it keeps its connection");
}

#[tokio::test]
async fn what_a_node_does_not_offer_is_told_apart_from_what_it_refuses() {
    let node = ScriptedNode::start(|asked| {
        if asked.body.starts_with(b"[") {
            return Reply::json(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}"#);
        }
        json_rpc(asked, |method, params| match (method, params[0].as_str()) {
            ("txpool_status", _) => json!({"error": {"code": -32601, "message": "no such method"}}),
            ("net_peerCount", _) => json!({"error": {"code": -32000, "message": "forbidden here"}}),
            (_, Some("finalized")) => json!({"error": {"code": -32000, "message": "finalized block not found"}}),
            (_, Some("safe")) => json!({"result": null}),
            _ => evm_answer(1_000_000, method, params),
        })
    })
    .await;
    let report = ask(&node.url(), TIMEOUT).await;
    assert!(report.is_node());
    assert_eq!(report.batch, Some(false));
    let access = |name: &str| report.methods.iter().find(|method| method.name == name).unwrap().access;
    assert_eq!(access("txpool_status"), Access::Missing);
    assert_eq!(access("net_peerCount"), Access::Refused);
    assert_eq!(access("eth_getBlockByNumber finalized"), Access::Empty);
    assert_eq!(access("eth_getBlockByNumber safe"), Access::Empty);
    assert_eq!(access("eth_getBlockByNumber latest"), Access::Open);
}

#[tokio::test]
async fn a_node_without_a_chain_id_is_still_recognised() {
    let node = ScriptedNode::start(|asked| {
        json_rpc(asked, |method, params| match method {
            "eth_chainId" => json!({"error": {"code": -32601, "message": "no such method"}}),
            "eth_blockNumber" => json!({"result": "0xf4240"}),
            _ => evm_answer(1_000_000, method, params),
        })
    })
    .await;
    let report = ask(&node.url(), TIMEOUT).await;
    assert!(report.is_node(), "{:?}", report.failure);
    assert_eq!(report.facts.unwrap().chain_id, None);
}

#[tokio::test]
async fn everything_that_is_no_node_has_its_own_reason() {
    let text = |kind: &str, body: &str| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        Reply::Raw([head.as_bytes(), body.as_bytes()].concat())
    };
    let error = |code: i32, message: &str| {
        Reply::json(json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}).to_string())
    };
    for (reply, wanted) in [
        (Reply::status(401, "Unauthorized", "", ""), Reason::Unauthorized),
        (Reply::status(403, "Forbidden", "", "invalid host specified"), Reason::Unauthorized),
        (Reply::status(429, "Too Many Requests", "", ""), Reason::RateLimited),
        (Reply::status(402, "Payment Required", "", ""), Reason::RateLimited),
        (Reply::status(404, "Not Found", "", "404 page not found"), Reason::NotFound),
        (Reply::status(404, "Not Found", "", "<html>no such page</html>"), Reason::NotFound),
        (Reply::status(301, "Moved", "location: http://169.254.169.254/\r\n", ""), Reason::Redirect),
        (Reply::status(503, "Unavailable", "", "no backend"), Reason::Http5xx),
        (Reply::status(418, "Teapot", "", "short and stout"), Reason::HttpStatus),
        (Reply::status(426, "Upgrade Required", "", ""), Reason::WebSocket),
        (Reply::status(400, "Bad Request", "", "Can \"Upgrade\" only to \"WebSocket\"."), Reason::WebSocket),
        (text("text/html", "<!doctype html><html></html>"), Reason::Html),
        (text("text/plain; version=0.0.4", "# HELP up Up.\n# TYPE up gauge\nup 1\n"), Reason::Metrics),
        (text("text/plain", "hello"), Reason::Malformed),
        (Reply::json(""), Reason::Malformed),
        (Reply::json(r#"{"jsonrpc":"2.0","id":1,"result":{"not":"a number"}}"#), Reason::UnknownFamily),
        (Reply::json(r#"{"jsonrpc":"2.0","id":1,"result":"0xzz"}"#), Reason::UnknownFamily),
        (Reply::json("[]"), Reason::UnknownFamily),
        (error(-32601, "the method eth_chainId does not exist"), Reason::UnknownFamily),
        (error(-32005, "limit exceeded"), Reason::RateLimited),
        (error(-32000, "not ready; please wait for first block"), Reason::Starting),
        (Reply::Close, Reason::Reset),
        (Reply::Hang, Reason::Timeout),
        (Reply::Drip(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), Duration::from_millis(100)), Reason::Timeout),
        (Reply::Flood, Reason::TooLarge),
        (Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Reason::Malformed),
    ] {
        let shown = format!("{reply:?}");
        assert_eq!(reason_of(reply).await, Some(wanted), "{}", &shown[..shown.len().min(200)]);
    }
}

#[tokio::test]
async fn a_node_that_is_asked_as_one_of_another_family_is_said_to_be_no_such_node() {
    let node = ScriptedNode::start(|asked| json_rpc(asked, |method, params| evm_answer(1, method, params))).await;
    let rpc = Endpoint::parse(&node.url(), "http, https").unwrap();
    let inquiry = Inquiry { family: Some(Family::Bitcoin), ..Inquiry::new(rpc, SHORT) };
    assert_eq!(probe(&inquiry).await.failure.unwrap().reason, Reason::OtherFamily);
}

#[tokio::test]
async fn a_metrics_port_that_takes_no_posts_is_recognised_by_its_page() {
    let node = ScriptedNode::start(|asked| match asked.head.split(' ').next() {
        Some("GET") => Reply::status(200, "OK", "", "# HELP up Up.\nup 1\n"),
        _ => Reply::status(405, "Method Not Allowed", "", ""),
    })
    .await;
    assert_eq!(ask(&node.url(), SHORT).await.failure.unwrap().reason, Reason::Metrics);
}

#[tokio::test]
async fn a_node_that_turns_hostile_after_its_first_answer_is_still_classified() {
    for (latest, wanted) in [
        (json!({"result": {"number": -1, "hash": [], "timestamp": {}}}), Reason::Malformed),
        (json!({"result": "x".repeat(100_000)}), Reason::Malformed),
        (json!({"result": null}), Reason::Malformed),
        (json!({"error": {"code": -32603, "message": "\u{202e}boom\n".repeat(1000)}}), Reason::Rpc),
    ] {
        let node = ScriptedNode::start(move |asked| {
            json_rpc(asked, |method, params| match params[0].as_str() {
                Some("latest") => latest.clone(),
                _ => evm_answer(1, method, params),
            })
        })
        .await;
        let report = ask(&node.url(), TIMEOUT).await;
        let failure = report.failure.unwrap();
        assert_eq!(failure.reason, wanted);
        assert!(failure.detail.len() <= 160 && !failure.detail.contains(['\n', '\u{202e}']), "{}", failure.detail);
    }
}

#[tokio::test]
async fn extreme_claims_are_reported_and_do_no_harm() {
    let node = ScriptedNode::start(|asked| {
        json_rpc(asked, |method, params| match (method, params[0].as_str()) {
            ("eth_getBlockByNumber", Some("latest")) => json!({"result": {
                "number": "0xffffffffffffffff", "hash": format!("{:#066x}", 1), "timestamp": "0xffffffffffffffff"}}),
            _ => evm_answer(u64::MAX, "eth_chainId", params),
        })
    })
    .await;
    let report = ask(&node.url(), TIMEOUT).await;
    assert!(report.is_node());
    assert_eq!((report.facts.unwrap().head.height.0, report.block_time), (u64::MAX, None));
}

#[tokio::test]
async fn an_address_that_nobody_may_ask_for_is_never_connected_to() {
    let node = ScriptedNode::start(healthy(1)).await;
    let port = node.address().port();
    let guarded = |host: &str| Inquiry {
        reach: Reach::Guarded,
        ..Inquiry::new(Endpoint::parse(&format!("http://{host}:{port}"), "http").unwrap(), SHORT)
    };
    for host in [
        "0.0.0.0",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "0",
    ] {
        let reason = probe(&guarded(host)).await.failure.unwrap().reason;
        assert_eq!(reason, Reason::Forbidden, "{host}");
    }
    assert_eq!(node.connections(), 0);
    assert!(probe(&guarded("127.0.0.1")).await.is_node());
}

// ---- on the command line

#[tokio::test]
async fn the_command_prints_a_table_and_a_configuration_that_is_accepted() {
    let node = ScriptedNode::start(node_script).await;
    let url = format!("{}/v3/${{PROBE_TEST_KEY}}", node.url());
    let environment = [("PROBE_TEST_KEY", "S3CR3TS3CR3T"), ("RPC_KEY", "S3CR3TS3CR3T")];
    let (code, out, err) = haltwatch(&["probe", &url], &environment).await;
    assert_eq!((code, &*err), (0, ""), "{out}");
    for words in [
        "answers as a node",
        "1 (Ethereum)",
        "Geth/v1.17.5",
        "1000000",
        "1 s, observed over 100 blocks",
        "halted after 30 s without a block, lagging from 60 s behind, offline after 90 s",
    ] {
        assert!(out.contains(words), "{words} is missing in {out}");
    }
    assert!(!out.contains("S3CR3T"));
    assert!(node.asked()[0].head.starts_with("POST /v3/S3CR3TS3CR3T "), "the key is sent");
    let (_, suggested) = out.split_once("[[network]]").unwrap();
    let folder = Folder::new("suggested");
    let file = folder.file("config.toml", &format!("[[network]]{suggested}"));
    let (code, _, err) = haltwatch(&["check-config", "--config.file", file.to_str().unwrap()], &environment).await;
    assert_eq!(code, 0, "{err}\n{suggested}");
}

#[tokio::test]
async fn the_json_says_the_same_and_why_something_failed() {
    let node = ScriptedNode::start(node_script).await;
    let (code, out, _) = haltwatch(&["probe", &node.url(), "--output=json", "--family=evm"], &[]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["success"], &told["failure"]), (0, &json!(true), &Value::Null));
    assert_eq!(told["identity"]["chain_id"], "1");
    assert_eq!(told["state"]["height"], 1_000_000);
    assert_eq!(told["thresholds"]["halt_after_seconds"], 30.0);
    assert_eq!(told["capabilities"]["methods"][0], json!({"method": "eth_getBlockByNumber latest", "access": "open"}));
    let page = ScriptedNode::always(Reply::status(401, "Unauthorized", "", "key S3CR3TS3CR3T is unknown")).await;
    let url = format!("{}/S3CR3TS3CR3T", page.url());
    let (code, out, err) = haltwatch(&["probe", &url, "--output=json"], &[]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["failure"]["reason"]), (1, &json!("unauthorized")));
    assert!(!out.contains("S3CR3T") && !err.contains("S3CR3T"), "{out}{err}");
}

#[tokio::test]
async fn headers_and_tokens_are_sent_and_never_shown() {
    let node = ScriptedNode::start(node_script).await;
    let folder = Folder::new("token");
    let token = folder.file("token", "T0K3NT0K3N\n");
    let file = token.to_str().unwrap();
    let arguments = ["probe", &node.url(), "--bearer-token-file", file, "--header", "X-Key: ${PROBE_TEST_HEADER}"];
    let (code, out, _) = haltwatch(&arguments, &[("PROBE_TEST_HEADER", "H34D3RH34D3R")]).await;
    assert_eq!(code, 0);
    let head = &node.asked()[0].head;
    assert!(
        head.contains("authorization: Bearer T0K3NT0K3N\r\n") && head.contains("x-key: H34D3RH34D3R\r\n"),
        "{head}"
    );
    assert!(!out.contains("T0K3N") && !out.contains("H34D3R"));
    assert!(out.contains("bearer_token = \"${RPC_TOKEN}\"") && out.contains("\"x-key\" = \"${RPC_HEADER_X_KEY}\""));
}

#[tokio::test]
async fn wrong_usage_is_told_apart_from_a_failed_probe() {
    for (arguments, wanted) in [
        (&["probe", "ws://127.0.0.1:1"][..], "give it as --ws"),
        (&["probe", "ftp://127.0.0.1:1"], "the scheme must be one of"),
        (&["probe", "http://${PROBE_TEST_UNSET}"], "PROBE_TEST_UNSET is not set"),
        (&["probe", "http://127.0.0.1:1", "--family=nonsense"], "[possible values: evm"),
        (&["probe", "http://127.0.0.1:1", "--header=nonsense"], "write 'Name: value'"),
        (&["probe", "http://127.0.0.1:1", "--timeout=5"], "write a duration"),
        (&["probe"], "URL|NETWORK/NODE"),
    ] {
        let (code, out, err) = haltwatch(arguments, &[]).await;
        assert_eq!((code, &*out), (2, ""), "{arguments:?}");
        assert!(err.contains(wanted), "{arguments:?}: {err}");
    }
    let (code, out, _) = haltwatch(&["probe", "http://127.0.0.1:1"], &[]).await;
    assert!(code == 1 && out.contains("refused"), "{out}");
}

#[tokio::test]
async fn a_configured_node_is_probed_by_its_name() {
    let node = ScriptedNode::start(node_script).await;
    let folder = Folder::new("named");
    let file = folder.file("config.toml", &config(&node.url(), ""));
    let file = file.to_str().unwrap();
    let (code, out, err) = haltwatch(&["probe", "main/one", "--config.file", file], &[]).await;
    assert!(code == 0 && out.contains("answers as a node") && !out.contains("[[network]]"), "{out}{err}");
    let (code, _, err) = haltwatch(&["probe", "main/two", "--config.file", file], &[]).await;
    assert!(code == 2 && err.contains("has no node of this name"), "{err}");
    let (code, _, _) = haltwatch(&["probe", "main/one", "--config.file", "/nonexistent"], &[]).await;
    assert_eq!(code, 78);
}

// ---- at /probe

pub fn config(url: &str, more: &str) -> String {
    format!(
        "{more}\n[web]\nlisten = [\"127.0.0.1:0\"]\n[[network]]\nname = \"main\"\nfamily = \"evm\"\n\
         [[network.node]]\nname = \"one\"\nurl = \"{url}\"\ntimeout = \"2s\"\ninterval = \"1h\"\n"
    )
}

fn daemon(text: String) -> Daemon {
    let options = Options {
        source: Source::Text(text),
        web: Overrides::default(),
        own: OwnMetrics::new(),
        storage: None,
        reload_pause: Duration::ZERO,
        systemd: Systemd::default(),
    };
    Daemon::start(options).unwrap()
}

/// Status, headers and body of `GET path`.
async fn get(address: SocketAddr, path: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn prometheus_gets_what_the_node_says_now() {
    let node = ScriptedNode::start(node_script).await;
    let daemon = daemon(config(&node.url(), ""));
    let address = daemon.addresses()[0];
    let (status, head, body) = get(address, "/probe?target=main/one&family=evm", "").await;
    assert_eq!(status, 200);
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    for line in [
        "probe_success 1\n",
        "probe_timeout_seconds 2\n",
        "haltwatch_probe_height 1000000\n",
        "haltwatch_probe_finalized_height 999992\n",
        "haltwatch_probe_head_timestamp_seconds 1701000000\n",
        "haltwatch_probe_peers 25\n",
        "haltwatch_probe_syncing 0\n",
        "haltwatch_probe_block_interval_seconds 1\n",
        "haltwatch_probe_failure{reason=\"timeout\"} 0\n",
        "haltwatch_probe_info{client=\"Geth\",version=\"v1.17.5\",family=\"evm\",chain_id=\"1\"} 1\n",
    ] {
        assert!(body.contains(line), "{line} is missing in {body}");
    }
    assert!(!body.contains("haltwatch_node_"), "every probe has an exposition of its own");
    let samples: Vec<&str> = body.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(samples[0].starts_with("probe_success ") && samples[1].starts_with("probe_duration_seconds "));
    let accept = "Accept: application/openmetrics-text;version=1.0.0\r\n";
    let (_, head, body) = get(address, "/probe?target=main/one", accept).await;
    assert!(head.contains("application/openmetrics-text") && body.ends_with("# EOF\n"));
    let (_, _, body) = get(address, "/probe?target=main/one&debug=true", "").await;
    assert!(body.contains("answers as a node") && body.contains("\nprobe_success 1\n"), "{body}");
}

#[tokio::test]
async fn a_failed_probe_is_a_good_answer() {
    let node = ScriptedNode::always(Reply::status(401, "Unauthorized", "", "")).await;
    let daemon = daemon(config(&node.url(), ""));
    let (status, _, body) = get(daemon.addresses()[0], "/probe?target=main/one", "").await;
    assert_eq!(status, 200);
    assert!(
        body.contains("probe_success 0\n") && body.contains("haltwatch_probe_failure{reason=\"unauthorized\"} 1\n")
    );
    assert!(!body.contains("haltwatch_probe_height"), "{body}");
}

#[tokio::test]
async fn what_may_not_be_probed_is_refused() {
    let node = ScriptedNode::start(node_script).await;
    let daemon = daemon(config(&node.url(), ""));
    let address = daemon.addresses()[0];
    for (path, wanted, words) in [
        ("/probe", 400, "Target parameter is missing"),
        ("/probe?target=", 400, "Target parameter is missing"),
        ("/probe?target=main/two", 404, "no node of this name"),
        ("/probe?target=main/one&family=nonsense", 400, "unknown family"),
        ("/probe?target=http://127.0.0.1:1", 403, "allow_arbitrary_targets"),
    ] {
        let (status, _, body) = get(address, path, "").await;
        assert_eq!(status, wanted, "{path}");
        assert!(body.contains(words), "{path}: {body}");
    }
}

#[tokio::test]
async fn any_target_is_probed_where_that_is_allowed_but_not_what_only_this_machine_can_reach() {
    let node = ScriptedNode::start(node_script).await;
    let daemon = daemon(config("http://127.0.0.1:1", "[probe]\nallow_arbitrary_targets = true"));
    let address = daemon.addresses()[0];
    let (_, _, body) = get(address, &format!("/probe?target={}", node.url()), "").await;
    assert!(body.contains("probe_success 1\n") && body.contains("probe_timeout_seconds 10\n"), "{body}");
    for target in ["http://169.254.169.254/latest/", "http://[::ffff:a9fe:a9fe]/", "http://0.0.0.0:80/"] {
        let (status, _, body) = get(address, &format!("/probe?target={target}"), "").await;
        assert!(
            status == 200 && body.contains("haltwatch_probe_failure{reason=\"forbidden\"} 1\n"),
            "{target}: {body}"
        );
    }
    for target in ["ftp://x", "http://", "http://user:pw@x/", "file:///etc/passwd"] {
        assert_eq!(get(address, &format!("/probe?target={target}"), "").await.0, 400, "{target}");
    }
}

#[tokio::test]
async fn the_scrape_timeout_of_prometheus_is_kept() {
    let node = ScriptedNode::always(Reply::Hang).await;
    let daemon = daemon(config(&node.url(), ""));
    let header = "X-Prometheus-Scrape-Timeout-Seconds: 0.7\r\n";
    let (_, _, body) = get(daemon.addresses()[0], "/probe?target=main/one", header).await;
    assert!(body.contains("probe_timeout_seconds 0.2\n"), "{body}");
    assert!(body.contains("haltwatch_probe_failure{reason=\"timeout\"} 1\n"), "{body}");
}

#[tokio::test]
async fn too_many_probes_at_once_are_refused_and_others_served_again_later() {
    let node = ScriptedNode::always(Reply::Hang).await;
    let daemon = daemon(config(&node.url(), ""));
    let address = daemon.addresses()[0];
    let header = "X-Prometheus-Scrape-Timeout-Seconds: 2\r\n";
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..24 {
        crowd.spawn(async move { get(address, "/probe?target=main/one", header).await.0 });
    }
    let statuses = crowd.join_all().await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(503)), (16, 8), "{statuses:?}");
    assert_eq!(get(address, "/probe?target=main/one", header).await.0, 200);
}

#[tokio::test]
async fn every_metric_of_a_probe_is_documented_as_it_is() {
    let document = include_str!("../../docs/probe.md");
    let rows: Vec<&str> = document.lines().filter(|line| line.contains("probe_") && line.starts_with("| `")).collect();
    assert_eq!(rows.len(), FAMILIES.len());
    for (row, family) in rows.iter().zip(FAMILIES) {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let kind = format!("{:?}", family.kind).to_lowercase();
        assert_eq!(*row, format!("| `{}` | {kind} | {} | {} |", family.name, labels.join(", "), family.help));
    }
    for reason in Reason::ALL {
        let row = format!("| `{}` | {} {} |", reason.as_str(), reason.says(), reason.advice());
        assert!(document.contains(&row), "{row}");
    }
    let node = ScriptedNode::start(node_script).await;
    let daemon = daemon(config(&node.url(), ""));
    let (_, _, body) = get(daemon.addresses()[0], "/probe?target=main/one", "").await;
    let exported = body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let exported: Vec<&str> = exported.collect();
    let never_here = ["haltwatch_probe_clock_skew_seconds", "haltwatch_probe_tls_cert_not_after_timestamp_seconds"];
    let wanted: Vec<&str> =
        FAMILIES.iter().map(|family| family.name).filter(|name| !never_here.contains(name)).collect();
    assert_eq!(exported, wanted);
}
