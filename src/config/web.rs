//! `[web]`: where metrics, API and page are served.

use std::net::{Ipv4Addr, SocketAddr};

use super::{
    kind::{count, flag, list, parsed, url},
    section::{Item, Section},
    unique::Unique,
};
use crate::output::{
    http,
    runbook::{PLACEHOLDER, Runbooks},
};

/// The port of haltwatch.
const PORT: u16 = 10019;

/// Addresses to listen on.
const MAX_LISTEN: usize = 64;

/// The settings of the server, and where its readers find it.
pub(super) struct Web {
    pub http: http::Settings,
    /// `None` if not given: then it follows from where the server listens in the end.
    pub external_url: Option<String>,
    /// Of nothing if not given: then the server itself has them.
    pub runbooks: Runbooks,
}

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> Web {
    let mut listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))];
    let (mut lifecycle, mut max_connections) = (false, 512);
    section.set("listen", addresses, &mut listen);
    section.set("enable_lifecycle", flag, &mut lifecycle);
    section.set("max_connections", count(1..=65_536), &mut max_connections);
    let external_url = section.optional("external_url", external);
    let runbooks = section.optional("runbook_url", template).map(|template| Runbooks::at(&template));
    section.finish();
    let runbooks = runbooks.unwrap_or_default().or_served_at(external_url.as_deref());
    Web { http: http::Settings { listen, lifecycle, max_connections }, external_url, runbooks }
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
fn external(item: &Item<'_>) -> Option<String> {
    Some(url("http, https")(item)?.url().trim_end_matches('/').to_owned())
}

/// A URL that is published in alerts, with a place for the name of the alert.
fn template(item: &Item<'_>) -> Option<String> {
    let text = item.text("a URL", "write it like \"https://wiki.example.org/runbooks/{alertname}\"")?;
    let absolute = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    if !absolute || !text.contains(PLACEHOLDER) {
        let help = "write http:// or https:// and {alertname} where the name of the alert belongs";
        return item.wrong(format!("{} does not lead to a runbook", item.quoted()), help);
    }
    Some(text)
}
