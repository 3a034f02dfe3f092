//! `[alertmanager]`: whom alerts are pushed to.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    credentials,
    kind::{duration, list, url},
    labels::labels,
    limits::TIMEOUTS,
    section::{Item, Section},
    unique::{Unique, identity},
    web::Web,
};
use crate::{
    model::{Endpoint, Labels},
    output::alertmanager::Settings,
};

/// How often an alert may be told again.
const RESENDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Alertmanagers to push to.
const MAX_PEERS: usize = 16;

/// Reads the section, if there is one.
pub(super) fn read(root: &mut Section<'_>, web: &Web) -> Option<Settings> {
    let mut section = root.try_section("alertmanager", "alertmanager")?;
    let mut external_labels = Labels::new();
    let (mut timeout, mut resend) = (Duration::from_secs(10), Duration::from_secs(60));
    let peers = section.required("urls", peers).unwrap_or_default();
    section.set("external_labels", labels(&Labels::new()), &mut external_labels);
    section.set("timeout", duration(TIMEOUTS), &mut timeout);
    section.set("resend", duration(RESENDS), &mut resend);
    let headers = credentials::read(&mut section, "alertmanager.basic_auth");
    section.finish();
    let peers = peers.into_iter().map(|peer| peer.with_headers(headers.clone())).collect();
    Some(Settings {
        peers,
        external_labels,
        timeout,
        resend,
        external_url: web.external_url.clone(),
        runbooks: web.runbooks.clone(),
    })
}

fn peers(item: &Item<'_>) -> Option<Vec<Endpoint>> {
    let peers = list(url("http, https"), 1..=MAX_PEERS)(item)?;
    let mut unique = Unique::new("this Alertmanager", "remove one of them");
    for (peer, item) in &peers {
        unique.check(item, &identity(peer));
        if peer.path_and_query().contains("/api/v") {
            item.note("`urls`: haltwatch adds the path of the API itself".to_owned(), "leave out /api/v2/alerts");
        }
    }
    Some(peers.into_iter().map(|(peer, _)| peer).collect())
}
