//! The four validators as their consensus engine shows them, beside the Ethereum face of the same processes: one network
//! each, which must agree.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{CHAIN, only_watchdog, validators};
use crate::{
    bench::Bench,
    genesis,
    haltwatch::{self, Config, Haltwatch, INTERVAL, THRESHOLD},
    harness::{http, wait},
    injective::{EVM_CHAIN_ID, Injective, VALIDATORS},
};

/// The network of consensus engines.
const COMET: &str = "comet";

/// Weight of each validator.
const POWER: u64 = 1000;

/// Both networks of the same validators.
fn both(network: &Injective, nodes: &[usize]) -> Config {
    let evm = validators(network);
    let mut text = format!(
        "[[network]]\nname = \"{COMET}\"\nfamily = \"cometbft\"\nchain_id = \"{}\"\nblock_time = \"1s\"\n\
         missing_blocks = 10\nhalt_floor = \"10s\"\n",
        genesis::CHAIN
    );
    for i in nodes {
        let rpc = network.rpc(*i);
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "\n[[network.node]]\nname = \"c{i}\"\nurl = \"http://{rpc}\"\nws = \"ws://{rpc}/websocket\"\nrole = \"{}\"\n",
            if *i < VALIDATORS { "validator" } else { "rpc" }
        );
    }
    Config::default().network(CHAIN, Some(EVM_CHAIN_ID), "", &evm).section(&text)
}

fn asked(network: &Injective, i: usize, method: &str, params: &Value) -> Result<Value> {
    http::rpc(network.rpc(i), method, params)
}

fn number(value: &Value) -> Result<u64> {
    value.as_str().context("not a decimal string")?.parse().context("not a number")
}

fn live(daemon: &Haltwatch) -> Result<()> {
    wait::eventually("every node of both networks is live", Duration::from_secs(20), || {
        let scrape = daemon.scrape()?;
        let live = |name| scrape.whole("haltwatch_network_nodes", &[("network", name), ("state", "live")]);
        Ok((live(CHAIN)? == 4 && live(COMET)? == 4).then_some(()))
    })
}

/// What both faces of the validators say is what haltwatch shows; one gone is a risk, two frozen are a halt of both, and
/// all of it passes.
pub fn consensus_engines_are_watched_through_their_troubles(bench: &Bench, network: &mut Injective) -> Result<String> {
    let alertmanager = bench.alertmanager()?;
    let config = both(network, &[0, 1, 2, 3]).alertmanager(alertmanager.address);
    let daemon = bench.haltwatch(&config)?;
    live(&daemon)?;
    let compared = wait::eventually("the values are those of the nodes", Duration::from_secs(20), || {
        compare(&daemon, network).map(Some)
    })?;
    let alerts = daemon.alerts()?;
    ensure!(alerts.is_empty(), "a healthy network has alerts: {}", haltwatch::describe(&alerts));
    let risk = one_down(&daemon, network)?;
    let halt = two_frozen(&daemon, network)?;
    only_watchdog(&alertmanager, Duration::from_secs(50))?;
    Ok(format!("{compared} values equal; {risk}; {halt}"))
}

/// Compares what is shown of every consensus engine with what it answers; returns how many values were compared.
fn compare(daemon: &Haltwatch, network: &Injective) -> Result<usize> {
    let nodes = daemon.json("/api/v1/nodes")?;
    let nodes = nodes["data"]["nodes"].as_array().context("no nodes")?;
    let mut compared = 0;
    for i in 0..VALIDATORS {
        let shown = nodes.iter().find(|node| node["node"] == format!("c{i}")).context("a node is not listed")?;
        let facts = &shown["facts"];
        let status = asked(network, i, "status", &json!({}))?;
        let height = facts["height"].as_u64().context("no height")?;
        let newest = number(&status["sync_info"]["latest_block_height"])?;
        ensure!(height <= newest && newest <= height + 3, "height {height}, the node is at {newest}");
        let header = asked(network, i, "commit", &json!({ "height": height.to_string() }))?;
        let hash = header["signed_header"]["commit"]["block_id"]["hash"].as_str().context("no hash")?;
        let application = asked(network, i, "abci_info", &json!({}))?;
        let version = application["response"]["version"].as_str().context("no version")?;
        let peers = number(&asked(network, i, "net_info", &json!({}))?["n_peers"])?;
        for (what, equal) in [
            ("hash", facts["hash"].as_str() == Some(&format!("0x{}", hash.to_lowercase()))),
            ("chain id", facts["chain_id"] == status["node_info"]["network"]),
            ("version", facts["version"].as_str().is_some_and(|shown| shown.contains(version))),
            ("peers", facts["peers"].as_u64() == Some(peers)),
        ] {
            ensure!(equal, "{what} of c{i}: {facts}; the node says {status}");
            compared += 1;
        }
    }
    let scrape = daemon.scrape()?;
    let labels = [("network", COMET)];
    let margin = scrape.whole("haltwatch_network_quorum_margin", &labels)?;
    let tolerated = (VALIDATORS as u64 * POWER - 1) / 3;
    ensure!(margin == tolerated, "the margin is {margin}, {tolerated} of the power may go");
    let tips = [CHAIN, COMET].map(|name| scrape.whole("haltwatch_network_tip_height", &[("network", name)]));
    let [evm, comet] = tips;
    ensure!(evm?.abs_diff(comet?) <= 2, "the two faces are apart");
    Ok(compared + 2)
}

