//! The way of an alert to people: haltwatch finds a real halt, the real Alertmanager runs with the shipped example, and
//! everybody who is to be told is played by a recorder. Only addresses and secrets of the example are replaced.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{DEVNET, DEVNET_CHAIN_ID};
use crate::{
    alertmanager::Alertmanager,
    bench::Bench,
    haltwatch::{Config, Haltwatch, Node, THRESHOLD},
    harness::{
        http,
        recorder::{Recorder, Told},
        wait,
    },
};

/// Who is told of an L1: the name of the way, what it is posted to, and whether the end is told there too.
const P0: [(&str, &str, bool); 8] = [
    ("phone", "/prometheusalert?type=alydh", false),
    ("SMS", "/prometheusalert?type=alydx", true),
    ("pager", "/v2/enqueue", true),
    ("mail", "mail", true),
    ("Slack", "/slack", true),
    ("WeCom", "/prometheusalert?type=wx", true),
    ("DingTalk", "/prometheusalert?type=dd", true),
    ("Feishu", "/prometheusalert?type=fs", true),
];

/// Where the dead man's switches are pulled.
const PING: &str = "/ping/haltwatch";

/// The name of another monitor and of its node.
const SECOND: &str = "second-monitor";

/// By now an alert of priority P1 would have been told: its `group_wait`, and some air.
const P1_WAIT: Duration = Duration::from_secs(12);

/// How long everybody may take to be told.
const SECONDS: Duration = Duration::from_secs(5);

/// The all-clear and the pings wait for the next turn of their group: half a minute, and some air.
const TURN: Duration = Duration::from_secs(50);

/// What the engine mutes, alert by alert (`engine/inhibit.rs`), and one at least that it does not.
const MUTED: [(&str, &[&str], &[&str]); 8] = [
    (
        "NetworkHalted",
        &[
            "NetworkUnreachable",
            "NodeOffline",
            "NodeStalled",
            "NodeLagging",
            "NodeForked",
            "NodeLowPeers",
            "NodeSyncing",
            "NodeSlow",
            "NodeErrors",
            "HeightRegression",
            "NetworkStandsStill",
            "FinalityStalled",
            "QuorumAtRisk",
            "BlocksSlow",
            "ConsensusStruggling",
            "TransactionBacklog",
            "EmptyBlocks",
            "UnusualTraffic",
        ],
        &["NodeClockSkew", "NetworkSplit", "DeepReorg", "DoubleSign", "PlannedHalt"],
    ),
    (
        "NetworkUnreachable",
        &[
            "NodeOffline",
            "NodeStalled",
            "NodeLagging",
            "NodeForked",
            "NodeLowPeers",
            "NodeSyncing",
            "NodeSlow",
            "NodeErrors",
            "FinalityStalled",
            "QuorumAtRisk",
            "BlocksSlow",
            "ConsensusStruggling",
            "TransactionBacklog",
            "EmptyBlocks",
            "UnusualTraffic",
        ],
        &["NetworkHalted", "HeightRegression", "NetworkSplit"],
    ),
    (
        "PlannedHalt",
        &[
            "NetworkUnreachable",
            "NodeOffline",
            "NodeStalled",
            "NodeLagging",
            "NodeLowPeers",
            "NodeSyncing",
            "NodeSlow",
            "NodeErrors",
            "FinalityStalled",
            "QuorumAtRisk",
            "BlocksSlow",
            "ConsensusStruggling",
            "TransactionBacklog",
            "EmptyBlocks",
            "UnusualTraffic",
        ],
        &["NetworkHalted", "NodeForked", "HeightRegression"],
    ),
    (
        "NetworkSplit",
        &["NodeForked", "NodeStalled", "NodeLagging", "HeightRegression"],
        &["NodeOffline", "NetworkHalted"],
    ),
    (
        "NodeOffline",
        &[
            "NodeWrongChain",
            "NodeForked",
            "NodeStalled",
            "NodeLagging",
            "NodeSyncing",
            "NodeLowPeers",
            "NodeSlow",
            "NodeErrors",
            "NodeRateLimited",
            "NodeUnauthorized",
            "NodeClockSkew",
            "HeightRegression",
        ],
        &["NetworkHalted"],
    ),
    ("NodeStalled", &["NodeLagging", "NodeSyncing"], &["NodeForked", "NodeLowPeers"]),
    (
        "NodeWrongChain",
        &["NodeForked", "NodeStalled", "NodeLagging", "NodeSyncing", "NodeLowPeers", "HeightRegression"],
        &["NodeSlow", "NodeErrors", "NodeClockSkew"],
    ),
    ("MonitorIsolated", &["NodeOffline", "NodeSlow", "NetworkUnreachable"], &["NetworkHalted"]),
];

