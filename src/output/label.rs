//! The labels and annotations of an alert, the same in metrics, API and Alertmanager.

use std::{sync::Arc, time::Duration};

use crate::{
    engine::{
        finding::Finding,
        settings::Settings,
        snapshot::{Alert, AlertState, Subject},
    },
    model::{AlertName, Labels},
};

/// The labels that identify an alert, sorted by name: `alertname`, `level`, `severity`, `priority`, `monitor`, and, as
/// far as the subject has them, `network`, `family`, `node`, `role` and the labels of the configuration. Labels of the
/// configuration never replace those of haltwatch.
#[must_use]
pub fn alert_labels(settings: &Settings, alert: &Alert) -> Labels {
    let mut labels: Labels = Vec::with_capacity(12);
    let mut put = |name: &str, value: &str| {
        if !labels.iter().any(|(taken, _)| &**taken == name) {
            labels.push((Arc::from(name), Arc::from(value)));
        }
    };
    put("alertname", alert.key.name.as_str());
    put("level", alert.level.as_str());
    put("severity", alert.level.severity());
    put("priority", alert.level.priority());
    put("monitor", settings.monitor_of(alert.key.subject));
    let (network, node) = match alert.key.subject {
        Subject::Monitor | Subject::Vantage(_) => (None, None),
        Subject::Network(network) => (Some(network), None),
        Subject::Node(node) => {
            let node = &settings.nodes[node.index()];
            (Some(node.network), Some(node))
        }
    };
    if let Some(network) = network.map(|index| &settings.networks[index.index()]) {
        put("network", &network.name);
        put("family", &network.family);
        if let Some(node) = node {
            put("node", &node.name);
            put("role", node.role.as_str());
        }
        put_all(&mut put, settings.rule(alert.key.name).map(|rule| &rule.labels));
        put_all(&mut put, Some(node.map_or(&network.labels, |node| &node.labels)));
    }
    labels.sort();
    labels
}

fn put_all(put: &mut impl FnMut(&str, &str), labels: Option<&Labels>) {
    labels.into_iter().flatten().for_each(|(name, value)| put(name, value));
}

/// What an alert says in words: a fixed sentence and the explanation with its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotations {
    /// A static sentence that ends with a period; of a rule of the user's own the sentence it was given.
    pub summary: String,
    /// The subject and the finding with its numbers.
    pub description: String,
    /// The closed reason of the finding.
    pub reason: &'static str,
}

/// Whether what is found looks like an outage of our own as well: nothing came that only a server can have sent.
fn may_be_ours(finding: &Finding) -> bool {
    use crate::observation::ErrorKind as E;
    let Finding::NoVoterAnswers { kind, .. } = finding else { return false };
    matches!(kind, E::Dns | E::Refused | E::Unreachable | E::Reset | E::Timeout | E::Tls | E::Local)
}

/// The annotations of an alert.
#[must_use]
pub fn annotations(settings: &Settings, alert: &Alert) -> Annotations {
    let (subject, finding) = (subject_name(settings, alert.key.subject), &alert.finding);
    let mut description = match lasted(alert) {
        None => format!("{subject}: {finding}."),
        Some(lasted) => format!("{subject}: over after {lasted}; it was: {finding}."),
    };
    if may_be_ours(finding) && settings.canaries.is_empty() {
        description.push_str(" No canaries are configured: it may be this monitor that is cut off.");
    }
    let summary = match finding {
        Finding::RuleHolds { summary } => summary.to_string(),
        _ => summary(alert.key.name).to_owned(),
    };
    Annotations { summary, description, reason: alert.finding.reason() }
}

/// How long an alert that is over has fired, in whole seconds: `1m 17s`.
#[must_use]
pub fn lasted(alert: &Alert) -> Option<String> {
    let lasted = alert.resolved_at?.since(alert.fired_at?);
    Some(humantime::format_duration(Duration::from_secs(lasted.as_secs())).to_string())
}

/// `network`, `network/node` or the monitor's name.
#[must_use]
pub fn subject_name(settings: &Settings, subject: Subject) -> String {
    match subject {
        Subject::Monitor | Subject::Vantage(_) => settings.monitor_of(subject).to_owned(),
        Subject::Network(network) => settings.networks[network.index()].name.to_string(),
        Subject::Node(index) => {
            let node = &settings.nodes[index.index()];
            format!("{}/{}", settings.networks[node.network.index()].name, node.name)
        }
    }
}

