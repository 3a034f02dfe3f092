//! The keys that are inherited: from the built-in defaults to `[defaults]`, to a network, to a node. Each is declared
//! once, here: its name, its range and the field it fills.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    kind::{count, duration, number, size},
    section::{Item, Section},
    survey::{LimitItems, TimingItems},
};
use crate::{
    chain::Profile,
    engine::settings::{NetworkLimits, NodeLimits},
};

/// How often a node may be polled.
pub(super) const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

/// How long one exchange may take.
pub(super) const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

/// How long anything may last before it is judged.
pub(super) const PERIODS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(30 * 24 * 3600);

/// How long anything may be damped; not at all, too.
const WINDOWS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 24 * 3600);

/// In which time one false alarm may be tolerated: a day to a thousand years.
const HORIZONS: RangeInclusive<Duration> = Duration::from_secs(24 * 3600)..=Duration::from_secs(1000 * 31_557_600);

/// How large an answer may be allowed to be.
const BODIES: RangeInclusive<usize> = 1024..=1024 * 1024 * 1024;

/// How many of something.
const COUNTS: RangeInclusive<u32> = 1..=1_000_000;

/// How many peers.
const PEERS: RangeInclusive<u64> = 0..=1_000_000;

/// How many requests a second.
const RATES: RangeInclusive<f64> = 0.001..=100_000.0;

/// What a network and a node inherit.
#[derive(Clone, Default)]
pub(super) struct Defaults<'a> {
    pub network: NetworkLimits,
    pub network_items: LimitItems<'a>,
    pub node: NodeDefaults<'a>,
}

/// What a node inherits, and where it stands.
#[derive(Clone, Default)]
pub(super) struct NodeDefaults<'a> {
    pub keys: NodeKeys,
    pub items: TimingItems<'a>,
}

/// What a node inherits.
#[derive(Debug, Clone)]
pub(super) struct NodeKeys {
    pub interval: Duration,
    pub timeout: Duration,
    pub body_limit: usize,
    pub requests_per_second: Option<f64>,
    pub limits: NodeLimits,
}

impl Default for NodeKeys {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            body_limit: 4 * 1024 * 1024,
            requests_per_second: None,
            limits: NodeLimits { min_peers: Some(1), ..NodeLimits::default() },
        }
    }
}

/// Reads `[defaults]` over the built-in ones.
pub(super) fn read_defaults(mut section: Section<'_>) -> Defaults<'_> {
    let defaults = Defaults::default().overlaid(&mut section);
    section.finish();
    defaults
}

impl<'a> Defaults<'a> {
    /// These defaults for a network of which this is known; what the user has set for all of them stands.
    pub(super) fn of(&self, profile: &Profile) -> Self {
        let mut keys = self.clone();
        if self.network_items.reorg_depth.is_none() {
            keys.network.reorg_depth = profile.reorg_depth;
        }
        if self.network_items.finality_factor.is_none() {
            keys.network.finality_factor = profile.finality_factor;
        }
        if self.node.items.min_peers.is_none() {
            keys.node.keys.limits.min_peers = Some(profile.min_peers).filter(|peers| *peers != 0);
        }
        keys
    }

    /// These defaults with what `section` says otherwise.
    pub(super) fn overlaid(&self, section: &mut Section<'a>) -> Self {
        let network_items = LimitItems {
            missing_blocks: section.item("missing_blocks").or_else(|| self.network_items.missing_blocks.clone()),
            halt_floor: section.item("halt_floor").or_else(|| self.network_items.halt_floor.clone()),
            split_blocks: section.item("split_blocks").or_else(|| self.network_items.split_blocks.clone()),
            finality_factor: section.item("finality_factor").or_else(|| self.network_items.finality_factor.clone()),
            reorg_depth: section.item("reorg_depth").or_else(|| self.network_items.reorg_depth.clone()),
        };
        let mut keys = Self { network: self.network, network_items, node: self.node.overlaid(section) };
        let network = &mut keys.network;
        section.set("missing_blocks", count(COUNTS), &mut network.missing_blocks);
        section.set("halt_floor", duration(PERIODS), &mut network.halt_floor);
        section.set("nodes_offline", duration(PERIODS), &mut network.nodes_offline);
        section.set("unreachable_after", duration(PERIODS), &mut network.unreachable_after);
        section.set("recovery_blocks", count(COUNTS), &mut network.recovery_blocks);
        section.set("horizon", duration(HORIZONS), &mut network.horizon);
        section.set("finality_factor", count(COUNTS), &mut network.finality_factor);
        section.set("finality_floor", duration(PERIODS), &mut network.finality_floor);
        section.set("split_blocks", count(COUNTS), &mut network.split_blocks);
        section.set("split_after", duration(PERIODS), &mut network.split_after);
        section.set("reorg_depth", count(COUNTS), &mut network.reorg_depth);
        section.set("slow_after", duration(PERIODS), &mut network.slow_after);
        section.set("confirmation_limit", duration(PERIODS), &mut network.confirmation_limit);
        section.set("empty_after", duration(PERIODS), &mut network.empty_after);
        section.set("upgrade_window", duration(PERIODS), &mut network.upgrade_window);
        section.set("flap_window", duration(WINDOWS), &mut network.flap_window);
        keys
    }
}

impl<'a> NodeDefaults<'a> {
    /// These keys with what `section` says otherwise.
    pub(super) fn overlaid(&self, section: &mut Section<'a>) -> Self {
        let items = TimingItems {
            interval: section.item("interval").or_else(|| self.items.interval.clone()),
            timeout: section.item("timeout").or_else(|| self.items.timeout.clone()),
            min_peers: section.item("min_peers").or_else(|| self.items.min_peers.clone()),
        };
        let mut keys = self.keys.clone();
        section.set("interval", duration(INTERVALS), &mut keys.interval);
        section.set("timeout", duration(TIMEOUTS), &mut keys.timeout);
        section.set("body_limit", size(BODIES), &mut keys.body_limit);
        section.set("requests_per_second", given(number(RATES)), &mut keys.requests_per_second);
        let limits = &mut keys.limits;
        section.set("offline_after", duration(PERIODS), &mut limits.offline_after);
        section.set("offline_attempts", count(COUNTS), &mut limits.offline_attempts);
        section.set("lag_seconds", duration(PERIODS), &mut limits.lag_seconds);
        section.set("lag_block_times", count(COUNTS), &mut limits.lag_block_times);
        section.set("min_peers", unless_zero(count(PEERS)), &mut limits.min_peers);
        section.set("slow_latency", duration(PERIODS), &mut limits.slow_latency);
        section.set("slow_factor", count(COUNTS), &mut limits.slow_factor);
        section.set("error_ratio", number(0.0..=1.0), &mut limits.error_ratio);
        section.set("error_count", count(COUNTS), &mut limits.error_count);
        section.set("sustained", duration(PERIODS), &mut limits.sustained);
        section.set("clock_skew", duration(PERIODS), &mut limits.clock_skew);
        Self { keys, items }
    }
}

/// A kind whose key may also be absent.
fn given<'a, T>(kind: impl Fn(&Item<'a>) -> Option<T>) -> impl Fn(&Item<'a>) -> Option<Option<T>> {
    move |item| kind(item).map(Some)
}

/// A kind whose zero means "not at all".
fn unless_zero<'a>(kind: impl Fn(&Item<'a>) -> Option<u64>) -> impl Fn(&Item<'a>) -> Option<Option<u64>> {
    move |item| kind(item).map(|number| (0 < number).then_some(number))
}
