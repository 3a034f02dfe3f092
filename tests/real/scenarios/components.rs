//! The instruments themselves, without haltwatch: whether the validators halt and come back as the other scenarios take
//! for granted, and whether Alertmanager shows what it is sent.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    bench::Bench,
    harness::{http, wait, watcher::Watcher},
    injective::Injective,
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

fn halt_and_return(network: &mut Injective, watcher: &Watcher) -> Result<String> {
    wait::pass(Duration::from_secs(8));
    let still = watcher.last()?.at.elapsed();
    ensure!(Duration::from_secs(5) < still, "blocks still come");
    let healed = network.heal()?;
    Ok(format!("still for {still:.1?}, back after {healed:.1?}"))
}
