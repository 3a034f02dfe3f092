//! Nodes that are found, and nodes that others find through us: file and server lists that change, fail and come back,
//! beside a real Prometheus that reads the same lists and ours.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{DEVNET, DEVNET_CHAIN_ID};
use crate::{
    bench::Bench,
    haltwatch::{Config, Haltwatch, Node},
    harness::{http, metrics::Scrape, port, wait},
    prometheus::{Prometheus, with_jobs},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// The networks of the nodes that a file lists and of those that a server lists.
const FILED: &str = "filed";
const SERVED: &str = "served";

/// A server that answers every GET with one body.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Server {
    fn start(address: SocketAddr, kind: &'static str, body: &str) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let server = Self { address, stop: Arc::default() };
        let (body, stop) = (body.to_owned(), Arc::clone(&server.stop));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away in the middle is its own business.
                let _ = answer(stream, kind, &body);
            }
        });
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut stream: TcpStream, kind: &str, body: &str) -> Result<()> {
    let (mut asked, mut piece) = (Vec::new(), [0; 4096]);
    while http::find(&asked, b"\r\n\r\n").is_none() {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            length => asked.extend_from_slice(&piece[..length]),
        }
    }
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    Ok(stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?)
}

fn group(address: SocketAddr, name: &str) -> Value {
    let labels = json!({"__meta_datacenter": "x", "node": name, "rack": "r7", "role": "validator"});
    json!({"targets": [address.to_string()], "labels": labels})
}

fn write(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, file)?)
}

/// Where a file and a server list nodes, and the daemon's configuration for both.
struct Lists {
    file: PathBuf,
    server: SocketAddr,
}

impl Lists {
    fn config(&self) -> Config {
        let Self { file, server } = self;
        Config::default()
            .discovery(&format!("name = \"files\"\nfiles = [\"{}\"]\nnetwork = \"{FILED}\"", file.display()))
            .discovery(&format!(
                "name = \"http\"\nurl = \"http://{server}/nodes\"\nrefresh = \"1s\"\nnetwork = \"{SERVED}\""
            ))
            .network(FILED, Some(DEVNET_CHAIN_ID), "", &[])
            .network(SERVED, Some(DEVNET_CHAIN_ID), "", &[])
    }
}

/// Nodes appear and vanish with their lists; what cannot be read takes none away, not even over a restart.
pub fn nodes_come_and_go_with_the_lists_that_name_them(bench: &Bench) -> Result<String> {
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let (node, dead) = (anvil.address, port::free());
    let lists = Lists { file: bench.log("nodes").with_extension("json"), server: port::free() };
    write(&lists.file, &json!([group(node, "one")]).to_string())?;
    let server = Server::start(lists.server, "application/json", &json!([group(node, "three")]).to_string())?;
    let mut daemon = bench.haltwatch(&lists.config())?;
    is_up(&daemon, FILED, "one")?;
    is_up(&daemon, SERVED, "three")?;
    let info = daemon.scrape()?;
    ensure!(info.all("haltwatch_node_info", &[("node", "one"), ("rack", "r7")]).count() == 1, "the label rack is lost");

    let noticed = file_changes(&daemon, &lists.file, node, dead)?;
    let both = prometheus_agrees(bench, &lists, &daemon)?;

    drop(server);
    eventually(&daemon, "the death of the server is seen", |scrape| {
        scrape.value("haltwatch_discovery_last_refresh_successful", &[("discovery", "http")]) == Some(0.0)
    })?;
    is_up(&daemon, SERVED, "three")?;
    daemon.terminate(PATIENCE)?;
    drop(daemon);
    let kept = bench.log("haltwatch").with_extension("state").join("discovery.json");
    let mode = fs::metadata(&kept)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "the list is kept with mode {mode:o}");
    let begin = Instant::now();
    let daemon = bench.haltwatch(&lists.config())?;
    is_up(&daemon, SERVED, "three")?;
    let again = begin.elapsed();

    let _server = Server::start(lists.server, "application/json", "[]")?;
    eventually(&daemon, "an empty list takes its node away", |scrape| {
        scrape.value("haltwatch_discovery_targets", &[("discovery", "http")]) == Some(0.0)
            && scrape.all("haltwatch_node_up", &[("network", SERVED)]).count() == 0
    })?;
    Ok(format!(
        "a new node is seen {noticed:.1?} after its file has changed; {both}; \
         with the server dead it is up again {again:.1?} after a restart"
    ))
}

/// A node that is added appears, half a file changes nothing, a node that is removed vanishes.
fn file_changes(daemon: &Haltwatch, file: &Path, node: SocketAddr, dead: SocketAddr) -> Result<Duration> {
    let begin = Instant::now();
    let two = json!([group(node, "one"), group(dead, "two")]).to_string();
    write(file, &two)?;
    let shown = |scrape: &Scrape| scrape.all("haltwatch_node_up", &[("network", FILED)]).count();
    eventually(daemon, "the second node appears", |scrape| shown(scrape) == 2)?;
    let noticed = begin.elapsed();
    fs::write(file, &two[..two.len() / 2])?;
    eventually(daemon, "half a file is a failure", |scrape| {
        scrape.value("haltwatch_discovery_refresh_failures_total", &[("discovery", "files")]) == Some(1.0)
    })?;
    ensure!(shown(&daemon.scrape()?) == 2, "half a file took a node away");
    write(file, &json!([group(node, "one")]).to_string())?;
    eventually(daemon, "the second node vanishes", |scrape| shown(scrape) == 1)?;
    let left = daemon.scrape()?.0.iter().filter(|sample| sample.has(&[("node", "two")])).count();
    ensure!(left == 0, "{left} series of a node that is gone");
    Ok(noticed)
}

