//! How the process begins and ends.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};

use super::{DEVNET, DEVNET_CHAIN_ID};
use crate::{
    bench::Bench,
    haltwatch::{self, Config, Node},
    harness::wait,
    scripted::{Manners, Scripted},
};

/// The exit code of a configuration that cannot be used: `EX_CONFIG` of `sysexits.h`.
const EX_CONFIG: i32 = 78;

/// SIGTERM in the middle of polls, one of them hanging, with an Alertmanager to tell.
pub fn it_ends_politely_when_asked_to(bench: &Bench) -> Result<String> {
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let hanging = Scripted::start(anvil.address, Manners::Hangs)?;
    let alertmanager = bench.alertmanager()?;
    let nodes = [Node::rpc("plain", anvil.address), Node::rpc("hanging", hanging.address())];
    let config = Config::default().alertmanager(alertmanager.address);
    let mut daemon = bench.haltwatch(&config.network(DEVNET, Some(DEVNET_CHAIN_ID), "", &nodes))?;
    wait::pass(Duration::from_secs(3));
    let (status, took) = daemon.terminate(Duration::from_secs(10))?;
    ensure!(status.code() == Some(0), "it ended with {status}: {}", haltwatch::said(&bench.log("haltwatch")));
    ensure!(!alertmanager.named("Watchdog")?.is_empty(), "what it had announced is gone");
    Ok(format!("exit code 0 after {took:.2?}"))
}

/// Three mistakes in one file: all of them are told in one run, each with its place.
pub fn a_wrong_configuration_is_refused_with_its_position(bench: &Bench) -> Result<String> {
    let file = bench.log("wrong").with_extension("toml");
    fs::write(
        &file,
        "[monitor]\nname = \"real\"\n\n[defaults]\nintervall = \"1s\"\n\n[[network]]\nname = \"devnet\"\n\
         family = \"evm\"\nblock_time = \"soon\"\n\n[[network.node]]\nname = \"a\"\nurl = \"ftp://127.0.0.1:1\"\n",
    )?;
    let (code, said) = haltwatch::refuse(&file, &bench.log("wrong"))?;
    ensure!(code == Some(EX_CONFIG), "exit code {code:?}: {said}");
    for place in ["5:1", "10:14", "14:7"] {
        ensure!(said.contains(&format!("{}:{place}", file.display())), "no problem at {place}: {said}");
    }
    ensure!(said.contains("interval"), "no better word for intervall: {said}");
    Ok(format!("exit code {EX_CONFIG}, three problems with file, line and column in one run"))
}