/// One validator killed: both of its faces are offline, and the margin is told in voting power.
fn one_down(daemon: &Haltwatch, network: &mut Injective) -> Result<String> {
    network.kill(3)?;
    let begin = Instant::now();
    for name in ["NodeOffline", "QuorumAtRisk"] {
        wait::eventually(&format!("{name} in both networks"), Duration::from_secs(35), || {
            let alerts = daemon.alerts()?;
            let told =
                |chain| alerts.iter().any(|it| it.name() == name && it.label("network") == chain && it.is_announced());
            ensure!(alerts.iter().all(|it| it.name() != "NetworkHalted"), "a halt with one of four gone");
            Ok((told(CHAIN) && told(COMET)).then_some(()))
        })?;
    }
    let took = begin.elapsed();
    let margin = daemon.scrape()?.whole("haltwatch_network_quorum_margin", &[("network", COMET)])?;
    ensure!(margin == 333, "one of four is gone, and the margin is {margin}");
    network.heal()?;
    Ok(format!("one down: told after {took:.1?}, margin {margin}"))
}

/// Two validators frozen, whose peers go on counting them: a halt of both networks in time, over when they are back.
fn two_frozen(daemon: &Haltwatch, network: &mut Injective) -> Result<String> {
    network.freeze(2)?;
    network.freeze(3)?;
    let begin = Instant::now();
    for chain in [CHAIN, COMET] {
        wait::eventually(&format!("{chain} is found halted"), 2 * THRESHOLD, || {
            let alerts = daemon.alerts()?;
            Ok(alerts.iter().any(|it| it.name() == "NetworkHalted" && it.label("network") == chain).then_some(()))
        })?;
    }
    let found = begin.elapsed();
    ensure!(found <= THRESHOLD + 4 * INTERVAL, "found only after {found:.1?}");
    let peers = number(&asked(network, 0, "net_info", &json!({}))?["n_peers"])?;
    network.heal()?;
    daemon.clears("NetworkHalted", Duration::from_secs(30))?;
    Ok(format!("two frozen with {peers} peers: halt found after {found:.1?}"))
}

/// A node that knows nobody is starting; with friends it syncs, and since it holds the key of a validator, both sign.
pub fn a_late_node_and_a_double_sign_are_told(bench: &Bench) -> Result<String> {
    let mut network = bench.own_validators()?;
    let twin = network.twin()?;
    let daemon = bench.haltwatch(&both(&network, &[0, 1, 2, 3, twin]))?;
    live(&daemon)?;
    let name = format!("c{twin}");
    in_state(&daemon, &name, "starting")?;
    network.befriend(twin)?;
    let signed = wait::eventually("DoubleSign fires", Duration::from_secs(60), || {
        let alerts = daemon.alerts()?;
        Ok(alerts.into_iter().find(|alert| alert.name() == "DoubleSign"))
    })?;
    ensure!(signed.label("network") == COMET, "told of {}", signed.label("network"));
    let status = asked(&network, VALIDATORS - 1, "status", &json!({}))?;
    let address = status["validator_info"]["address"].as_str().context("no address")?;
    let told = signed.annotations.values().any(|text| text.contains(address));
    ensure!(told, "{:?} does not name {address}", signed.annotations);
    let alerts = daemon.alerts()?;
    ensure!(alerts.iter().all(|it| it.name() != "NetworkHalted"), "{}", haltwatch::describe(&alerts));
    let begin = Instant::now();
    wait::eventually("the double signer has no power any more", Duration::from_secs(30), || {
        let status = asked(&network, 0, "validators", &json!({}))?;
        let listed = status["validators"].as_array().context("no validators")?;
        Ok(listed.iter().all(|validator| validator["address"] != address).then_some(()))
    })?;
    Ok(format!(
        "starting at height 0; DoubleSign names {address}, which is a validator no more {:.1?} later",
        begin.elapsed()
    ))
}

fn in_state(daemon: &Haltwatch, node: &str, state: &str) -> Result<()> {
    wait::eventually(&format!("{node} is {state}"), Duration::from_secs(20), || {
        let labels = [("node", node), ("state", state)];
        Ok((daemon.scrape()?.value("haltwatch_node_state", &labels) == Some(1.0)).then_some(()))
    })
}
