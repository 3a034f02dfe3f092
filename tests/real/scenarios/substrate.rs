//! A real Substrate runtime: every value equal to the node's own, its halt found.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::troubles::{found, loud, quiet};
use crate::{
    bench::Bench,
    chopsticks::{Chopsticks, number},
    haltwatch::{self, Config, Haltwatch, Node},
    harness::wait,
};

/// The network as the configuration names it.
const CHAIN: &str = "asset-hub";

/// For so long nothing is done to it.
const QUIET: Duration = Duration::from_secs(30);

/// Scrapes that are compared.
const SCRAPES: usize = 10;

/// The oldest a shown head may be, in blocks: one poll and the time it takes.
const OLD: u64 = 3;

/// Beyond its threshold a halt is told within this time, and its end.
const SOON: Duration = Duration::from_secs(20);

/// The key of `Timestamp.Now` in storage.
const NOW_KEY: &str = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";

/// Blocks by a thread of ours, which then makes none for a while.
pub fn a_substrate_chain_is_read_as_it_means_it_and_its_halt_is_found(bench: &Bench) -> Result<String> {
    let node = Chopsticks::start(bench)?;
    let mut miner = Some(node.mine());
    wait::eventually("blocks", SOON, || Ok((5 < node.height()?).then_some(())))?;
    let keys = "family = \"substrate\"\nchain_id = \"asset-hub-rococo\"\nblock_time = \"1s\"\nmissing_blocks = 10\n\
                halt_floor = \"10s\"";
    let ws = format!("ws = \"ws://{}\"", node.address);
    let daemon =
        bench.haltwatch(&Config::default().chain(CHAIN, keys, &[Node::rpc("only", node.address).with(&ws)]))?;
    quiet(&daemon, QUIET)?;
    let mut compared = 0;
    for _ in 0..SCRAPES {
        thread::sleep(haltwatch::INTERVAL);
        compared += compare(&node, &daemon)?;
    }
    let version = version(&node)?;
    let nodes = daemon.json("/api/v1/nodes")?.to_string();
    ensure!(nodes.contains(&version), "{version} is not in {nodes}");

    drop(miner.take());
    let halt = found(&daemon, "NetworkHalted", CHAIN, haltwatch::THRESHOLD + SOON)?;
    let told = loud(&daemon.alerts()?);
    ensure!(told == [format!("NetworkHalted {CHAIN}")], "loud: {told:?}");
    let _miner = node.mine();
    daemon.clears("NetworkHalted", SOON)?;

    quiet(&daemon, SOON)?;
    Ok(format!(
        "{} s of quiet; {compared} values in {SCRAPES} scrapes equal the node's own; {version}; {halt}; resolved",
        QUIET.as_secs()
    ))
}

/// Compares what a scrape tells of the node with what the node says; returns how many values were compared.
fn compare(node: &Chopsticks, daemon: &Haltwatch) -> Result<usize> {
    let labels = [("network", CHAIN), ("node", "only")];
    let scrape = daemon.scrape()?;
    let value = |metric: &str| scrape.whole(&format!("haltwatch_node_{metric}"), &labels);
    let (height, now) = (value("height")?, node.height()?);
    ensure!(height <= now && now <= height + OLD, "height {height} while the node is at {now}");
    let hash = node.call("chain_getBlockHash", &json!([height]))?;
    let told = scrape.must("haltwatch_node_head_timestamp_seconds", &labels)?;
    let wanted = seconds(&node.call("state_getStorage", &json!([NOW_KEY, hash]))?)?;
    ensure!((told - wanted).abs() < 0.001, "head time {told}, the node says {wanted}");
    let finalized = number(&node.call("chain_getHeader", &json!([node.call("chain_getFinalizedHead", &json!([]))?]))?)?;
    let shown = value("finalized_height")?;
    ensure!(shown <= finalized && finalized <= shown + OLD, "finalized {shown}, the node says {finalized}");
    let pending = node.call("author_pendingExtrinsics", &json!([]))?;
    ensure!(pending == json!([]), "{pending} waits");
    ensure!(value("peers").is_err(), "peers are told of a node that should have none");
    ensure!(value("syncing")? == 0, "it says that it is in sync");
    Ok(5)
}

/// Eight bytes of milliseconds, the lowest first.
fn seconds(value: &Value) -> Result<f64> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x")).context("no moment")?;
    let millis = u64::from_str_radix(digits, 16)?.swap_bytes();
    Ok(Duration::from_millis(millis).as_secs_f64())
}

fn version(node: &Chopsticks) -> Result<String> {
    let text =
        |method| -> Result<String> { Ok(node.call(method, &json!([]))?.as_str().context("no text")?.to_owned()) };
    let runtime = node.call("state_getRuntimeVersion", &json!([]))?;
    let spec = runtime["specName"].as_str().context("no name")?;
    Ok(format!("{} {} ({spec}-{})", text("system_name")?, text("system_version")?, runtime["specVersion"]))
}
