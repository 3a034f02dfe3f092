//! What a chain can suffer without its nodes being to blame: blocks replaced, two branches, slow blocks, work that waits
//! on a chain that makes blocks only on demand. Each on a real node of its own, all watched by one daemon; each must
//! be called by its name, and nothing else may be called at all.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::DEVNET_CHAIN_ID;
use crate::{
    anvil::Anvil,
    bench::Bench,
    haltwatch::{self, Alert, Config, Haltwatch, Node},
    harness::{http, relay::Relay, wait},
};

/// Blocks every chain has before it is watched, so that deep reorganisations have something to replace.
const PAST: u64 = 200;

/// For so long nothing is done to anybody; the chain on demand is idle all the while.
const QUIET: Duration = Duration::from_secs(125);

/// A reorganisation this deep is everyday life.
const SHALLOW: u64 = 2;

/// A reorganisation this deep is told, and is not yet L1.
const DEEP: u64 = 30;

/// Within this time a deep reorganisation and a halt beyond its threshold are told: a few polls of a second.
const SOON: Duration = Duration::from_secs(12);

/// Within this time two branches are a split: `split_after` of the configuration, a few blocks and polls.
const SPLIT: Duration = Duration::from_secs(40);

/// Within this time slow blocks are told: `slow_after` of the configuration, a few of the slow blocks and polls.
const SLOW: Duration = Duration::from_secs(90);

/// Alerts that may stand beside the wanted ones are at most this loud.
const LOUD: [&str; 2] = ["L1", "L2"];

/// The networks, each with its chain and relays to it, so that one node counts as several endpoints.
struct Stage {
    shallow: Chain,
    deep: Chain,
    one: Chain,
    /// A branch that left the chain `one` before anybody watched.
    other: Chain,
    slow: Chain,
    idle: Chain,
}

/// A node and its endpoints.
struct Chain {
    node: Anvil,
    relays: Vec<Relay>,
}

impl Chain {
    fn start(bench: &Bench, name: &str, mine: &[&str], endpoints: usize) -> Result<Self> {
        let node = bench.anvil_with(name, DEVNET_CHAIN_ID, mine)?;
        let relays = (0..endpoints).map(|_| Relay::start(node.address)).collect::<Result<_>>()?;
        Ok(Self { node, relays })
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value> {
        http::rpc(self.node.address, method, params)
    }

    fn nodes<'a>(&self, names: &[&'a str]) -> Vec<Node<'a>> {
        self.relays.iter().zip(names).map(|(relay, name)| Node::rpc(name, relay.address())).collect()
    }

    /// A transfer from one of the accounts the node holds itself.
    fn send(&self) -> Result<()> {
        let accounts = self.call("eth_accounts", &json!([]))?;
        let transfer = json!([{"from": accounts[0], "to": accounts[1], "value": "0x1"}]);
        self.call("eth_sendTransaction", &transfer).context("a transfer").map(drop)
    }
}

impl Stage {
    fn set(bench: &Bench) -> Result<Self> {
        let every_second = ["--block-time", "1"];
        let one = Chain::start(bench, "one", &every_second, 2)?;
        one.call("anvil_mine", &json!([format!("{PAST:#x}")]))?;
        let upstream = format!("http://{}", one.node.address);
        let other = Chain::start(bench, "other", &["--block-time", "1", "--fork-url", &upstream], 2)?;
        let stage = Self {
            shallow: Chain::start(bench, "shallow", &every_second, 3)?,
            deep: Chain::start(bench, "deep", &every_second, 3)?,
            slow: Chain::start(bench, "slow", &every_second, 3)?,
            idle: Chain::start(bench, "idle", &[], 2)?,
            one,
            other,
        };
        for chain in [&stage.shallow, &stage.deep, &stage.slow] {
            chain.call("anvil_mine", &json!([format!("{PAST:#x}")]))?;
        }
        Ok(stage)
    }

    /// All but the split, which is there from the beginning and would be told at once.
    fn quiet(&self) -> Config {
        let chain_id = Some(DEVNET_CHAIN_ID);
        Config::default()
            .network("shallow", chain_id, "", &self.shallow.nodes(&["s1", "s2", "s3"]))
            .network("deep", chain_id, "", &self.deep.nodes(&["d1", "d2", "d3"]))
            .network("slow", chain_id, "slow_after = \"20s\"", &self.slow.nodes(&["w1", "w2", "w3"]))
            .network("idle", chain_id, "cadence = \"on_demand\"", &self.idle.nodes(&["i1", "i2"]))
    }

