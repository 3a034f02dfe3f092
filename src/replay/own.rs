//! What stands under our own keys of a stream: everything the format has no key for. Written by recordings and read back
//! here, so that a replay judges under the very settings and facts the daemon had.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::record::{Chain, Flag, Node, Record};
use crate::{
    engine::settings::{Cadence, FaultTolerance, NetworkLimits, NetworkSettings, NodeLimits, NodeSettings},
    model::{BlockHash, Height, Instant, Role, UnixTime},
    observation::{EQUIVOCATIONS, Equivocation, Facts, Syncing, Upgrade, clean_text},
};

/// Longest text of a node that is kept, in bytes.
const TEXT_BYTES: usize = 128;

/// One threshold of `L`, read and written as a number; times in seconds.
enum Limit<L> {
    Time(&'static str, fn(&mut L) -> &mut Duration),
    Count(&'static str, fn(&mut L) -> &mut u32),
    Share(&'static str, fn(&mut L) -> &mut f64),
    Perhaps(&'static str, fn(&mut L) -> &mut Option<u64>),
}

const NETWORK: &[Limit<NetworkLimits>] = &[
    Limit::Count("missing_blocks", |it| &mut it.missing_blocks),
    Limit::Time("halt_floor", |it| &mut it.halt_floor),
    Limit::Time("nodes_offline", |it| &mut it.nodes_offline),
    Limit::Time("unreachable_after", |it| &mut it.unreachable_after),
    Limit::Count("recovery_blocks", |it| &mut it.recovery_blocks),
    Limit::Time("horizon", |it| &mut it.horizon),
    Limit::Count("finality_factor", |it| &mut it.finality_factor),
    Limit::Time("finality_floor", |it| &mut it.finality_floor),
    Limit::Count("split_blocks", |it| &mut it.split_blocks),
    Limit::Time("split_after", |it| &mut it.split_after),
    Limit::Count("reorg_depth", |it| &mut it.reorg_depth),
    Limit::Time("slow_after", |it| &mut it.slow_after),
    Limit::Time("confirmation_limit", |it| &mut it.confirmation_limit),
    Limit::Time("empty_after", |it| &mut it.empty_after),
    Limit::Time("upgrade_window", |it| &mut it.upgrade_window),
    Limit::Time("flap_window", |it| &mut it.flap_window),
];

const NODE: &[Limit<NodeLimits>] = &[
    Limit::Time("offline_after", |it| &mut it.offline_after),
    Limit::Count("offline_attempts", |it| &mut it.offline_attempts),
    Limit::Time("lag_seconds", |it| &mut it.lag_seconds),
    Limit::Count("lag_block_times", |it| &mut it.lag_block_times),
    Limit::Perhaps("min_peers", |it| &mut it.min_peers),
    Limit::Time("slow_latency", |it| &mut it.slow_latency),
    Limit::Count("slow_factor", |it| &mut it.slow_factor),
    Limit::Share("error_ratio", |it| &mut it.error_ratio),
    Limit::Count("error_count", |it| &mut it.error_count),
    Limit::Time("sustained", |it| &mut it.sustained),
    Limit::Time("clock_skew", |it| &mut it.clock_skew),
];

impl<L> Limit<L> {
    fn name(&self) -> &'static str {
        match self {
            Self::Time(name, _) | Self::Count(name, _) | Self::Share(name, _) | Self::Perhaps(name, _) => name,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of peers beyond 2^53 is no limit anyway")]
    fn get(&self, limits: &mut L) -> f64 {
        match self {
            Self::Time(_, of) => of(limits).as_secs_f64(),
            Self::Count(_, of) => f64::from(*of(limits)),
            Self::Share(_, of) => *of(limits),
            Self::Perhaps(_, of) => of(limits).unwrap_or_default() as f64,
        }
    }

    /// A number that the limit cannot be is passed over, as a key that we do not know.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast saturates")]
    fn set(&self, limits: &mut L, number: f64) {
        match self {
            Self::Time(_, of) => *of(limits) = Duration::try_from_secs_f64(number).unwrap_or(*of(limits)),
            Self::Count(_, of) => *of(limits) = number as u32,
            Self::Share(_, of) => *of(limits) = number,
            Self::Perhaps(_, of) => *of(limits) = Some(number as u64).filter(|number| 0 < *number),
        }
    }
}

fn differing<L: Copy>(table: &[Limit<L>], mut limits: L, mut usual: L) -> BTreeMap<Arc<str>, f64> {
    let numbers = table.iter().map(|limit| (limit, limit.get(&mut limits), limit.get(&mut usual)));
    let differing = numbers.filter(|(_, is, usual)| is.to_bits() != usual.to_bits());
    differing.map(|(limit, is, _)| (Arc::from(limit.name()), is)).collect()
}

fn put<L>(table: &[Limit<L>], limits: &mut L, numbers: &BTreeMap<Arc<str>, f64>) {
    for limit in table {
        if let Some(number) = numbers.get(limit.name()) {
            limit.set(limits, *number);
        }
    }
}

/// The thresholds of a node of a stream that says nothing about them.
#[must_use]
pub fn usual_node_limits() -> NodeLimits {
    NodeLimits { min_peers: Some(1), ..NodeLimits::default() }
}

/// What our keys say of a network, as [`network`] reads it; the names of those it depends on are given.
pub fn write_network(chain: &mut Chain, settings: &NetworkSettings, depends_on: Vec<Arc<str>>) {
    chain.genesis = settings.genesis.map(|hash| hash.to_string());
    chain.block_time_learned = Flag(settings.block_time.is_none());
    chain.due = Some(Arc::from(settings.cadence.as_str()));
    if let Cadence::IdleMax(most) = settings.cadence {
        chain.idle_max_s = Some(most.as_secs_f64());
    }
    chain.tolerance = Some(Arc::from(settings.tolerance.as_str()));
    chain.limits = differing(NETWORK, settings.limits, NetworkLimits::default());
    chain.depends_on = depends_on;
}

/// What our keys say of a node, as [`node`] reads it.
pub fn write_node(line: &mut Node, settings: &NodeSettings) {
    line.exactly = Some(Arc::from(settings.role.as_str()));
    line.poll_s = Some(settings.interval.as_secs_f64());
    line.timeout_s = Some(settings.timeout.as_secs_f64());
    line.limits = differing(NODE, settings.limits, usual_node_limits());
}

/// Overlays what our keys say of a network.
pub fn network(settings: &mut NetworkSettings, chain: &Chain) {
    // Nobody pinned the chain: a recording says so with an empty text, because the key must be there.
    settings.chain_id = settings.chain_id.take().filter(|net| !net.is_empty());
    settings.genesis = chain.genesis.as_deref().map(hash);
    if chain.block_time_learned == Flag(true) {
        settings.block_time = None;
    }
    let idle = chain.idle_max_s.and_then(|most| Duration::try_from_secs_f64(most).ok());
    settings.cadence = match (chain.due.as_deref(), idle) {
        (Some("interval"), _) => Cadence::Interval,
        (Some("slots"), _) => Cadence::Slots,
        (Some("poisson"), _) => Cadence::Poisson,
        (Some("on_demand"), _) => Cadence::OnDemand,
        (Some("idle_max"), Some(most)) => Cadence::IdleMax(most),
        _ => settings.cadence,
    };
    let tolerances =
        [FaultTolerance::Bft, FaultTolerance::TwoThirds, FaultTolerance::Majority, FaultTolerance::AllButOne];
    let named = tolerances.into_iter().find(|it| Some(it.as_str()) == chain.tolerance.as_deref());
    settings.tolerance = named.unwrap_or(settings.tolerance);
    put(NETWORK, &mut settings.limits, &chain.limits);
}

/// Overlays what our keys say of a node.
pub fn node(settings: &mut NodeSettings, node: &Node) {
    let role = Role::ALL.into_iter().find(|role| Some(role.as_str()) == node.exactly.as_deref());
    settings.role = role.unwrap_or(settings.role);
    let seconds =
        |given: Option<f64>| given.and_then(|s| Duration::try_from_secs_f64(s).ok()).filter(|it| !it.is_zero());
    settings.interval = seconds(node.poll_s).unwrap_or(settings.interval);
    settings.timeout = seconds(node.timeout_s).unwrap_or(settings.timeout);
    put(NODE, &mut settings.limits, &node.limits);
}

/// Overlays what our keys say of a good answer.
pub fn facts(facts: &mut Facts, record: &Record) {
    facts.head.parent = record.ph.as_deref().map(hash);
    facts.genesis = record.genesis.as_deref().map(hash);
    facts.safe = record.safe.map(Height);
    if record.starting == Flag(true) {
        facts.syncing = Syncing::Starting;
    } else if let Syncing::Yes { behind } = &mut facts.syncing {
        *behind = record.behind;
    }
    let clean = |text: &str| Arc::from(clean_text(text, TEXT_BYTES));
    facts.identity = record.identity.as_deref().map(clean);
    facts.validators = record.validators;
    let twice = record.equivocations.iter().take(EQUIVOCATIONS);
    let twice = twice.map(|(height, who, told_in)| Equivocation {
        height: Height(*height),
        validator: clean(who),
        told_in: Height(*told_in),
    });
    facts.equivocations = twice.collect();
    facts.upgrade =
        record.upgrade.as_ref().map(|(name, height)| Upgrade { name: clean(name), height: Height(*height) });
}

/// Writes what [`facts`] reads.
pub fn write_facts(record: &mut Record, facts: &Facts) {
    record.ph = facts.head.parent.map(|hash| hash.to_string());
    record.genesis = facts.genesis.map(|hash| hash.to_string());
    record.safe = facts.safe.map(|height| height.0);
    record.starting = Flag(facts.syncing == Syncing::Starting);
    if let Syncing::Yes { behind } = facts.syncing {
        record.behind = behind;
    }
    record.identity.clone_from(&facts.identity);
    record.validators = facts.validators;
    let twice = facts.equivocations.iter();
    record.equivocations = twice.map(|it| (it.height.0, Arc::clone(&it.validator), it.told_in.0)).collect();
    record.upgrade = facts.upgrade.as_ref().map(|it| (Arc::clone(&it.name), it.height.0));
}

/// An instant as it was announced: on the wall clock where our key says so.
#[must_use]
pub fn instant(stream_ms: Option<i64>, wall_ms: Option<i64>) -> Option<Instant> {
    let wall = wall_ms.map(|ms| Instant::Wall(UnixTime::from_millis(ms)));
    wall.or_else(|| stream_ms.map(|ms| Instant::At(crate::model::Timestamp(ms))))
}

/// A hash: 32 bytes as we write them, or any opaque text, of which up to 32 bytes tell blocks apart.
#[must_use]
pub fn hash(text: &str) -> BlockHash {
    let mut bytes = [0; 32];
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 64);
    let digits: Option<Vec<u8>> =
        digits.and_then(|it| it.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect());
    match digits {
        Some(digits) => bytes.iter_mut().zip(digits.chunks(2)).for_each(|(byte, pair)| {
            *byte = pair.iter().fold(0, |high, digit| high << 4 | digit);
        }),
        None => bytes.iter_mut().zip(text.bytes()).for_each(|(byte, letter)| *byte = letter),
    }
    BlockHash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_threshold_survives_being_written_and_read() {
        let mut wanted = NetworkLimits::default();
        for (n, limit) in NETWORK.iter().enumerate() {
            limit.set(&mut wanted, f64::from(u32::try_from(n).unwrap() + 7000));
        }
        let mut read = NetworkLimits::default();
        put(NETWORK, &mut read, &differing(NETWORK, wanted, NetworkLimits::default()));
        assert_eq!(read, wanted);
        assert_eq!(differing(NETWORK, read, NetworkLimits::default()).len(), NETWORK.len());
        let mut node = usual_node_limits();
        (node.min_peers, node.error_ratio) = (None, 0.5);
        let mut read = usual_node_limits();
        put(NODE, &mut read, &differing(NODE, node, usual_node_limits()));
        assert_eq!(read, node);
    }

    #[test]
    fn a_hash_is_read_as_it_is_shown_and_any_other_text_by_its_letters() {
        let shown = BlockHash([0xa5; 32]);
        assert_eq!(hash(&shown.to_string()), shown);
        assert_ne!(hash("00000000ab12"), hash("00000000ab13"));
        assert_ne!(hash(&format!("0x{}", "é".repeat(32))), hash(""));
    }
}
