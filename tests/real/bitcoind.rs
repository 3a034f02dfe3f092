//! A real node of a proof-of-work chain on regtest, where blocks are made on request. It lets in whoever can read its
//! cookie file, and writes another one at every start.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    harness::{http, port, process::Process, wait},
    install::Tools,
};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node, running or stopped.
#[derive(Debug)]
pub struct Bitcoind {
    /// Where it answers.
    pub rpc: SocketAddr,
    p2p: SocketAddr,
    program: PathBuf,
    home: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

/// What is needed to call a node from another thread.
#[derive(Debug, Clone)]
struct Access {
    rpc: SocketAddr,
    cookie: PathBuf,
}

impl Bitcoind {
    /// Starts one with an empty chain in `home` and waits until it answers.
    pub fn start(tools: &Tools, home: &Path, log: &Path) -> Result<Self> {
        if home.exists() {
            fs::remove_dir_all(home)?;
        }
        fs::create_dir_all(home)?;
        let (program, home, log) = (tools.bitcoind.clone(), home.to_owned(), log.to_owned());
        let mut node = Self { rpc: port::free(), p2p: port::free(), program, home, log, process: None };
        node.launch()?;
        node.answers()?;
        Ok(node)
    }

    /// Starts its process and does not wait.
    pub fn launch(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["-regtest", "-server", "-rpcallowip=127.0.0.1", "-dnsseed=0", "-discover=0", "-upnp=0"]);
        command.arg(format!("-datadir={}", self.home.display()));
        command.args([format!("-rpcbind={}", self.rpc.ip()), format!("-rpcport={}", self.rpc.port())]);
        command.args([format!("-bind={}", self.p2p.ip()), format!("-port={}", self.p2p.port())]);
        // It checks all of its blocks at every start, which takes it a while.
        command.args(["-listen=1", "-printtoconsole=1", "-checkblocks=0", "-checklevel=4"]);
        // This variant wants to be told how much it may do.
        command.args(["-maxstackmemoryusageconsensus=0", "-excessiveblocksize=10000000000"]);
        command.arg("-minminingtxfee=0.00000500");
        self.process = Some(Process::start(&mut command, &self.log)?);
        Ok(())
    }

    /// Waits until it answers.
    pub fn answers(&mut self) -> Result<()> {
        let access = self.access();
        let process = self.process.as_mut().context("it does not run")?;
        process.ready(PATIENCE, || access.call("getblockcount", &json!([]))).map(drop)
    }

    /// Ends it as its operator would; it takes its cookie away.
    pub fn stop(&mut self) -> Result<()> {
        self.process.take().context("it does not run")?.stop()
    }

    /// The file with its cookie.
    pub fn cookie(&self) -> PathBuf {
        self.home.join("regtest/.cookie")
    }

    /// Its answer to a call.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value> {
        self.access().call(method, params)
    }

    /// Its height.
    pub fn height(&self) -> Result<u64> {
        self.call("getblockcount", &json!([]))?.as_u64().context("no height")
    }

    /// Makes blocks on its chain.
    pub fn mine(&self, blocks: u64) -> Result<()> {
        self.call("generate", &json!([blocks])).map(drop)
    }

    /// Makes a block every second until what is returned is dropped.
    pub fn miner(&self) -> Miner {
        let access = self.access();
        Miner::every(Duration::from_secs(1), move || access.call("generate", &json!([1])))
    }

    /// Makes it a peer of `other` and waits until both have the same head.
    pub fn join(&self, other: &Self) -> Result<()> {
        // It may have lost the connection without knowing it yet.
        let _ = self.leave(other);
        wait::eventually("two nodes have one head", PATIENCE, || {
            if self.call("getconnectioncount", &json!([]))? == 0 {
                self.call("addnode", &json!([other.p2p.to_string(), "onetry"]))?;
            }
            let best = |node: &Self| node.call("getbestblockhash", &json!([]));
            Ok((best(self)? == best(other)?).then_some(()))
        })
    }

    /// Ends its connection to `other`.
    pub fn leave(&self, other: &Self) -> Result<()> {
        self.call("disconnectnode", &json!([other.p2p.to_string()])).map(drop)
    }

    fn access(&self) -> Access {
        Access { rpc: self.rpc, cookie: self.cookie() }
    }
}

impl Access {
    fn call(&self, method: &str, params: &Value) -> Result<Value> {
        let cookie = fs::read_to_string(&self.cookie).context("its cookie")?;
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(cookie.trim()));
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = json!({"id": 1, "method": method, "params": params}).to_string();
        let mut answer = http::exchange(self.rpc, "POST", "/", &headers, body.as_bytes())?.json()?;
        if !answer["error"].is_null() {
            bail!("{method}: {}", answer["error"]);
        }
        Ok(answer["result"].take())
    }
}

/// Makes the blocks of a chain that makes none by itself, until dropped.
#[derive(Debug)]
pub struct Miner {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Miner {
    /// One that does `make` and then rests for `pause`, over and over.
    pub fn every<T>(pause: Duration, make: impl Fn() -> Result<T> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // A block that fails is missing, which the scenario sees.
                let _ = make();
                wait::pass(pause);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
