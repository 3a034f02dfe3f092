//! Nodes that are found: what a list becomes under a configuration, and the whole daemon between lists that change,
//! servers that fail, and restarts.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use haltwatch::{
    app::{Daemon, Options},
    clock::Clock,
    config::{self, Config, Source},
    discovery::{Format, Found, List, Rejection, Target, interpret},
    engine::snapshot::Snapshot,
    model::{Endpoint, MetricsUrl},
    output::{http::Overrides, own::OwnMetrics, systemd::Systemd},
    transport::{Client, Limits, Request},
};
use serde_json::{Value, json};

use crate::{
    sample,
    scripted_node::{Reply, ScriptedNode, healthy},
    web,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn load(text: &str) -> Result<Config, String> {
    config::load(&Source::Text(text.to_owned())).map_err(|problems| problems.to_string())
}

fn found(body: &str) -> Vec<Found> {
    let targets: Arc<[Target]> = Arc::from(interpret(body.as_bytes(), Format::Json).unwrap());
    let lists = vec![List { place: Arc::from("nodes.json"), targets }];
    vec![Found { source: Arc::from("0"), network: Some(Arc::from("main")), lists }]
}

const CONFIG: &str = r#"
    [defaults]
    interval = "7s"
    [[discovery]]
    files = ["nodes.json"]
    [[network]]
    name = "main"
    family = "evm"
    timeout = "3s"
    block_time = "2s"
    offline_after = "99s"
    labels = { team = "core", zone = "a" }
    [[network.node]]
    name = "static"
    url = "http://127.0.0.1:1"
    weight = 3
    [[network]]
    name = "other"
    family = "evm"
    "#;

fn merged(body: &str) -> (Config, Vec<Rejection>) {
    load(CONFIG).unwrap().with_found(&found(body))
}

/// `network/node` of every node, in order.
fn names(config: &Config) -> Vec<String> {
    config.chain.nodes.iter().map(|node| node.name.to_string()).collect()
}

#[test]
fn a_found_node_is_what_it_would_be_in_the_configuration() {
    let body = r#"[{"targets":["127.0.0.1:2"],"labels":{
        "node":"n2","role":"validator","weight":"5","zone":"b","__ws__":"ws://127.0.0.1:3","__meta_x":"y",
        "__metrics_url__":"http://127.0.0.1:6060/metrics"}}]"#;
    let (merged, rejections) = merged(body);
    assert_eq!(rejections, []);
    let node = r#"
        [[network.node]]
        name = "n2"
        url = "http://127.0.0.1:2"
        ws = "ws://127.0.0.1:3"
        role = "validator"
        weight = 5
        labels = { zone = "b" }
        metrics = "http://127.0.0.1:6060/metrics"
        [[network]]
        name = "other""#;
    let written = load(&CONFIG.replacen("[[network]]\n    name = \"other\"", node.trim_start(), 1)).unwrap();
    assert_eq!(merged.engine, written.engine);
    assert_eq!(merged.chain, written.chain);
}

#[test]
fn nodes_of_a_network_stand_together_whatever_the_order_they_were_found_in() {
    let groups = [
        r#"{"targets":["c:1","a:1"],"labels":{"network":"other"}}"#,
        r#"{"targets":["z:1","b:1"]}"#,
        r#"{"targets":["m:1"],"labels":{"node":"again","network":"other"}}"#,
        r#"{"targets":["m:2"],"labels":{"node":"again","network":"other"}}"#,
    ];
    let wanted = ["main/static", "main/b:1", "main/z:1", "other/a:1", "other/again", "other/c:1"];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
        let (merged, rejections) = merged(&format!("[{}]", order.map(|i| groups[i]).join(",")));
        assert_eq!(names(&merged), wanted);
        assert_eq!(merged.chain.nodes[4].rpc.url(), "http://m:1");
        assert_eq!(rejections.len(), 1);
        for (i, (node, target)) in merged.engine.nodes.iter().zip(&merged.chain.nodes).enumerate() {
            assert_eq!(target.node.index(), i);
            assert_eq!(*target.name, format!("{}/{}", merged.engine.networks[node.network.index()].name, node.name));
        }
    }
}

