//! The one list of metrics: name, type, extra labels, help text and where the value comes from. The doc comment of an
//! entry is its help text. `docs/metrics.md` is made from this list.
//!
//! Sets of states are gauges in both formats, one series per state and exactly one of them 1: as an `OpenMetrics`
//! state set the label would have to bear the metric's name, and queries would depend on the negotiated format.

use super::{
    process::Process,
    write::{Kind, Samples, Value},
};
use crate::{
    engine::{
        settings::{NetworkSettings, NodeSettings},
        snapshot::{Alert, AlertState, BLOCK_BUCKETS, NetworkPhase, NetworkView, NodeView, POLL_BUCKETS, Snapshot},
    },
    model::{Labels, Level, NodeState, Now, UnixTime},
    observation::{ErrorKind, Facts, clean_text},
    output::label::shown_state,
};

/// One metric family.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name, as in a query.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Labels besides those of the subject.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    /// What it is about and how its samples are written.
    pub source: Source,
}

/// What a family is about and how the samples of one subject are written.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// About the build; no labels of a subject.
    Build(fn(&mut Samples<'_>)),
    /// About this process.
    Process(fn(&Process) -> Option<Value>),
    /// About the monitor, from the snapshot.
    Monitor(fn(&mut Samples<'_>, &Snapshot)),
    /// About one alert; labels of its subject: `network` and `node`.
    Alert(fn(&mut Samples<'_>, &Alert)),
    /// About one network; label `network`.
    Network(fn(&mut Samples<'_>, &NetworkScene<'_>)),
    /// About one node; labels `network` and `node`.
    Node(fn(&mut Samples<'_>, &NodeScene<'_>)),
}

impl Source {
    /// The labels of the subject.
    #[must_use]
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Build(_) | Self::Process(_) | Self::Monitor(_) => &[],
            Self::Network(_) => &["network"],
            Self::Alert(_) | Self::Node(_) => &["network", "node"],
        }
    }
}

/// A network and everything that is known of it.
#[derive(Debug, Clone, Copy)]
pub struct NetworkScene<'a> {
    /// The time of the snapshot.
    pub now: Now,
    /// What was configured.
    pub settings: &'a NetworkSettings,
    /// What is known.
    pub view: &'a NetworkView,
    /// Its nodes.
    pub nodes: &'a [NodeView],
    /// The reason for which it is halted.
    pub halted: Option<&'static str>,
}

/// A node and everything that is known of it.
#[derive(Debug, Clone, Copy)]
pub struct NodeScene<'a> {
    /// The time of the snapshot.
    pub now: Now,
    /// What was configured for its network.
    pub network: Option<&'a NetworkSettings>,
    /// What was configured.
    pub settings: &'a NodeSettings,
    /// What is known.
    pub view: &'a NodeView,
}

impl NodeScene<'_> {
    fn facts(&self) -> Option<&Facts> {
        self.view.facts.as_deref()
    }
}

macro_rules! families {
    ($($(#[doc = $help:literal])+ $kind:expr, $name:literal, [$($label:literal),*], $source:ident($write:expr);)*) => {
        /// Every metric that does not come from the registry of the daemon's own counters, in the order of exposition.
        pub const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            kind: $kind,
            labels: &[$($label),*],
            help: concat!($($help),+).trim_ascii_start(),
            source: Source::$source($write),
        },)*];
    };
}

use Kind::{Counter, Gauge, Histogram, Info};