/// `pending`, `firing` or, for an alert that fires and is not announced, `muted` by another or `silenced` by people.
#[must_use]
pub fn shown_state(alert: &Alert) -> &'static str {
    match alert.state {
        AlertState::Firing if alert.inhibited_by.is_some() => "muted",
        AlertState::Firing if alert.silenced_by.is_some() => "silenced",
        state => state.as_str(),
    }
}

/// The reason for which the network is halted, from the alerts of the snapshot.
#[must_use]
pub fn halt_reason(alert: &Alert) -> Option<&'static str> {
    let firing = alert.key.name == AlertName::NetworkHalted && alert.state == AlertState::Firing;
    firing.then(|| alert.finding.reason())
}

/// The static sentence of an alert.
#[must_use]
pub fn summary(name: AlertName) -> &'static str {
    use AlertName as N;
    match name {
        N::NetworkHalted => "The network makes no blocks.",
        N::NetworkUnreachable => "No node answers about the network: whether it makes blocks cannot be seen.",
        N::FinalityStalled => "Blocks come, but they are not made final.",
        N::NetworkSplit => "Two branches of the network grow side by side.",
        N::DeepReorg => "Many blocks were replaced by others.",
        N::QuorumAtRisk => "The network has no core node to spare.",
        N::BlocksSlow => "Blocks come far more rarely than they should.",
        N::ConsensusStruggling => "Consensus needs many rounds, or too few take part in it.",
        N::TransactionBacklog => "Transactions wait for too long.",
        N::EmptyBlocks => "Blocks come without the transactions that wait for them.",
        N::UnusualTraffic => "Blocks carry far more, or far fewer, transactions than usual.",
        N::DoubleSign => "A validator has signed two blocks at one height.",
        N::PlannedHalt => "The network stands still as announced.",
        N::MonitorClockJump => "The monitor's own wall clock was set.",
        N::NodeOffline => "The node gives no good answer.",
        N::NodeStalled => "The node stands still while its network moves.",
        N::NodeLagging => "The node is too far behind its network.",
        N::NodeSyncing => "The node is catching up with its network.",
        N::NodeWrongChain => "The node speaks for another chain.",
        N::NodeForked => "The node is on a branch that the majority does not follow.",
        N::NodeLowPeers => "The node has too few peers.",
        N::NodeSlow => "The node answers slowly.",
        N::NodeErrors => "The node fails too many requests.",
        N::NodeRateLimited => "The node limits our requests.",
        N::NodeUnauthorized => "The node refuses our credentials.",
        N::NodeClockSkew => "The node's clock disagrees with ours.",
        N::HeightRegression => "The node's height went backwards.",
        N::MonitorIsolated => "The monitor is cut off: nothing it knows of answers.",
        N::RuleFailing => "A rule of your own cannot be evaluated.",
        N::Custom(_) => "A rule of your own holds.",
        N::Watchdog => "The monitor is alive. This alert always fires; page when it stops.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::snapshot::AlertKey,
        model::{Level, UnixTime},
    };

    fn unreachable(resolved_at: Option<i64>) -> Alert {
        Alert {
            key: AlertKey { name: AlertName::NetworkUnreachable, subject: Subject::Monitor },
            level: Level::L2,
            state: AlertState::Firing,
            active_at: UnixTime::from_millis(0),
            fired_at: Some(UnixTime::from_millis(60_000)),
            clear_since: None,
            resolved_at: resolved_at.map(UnixTime::from_millis),
            inhibited_by: None,
            silenced_by: None,
            finding: Finding::NoVoterAnswers {
                silence: Duration::from_secs(60),
                nodes: 2,
                kind: crate::observation::ErrorKind::Refused,
                alike: 2,
            },
        }
    }

    #[test]
    fn a_description_says_what_holds_what_nobody_checked_and_what_is_over() {
        let settings = Settings { monitor: "main".into(), ..Settings::default() };
        let said = |alert: &Alert| annotations(&settings, alert).description;
        assert_eq!(
            said(&unreachable(None)),
            "main: no good answer for 1 m from any of 2 nodes: refused. \
             No canaries are configured: it may be this monitor that is cut off."
        );
        assert!(
            said(&unreachable(Some(137_500))).starts_with("main: over after 1m 17s; it was: no good answer for 1 m"),
            "{}",
            said(&unreachable(Some(137_500)))
        );
    }
}
