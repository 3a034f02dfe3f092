//! Two real nodes of a proof-of-work chain that makes a block every second: what is told of them, and what befalls them.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    bitcoind::{Bitcoind, Miner},
    haltwatch::{self, Alert, Config, Haltwatch, INTERVAL, THRESHOLD},
    harness::{relay::Relay, wait},
};

/// The network of both nodes, and one that knows only the first: what one of two nodes suffers is its own trouble, and
/// a reorganisation of the chain to whoever has only that one.
const COIN: &str = "coin";
const HALF: &str = "half";

/// Reorganisations up to this depth are ordinary.
const ORDINARY: u64 = 3;

/// Within this time a state follows what made it: a few polls.
const SOON: Duration = Duration::from_secs(12);

/// Within this time a node that stands still while the chain goes on is stalled: its limits and a few polls.
const STALLED: Duration = Duration::from_secs(40);

/// What a halt may be late, beyond its threshold and one poll: the blocks are made by a program that is asked to.
const GRACE: Duration = Duration::from_millis(1500);

/// The alerts that are loud.
const LOUD: [&str; 2] = ["L1", "L2"];

/// The nodes, and who watches them.
struct Stage {
    one: Bitcoind,
    two: Bitcoind,
    /// Makes blocks on the first.
    miner: Option<Miner>,
    daemon: Haltwatch,
}

/// Both nodes as they say they are, a restart with a new cookie, a partition with its reorganisation, a branch that one
/// of them refuses, and a halt.
pub fn a_proof_of_work_chain_is_watched_through_its_troubles(bench: &Bench) -> Result<String> {
    let (one, two) = (bench.bitcoind("one")?, bench.bitcoind("two")?);
    one.mine(150)?;
    two.join(&one)?;
    let miner = Some(one.miner());
    let relay = Relay::start(one.rpc)?;
    let half = network(HALF, &[("half", relay.address(), &one)]);
    let whole = network(COIN, &[("one", one.rpc, &one), ("two", two.rpc, &two)]);
    let config = Config::default().section(&whole).section(&half);
    let mut stage = Stage { daemon: bench.haltwatch(&config)?, one, two, miner };
    let mut told = vec![stage.values_are_the_nodes_own()?];
    told.push(stage.a_restart_writes_another_cookie()?);
    told.push(stage.a_partition_ends_in_a_reorganisation()?);
    told.push(stage.a_refused_branch_is_no_synchronisation()?);
    told.push(stage.a_halt_is_found_and_resolves()?);
    Ok(told.join("; "))
}

fn network(name: &str, nodes: &[(&str, SocketAddr, &Bitcoind)]) -> String {
    let node = |(name, rpc, it): &(&str, SocketAddr, &Bitcoind)| {
        let cookie = it.cookie();
        format!("[[network.node]]\nname = \"{name}\"\nurl = \"http://{rpc}\"\ncookie_file = \"{}\"\n", cookie.display())
    };
    let nodes: String = nodes.iter().map(node).collect();
    format!(
        "[[network]]\nname = \"{name}\"\nfamily = \"bitcoin\"\nvariant = \"regtest\"\nchain_id = \"regtest\"\n\
         cadence = \"interval\"\nblock_time = \"1s\"\nmissing_blocks = 10\nhalt_floor = \"10s\"\n\
         reorg_depth = {ORDINARY}\nlag_seconds = \"8s\"\nlag_block_times = 8\n{nodes}"
    )
}

impl Stage {
    fn values_are_the_nodes_own(&self) -> Result<String> {
        for name in ["one", "two"] {
            self.is_in_state(name, "live")?;
        }
        let mut compared = 0;
        for _ in 0..6 {
            wait::pass(INTERVAL / 2);
            let answer = self.daemon.json("/api/v1/nodes")?;
            for (told, node) in
                answer["data"]["nodes"].as_array().context("no nodes")?.iter().zip([&self.one, &self.two])
            {
                compared += compare(&told["facts"], node).with_context(|| told.to_string())?;
            }
            self.only(&[])?;
        }
        let (code, text) = probe(&self.two)?;
        ensure!(code == Some(0), "{text}");
        let report: Value = serde_json::from_str(&text)?;
        ensure!(report["identity"]["genesis"] == prefixed(&self.two.call("getblockhash", &json!([0]))?), "{report}");
        ensure!(report["identity"]["chain_id"] == "regtest", "{report}");
        Ok(format!("{compared} values equal the nodes' own"))
    }

    fn a_restart_writes_another_cookie(&mut self) -> Result<String> {
        let before = fs::read_to_string(self.two.cookie())?;
        self.two.stop()?;
        self.two.launch()?;
        let begin = Instant::now();
        let mut starting = 0;
        wait::until(SOON, Duration::ZERO, || {
            let (code, text) = probe(&self.two).ok()?;
            starting += usize::from(text.contains("\"starting\""));
            (code == Some(0)).then_some(())
        })
        .context("a probe never finds it")?;
        let warm = begin.elapsed();
        ensure!(0 < starting, "no probe has seen it warming up");
        self.two.answers()?;
        ensure!(before != fs::read_to_string(self.two.cookie())?, "the cookie is the same");
        self.two.join(&self.one)?;
        // It may have failed several times, and is then asked every 15 s.
        wait::eventually("two is live with its new cookie", 2 * SOON, || {
            Ok(self.has_state("two", "live")?.then_some(()))
        })?;
        self.only(&[])?;
        Ok(format!("warm after {warm:.1?}, seen starting {starting} times; live again with its new cookie"))
    }