families! {
    /// Version of haltwatch, source revision, compiler and platform.
    Info, "haltwatch_build_info", ["version", "revision", "rustc", "target"], Build(build_info);

    /// User and system CPU time spent, in seconds.
    Counter, "process_cpu_seconds_total", [], Process(|it| it.cpu_seconds.map(Value::from));
    /// Number of open file descriptors.
    Gauge, "process_open_fds", [], Process(|it| it.open_fds.map(Value::from));
    /// Maximum number of open file descriptors.
    Gauge, "process_max_fds", [], Process(|it| it.max_fds.map(Value::from));
    /// Virtual memory size in bytes.
    Gauge, "process_virtual_memory_bytes", [], Process(|it| it.virtual_memory_bytes.map(Value::from));
    /// Maximum amount of virtual memory available in bytes.
    Gauge, "process_virtual_memory_max_bytes", [], Process(|it| it.virtual_memory_max_bytes.map(Value::from));
    /// Resident memory size in bytes.
    Gauge, "process_resident_memory_bytes", [], Process(|it| it.resident_memory_bytes.map(Value::from));
    /// Start time of the process since the Unix epoch, in seconds.
    Gauge, "process_start_time_seconds", [], Process(|it| it.start_time_seconds.map(Value::from));
    /// Number of threads of the process.
    Gauge, "process_threads", [], Process(|it| it.threads.map(Value::from));

    /// When the rule engine last made a step; every haltwatch_node, haltwatch_network and haltwatch_alert value is of that instant.
    Gauge, "haltwatch_last_step_timestamp_seconds", [], Monitor(|out, it| out.value(Some(it.taken.wall.seconds())));
    /// Whether the monitor itself is cut off: canaries and nodes silent together.
    Gauge, "haltwatch_monitor_isolated", [], Monitor(|out, it| out.value(Some(it.isolated_since.is_some())));
    /// Whether a canary answered its last probe.
    Gauge, "haltwatch_canary_up", ["canary"], Monitor(canaries);

    /// One series, with the value 1, per alert that is pending, firing, firing and muted by another alert, or firing and silenced by people.
    Gauge, "haltwatch_alert", ["alertname", "state", "level", "severity"], Alert(alert);

    /// What was configured for a network, its labels included; join on network.
    Info, "haltwatch_network_info", ["family", "cadence", "tolerance", "chain_id"], Network(network_info);
    /// What a network is doing: one series per phase, exactly one of them 1.
    Gauge, "haltwatch_network_phase", ["phase"], Network(|out, it| {
        out.words("phase", NetworkPhase::ALL.map(|phase| (phase.as_str(), phase == it.view.phase)));
    });
    /// Whether a network has halted, by reason.
    Gauge, "haltwatch_network_halted", ["reason"], Network(|out, it| {
        out.words("reason", HALT_REASONS.map(|reason| (reason, it.halted == Some(reason))));
    });
    /// Highest height a network provably reached.
    Gauge, "haltwatch_network_tip_height", [], Network(|out, it| out.value(it.view.tip.map(|tip| tip.height.0)));
    /// Highest final height a voter of a network reports, at most the tip.
    Gauge, "haltwatch_network_finalized_height", [], Network(|out, it| out.value(it.view.finalized.map(|height| height.0)));
    /// Time from the newest final block of a network to the block at its tip.
    Gauge, "haltwatch_network_finality_lag_seconds", [], Network(|out, it| {
        out.value(it.view.finality_lag.map(|lag| lag.as_secs_f64()));
    });
    /// Consensus round or view of the height in progress, 0 being the first: the middle one of what the voters of a network say.
    Gauge, "haltwatch_network_consensus_round", [], Network(|out, it| out.value(it.view.round));
    /// Share of the weight of a network that takes part in consensus, 0 to 1: the middle one of what its voters say.
    Gauge, "haltwatch_network_participation_ratio", [], Network(|out, it| out.value(it.view.participation.map(share)));
    /// Producer's timestamp of the block at the tip of a network.
    Gauge, "haltwatch_network_last_block_timestamp_seconds", [], Network(|out, it| {
        out.value(it.view.tip.and_then(|tip| tip.time).map(UnixTime::seconds));
    });
    /// When the tip of a network last rose, by the clock of the monitor.
    Gauge, "haltwatch_network_last_progress_timestamp_seconds", [], Network(|out, it| {
        out.value(it.view.progress_at.map(|at| it.now.wall_at(at).seconds()));
    });
    /// Times between new blocks of a network, by the clock of the monitor.
    Histogram(&BLOCK_BUCKETS), "haltwatch_network_block_interval_seconds", [], Network(|out, it| out.histogram(&it.view.block_interval));
    /// Mean time between blocks of a network, declared or learned.
    Gauge, "haltwatch_network_expected_block_interval_seconds", [], Network(|out, it| {
        out.value(it.view.block_time.map(|time| time.value.as_secs_f64()));
    });
    /// Intervals from which the mean time between blocks of a network was learned; absent where it is declared.
    Gauge, "haltwatch_network_expected_block_interval_samples", [], Network(|out, it| {
        out.value(it.view.block_time.and_then(|time| time.samples));
    });
    /// Time without a block after which blocks of a network count as missing.
    Gauge, "haltwatch_network_halt_threshold_seconds", [], Network(|out, it| {
        out.value(it.view.halt_threshold.map(|threshold| threshold.as_secs_f64()));
    });
    /// Time since the last block of a network over its threshold; above 1 blocks are missing.
    Gauge, "haltwatch_network_halt_ratio", [], Network(|out, it| out.value(it.view.halt_ratio));
    /// Core weight a network can still lose before it halts; negative when it has lost too much.
    Gauge, "haltwatch_network_quorum_margin", [], Network(|out, it| out.value(it.view.quorum_margin));
    /// Core weight a network can lose before it halts when none is lost; 0 where every core node is needed.
    Gauge, "haltwatch_network_quorum_tolerated", [], Network(|out, it| out.value(it.view.quorum_tolerated));
    /// Nodes of a network by state.
    Gauge, "haltwatch_network_nodes", ["state"], Network(node_counts);
    /// Nodes of a network whose word counts now.
    Gauge, "haltwatch_network_voters", [], Network(|out, it| out.value(Some(it.view.voters)));
    /// Nodes whose word counted in the last good view of a network; half of them must be fresh for a verdict.
    Gauge, "haltwatch_network_voters_expected", [], Network(|out, it| out.value(Some(it.view.voters_expected)));
    /// Alerts about a network and its nodes that began firing.
    Counter, "haltwatch_network_incidents_total", ["level"], Network(|out, it| {
        out.words("level", Level::ALL.map(Level::as_str).into_iter().zip(it.view.incidents));
    });

    /// What a node is, and what it says of its client and version while it answers; labels of the configuration included; join on network and node.
    Info, "haltwatch_node_info", ["family", "role", "core", "client", "version"], Node(node_info);
    /// Whether the last poll of a node was good. Nodes are polled on the monitor's own beat, not by a scrape.
    Gauge, "haltwatch_node_up", [], Node(|out, it| out.value(it.view.up));
    /// State of a node: one series per state, exactly one of them 1.
    Gauge, "haltwatch_node_state", ["state"], Node(|out, it| {
        out.words("state", NodeState::ALL.map(|state| (state.as_str(), state == it.view.state)));
    });
    /// Height of the newest block a node knows.
    Gauge, "haltwatch_node_height", [], Node(|out, it| out.value(it.facts().map(|facts| facts.head.height.0)));
    /// Height of the newest block a node calls final.
    Gauge, "haltwatch_node_finalized_height", [], Node(|out, it| out.value(it.facts().and_then(|facts| Some(facts.finality.height()?.0))));
    /// Producer's timestamp of the newest block a node knows.
    Gauge, "haltwatch_node_head_timestamp_seconds", [], Node(|out, it| {
        out.value(it.facts().and_then(|facts| facts.head.time).map(UnixTime::seconds));
    });
    /// Blocks a node is behind the tip of its network.
    Gauge, "haltwatch_node_lag_blocks", [], Node(|out, it| out.value(it.view.lag_blocks));
    /// Peers a node is connected to.
    Gauge, "haltwatch_node_peers", [], Node(|out, it| out.value(it.facts().and_then(|facts| facts.peers)));
    /// Transactions that wait for a block, as a node sees it.
    Gauge, "haltwatch_node_pending_transactions", [], Node(|out, it| out.value(it.facts().and_then(|facts| facts.pending)));
    /// Consensus round or view of the height in progress, 0 being the first.
    Gauge, "haltwatch_node_consensus_round", [], Node(|out, it| out.value(it.facts().and_then(|facts| facts.round)));
    /// Share of the weight that takes part in consensus, 0 to 1, as a node sees it.
    Gauge, "haltwatch_node_participation_ratio", [], Node(|out, it| out.value(it.facts().and_then(|facts| facts.participation).map(share)));
    /// Whether a node says that it is catching up or starting: a hint, not a verdict.
    Gauge, "haltwatch_node_syncing", [], Node(|out, it| out.value(it.facts().and_then(|facts| facts.syncing.is_under_way())));
    /// Clock of a node minus clock of the monitor.
    Gauge, "haltwatch_node_clock_skew_seconds", [], Node(|out, it| out.value(it.view.clock_skew_ms.map(millis_to_seconds)));
    /// When the last poll of a node ended.
    Gauge, "haltwatch_node_last_poll_timestamp_seconds", [], Node(|out, it| {
        out.value(it.view.last_poll.map(|at| it.now.wall_at(at).seconds()));
    });
    /// When the last good poll of a node ended.
    Gauge, "haltwatch_node_last_success_timestamp_seconds", [], Node(|out, it| {
        out.value(it.view.last_success.map(|at| it.now.wall_at(at).seconds()));
    });
    /// Duration of the polls of a node, failed ones included.
    Histogram(&POLL_BUCKETS), "haltwatch_node_poll_duration_seconds", [], Node(|out, it| out.histogram(&it.view.poll_duration));
    /// Finished polls of a node by outcome: success, or the kind of failure.
    Counter, "haltwatch_node_polls_total", ["outcome"], Node(|out, it| {
        out.words("outcome", poll_outcomes().zip(it.view.polls));
    });
    /// Reorganisations a node went through: another hash at a height it had told before.
    Counter, "haltwatch_node_reorgs_total", [], Node(|out, it| out.value(Some(it.view.reorgs)));
}