/// A halt is told to all and once, its nodes are not, its end is, and the dead man's switch is pulled all the while.
pub fn a_halt_reaches_everybody_who_is_to_be_woken(bench: &Bench) -> Result<String> {
    let recorder = Recorder::start()?;
    let alertmanager = bench.alertmanager_with(|folder| example(folder, &recorder))?;
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let nodes = [Node::rpc("one", anvil.address)];
    let config =
        Config::default().alertmanager(alertmanager.address).network(DEVNET, Some(DEVNET_CHAIN_ID), "", &nodes);
    let daemon = bench.haltwatch(&config)?;
    wait::eventually("the network is live", SECONDS, || {
        Ok((daemon.scrape()?.whole("haltwatch_network_nodes", &[("state", "live")])? == 1).then_some(()))
    })?;
    http::rpc(anvil.address, "evm_setIntervalMining", &json!([0]))?;
    let fired = daemon.fires("NetworkHalted", 3 * THRESHOLD)?;
    let told = everybody_is_told(&recorder, fired)?;
    the_link_opens(&recorder, &daemon)?;
    let hidden = the_nodes_are_muted(&alertmanager, &recorder)?;
    http::rpc(anvil.address, "evm_setIntervalMining", &json!([1]))?;
    daemon.clears("NetworkHalted", 3 * THRESHOLD)?;
    let cleared = everybody_is_told_of_the_end(&recorder)?;
    let every = the_switch_is_pulled_again(&recorder)?;
    Ok(format!(
        "eight ways told within {told:.2?} of the verdict, of the end within {cleared:.1?}; {hidden}; \
         the dead man's switch was pulled after {every:.1?}"
    ))
}

/// Alertmanager mutes exactly what the engine mutes.
pub fn the_shipped_example_mutes_what_haltwatch_mutes(bench: &Bench) -> Result<String> {
    let recorder = Recorder::start()?;
    let alertmanager = bench.alertmanager_with(|folder| example(folder, &recorder))?;
    let pairs: Vec<(&str, &str, bool)> = MUTED
        .iter()
        .flat_map(|(source, muted, loud)| {
            let muted = muted.iter().map(|name| (*source, *name, true));
            muted.chain(loud.iter().map(|name| (*source, *name, false)))
        })
        .collect();
    let both = |(source, name, _): &(&str, &str, bool)| {
        // Each pair has a network and a monitor of its own: nobody else mutes or is muted there.
        let place = format!("{source}-{name}");
        [alert(source, &place), alert(name, &place), alert(name, &format!("beside-{place}"))]
    };
    alertmanager.push(&Value::from(pairs.iter().flat_map(both).collect::<Vec<_>>()))?;
    // Alertmanager judges what it was sent a moment later.
    wait::eventually("Alertmanager judges as the engine does", Duration::from_secs(15), || {
        let faults = faults(&pairs, &alertmanager.with_inhibited()?);
        ensure!(faults.is_empty(), "{}", faults.join("; "));
        Ok(Some(()))
    })?;
    Ok(format!("{} pairs of alerts judged as by the engine", pairs.len()))
}

/// The alerts that are muted and should not be, and those that should be and are not.
fn faults(pairs: &[(&str, &str, bool)], listed: &[Value]) -> Vec<String> {
    let is_muted = |name: &str, place: &str| {
        let shown = listed.iter().find(|it| it["labels"]["alertname"] == name && it["labels"]["network"] == place);
        shown.map(|shown| shown["status"]["state"] == "suppressed")
    };
    let mut faults = Vec::new();
    for (source, name, wanted) in pairs {
        let place = format!("{source}-{name}");
        for (place, wanted) in [(place.clone(), *wanted), (format!("beside-{place}"), false)] {
            let found = is_muted(name, &place);
            if found != Some(wanted) {
                faults.push(format!("{name} in {place}: muted {found:?}, wanted {wanted}"));
            }
        }
    }
    faults
}

fn alert(name: &str, place: &str) -> Value {
    json!({"labels": {"alertname": name, "network": place, "node": "n", "monitor": place, "priority": "P3"}})
}

