//! A real node of Monero on regtest. It makes blocks on request, once it has a peer.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    harness::{http, port, process::Process, wait},
    install::{Installer, Monero},
};

/// How long it may take to answer, and to find its peer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is paid for the blocks.
const MINER: &str = "42ey1afDFnn4886T7196doS9GPMzexD9gXpsZJDwVjeRVdFCSoHnv7KPbBeGpzJBzHRCAs9UxqeoyFQMYbqSWYTfJJQAWDm";

/// A running node.
#[derive(Debug)]
pub struct Monerod {
    /// Where it answers, below `/json_rpc`.
    pub rpc: SocketAddr,
    _process: Process,
}

impl Monerod {
    /// Gets it.
    pub fn install(installer: &Installer<'_>) -> Result<()> {
        installer.monero().map(drop)
    }

    /// Starts two that know only each other, each with an empty chain below `home`, and waits until they are peers.
    pub fn pair(program: &Monero, home: &Path, log: impl Fn(&str) -> std::path::PathBuf) -> Result<[Self; 2]> {
        let (one, two) = (port::free(), port::free());
        let nodes = [
            Self::start(program, &home.join("one"), &log("one"), (one, two))?,
            Self::start(program, &home.join("two"), &log("two"), (two, one))?,
        ];
        wait::eventually("two nodes of Monero are peers", PATIENCE, || {
            let info = nodes[0].call("get_info", &json!({}))?;
            let peers = info["incoming_connections_count"].as_u64().max(info["outgoing_connections_count"].as_u64());
            Ok((peers != Some(0) && info["synchronized"] == true).then_some(()))
        })?;
        Ok(nodes)
    }

    fn start(program: &Monero, home: &Path, log: &Path, (own, peer): (SocketAddr, SocketAddr)) -> Result<Self> {
        if home.exists() {
            fs::remove_dir_all(home)?;
        }
        fs::create_dir_all(home)?;
        let rpc = port::free();
        let mut command = Command::new(&program.monerod);
        command.env("LD_LIBRARY_PATH", &program.libraries).arg("--data-dir").arg(home);
        command.args(["--regtest", "--fixed-difficulty", "1", "--non-interactive", "--no-zmq", "--no-igd"]);
        command.args([
            "--hide-my-port",
            "--allow-local-ip",
            "--disable-dns-checkpoints",
            "--check-updates",
            "disabled",
        ]);
        command.args(["--p2p-bind-ip", "127.0.0.1", "--p2p-bind-port", &own.port().to_string()]);
        command.args(["--rpc-bind-ip", "127.0.0.1", "--rpc-bind-port", &rpc.port().to_string()]);
        command.args(["--add-exclusive-node", &peer.to_string(), "--log-level", "0", "--max-concurrency", "1"]);
        let mut process = Process::start(&mut command, log)?;
        process.ready(PATIENCE, || http::get_json(rpc, "/get_info"))?;
        Ok(Self { rpc, _process: process })
    }

    /// Its answer to a call.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value> {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut answer = http::post(self.rpc, "/json_rpc", &call)?.ok()?.json()?;
        let result = answer["result"].take();
        ensure!(result["status"] == "OK", "{method}: {answer} {result}");
        Ok(result)
    }

    /// Makes a block and waits for it: the first one takes a while, in which nothing else is answered.
    pub fn mine(&self) -> Result<()> {
        let height = |head: &Value| head["height"].as_u64();
        let before = height(&self.head()?);
        let asked = self.call("generateblocks", &json!({"amount_of_blocks": 1, "wallet_address": MINER}));
        wait::eventually("a block is made", PATIENCE, || Ok((before < height(&self.head()?)).then_some(())))
            .with_context(|| format!("{asked:?}"))
    }

    /// The header of its newest block.
    pub fn head(&self) -> Result<Value> {
        let mut answer = self.call("get_last_block_header", &json!({}))?;
        let header = answer["block_header"].take();
        ensure!(header.is_object(), "no header: {answer}");
        Ok(header)
    }

    /// How many peers it has.
    pub fn peers(&self) -> Result<u64> {
        let info = self.call("get_info", &json!({}))?;
        let count = |key: &str| info[key].as_u64().context("no count");
        Ok(count("incoming_connections_count")? + count("outgoing_connections_count")?)
    }
}
