//! EVM nodes with ways of their own: what they cannot tell is no fault, and a halt is a halt.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::troubles::{found, loud, quiet};
use crate::{
    bench::Bench,
    clients::Client,
    haltwatch::{self, Config, Haltwatch, Node},
    harness::{
        metrics::Scrape,
        wait,
        watcher::{LOOK, Watcher, quantity},
    },
};

/// For so long nothing is done to anybody.
const QUIET: Duration = Duration::from_secs(40);

/// Scrapes that are compared.
const SCRAPES: usize = 12;

/// The oldest a shown value may be: one poll with its jitter, and the time it takes.
const AGE: Duration = Duration::from_millis(1500);

/// Beyond its threshold a halt is told within this time, and its end: a few polls of a second.
const SOON: Duration = Duration::from_secs(15);

/// A frozen node that is the only one of its network: nothing is known of the network.
const UNREACHABLE: Duration = Duration::from_secs(90);

/// A node, the network it is alone in, and an eye on it.
struct Stand {
    name: &'static str,
    client: Client,
    watcher: Watcher,
}

impl Stand {
    fn of(name: &'static str, client: Client) -> Self {
        let watcher = Watcher::start(client.address);
        Self { name, client, watcher }
    }

    fn nodes(&self) -> [Node<'_>; 1] {
        [Node::rpc("only", self.client.address)]
    }

    /// Compares what a scrape tells of the node with what the node says; returns how many values were compared.
    fn compare(&self, scrape: &Scrape, window: (Instant, Instant)) -> Result<usize> {
        let labels = [("network", self.name), ("node", "only")];
        let value = |metric: &str| scrape.whole(&format!("haltwatch_node_{metric}"), &labels);
        let height = value("height")?;
        ensure!(self.watcher.was_at(height, window.0, window.1), "height {height} is not of this poll");
        let block = self.client.call("eth_getBlockByNumber", &json!([format!("{height:#x}"), false]))?;
        ensure!(value("head_timestamp_seconds")? == quantity(&block["timestamp"])?, "another time than {block}");
        let mut compared = 2;
        for (metric, method) in [("peers", "net_peerCount"), ("pending_transactions", "txpool_status")] {
            let Ok(told) = self.client.call(method, &json!([])) else {
                ensure!(value(metric).is_err(), "{metric} is told although the node does not know {method}");
                continue;
            };
            let told = told.get("pending").unwrap_or(&told).clone();
            ensure!(value(metric)? == quantity(&told)?, "{metric}: the node says {told}");
            compared += 1;
        }
        Ok(compared)
    }

    fn identity(&self, daemon: &Haltwatch) -> Result<()> {
        let version = self.client.call("web3_clientVersion", &json!([]))?;
        let nodes = daemon.json("/api/v1/nodes")?.to_string();
        let version = version.as_str().context("no version")?;
        ensure!(nodes.contains(version), "{version} is not in {nodes}");
        Ok(())
    }
}

/// `EthereumJS`, Hardhat and Ganache side by side: quiet, equal values, then one stop of each.
pub fn every_kind_of_evm_node_is_read_as_it_means_it(bench: &Bench) -> Result<String> {
    let ethereumjs = Stand::of("ethereumjs", Client::ethereumjs(bench)?);
    let hardhat = Stand::of("hardhat", Client::hardhat(bench)?);
    let ganache = Stand::of("ganache", Client::ganache(bench)?);
    let config = Config::default()
        .chain("ethereumjs", "family = \"evm\"\nvariant = \"clique\"\nblock_time = \"10s\"", &ethereumjs.nodes())
        .network("hardhat", Some(31_337), "", &hardhat.nodes())
        .network("ganache", Some(1337), "", &ganache.nodes());
    let daemon = bench.haltwatch(&config)?;
    let stands = [&ethereumjs, &hardhat, &ganache];
    quiet(&daemon, QUIET)?;
    let mut compared = 0;
    for _ in 0..SCRAPES {
        wait::pass(haltwatch::INTERVAL / 2);
        let before = Instant::now();
        let scrape = daemon.scrape()?;
        let window =
            (before.checked_sub(AGE).context("the machine is younger than a poll")?, Instant::now() + 2 * LOOK);
        wait::pass(3 * LOOK);
        for stand in stands {
            compared += stand.compare(&scrape, window).with_context(|| stand.name)?;
        }
    }
    stands.iter().try_for_each(|stand| stand.identity(&daemon))?;

    ganache.client.call("miner_stop", &json!([]))?;
    hardhat.client.call("evm_setIntervalMining", &json!([0]))?;
    let limit = haltwatch::THRESHOLD + SOON;
    let mut told = vec![found(&daemon, "NetworkHalted", "ganache", limit)?];
    told.push(found(&daemon, "NetworkHalted", "hardhat", limit)?);
    only(&daemon, &["NetworkHalted ganache", "NetworkHalted hardhat"])?;
    ganache.client.call("miner_start", &Value::Array(Vec::new()))?;
    hardhat.client.call("evm_setIntervalMining", &json!([1000]))?;
    daemon.clears("NetworkHalted", SOON)?;

    // Its miner cannot be told to stop: the process is stopped, and what cannot be asked has not halted.
    ethereumjs.client.process.freeze()?;
    told.push(found(&daemon, "NetworkUnreachable", "ethereumjs", UNREACHABLE)?);
    only(&daemon, &["NetworkUnreachable ethereumjs"])?;
    ethereumjs.client.process.thaw()?;
    daemon.clears("NetworkUnreachable", 2 * SOON)?;
    Ok(format!(
        "{} s of quiet; {compared} values in {SCRAPES} scrapes equal the nodes' own; {}; all resolved",
        QUIET.as_secs(),
        told.join("; ")
    ))
}

/// Nothing else at L1 or L2.
fn only(daemon: &Haltwatch, wanted: &[&str]) -> Result<()> {
    let found: BTreeSet<String> = loud(&daemon.alerts()?).into_iter().collect();
    let wanted: BTreeSet<String> = wanted.iter().map(|&alert| alert.to_owned()).collect();
    ensure!(found == wanted, "loud: {found:?}, wanted: {wanted:?}");
    Ok(())
}