/// The example as it is shipped, with addresses and secrets of the recorder in `folder`.
fn example(folder: &Path, recorder: &Recorder) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts");
    let secrets = folder.join("secrets");
    let http = format!("http://{}", recorder.http);
    fs::create_dir_all(&secrets)?;
    fs::write(secrets.join("slack-url"), format!("{http}/slack"))?;
    fs::write(secrets.join("pagerduty-key"), "key")?;
    let mut text = fs::read_to_string(root.join("alertmanager.yml.example"))?;
    for (shipped, here) in [
        ("/etc/alertmanager/secrets", secrets.display().to_string()),
        ("/etc/alertmanager/templates", root.join("templates").display().to_string()),
        ("https://events.pagerduty.com", http.clone()),
        ("https://dead-man.example.org", http.clone()),
        ("http://127.0.0.1:8080", http),
        ("smtp_smarthost: 127.0.0.1:25", format!("smtp_smarthost: {}", recorder.smtp)),
    ] {
        ensure!(text.contains(shipped), "{shipped} is not in the example");
        text = text.replace(shipped, &here);
    }
    Ok(text)
}

/// All ways are told, quickly; returns how quickly.
fn everybody_is_told(recorder: &Recorder, fired: Instant) -> Result<Duration> {
    let mut last = fired;
    for (name, to, _) in P0 {
        let told = wait::eventually(name, SECONDS, || Ok(about_the_halt(recorder, to).into_iter().next()));
        let told = told.with_context(|| {
            let so_far: Vec<_> = recorder.told("").into_iter().map(|told| told.to).collect();
            format!("told so far: {so_far:?}")
        })?;
        ensure!(told.body.contains(DEVNET), "{name} is not told which network: {}", told.body);
        last = last.max(told.at);
    }
    Ok(last.saturating_duration_since(fired))
}

fn everybody_is_told_of_the_end(recorder: &Recorder) -> Result<Duration> {
    let begin = Instant::now();
    for (name, to, _) in P0.into_iter().filter(|(.., end)| *end) {
        wait::eventually(name, TURN, || {
            let end = |told: &Told| ["resolved", "RESOLVED", "resolve"].iter().any(|word| told.body.contains(word));
            Ok(about_the_halt(recorder, to).into_iter().find(end).map(drop))
        })
        .context("the end is not told")?;
    }
    Ok(begin.elapsed())
}

/// What was told to anybody that speaks of `word`.
fn about(recorder: &Recorder, word: &str) -> Vec<Told> {
    recorder.told("").into_iter().filter(|told| told.body.contains(word)).collect()
}

fn about_the_halt(recorder: &Recorder, to: &str) -> Vec<Told> {
    recorder.told(to).into_iter().filter(|told| told.body.contains("NetworkHalted")).collect()
}

/// What the woken person clicks on opens.
fn the_link_opens(recorder: &Recorder, daemon: &Haltwatch) -> Result<()> {
    let told = about_the_halt(recorder, P0[1].1).into_iter().next().context("no SMS")?;
    let message: Value = serde_json::from_str(&told.body)?;
    let url = message["alerts"][0]["annotations"]["runbook_url"].as_str().context("no runbook_url")?.to_owned();
    let path = url.strip_prefix(&format!("http://{}", daemon.address)).with_context(|| format!("it leads to {url}"))?;
    let page = http::get(daemon.address, path, &[])?.ok()?;
    ensure!(page.text()?.contains("<h1>NetworkHalted</h1>"), "{url} is another page");
    Ok(())
}

/// Another monitor, which did not see the halt, tells of nodes of the halted network: nobody hears of it meanwhile.
fn the_nodes_are_muted(alertmanager: &Alertmanager, recorder: &Recorder) -> Result<String> {
    let names = ["NodeOffline", "NodeStalled"];
    for name in names {
        alertmanager.amtool_add(&[
            name,
            &format!("network={DEVNET}"),
            &format!("node={SECOND}"),
            &format!("monitor={SECOND}"),
            "priority=P1",
            "level=L2",
        ])?;
    }
    let listed = alertmanager.with_inhibited()?;
    let of_the_second = listed.iter().filter(|alert| alert["labels"]["node"] == SECOND);
    let muted = of_the_second.filter(|alert| alert["status"]["state"] == "suppressed").count();
    ensure!(muted == names.len(), "{muted} of {} node alerts of the halted network are muted", names.len());
    wait::pass(P1_WAIT);
    let told = about(recorder, SECOND);
    ensure!(told.is_empty(), "{} messages are about nodes of the halted network", told.len());
    Ok(format!("{muted} node alerts of a second monitor muted"))
}

/// The switch is pulled again and again; returns the time between the first two pulls.
fn the_switch_is_pulled_again(recorder: &Recorder) -> Result<Duration> {
    let pulls = wait::eventually("the dead man's switch is pulled twice", TURN, || {
        Ok(Some(recorder.told(PING)).filter(|pulls| 2 <= pulls.len()))
    })?;
    ensure!(pulls.iter().all(|told| told.body.contains("Watchdog")), "something else keeps it quiet");
    Ok(pulls[1].at.duration_since(pulls[0].at))
}
