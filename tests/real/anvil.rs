//! Anvil: a synthetic EVM node with a real JSON-RPC and WebSocket server.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    harness::{http, process::Process, watcher},
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
    /// Starts one on `address` with the given chain id and waits until it answers.
    pub fn start(tools: &Tools, address: SocketAddr, chain_id: u64, log: &Path) -> Result<Self> {
        let mut command = Command::new(&tools.anvil);
        command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
        command.args(["--chain-id", &chain_id.to_string(), "--block-time", "1", "--slots-in-an-epoch", "4"]);
        let mut process = Process::start(&mut command, log)?;
        process.ready(PATIENCE, || {
            let height = watcher::height(address)?;
            ensure!(1 <= height, "no block yet");
            Ok(())
        })?;
        Ok(Self { address, process })
    }

    /// One call.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value> {
        http::rpc(self.address, method, params)
    }

    /// Makes `count` blocks at once.
    pub fn mine(&self, count: u64) -> Result<()> {
        self.call("anvil_mine", &json!([format!("{count:#x}")])).map(drop)
    }
}
