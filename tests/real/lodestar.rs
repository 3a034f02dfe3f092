//! Lodestar: a real consensus client. Two of its nodes and their validators make a network of the minimal preset: slots
//! of four seconds, eight of them in an epoch, eight validators, and no execution client.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    harness::{http, port, process::Process, wait},
    install::Installer,
};

/// The length of a slot.
pub const SLOT: Duration = Duration::from_secs(4);

/// How long a node may take to answer, and to find a peer.
const PATIENCE: Duration = Duration::from_secs(90);

/// The genesis comes so long after the plan is made: nodes that have missed more than eight slots by the time their
/// validators arrive wait for somebody to catch up with, for ever, and a busy machine takes a minute to start all of them.
const DELAY: Duration = Duration::from_secs(90);

/// What newer packages expect of the runtime, and an older one does not have.
const PRELOAD: &str = "if (!Promise.withResolvers) Promise.withResolvers = function () {
    let resolve, reject;
    return { promise: new this((a, b) => { resolve = a; reject = b; }), resolve, reject };
};";

/// A network to be: where everything is, and when it begins.
#[derive(Debug)]
pub struct Network {
    script: PathBuf,
    folder: PathBuf,
    logs: PathBuf,
    genesis: u64,
}

/// A running node.
#[derive(Debug)]
pub struct BeaconNode {
    /// Where it answers.
    pub rest: SocketAddr,
    p2p: SocketAddr,
    process: Process,
}

/// Gets the client.
pub fn install(installer: &Installer<'_>) -> Result<()> {
    installer.lodestar().map(drop)
}

impl Network {
    /// Chooses when the network begins.
    pub fn plan(root: &Path, folder: &Path, log: &Path) -> Result<Self> {
        let script = Installer::at(root).lodestar().context("Lodestar from npm")?;
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        fs::write(folder.join("preload.cjs"), PRELOAD)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let logs = log.parent().context("a log without a folder")?.to_owned();
        Ok(Self { script, folder: folder.to_owned(), logs, genesis: (now + DELAY).as_secs() })
    }

    fn client(&self, what: &str, name: &str) -> Command {
        let mut command = Command::new("node");
        // It leaves its genesis where it is started.
        command.current_dir(&self.folder).env("LODESTAR_PRESET", "minimal");
        command.arg("-r").arg(self.folder.join("preload.cjs")).arg(&self.script).arg(what);
        command.args(["--params.SECONDS_PER_SLOT", "4", "--params.ALTAIR_FORK_EPOCH", "0"]);
        command.arg("--dataDir").arg(self.folder.join(name)).args(["--logLevel", "info"]);
        command
    }

    /// Starts a node that knows nobody, and waits until it answers.
    pub fn node(&self, name: &str) -> Result<BeaconNode> {
        let (rest, p2p) = (port::free(), port::free());
        let mut command = self.client("dev", name);
        command.args(["--genesisValidators", "8", "--genesisTime", &self.genesis.to_string(), "--reset"]);
        command.args(["--eth1", "false", "--execution.engineMock", "true", "--sync.isSingleNode", "true"]);
        command.args(["--discv5", "true", "--mdns", "false", "--listenAddress", "127.0.0.1", "--enr.ip", "127.0.0.1"]);
        command.args(["--port", &p2p.port().to_string(), "--metrics", "false"]);
        command.args(["--rest", "--rest.address", "127.0.0.1", "--rest.port", &rest.port().to_string()]);
        command.args(["--rest.namespace", "*"]);
        let process = Process::start(&mut command, &self.logs.join(name).with_extension("log"))?;
        let mut node = BeaconNode { rest, p2p, process };
        node.process.ready(PATIENCE, || node_slot(rest))?;
        Ok(node)
    }

    /// Starts the validators `first` to `last`, who speak to `node`.
    pub fn validators(&self, name: &str, first: u8, last: u8, node: &BeaconNode) -> Result<Process> {
        let mut command = self.client("validator", name);
        command.args(["--network", "dev", "--interopIndexes", &format!("{first}..{last}"), "--force"]);
        command.arg("--beaconNodes").arg(format!("http://{}", node.rest));
        command.args(["--suggestedFeeRecipient", "0x0000000000000000000000000000000000000000"]);
        Process::start(&mut command, &self.logs.join(name).with_extension("log"))
    }
}

impl BeaconNode {
    /// What it says under `path`.
    pub fn get(&self, path: &str) -> Result<Value> {
        Ok(http::get_json(self.rest, path)?["data"].take())
    }

    /// The slot of its head.
    pub fn slot(&self) -> Result<u64> {
        node_slot(self.rest)
    }

    /// The root of its head.
    pub fn root(&self) -> Result<Value> {
        Ok(self.get("/eth/v1/beacon/headers/head")?["root"].take())
    }

    /// Its newest finalized epoch.
    pub fn finalized(&self) -> Result<u64> {
        number(&self.get("/eth/v1/beacon/states/head/finality_checkpoints")?["finalized"]["epoch"])
    }

    /// Connects it to `other` and waits until it has a peer.
    pub fn connect(&self, other: &Self) -> Result<()> {
        let identity = other.get("/eth/v1/node/identity")?;
        let id = identity["peer_id"].as_str().context("no peer id")?;
        let path =
            format!("/eth/v1/lodestar/connect_peer?peerId={id}&multiaddr=/ip4/127.0.0.1/tcp/{}", other.p2p.port());
        wait::eventually("a peer", PATIENCE, || {
            http::post(self.rest, &path, &json!({}))?;
            wait::pass(SLOT);
            let peers = number(&self.get("/eth/v1/node/peer_count")?["connected"])?;
            Ok((0 < peers).then_some(()))
        })
    }
}

fn node_slot(rest: SocketAddr) -> Result<u64> {
    number(&http::get_json(rest, "/eth/v1/beacon/headers/head")?["data"]["header"]["message"]["slot"])
}

/// A number as this interface writes it.
pub fn number(value: &Value) -> Result<u64> {
    value.as_str().with_context(|| format!("no number: {value}"))?.parse().context("no number")
}
