//! The halt of a real network, made by taking away half of its validators: nothing is simulated. The times are counted
//! from the last block as an independent watcher of validator 0 saw it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{CHAIN, api, only_watchdog, validators};
use crate::{
    alertmanager::{Alertmanager, Listed},
    bench::Bench,
    haltwatch::{Config, GRACE, Haltwatch, INTERVAL, THRESHOLD},
    harness::{
        wait,
        watcher::{LOOK, Watcher, quantity},
    },
    injective::{EVM_CHAIN_ID, Injective, VALIDATORS},
};

/// How long Alertmanager may take to show what haltwatch has found.
const DELIVERY: Duration = Duration::from_secs(1);

/// By now the missing nodes themselves have become findings: `offline_after` of the configuration, one time-out, one
/// poll and some air.
const NODES_GONE: Duration = Duration::from_secs(18);

/// Everything that watches one halt.
struct Scene {
    alertmanager: Alertmanager,
    watcher: Watcher,
    daemon: Haltwatch,
}

/// Two of four validators stopped.
pub fn a_loss_of_quorum_is_found_in_time_and_resolves(bench: &Bench, network: &mut Injective) -> Result<String> {
    let scene = Scene::healthy(bench, network)?;
    network.kill(3)?;
    network.stop(2)?;
    let begin = Instant::now();
    let found = scene.found_in_time()?;
    scene.nodes_stay_muted(begin)?;
    let back = scene.resolves(network)?;
    Ok(format!("{found}; {back}"))
}

/// Two of four validators frozen.
pub fn frozen_validators_are_a_halt_although_their_peers_look_fine(
    bench: &Bench,
    network: &mut Injective,
) -> Result<String> {
    let scene = Scene::healthy(bench, network)?;
    network.freeze(2)?;
    network.freeze(3)?;
    let begin = Instant::now();
    wait::pass(Duration::from_secs(5));
    let peers = quantity(&network.call(0, "net_peerCount", &json!([]))?)?;
    ensure!(peers == VALIDATORS as u64 - 1, "the peers do not look fine: {peers}");
    let found = scene.found_in_time()?;
    scene.nodes_stay_muted(begin)?;
    let back = scene.resolves(network)?;
    Ok(format!("peers {peers}; {found}; {back}"))
}

/// The network stands still when haltwatch starts. The API is looked at while it does.
pub fn a_halt_older_than_the_monitor_is_found_at_once(bench: &Bench, network: &mut Injective) -> Result<String> {
    let watcher = Watcher::start(network.evm(0));
    network.kill(2)?;
    network.kill(3)?;
    wait::eventually("blocks are missing", 3 * THRESHOLD, || {
        Ok((THRESHOLD + 3 * INTERVAL < watcher.last()?.at.elapsed()).then_some(()))
    })?;
    let alertmanager = bench.alertmanager()?;
    let begin = Instant::now();
    let daemon = bench.haltwatch(&config(network, &alertmanager))?;
    let found = daemon.fires("NetworkHalted", THRESHOLD)?.duration_since(begin);
    ensure!(found <= 4 * INTERVAL, "found only {found:.2?} after the start");
    let shapes = api::every_shape_makes_sense_while_halted(&daemon)?;
    let scene = Scene { alertmanager, watcher, daemon };
    let back = scene.resolves(network)?;
    Ok(format!("found {found:.2?} after the start of the process; {shapes}; {back}"))
}

/// `kill -9` while the network stands still: whoever was called is not called again, and the incident has not begun anew.
pub fn a_monitor_that_is_killed_in_a_halt_comes_back_to_the_same_incident(
    bench: &Bench,
    network: &mut Injective,
) -> Result<String> {
    let mut scene = Scene::healthy(bench, network)?;
    network.kill(3)?;
    network.stop(2)?;
    scene.found_in_time()?;
    let (before, active_at) = (scene.incident()?, scene.daemon.active_at("NetworkHalted")?);
    scene.daemon.kill()?;
    scene.daemon.start_again()?;
    let found = scene.daemon.fires("NetworkHalted", THRESHOLD)?;
    let goes_on = scene.daemon.active_at("NetworkHalted")?;
    ensure!(goes_on == active_at, "began {goes_on} instead of {active_at}");
    // It is told again once it is found anew: what is over by now must call nobody.
    let again = wait::eventually("Alertmanager is told of it again", THRESHOLD, || {
        let incident = scene.incident()?;
        Ok((incident.updated_at != before.updated_at).then_some(incident))
    })?;
    ensure!(
        (&again.fingerprint, &again.starts_at) == (&before.fingerprint, &before.starts_at),
        "{again:?} is not {before:?}"
    );
    let told = found.elapsed();
    let back = scene.resolves(network)?;
    Ok(format!("same start, and same fingerprint in Alertmanager {told:.2?} after it went on; {back}"))
}

