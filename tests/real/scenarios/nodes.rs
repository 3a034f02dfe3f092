//! Trouble of single nodes: each has its own state, and nothing else moves.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{CHAIN, DEVNET, DEVNET_CHAIN_ID, only_watchdog, validators};
use crate::{
    bench::Bench,
    haltwatch::{self, Alert, Config, Haltwatch, INTERVAL, Node},
    harness::{metrics::Scrape, wait, watcher::Watcher},
    injective::{EVM_CHAIN_ID, Injective},
    scripted::{Manners, Scripted},
};

/// Long enough for a missing node to become `NodeOffline`: `offline_after` of the configuration, a time-out, two polls.
const OFFLINE: Duration = Duration::from_secs(20);

/// Within this time a node that is back is off the list again: it is asked at least every 15 s, and must be well for 30 s.
const RESOLVED: Duration = Duration::from_secs(50);

/// What is told about a network that can lose nobody else.
const AT_RISK: &str = "QuorumAtRisk";

/// Where the stranger's chain begins: far ahead of any test network.
const AHEAD: u64 = 1_000_000;

/// One of four validators killed: the network goes on.
pub fn one_stopped_validator_is_its_own_trouble_only(bench: &Bench, network: &mut Injective) -> Result<String> {
    let alertmanager = bench.alertmanager()?;
    let watcher = Watcher::start(network.evm(0));
    let config = Config::default().alertmanager(alertmanager.address);
    let daemon = bench.haltwatch(&config.network(CHAIN, Some(EVM_CHAIN_ID), "", &validators(network)))?;
    wait_for_state(&daemon, "v3", "live", Duration::from_secs(10))?;
    network.kill(3)?;
    let begin = Instant::now();
    let gone = wait::until(Duration::from_secs(10), Duration::from_millis(10), || {
        height(&daemon.scrape().ok()?, "v3").is_none().then(|| begin.elapsed())
    });
    let gone = gone.ok_or_else(|| anyhow::anyhow!("the height of a dead node stays"))?;
    ensure!(gone <= 2 * INTERVAL, "the height of a dead node stays for {gone:.2?}");
    let before = watcher.last()?.height;
    let fired = follow(&daemon, begin, OFFLINE, |scrape, alerts| {
        ensure!(height(scrape, "v3").is_none(), "the height of a dead node is back");
        // One of four is all that may be lost, which is told about the network.
        let (_, rest): (Vec<_>, Vec<_>) = alerts.iter().cloned().partition(|alert| alert.name() == AT_RISK);
        all_of(&rest, "v3")
    })?;
    ensure!(fired.contains("NodeOffline") && fired.contains(AT_RISK), "fired: {fired:?}");
    let blocks = watcher.last()?.height - before;
    ensure!(10 <= blocks, "the network made only {blocks} blocks meanwhile");
    ensure!(
        alertmanager
            .alerts()?
            .iter()
            .all(|a| ["Watchdog", AT_RISK].contains(&a.label("alertname")) || a.label("node") == "v3"),
        "Alertmanager has more"
    );
    ensure!(!alertmanager.named("NodeOffline")?.is_empty(), "NodeOffline is not in Alertmanager");
    network.heal()?;
    only_watchdog(&alertmanager, RESOLVED)?;
    Ok(format!("height gone after {gone:.2?}; fired {fired:?}; {blocks} blocks meanwhile; resolved when it was back"))
}

/// An Anvil far ahead, with a chain id of its own, among the validators: once against the declared chain
/// id, once against the majority's.
pub fn a_node_of_another_chain_is_quarantined_and_moves_nothing(
    bench: &Bench,
    network: &mut Injective,
) -> Result<String> {
    let stranger = bench.anvil_from("stranger", DEVNET_CHAIN_ID, AHEAD)?;
    let watcher = Watcher::start(network.evm(0));
    let mut took = Vec::new();
    for chain_id in [Some(EVM_CHAIN_ID), None] {
        let mut nodes = validators(network);
        nodes.push(Node::rpc("stranger", stranger.address));
        let daemon = bench.haltwatch(&Config::default().network(CHAIN, chain_id, "", &nodes))?;
        let begin = Instant::now();
        wait_for_state(&daemon, "stranger", "wrong_chain", 3 * INTERVAL)?;
        took.push(format!("{:.2?}", begin.elapsed()));
        // The alert waits ten seconds for the answers to stay wrong.
        let names = follow(&daemon, begin, Duration::from_secs(15), |scrape, alerts| {
            let tip = scrape.whole("haltwatch_network_tip_height", &[])?;
            ensure!(tip < AHEAD, "the tip moved to {tip}");
            ensure!(scrape.whole("haltwatch_network_voters", &[])? <= 4, "the stranger votes");
            all_of(alerts, "stranger")
        })?;
        ensure!(names == BTreeSet::from(["NodeWrongChain".to_owned()]), "fired: {names:?}");
        let scrape = daemon.scrape()?;
        ensure!(is_in_state(&scrape, "stranger", "wrong_chain"), "the stranger is let in");
        ensure!((0..4).all(|i| is_in_state(&scrape, &format!("v{i}"), "live")), "a validator is not live");
        let tip = scrape.whole("haltwatch_network_tip_height", &[])?;
        ensure!(watcher.last()?.height.abs_diff(tip) <= 2, "the tip {tip} does not follow the network");
    }
    Ok(format!(
        "quarantined {} after the start (declared chain id; by majority); NodeWrongChain alone; tip, voters and the other nodes unmoved",
        took.join(", ")
    ))
}

