//! `/api/v1/alerts`: what is pending and firing, in the shape of the Prometheus API.

use std::sync::Arc;

use serde::Serialize;

use super::{Error, LabelMap, Time, success};
use crate::{
    engine::snapshot::{Alert, AlertState, Snapshot},
    output::{
        label::{alert_labels, annotations},
        runbook::Runbooks,
    },
};

/// An alert as Prometheus shows one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownAlert {
    labels: LabelMap,
    annotations: LabelMap,
    state: &'static str,
    active_at: Time,
    value: &'static str,
}

impl ShownAlert {
    pub(super) fn new(snapshot: &Snapshot, runbooks: &Runbooks, alert: &Alert) -> Self {
        let texts = annotations(&snapshot.settings, alert);
        let mut annotations = vec![
            (Arc::from("description"), Arc::from(texts.description)),
            (Arc::from("reason"), Arc::from(texts.reason)),
            (Arc::from("summary"), Arc::from(texts.summary)),
        ];
        if let Some(by) = alert.inhibited_by {
            annotations.push((Arc::from("muted_by"), Arc::from(by.name.as_str())));
        }
        if let Some(by) = &alert.silenced_by {
            annotations.push((Arc::from("silenced_by"), Arc::clone(by)));
        }
        if let Some(since) = alert.clear_since {
            annotations.push((Arc::from("clear_since"), Arc::from(since.to_string())));
        }
        let own = snapshot.settings.rule(alert.key.name).and_then(|rule| rule.runbook_url.clone());
        if let Some(url) = own.or_else(|| runbooks.url(alert.key.name.as_str()).map(Arc::from)) {
            annotations.push((Arc::from("runbook_url"), url));
        }
        annotations.sort();
        Self {
            labels: LabelMap(alert_labels(&snapshot.settings, alert)),
            annotations: LabelMap(annotations),
            state: alert.state.as_str(),
            active_at: Time(alert.active_at),
            value: "1e+00",
        }
    }
}

/// Pending and firing alerts; muted ones carry the annotation `muted_by`, silenced ones `silenced_by`, and
/// those that are held though their trouble is over `clear_since`.
pub fn alerts(snapshot: &Snapshot, runbooks: &Runbooks) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Data {
        alerts: Vec<ShownAlert>,
    }
    let live = snapshot.alerts.iter().filter(|alert| alert.state != AlertState::Resolved);
    Ok(success(Data { alerts: live.map(|alert| ShownAlert::new(snapshot, runbooks, alert)).collect() }))
}