fn config(network: &Injective, alertmanager: &Alertmanager) -> Config {
    Config::default().alertmanager(alertmanager.address).network(CHAIN, Some(EVM_CHAIN_ID), "", &validators(network))
}

impl Scene {
    /// A haltwatch that has seen the network healthy.
    fn healthy(bench: &Bench, network: &Injective) -> Result<Self> {
        let alertmanager = bench.alertmanager()?;
        let watcher = Watcher::start(network.evm(0));
        let daemon = bench.haltwatch(&config(network, &alertmanager))?;
        wait::eventually("haltwatch sees the network live", Duration::from_secs(10), || {
            let live = daemon.scrape()?.whole("haltwatch_network_nodes", &[("state", "live")])?;
            Ok((live == 4).then_some(()))
        })?;
        wait::pass(3 * INTERVAL);
        Ok(Self { alertmanager, watcher, daemon })
    }

    /// `NetworkHalted` comes neither early nor late, and is in Alertmanager within a second.
    fn found_in_time(&self) -> Result<String> {
        let fired = self.daemon.fires("NetworkHalted", 3 * THRESHOLD)?;
        let late = fired.duration_since(self.watcher.last()?.at);
        ensure!(THRESHOLD <= late + 2 * LOOK, "fired {late:.2?} after the last block: too early");
        ensure!(late <= THRESHOLD + INTERVAL + GRACE, "fired {late:.2?} after the last block: too late");
        let delivered = self.delivered_since(fired)?;
        ensure!(
            self.daemon.scrape()?.whole("haltwatch_network_halted", &[("reason", "blocks_missing")])? == 1,
            "not in the metrics"
        );
        Ok(format!("fired {late:.2?} after the last block, in Alertmanager {delivered:.2?} later"))
    }

    /// The halt as Alertmanager knows it: there is one.
    fn incident(&self) -> Result<Listed> {
        let mut halts = self.alertmanager.named("NetworkHalted")?;
        ensure!(halts.len() == 1, "{halts:?}");
        halts.pop().context("no halt")
    }

    fn delivered_since(&self, fired: Instant) -> Result<Duration> {
        wait::until(DELIVERY, Duration::from_millis(10), || {
            self.alertmanager.named("NetworkHalted").ok().filter(|alerts| !alerts.is_empty())
        })
        .context("NetworkHalted is not in Alertmanager")?;
        let listed = fired.elapsed();
        let names = self.alertmanager.amtool_query()?;
        ensure!(names.iter().any(|name| name == "NetworkHalted"), "amtool lists only {names:?}");
        ensure!(fired.elapsed() <= DELIVERY, "amtool lists it only after {:.2?}", fired.elapsed());
        Ok(listed)
    }

    /// What follows from the halt is shown, but announced to nobody.
    fn nodes_stay_muted(&self, begin: Instant) -> Result<()> {
        wait::eventually("NodeOffline of two validators is shown as muted", NODES_GONE, || {
            let scrape = self.daemon.scrape()?;
            let muted = scrape.all("haltwatch_alert", &[("alertname", "NodeOffline"), ("state", "muted")]).count();
            Ok((muted == 2).then_some(()))
        })?;
        let margin = self.daemon.scrape()?.must("haltwatch_network_quorum_margin", &[])?;
        ensure!(margin < 0.0, "two of four are offline, and the quorum margin is {margin}");
        wait::pass(NODES_GONE.saturating_sub(begin.elapsed()));
        for alert in self.alertmanager.alerts()? {
            let name = alert.label("alertname");
            ensure!(["Watchdog", "NetworkHalted"].contains(&name), "{name} was announced during the halt");
        }
        Ok(())
    }

    /// The validators come back; the alert ends after enough blocks, here and in Alertmanager, and nothing else is told.
    fn resolves(&self, network: &mut Injective) -> Result<String> {
        let still = self.watcher.last()?.height;
        network.heal()?;
        let cleared = self.daemon.clears("NetworkHalted", Duration::from_secs(30))?;
        let blocks = self.daemon.scrape()?.whole("haltwatch_network_tip_height", &[])?.saturating_sub(still);
        // The others may tell haltwatch of a block before the watched one has it.
        let seen = self.watcher.last()?.height - still;
        ensure!(5 <= blocks && blocks <= seen + 1, "resolved after {blocks} blocks, of which {seen} were seen");
        only_watchdog(&self.alertmanager, Duration::from_secs(10))?;
        let told = cleared.elapsed();
        Ok(format!("resolved after {blocks} new blocks, Alertmanager empty {told:.2?} later"))
    }
}
