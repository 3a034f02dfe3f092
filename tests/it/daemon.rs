//! The whole daemon in this process, between scripted nodes and a scripted Alertmanager: what holds only for all parts
//! together.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use haltwatch::{
    app::{Daemon, Options},
    clock::Clock,
    config::Source,
    output::{http::Overrides, own::OwnMetrics, systemd::Systemd},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::scripted_node::{Reply, ScriptedNode, healthy};

/// What a test waits for at the most.
const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration file; it goes when dropped.
pub struct File(PathBuf);

impl File {
    pub fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("haltwatch-{}-{}.toml", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let file = Self(std::env::temp_dir().join(name));
        file.write(text);
        file
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }

    pub fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A directory of state; it goes when dropped.
pub struct Storage(pub PathBuf);

impl Storage {
    /// `name`: one that no other test has.
    pub fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("haltwatch-{name}-{}", std::process::id())))
    }

    /// Starts a daemon that keeps its state here.
    pub fn start(&self, file: &File) -> Daemon {
        Daemon::start(Options { storage: Some(self.0.clone()), ..options(file) }).unwrap()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn config(monitor: &str, alertmanager: &ScriptedNode, node: &str) -> String {
    let alertmanager = alertmanager.url();
    format!(
        r#"
        [monitor]
        name = "{monitor}"
        [web]
        listen = ["127.0.0.1:0"]
        [alertmanager]
        urls = ["{alertmanager}"]
        [[network]]
        name = "main"
        family = "evm"
        [[network.node]]
        name = "one"
        {node}
        "#
    )
}

pub fn start(file: &File) -> Daemon {
    Daemon::start(options(file)).unwrap()
}

/// A daemon that reloads as often as it is asked to.
pub fn options(file: &File) -> Options {
    let source = Source::File(file.0.clone());
    Options {
        source,
        web: Overrides::default(),
        own: OwnMetrics::new(),
        storage: None,
        reload_pause: Duration::ZERO,
        systemd: Systemd::default(),
    }
}

pub async fn alertmanager() -> ScriptedNode {
    ScriptedNode::start(|asked| Reply::json(if asked.head.starts_with("GET ") { r#"{"uptime":"today"}"# } else { "" }))
        .await
}

/// `monitor fires` or `monitor ends` for every Watchdog told to `peer`, in the order of arrival.
fn watchdogs(peer: &ScriptedNode) -> Vec<String> {
    let posts = peer.asked().into_iter().filter(|asked| asked.head.starts_with("POST "));
    let alerts = posts.flat_map(|asked| serde_json::from_slice::<Vec<Value>>(&asked.body).unwrap());
    let now = Clock.now().wall.to_string();
    let told = alerts.filter(|alert| alert["labels"]["alertname"] == "Watchdog").map(|alert| {
        let fires = now.as_str() < alert["endsAt"].as_str().unwrap();
        format!("{} {}", alert["labels"]["monitor"].as_str().unwrap(), if fires { "fires" } else { "ends" })
    });
    told.collect()
}

pub async fn eventually(what: &str, probe: impl Fn() -> bool) {
    let watch = Clock.stopwatch();
    while !probe() {
        assert!(watch.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_whose_labels_change_in_a_reload_ends_under_the_old_ones_and_goes_on_under_the_new() {
    let (node, peer) = (ScriptedNode::start(healthy(7)).await, alertmanager().await);
    let url = format!("url = \"{}\"", node.url());
    let file = File::new(&config("before", &peer, &url));
    let daemon = start(&file);
    eventually("the watchdog is announced", || watchdogs(&peer) == ["before fires"]).await;
    file.write(&config("after", &peer, &url));
    daemon.reload().await.unwrap();
    eventually("both are told", || {
        let told = watchdogs(&peer);
        told.contains(&"before ends".to_owned()) && told.contains(&"after fires".to_owned())
    })
    .await;
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_changes_no_node_leaves_the_polls_alone() {
    let (node, peer) = (ScriptedNode::start(healthy(7)).await, alertmanager().await);
    let file = File::new(&config("mon", &peer, &format!("url = \"{}\"\ninterval = \"1s\"", node.url())));
    let daemon = start(&file);
    let watch = Clock.stopwatch();
    while node.asked().len() < 4 {
        assert!(watch.elapsed() < PATIENCE, "{} polls", node.asked().len());
        daemon.reload().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(Duration::from_secs(2) < watch.elapsed(), "a reload calls for no poll: {:?}", watch.elapsed());
    assert_eq!(node.connections(), 1);
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_polled_once_an_hour_is_seen_soon_after_the_start() {
    let (node, peer) = (ScriptedNode::start(healthy(7)).await, alertmanager().await);
    let file = File::new(&config("mon", &peer, &format!("url = \"{}\"\ninterval = \"1h\"", node.url())));
    let daemon = start(&file);
    eventually("it is polled", || !node.asked().is_empty()).await;
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_is_over_within_ten_seconds_whoever_hangs() {
    let (node, peer) = (ScriptedNode::always(Reply::Hang).await, ScriptedNode::always(Reply::Hang).await);
    let node_lines = format!("url = \"{}\"\ntimeout = \"60s\"\ninterval = \"1s\"", node.url());
    let file = File::new(&config("mon", &peer, &node_lines).replace("[[network]]", "timeout = \"60s\"\n[[network]]"));
    let daemon = start(&file);
    let scrape = TcpStream::connect(daemon.addresses()[0]).await.unwrap();
    eventually("both are asked", || !node.asked().is_empty() && !peer.asked().is_empty()).await;
    let watch = Clock.stopwatch();
    daemon.stop().await;
    assert!(watch.elapsed() < Duration::from_secs(10), "{:?}", watch.elapsed());
    drop(scrape);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_and_a_good_one_after_it_counts() {
    let (node, peer) = (ScriptedNode::start(healthy(7)).await, alertmanager().await);
    let url = format!("url = \"{}\"\ninterval = \"100ms\"", node.url());
    let file = File::new(&config("mon", &peer, &url));
    let daemon = start(&file);
    eventually("it is polled", || !node.asked().is_empty()).await;
    file.write("[[network]");
    assert!(daemon.reload().await.is_err());
    let polls = node.asked().len();
    eventually("it is polled on", || polls + 2 < node.asked().len()).await;
    let other = ScriptedNode::start(healthy(9)).await;
    file.write(&config("mon", &peer, &format!("url = \"{}\"\ninterval = \"100ms\"", other.url())));
    daemon.reload().await.unwrap();
    eventually("the new one is polled", || !other.asked().is_empty()).await;
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_waits_for_no_node_whichever_are_dead() {
    let (peer, hanging) = (alertmanager().await, ScriptedNode::always(Reply::Hang).await);
    let broken = ScriptedNode::always(Reply::status(500, "Internal Server Error", "", "")).await;
    let node = |url: &str| format!("url = \"{url}\"\ntimeout = \"60s\"\ninterval = \"1s\"\n");
    let named = |name: &str, url: &str| format!("[[network.node]]\nname = \"{name}\"\n{}", node(url));
    let lines = [node(&hanging.url()), named("two", &broken.url()), named("three", "http://127.0.0.1:1")];
    let file = File::new(&config("mon", &peer, &lines.concat()));
    let daemon = start(&file);
    eventually("nodes are asked", || !hanging.asked().is_empty() && !broken.asked().is_empty()).await;
    let scrape = async {
        let mut stream = TcpStream::connect(daemon.addresses()[0]).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = tokio::time::timeout(PATIENCE, scrape).await.expect("the nodes take a minute, a scrape does not");
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("haltwatch_node_height{"), "{answer}");
    daemon.stop().await;
}
