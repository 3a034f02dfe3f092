//! `[web]`: where metrics, API and page are served.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    kind::{count, duration, flag, list, url},
    section::{Item, Section},
    shape::Shape,
    survey::WebSite,
    unique::Unique,
};
use crate::{
    model::Endpoint,
    output::{
        http::{self, parse_address, parse_path},
        runbook::PLACEHOLDER,
    },
};

/// Addresses to listen on.
const MAX_LISTEN: usize = 64;

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> (http::Settings, WebSite<'_>) {
    let (place, listen_item) = (section.place(), section.item("listen"));
    let mut http = http::Settings::default();
    section.set("listen", addresses, &mut http.listen);
    section.set("systemd_socket", flag, &mut http.systemd_socket);
    http.config_file = section.optional("config_file", file);
    section.set("enable_lifecycle", flag, &mut http.lifecycle);
    section.set("enable_silences", flag, &mut http.silences);
    section.set("max_connections", count(1..=65_536), &mut http.max_connections);
    section.set("max_requests", count(0..=65_536), &mut http.max_requests);
    let timeouts = Duration::from_secs(1)..=Duration::from_secs(3600);
    section.set("read_timeout", duration(timeouts), &mut http.read_timeout);
    section.set("telemetry_path", path, &mut http.telemetry_path);
    let external_url = section.optional("external_url", external);
    http.route_prefix = section.optional("route_prefix", path);
    http.runbook_url = section.optional("runbook_url", template);
    section.finish();
    http.external_url = external_url.as_ref().map(|(url, _)| url.url().trim_end_matches('/').to_owned());
    // The file can ask readers who they are; whether it does is told when it is read.
    let guarded = http.config_file.is_some();
    // Where systemd listens for us is not known here.
    let own = !http.systemd_socket;
    let listen = if own { http.listen.clone() } else { Vec::new() };
    let site = WebSite { place, listen, listen_item: listen_item.filter(|_| own), external_url, guarded };
    (http, site)
}

fn addresses(item: &Item<'_>) -> Option<Vec<SocketAddr>> {
    let addresses = list(address, 1..=MAX_LISTEN)(item)?;
    let mut unique = Unique::new("this address", "remove one of them");
    for (address, item) in addresses.iter().filter(|(address, _)| address.port() != 0) {
        unique.check(&item.harmless(), &address.to_string());
    }
    Some(addresses.into_iter().map(|(address, _)| address).collect())
}

fn address(item: &Item<'_>) -> Option<SocketAddr> {
    let help = "write an address and a port, like \"127.0.0.1:10019\" or \"[::]:10019\"";
    let item = item.harmless();
    item.describe(|| Shape::Parsed("address and port"));
    let text = item.text("a string", help)?;
    parse_address(&text).map_err(|_| item.note(format!("{} is not a socket address", item.quoted()), help)).ok()
}

fn path(item: &Item<'_>) -> Option<String> {
    let item = item.harmless();
    item.describe(|| Shape::Parsed("path of a URL"));
    let text = item.text("a string", "write it like \"/metrics\"")?;
    parse_path(&text).map_err(|wrong| item.note(format!("{} is not a path", item.quoted()), &wrong)).ok()
}

/// A web configuration file, which is read when the server starts; relative paths start at the directory of this one.
fn file(item: &Item<'_>) -> Option<PathBuf> {
    item.describe(|| Shape::Parsed("path of a file"));
    let text = item.harmless().text("a string", "write the path of a file")?;
    Some(item.page.vault.directory.join(text))
}

/// A URL that is published in alerts.
fn external<'a>(item: &Item<'a>) -> Option<(Endpoint, Item<'a>)> {
    let url = url("http, https")(item)?;
    if url.path_and_query().contains('?') {
        return item.wrong("this URL has a query".to_owned(), "write it without: paths are appended to it");
    }
    Some((url, item.clone()))
}

/// A URL that is published in alerts, with a place for the name of the alert.
fn template(item: &Item<'_>) -> Option<String> {
    item.describe(|| Shape::Parsed("URL with {alertname} in it"));
    let text = item.text("a URL", "write it like \"https://wiki.example.org/runbooks/{alertname}\"")?;
    let absolute = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    if !absolute || !text.contains(PLACEHOLDER) {
        let help = "write http:// or https:// and {alertname} where the name of the alert belongs";
        return item.wrong(format!("{} does not lead to a runbook", item.quoted()), help);
    }
    Some(text)
}
