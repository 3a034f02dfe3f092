//! `[alertmanager]`: whom alerts are pushed to.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    code::Code,
    credentials,
    kind::{duration, list, secret_url},
    labels::labels,
    limits::TIMEOUTS,
    section::{Item, Section},
    survey::AlertmanagerSite,
    unique::{Unique, identity},
};
use crate::{
    model::{Endpoint, Labels},
    output::{alertmanager::Settings, runbook::Runbooks},
};

/// How often an alert may be told again.
const RESENDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Alertmanagers to push to.
const MAX_PEERS: usize = 16;

/// Reads the section, if there is one.
pub(super) fn read<'a>(root: &mut Section<'a>) -> Option<(Settings, AlertmanagerSite<'a>)> {
    let mut section = root.try_section("alertmanager", "alertmanager")?;
    let mut external_labels = Labels::new();
    let (mut timeout, mut resend) = (Duration::from_secs(10), Duration::from_secs(60));
    let peers = section.required("urls", peers).unwrap_or_default();
    section.set("external_labels", labels(&Labels::new()), &mut external_labels);
    section.set("timeout", duration(TIMEOUTS), &mut timeout);
    section.set("resend", duration(RESENDS), &mut resend);
    let headers = credentials::read(&mut section, "alertmanager.basic_auth");
    credentials::warn_of_clear_text(&peers, &headers);
    let resend_item = section.item("resend");
    section.finish();
    let site = AlertmanagerSite { peers: peers.clone(), resend: (resend, resend_item) };
    let peers = peers.into_iter().map(|(peer, _)| peer.with_headers(headers.clone())).collect();
    // Where readers find us follows from where we listen in the end: that comes with the server.
    let (external_url, runbooks) = (None, Runbooks::default());
    Some((Settings { peers, external_labels, timeout, resend, external_url, runbooks }, site))
}

fn peers<'a>(item: &Item<'a>) -> Option<Vec<(Endpoint, Item<'a>)>> {
    let peers = list(secret_url("http, https"), 1..=MAX_PEERS)(item)?;
    let mut unique = Unique::new("this Alertmanager", "remove one of them");
    for (peer, item) in &peers {
        unique.check(item, &identity(peer));
        if peer.path_and_query().contains("/api/v") {
            let message = "`urls`: haltwatch adds the path of the API itself";
            item.note_as(Code::BadAddress, message, "leave out /api/v2/alerts");
        }
    }
    Some(peers)
}
