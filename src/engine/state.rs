//! The state of a node as one total function of what its word amounts to and how far it is from the tip.

use std::time::Duration;

use super::{
    decrease::HARMLESS_STEP,
    network::Network,
    node::{Node, Streak, Word, fresh_for},
    settings::NodeSettings,
    timer::Timer,
};
use crate::{
    model::{Height, NodeState, Timestamp},
    observation::{Facts, Meaning, Syncing},
};

/// Another hash than the majority's must be told for this long: shallow reorganisations settle by themselves.
pub const FORK_SETTLES: Duration = Duration::from_secs(30);

/// A node that says it is catching up and does not move for this long has stalled.
pub const SYNC_PATIENCE: Duration = Duration::from_secs(300);

/// What a block takes as long as nobody knows: only used to express a distance in time.
const ASSUMED_BLOCK_TIME: Duration = Duration::from_secs(1);

/// How far a node is behind the tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distance {
    /// In blocks.
    pub blocks: u64,
    /// In time: as long as the network takes for these blocks.
    pub lag: Duration,
    /// More than this is too far.
    pub limit: Duration,
    /// For how long its height has not risen.
    pub still: Duration,
}

impl Distance {
    /// The distance of a node from a tip.
    #[must_use]
    pub fn of(
        node: &Node,
        settings: &NodeSettings,
        tip: Option<Height>,
        block_time: Option<Duration>,
        now: Timestamp,
    ) -> Self {
        let blocks = tip.zip(node.height()).map_or(0, |(tip, height)| tip.above(height));
        let still = node.moved_at.map_or(Duration::ZERO, |at| now.since(at));
        let mut lag = time_of(blocks, block_time);
        if block_time.is_none() {
            lag = lag.min(still);
        }
        Self { blocks, lag, limit: lag_limit(settings, block_time), still }
    }

    /// Whether it is too far behind; once it is, it must come back to a third of the limit.
    #[must_use]
    pub fn is_behind(&self, was_behind: bool) -> bool {
        let limit = if was_behind { self.limit / 3 } else { self.limit };
        limit < self.lag
    }
}

/// On a chain that is set back the nodes come down one after the other, within this time.
const FALL_SETTLES: Duration = Duration::from_secs(30);

impl Network {
    /// Whether the whole network may be coming down with this node: it came down from where the tip still is, and nobody
    /// has told the tip since, or only others that may not have looked yet.
    #[must_use]
    pub fn falls(&self, node: &Node, limit: Duration, block_time: Option<Duration>) -> bool {
        let Some((tip, (from, at))) = self.tip.borne_out().zip(node.fell) else { return false };
        let was_at_tip = time_of(tip.above(from), block_time) <= limit;
        was_at_tip && self.tip_told <= Some(at.after(FALL_SETTLES))
    }
}

impl Node {
    /// Whether it votes below the tip and has come down from so near it that it was not asked in time.
    #[must_use]
    pub fn fell_beside(&self, tip: Option<Height>, settings: &NodeSettings, block_time: Option<Duration>) -> bool {
        let Some(((tip, reached), vote)) = tip.zip(self.reached).zip(self.vote) else { return false };
        let was_there = time_of(tip.above(reached), block_time) <= lag_limit(settings, block_time);
        was_there && vote < tip && HARMLESS_STEP < reached.above(vote)
    }

    /// Whether it has told other hashes than the majority for longer than a shallow reorganisation lasts. What it told
    /// before that, and has not looked at since, it may have given up like everybody else.
    #[must_use]
    pub fn forked(&self) -> bool {
        self.dispute.hash.as_ref().is_some_and(|dispute| dispute.since.after(FORK_SETTLES) <= dispute.told)
    }
}

/// What the network takes for so many blocks.
fn time_of(blocks: u64, block_time: Option<Duration>) -> Duration {
    block_time.unwrap_or(ASSUMED_BLOCK_TIME).saturating_mul(u32::try_from(blocks).unwrap_or(u32::MAX))
}

/// How far behind the tip a node may be. What it has done since we last asked cannot be held against it.
#[must_use]
pub fn lag_limit(settings: &NodeSettings, block_time: Option<Duration>) -> Duration {
    let block_times = block_time.unwrap_or_default().saturating_mul(settings.limits.lag_block_times);
    settings.limits.lag_seconds.max(block_times).max(fresh_for(settings))
}

/// The state of a node. `distance` must be current; `node.behind` already decided from it.
#[must_use]
pub fn state(node: &Node, settings: &NodeSettings, distance: &Distance, timer: &Timer) -> NodeState {
    match node.word(settings, timer) {
        Word::Nothing => NodeState::Unknown,
        Word::Failing(streak) => failing(streak, settings, timer),
        Word::Facts(facts) => answering(node, facts, distance, timer),
    }
}

fn failing(streak: Streak, settings: &NodeSettings, timer: &Timer) -> NodeState {
    match streak.meaning {
        Meaning::Limited => NodeState::RateLimited,
        Meaning::Refused => NodeState::Unauthorized,
        Meaning::Starting => NodeState::Starting,
        Meaning::Local => NodeState::Unknown,
        Meaning::Absent => {
            let long = timer.passed(streak.since.after(settings.limits.offline_after));
            let often = settings.limits.offline_attempts <= streak.attempts;
            if long && often { NodeState::Offline } else { NodeState::Unreachable }
        }
    }
}

fn answering(node: &Node, facts: &Facts, distance: &Distance, timer: &Timer) -> NodeState {
    if node.dispute.identity.is_some() {
        return NodeState::WrongChain;
    }
    if node.forked() {
        return NodeState::Forked;
    }
    let stood = |limit| timer.passed(timer.now().at.before(distance.still).after(limit));
    match (facts.syncing, node.behind) {
        (Syncing::Starting, _) => NodeState::Starting,
        _ if node.pulse.alone => NodeState::Stalled,
        (_, false) => NodeState::Live,
        (Syncing::Yes { .. }, true) if !stood(SYNC_PATIENCE) => NodeState::Syncing,
        (_, true) if stood(distance.limit / 2) => NodeState::Stalled,
        (_, true) => NodeState::Lagging,
    }
}
