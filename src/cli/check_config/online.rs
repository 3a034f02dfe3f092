//! `check-config --online`: dials every node, every canary and every Alertmanager of a configuration and says what it
//! found, and where that does not agree with the configuration or with itself.

mod alertmanager;
mod node;

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{sync::Semaphore, task::JoinSet};

use self::{alertmanager::AlertmanagerFinding, node::NodeFinding};
use crate::{chain, config::Config};

/// What is dialed at a time.
const AT_ONCE: usize = 32;

/// The least a node is given for all the questions of a probe, which are more than those of a poll.
const DEADLINE: Duration = Duration::from_secs(10);

/// What was found, in the order of the configuration. Serialized it is the part `online` of the outcome.
#[derive(Debug, Serialize)]
pub struct Online {
    nodes: Vec<NodeFinding>,
    canaries: Vec<CanaryFinding>,
    alertmanagers: Vec<AlertmanagerFinding>,
    /// Of networks as wholes.
    problems: Vec<Remark>,
    errors: usize,
    warnings: usize,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Remark {
    severity: Severity,
    message: String,
}

/// How bad it is: an error fails the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Error,
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A canary, and whether it answered.
#[derive(Debug, Serialize)]
struct CanaryFinding {
    name: String,
    reachable: bool,
}

impl Remark {
    fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into() }
    }

    fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, message: message.into() }
    }

    fn line(&self) -> String {
        format!("    {}: {}", self.severity.as_str(), self.message)
    }
}

impl Online {
    /// Dials everything in `config`.
    pub async fn check(config: &Config) -> Self {
        let nodes = (0..config.chain.nodes.len()).map(|position| node::ask(config, position)).collect();
        let canaries = config.chain.canaries.iter().cloned().map(|canary| async move { chain::reaches(&canary).await });
        let alertmanagers = config.alertmanager.iter().flat_map(|settings| {
            settings.peers.iter().map(|peer| alertmanager::ask(peer.clone(), settings.timeout, settings.peers.len()))
        });
        let (canaries, alertmanagers) = (canaries.collect(), alertmanagers.collect());
        let (reports, canaries, alertmanagers) =
            tokio::join!(bounded(nodes), bounded(canaries), bounded(alertmanagers));
        let nodes = node::judge_all(config, reports);
        let mut problems = node::disagreements(config, &nodes);
        problems.extend(node::silences(config, &nodes));
        let canary_names = config.engine.canaries.iter().map(|canary| canary.name.to_string());
        let canaries = canary_names
            .zip(canaries)
            .map(|(name, reachable)| CanaryFinding { name, reachable: reachable == Some(true) });
        let alertmanagers = alertmanagers.into_iter().flatten().collect();
        Self { nodes, canaries: canaries.collect(), alertmanagers, problems, errors: 0, warnings: 0 }.counted()
    }

    fn counted(mut self) -> Self {
        let of_nodes = self.nodes.iter().flat_map(|node| &node.problems);
        let of_alertmanagers = self.alertmanagers.iter().flat_map(|peer| &peer.problems);
        let all: Vec<Severity> =
            of_nodes.chain(of_alertmanagers).chain(&self.problems).map(|remark| remark.severity).collect();
        let silent = self.canaries.iter().filter(|canary| !canary.reachable).count();
        self.errors = all.iter().filter(|severity| **severity == Severity::Error).count() + silent;
        self.warnings = all.len() + silent - self.errors;
        self
    }

    /// The findings for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.nodes.iter().flat_map(NodeFinding::lines).collect();
        lines.extend(self.problems.iter().map(|problem| problem.line().trim_start().to_owned()));
        for canary in &self.canaries {
            let found = if canary.reachable { "reachable" } else { "error: does not answer" };
            lines.push(format!("canary {}: {found}", canary.name));
        }
        lines.extend(self.alertmanagers.iter().flat_map(AlertmanagerFinding::lines));
        lines.push(self.summary());
        lines
    }

    /// The last line: `online: 1 error, 0 warnings`.
    #[must_use]
    pub fn summary(&self) -> String {
        let plural = |count, word: &str| if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") };
        format!("online: {}, {}", plural(self.errors, "error"), plural(self.warnings, "warning"))
    }

    /// What is not as it should be: how bad it is, whom it is about, what it is.
    pub fn problems(&self) -> impl Iterator<Item = (&'static str, String)> {
        let about =
            |whom: String| move |remark: &Remark| (remark.severity.as_str(), format!("{whom}{}", remark.message));
        let nodes =
            self.nodes.iter().flat_map(move |node| node.problems.iter().map(about(format!("node {}: ", node.name))));
        let networks = self.problems.iter().map(about(String::new()));
        let silent = self.canaries.iter().filter(|canary| !canary.reachable);
        let canaries =
            silent.map(|canary| (Severity::Error.as_str(), format!("canary {}: does not answer", canary.name)));
        let alertmanagers = self
            .alertmanagers
            .iter()
            .flat_map(move |peer| peer.problems.iter().map(about(format!("alertmanager {}: ", peer.endpoint))));
        nodes.chain(networks).chain(canaries).chain(alertmanagers)
    }

    /// Whether something was unreachable or inconsistent.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors != 0
    }
}

/// Runs all of `work`, so many at a time, and returns the outcomes in order; `None` for one that panicked.
async fn bounded<T: Send + 'static>(work: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<Option<T>> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut outcomes: Vec<Option<T>> = work.iter().map(|_| None).collect();
    let mut under_way = JoinSet::new();
    for (position, one) in work.into_iter().enumerate() {
        let places = Arc::clone(&places);
        under_way.spawn(async move {
            let _place = places.acquire().await;
            (position, one.await)
        });
    }
    while let Some(done) = under_way.join_next().await {
        if let Ok((position, outcome)) = done {
            outcomes[position] = Some(outcome);
        }
    }
    outcomes
}
