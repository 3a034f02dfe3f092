//! A real consensus layer in its three kinds of trouble: without finality, without blocks, and in two halves.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{
    bench::Bench,
    haltwatch::{Config, Haltwatch, Node},
    harness::{http, wait},
    lodestar::{BeaconNode, Network, SLOT, number},
};

const LAYER: &str = "layer";

/// Two epochs are 64 seconds here, so finality is lost when it is 128 behind.
const KEYS: &str = "family = \"beacon\"\nblock_time = \"4s\"\nfinality_lag = \"64s\"";

/// Four epochs of eight slots.
const FINALITY_LIMIT: Duration = Duration::from_secs(128);

/// Each branch is longer than so many slots before they meet: enough to be replaced. With half of the validators a run
/// of empty slots soon comes that this client does not survive alone.
const BRANCH: u64 = 5;

/// Ten slots without a block.
const HALT_LIMIT: Duration = Duration::from_secs(40);

/// Three of eight validators leave: blocks go on, nothing becomes final. They come back; then all of them leave, and the
/// health of the nodes stays what it was. Nodes of this client that have stood still for so long wait for others for
/// ever, so this is the end of the network.
pub fn a_consensus_layer_loses_finality_and_halts_while_its_health_is_fine(bench: &Bench) -> Result<String> {
    let network = Network::plan(bench.root(), &bench.folder("lodestar"), &bench.log("plan"))?;
    let first = network.node("bn1")?;
    let mut most = network.validators("val-a", 0, 4, &first)?;
    let mut few = network.validators("val-b", 5, 7, &first)?;
    let second = network.node("bn2")?;
    second.connect(&first)?;
    let is_final = || second.finalized().is_ok_and(|epoch| 0 < epoch).then_some(());
    wait::until(5 * FINALITY_LIMIT, SLOT, is_final).context("nothing becomes final")?;
    let daemon = watch(bench, &first, &second)?;
    let values = values_are_those_of_the_node(&daemon, &first)?;
    quiet(&daemon, Duration::from_secs(20))?;

    few.stop()?;
    let begin = Instant::now();
    let lost = daemon.fires("FinalityStalled", 3 * FINALITY_LIMIT)?.duration_since(begin);
    ensure!(daemon.alerts()?.iter().all(|alert| alert.name() != "NetworkHalted"), "blocks go on");
    let head = first.slot()?;
    ensure!(3 * 8 < head.saturating_sub(first.finalized()? * 8), "finality is hardly behind");

    let mut few = network.validators("val-b", 5, 7, &first)?;
    let begin = Instant::now();
    let restored = daemon.clears("FinalityStalled", 6 * FINALITY_LIMIT)?.duration_since(begin);

    most.stop()?;
    few.stop()?;
    let begin = Instant::now();
    let halted = daemon.fires("NetworkHalted", 3 * HALT_LIMIT)?.duration_since(begin);
    let health = http::get(first.rest, "/eth/v1/node/health", &[])?.status;
    ensure!(health == 200, "the health says {health}");
    Ok(format!(
        "{values}; finality lost found {lost:.1?} after three of eight left, over {restored:.1?} after they were back; \
         halt found {halted:.1?} after all had left, health 200"
    ))
}

/// Each half makes a branch of its own from the genesis on; when they meet, one of them is replaced.
pub fn two_halves_of_a_consensus_layer_come_together_again(bench: &Bench) -> Result<String> {
    let network = Network::plan(bench.root(), &bench.folder("lodestar"), &bench.log("plan"))?;
    let (first, second) = (network.node("bn1")?, network.node("bn2")?);
    let _left = network.validators("val-a", 0, 3, &first)?;
    let _right = network.validators("val-b", 4, 7, &second)?;
    wait::eventually("two branches", Duration::from_secs(240), || {
        let long = BRANCH < first.slot()? && BRANCH < second.slot()?;
        Ok((long && first.root()? != second.root()?).then_some(()))
    })?;
    let daemon = watch(bench, &first, &second)?;
    wait::pass(SLOT);
    let before = reorgs(&daemon)?;
    let branches = (first.slot()?, second.slot()?);
    second.connect(&first)?;
    wait::eventually("one of them is replaced", Duration::from_secs(240), || {
        Ok((before != reorgs(&daemon)? && first.root()? == second.root()?).then_some(()))
    })?;
    let halted = daemon.alerts()?.iter().any(|alert| alert.name() == "NetworkHalted");
    ensure!(!halted, "blocks go on");
    Ok(format!(
        "branches up to slots {branches:?}; reorganisations told of both nodes: {before:?} before they met, {:?} after, at \
         slot {}",
        reorgs(&daemon)?,
        first.slot()?
    ))
}

/// How many reorganisations are told of the one and of the other.
fn reorgs(daemon: &Haltwatch) -> Result<[u64; 2]> {
    let scrape = daemon.scrape()?;
    let of = |node: &str| scrape.whole("haltwatch_node_reorgs_total", &[("node", node)]);
    Ok([of("bn1")?, of("bn2")?])
}

fn watch(bench: &Bench, first: &BeaconNode, second: &BeaconNode) -> Result<Haltwatch> {
    let nodes = [Node::validator("bn1", first.rest), Node::validator("bn2", second.rest)];
    bench.haltwatch(&Config::default().chain(LAYER, KEYS, &nodes))
}

/// What is exported equals what the node says before or after.
fn values_are_those_of_the_node(daemon: &Haltwatch, node: &BeaconNode) -> Result<String> {
    wait::eventually("the values of the node", 10 * SLOT, || {
        let (slot, finalized) = (node.slot()?, node.finalized()? * 8);
        let peers = number(&node.get("/eth/v1/node/peer_count")?["connected"])?;
        let scrape = daemon.scrape()?;
        let value = |name: &str| scrape.whole(name, &[("node", "bn1")]);
        let equal = value("haltwatch_node_height")? == slot
            && value("haltwatch_node_finalized_height")? == finalized
            && value("haltwatch_node_peers")? == peers;
        Ok(equal.then(|| format!("slot {slot}, final {finalized}, peers {peers}")))
    })
}

/// Nothing is told while all is well.
fn quiet(daemon: &Haltwatch, time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        let alerts = daemon.alerts()?;
        ensure!(alerts.iter().all(|alert| !alert.is_announced()), "{}", crate::haltwatch::describe(&alerts));
        wait::pass(Duration::from_millis(500));
    }
    Ok(())
}
