//! Tells what a probe found: as a table for people, as JSON for tools, as metrics for Prometheus, and as the
//! configuration that would watch the node. All of them read one report, so they cannot disagree.

mod json;
mod metrics;
mod name;
mod rows;
mod suggestion;

use std::time::Duration;

pub use self::{
    json::Told,
    metrics::{FAMILIES, ProbeFamily, exposition},
    name::chain_name,
    rows::{Row, lines, rows},
    suggestion::{MAX_SUGGESTED_NAME, config},
};
use crate::{
    engine::{
        forecast,
        settings::{Cadence, NetworkSettings, NodeSettings},
    },
    observation::probe::Report,
};

/// What the rules will hold against the network and the node: the thresholds that follow from what was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// No block for so long is a halt ...
    pub halt_after: Duration,
    /// ... while work waits for one.
    pub on_demand: bool,
    /// Farther behind than this, in time, a node lags or has stalled.
    pub lag_after: Duration,
    /// No good answer for so long is a node that is offline.
    pub offline_after: Duration,
}

impl Thresholds {
    /// The thresholds of a network and a node with these settings, given the observed block time.
    #[must_use]
    pub fn of(report: &Report, network: &NetworkSettings, node: &NodeSettings) -> Self {
        let observed = report.block_time.map(|block_time| block_time.mean);
        Self {
            halt_after: forecast::halt_after(network, observed),
            on_demand: report.kind.on_demand || network.cadence == Cadence::OnDemand,
            lag_after: forecast::lag_after(node, network.block_time.or(observed)),
            offline_after: forecast::offline_after(node),
        }
    }
}

/// Clock of the node minus our clock, and how far that may be off, in seconds.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a clock skew beyond 53 bits of milliseconds is absurd anyway")]
pub fn clock_skew_seconds(report: &Report) -> Option<(f64, f64)> {
    let (answered, elapsed) = report.heard?;
    let clock = report.facts.as_ref()?.clock?;
    let (ms, doubt_ms) = forecast::clock_skew(answered, elapsed, clock);
    Some((ms as f64 / 1000.0, doubt_ms as f64 / 1000.0))
}

/// Age of the head by our clock; negative if the head claims to come from the future.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "times up to the year 9999 fit 53 bits of milliseconds")]
pub fn head_age_seconds(report: &Report) -> Option<f64> {
    let time = report.facts.as_ref()?.head.time?;
    Some(report.heard?.0.minus(time) as f64 / 1000.0)
}

/// When the certificate ends or has ended, and how many days are left by our clock.
#[must_use]
pub fn certificate_end(report: &Report) -> Option<(crate::model::UnixTime, i64)> {
    let accepted = report.connection.and_then(|connection| connection.tls).and_then(|tls| tls.not_after);
    let end = accepted.or(report.expired_at)?;
    Some((end, end.minus(report.begun).div_euclid(24 * 3600 * 1000)))
}
