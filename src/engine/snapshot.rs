//! One immutable picture of everything the engine knows at one instant. Metrics, API and page read nothing else, so
//! they cannot disagree.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{decrease::Decrease, finding::Finding, settings::Settings, silence::Silence};
use crate::{
    model::{
        AlertName, BlockHash, Height, Level, NetworkIndex, NodeIndex, NodeState, Now, Timestamp, UnixTime, VantageIndex,
    },
    observation::{ErrorKind, Facts},
};

/// Upper bounds, in seconds, of the buckets of a node's poll duration; the last bucket is unbounded.
pub const POLL_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Upper bounds, in seconds, of the buckets of a network's block interval; the last bucket is unbounded.
pub const BLOCK_BUCKETS: [f64; 10] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0];

/// Duplicates shown of one network at the most.
pub const DUPLICATES: usize = 64;

/// Versions shown of one network at the most.
pub const VERSIONS: usize = 16;

/// Everything the engine knows at one instant.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was taken.
    pub taken: Now,
    /// The settings it was taken under; indices point in there.
    pub settings: Arc<Settings>,
    /// Parallel to `settings.networks`.
    pub networks: Vec<NetworkView>,
    /// Parallel to `settings.nodes`.
    pub nodes: Vec<NodeView>,
    /// Parallel to `settings.canaries`: whether each answered its last probe; `None` = never probed.
    pub canaries: Vec<Option<bool>>,
    /// Since when the monitor has been cut off.
    pub isolated_since: Option<Timestamp>,
    /// When the engine looks again even if nobody says anything: the earliest time at which a verdict can change.
    pub wake_at: Option<Timestamp>,
    /// Pending and firing alerts, in a stable order.
    pub alerts: Vec<Alert>,
    /// Silences, those of the configuration first.
    pub silences: Arc<[Silence]>,
}

/// What is known of one node.
#[derive(Debug, Clone, Default)]
pub struct NodeView {
    /// Its state.
    pub state: NodeState,
    /// Since when it has been in that state; `None` = never polled.
    pub state_since: Option<Timestamp>,
    /// When its last poll ended.
    pub last_poll: Option<Timestamp>,
    /// When its last good poll ended.
    pub last_success: Option<Timestamp>,
    /// Whether the last poll was good; `None` = never polled, or so long ago that nobody knows.
    pub up: Option<bool>,
    /// What it said at its last good poll; `None` once that is no longer fresh, so that no value ever freezes.
    pub facts: Option<Arc<Facts>>,
    /// Why its last failed poll failed, while it is failing.
    pub error: Option<(ErrorKind, Arc<str>)>,
    /// Blocks behind the tip; `None` without fresh facts or tip.
    pub lag_blocks: Option<u64>,
    /// Its clock minus ours in milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// Finished polls by outcome: `polls[0]` good ones, `polls[1 + i]` those failed with `ErrorKind::ALL[i]`.
    pub polls: PollCounts,
    /// Durations of all finished polls.
    pub poll_duration: Histogram<10>,
    /// Reorganisations seen: another hash at a height it had told before.
    pub reorgs: u64,
    /// The last time its height went back by more than is harmless, and why.
    pub decrease: Option<Decrease>,
}

/// Number of poll outcomes: success and every error kind.
pub const POLL_OUTCOMES: usize = 1 + ErrorKind::ALL.len();

/// Finished polls by outcome.
pub type PollCounts = [u64; POLL_OUTCOMES];

/// A cumulative histogram with `N` bounded buckets and one unbounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Histogram<const N: usize> {
    /// Observations per bucket, not cumulated; those above every bound are only in `count`.
    pub buckets: [u64; N],
    /// Observations in all.
    pub count: u64,
    /// Their sum in seconds.
    pub sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { buckets: [0; N], count: 0, sum: 0.0 }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts one duration against `bounds` in seconds.
    pub fn observe(&mut self, bounds: &[f64; N], duration: Duration) {
        let seconds = duration.as_secs_f64();
        if let Some(bucket) = bounds.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }

    /// Counts the same duration `times` times.
    pub fn observe_times(&mut self, bounds: &[f64; N], duration: Duration, times: u64) {
        for _ in 0..times {
            self.observe(bounds, duration);
        }
    }
}

/// What a network is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkPhase {
    /// Not enough evidence.
    #[default]
    Unknown,
    /// Making blocks.
    Live,
    /// Making none because there is nothing to do, or because that was announced.
    Idle,
    /// `NetworkHalted` holds.
    Halted,
    /// No voter answers.
    Unreachable,
}

impl NetworkPhase {
    /// Every phase, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::Live, Self::Idle, Self::Halted, Self::Unreachable];

