//! Anvil: a synthetic EVM node with a real JSON-RPC and WebSocket server.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::Result;

use crate::{
    harness::{process::Process, wait, watcher},
    install::Tools,
};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running Anvil with a block every second.
#[derive(Debug)]
pub struct Anvil {
    /// Where it answers HTTP and WebSocket alike.
    pub address: SocketAddr,
    /// The program.
    pub process: Process,
}

impl Anvil {
    /// Starts one on `address` with the given chain id, whose first block has the number `genesis`, and waits until it
    /// answers.
    pub fn start(tools: &Tools, address: SocketAddr, chain_id: u64, genesis: u64, log: &Path) -> Result<Self> {
        let arguments = ["--block-time", "1", "--number", &genesis.to_string()];
        let anvil = Self::start_with(tools, address, chain_id, &arguments, log)?;
        wait::eventually("the first block", PATIENCE, || Ok((genesis < watcher::height(address)?).then_some(())))?;
        Ok(anvil)
    }

    /// Starts one on `address` that makes blocks as `arguments` tell it: without any, one for each transaction. Waits
    /// until it answers.
    pub fn start_with(
        tools: &Tools,
        address: SocketAddr,
        chain_id: u64,
        arguments: &[&str],
        log: &Path,
    ) -> Result<Self> {
        let mut command = Command::new(&tools.anvil);
        command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
        command.args(["--chain-id", &chain_id.to_string(), "--slots-in-an-epoch", "4"]).args(arguments);
        let mut process = Process::start(&mut command, log)?;
        process.ready(PATIENCE, || watcher::height(address))?;
        Ok(Self { address, process })
    }
}
