//! The instruments themselves, without haltwatch: whether the validators halt and come back as the other scenarios take
//! for granted, and whether Alertmanager shows what it is sent.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::DEVNET_CHAIN_ID;
use crate::{
    bench::Bench,
    harness::{
        http,
        namespace::{self, Cut, FAR},
        port,
        relay::Relay,
        wait,
        watcher::{self, Watcher},
    },
    injective::Injective,
    scripted::{Manners, Scripted},
};

/// The network goes on with three of four, stands still with two however they are taken away, and comes back;
/// Alertmanager lists an alert within a second.
pub fn the_instruments_work(bench: &Bench, network: &mut Injective) -> Result<String> {
    let mut figures = Vec::new();
    let watcher = Watcher::start(network.evm(0));
    network.stop(3)?;
    wait::pass(Duration::from_secs(8));
    ensure!(watcher.last()?.at.elapsed() < Duration::from_secs(6), "one stopped validator halts the network");
    network.stop(2)?;
    figures.push(format!("stopped: {}", halt_and_return(network, &watcher)?));
    network.freeze(2)?;
    network.freeze(3)?;
    let peers = network.call(0, "net_peerCount", &json!([]))?;
    figures.push(format!("frozen, peers {peers}: {}", halt_and_return(network, &watcher)?));
    let alertmanager = bench.alertmanager()?;
    http::post(alertmanager.address, "/api/v2/alerts", &json!([{"labels": {"alertname": "Trial"}}]))?.ok()?;
    let begin = Instant::now();
    wait::eventually("Alertmanager lists it", Duration::from_secs(1), || {
        Ok((!alertmanager.named("Trial")?.is_empty()).then_some(()))
    })?;
    ensure!(alertmanager.amtool_query()? == ["Trial"], "amtool does not list it");
    figures.push(format!("alert listed after {:?}", begin.elapsed()));
    Ok(figures.join("; "))
}

/// Routes can be cut and mended, relays relay, scripted nodes have their manners, Prometheus scrapes what answers.
pub fn the_synthetic_instruments_work(bench: &Bench) -> Result<String> {
    let host = if namespace::inside() { FAR } else { std::net::Ipv4Addr::LOCALHOST };
    let anvil = bench.anvil_on("anvil", port::free_on(host), DEVNET_CHAIN_ID)?;
    if namespace::inside() {
        let cut = Cut::make()?;
        ensure!(watcher::height(anvil.address).is_err(), "a cut node answers");
        drop(cut);
    }
    let begin = watcher::height(anvil.address)?;
    let relay = Relay::start(anvil.address)?;
    ensure!(begin <= watcher::height(relay.address())?, "the relay does not relay");
    let batch = json!([{"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}]);
    let batchless = Scripted::start(anvil.address, Manners::RefusesBatches)?;
    ensure!(begin <= watcher::height(batchless.address())?, "single calls are refused");
    let refusal = http::post(batchless.address(), "/", &batch)?.json()?;
    ensure!(refusal["error"]["code"] == -32_600 && batchless.batches() == 1, "{refusal}");
    let limited = Scripted::start(anvil.address, Manners::Limits(3))?;
    let limit = http::post(limited.address(), "/", &batch)?;
    ensure!(limit.status == 429 && limit.header("retry-after") == Some("3"), "{limit:?}");
    let alertmanager = bench.alertmanager()?;
    let text = Scripted::start(alertmanager.address, Manners::TextOnly)?;
    let prometheus = bench.prometheus(&[("direct", alertmanager.address), ("text", text.address())])?;
    wait::eventually("both targets are up", Duration::from_secs(10), || {
        Ok((prometheus.query("up == 1")?.len() == 2).then_some(()))
    })?;
    let complaints = prometheus.complaints()?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(format!("targets {:?}", prometheus.targets()?))
}

fn halt_and_return(network: &mut Injective, watcher: &Watcher) -> Result<String> {
    wait::pass(Duration::from_secs(8));
    let still = watcher.last()?.at.elapsed();
    ensure!(Duration::from_secs(5) < still, "blocks still come");
    let healed = network.heal()?;
    Ok(format!("still for {still:.1?}, back after {healed:.1?}"))
}