#[test]
fn a_wrong_target_is_left_out_alone_with_a_reason_and_no_secret() {
    let labelled = |labels: Value| json!({"targets": ["http://h:1/SECRET-KEY"], "labels": labels});
    for (group, reason) in [
        (json!({"targets": ["SECRET-KEY"], "labels": {"__scheme__": "ftp"}}), "__scheme__ is neither"),
        (json!({"targets": ["http://h:1/SECRET-KEY x"]}), "the address is neither"),
        (json!({"targets": ["https://user:SECRET-KEY@h"]}), "credentials do not belong into the URL"),
        (labelled(json!({"network": "nowhere"})), "there is no network of that name"),
        (labelled(json!({"node": " x"})), "the name is not usable"),
        (labelled(json!({"node": "x".repeat(65)})), "the name is not usable"),
        (labelled(json!({"role": "king"})), "the role is none of those there are"),
        (labelled(json!({"core": "yes"})), "core is neither true nor false"),
        (labelled(json!({"weight": "0"})), "the weight is not a number from 1"),
        (labelled(json!({"severity": "x"})), "a label has a name"),
        (labelled(json!({"a-b": "x"})), "a label has a name"),
        (labelled(json!({"rack": "x".repeat(129)})), "a label has a value"),
        (labelled((0..16).map(|n| (format!("l{n}"), json!("x"))).collect()), "more than 16 labels"),
        (labelled(json!({"node": "static"})), "a node of the configuration has this name"),
        (
            json!({"targets": ["127.0.0.1:1"], "labels": {"node": "twin"}}),
            "another node of this network has the same URL",
        ),
    ] {
        let (merged, rejections) =
            merged(&json!([{"targets": ["good:1"]}, group, {"targets": ["good:2"]}]).to_string());
        assert_eq!(names(&merged), ["main/static", "main/good:1", "main/good:2"], "{group}");
        let [rejection] = &rejections[..] else { panic!("{group}: {rejections:?}") };
        let said = rejection.to_string();
        assert!(said.starts_with("target 2 of nodes.json") && said.contains(reason), "{group}: {said}");
        assert!(!format!("{said} {rejection:?} {merged:?}").contains("SECRET"), "{said}");
    }
}

#[test]
fn sources_are_validated_with_the_rest_of_the_file() {
    for (source, wanted) in [
        ("", "`files` or `url` is missing in discovery"),
        ("files = [\"a.json\"]\nurl = \"http://h/\"", "a source has files or a url, not both"),
        ("files = []", "`files` has 0 elements"),
        ("files = [\"a.txt\"]", "the name of the file must end with .json, .yml or .yaml"),
        ("files = [\"*/a.json\"]", "a * may stand in the name of the file only"),
        ("files = [\"a.json\"]\nbearer_token = \"SECRET\"", "credentials are for a url"),
        ("url = \"ftp://SECRET\"", "the scheme must be one of http, https"),
        ("url = \"http://h/\"\nrefresh = \"10ms\"", "out of range"),
        ("url = \"http://h/\"\nnetwork = \"mian\"", "did you mean \"main\"?"),
        ("url = \"http://h/\"\nname = \"x\"\n[[discovery]]\nurl = \"http://i/\"\nname = \"x\"", "this name is taken"),
        ("url = \"http://h/\"\nname = \"1\"\n[[discovery]]\nurl = \"http://i/SECRET\"", "this name is taken"),
        ("files = [\"a.json\"]\n[[discovery]]\nurl = \"http://i/\"\nname = \"0\"", "this name is taken"),
        ("url = \"http://h/\"\nrefesh = \"1m\"", "did you mean `refresh`?"),
    ] {
        let text = format!("[[discovery]]\n{source}\n[[network]]\nname = \"main\"\nfamily = \"evm\"\n");
        let problems = load(&text).unwrap_err();
        assert!(problems.contains(wanted) && !problems.contains("SECRET"), "{source}: {problems}");
    }
    let lonely = load("[[network]]\nname = \"main\"\nfamily = \"evm\"\n").unwrap_err();
    assert!(lonely.contains("the network has no node"), "{lonely}");
}

