//! Other EVM nodes than Anvil, each with ways of its own: `EthereumJS` (an execution client that seals with Clique),
//! Hardhat and Ganache. They come from npm and are installed when a scenario asks for them.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    harness::{http, port, process::Process, wait, watcher},
    install::Installer,
};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The packages of each program, with their versions. npm leaves the native part of Hardhat out if its own Node is too
/// old for it, so it is named; Hardhat itself needs a newer Node than Debian has.
const ETHEREUMJS: (&str, &str, &[&str]) = ("ethereumjs", "0.10.5", &["@ethereumjs/client@0.10.5"]);
const GANACHE: (&str, &str, &[&str]) = ("ganache", "7.9.2", &["ganache@7.9.2"]);
const HARDHAT: (&str, &str, &[&str]) =
    ("hardhat", "3.18.0", &["hardhat@3.18.0", "@nomicfoundation/edr-linux-x64-gnu@0.22.0"]);
const NODE: (&str, &str, &[&str]) = ("node", "24", &["node@24"]);

/// A block every second.
const HARDHAT_CONFIG: &str = r#"export default {
  networks: { node: { type: "edr-simulated", chainId: 31337, mining: { auto: false, interval: 1000 } } },
};
"#;

/// A running node.
#[derive(Debug)]
pub struct Client {
    /// Where it answers.
    pub address: SocketAddr,
    /// The program.
    pub process: Process,
}

impl Client {
    /// Gets all of them.
    pub fn install(installer: &Installer<'_>) -> Result<()> {
        [ETHEREUMJS, GANACHE, NODE, HARDHAT].into_iter().try_for_each(|program| installer.npm(program).map(drop))
    }

    /// Asks it.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value> {
        http::rpc(self.address, method, params)
    }

    fn start(mut command: Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let mut process = Process::start(&mut command, log)?;
        process.ready(PATIENCE, || watcher::height(address))?;
        wait::eventually("the first block", PATIENCE, || Ok((0 < watcher::height(address)?).then_some(())))?;
        Ok(Self { address, process })
    }

    /// An `EthereumJS` that seals a block every ten seconds, alone.
    pub fn ethereumjs(bench: &Bench) -> Result<Self> {
        let home = Installer::at(bench.root()).npm(ETHEREUMJS)?;
        // Whatever it is told, it binds the port of its peers to every address.
        let (preload, data) = (Installer::loopback(&home)?, bench.folder("ethereumjs"));
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let address = port::free();
        let mut command = Command::new("node");
        command.arg("-r").arg(preload).arg(home.join("node_modules/.bin/ethereumjs"));
        command.args(["--dev=poa", "--rpc", "--rpcAddr", "127.0.0.1", "--extIP", "127.0.0.1", "--rpcEngine=false"]);
        command.args(["--discDns=false", "--discV4=false", "--rpcPort", &address.port().to_string()]);
        command.args(["--port", &port::free().port().to_string(), "--dataDir"]).arg(data);
        Self::start(command, address, &bench.log("ethereumjs"))
    }

    /// A Ganache with a block every second.
    pub fn ganache(bench: &Bench) -> Result<Self> {
        let home = Installer::at(bench.root()).npm(GANACHE)?;
        let address = port::free();
        let mut command = Command::new("node");
        command.arg(home.join("node_modules/ganache/dist/node/cli.js")).args(["--server.host", "127.0.0.1"]);
        command.args(["--miner.blockTime", "1", "--server.port", &address.port().to_string()]);
        Self::start(command, address, &bench.log("ganache"))
    }

    /// A Hardhat with a block every second.
    pub fn hardhat(bench: &Bench) -> Result<Self> {
        let installer = Installer::at(bench.root());
        let (node, home) = (installer.npm(NODE)?, installer.npm(HARDHAT)?);
        // It only starts inside of a project that is made of modules.
        fs::write(home.join("hardhat.config.mjs"), HARDHAT_CONFIG)?;
        let manifest: Value = serde_json::from_str(&fs::read_to_string(home.join("package.json"))?)?;
        let manifest = json!({"dependencies": manifest["dependencies"], "type": "module"});
        fs::write(home.join("package.json"), manifest.to_string())?;
        let address = port::free();
        let mut command = Command::new(node.join("node_modules/.bin/node"));
        command.current_dir(&home).env("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true");
        command.args(["node_modules/hardhat/dist/src/cli.js", "--config", "hardhat.config.mjs", "node"]);
        command.args(["--hostname", "127.0.0.1", "--port", &address.port().to_string()]);
        Self::start(command, address, &bench.log("hardhat"))
    }
}
