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
    wait::eventually("notifications come, and a first poll", REMADE, || {
        Ok((3 <= relay.notifications() && daemon.scrape()?.value("haltwatch_node_height", &[]).is_some()).then_some(()))
    })?;
    let watcher = Watcher::start(anvil.address);
    let begin = Instant::now();
    let fast = slowest_rise(&daemon, &watcher, || begin.elapsed() < Duration::from_secs(6))?;
    ensure!(
        fast < Duration::from_secs(1),
        "a block is shown only {fast:.2?} after it was made, in spite of the subscription"
    );
    let loss = Loss::now(&relay);
    relay.silence();
    let silent = loss.is_made_good(&daemon, &watcher).context("lost in silence")?;
    let loss = Loss::now(&relay);
    relay.close();
    let closed = loss.is_made_good(&daemon, &watcher).context("closed without a farewell")?;
    drop(watcher);
    let loss = Loss::now(&relay);
    anvil.process.kill()?;
    // Lives to the end of the scenario.
    let _anvil = bench.anvil_on("anvil-again", anvil.address, DEVNET_CHAIN_ID)?;
    let killed = wait::eventually("subscribed to the new node", REMADE, || Ok(loss.time_to_resubscribe()))?;
    Ok(format!(
        "a block is shown at most {fast:.2?} after the watcher saw it, at polls every {SLOW_POLL:?}; made again {silent:.1?} after silence, \
         {closed:.1?} after a close, {killed:.1?} after kill -9 and a restart"
    ))
}

/// What the relay had counted when a connection was lost, and when that was.
struct Loss<'a> {
    relay: &'a Relay,
    at: Instant,
    connections: u64,
    notifications: u64,
}

impl<'a> Loss<'a> {
    /// To be called just before the loss.
    fn now(relay: &'a Relay) -> Self {
        Self { relay, at: Instant::now(), connections: relay.connections(), notifications: relay.notifications() }
    }

    /// Waits for a new connection that carries notifications. Meanwhile the height goes on rising, by polls.
    fn is_made_good(&self, daemon: &Haltwatch, watcher: &Watcher) -> Result<Duration> {
        let mut took = None;
        let stuck = slowest_rise(daemon, watcher, || {
            took = took.or_else(|| self.time_to_resubscribe());
            let elapsed = self.at.elapsed();
            elapsed < SLOW_POLL + Duration::from_secs(2) || (took.is_none() && elapsed < REMADE)
        })?;
        ensure!(stuck < SLOW_POLL + Duration::from_secs(1), "a block is shown only after {stuck:.1?}");
        let took = took.with_context(|| format!("not subscribed again within {REMADE:?}"))?;
        let alerts = daemon.alerts()?;
        ensure!(alerts.is_empty(), "the loss of a subscription alarms: {}", haltwatch::describe(&alerts));
        Ok(took)
    }

    /// How long it took, once there is a new connection and it carries notifications: the second since the loss, for
    /// one may have been on its way.
    fn time_to_resubscribe(&self) -> Option<Duration> {
        let is_new = self.connections < self.relay.connections();
        (is_new && self.notifications + 1 < self.relay.notifications()).then(|| self.at.elapsed())
    }
}

/// The longest time, while `goes_on`, between the arrival of a block at the node and its height in the metrics.
fn slowest_rise(daemon: &Haltwatch, watcher: &Watcher, mut goes_on: impl FnMut() -> bool) -> Result<Duration> {
    let mut slowest = Duration::ZERO;
    while goes_on() {
        wait::pass(Duration::from_millis(20));
        let shown = daemon.scrape()?.whole("haltwatch_node_height", &[])?;
        let missing = watcher.arrivals().into_iter().find(|arrival| shown < arrival.height);
        slowest = slowest.max(missing.map_or(Duration::ZERO, |arrival| arrival.at.elapsed()));
    }
    Ok(slowest)
}
