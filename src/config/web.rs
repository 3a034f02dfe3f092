//! `[web]`: where metrics, API and page are served.

use std::net::{Ipv4Addr, SocketAddr};

use super::{
    kind::{count, flag, list, parsed, url},
    section::{Item, Section},
    survey::WebSite,
    unique::Unique,
};
use crate::{model::Endpoint, output::http};

/// The port of haltwatch.
const PORT: u16 = 10019;

/// Addresses to listen on.
const MAX_LISTEN: usize = 64;

/// The settings of the server, and where its readers find it.
pub(super) struct Web {
    pub http: http::Settings,
    /// `None` if not given: then it follows from where the server listens in the end.
    pub external_url: Option<String>,
}

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> (Web, WebSite<'_>) {
    let (place, listen_item) = (section.place(), section.item("listen"));
    let mut listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))];
    let (mut lifecycle, mut max_connections) = (false, 512);
    section.set("listen", addresses, &mut listen);
    section.set("enable_lifecycle", flag, &mut lifecycle);
    section.set("max_connections", count(1..=65_536), &mut max_connections);
    let external_url = section.optional("external_url", external);
    section.finish();
    // Nothing in this section asks readers for a password.
    let guarded = false;
    let site = WebSite { place, listen: listen.clone(), listen_item, external_url, guarded };
    let external_url = site.external_url.as_ref().map(|(url, _)| url.url().trim_end_matches('/').to_owned());
    (Web { http: http::Settings { listen, lifecycle, max_connections }, external_url }, site)
}

fn addresses(item: &Item<'_>) -> Option<Vec<SocketAddr>> {
    let help = "write an address and a port, like \"127.0.0.1:10019\" or \"[::]:10019\"";
    let addresses = list(parsed::<SocketAddr>("a socket address", help), 1..=MAX_LISTEN)(item)?;
    let mut unique = Unique::new("this address", "remove one of them");
    for (address, item) in addresses.iter().filter(|(address, _)| address.port() != 0) {
        unique.check(&item.harmless(), &address.to_string());
    }
    Some(addresses.into_iter().map(|(address, _)| address).collect())
}

/// A URL that is published in alerts.
fn external<'a>(item: &Item<'a>) -> Option<(Endpoint, Item<'a>)> {
    Some((url("http, https")(item)?, item.clone()))
}