/// A directory of one test; it goes when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("haltwatch-found-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<str>) {
        let (new, path) = (self.0.join("new"), self.0.join(name));
        fs::write(&new, text.as_ref()).unwrap();
        fs::rename(new, path).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Running {
    daemon: Daemon,
    own: OwnMetrics,
}

impl Running {
    fn start(directory: &Path, discovery: &str) -> Self {
        Self::start_text(directory, &whole(discovery))
    }

    fn start_text(directory: &Path, text: &str) -> Self {
        let file = directory.join("config.toml");
        fs::write(&file, text).unwrap();
        let own = OwnMetrics::new();
        let options = Options {
            source: Source::File(file),
            web: Overrides::default(),
            own: own.clone(),
            storage: Some(directory.join("state")),
            reload_pause: Duration::from_millis(10),
            systemd: Systemd::default(),
        };
        Self { daemon: Daemon::start(options).unwrap(), own }
    }

    /// Names of the nodes in the latest picture.
    fn nodes(&self) -> Vec<String> {
        let snapshot = self.daemon.snapshot();
        let nodes = snapshot.as_ref().as_ref().map(|snapshot| snapshot.settings.nodes.as_slice()).unwrap_or_default();
        nodes.iter().map(|node| node.name.to_string()).collect()
    }

    async fn watches(&self, wanted: &[&str]) {
        eventually(&format!("{wanted:?} are watched"), || self.nodes() == wanted).await;
    }

    fn targets(&self) -> (i64, i64) {
        let value = |gauge: &prometheus::IntGaugeVec| gauge.with_label_values(&["sd"]).get();
        (value(&self.own.discovery.targets), value(&self.own.discovery.rejected_targets))
    }

    fn failures(&self) -> u64 {
        self.own.discovery.refresh_failures.with_label_values(&["sd"]).get()
    }
}

/// Status and body of one GET.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let endpoint = Endpoint::parse(&format!("http://{address}{path}"), "http").unwrap();
    let request = Request { method: http::Method::GET, path: String::new(), body: bytes::Bytes::new() };
    let limits = Limits { deadline: PATIENCE, body: 1 << 20 };
    let response = Client::new(endpoint).exchange(request, limits).await.unwrap();
    (response.status.as_u16(), String::from_utf8(response.body.to_vec()).unwrap())
}

fn whole(discovery: &str) -> String {
    format!(
        "[web]\nlisten = [\"127.0.0.1:0\"]\n[[discovery]]\nname = \"sd\"\nnetwork = \"main\"\n{discovery}\n\
         [[network]]\nname = \"main\"\nfamily = \"evm\"\ninterval = \"100ms\"\n"
    )
}

