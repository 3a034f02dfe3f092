//! Chopsticks: a real Substrate runtime, that of Rococo's Asset Hub from its first block on, behind a server of
//! Substrate's JSON-RPC. It makes a block when it is told to; a thread of ours tells it.

use std::{net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    bitcoind::Miner,
    harness::{http, port, process, process::Process},
    install::Installer,
};

/// The packages: the second one brings the specification of the chain with its runtime and its first state.
const CHOPSTICKS: (&str, &str, &[&str]) =
    ("chopsticks", "1.5.1", &["@acala-network/chopsticks@1.5.1", "@substrate/connect-known-chains@1.10.3"]);

/// How long it may take to read the runtime and to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Time between two blocks.
const BLOCK_TIME: Duration = Duration::from_secs(1);

/// Writes the specification without those who would be asked for the chain.
const SPECIFICATION: &str = r#"const known = require("@substrate/connect-known-chains");
const chain = JSON.parse(known.rococo_v2_2_asset_hub);
Object.assign(chain, { bootNodes: [], telemetryEndpoints: null });
require("fs").writeFileSync("chain.json", JSON.stringify(chain));
"#;

/// A running Chopsticks.
#[derive(Debug)]
pub struct Chopsticks {
    /// Where it answers HTTP and WebSocket alike.
    pub address: SocketAddr,
    _process: Process,
}

impl Chopsticks {
    /// Gets it.
    pub fn install(installer: &Installer<'_>) -> Result<()> {
        installer.npm(CHOPSTICKS).map(drop)
    }

    /// Starts one on a free port and waits until it answers.
    pub fn start(bench: &Bench) -> Result<Self> {
        let home = Installer::at(bench.root()).npm(CHOPSTICKS)?;
        let (chain, preload) = (home.join("chain.json"), Installer::loopback(&home)?);
        if !chain.exists() {
            let mut write = Command::new("node");
            process::output(write.args(["-e", SPECIFICATION]).current_dir(&home), &bench.log("install"), PATIENCE)?;
        }
        let address = port::free();
        let mut command = Command::new("node");
        command.arg("-r").arg(preload).arg(home.join("node_modules/.bin/chopsticks")).current_dir(&home);
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string(), "--build-block-mode", "Manual"]);
        command.arg("--genesis").arg(chain);
        let mut process = Process::start(&mut command, &bench.log("chopsticks"))?;
        process.ready(PATIENCE, || http::rpc(address, "system_chain", &json!([])))?;
        Ok(Self { address, _process: process })
    }

    /// Asks it.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value> {
        http::rpc(self.address, method, params)
    }

    /// The number of its newest block.
    pub fn height(&self) -> Result<u64> {
        number(&self.call("chain_getHeader", &json!([]))?)
    }

    /// Makes blocks until what is returned is dropped.
    pub fn mine(&self) -> Miner {
        let address = self.address;
        Miner::every(BLOCK_TIME, move || http::rpc(address, "dev_newBlock", &json!([{"count": 1}])))
    }
}

/// The number in a header.
pub fn number(header: &Value) -> Result<u64> {
    let digits = header["number"].as_str().and_then(|number| number.strip_prefix("0x")).context("no number")?;
    Ok(u64::from_str_radix(digits, 16)?)
}
