//! A healthy network: what haltwatch tells is what the nodes say, and nobody is alarmed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{CHAIN, only_watchdog, validators};
use crate::{
    bench::Bench,
    haltwatch::{self, Config, Haltwatch, INTERVAL},
    harness::{
        metrics::Scrape,
        namespace, wait,
        watcher::{LOOK, Watcher, quantity},
    },
    injective::{self, EVM_CHAIN_ID, Injective, VALIDATORS},
};

/// Scrapes that are compared, half an interval apart.
const SCRAPES: usize = 12;

/// The oldest a shown value may be: one poll with its jitter, and the time it takes.
const AGE: Duration = Duration::from_millis(1500);

/// Every exported value is one that the node itself gave within the last poll; no alert but the dead man's switch.
pub fn every_exported_value_equals_what_the_node_answers(bench: &Bench, network: &mut Injective) -> Result<String> {
    let alertmanager = bench.alertmanager()?;
    let watchers: Vec<Watcher> = (0..VALIDATORS).map(|i| Watcher::start(network.evm(i))).collect();
    let config = Config::default().alertmanager(alertmanager.address);
    let daemon = bench.haltwatch(&config.network(CHAIN, Some(EVM_CHAIN_ID), "", &validators(network)))?;
    wait::eventually("every validator is live", Duration::from_secs(10), || {
        Ok((daemon.scrape()?.whole("haltwatch_network_nodes", &[("state", "live")])? == 4).then_some(()))
    })?;
    let comparison = Comparison { network, watchers: &watchers };
    let mut compared = 0;
    for _ in 0..SCRAPES {
        wait::pass(INTERVAL / 2);
        compared += comparison.round(&daemon)?;
        let alerts = daemon.alerts()?;
        ensure!(alerts.is_empty(), "a healthy network has alerts: {}", haltwatch::describe(&alerts));
    }
    only_watchdog(&alertmanager, Duration::from_secs(2))?;
    ensure!(daemon.all_alerts()?.iter().any(|alert| alert.name() == "Watchdog"), "the Watchdog is silent");
    let open = namespace::listeners_beyond_loopback()?;
    ensure!(open.is_empty(), "somebody listens beyond loopback: {open:?}");
    Ok(format!("{compared} values of {VALIDATORS} validators in {SCRAPES} scrapes equal the nodes' own; only Watchdog"))
}

struct Comparison<'a> {
    network: &'a Injective,
    watchers: &'a [Watcher],
}

impl Comparison<'_> {
    /// Compares one scrape with the nodes; returns how many values were compared.
    fn round(&self, daemon: &Haltwatch) -> Result<usize> {
        let before = Instant::now();
        let scrape = daemon.scrape()?;
        let window =
            (before.checked_sub(AGE).context("the machine is younger than a poll")?, Instant::now() + 2 * LOOK);
        // The watchers must have had the time to see what haltwatch has seen.
        wait::pass(3 * LOOK);
        let mut compared = self.tip(&scrape, window)?;
        for i in 0..VALIDATORS {
            compared += self.node(&scrape, i, window).with_context(|| format!("validator {i}"))?;
        }
        Ok(compared)
    }

    fn node(&self, scrape: &Scrape, i: usize, window: (Instant, Instant)) -> Result<usize> {
        let name = format!("v{i}");
        let labels = [("network", CHAIN), ("node", name.as_str())];
        let value = |metric: &str| scrape.whole(&format!("haltwatch_node_{metric}"), &labels);
        let height = value("height")?;
        ensure!(self.watchers[i].was_at(height, window.0, window.1), "height {height} is not of this poll");
        let finalized = value("finalized_height")?;
        ensure!(self.watchers[i].was_at(finalized, window.0, window.1), "finalized {finalized} is not of this poll");
        let stamp = quantity(&injective::block(self.network.evm(i), height)?["timestamp"])?;
        let asked = |method: &str| self.network.call(i, method, &json!([]));
        for (metric, wanted) in [
            ("head_timestamp_seconds", stamp),
            ("peers", quantity(&asked("net_peerCount")?)?),
            ("pending_transactions", quantity(&asked("txpool_status")?["pending"])?),
            ("syncing", u64::from(asked("eth_syncing")? != json!(false))),
            ("up", 1),
        ] {
            let shown = value(metric)?;
            ensure!(shown == wanted, "{metric}: haltwatch shows {shown}, the node says {wanted}");
        }
        ensure!(value("lag_blocks")? <= 2, "a healthy validator lags");
        let version = asked("web3_clientVersion")?;
        let version = version.as_str().context("no version")?;
        let info = scrape.all("haltwatch_node_info", &labels).next().context("no info")?;
        ensure!(info.labels.values().any(|value| version.contains(value.as_str())), "{info:?} is not {version}");
        ensure!(info.has(&[("role", "validator"), ("family", "evm")]), "{info:?}");
        Ok(9)
    }

    fn tip(&self, scrape: &Scrape, window: (Instant, Instant)) -> Result<usize> {
        let labels = [("network", CHAIN)];
        let value = |metric: &str| scrape.whole(&format!("haltwatch_network_{metric}"), &labels);
        let tip = value("tip_height")?;
        ensure!(self.watchers.iter().any(|it| it.was_at(tip, window.0, window.1)), "tip {tip} is not of this poll");
        let stamp = quantity(&injective::block(self.network.evm(0), tip)?["timestamp"])?;
        for (metric, wanted) in [
            ("last_block_timestamp_seconds", stamp),
            ("voters", 4),
            ("quorum_margin", 1),
            ("expected_block_interval_seconds", 1),
            ("halt_threshold_seconds", 10),
        ] {
            let shown = value(metric)?;
            ensure!(shown == wanted, "{metric}: haltwatch shows {shown}, {wanted} is right");
        }
        ensure!(scrape.all("haltwatch_network_halted", &labels).all(|it| it.value == 0.0), "shown as halted");
        ensure!(scrape.must("haltwatch_network_halt_ratio", &labels)? < 0.5, "a healthy network is half way to a halt");
        let chain = quantity(&self.network.call(0, "eth_chainId", &json!([]))?)?.to_string();
        let info = scrape.all("haltwatch_network_info", &labels).next().context("no info")?;
        ensure!(info.has(&[("chain_id", chain.as_str())]), "{info:?}: the nodes say {chain}");
        Ok(9)
    }
}
