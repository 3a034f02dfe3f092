//! Two real nodes of Monero: what is told of them, and a halt.

use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{
    bench::Bench,
    haltwatch::{self, Config, Haltwatch, INTERVAL},
    harness::wait,
    monerod::Monerod,
};

/// Blocks that are made one after the other while haltwatch watches.
const BLOCKS: usize = 6;

/// Blocks are missing when none has come for so long.
const THRESHOLD: Duration = Duration::from_secs(10);

/// Values of both nodes, and a halt when nobody makes blocks any more.
pub fn monero_is_watched_and_its_halt_is_found(bench: &Bench) -> Result<String> {
    let nodes = bench.monero()?;
    nodes[0].mine()?;
    let node = |(name, it): (&str, &Monerod)| {
        format!("[[network.node]]\nname = \"{name}\"\nurl = \"http://{}/json_rpc\"\nmin_peers = 1\n", it.rpc)
    };
    let nodes_text: String = ["one", "two"].into_iter().zip(&nodes).map(node).collect();
    let config = Config::default().section(&format!(
        "[[network]]\nname = \"monero\"\nfamily = \"monero\"\nchain_id = \"fakechain\"\ncadence = \"interval\"\n\
         block_time = \"1s\"\nmissing_blocks = 10\nhalt_floor = \"{}s\"\n{nodes_text}",
        THRESHOLD.as_secs()
    ));
    let daemon = bench.haltwatch(&config)?;
    let mut compared = 0;
    let mut last = Instant::now();
    for _ in 0..BLOCKS {
        nodes[0].mine()?;
        last = Instant::now();
        compared += compare(&daemon, &nodes)?;
    }
    let fired = daemon.fires("NetworkHalted", 3 * THRESHOLD)?.duration_since(last);
    ensure!(THRESHOLD <= fired + INTERVAL, "after {fired:.1?}: too early");
    let alerts = daemon.alerts()?;
    let is_loud = |level: &str| ["L1", "L2"].contains(&level);
    let beside =
        alerts.iter().any(|it| it.is_announced() && it.name() != "NetworkHalted" && is_loud(it.label("level")));
    ensure!(!beside, "loud beside the halt: {}", haltwatch::describe(&alerts));
    Ok(format!("{compared} values equal the nodes' own; NetworkHalted {fired:.1?} after the last block"))
}

/// Waits until both nodes are told as they are, and returns how many values were compared.
fn compare(daemon: &Haltwatch, nodes: &[Monerod; 2]) -> Result<usize> {
    wait::eventually("both nodes are told as they are", Duration::from_secs(8), || {
        let answer = daemon.json("/api/v1/nodes")?;
        let told = answer["data"]["nodes"].as_array().context("no nodes")?;
        for (told, node) in told.iter().map(|it| &it["facts"]).zip(nodes) {
            let (head, peers) = (node.head()?, node.peers()?);
            let time = humantime::parse_rfc3339_weak(told["time"].as_str().context("no time")?)?;
            let hash = format!("0x{}", head["hash"].as_str().unwrap_or_default());
            ensure!(told["height"] == head["height"] && told["hash"] == hash, "{told} is told of {head}");
            ensure!(head["timestamp"] == json!(time.duration_since(UNIX_EPOCH)?.as_secs()), "{told} is told of {head}");
            ensure!(told["peers"] == peers && told["chain_id"] == "fakechain", "{told}");
        }
        Ok(Some(5 * nodes.len()))
    })
}
