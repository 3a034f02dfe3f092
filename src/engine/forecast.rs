//! What the rules will hold against a network and a node, said before anything is watched: for probes and for checks of
//! a configuration. The numbers come from the rules' own formulas, so a forecast cannot differ from a verdict.

use std::time::Duration;

use super::{
    node::{Skew, skew},
    progress::Progress,
    settings::{NetworkSettings, NodeSettings},
    state::lag_limit,
};
use crate::model::UnixTime;

/// When no block for so long is a halt: `NetworkHalted`. `block_time` is the observed one; a declared one goes before it.
#[must_use]
pub fn halt_after(network: &NetworkSettings, block_time: Option<Duration>) -> Duration {
    let mut network = network.clone();
    network.block_time = network.block_time.or(block_time);
    Progress::default().threshold(&network)
}

/// How far behind the network a node may be, in time: beyond it `NodeLagging`, and `NodeStalled` where it stands still.
#[must_use]
pub fn lag_after(node: &NodeSettings, block_time: Option<Duration>) -> Duration {
    lag_limit(node, block_time)
}

/// When no good answer for so long is `NodeOffline`: a poll more may pass until enough attempts have failed.
#[must_use]
pub fn offline_after(node: &NodeSettings) -> Duration {
    let attempts = node.interval.saturating_mul(node.limits.offline_attempts);
    node.limits.offline_after.max(attempts)
}

/// By how many milliseconds the clock of a node is ahead of ours, and how many of them may be rounding and transport.
/// `answered` is when its answer, which took `elapsed`, told `clock`.
#[must_use]
pub fn clock_skew(answered: UnixTime, elapsed: Duration, clock: UnixTime) -> (i64, i64) {
    let Skew { ms, doubt_ms } = skew(answered, elapsed, clock);
    (ms, doubt_ms)
}
