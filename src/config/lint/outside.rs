//! What surrounds the networks: canaries, our own server, Alertmanagers.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use crate::{
    config::{
        code::Code,
        host::{canonical, is_local},
        shape::written_duration,
        survey::{AlertmanagerSite, Survey, WebSite},
        unique::identity,
    },
    model::Endpoint,
};

/// An Alertmanager that was restarted and an operator who was not called are apart by this much at the most.
const RESEND_LIMIT: Duration = Duration::from_secs(300);

/// Whether canaries can tell our own outage from that of the nodes.
pub(super) fn canaries(survey: &Survey<'_>) {
    let nodes = survey.networks.iter().flat_map(|network| &network.nodes);
    let hosts: HashSet<String> =
        nodes.filter_map(|node| node.url.as_ref()).map(|(url, _)| canonical(url.host())).collect();
    let site = &survey.monitor;
    if site.canaries.is_empty() && !hosts.iter().all(|host| is_local(host)) {
        let help = "set `canaries` to addresses that answer whenever your own network is fine";
        site.place.note(Code::NoCanary, "an outage of your own uplink looks like an outage of everything", help);
    }
    for (host, item) in &site.canaries {
        if is_local(host) {
            item.harmless().note_as(Code::UselessCanary, "this canary is on this machine", "choose one outside");
        } else if hosts.contains(&canonical(host)) {
            let message = "this canary is the host of a node";
            item.harmless().note_as(Code::UselessCanary, message, "choose something that is not watched anyway");
        }
    }
}

/// Whether strangers can read our pages.
pub(super) fn server(site: &WebSite<'_>) {
    let Some(item) = site.listen_item.as_ref().filter(|_| !site.guarded) else { return };
    if let Some(address) = site.listen.iter().find(|address| address.ip().is_unspecified()) {
        let message = format!("everybody who reaches this machine on port {} can read all pages", address.port());
        item.note_as(Code::OpenServer, message, "listen on one address, or name a config_file with users");
    }
}

/// Whether alerts reach somebody who can use them.
pub(super) fn alertmanagers(survey: &Survey<'_>) {
    let Some(site) = &survey.alertmanager else {
        let help = "add [alertmanager] with urls, unless Prometheus decides about alerts";
        let place = survey.web.place.file();
        return place.note(Code::NoAlertmanager, "alerts are only shown: nobody is called", help);
    };
    odd_addresses(survey, site);
    links(&survey.web, site);
    if let (resend, Some(item)) = &site.resend
        && RESEND_LIMIT <= *resend
    {
        let written = written_duration(resend);
        let message = format!("an Alertmanager that was restarted misses alerts for up to {written}");
        item.harmless().note_as(Code::SlowResend, message, "set `resend` to one or two minutes");
    }
}

fn odd_addresses(survey: &Survey<'_>, site: &AlertmanagerSite<'_>) {
    let nodes = survey.networks.iter().flat_map(|network| &network.nodes);
    let nodes: HashSet<String> = nodes.filter_map(|node| node.url.as_ref()).map(|(url, _)| identity(url)).collect();
    for (peer, item) in &site.peers {
        if survey.web.listen.iter().any(|address| is_served_at(peer, address)) {
            let message = "this is where haltwatch itself listens";
            item.note_as(Code::OddAlertmanager, message, "Alertmanager usually listens on port 9093");
        } else if nodes.contains(&identity(peer)) {
            let message = "this is also the URL of a node";
            item.note_as(Code::OddAlertmanager, message, "Alertmanager usually listens on port 9093");
        }
    }
}

fn is_served_at(peer: &Endpoint, address: &SocketAddr) -> bool {
    let (peer_host, own) = (canonical(peer.host()), canonical(&address.ip().to_string()));
    let same_host = peer_host == own || address.ip().is_unspecified() && is_local(&peer_host);
    same_host && peer.port() == address.port()
}

/// Who reads an alert elsewhere cannot follow a link to this machine's own address.
fn links(web: &WebSite<'_>, site: &AlertmanagerSite<'_>) {
    if site.peers.iter().all(|(peer, _)| is_local(peer.host())) {
        return;
    }
    let help = "set `external_url` to where people reach haltwatch";
    match &web.external_url {
        Some((url, item)) if is_local(url.host()) => {
            item.note_as(Code::LocalLink, "alerts link to an address that is the reader's own machine", help);
        }
        None if !web.listen.is_empty() && web.listen.iter().all(|address| address.ip().is_loopback()) => {
            let message = "alerts go to another machine, but link to an address of this one only";
            web.place.note(Code::LocalLink, message, help);
        }
        _ => {}
    }
}
