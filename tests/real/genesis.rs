//! Makes the four validators' homes: keys, a common genesis, and settings in which every listener is on loopback. The
//! slow part, keys and genesis, is done once and kept; every run starts a new chain from it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::{
    harness::process,
    injective::{Ports, VALIDATORS},
    install::Tools,
};

/// The chain id of the network.
pub const CHAIN: &str = "injective-777";

const PATIENCE: Duration = Duration::from_secs(30);
const STAKE: &str = "1000000000000000000000inj";
const FUNDS: &str = "1000000000000000000000000inj";

/// Homes for a new chain below `folder`, in which validator `i` listens on `ports[i]`, and how they are called by a friend.
pub fn prepare(tools: &Tools, root: &Path, folder: &Path, ports: &[Ports]) -> Result<(Vec<PathBuf>, String)> {
    let template = Template { tools, folder: root.join("injective-genesis"), log: root.join("logs/genesis.log") };
    template.make_once()?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    copy(&template.folder, folder)?;
    let ids: Vec<String> = (0..VALIDATORS).map(|i| template.node_id(i)).collect::<Result<_>>()?;
    let peers: Vec<String> = ids.iter().zip(ports).map(|(id, ports)| format!("{id}@{}", ports.p2p)).collect();
    let peers = peers.join(",");
    for (i, ports) in ports.iter().enumerate() {
        settle(&home(folder, i), *ports, &peers)?;
    }
    Ok(((0..VALIDATORS).map(|i| home(folder, i)).collect(), peers))
}

/// A home beside those in `folder` for a node that holds the key of the last validator and knows nobody.
pub fn twin(tools: &Tools, folder: &Path, ports: Ports) -> Result<PathBuf> {
    let (twin, last) = (home(folder, VALIDATORS), home(folder, VALIDATORS - 1));
    let mut command = injectived(tools)?;
    command.args(["init", "twin", "--chain-id", CHAIN]).arg("--home").arg(&twin);
    process::output(&mut command, &folder.join("twin.log"), PATIENCE)?;
    for file in ["config/genesis.json", "config/priv_validator_key.json"] {
        fs::copy(last.join(file), twin.join(file))?;
    }
    settle(&twin, ports, "")?;
    Ok(twin)
}

/// A command of the validator's program, which finds its own libraries beside it.
pub fn injectived(tools: &Tools) -> Result<Command> {
    let mut command = Command::new(&tools.injectived);
    command.env("LD_LIBRARY_PATH", tools.injectived.parent().context("the program has no folder")?);
    Ok(command)
}

fn home(folder: &Path, i: usize) -> PathBuf {
    folder.join(format!("validator-{i}"))
}

struct Template<'a> {
    tools: &'a Tools,
    folder: PathBuf,
    log: PathBuf,
}

impl Template<'_> {
    fn make_once(&self) -> Result<()> {
        let marker = self.folder.join("made");
        if marker.is_file() {
            return Ok(());
        }
        println!("making keys and genesis of {VALIDATORS} validators");
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        for i in 0..VALIDATORS {
            self.run(i, &["init", &format!("node{i}"), "--chain-id", CHAIN])?;
            self.run(i, &["keys", "add", "validator", "--keyring-backend", "test"])?;
        }
        self.fund()?;
        self.sign()?;
        self.run(0, &["genesis", "collect-gentxs"])?;
        self.run(0, &["genesis", "validate"])?;
        self.share_genesis()?;
        Ok(fs::write(marker, CHAIN)?)
    }

    /// One money for everything, and some of it for every validator.
    fn fund(&self) -> Result<()> {
        let path = self.genesis(0);
        let genesis = fs::read_to_string(&path)?.replace("\"stake\"", "\"inj\"");
        fs::write(&path, genesis)?;
        for i in 0..VALIDATORS {
            let show = self.run(i, &["keys", "show", "validator", "-a", "--keyring-backend", "test"])?;
            let account = show.lines().find(|line| line.starts_with("inj")).context("no address of the key")?;
            self.run(0, &["genesis", "add-genesis-account", account, FUNDS, "--chain-id", CHAIN])?;
        }
        self.share_genesis()
    }

    /// Every validator promises its stake; the promises are gathered with the first.
    fn sign(&self) -> Result<()> {
        for i in 0..VALIDATORS {
            let moniker = format!("node{i}");
            let gentx = ["genesis", "gentx", "validator", STAKE, "--chain-id", CHAIN, "--moniker", &moniker];
            self.run(i, &[&gentx[..], &["--keyring-backend", "test"]].concat())?;
            if i != 0 {
                copy(&home(&self.folder, i).join("config/gentx"), &home(&self.folder, 0).join("config/gentx"))?;
            }
        }
        Ok(())
    }

    fn share_genesis(&self) -> Result<()> {
        for i in 1..VALIDATORS {
            fs::copy(self.genesis(0), self.genesis(i))?;
        }
        Ok(())
    }

    fn genesis(&self, i: usize) -> PathBuf {
        home(&self.folder, i).join("config/genesis.json")
    }

    fn node_id(&self, i: usize) -> Result<String> {
        let text = self.run(i, &["comet", "show-node-id"])?;
        let is_id = |line: &&str| line.len() == 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        text.lines().map(str::trim).find(is_id).map(str::to_owned).context("no node id")
    }

    fn run(&self, i: usize, arguments: &[&str]) -> Result<String> {
        let mut command = injectived(self.tools)?;
        command.args(arguments).arg("--home").arg(home(&self.folder, i));
        process::output(&mut command, &self.log, PATIENCE)
    }
}

/// Names every listener, so that none is left to a default, and makes friends of the four.
pub fn settle(home: &Path, ports: Ports, peers: &str) -> Result<()> {
    let path = home.join("config/config.toml");
    let mut config: Table = fs::read_to_string(&path)?.parse()?;
    config.insert("proxy_app".into(), Value::from(format!("tcp://{}", ports.abci)));
    for (section, key, value) in [
        ("rpc", "laddr", Value::from(format!("tcp://{}", ports.rpc))),
        ("rpc", "pprof_laddr", Value::from("")),
        ("p2p", "laddr", Value::from(format!("tcp://{}", ports.p2p))),
        ("p2p", "persistent_peers", Value::from(peers)),
        ("p2p", "addr_book_strict", Value::from(false)),
        ("p2p", "allow_duplicate_ip", Value::from(true)),
        ("p2p", "pex", Value::from(false)),
        ("instrumentation", "prometheus", Value::from(false)),
    ] {
        let table = config.get_mut(section).and_then(Value::as_table_mut);
        table.with_context(|| format!("no section {section}"))?.insert(key.into(), value);
    }
    Ok(fs::write(path, config.to_string())?)
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
