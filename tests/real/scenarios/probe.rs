//! Probes of real nodes: on the command line, through a real Prometheus, and as a check of a whole configuration.

use std::{fs, net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{DEVNET, DEVNET_CHAIN_ID};
use crate::{
    bench::Bench,
    haltwatch::{Config, Node, binary},
    harness::{http, port, wait, watcher::quantity},
    injective::Injective,
};

/// The program with these arguments: its exit code and what it printed.
fn run(arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = Command::new(binary()).args(arguments).output()?;
    let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    Ok((output.status.code(), text))
}

/// Every value of a probe equals what the node answers when it is asked directly.
pub fn a_probe_tells_what_the_node_itself_says(bench: &Bench, network: &mut Injective) -> Result<String> {
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    wait::pass(Duration::from_secs(4));
    let of_anvil = equals(anvil.address).context("Anvil")?;
    let of_validator = equals(network.evm(0)).context("injective")?;
    Ok(format!("Anvil: {of_anvil}; injective: {of_validator}"))
}

fn equals(address: SocketAddr) -> Result<String> {
    let ws = format!("ws://{address}");
    let mut arguments = vec!["probe".to_owned(), format!("http://{address}"), "--output=json".to_owned()];
    // Only Anvil pushes heads on the port of its requests.
    let is_anvil = http::rpc(address, "web3_clientVersion", &json!([]))?.as_str().unwrap_or_default().contains("anvil");
    if is_anvil {
        arguments.extend(["--ws".to_owned(), ws]);
    }
    let (code, text) = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    ensure!(code == Some(0), "exit code {code:?}: {text}");
    let told: Value = serde_json::from_str(&text)?;
    let rpc = |method: &str, params: Value| http::rpc(address, method, &params);
    let chain_id = quantity(&rpc("eth_chainId", json!([]))?)?.to_string();
    ensure!(told["identity"]["chain_id"] == chain_id, "chain id {chain_id}: {text}");
    ensure!(told["identity"]["client_version"] == rpc("web3_clientVersion", json!([]))?, "{text}");
    let height = told["state"]["height"].as_u64().context("no height")?;
    let block = rpc("eth_getBlockByNumber", json!([format!("{height:#x}"), false]))?;
    ensure!(told["state"]["head_hash"] == block["hash"], "block {block}: {text}");
    let now = quantity(&rpc("eth_blockNumber", json!([]))?)?;
    ensure!(now.abs_diff(height) <= 5, "the node is at {now}, the probe said {height}");
    if let Ok(peers) = rpc("net_peerCount", json!([])) {
        ensure!(told["state"]["peers"] == quantity(&peers)?, "peers {peers}: {text}");
    }
    if is_anvil {
        ensure!(told["identity"]["genesis"] == rpc("eth_getBlockByNumber", json!(["0x0", false]))?["hash"], "{text}");
        ensure!(told["capabilities"]["new_heads"] == true, "{text}");
    }
    let block_time = told["block_time"]["mean_seconds"].as_f64().context("no block time")?;
    ensure!((0.2..4.0).contains(&block_time), "blocks take {block_time} s: {text}");
    let median = told["latency"]["median_seconds"].as_f64().context("no latency")?;
    Ok(format!("chain {chain_id}, height {height}, blocks of {block_time} s, median {:.1} ms", median * 1000.0))
}

/// The scrape configuration of the documentation, with `haltwatch` where it listens and no other change.
fn scrape_config(haltwatch: SocketAddr) -> Result<String> {
    let document = include_str!("../../../docs/probe.md");
    let (_, rest) = document.split_once("```yaml\n").context("no scrape configuration")?;
    let (yaml, _) = rest.split_once("```").context("no end of it")?;
    let yaml = yaml.replace("127.0.0.1:10019", &haltwatch.to_string());
    Ok(format!("global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n{yaml}"))
}

/// A static list of `network/node` becomes the parameter `target`; a dead node is a failed probe, not a failed scrape.
pub fn a_real_prometheus_probes_through_relabelling(bench: &Bench) -> Result<String> {
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let nodes = [Node::rpc("node-1", anvil.address), Node::rpc("node-2", port::free())];
    let daemon = bench.haltwatch(&Config::default().network("main", Some(DEVNET_CHAIN_ID), "", &nodes))?;
    let prometheus = bench.prometheus_with(&scrape_config(daemon.address)?)?;
    wait::eventually("both targets are probed three times", Duration::from_secs(20), || {
        let scrapes = prometheus.query("count_over_time(probe_success[1m])")?;
        Ok((scrapes.len() == 2 && scrapes.iter().all(|(_, count)| 3.0 <= *count)).then_some(()))
    })?;
    let value = |query: &str| -> Result<f64> { Ok(prometheus.query(query)?.first().context(query.to_owned())?.1) };
    ensure!(value("probe_success{instance='main/node-1'}")? > 0.5, "the good node fails");
    ensure!(value("probe_success{instance='main/node-2'}")? < 0.5, "the dead node succeeds");
    ensure!(value("min(up{job='haltwatch-probe'})")? > 0.5, "a scrape failed");
    ensure!(value("haltwatch_probe_failure{instance='main/node-2',reason='refused'}")? > 0.5, "another reason");
    let height = value("haltwatch_probe_height{instance='main/node-1'}")?;
    let now = crate::harness::watcher::height(anvil.address)?;
    ensure!(
        now.abs_diff(crate::harness::metrics::whole(height)?) <= 3,
        "Prometheus has {height}, the node is at {now}"
    );
    let complaints = prometheus.complaints()?;
    ensure!(complaints.is_empty(), "Prometheus complains: {complaints:?}");
    Ok(format!("height {height} in Prometheus, {now} at the node; the dead one is probe_success 0 (refused)"))
}

/// Real nodes and a real Alertmanager are found good; a wrong chain id and a dead node are not.
pub fn a_configuration_is_checked_against_what_answers(bench: &Bench) -> Result<String> {
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let stranger = bench.anvil("stranger", DEVNET_CHAIN_ID + 1)?;
    let alertmanager = bench.alertmanager()?;
    wait::pass(Duration::from_secs(4));
    let check = |name: &str, nodes: &[Node<'_>]| -> Result<(Option<i32>, String)> {
        let config = Config::default().alertmanager(alertmanager.address);
        let config = config.network(DEVNET, Some(DEVNET_CHAIN_ID), "", nodes);
        let file = bench.log(name).with_extension("toml");
        fs::write(&file, config.text(port::free()))?;
        run(&["check-config", "--online", &format!("--config.file={}", file.display())])
    };
    let (code, said) = check("good", &[Node::rpc("plain", anvil.address)])?;
    ensure!(code == Some(0), "exit code {code:?}: {said}");
    ensure!(said.contains("anvil/") && said.contains(&format!("{DEVNET_CHAIN_ID} ")), "{said}");
    let peer = said.lines().find(|line| line.starts_with("alertmanager ")).context("no Alertmanager")?.to_owned();
    ensure!(peer.contains(": version 0."), "{peer}");
    let (code, said) = check("bad", &[Node::rpc("plain", anvil.address), Node::rpc("stranger", stranger.address)])?;
    ensure!(code == Some(1) && said.contains("the nodes of devnet disagree about the chain id"), "{code:?}: {said}");
    Ok(peer)
}
