//! What an effect becomes outside: one log line, and an announcement where there is one to make.

use crate::{
    engine::{
        settings::Settings,
        snapshot::{Alert, Effect, QuietChange},
    },
    model::Level,
    output::{
        alertmanager::Notification,
        label::{alert_labels, annotations, subject_name},
    },
};

/// Writes the one log line of an effect.
pub(super) fn log(settings: &Settings, effect: &Effect) {
    match effect {
        Effect::Fired(alert) => log_fired(settings, alert),
        Effect::Resolved(alert) => {
            let name = alert.key.name.as_str();
            let subject = subject_name(settings, alert.key.subject);
            let (level, reason) = (alert.level.as_str(), alert.finding.reason());
            tracing::info!(alertname = name, subject, level, reason, "{name} resolved: {subject}");
        }
        Effect::Quiet(alert, change) => {
            let words = match change {
                QuietChange::Pended => "pending",
                QuietChange::Withdrawn => "withdrawn",
                QuietChange::FiredMuted => "fires, muted",
                QuietChange::EndedMuted => "ended, muted",
            };
            tracing::debug!(
                alertname = alert.key.name.as_str(),
                subject = subject_name(settings, alert.key.subject),
                reason = alert.finding.reason(),
                "{} {words}: {}",
                alert.key.name.as_str(),
                alert.finding
            );
        }
        Effect::NodeState { node, from, to } => {
            let node = &settings.nodes[node.index()];
            let network = &settings.networks[node.network.index()].name;
            tracing::info!(
                network = &**network,
                node = &*node.name,
                from = from.as_str(),
                to = to.as_str(),
                "node {network}/{} is {}, was {}",
                node.name,
                to.as_str(),
                from.as_str()
            );
        }
    }
}

/// An alert is logged as loudly as it is meant.
fn log_fired(settings: &Settings, alert: &Alert) {
    let name = alert.key.name.as_str();
    let subject = subject_name(settings, alert.key.subject);
    let (level, reason, finding) = (alert.level.as_str(), alert.finding.reason(), &alert.finding);
    match alert.level {
        Level::L1 | Level::L2 => {
            tracing::error!(alertname = name, subject, level, reason, "{name} fires: {subject}: {finding}");
        }
        Level::L3 => tracing::warn!(alertname = name, subject, level, reason, "{name} fires: {subject}: {finding}"),
        Level::L4 | Level::None => {
            tracing::info!(alertname = name, subject, level, reason, "{name} fires: {subject}: {finding}");
        }
    }
}

/// The announcement an effect asks for.
pub(super) fn notification(settings: &Settings, effect: &Effect) -> Option<Notification> {
    let alert = match effect {
        Effect::Fired(alert) | Effect::Resolved(alert) => alert,
        Effect::Quiet(..) | Effect::NodeState { .. } => return None,
    };
    let texts = annotations(settings, alert);
    Some(Notification {
        labels: alert_labels(settings, alert),
        annotations: vec![
            ("summary", texts.summary),
            ("description", texts.description),
            ("reason", texts.reason.to_owned()),
        ],
        starts_at: alert.fired_at.unwrap_or(alert.active_at),
        ends_at: alert.resolved_at,
    })
}
