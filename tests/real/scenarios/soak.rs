//! Memory over a long time: as many polls as two days of a small fleet bring, with halts in between, and nobody who ever
//! scrapes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{DEVNET, DEVNET_CHAIN_ID};
use crate::{
    anvil::Anvil,
    bench::Bench,
    haltwatch::Config,
    harness::{http, wait},
};

/// Nodes of each of the two networks.
const NODES: usize = 30;

/// So long it goes on unless the environment says otherwise, in seconds.
const SECONDS: &str = "HALTWATCH_SOAK_SECONDS";
const USUAL: u64 = 1200;

/// One of the networks stands still for a part of every round.
const ROUND: Duration = Duration::from_secs(60);
const STILL: Duration = Duration::from_secs(20);

/// What the last quarter may need more than the first, in thousandths: allocators breathe.
const BREATH: u64 = 50;

/// Twelve nodes polled every five seconds make so many polls in two days.
const TWO_DAYS: f64 = 12.0 * 48.0 * 3600.0 / 5.0;

/// A daemon that is never scraped does not grow, whatever happens to its networks.
pub fn two_days_of_polls_that_nobody_scrapes_do_not_make_it_grow(bench: &Bench) -> Result<String> {
    let length = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(USUAL);
    let steady = bench.anvil("steady", DEVNET_CHAIN_ID)?;
    let halting = bench.anvil("halting", DEVNET_CHAIN_ID + 1)?;
    let alertmanager = bench.alertmanager()?;
    let config = Config::default()
        .alertmanager(alertmanager.address)
        .network(DEVNET, Some(DEVNET_CHAIN_ID), "", &[])
        .section(&nodes(&steady))
        .network("halting", Some(DEVNET_CHAIN_ID + 1), "", &[])
        .section(&nodes(&halting));
    let daemon = bench.haltwatch(&config)?;
    let end = Instant::now() + Duration::from_secs(length);
    let mut resident = Vec::new();
    while Instant::now() < end {
        mine_every(&halting, 0)?;
        wait::pass(STILL);
        mine_every(&halting, 1)?;
        wait::pass(ROUND.saturating_sub(STILL));
        resident.push(daemon.resident_kib()?);
    }
    let quarter = (resident.len() / 4).max(1);
    let first = resident.iter().take(quarter).max().context("nothing was measured")?;
    let last = resident.iter().rev().take(quarter).max().context("nothing was measured")?;
    ensure!(*last <= first + first * BREATH / 1000, "it grows: {resident:?} KiB");
    let scrape = daemon.scrape()?;
    let polls: f64 = scrape.all("haltwatch_node_polls_total", &[]).map(|sample| sample.value).sum();
    let halts = scrape.must("haltwatch_network_incidents_total", &[("network", "halting"), ("level", "L1")])?;
    ensure!(1.0 <= halts, "nothing ever happened");
    let days = 2.0 * polls / TWO_DAYS;
    Ok(format!(
        "{polls} polls, as of twelve nodes in {days:.1} days, and {halts} incidents at L1: at most {first} KiB in the \
         first quarter, {last} KiB in the last"
    ))
}

fn mine_every(anvil: &Anvil, seconds: u64) -> Result<()> {
    http::rpc(anvil.address, "evm_setIntervalMining", &json!([seconds])).map(drop)
}

/// Many nodes behind which there is one: each has an address of its own.
fn nodes(anvil: &Anvil) -> String {
    let node = |i| {
        format!("[[network.node]]\nname = \"n{i}\"\nurl = \"http://{}/?n={i}\"\ninterval = \"100ms\"\n", anvil.address)
    };
    (0..NODES).map(node).collect()
}