    fn with_split(&self) -> Config {
        let mut nodes = self.one.nodes(&["a1", "a2"]);
        nodes.extend(self.other.nodes(&["b1", "b2"]));
        self.quiet().network("split", Some(DEVNET_CHAIN_ID), "split_after = \"15s\"", &nodes)
    }
}

/// Reorganisations of two and of thirty blocks, two groups on two branches, blocks eight times as slow, and a transaction
/// that nobody takes on a chain that has been idle for minutes.
pub fn each_trouble_of_a_chain_has_its_own_name(bench: &Bench) -> Result<String> {
    let stage = Stage::set(bench)?;
    let daemon = bench.haltwatch(&stage.quiet())?;
    quiet(&daemon, QUIET)?;
    let mut told = Vec::new();

    stage.shallow.call("anvil_reorg", &json!([SHALLOW, []]))?;
    stage.deep.call("anvil_reorg", &json!([DEEP, []]))?;
    told.push(found(&daemon, "DeepReorg", "deep", SOON)?);

    stage.idle.call("evm_setAutomine", &json!([false]))?;
    stage.idle.send()?;
    stage.slow.call("evm_setIntervalMining", &json!([8]))?;
    told.push(found(&daemon, "NetworkHalted", "idle", haltwatch::THRESHOLD + SOON)?);
    told.push(found(&daemon, "BlocksSlow", "slow", SLOW)?);

    daemon.rewrite(&stage.with_split())?;
    daemon.hang_up()?;
    told.push(found(&daemon, "NetworkSplit", "split", SPLIT)?);

    let loud: BTreeSet<String> = loud(&daemon.alerts()?).into_iter().collect();
    let wanted: BTreeSet<String> =
        ["DeepReorg deep", "NetworkHalted idle", "NetworkSplit split"].into_iter().map(str::to_owned).collect();
    let beside: Vec<_> = loud.difference(&wanted).filter(|alert| *alert != "BlocksSlow slow").collect();
    ensure!(beside.is_empty(), "loud beside what was wanted: {beside:?}");

    stage.idle.call("evm_setAutomine", &json!([true]))?;
    stage.idle.call("evm_mine", &json!([]))?;
    for _ in 0..5 {
        stage.idle.send()?;
        wait::pass(Duration::from_millis(1200));
    }
    daemon.clears("NetworkHalted", SOON)?;
    Ok(format!("{} s of quiet without an alert; {}; work done: halt resolved", QUIET.as_secs(), told.join("; ")))
}

/// Nothing at L1 or L2 for so long.
pub(super) fn quiet(daemon: &Haltwatch, time: Duration) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < time {
        let loud = loud(&daemon.alerts()?);
        ensure!(loud.is_empty(), "after {:.1?} of quiet: {loud:?}", begin.elapsed());
        wait::pass(Duration::from_millis(200));
    }
    Ok(())
}

/// Waits until the alert is announced about the network.
pub(super) fn found(daemon: &Haltwatch, name: &str, network: &str, limit: Duration) -> Result<String> {
    let begin = Instant::now();
    let is_it = |alert: &Alert| alert.name() == name && alert.label("network") == network && alert.is_announced();
    wait::eventually(&format!("{name} about {network}"), limit, || {
        let alerts = daemon.alerts()?;
        let alert = alerts.iter().find(|alert| is_it(alert));
        ensure!(alert.is_some(), "alerts: {}", haltwatch::describe(&alerts));
        Ok(alert.map(|alert| {
            format!(
                "{name} {} after {:.1?} ({})",
                alert.label("level"),
                begin.elapsed(),
                alert.annotations["description"]
            )
        }))
    })
}

pub(super) fn loud(alerts: &[Alert]) -> Vec<String> {
    let loud = alerts.iter().filter(|alert| alert.is_announced() && LOUD.contains(&alert.label("level")));
    loud.map(|alert| format!("{} {}", alert.name(), alert.label("network"))).collect()
}