    /// The word used in the API and on the page.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Live => "live",
            Self::Idle => "idle",
            Self::Halted => "halted",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What is known of one network.
#[derive(Debug, Clone, Default)]
pub struct NetworkView {
    /// What it is doing.
    pub phase: NetworkPhase,
    /// The corroborated tip.
    pub tip: Option<Tip>,
    /// The highest final height that two voters report where three do, at most the tip.
    pub finalized: Option<Height>,
    /// Time from that block to the one at the tip.
    pub finality_lag: Option<Duration>,
    /// The lag from which on finality is stalled; `None` while nobody knows what is normal.
    pub finality_limit: Option<Duration>,
    /// Consensus round of the height in progress, 0 = first: the middle one of what voters say.
    pub round: Option<u64>,
    /// Weight that takes part in consensus, per mille of all: the middle one of what voters say.
    pub participation: Option<u16>,
    /// When the tip last rose; at the first sample taken from the head block's own timestamp.
    pub progress_at: Option<Timestamp>,
    /// The gap after which blocks count as missing.
    pub halt_threshold: Option<Duration>,
    /// Gap over threshold; above 1 blocks are missing. On an idle on-demand network, and inside an announced halt, 0.
    pub halt_ratio: Option<f64>,
    /// The block time in use.
    pub block_time: Option<BlockTime>,
    /// Local times between rises of the tip, one observation per new block.
    pub block_interval: Histogram<10>,
    /// Nodes whose word counts now.
    pub voters: usize,
    /// Voters of the last good view: half of them must be fresh for a verdict.
    pub voters_expected: usize,
    /// Live core weight minus needed core weight, unwatched weight counted as alive; `None` without core nodes.
    pub quorum_margin: Option<i64>,
    /// Core weight that may be lost when none is; `None` without core nodes.
    pub quorum_tolerated: Option<u64>,
    /// Nodes that only repeat the word of another, each with the one whose word counts: behind both endpoints answers
    /// one node, or one balancer. At most [`DUPLICATES`].
    pub duplicates: Vec<(NodeIndex, NodeIndex)>,
    /// Versions the nodes report now, with the number of nodes that do, of at most [`VERSIONS`] of them.
    pub versions: BTreeMap<Arc<str>, usize>,
    /// When its verdicts are due again even if nobody says anything.
    pub wake_at: Option<Timestamp>,
    /// The word of every node of this network, for the explanation.
    pub votes: Vec<Vote>,
    /// Alerts about this network and its nodes that began firing or got louder, by the level they came to, L1..L4.
    pub incidents: [u64; 4],
}

/// The highest height the network provably reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its number.
    pub height: Height,
    /// The hash most voters at this height report.
    pub hash: Option<BlockHash>,
    /// The block's own timestamp.
    pub time: Option<UnixTime>,
    /// How many voters have reached it.
    pub confirmed_by: usize,
}

/// The block time in use and where it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockTime {
    /// Mean time between blocks.
    pub value: Duration,
    /// Number of intervals it was learned from; `None` = declared.
    pub samples: Option<usize>,
}

/// One node's say in the verdict about its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// Whose.
    pub node: NodeIndex,
    /// Whether it counts.
    pub counts: bool,
    /// The node's state, which is why it counts or not.
    pub state: NodeState,
    /// Its height, if fresh.
    pub height: Option<Height>,
    /// When its last good answer arrived.
    pub heard: Option<Timestamp>,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The monitor itself.
    Monitor,
    /// One of the places from which a monitor with several of them watches.
    Vantage(VantageIndex),
    /// A network.
    Network(NetworkIndex),
    /// A node.
    Node(NodeIndex),
}

/// The identity of an alert: never its text or numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertKey {
    /// Its name.
    pub name: AlertName,
    /// What it is about.
    pub subject: Subject,
}

/// A finding with a life.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its identity.
    pub key: AlertKey,
    /// How loud it is.
    pub level: Level,
    /// Pending, firing or resolved.
    pub state: AlertState,
    /// Wall time at which the finding first held.
    pub active_at: UnixTime,
    /// Wall time at which it began firing.
    pub fired_at: Option<UnixTime>,
    /// Wall time since which the finding has been gone: it fires on for a while, so that an end is not told and taken back.
    pub clear_since: Option<UnixTime>,
    /// Wall time at which it was resolved.
    pub resolved_at: Option<UnixTime>,
    /// The alert that mutes this one. A muted alert is shown, but not announced.
    pub inhibited_by: Option<AlertKey>,
    /// The silence that matches it now. A silenced alert is shown, but not announced.
    pub silenced_by: Option<Arc<str>>,
    /// What was found: reason and numbers. Its text is the explanation.
    pub finding: Finding,
}

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// The finding holds, not yet for long enough.
    Pending,
    /// It holds, or has held until so recently that it may come back.
    Firing,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// The word used in the API and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// What a step of the engine changed, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Tell the world that this alert fires. Sent once per life, when it is first firing and not muted.
    Fired(Alert),
    /// Tell the world that this alert, announced before, has become louder: its level is new.
    Raised(Alert),
    /// Tell the world that this alert, announced before, is over.
    Resolved(Alert),
    /// Only for the log: the alert's state changed without an announcement (pended, withdrawn, fired but muted, ended
    /// muted).
    Quiet(Alert, QuietChange),
    /// Only for the log: a node changed its state.
    NodeState {
        /// The node.
        node: NodeIndex,
        /// Its state before.
        from: NodeState,
        /// Its state now.
        to: NodeState,
        /// How its last poll failed, if it did.
        error: Option<ErrorKind>,
    },
}

/// A change of an alert that is not announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuietChange {
    /// The finding began to hold.
    Pended,
    /// The finding went away before it fired.
    Withdrawn,
    /// It fires, but another alert mutes it.
    FiredMuted,
    /// It ended without ever having been announced.
    EndedMuted,
    /// It fires, but a silence keeps it from being announced.
    FiredSilenced,
    /// It was announced before we were started again, and now its rule has found it too.
    FoundAgain,
}

/// What a step of the engine returns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// What changed.
    pub effects: Vec<Effect>,
    /// The earliest time at which a verdict can change with no new evidence.
    pub wake_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_value_in_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::<10>::default();
        for ms in [1, 5, 6, 10_000] {
            histogram.observe(&POLL_BUCKETS, Duration::from_millis(ms));
        }
        assert_eq!((histogram.buckets[0], histogram.buckets[1], histogram.count), (2, 1, 4));
        assert_eq!(histogram.buckets.iter().sum::<u64>(), 3);
    }
}
