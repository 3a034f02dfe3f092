//! `[monitor]`: who we are and how we know that it is not us who is cut off.

use std::{str::FromStr, sync::Arc, time::Duration};

use super::{
    kind::{duration, list, name, parsed},
    limits::{INTERVALS, PERIODS, TIMEOUTS},
    section::{Item, Section},
    survey::MonitorSite,
    unique::Unique,
};
use crate::{
    chain::{self, CanaryTarget},
    engine::settings::{CanarySettings, Settings},
    model::{CanaryIndex, VantageIndex},
};

/// More canaries prove nothing more.
const MAX_CANARIES: usize = 64;

/// Reads the section into the settings of engine and pollers.
pub(super) fn read<'a>(
    mut section: Section<'a>,
    engine: &mut Settings,
    chain: &mut chain::Settings,
) -> MonitorSite<'a> {
    let place = section.place();
    engine.monitor = section.optional("name", name).unwrap_or_else(host_name);
    let canaries = section.item("canaries");
    let (mut interval, mut timeout) = (Duration::from_secs(5), Duration::from_secs(2));
    engine.isolated_after = Duration::from_secs(60);
    section.set("canary_interval", duration(INTERVALS), &mut interval);
    section.set("canary_timeout", duration(TIMEOUTS), &mut timeout);
    section.set("isolated_after", duration(PERIODS), &mut engine.isolated_after);
    section.finish();
    let addresses = canaries.as_ref().and_then(read_canaries).unwrap_or_default();
    let mut canaries = Vec::new();
    for (canary, (address, item)) in (0..).map(CanaryIndex).zip(addresses) {
        canaries.push((address.host.clone(), item));
        engine.canaries.push(CanarySettings {
            vantage: VantageIndex::default(),
            name: Arc::from(address.shown()),
            interval,
        });
        let Address { host, port } = address;
        chain.canaries.push(CanaryTarget { canary, host: Arc::from(host), port, interval, timeout });
    }
    MonitorSite { place, canaries }
}

fn read_canaries<'a>(item: &Item<'a>) -> Option<Vec<(Address, Item<'a>)>> {
    let address = parsed::<Address>("an address", "write \"host:port\"");
    let canaries = list(address, 0..=MAX_CANARIES)(item)?;
    let mut unique = Unique::new("this canary", "remove one of them");
    for (address, item) in &canaries {
        unique.check(&item.harmless(), &address.shown());
    }
    Some(canaries)
}

/// A host and a port; the host is a name or an address, without the brackets of IPv6.
struct Address {
    host: String,
    port: u16,
}

impl Address {
    fn shown(&self) -> String {
        let Self { host, port } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(())?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().map_err(|_| ())?.to_string(),
            None => host.to_owned(),
        };
        let is_name = |host: &str| host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let is_address = host.parse::<std::net::Ipv6Addr>().is_ok() && text.starts_with('[');
        let usable = !host.is_empty() && host.len() <= 253 && (is_name(&host) || is_address);
        usable.then_some(Self { host, port }).ok_or(())
    }
}

/// The name of this machine, the name of a monitor that was not given one.
pub(crate) fn host_name() -> Arc<str> {
    let system = rustix::system::uname();
    let name: String = system.nodename().to_string_lossy().chars().filter(|c| !c.is_control()).take(64).collect();
    if name.trim().is_empty() { Arc::from("haltwatch") } else { Arc::from(name.trim()) }
}
