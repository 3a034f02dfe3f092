//! A real Substrate runtime: every value equal to the node's own, its halt found, replaced blocks told from those that come
//! again.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::troubles::{found, loud, quiet};
use crate::{
    bench::Bench,
    bitcoind::Miner,
    chopsticks::{Chopsticks, number},
    haltwatch::{self, Config, Haltwatch, Node},
    harness::wait,
};

/// The network as the configuration names it.
const CHAIN: &str = "asset-hub";

/// The labels of the only node.
const LABELS: [(&str, &str); 2] = [("network", CHAIN), ("node", "only")];

/// For so long nothing is done to it.
const QUIET: Duration = Duration::from_secs(30);

/// Scrapes that are compared.
const SCRAPES: usize = 10;

/// The oldest a shown head may be, in blocks: one poll and the time it takes.
const OLD: u64 = 3;

/// Beyond its threshold a halt is told within this time, and its end.
const SOON: Duration = Duration::from_secs(20);

/// So many blocks are replaced: less than what is told as deep.
const REPLACED: u64 = 3;

/// So far ahead of its own clock a chain jumps, in milliseconds.
const JUMP: u64 = 60_000;

/// The key of `Timestamp.Now` in storage.
const NOW_KEY: &str = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";

/// Blocks by a thread of ours, which then makes none for a while; at last the chain is set back.
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
    let miner = node.mine();
    daemon.clears("NetworkHalted", SOON)?;

    drop(miner);
    let set_back = set_back(&node, &daemon)?;
    Ok(format!(
        "{} s of quiet; {compared} values in {SCRAPES} scrapes equal the node's own; {version}; {halt}; resolved; \
         {set_back}",
        QUIET.as_secs()
    ))
}

/// Set back, this node makes the very same blocks again, since its clock is that of its chain: nothing was replaced. Only
/// where that clock has jumped do others come.
fn set_back(node: &Chopsticks, daemon: &Haltwatch) -> Result<String> {
    let before = reorgs(daemon)?;
    let Regrown { miner, before: old, after: new } = again(node, daemon, |_| Ok(()))?;
    ensure!(old == new, "another block has come: {old}, {new}");
    quiet(daemon, SOON)?;
    drop(miner);
    let same = reorgs(daemon)?;
    ensure!(same == before, "{} reorganisations counted of blocks that came again", same - before);

    let jump = |now| node.call("dev_timeTravel", &json!([now + JUMP])).map(drop);
    let Regrown { miner: _miner, before: old, after: new } = again(node, daemon, jump)?;
    ensure!(old != new, "the same block has come again: {old}");
    wait::eventually("the reorganisation is counted", SOON, || Ok((same < reorgs(daemon)?).then_some(())))?;
    quiet(daemon, SOON)?;
    Ok(format!(
        "{REPLACED} blocks came again: no reorganisation; {REPLACED} replaced: {} counted, nothing loud told",
        reorgs(daemon)? - same
    ))
}

/// A chain that grows again after it was set back.
struct Regrown {
    miner: Miner,
    /// The hash of the lowest of the blocks that were taken away ...
    before: Value,
    /// ... and of the one that came in its place.
    after: Value,
}

/// Takes the newest blocks away, after all of them have been told, and lets the chain grow beyond them again. `prepare` is
/// given the time of the head before.
fn again(node: &Chopsticks, daemon: &Haltwatch, prepare: impl FnOnce(u64) -> Result<()>) -> Result<Regrown> {
    let top = node.height()?;
    let shows = |height: u64| {
        wait::eventually("the height of the node is shown", SOON, || {
            Ok((height <= daemon.scrape()?.whole("haltwatch_node_height", &LABELS)?).then_some(()))
        })
    };
    let lowest = || node.call("chain_getBlockHash", &json!([top - REPLACED + 1]));
    shows(top)?;
    let (before, now) = (lowest()?, millis(&node.call("state_getStorage", &json!([NOW_KEY]))?)?);
    node.call("dev_setHead", &json!([top - REPLACED]))?;
    prepare(now)?;
    let miner = node.mine();
    wait::eventually("the chain grows again", SOON, || Ok((top < node.height()?).then_some(())))?;
    shows(top + 1)?;
    Ok(Regrown { miner, before, after: lowest()? })
}

/// Compares what a scrape tells of the node with what the node says; returns how many values were compared.
fn compare(node: &Chopsticks, daemon: &Haltwatch) -> Result<usize> {
    let scrape = daemon.scrape()?;
    let value = |metric: &str| scrape.whole(&format!("haltwatch_node_{metric}"), &LABELS);
    let (height, now) = (value("height")?, node.height()?);
    ensure!(height <= now && now <= height + OLD, "height {height} while the node is at {now}");
    let hash = node.call("chain_getBlockHash", &json!([height]))?;
    let told = scrape.must("haltwatch_node_head_timestamp_seconds", &LABELS)?;
    let wanted = millis(&node.call("state_getStorage", &json!([NOW_KEY, hash]))?)?;
    let wanted = Duration::from_millis(wanted).as_secs_f64();
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
fn millis(value: &Value) -> Result<u64> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x")).context("no moment")?;
    Ok(u64::from_str_radix(digits, 16)?.swap_bytes())
}

fn version(node: &Chopsticks) -> Result<String> {
    let text =
        |method| -> Result<String> { Ok(node.call(method, &json!([]))?.as_str().context("no text")?.to_owned()) };
    let runtime = node.call("state_getRuntimeVersion", &json!([]))?;
    let spec = runtime["specName"].as_str().context("no name")?;
    Ok(format!("{} {} ({spec}-{})", text("system_name")?, text("system_version")?, runtime["specVersion"]))
}

fn reorgs(daemon: &Haltwatch) -> Result<u64> {
    daemon.scrape()?.whole("haltwatch_node_reorgs_total", &LABELS)
}
