//! A real consensus network of four validators of equal power: three make blocks, two do not. Each speaks `CometBFT` to
//! the others, and the JSON-RPC of an Ethereum node to us.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    genesis::{self, CHAIN},
    harness::{http, port, process::Process, wait, watcher},
    install::Tools,
};

/// Validators of the network.
pub const VALIDATORS: usize = 4;

/// The chain id its EVM reports.
pub const EVM_CHAIN_ID: u64 = 1776;

/// How long the network may take to make blocks after a start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where one validator listens.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// `CometBFT` RPC.
    pub rpc: SocketAddr,
    /// Other validators.
    pub p2p: SocketAddr,
    /// The application.
    pub abci: SocketAddr,
    /// REST.
    pub api: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// JSON-RPC of the EVM.
    pub evm: SocketAddr,
    /// Its WebSocket.
    pub evm_ws: SocketAddr,
}

impl Ports {
    fn free() -> Self {
        Self {
            rpc: port::free(),
            p2p: port::free(),
            abci: port::free(),
            api: port::free(),
            grpc: port::free(),
            evm: port::free(),
            evm_ws: port::free(),
        }
    }
}

/// One validator; without a process while it is stopped.
#[derive(Debug)]
struct Validator {
    ports: Ports,
    home: PathBuf,
    process: Option<Process>,
    frozen: bool,
    runs: u32,
}

/// The running network.
#[derive(Debug)]
pub struct Injective {
    tools: Tools,
    logs: PathBuf,
    folder: PathBuf,
    peers: String,
    validators: Vec<Validator>,
}

impl Injective {
    /// Starts a new chain in `folder` and waits for its blocks.
    pub fn start(tools: &Tools, root: &Path, folder: &Path, logs: &Path) -> Result<Self> {
        let ports: Vec<Ports> = (0..VALIDATORS).map(|_| Ports::free()).collect();
        let (homes, peers) = genesis::prepare(tools, root, folder, &ports)?;
        let validators = ports
            .into_iter()
            .zip(homes)
            .map(|(ports, home)| Validator { ports, home, process: None, frozen: false, runs: 0 })
            .collect();
        let (tools, logs, folder) = (tools.clone(), logs.to_owned(), folder.to_owned());
        let mut network = Self { tools, logs, folder, peers, validators };
        network.heal()?;
        Ok(network)
    }

    /// Where validator `i` answers JSON-RPC.
    pub fn evm(&self, i: usize) -> SocketAddr {
        self.validators[i].ports.evm
    }

    /// Where the consensus engine of validator `i` answers.
    pub fn rpc(&self, i: usize) -> SocketAddr {
        self.validators[i].ports.rpc
    }

    /// Starts one more node, which holds the key of the last validator and knows nobody, and returns its number. A chain
    /// on which it has signed is not to be used again.
    pub fn twin(&mut self) -> Result<usize> {
        let (i, ports) = (self.validators.len(), Ports::free());
        let home = genesis::twin(&self.tools, &self.folder, ports)?;
        self.validators.push(Validator { ports, home, process: None, frozen: false, runs: 0 });
        self.launch(i)?;
        Ok(i)
    }

    /// Starts node `i` again, as a friend of all validators.
    pub fn befriend(&mut self, i: usize) -> Result<()> {
        self.stop(i)?;
        genesis::settle(&self.validators[i].home, self.validators[i].ports, &self.peers)?;
        self.launch(i)
    }

    /// Ends validator `i` as a kernel would: without a farewell.
    pub fn kill(&mut self, i: usize) -> Result<()> {
        self.validators[i].process.take().context("this validator does not run")?.kill()
    }

    /// Ends validator `i` as its operator would.
    pub fn stop(&mut self, i: usize) -> Result<()> {
        self.validators[i].process.take().context("this validator does not run")?.stop()
    }

    /// Freezes validator `i`: its connections stay, nothing answers.
    pub fn freeze(&mut self, i: usize) -> Result<()> {
        self.validators[i].frozen = true;
        self.validators[i].process.as_ref().context("this validator does not run")?.freeze()
    }

    /// Brings every validator back and waits until the network makes blocks; returns how long that took.
    pub fn heal(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        for i in 0..VALIDATORS {
            self.bring_back(i)?;
        }
        let start = wait::eventually("the validators answer", PATIENCE, || Ok(self.lowest().ok()))?;
        wait::eventually("every validator follows three new blocks", PATIENCE, || {
            self.validators.iter_mut().filter_map(|v| v.process.as_mut()).try_for_each(Process::must_run)?;
            Ok((start + 3 <= self.lowest()? && self.all_peered()?).then_some(()))
        })?;
        Ok(begin.elapsed())
    }

    /// What validator `i` answers to one call.
    pub fn call(&self, i: usize, method: &str, params: &Value) -> Result<Value> {
        http::rpc(self.evm(i), method, params)
    }

    fn bring_back(&mut self, i: usize) -> Result<()> {
        let validator = &mut self.validators[i];
        match &validator.process {
            Some(process) if validator.frozen => {
                process.thaw()?;
                validator.frozen = false;
                Ok(())
            }
            Some(_) => Ok(()),
            None => self.launch(i),
        }
    }

    fn launch(&mut self, i: usize) -> Result<()> {
        let validator = &mut self.validators[i];
        validator.runs += 1;
        let log = self.logs.join(format!("validator-{i}.{}.log", validator.runs));
        let ports = validator.ports;
        let mut command = genesis::injectived(&self.tools)?;
        command.args(["start", "--log-level", "info", "--log-no-color", "--minimum-gas-prices", "1inj"]);
        command.args(["--chain-id", CHAIN, "--unsafe-consensus-timeout-commit", "1s", "--grpc-web.enable=false"]);
        command.args(["--json-rpc.api", "eth,net,web3,inj,txpool"]).arg("--home").arg(&validator.home);
        for (flag, address) in
            [("--grpc.address", ports.grpc), ("--json-rpc.address", ports.evm), ("--json-rpc.ws-address", ports.evm_ws)]
        {
            command.args([flag, &address.to_string()]);
        }
        command.args(["--api.address", &format!("tcp://{}", ports.api)]);
        validator.process = Some(Process::start(&mut command, &log)?);
        Ok(())
    }

    fn lowest(&self) -> Result<u64> {
        let heights: Result<Vec<u64>> = (0..VALIDATORS).map(|i| watcher::height(self.evm(i))).collect();
        heights?.into_iter().min().context("no validators")
    }

    fn all_peered(&self) -> Result<bool> {
        for i in 0..VALIDATORS {
            let peers = watcher::quantity(&self.call(i, "net_peerCount", &json!([]))?)?;
            let syncing = self.call(i, "eth_syncing", &json!([]))?;
            if peers < VALIDATORS as u64 - 1 || syncing != json!(false) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The block at `height`, which must exist.
pub fn block(address: SocketAddr, height: u64) -> Result<Value> {
    let block = http::rpc(address, "eth_getBlockByNumber", &json!([format!("{height:#x}"), false]))?;
    ensure!(block.is_object(), "no block {height}");
    if block["hash"].as_str().is_none() {
        bail!("block {height} has no hash");
    }
    Ok(block)
}
