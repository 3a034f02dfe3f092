//! Reloads of the whole daemon: what a new configuration concerns changes, nothing else notices.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use haltwatch::{
    app::{Daemon, Options, RELOAD_PAUSE},
    clock::Clock,
    engine::snapshot::Snapshot,
    output::{http::Overrides, systemd::Systemd},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    daemon::{File, alertmanager, eventually, options, start},
    scripted_node::{ScriptedNode, healthy},
    systemd::Manager,
};

/// A configuration in the making.
#[derive(Debug, Clone)]
struct Text {
    web: String,
    alertmanager: String,
    defaults: String,
    network: String,
    /// Name and lines of each node, in their order.
    nodes: Vec<(String, String)>,
}

impl Text {
    fn new() -> Self {
        Self {
            web: "listen = [\"127.0.0.1:0\"]".to_owned(),
            alertmanager: String::new(),
            defaults: "interval = \"100ms\"\noffline_after = \"300ms\"\noffline_attempts = 1".to_owned(),
            network: String::new(),
            nodes: Vec::new(),
        }
    }

    fn node(mut self, name: &str, url: &str) -> Self {
        self.nodes.push((name.to_owned(), format!("url = \"{url}\"")));
        self
    }

    fn peers(self, peers: &[&ScriptedNode]) -> Self {
        let urls: Vec<_> = peers.iter().map(|peer| peer.url()).collect();
        Self { alertmanager: format!("[alertmanager]\nurls = {urls:?}\n"), ..self }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "[monitor]\nname = \"mon\"\n[web]\n{}\n{}\n[defaults]\n{}\n[[network]]\nname = \"main\"\nfamily = \"evm\"\n{}\n",
            self.web, self.alertmanager, self.defaults, self.network
        );
        for (name, lines) in &self.nodes {
            let _ = write!(text, "[[network.node]]\nname = \"{name}\"\n{lines}\n");
        }
        text
    }
}

/// An address on which nobody listens.
fn deaf_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn picture<T>(daemon: &Daemon, look: impl FnOnce(&Snapshot) -> T) -> Option<T> {
    daemon.snapshot().as_ref().as_ref().map(look)
}

/// The height of every node that has told one, by name.
fn heights(daemon: &Daemon) -> BTreeMap<String, u64> {
    let heights = picture(daemon, |snapshot| {
        let known = snapshot.settings.nodes.iter().zip(&snapshot.nodes);
        known.filter_map(|(node, view)| Some((node.name.to_string(), view.facts.as_ref()?.head.height.0))).collect()
    });
    heights.unwrap_or_default()
}

/// What an Alertmanager was told of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    subject: String,
    labels: BTreeMap<String, String>,
    starts_at: String,
    is_firing: bool,
}