/// The reasons for which a network can be halted: `Finding::reason` of the findings of `NetworkHalted`.
pub const HALT_REASONS: [&str; 3] = ["blocks_missing", "core_nodes_offline", "resumed"];

/// Longest node-supplied label value in bytes.
const NODE_TEXT: usize = 128;

/// The values of the label `outcome`, in the order of `PollCounts`.
fn poll_outcomes() -> impl Iterator<Item = &'static str> {
    std::iter::once("success").chain(ErrorKind::ALL.iter().map(|kind| kind.as_str()))
}

fn build_info(out: &mut Samples<'_>) {
    out.labelled(crate::output::build::LABELS, 1_u64);
}

fn canaries(out: &mut Samples<'_>, it: &Snapshot) {
    for (canary, reachable) in it.settings.canaries.iter().zip(&it.canaries) {
        if let Some(reachable) = reachable {
            out.labelled([("canary", &*canary.name)], *reachable);
        }
    }
}

fn alert(out: &mut Samples<'_>, it: &Alert) {
    if it.state == AlertState::Resolved {
        return;
    }
    let labels = [
        ("alertname", it.key.name.as_str()),
        ("state", shown_state(it)),
        ("level", it.level.as_str()),
        ("severity", it.level.severity()),
    ];
    out.labelled(labels, 1_u64);
}

