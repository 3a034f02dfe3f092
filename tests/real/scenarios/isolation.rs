//! The monitor itself is cut off. The route to everything it knows is taken away for real, which needs the network
//! namespace of the run: a port that is merely closed refuses connections, and a refusal is a sign of life.

use std::{
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{DEVNET, DEVNET_CHAIN_ID, only_watchdog};
use crate::{
    bench::Bench,
    haltwatch::{self, Alert, Config, Node},
    harness::{
        namespace::{self, Cut, FAR},
        port, wait,
    },
};

/// `isolated_after` of this scenario.
const ISOLATED_AFTER: Duration = Duration::from_secs(5);

/// The cut lasts longer than any threshold of the configuration: by then a monitor that does not know better calls
/// the network halted and its nodes offline.
const CUT: Duration = Duration::from_secs(25);

/// Nodes and canaries go silent together: that is the monitor's trouble and nobody else's.
pub fn a_cut_off_monitor_accuses_nobody_but_itself(bench: &Bench) -> Result<String> {
    ensure!(namespace::inside(), "no route can be cut here: this needs `unshare --net` and `ip`");
    let anvils = [
        bench.anvil_on("anvil-1", port::free_on(FAR), DEVNET_CHAIN_ID)?,
        bench.anvil_on("anvil-2", port::free_on(FAR), DEVNET_CHAIN_ID + 1)?,
    ];
    let alertmanager = bench.alertmanager()?;
    let keys = format!(
        "canaries = [\"{}\"]\ncanary_interval = \"1s\"\ncanary_timeout = \"1s\"\nisolated_after = \"5s\"",
        canary()?
    );
    let daemon = bench.haltwatch(
        &Config::default()
            .monitor(&keys)
            .alertmanager(alertmanager.address)
            .network(DEVNET, Some(DEVNET_CHAIN_ID), "", &[Node::validator("a", anvils[0].address)])
            .network("other", Some(DEVNET_CHAIN_ID + 1), "", &[Node::validator("b", anvils[1].address)]),
    )?;
    wait::pass(Duration::from_secs(4));
    let cut = Cut::make()?;
    let begin = Instant::now();
    let found = daemon.fires("MonitorIsolated", 4 * ISOLATED_AFTER)?.duration_since(begin);
    while begin.elapsed() < CUT {
        let announced: Vec<_> = daemon.alerts()?.into_iter().filter(Alert::is_announced).collect();
        let alone = announced.iter().all(|alert| alert.name() == "MonitorIsolated");
        ensure!(alone, "others are accused: {}", haltwatch::describe(&announced));
        wait::pass(Duration::from_millis(100));
    }
    let told: Vec<_> = alertmanager.alerts()?.iter().map(|alert| alert.label("alertname").to_owned()).collect();
    ensure!(told.iter().all(|name| ["Watchdog", "MonitorIsolated"].contains(&name.as_str())), "announced: {told:?}");
    ensure!(told.iter().any(|name| name == "MonitorIsolated"), "MonitorIsolated was not announced");
    drop(cut);
    let mended = Instant::now();
    let cleared = daemon.clears("MonitorIsolated", Duration::from_secs(20))?.duration_since(mended);
    wait::pass(Duration::from_secs(5));
    let left = daemon.alerts()?;
    ensure!(left.is_empty(), "after it was mended: {}", haltwatch::describe(&left));
    only_watchdog(&alertmanager, Duration::from_secs(5))?;
    Ok(format!("MonitorIsolated alone after {found:.1?} for {CUT:?}; gone {cleared:.1?} after the mending"))
}

/// A listener that takes connections, as a gateway would, until the run ends.
fn canary() -> Result<SocketAddr> {
    let listener = TcpListener::bind(port::free_on(FAR))?;
    let address = listener.local_addr()?;
    thread::spawn(move || while listener.accept().is_ok() {});
    Ok(address)
}