async fn eventually(what: &str, probe: impl Fn() -> bool) {
    let watch = Clock.stopwatch();
    while !probe() {
        assert!(watch.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A list of nodes called as given, all at the address of `node`.
fn list(node: &ScriptedNode, names: &[&str]) -> String {
    let group = |name: &&str| {
        let path = format!("/{name}");
        json!({"targets": [node.address().to_string()], "labels": {"node": name, "__rpc_path__": path}})
    };
    names.iter().map(group).collect::<Value>().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_followed_and_half_a_file_takes_no_node_away() {
    let (node, directory) = (ScriptedNode::start(healthy(7)).await, Directory::new());
    directory.write("a.json", list(&node, &["a"]));
    let running = Running::start(&directory.0, "files = [\"*.json\", \"more.yaml\"]");
    running.watches(&["a"]).await;
    eventually("it is polled", || !node.asked().is_empty()).await;
    assert_eq!(running.failures(), 1, "more.yaml is not there");
    directory.write("more.yaml", format!("- targets: [\"{}\"]\n  labels: {{node: c}}\n", node.address()));
    directory.write("a.json", list(&node, &["a", "b"]));
    running.watches(&["a", "b", "c"]).await;
    assert_eq!(running.targets(), (3, 0));
    directory.write("a.json", "[{\"targets\": [\"127.0");
    eventually("the broken file is noticed", || running.failures() == 2).await;
    assert_eq!(running.nodes(), ["a", "b", "c"]);
    fs::remove_file(directory.0.join("a.json")).unwrap();
    running.watches(&["c"]).await;
    assert!(running.daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_followed_and_its_failures_take_no_node_away() {
    let (node, server) = (ScriptedNode::start(healthy(7)).await, ScriptedNode::always(Reply::Close).await);
    let body = list(&node, &["a", "b"]);
    server.rewrite(move |_| Reply::json(&body));
    let directory = Directory::new();
    let keys = format!("url = \"{}/nodes?k=v\"\nrefresh = \"1s\"\nbearer_token = \"token\"", server.url());
    let running = Running::start(&directory.0, &keys);
    running.watches(&["a", "b"]).await;
    let asked = server.asked()[0].head.to_ascii_lowercase();
    for wanted in
        ["get /nodes?k=v http/1.1", "x-prometheus-refresh-interval-seconds: 1\r", "authorization: bearer token"]
    {
        assert!(asked.contains(wanted), "{asked}");
    }
    let html = Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\n[]".to_vec());
    for reply in [Reply::Close, Reply::status(500, "Oops", "", "[]"), html, Reply::json("no list"), Reply::json("null")]
    {
        let before = running.failures();
        server.rewrite(move |_| reply.clone());
        eventually("the failure is counted", || before < running.failures()).await;
        assert_eq!((running.nodes().len(), running.targets()), (2, (2, 0)));
    }
    let body = list(&node, &["a", "c"]).replace("\"c\"", "\"c\",\"role\":\"king\"");
    server.rewrite(move |_| Reply::json(&body));
    running.watches(&["a"]).await;
    assert_eq!(running.targets(), (2, 1));
    server.rewrite(|_| Reply::json("[]"));
    running.watches(&[]).await;
    assert_eq!(running.targets(), (0, 0));
    for path in ["/", "/metrics", "/api/v1/networks", "/api/v1/nodes", "/api/v1/explain?network=main", "/api/v1/rules"]
    {
        let (status, _) = get(running.daemon.addresses()[0], path).await;
        assert_eq!(status, 200, "{path} of a network without nodes");
    }
    assert_eq!(running.own.discovery.last_refresh_successful.with_label_values(&["sd"]).get(), 1);
    assert!(running.daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_list_survives_a_restart_without_the_server() {
    let (node, directory) = (ScriptedNode::start(healthy(7)).await, Directory::new());
    let server = ScriptedNode::always(Reply::json(list(&node, &["a", "b"]))).await;
    let keys = format!("url = \"{}\"\nrefresh = \"1s\"", server.url());
    let running = Running::start(&directory.0, &keys);
    running.watches(&["a", "b"]).await;
    let kept = directory.0.join("state/discovery.json");
    eventually("it is written down", || kept.exists()).await;
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(running.daemon.stop().await);
    drop(server);
    let running = Running::start(&directory.0, &keys);
    running.watches(&["a", "b"]).await;
    eventually("the server is found dead", || 0 < running.failures()).await;
    assert_eq!((running.nodes().len(), running.targets()), (2, (2, 0)));
    assert!(running.daemon.stop().await);
    fs::write(&kept, "broken").unwrap();
    let running = Running::start(&directory.0, &keys);
    eventually("the server is found dead", || 0 < running.failures()).await;
    assert_eq!(running.nodes(), [""; 0]);
    assert!(running.daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_leaves_sources_alone_that_did_not_change() {
    let (node, directory) = (ScriptedNode::start(healthy(7)).await, Directory::new());
    let server = ScriptedNode::always(Reply::json(list(&node, &["a"]))).await;
    let keys = format!("url = \"{}\"\nrefresh = \"1h\"", server.url());
    let running = Running::start(&directory.0, &keys);
    running.watches(&["a"]).await;
    let file = directory.0.join("config.toml");
    fs::write(&file, whole(&keys).replace("interval = \"100ms\"", "interval = \"200ms\"")).unwrap();
    running.daemon.reload().await.unwrap();
    assert_eq!((running.nodes(), server.asked().len()), (vec!["a".to_owned()], 1));
    let silent = ScriptedNode::always(Reply::Close).await;
    fs::write(&file, whole(&keys.replace(&server.url(), &silent.url()))).unwrap();
    running.daemon.reload().await.unwrap();
    eventually("the other server is asked", || !silent.asked().is_empty()).await;
    assert_eq!(running.nodes(), ["a"], "until the other server has answered");
    let other = ScriptedNode::always(Reply::json(list(&node, &["b"]))).await;
    fs::write(&file, whole(&keys.replace(&server.url(), &other.url()))).unwrap();
    running.daemon.reload().await.unwrap();
    running.watches(&["b"]).await;
    assert_eq!(server.asked().len(), 1);
    fs::write(&file, without_discovery(&node)).unwrap();
    running.daemon.reload().await.unwrap();
    running.watches(&["s"]).await;
    let mut gathered = running.own.registry.gather().into_iter();
    assert!(!gathered.any(|family| family.name().starts_with("haltwatch_discovery")), "no series of what is gone");
    assert!(running.daemon.stop().await);
}

/// A configuration without sources of nodes and with a node of its own.
fn without_discovery(node: &ScriptedNode) -> String {
    format!(
        "[web]\nlisten = [\"127.0.0.1:0\"]\n[[network]]\nname = \"main\"\nfamily = \"evm\"\ninterval = \"100ms\"\n\
         [[network.node]]\nname = \"s\"\nurl = \"{}\"\n",
        node.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_leaves_the_sources_and_what_they_list() {
    let (node, directory) = (ScriptedNode::start(healthy(7)).await, Directory::new());
    let server = ScriptedNode::always(Reply::json(list(&node, &["a"]))).await;
    let running = Running::start(&directory.0, &format!("url = \"{}\"\nrefresh = \"1h\"", server.url()));
    running.watches(&["a"]).await;
    server.rewrite(|_| Reply::Close);
    let taken = without_discovery(&node).replace("127.0.0.1:0", &node.address().to_string());
    fs::write(directory.0.join("config.toml"), taken).unwrap();
    assert!(running.daemon.reload().await.unwrap_err().contains("cannot listen"));
    assert_eq!((running.nodes(), running.targets()), (vec!["a".to_owned()], (1, 0)));
    assert_eq!(server.asked().len(), 1, "the source goes on as if nothing had been asked");
    assert!(running.daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_taken_over_although_the_web_configuration_is_being_written() {
    let (node, directory) = (ScriptedNode::start(healthy(7)).await, Directory::new());
    let server = ScriptedNode::always(Reply::json(list(&node, &["a"]))).await;
    directory.write("web.yml", "{}");
    let keys = format!("url = \"{}\"\nrefresh = \"1s\"", server.url());
    let web = format!("[web]\nconfig_file = \"{}\"\n", directory.0.join("web.yml").display());
    let running = Running::start_text(&directory.0, &whole(&keys).replace("[web]\n", &web));
    running.watches(&["a"]).await;
    directory.write("web.yml", "tls_server_config: {cert_file: gone, key_file: gone}");
    let body = list(&node, &["a", "b"]);
    server.rewrite(move |_| Reply::json(&body));
    running.watches(&["a", "b"]).await;
    assert!(running.daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_kept_under_the_name_its_source_has_now_and_is_not_taken_up_again_later() {
    let (node, directory) = (ScriptedNode::start(healthy(7)).await, Directory::new());
    let server = ScriptedNode::always(Reply::json(list(&node, &["a"]))).await;
    let (file, kept) = (directory.0.join("config.toml"), directory.0.join("state/discovery.json"));
    let keys = format!("url = \"{}\"\nrefresh = \"1h\"", server.url());
    let running = Running::start(&directory.0, &keys);
    running.watches(&["a"]).await;
    let renamed = whole(&keys).replace("\"sd\"", "\"inventory\"");
    fs::write(&file, &renamed).unwrap();
    running.daemon.reload().await.unwrap();
    assert!(fs::read_to_string(kept).unwrap().contains("inventory"));
    assert!(running.daemon.stop().await);
    server.rewrite(|_| Reply::Close);
    let running = Running::start_text(&directory.0, &renamed);
    running.watches(&["a"]).await;
    for (text, wanted) in [(without_discovery(&node), vec!["s"]), (renamed, vec![])] {
        fs::write(&file, text).unwrap();
        running.daemon.reload().await.unwrap();
        assert_eq!(running.nodes(), wanted, "what was listed before it was taken out may be long gone");
    }
    assert!(running.daemon.stop().await);
}

/// The sample whose first node shows metrics of its own.
fn with_metrics() -> Snapshot {
    let mut snapshot = sample::snapshot();
    let mut settings = (*snapshot.settings).clone();
    settings.nodes[0].metrics = Some(MetricsUrl::parse("https://10.0.0.1:6060/debug/metrics").unwrap());
    settings.nodes[0].labels.push(("zone".into(), "a".into()));
    snapshot.settings = Arc::new(settings);
    snapshot
}

#[tokio::test]
async fn prometheus_is_told_where_the_nodes_show_their_own_metrics() {
    let web = web::start(&web::settings(), Some(with_metrics()));
    let (status, body) = get(web.address, "/sd").await;
    let list: Value = serde_json::from_str(&body).unwrap();
    let settings = with_metrics().settings;
    let node = &settings.nodes[0];
    let mut labels = json!({
        "__scheme__": "https", "__metrics_path__": "/debug/metrics", "node": *node.name, "role": node.role.as_str(),
        "network": *settings.networks[node.network.index()].name,
    });
    for (name, value) in &node.labels {
        labels[&**name] = json!(**value);
    }
    assert_eq!((status, list), (200, json!([{"targets": ["10.0.0.1:6060"], "labels": labels}])));
    assert!(body.contains("\"zone\":\"a\""), "{body}");
}

#[tokio::test]
async fn prometheus_is_told_what_can_be_probed() {
    let web = web::start(&web::settings(), Some(sample::snapshot()));
    let (status, body) = get(web.address, "/sd/probe").await;
    let groups: Vec<Value> = serde_json::from_str(&body).unwrap();
    let settings = sample::snapshot().settings;
    assert_eq!((status, groups.len()), (200, settings.nodes.len()));
    for (group, node) in groups.iter().zip(&settings.nodes) {
        let network = &settings.networks[node.network.index()];
        assert_eq!(group["targets"], json!([format!("{}/{}", network.name, node.name)]));
        assert_eq!(group["labels"], json!({"family": *network.family, "network": *network.name, "node": *node.name}));
    }
}

#[tokio::test]
async fn a_list_is_empty_where_there_is_nothing_and_absent_where_nobody_knows() {
    let web = web::start(&web::settings(), Some(sample::snapshot()));
    assert_eq!(get(web.address, "/sd").await, (200, "[]".to_owned()));
    let unready = web::start(&web::settings(), None);
    assert_eq!(get(unready.address, "/sd").await.0, 503);
    assert_eq!(get(unready.address, "/sd/probe").await.0, 503);
}