/// Everything told of alerts called `name`, in the order of arrival, a word that is only repeated once.
fn told(peer: &ScriptedNode, name: &str) -> Vec<Told> {
    let posts = peer.asked().into_iter().filter(|asked| asked.head.starts_with("POST "));
    let alerts = posts.flat_map(|asked| serde_json::from_slice::<Vec<Value>>(&asked.body).unwrap());
    let now = Clock.now().wall.to_string();
    let mut told = Vec::new();
    for alert in alerts.filter(|alert| alert["labels"]["alertname"] == name) {
        let labels: BTreeMap<String, String> = serde_json::from_value(alert["labels"].clone()).unwrap();
        let word = Told {
            subject: labels.get("node").or(labels.get("network")).cloned().unwrap_or_default(),
            starts_at: alert["startsAt"].as_str().unwrap().to_owned(),
            is_firing: now.as_str() < alert["endsAt"].as_str().unwrap(),
            labels,
        };
        if !told.contains(&word) {
            told.push(word);
        }
    }
    told
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Names and labels of all series.
async fn series(daemon: &Daemon) -> BTreeSet<String> {
    let scrape = ask(daemon.addresses()[0], "/metrics").await;
    let body = scrape.split_once("\r\n\r\n").unwrap().1;
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

/// The value of a metric without labels, as it is written.
async fn value(daemon: &Daemon, metric: &str) -> String {
    let scrape = ask(daemon.addresses()[0], "/metrics").await;
    let line = scrape.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')).map(str::to_owned);
    line.unwrap_or_else(|| panic!("{metric} is missing"))
}

async fn reload(daemon: &Daemon, file: &File, text: &Text) {
    file.write(&text.text());
    daemon.reload().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_did_not_change_keeps_its_connection_whatever_happens_around_it() {
    let nodes = [1, 2, 3, 4].map(|height| ScriptedNode::start(healthy(height)));
    let [kept, moved, removed, added] = futures_of(nodes).await;
    let before = Text::new().node("kept", &kept.url()).node("changed", &deaf_url()).node("removed", &removed.url());
    let file = File::new(&before.text());
    let daemon = start(&file);
    eventually("all are polled", || heights(&daemon).len() == 2).await;

    let after = Text::new().node("added", &added.url()).node("changed", &moved.url()).node("kept", &kept.url());
    reload(&daemon, &file, &after).await;
    let (polls, last) = (kept.asked().len(), removed.asked().len());
    eventually("the new ones are polled", || heights(&daemon).len() == 3).await;
    eventually("the kept one is polled on", || polls + 5 < kept.asked().len()).await;
    let wanted = [("added", 4), ("changed", 2), ("kept", 1)].map(|(name, height)| (name.to_owned(), height));
    assert_eq!(heights(&daemon), wanted.into());
    assert_eq!(kept.connections(), 1, "it is not dialed again");
    assert!(removed.asked().len() <= last + 1, "at most the poll that was under way");
    assert!(daemon.stop().await);
}

async fn futures_of<const N: usize>(nodes: [impl Future<Output = ScriptedNode>; N]) -> [ScriptedNode; N] {
    let mut started = Vec::new();
    for node in nodes {
        started.push(node.await);
    }
    started.try_into().unwrap_or_else(|_| panic!("as many as there were"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_of_the_nodes_nothing_is_attributed_to_another() {
    const NODES: u64 = 12;
    let mut nodes = Vec::new();
    for height in 0..NODES {
        nodes.push(ScriptedNode::start(healthy(1000 + height)).await);
    }
    let mut text = Text::new();
    for (n, node) in nodes.iter().enumerate() {
        text = text.node(&format!("{}", 1000 + n), &node.url());
    }
    let file = File::new(&text.text());
    let daemon = start(&file);
    eventually("all are polled", || heights(&daemon).len() == nodes.len()).await;
    for turn in 0..60 {
        text.nodes.rotate_left(1 + turn % 5);
        reload(&daemon, &file, &text).await;
        tokio::time::sleep(Duration::from_millis(7)).await;
        let heights = heights(&daemon);
        assert_eq!(heights.len(), nodes.len(), "none is forgotten");
        assert!(heights.iter().all(|(name, height)| *name == height.to_string()), "{heights:?}");
    }
    assert!(nodes.iter().all(|node| node.connections() == 1));
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_lives_on_with_its_node_and_ends_with_its_removal_or_renaming() {
    let (node, peer, url) = (ScriptedNode::start(healthy(7)).await, alertmanager().await, deaf_url());
    let text = Text::new().peers(&[&peer]).node("good", &node.url()).node("bad", &url);
    let file = File::new(&text.text());
    let daemon = start(&file);
    eventually("it fires", || !told(&peer, "NodeOffline").is_empty()).await;
    let first = told(&peer, "NodeOffline").remove(0);

    let mut turned = text.clone();
    turned.nodes.rotate_left(1);
    turned.nodes[1].1.push_str("\nrole = \"archive\"");
    reload(&daemon, &file, &turned).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(told(&peer, "NodeOffline"), std::slice::from_ref(&first), "it goes on as it was");

    let renamed = Text::new().peers(&[&peer]).node("other", &url).node("good", &node.url());
    reload(&daemon, &file, &renamed).await;
    eventually("the old name ends and the new one fires", || told(&peer, "NodeOffline").len() == 3).await;
    let words = told(&peer, "NodeOffline");
    assert!(words.contains(&Told { is_firing: false, ..first.clone() }), "{words:?}");
    let other = words.iter().find(|word| word.subject == "other").unwrap();
    assert!(other.is_firing && first.starts_at < other.starts_at, "{words:?}");

    reload(&daemon, &file, &Text::new().peers(&[&peer]).node("good", &node.url())).await;
    eventually("it ends with its node", || told(&peer, "NodeOffline").len() == 4).await;
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_is_added_is_told_what_fires_and_one_that_is_removed_leaves_no_series() {
    let (node, old, new) = (ScriptedNode::start(healthy(7)).await, alertmanager().await, alertmanager().await);
    let text = Text::new().node("good", &node.url()).node("bad", &deaf_url());
    let file = File::new(&text.text());
    let daemon = start(&file);
    let fires = || picture(&daemon, |snapshot| snapshot.alerts.iter().any(|alert| alert.fired_at.is_some()));
    eventually("something fires with nobody to tell", || fires() == Some(true)).await;

    reload(&daemon, &file, &text.clone().peers(&[&old])).await;
    eventually("the first is told", || told(&old, "NodeOffline").len() == 1).await;
    reload(&daemon, &file, &text.clone().peers(&[&new, &old])).await;
    eventually("the second is told the same", || told(&new, "NodeOffline") == told(&old, "NodeOffline")).await;
    assert_eq!(told(&new, "Watchdog").len(), 1);
    let posts = old.asked().len();
    reload(&daemon, &file, &text.clone().peers(&[&new])).await;
    let left = series(&daemon).await;
    assert!(left.iter().all(|series| !series.contains(&old.url())), "{left:?}");
    assert!(left.iter().any(|series| series.contains(&new.url())));
    assert_eq!(old.asked().len(), posts, "it has nothing left to hear, least of all that all is over");

    reload(&daemon, &file, &text).await;
    assert!(series(&daemon).await.iter().all(|series| !series.contains("alertmanager=")));
    let mut text = text.peers(&[&old]);
    text.web.push_str("\nrunbook_url = \"https://wiki.example.org/{alertname}\"");
    reload(&daemon, &file, &text).await;
    let has_runbook = |body: &[u8]| String::from_utf8_lossy(body).contains("https://wiki.example.org/NodeOffline");
    let hears = || old.asked()[posts..].iter().any(|asked| has_runbook(&asked.body));
    eventually("it is told again, with the runbook of now", hears).await;
    assert_eq!(told(&old, "NodeOffline").len(), 1, "as the same alert");
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_external_labels_end_what_was_announced_and_announce_it_anew() {
    let (node, peer) = (ScriptedNode::start(healthy(7)).await, alertmanager().await);
    let mut text = Text::new().peers(&[&peer]).node("good", &node.url()).node("bad", &deaf_url());
    text.alertmanager.push_str("external_labels = { site = \"a\" }\n");
    let file = File::new(&text.text());
    let daemon = start(&file);
    eventually("it fires", || told(&peer, "NodeOffline").len() == 1).await;
    let first = told(&peer, "NodeOffline").remove(0);
    // Both kinds of labels at once: no third identity may show up in between.
    text.alertmanager = text.alertmanager.replace("site = \"a\"", "site = \"b\"");
    text.network = "labels = { team = \"x\" }".to_owned();
    reload(&daemon, &file, &text).await;
    eventually("both are told", || told(&peer, "NodeOffline").len() == 3).await;
    let words = told(&peer, "NodeOffline");
    assert!(words.contains(&Told { is_firing: false, ..first.clone() }), "{words:?}");
    let mut labels = first.labels.clone();
    labels.extend([("site", "b"), ("team", "x")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(words.contains(&Told { labels, ..first }), "the same beginning under the new labels: {words:?}");
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_come_and_go_without_disturbing_the_others() {
    let node = ScriptedNode::start(healthy(7)).await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = free.local_addr().unwrap();
    drop(free);
    let mut text = Text::new().node("good", &node.url());
    let file = File::new(&text.text());
    let daemon = start(&file);
    let first = daemon.addresses()[0];
    let mut guest = TcpStream::connect(first).await.unwrap();

    text.web = format!("listen = [\"{second}\", \"127.0.0.1:0\"]\nenable_lifecycle = true");
    reload(&daemon, &file, &text).await;
    assert_eq!(daemon.addresses(), [second, first]);
    assert!(ask(second, "/-/healthy").await.contains("200 OK"));
    assert!(ask(first, "/-/healthy").await.contains("200 OK"));
    let reload_over_http = "POST /-/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    guest.write_all(reload_over_http.as_bytes()).await.unwrap();
    let mut answer = String::new();
    guest.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "allowed on a connection from before: {answer}");

    text.web = "listen = [\"127.0.0.1:0\"]".to_owned();
    reload(&daemon, &file, &text).await;
    assert_eq!(daemon.addresses(), [first]);
    eventually("the removed one is closed", || std::net::TcpStream::connect(second).is_err()).await;
    assert!(ask(first, "/-/healthy").await.contains("200 OK"));
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_had_leaves_everything_as_it_was() {
    let (node, other) = (ScriptedNode::start(healthy(7)).await, ScriptedNode::start(healthy(9)).await);
    let text = Text::new().node("good", &node.url());
    let file = File::new(&text.text());
    let daemon = start(&file);
    let (address, hash) = (daemon.addresses(), value(&daemon, "haltwatch_config_hash").await);
    let since = value(&daemon, "haltwatch_config_last_reload_success_timestamp_seconds").await;
    eventually("it is polled", || !node.asked().is_empty()).await;

    let mut taken = text.clone().node("other", &other.url());
    taken.web = format!("listen = [\"{}\"]", node.address());
    for bad in [taken.text(), "[[network]".to_owned()] {
        file.write(&bad);
        let said = daemon.reload().await.unwrap_err();
        assert!(said.contains(&format!("cannot listen on {}", node.address())) || said.contains(":1:"), "{said}");
        assert_eq!(daemon.addresses(), address);
        assert_eq!(value(&daemon, "haltwatch_config_last_reload_successful").await, "0");
        assert_eq!(value(&daemon, "haltwatch_config_last_reload_success_timestamp_seconds").await, since);
        assert_eq!(value(&daemon, "haltwatch_config_hash").await, hash);
    }
    assert_eq!(other.asked().len(), 0);
    reload(&daemon, &file, &text.node("other", &other.url())).await;
    assert_eq!(value(&daemon, "haltwatch_config_last_reload_successful").await, "1");
    assert_ne!(value(&daemon, "haltwatch_config_hash").await, hash);
    eventually("the new one is polled", || !other.asked().is_empty()).await;
    assert_eq!(node.connections(), 1);
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_our_own_socket_is_in_the_way_of_is_told_as_such() {
    let node = ScriptedNode::start(healthy(7)).await;
    let mut text = Text::new().node("good", &node.url());
    let file = File::new(&text.text());
    let daemon = start(&file);
    let address = daemon.addresses()[0];
    text.web = format!("listen = [\"0.0.0.0:{}\"]", address.port());
    file.write(&text.text());
    let said = daemon.reload().await.unwrap_err();
    assert!(said.contains(&format!("haltwatch itself listens on {address}")), "{said}");
    assert_eq!(daemon.addresses(), [address]);
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_says_stays_in_force() {
    let node = ScriptedNode::start(healthy(7)).await;
    let mut text = Text::new().node("good", &node.url());
    let file = File::new(&text.text());
    let listen = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let web = Overrides { listen, lifecycle: true, ..Overrides::default() };
    let daemon = Daemon::start(Options { web, ..options(&file) }).unwrap();
    let addresses = daemon.addresses();
    text.web = format!("listen = [\"{}\"]\nenable_lifecycle = false", node.address());
    reload(&daemon, &file, &text).await;
    assert_eq!((daemon.addresses(), addresses.len()), (addresses, 2));
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_in_a_second_are_a_few_reloads_and_the_last_file_counts() {
    let (node, last) = (ScriptedNode::start(healthy(7)).await, ScriptedNode::start(healthy(9)).await);
    let manager = Manager::listen("storm");
    let text = Text::new().node("good", &node.url());
    let file = File::new(&text.text());
    let systemd = Systemd::connect(&manager.environment(None));
    let daemon = Daemon::start(Options { systemd, reload_pause: RELOAD_PAUSE, ..options(&file) }).unwrap();
    eventually("it is polled", || !node.asked().is_empty()).await;
    let (mut heard, watch) = (Vec::new(), Clock.stopwatch());
    for n in 0..1000 {
        daemon.ask_reload();
        if n == 998 {
            file.write(&text.clone().node("last", &last.url()).text());
        }
        // The queue of the socket is short.
        heard.extend(std::iter::from_fn(|| manager.may_hear()));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    eventually("the last file is in force", || heights(&daemon).len() == 2).await;
    let storm = watch.elapsed();
    assert_eq!(node.connections(), 1);
    // What was asked for last is covered by now.
    tokio::time::sleep(RELOAD_PAUSE * 3).await;
    assert!(daemon.stop().await);
    heard.extend(std::iter::from_fn(|| manager.may_hear()));
    let begun = heard.iter().filter(|message| message.starts_with("RELOADING=1\nMONOTONIC_USEC=")).count() as u128;
    assert!((2..=2 + storm.as_millis() / RELOAD_PAUSE.as_millis()).contains(&begun), "{storm:?}: {heard:?}");
    assert!(heard.chunks(2).all(|pair| pair[0].starts_with("RELOADING=1") && pair[1] == "READY=1"), "{heard:?}");
}

/// The fleet of the great test in its `turn`: every node but the first ones comes, goes, moves and is labelled anew.
fn fleet_in(turn: usize, urls: &[String], peer: &ScriptedNode) -> Text {
    let mut text = Text {
        // However busy the machine is, nothing is called slow.
        defaults: "interval = \"500ms\"\ntimeout = \"30s\"\nslow_latency = \"1h\"".to_owned(),
        network: "block_time = \"1s\"".to_owned(),
        ..Text::new().peers(&[peer])
    };
    for (n, url) in urls.iter().enumerate() {
        if n < 20 || turn == 0 || !(n + turn).is_multiple_of(7) {
            text = text.node(&format!("n{n}"), &format!("{url}/{n}"));
        }
    }
    let count = text.nodes.len();
    text.nodes.rotate_left(turn * 31 % count);
    if turn % 3 == 1 {
        text.nodes.iter_mut().step_by(5).for_each(|(_, lines)| lines.push_str("\nlabels = { team = \"x\" }"));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_under_load_lose_nothing_and_leave_nothing_behind() {
    const NODES: usize = 200;
    let node = ScriptedNode::start(healthy(7)).await;
    let peer = alertmanager().await;
    let urls = vec![node.url(); NODES];
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();

    let file = File::new(&fleet_in(0, &urls, &peer).text());
    let daemon = start(&file);
    eventually("all are polled", || heights(&daemon).len() == NODES).await;
    eventually("the halt is told", || told(&peer, "NetworkHalted").len() == 1).await;
    let halt = told(&peer, "NetworkHalted");
    let (dials, before) = (node.connections(), tasks());

    let mut new_since = 0;
    let mut known: BTreeSet<String> = fleet_in(0, &urls, &peer).nodes.into_iter().map(|(name, _)| name).collect();
    for turn in (1..100).chain([0]) {
        let text = fleet_in(turn, &urls, &peer);
        let names: BTreeSet<String> = text.nodes.iter().map(|(name, _)| name.clone()).collect();
        new_since += names.difference(&known).count();
        known = names;
        reload(&daemon, &file, &text).await;
        if turn % 4 == 0 {
            let scrape = ask(daemon.addresses()[0], "/metrics").await;
            assert!(scrape.contains("200 OK") && scrape.contains("haltwatch_network_halted"), "{scrape}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let kept = picture(&daemon, |snapshot| snapshot.nodes.iter().filter(|node| node.facts.is_some()).count());
        assert!(Some(20) <= kept, "those that stay are known all the time: {kept:?}");
    }
    eventually("all are polled", || heights(&daemon).len() == NODES).await;
    assert_eq!(told(&peer, "NetworkHalted"), halt, "announced once and never ended");
    assert!(node.connections() <= dials + new_since, "{} dials for {new_since} new nodes", node.connections() - dials);
    eventually("no task and no connection is left behind", || tasks() <= before).await;

    let reloaded = series(&daemon).await;
    assert!(daemon.stop().await);
    let fresh = start(&file);
    eventually("all are polled", || heights(&fresh).len() == NODES).await;
    eventually("the halt is told again", || told(&peer, "NetworkHalted").len() == 2).await;
    // The first scrape is not counted before it is answered.
    ask(fresh.addresses()[0], "/metrics").await;
    let wanted = series(&fresh).await;
    assert_eq!(reloaded.symmetric_difference(&wanted).collect::<Vec<_>>(), [""; 0], "as if it had just been started");
    assert!(fresh.stop().await);
}
