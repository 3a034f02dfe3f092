//! What an effect becomes outside: one log line, and an announcement where there is one to make.

use crate::{
    engine::{
        finding::Finding,
        settings::Settings,
        snapshot::{Alert, Effect, QuietChange},
    },
    model::{Level, NodeIndex, NodeState},
    observation::ErrorKind,
    output::{
        alertmanager::{Notification, announcement::RUNBOOK},
        label::{alert_labels, annotations, lasted, subject_name},
    },
};

/// Writes the one log line of an effect.
pub(super) fn log(settings: &Settings, effect: &Effect) {
    match effect {
        Effect::Fired(alert) => log_fired(&Entry::of(settings, alert), "fires"),
        Effect::Raised(alert) => log_fired(&Entry::of(settings, alert), "gets louder"),
        Effect::Resolved(alert) => {
            let Entry { name, subject, level, reason, trace_id, .. } = Entry::of(settings, alert);
            let (alert_level, lasted) = (level.as_str(), lasted(alert).unwrap_or_default());
            tracing::info!(
                alertname = name,
                subject,
                alert_level,
                reason,
                trace_id,
                lasted,
                "{name} resolved: {subject}, after {lasted}"
            );
        }
        Effect::Quiet(alert, QuietChange::FiredSilenced) => {
            log_silenced(&Entry::of(settings, alert), alert, "fires, silenced");
        }
        Effect::Quiet(alert, QuietChange::EndedMuted) if alert.silenced_by.is_some() => {
            log_silenced(&Entry::of(settings, alert), alert, "ended, silenced");
        }
        Effect::Quiet(alert, QuietChange::FoundAgain) => {
            let Entry { name, subject, level, reason, trace_id, finding } = Entry::of(settings, alert);
            let alert_level = level.as_str();
            tracing::info!(
                alertname = name,
                subject,
                alert_level,
                reason,
                trace_id,
                "{name} goes on: {subject}: {finding}"
            );
        }
        Effect::Quiet(alert, change) => {
            let Entry { name, subject, level, reason, trace_id, finding } = Entry::of(settings, alert);
            let alert_level = level.as_str();
            let words = match change {
                QuietChange::Pended => "pending",
                QuietChange::Withdrawn => "withdrawn",
                QuietChange::FiredMuted => "fires, muted",
                QuietChange::EndedMuted => "ended, unannounced",
                QuietChange::FiredSilenced => "silenced",
                QuietChange::FoundAgain => "found again",
            };
            tracing::debug!(
                alertname = name,
                subject,
                alert_level,
                reason,
                trace_id,
                "{name} {words}: {subject}: {finding}"
            );
        }
        Effect::NodeState { node, from, to, error } => log_state(settings, *node, *from, *to, *error),
    }
}

fn log_state(settings: &Settings, node: NodeIndex, from: NodeState, to: NodeState, error: Option<ErrorKind>) {
    let node = &settings.nodes[node.index()];
    let (network, node) = (&*settings.networks[node.network.index()].name, &*node.name);
    let (from, to) = (from.as_str(), to.as_str());
    if let Some(error) = error.map(ErrorKind::as_str) {
        tracing::info!(network, node, from, to, error, "node {network}/{node} is {to} ({error}), was {from}");
    } else {
        tracing::info!(network, node, from, to, "node {network}/{node} is {to}, was {from}");
    }
}

/// What a line about an alert says.
struct Entry<'a> {
    name: &'static str,
    subject: String,
    level: Level,
    reason: &'static str,
    /// Ties the lines of one life of one alert together.
    trace_id: String,
    finding: &'a Finding,
}

impl<'a> Entry<'a> {
    fn of(settings: &Settings, alert: &'a Alert) -> Self {
        let subject = subject_name(settings, alert.key.subject);
        let name = alert.key.name.as_str();
        Self {
            name,
            level: alert.level,
            reason: alert.finding.reason(),
            trace_id: format!("{name}/{subject}/{}", alert.active_at.millis()),
            finding: &alert.finding,
            subject,
        }
    }
}

/// An alert is logged as loudly as it is meant.
fn log_fired(entry: &Entry<'_>, does: &str) {
    let Entry { name, subject, level, reason, trace_id, finding } = entry;
    let alert_level = level.as_str();
    macro_rules! line {
        ($log:ident) => {
            tracing::$log!(
                alertname = name,
                subject,
                alert_level,
                reason,
                trace_id,
                "{name} {does}: {subject}: {finding}"
            )
        };
    }
    match level {
        Level::L1 | Level::L2 => line!(error),
        Level::L3 => line!(warn),
        Level::L4 | Level::None => line!(info),
    }
}

/// That nobody is called about an alert is worth a line whenever it would have been announced, and when it is over.
fn log_silenced(entry: &Entry<'_>, alert: &Alert, does: &str) {
    let Entry { name, subject, level, reason, trace_id, finding } = entry;
    let (alert_level, silence) = (level.as_str(), alert.silenced_by.as_deref());
    tracing::info!(
        alertname = name,
        subject,
        alert_level,
        reason,
        trace_id,
        silence,
        "{name} {does}: {subject}: {finding}"
    );
}

/// The announcement of an alert that fires, or is over.
pub(super) fn notification(settings: &Settings, alert: &Alert) -> Notification {
    let texts = annotations(settings, alert);
    let runbook = settings.rule(alert.key.name).and_then(|rule| rule.runbook_url.as_deref());
    let mut annotations =
        vec![("summary", texts.summary), ("description", texts.description), ("reason", texts.reason.to_owned())];
    annotations.extend(runbook.map(|url| (RUNBOOK, url.to_owned())));
    Notification {
        labels: alert_labels(settings, alert),
        annotations,
        starts_at: alert.fired_at.unwrap_or(alert.active_at),
        ends_at: alert.resolved_at,
    }
}