    fn a_partition_ends_in_a_reorganisation(&mut self) -> Result<String> {
        self.two.leave(&self.one)?;
        let fork = self.two.height()?;
        wait::eventually("the first side makes blocks", SOON, || {
            Ok((fork + ORDINARY + 2 <= self.one.height()?).then_some(()))
        })?;
        self.miner.take();
        let lost = self.one.height()?;
        wait::pass(2 * INTERVAL);
        self.two.mine(lost - fork + 1)?;
        let begin = Instant::now();
        self.two.join(&self.one)?;
        self.fires("DeepReorg", SOON)?;
        let took = begin.elapsed();
        self.miner = Some(self.one.miner());
        self.only(&["DeepReorg"])?;
        Ok(format!("a partition over {} blocks: DeepReorg after {took:.1?}", lost - fork))
    }

    /// What a node holds for invalid it does not catch up with: it stands still, and says so of itself nowhere.
    fn a_refused_branch_is_no_synchronisation(&self) -> Result<String> {
        let height = self.two.height()? - 1;
        let refused = self.two.call("getblockhash", &json!([height]))?;
        self.two.call("invalidateblock", &json!([refused]))?;
        let begin = Instant::now();
        wait::eventually("two is stalled", STALLED, || {
            ensure!(!self.has_state("two", "syncing")?, "a node that refuses a branch is said to be catching up");
            Ok(self.has_state("two", "stalled")?.then_some(()))
        })?;
        let took = begin.elapsed();
        self.only(&["DeepReorg"])?;
        self.two.call("reconsiderblock", &json!([refused]))?;
        self.two.join(&self.one)?;
        self.is_in_state("two", "live")?;
        Ok(format!("stalled {took:.1?} after it refused a branch"))
    }

    fn a_halt_is_found_and_resolves(&mut self) -> Result<String> {
        self.miner.take();
        let last = self.one.height()?;
        // The last block came at some time within the last second.
        let begin = Instant::now();
        let found = self.fires("NetworkHalted", 3 * THRESHOLD)?.duration_since(begin);
        ensure!(self.one.height()? == last, "it is no halt");
        ensure!(THRESHOLD <= found + Duration::from_millis(1500), "after {found:.2?}: too early");
        ensure!(found <= THRESHOLD + INTERVAL + GRACE, "after {found:.2?}: too late");
        self.only(&["DeepReorg", "NetworkHalted"])?;
        let _miner = self.one.miner();
        let back = self.daemon.clears("NetworkHalted", 4 * SOON)?;
        let took = back.duration_since(begin).saturating_sub(found);
        Ok(format!("NetworkHalted {found:.2?} after the miner stopped, resolved {took:.1?} later"))
    }

    fn fires(&self, name: &str, limit: Duration) -> Result<Instant> {
        self.daemon.fires(name, limit)
    }

    /// Nothing loud but these.
    fn only(&self, wanted: &[&str]) -> Result<()> {
        let alerts = self.daemon.alerts()?;
        let is_loud = |alert: &&Alert| alert.is_announced() && LOUD.contains(&alert.label("level"));
        let loud: BTreeSet<&str> = alerts.iter().filter(is_loud).map(Alert::name).collect();
        let is_wanted = loud.iter().all(|name| wanted.contains(name));
        ensure!(is_wanted, "loud beside {wanted:?}: {}", haltwatch::describe(&alerts));
        Ok(())
    }

    fn has_state(&self, node: &str, state: &str) -> Result<bool> {
        let labels = [("node", node), ("state", state)];
        Ok(self.daemon.scrape()?.value("haltwatch_node_state", &labels) == Some(1.0))
    }

    fn is_in_state(&self, node: &str, state: &str) -> Result<()> {
        let what = format!("{node} is {state}");
        wait::eventually(&what, SOON, || Ok(self.has_state(node, state)?.then_some(())))
    }
}

/// Compares what is told of a node with what it says; returns how many values were compared.
fn compare(told: &Value, node: &Bitcoind) -> Result<usize> {
    let height = told["height"].as_u64().context("no height")?;
    let now = node.height()?;
    ensure!(height <= now && now <= height + 3, "height {height}, the node is at {now}");
    let hash = node.call("getblockhash", &json!([height]))?;
    let header = node.call("getblockheader", &json!([hash, true]))?;
    let time = humantime::parse_rfc3339_weak(told["time"].as_str().context("no time")?)?;
    for (what, told, own) in [
        ("hash", &told["hash"], prefixed(&hash)),
        ("time", &json!(time.duration_since(UNIX_EPOCH)?.as_secs()), header["time"].clone()),
        ("peers", &told["peers"], node.call("getconnectioncount", &json!([]))?),
        ("chain", &told["chain_id"], node.call("getblockchaininfo", &json!([]))?["chain"].clone()),
        ("version", &told["version"], node.call("getnetworkinfo", &json!([]))?["subversion"].clone()),
    ] {
        ensure!(*told == own, "{what}: {told} is told, the node says {own}");
    }
    Ok(6)
}

fn prefixed(hash: &Value) -> Value {
    json!(format!("0x{}", hash.as_str().unwrap_or_default()))
}

/// A probe of the node with its cookie: exit code and text.
fn probe(node: &Bitcoind) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(haltwatch::binary());
    command.args(["probe", &format!("http://{}", node.rpc), "--output=json", "--timeout=2s", "--cookie-file"]);
    let output = command.arg(node.cookie()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let cookie = fs::read_to_string(node.cookie()).unwrap_or_default();
    let secret = cookie.split(':').next_back().unwrap_or_default();
    ensure!(secret.is_empty() || !text.contains(secret), "the probe shows the cookie");
    Ok((output.status.code(), text))
}
