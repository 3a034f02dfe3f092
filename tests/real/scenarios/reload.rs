//! A reload changes what it concerns and nothing else, however often it is asked for.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::json;

use super::DEVNET;
use crate::{
    alertmanager::Alertmanager,
    anvil::Anvil,
    bench::Bench,
    haltwatch::{Config, Haltwatch, Node},
    harness::{http, wait},
};

/// The network whose node stops making blocks.
const QUIET: &str = "quiet";
const QUIET_CHAIN_ID: u64 = 31_338;

/// SIGHUPs in the storm, and the pause between two.
const STORM: usize = 1000;
const PAUSE: Duration = Duration::from_millis(1);

/// How long things may take to settle.
const SETTLE: Duration = Duration::from_secs(20);

/// A halt that fires, two living nodes, a thousand SIGHUPs under changing files and scrapes.
pub fn a_storm_of_hangups_disturbs_nothing(bench: &Bench) -> Result<String> {
    let (one, two) = (bench.anvil("one", super::DEVNET_CHAIN_ID)?, bench.anvil("two", super::DEVNET_CHAIN_ID)?);
    let quiet = bench.anvil("quiet", QUIET_CHAIN_ID)?;
    http::rpc(quiet.address, "evm_setIntervalMining", &json!([0]))?;
    let alertmanager = bench.alertmanager()?;
    let config = |turn| config(turn, &alertmanager, &one, &two, &quiet);
    let daemon = bench.haltwatch(&config(0))?;
    daemon.fires("NetworkHalted", Duration::from_secs(40))?;
    let halt = wait::eventually("Alertmanager lists the halt", SETTLE, || halt(&alertmanager))?;
    let (files, threads) = (daemon.open_files()?, daemon.threads()?);

    let begin = Instant::now();
    for n in 0..STORM {
        if n.is_multiple_of(10) {
            daemon.rewrite(&config(n / 10 % 4))?;
        }
        if n.is_multiple_of(50) {
            let halted = daemon
                .scrape()?
                .must("haltwatch_network_halted", &[("network", QUIET), ("reason", "blocks_missing")])?;
            ensure!((halted - 1.0).abs() < f64::EPSILON, "the halt is lost in the storm");
        }
        daemon.hang_up()?;
        wait::pass(PAUSE);
    }
    daemon.rewrite(&config(0))?;
    daemon.hang_up()?;
    let storm = begin.elapsed();
    wait::pass(Duration::from_secs(2));

    let log = fs::read_to_string(bench.log("haltwatch"))?;
    let reloads = log.matches("configuration reloaded").count();
    let most = 2 + storm.as_millis() / 500;
    ensure!(2 <= reloads && reloads as u128 <= most, "{reloads} reloads in a storm of {storm:.1?}");
    ensure!(!log.contains("resolved: quiet"), "the halt was called over");
    let after = wait::eventually("Alertmanager lists the halt", SETTLE, || self::halt(&alertmanager))?;
    ensure!(after == halt, "the halt began at {halt}, after the storm at {after}");
    wait::eventually("descriptors and threads are as before", SETTLE, || {
        let (left, running) = (daemon.open_files()?, daemon.threads()?);
        ensure!(left <= files && running <= threads, "{files} -> {left} descriptors, {threads} -> {running} threads");
        Ok(Some(()))
    })?;
    wrong_file_is_told(bench, &daemon)?;
    Ok(format!(
        "{STORM} SIGHUPs in {storm:.1?} made {reloads} reloads; descriptors {files}, threads {threads}, as before"
    ))
}

/// The networks in one of four orders, with and without the second node.
fn config(turn: usize, alertmanager: &Alertmanager, one: &Anvil, two: &Anvil, quiet: &Anvil) -> Config {
    let (one, two) = (Node::rpc("one", one.address), Node::rpc("two", two.address));
    let living = match turn {
        0 => vec![one, two],
        1 => vec![two, one],
        2 => vec![one],
        _ => vec![one.with("labels = { team = \"x\" }"), two],
    };
    let begun = Config::default().alertmanager(alertmanager.address);
    let halting = [Node::validator("only", quiet.address)];
    if turn == 1 {
        let begun = begun.network(DEVNET, Some(super::DEVNET_CHAIN_ID), "", &living);
        return begun.network(QUIET, Some(QUIET_CHAIN_ID), "", &halting);
    }
    let begun = begun.network(QUIET, Some(QUIET_CHAIN_ID), "", &halting);
    begun.network(DEVNET, Some(super::DEVNET_CHAIN_ID), "", &living)
}

/// Since when Alertmanager believes that the network is halted.
fn halt(alertmanager: &Alertmanager) -> Result<Option<String>> {
    let halts = alertmanager.named("NetworkHalted")?;
    ensure!(halts.len() <= 1, "{} halts", halts.len());
    Ok(halts.into_iter().next().map(|halt| halt.starts_at))
}

/// A file with two mistakes changes nothing; both are logged with their places.
fn wrong_file_is_told(bench: &Bench, daemon: &Haltwatch) -> Result<()> {
    let before = daemon.scrape()?.must("haltwatch_config_hash", &[])?;
    fs::write(
        daemon.file(),
        "[monitor]\nnam = \"x\"\n[web]\nlisten = 5\n[[network]]\nname = \"n\"\nfamily = \"evm\"\n",
    )?;
    daemon.hang_up()?;
    wait::eventually("the failure is told", SETTLE, || {
        let successful = daemon.scrape()?.must("haltwatch_config_last_reload_successful", &[])?;
        Ok((successful < 0.5).then_some(()))
    })?;
    let log = fs::read_to_string(bench.log("haltwatch"))?;
    for place in ["2:1", "4:10"] {
        ensure!(log.contains(&format!("{}:{place}: ", daemon.file().display())), "no problem at {place} in the log");
    }
    let after = daemon.scrape()?;
    ensure!((after.must("haltwatch_config_hash", &[])? - before).abs() < 0.5, "the hash is that of the wrong file");
    after.must("haltwatch_node_up", &[("network", DEVNET), ("node", "two")])?;
    Ok(())
}