fn network_info(out: &mut Samples<'_>, it: &NetworkScene<'_>) {
    let known = [
        ("family", &*it.settings.family),
        ("cadence", it.settings.cadence.as_str()),
        ("tolerance", it.settings.tolerance.as_str()),
        ("chain_id", it.settings.chain_id.as_deref().unwrap_or_default()),
    ];
    out.labelled(known.into_iter().chain(configured(&it.settings.labels, "haltwatch_network_info")), 1_u64);
}

fn node_info(out: &mut Samples<'_>, it: &NodeScene<'_>) {
    let said = it.facts().and_then(|facts| facts.version.as_deref()).map(|text| clean_text(text, NODE_TEXT));
    let (client, version) = client_and_version(said.as_deref().unwrap_or_default());
    let known = [
        ("family", it.network.map_or("", |network| &*network.family)),
        ("role", it.settings.role.as_str()),
        ("core", if it.settings.core { "true" } else { "false" }),
        ("client", client),
        ("version", version),
    ];
    out.labelled(known.into_iter().chain(configured(&it.settings.labels, "haltwatch_node_info")), 1_u64);
}

/// The labels of the configuration that do not collide with those of haltwatch in the family `name`.
fn configured<'a>(labels: &'a Labels, name: &'static str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let family = FAMILIES.iter().find(move |family| family.name == name);
    let taken = move |label: &str| {
        label.starts_with("__")
            || family.is_some_and(|it| it.labels.contains(&label) || it.source.labels().contains(&label))
    };
    labels.iter().map(|(name, value)| (&**name, &**value)).filter(move |(name, _)| !taken(name))
}

/// Splits what a node says of itself, `client/version/platform/...`. Some clients put a name of the operator's choice
/// between client and version, so the version is the first later part that begins like one.
pub(in crate::output) fn client_and_version(said: &str) -> (&str, &str) {
    let mut parts = said.split('/').map(str::trim);
    let client = parts.next().unwrap_or_default();
    let looks_like_one = |part: &&str| part.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let second = parts.clone().next().unwrap_or_default();
    (client, parts.find(looks_like_one).unwrap_or(second))
}

fn share(per_mille: u16) -> f64 {
    f64::from(per_mille) / 1000.0
}

fn node_counts(out: &mut Samples<'_>, it: &NetworkScene<'_>) {
    let count = |state| it.nodes.iter().filter(|node| node.state == state).count();
    out.words("state", NodeState::ALL.map(|state| (state.as_str(), count(state))));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a clock skew that does not fit 53 bits of milliseconds is absurd anyway"
)]
fn millis_to_seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_of_itself_is_split() {
        for (said, wanted) in [
            ("Geth/v1.13.5-stable-916d6a44/linux-amd64/go1.21.4", ("Geth", "v1.13.5-stable-916d6a44")),
            ("Geth/my node/v1.13.5/linux-amd64/go1.21", ("Geth", "v1.13.5")),
            ("erigon/2.60.0/linux-amd64/go1.22", ("erigon", "2.60.0")),
            ("anvil/v1.0.0", ("anvil", "v1.0.0")),
            ("Version dev ()\nCompiled at", ("Version dev ()\nCompiled at", "")),
            ("client/unnumbered/x", ("client", "unnumbered")),
            ("", ("", "")),
            ("///", ("", "")),
        ] {
            assert_eq!(client_and_version(said), wanted, "{said}");
        }
    }
}
