//! The monitor itself is cut off: a real missing route where the machine allows it, else everything it knows frozen and
//! closed at once.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{DEVNET, DEVNET_CHAIN_ID, only_watchdog};
use crate::{
    anvil::Anvil,
    bench::Bench,
    haltwatch::{self, Config, Node},
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
    let host = if namespace::inside() { FAR } else { Ipv4Addr::LOCALHOST };
    let anvils = [
        bench.anvil_on("anvil-1", port::free_on(host), DEVNET_CHAIN_ID)?,
        bench.anvil_on("anvil-2", port::free_on(host), DEVNET_CHAIN_ID + 1)?,
    ];
    let canary = Canary::start(port::free_on(host))?;
    let alertmanager = bench.alertmanager()?;
    let keys = format!(
        "canaries = [\"{}\"]\ncanary_interval = \"1s\"\ncanary_timeout = \"1s\"\nisolated_after = \"5s\"",
        canary.address
    );
    let daemon = bench.haltwatch(
        &Config::default()
            .monitor(&keys)
            .alertmanager(alertmanager.address)
            .network(DEVNET, Some(DEVNET_CHAIN_ID), "", &[Node::validator("a", anvils[0].address)])
            .network("other", Some(DEVNET_CHAIN_ID + 1), "", &[Node::validator("b", anvils[1].address)]),
    )?;
    wait::pass(Duration::from_secs(4));
    let outage = Outage::begin(&anvils, &canary)?;
    let begin = Instant::now();
    let found = daemon.fires("MonitorIsolated", 4 * ISOLATED_AFTER)?.duration_since(begin);
    while begin.elapsed() < CUT {
        let firing: Vec<_> = daemon.alerts()?.into_iter().filter(|alert| alert.state == "firing").collect();
        let alone = firing.iter().all(|alert| alert.name() == "MonitorIsolated");
        ensure!(alone, "others are accused: {}", haltwatch::describe(&firing));
        wait::pass(Duration::from_millis(100));
    }
    let told: Vec<_> = alertmanager.alerts()?.iter().map(|alert| alert.label("alertname").to_owned()).collect();
    ensure!(told.iter().all(|name| ["Watchdog", "MonitorIsolated"].contains(&name.as_str())), "announced: {told:?}");
    ensure!(told.iter().any(|name| name == "MonitorIsolated"), "MonitorIsolated was not announced");
    outage.end(&anvils)?;
    let mended = Instant::now();
    let cleared = daemon.clears("MonitorIsolated", Duration::from_secs(20))?.duration_since(mended);
    wait::pass(Duration::from_secs(5));
    let left = daemon.alerts()?;
    ensure!(left.is_empty(), "after it was mended: {}", haltwatch::describe(&left));
    only_watchdog(&alertmanager, Duration::from_secs(5))?;
    let means = if namespace::inside() { "route taken away" } else { "nodes frozen, canary closed" };
    Ok(format!("{means}: MonitorIsolated alone after {found:.1?} for {CUT:?}; gone {cleared:.1?} after the mending"))
}

/// A listener that takes connections, as a gateway would.
struct Canary {
    address: SocketAddr,
    open: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Canary {
    fn start(address: SocketAddr) -> Result<Self> {
        let canary = Self { address, open: std::sync::Arc::new(true.into()) };
        canary.listen()?;
        Ok(canary)
    }

    fn listen(&self) -> Result<()> {
        use std::sync::atomic::Ordering::SeqCst;
        let listener = TcpListener::bind(self.address)?;
        self.open.store(true, SeqCst);
        let open = std::sync::Arc::clone(&self.open);
        thread::spawn(move || while open.load(SeqCst) && listener.accept().is_ok() {});
        Ok(())
    }

    fn close(&self) {
        self.open.store(false, std::sync::atomic::Ordering::SeqCst);
        // Wakes the listener, so that it sees that it is closed.
        let _ = std::net::TcpStream::connect(self.address);
    }
}

/// All connections cut.
enum Outage<'a> {
    Route(Cut),
    Everything(&'a Canary),
}

impl<'a> Outage<'a> {
    fn begin(anvils: &[Anvil], canary: &'a Canary) -> Result<Self> {
        if namespace::inside() {
            return Ok(Self::Route(Cut::make()?));
        }
        anvils.iter().try_for_each(|anvil| anvil.process.freeze())?;
        canary.close();
        Ok(Self::Everything(canary))
    }

    fn end(self, anvils: &[Anvil]) -> Result<()> {
        match self {
            Self::Route(cut) => drop(cut),
            Self::Everything(canary) => {
                canary.listen()?;
                anvils.iter().try_for_each(|anvil| anvil.process.thaw())?;
            }
        }
        Ok(())
    }
}