/// A node that refuses batches, one that answers 429 and one that hangs, beside the real one they stand for.
pub fn bad_manners_stay_with_the_node_that_has_them(bench: &Bench) -> Result<String> {
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let batchless = Scripted::start(anvil.address, Manners::RefusesBatches)?;
    let limited = Scripted::start(anvil.address, Manners::Limits(3))?;
    let hanging = Scripted::start(anvil.address, Manners::Hangs)?;
    let nodes = [
        // Anvil has no peers and says so in no way at all.
        Node::rpc("plain", anvil.address),
        Node::rpc("batchless", batchless.address()),
        Node::rpc("limited", limited.address()),
        Node::rpc("hanging", hanging.address()),
    ];
    let daemon = bench.haltwatch(&Config::default().network(DEVNET, Some(DEVNET_CHAIN_ID), "", &nodes))?;
    let begin = Instant::now();
    for (node, state) in
        [("plain", "live"), ("batchless", "live"), ("limited", "rate_limited"), ("hanging", "unreachable")]
    {
        wait_for_state(&daemon, node, state, Duration::from_secs(10))?;
    }
    let fired = follow(&daemon, begin, OFFLINE, |scrape, alerts| {
        ensure!(is_in_state(scrape, "plain", "live"), "the plain node moved");
        ensure!(is_in_state(scrape, "batchless", "live"), "the batch-refusing node is not live");
        ensure!(is_in_state(scrape, "limited", "rate_limited"), "the limited node changed its state");
        let foreign = alerts.iter().find(|alert| !["limited", "hanging"].contains(&alert.label("node")));
        ensure!(foreign.is_none(), "an alert of others: {}", haltwatch::describe(alerts));
        Ok(())
    })?;
    let scrape = daemon.scrape()?;
    ensure!(is_in_state(&scrape, "hanging", "offline"), "a hanging node never gets offline");
    let elapsed = begin.elapsed().as_secs();
    ensure!(batchless.batches() <= 2, "{} batches sent to a node that refuses them", batchless.batches());
    ensure!(elapsed < batchless.singles(), "only {} single calls", batchless.singles());
    let asked = limited.batches() + limited.singles();
    ensure!(asked <= elapsed / 3 + 2, "Retry-After of 3 s is not honoured: {asked} requests in {elapsed} s");
    Ok(format!(
        "live by {} single calls after {} batches; {asked} requests in {elapsed} s under Retry-After 3; fired {fired:?}",
        batchless.singles(),
        batchless.batches()
    ))
}

/// Looks at metrics and alerts until `limit` after `begin`; `check` must hold every time. Returns the names of all
/// alerts that fired.
fn follow(
    daemon: &Haltwatch,
    begin: Instant,
    limit: Duration,
    check: impl Fn(&Scrape, &[Alert]) -> Result<()>,
) -> Result<BTreeSet<String>> {
    let mut fired = BTreeSet::new();
    while begin.elapsed() < limit {
        let alerts = daemon.alerts()?;
        check(&daemon.scrape()?, &alerts)?;
        fired.extend(alerts.iter().filter(|alert| alert.is_announced()).map(|alert| alert.name().to_owned()));
        wait::pass(Duration::from_millis(100));
    }
    Ok(fired)
}

fn all_of(alerts: &[Alert], node: &str) -> Result<()> {
    ensure!(
        alerts.iter().all(|alert| alert.label("node") == node),
        "alerts of others: {}",
        haltwatch::describe(alerts)
    );
    Ok(())
}

fn height(scrape: &Scrape, node: &str) -> Option<f64> {
    scrape.value("haltwatch_node_height", &[("node", node)])
}

fn is_in_state(scrape: &Scrape, node: &str, state: &str) -> bool {
    scrape.value("haltwatch_node_state", &[("node", node), ("state", state)]) == Some(1.0)
}

fn wait_for_state(daemon: &Haltwatch, node: &str, state: &str, limit: Duration) -> Result<()> {
    wait::eventually(&format!("{node} is {state}"), limit, || {
        Ok(is_in_state(&daemon.scrape()?, node, state).then_some(()))
    })
}