/// A real Prometheus that reads the same file and the same server finds the same targets.
fn prometheus_agrees(bench: &Bench, lists: &Lists, daemon: &Haltwatch) -> Result<String> {
    let Lists { file, server } = lists;
    let jobs = format!(
        "  - job_name: filed\n    file_sd_configs: [{{ files: ['{}'] }}]\n  - job_name: served\n    \
         http_sd_configs: [{{ url: 'http://{server}/nodes', refresh_interval: 1s }}]\n",
        file.display()
    );
    let prometheus = bench.prometheus_with(&with_jobs(&jobs))?;
    let label = |labels: &Value, name: &str| labels[name].as_str().unwrap_or_default().to_owned();
    let theirs = wait::eventually("Prometheus has read both lists", PATIENCE, || {
        let targets = prometheus.active()?;
        let found = targets.iter().map(|target| {
            let labels = &target["labels"];
            (label(labels, "job"), label(labels, "node"), label(labels, "rack"), label(labels, "role"))
        });
        let found: BTreeSet<_> = found.collect();
        Ok((found.len() == 2).then_some(found))
    })?;
    let answer = daemon.json("/api/v1/nodes")?;
    let nodes = answer["data"]["nodes"].as_array().context("no nodes")?;
    let ours = nodes
        .iter()
        .map(|node| (label(node, "network"), label(node, "node"), label(&node["labels"], "rack"), label(node, "role")));
    let ours: BTreeSet<_> = ours.collect();
    ensure!(ours == theirs, "Prometheus finds {theirs:?}, we find {ours:?}");
    Ok(format!("Prometheus finds the same {} targets", ours.len()))
}

/// A real Prometheus takes its targets from `/sd`, scrapes them where they are and labels them as we do; of `/sd/probe`
/// it makes requests to `/probe`, which tell who answers.
pub fn a_real_prometheus_scrapes_the_targets_we_list(bench: &Bench) -> Result<String> {
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let exporter = Server::start(port::free(), "text/plain; version=0.0.4", "stand_in_peers 7\n")?;
    let metrics =
        format!("metrics = \"http://{}/debug/metrics/prometheus\"\nlabels = {{ rack = \"r7\" }}", exporter.address);
    let nodes = [Node::validator("one", anvil.address).with(&metrics), Node::rpc("plain", port::free())];
    let daemon = bench.haltwatch(&Config::default().network(DEVNET, Some(DEVNET_CHAIN_ID), "", &nodes))?;
    let list = http::get(daemon.address, "/sd", &[])?.ok()?;
    ensure!(list.header("content-type") == Some("application/json"), "{list:?}");
    ensure!(!list.text()?.contains(&anvil.address.to_string()), "the address of the node is published");
    let address = daemon.address;
    let jobs = format!(
        "  - job_name: nodes\n    http_sd_configs: [{{ url: 'http://{address}/sd', refresh_interval: 1s }}]\n  \
         - job_name: probes\n    metrics_path: /probe\n    \
         http_sd_configs: [{{ url: 'http://{address}/sd/probe', refresh_interval: 1s }}]\n    relabel_configs:\n    \
         - {{ source_labels: [__address__], target_label: __param_target }}\n    \
         - {{ source_labels: [__param_target], target_label: instance }}\n    \
         - {{ target_label: __address__, replacement: '{address}' }}\n"
    );
    let prometheus = bench.prometheus_with(&with_jobs(&jobs))?;
    let labels = format!("network=\"{DEVNET}\",node=\"one\",role=\"validator\",rack=\"r7\",job=\"nodes\"");
    wait::eventually("the stand-in is scraped", PATIENCE, || {
        let found = prometheus.query(&format!("stand_in_peers{{{labels}}}"))?;
        Ok(found.first().is_some_and(|(_, value)| (*value - 7.0).abs() < f64::EPSILON).then_some(()))
    })?;
    let urls = scraped(&prometheus)?;
    let wanted = [
        format!("http://{address}/probe?target={DEVNET}%2Fone"),
        format!("http://{address}/probe?target={DEVNET}%2Fplain"),
        format!("http://{}/debug/metrics/prometheus", exporter.address),
    ];
    ensure!(urls == BTreeSet::from(wanted), "Prometheus scrapes {urls:?}");
    let probed = |node: &str, wanted: f64| {
        let query = format!("probe_success{{job=\"probes\",instance=\"{DEVNET}/{node}\",network=\"{DEVNET}\"}}");
        wait::eventually(&format!("{node} is probed"), PATIENCE, || {
            let found = prometheus.query(&query)?;
            Ok(found.first().is_some_and(|(_, value)| (*value - wanted).abs() < f64::EPSILON).then_some(()))
        })
    };
    probed("one", 1.0)?;
    probed("plain", 0.0)?;
    Ok(format!("scraped: {}; probe_success 1 and 0", urls.into_iter().collect::<Vec<_>>().join(", ")))
}

fn scraped(prometheus: &Prometheus) -> Result<BTreeSet<String>> {
    let targets = prometheus.active()?;
    targets.iter().map(|target| Ok(target["scrapeUrl"].as_str().context("no URL")?.to_owned())).collect()
}

fn is_up(daemon: &Haltwatch, network: &str, node: &str) -> Result<()> {
    eventually(daemon, &format!("{network}/{node} is up"), |scrape| {
        scrape.value("haltwatch_node_up", &[("network", network), ("node", node)]) == Some(1.0)
    })
}

fn eventually(daemon: &Haltwatch, what: &str, holds: impl Fn(&Scrape) -> bool) -> Result<()> {
    wait::eventually(what, PATIENCE, || Ok(holds(&daemon.scrape()?).then_some(())))
}
