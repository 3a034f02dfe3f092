//! A subscription makes the monitor faster, and its loss must cost nothing but that. A relay between haltwatch and a
//! real node forgets or closes the connection without a farewell; then the node itself is killed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{DEVNET, DEVNET_CHAIN_ID};
use crate::{
    bench::Bench,
    haltwatch::{self, Config, Haltwatch, Node},
    harness::{relay::Relay, wait, watcher::Watcher},
};

/// Polls come this seldom here, so that what is faster must come from the subscription.
const SLOW_POLL: Duration = Duration::from_secs(5);

/// Within this time a loss must be noticed and the subscription made again.
const REMADE: Duration = Duration::from_secs(25);

/// Lost in silence, lost by closing, lost with the node: noticed each time, polled on meanwhile, made again.
pub fn a_lost_subscription_is_noticed_and_made_again(bench: &Bench) -> Result<String> {
    let mut anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let relay = Relay::start(anvil.address)?;
    let more = format!("ws = \"ws://{}\"\ninterval = \"{}s\"", relay.address(), SLOW_POLL.as_secs());
    let nodes = [Node::rpc("subscribed", anvil.address).with(&more)];
    let daemon = bench.haltwatch(&Config::default().network(DEVNET, Some(DEVNET_CHAIN_ID), "", &nodes))?;
    wait::eventually("notifications come", REMADE, || Ok((3 <= relay.notifications()).then_some(())))?;
    let watcher = Watcher::start(anvil.address);
    let fast = slowest_rise(&daemon, &watcher, Duration::from_secs(6))?;
    ensure!(
        fast < Duration::from_secs(1),
        "a block is shown only {fast:.2?} after it was made, in spite of the subscription"
    );
    relay.silence();
    let silent = remade(&daemon, &relay, &watcher).context("lost in silence")?;
    relay.close();
    let closed = remade(&daemon, &relay, &watcher).context("closed without a farewell")?;
    let address = anvil.address;
    anvil.process.kill()?;
    drop(watcher);
    let anvil = bench.anvil_on("anvil-again", address, DEVNET_CHAIN_ID)?;
    let killed = resubscribed(&relay).context("the node was killed")?;
    drop(anvil);
    Ok(format!(
        "a block is shown within {fast:.2?} at polls every {SLOW_POLL:?}; made again {silent:.1?} after silence, \
         {closed:.1?} after a close, {killed:.1?} after kill -9 and a restart"
    ))
}

/// Waits for a new connection that carries notifications. Meanwhile the height goes on rising, by polls.
fn remade(daemon: &Haltwatch, relay: &Relay, watcher: &Watcher) -> Result<Duration> {
    let begin = Instant::now();
    let took = resubscribed(relay)?;
    ensure!(watcher.last()?.at.elapsed() < Duration::from_secs(3), "the node itself stands still");
    let rest = (SLOW_POLL + Duration::from_secs(2)).saturating_sub(begin.elapsed());
    let stuck = slowest_rise(daemon, watcher, rest.max(Duration::from_secs(3)))?;
    ensure!(stuck < SLOW_POLL + Duration::from_secs(1), "a block is shown only after {stuck:.1?}");
    let alerts = daemon.alerts()?;
    ensure!(alerts.is_empty(), "the loss of a subscription alarms: {}", haltwatch::describe(&alerts));
    Ok(took)
}

fn resubscribed(relay: &Relay) -> Result<Duration> {
    let (begin, connections) = (Instant::now(), relay.connections());
    wait::eventually("a new connection", REMADE, || Ok((connections < relay.connections()).then_some(())))?;
    let notifications = relay.notifications();
    wait::eventually("new notifications", REMADE, || Ok((notifications + 1 < relay.notifications()).then_some(())))?;
    Ok(begin.elapsed())
}

/// The longest time within `span` between the arrival of a block at the node and its height in the metrics.
fn slowest_rise(daemon: &Haltwatch, watcher: &Watcher, span: Duration) -> Result<Duration> {
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    while begin.elapsed() < span {
        wait::pass(Duration::from_millis(20));
        let shown = daemon.scrape()?.whole("haltwatch_node_height", &[])?;
        let missing = watcher.arrivals().into_iter().find(|arrival| shown < arrival.height);
        slowest = slowest.max(missing.map_or(Duration::ZERO, |arrival| arrival.at.elapsed()));
    }
    Ok(slowest)
}
