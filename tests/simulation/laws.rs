//! What holds in every story: a healthy network alarms nobody, what lasts is told in time, what was told ends after it
//! has healed, nothing is told twice, and nothing depends on how often the engine is asked.

use std::{collections::BTreeMap, time::Duration};

use haltwatch::{
    engine::snapshot::{AlertKey, Subject},
    model::{AlertName, Level, NetworkIndex, NodeIndex},
};

use crate::{
    fault::{Fault, Kind},
    play::{self, Manner, Played, Told},
    story::{AFTERMATH_MS, Story},
    truth::Truth,
};

/// A story of every so many is also played in other manners.
const REPLAYED: u64 = 64;

/// Granted beyond every limit and two polls: an answer takes its time, and so does a block on its way.
const GRACE_MS: i64 = 5000;

/// The laws a played story breaks.
pub fn broken(story: &Story, played: &Played) -> Vec<String> {
    let mut broken = played.faults.clone();
    broken.extend(unexcused(story, played));
    broken.extend(untold(story, played));
    broken.extend(hasty(story, played));
    broken.extend(out_of_order(story, played));
    broken.extend(lasting(story, played));
    if story.seed.is_multiple_of(REPLAYED) {
        for manner in [Manner::Plain, Manner::Restless, Manner::Reloaded] {
            let again = play::play(story, manner);
            // Whoever looks at the clocks more often sees earlier that one was set.
            let counts = |told: &&Told| manner != Manner::Restless || told.key.name != AlertName::MonitorClockJump;
            let before: Vec<&Told> = played.told.iter().filter(counts).collect();
            let again: Vec<&Told> = again.told.iter().filter(counts).collect();
            if again != before {
                broken.push(format!("{manner:?}: told otherwise: {}", difference(&before, &again)));
            }
        }
        broken.extend(forgotten(story));
    }
    broken
}

/// Whoever dies in the middle of troubles tells nothing twice and no end without a beginning, and comes to the end of all;
/// but of errors only when as many polls have been good as would show them, which may take longer than the story.
fn forgotten(story: &Story) -> Vec<String> {
    let mut played = play::play(story, Manner::Killed);
    let mut broken = played.faults.clone();
    broken.extend(unexcused(story, &played));
    broken.extend(out_of_order(story, &played));
    played.firing.retain(|(key, _)| key.name != AlertName::NodeErrors);
    broken.extend(lasting(story, &played));
    broken.into_iter().map(|law| format!("Killed: {law}")).collect()
}

/// Loud alerts for which there is no reason.
fn unexcused(story: &Story, played: &Played) -> Vec<String> {
    let loud = played.told.iter().filter(|told| told.fired && told.is_loud());
    let unexcused = loud.filter(|told| !story.faults.iter().any(|fault| excuses(story, fault, told)));
    unexcused.map(|told| format!("without reason: {told}")).collect()
}

fn excuses(story: &Story, fault: &Fault, told: &Told) -> bool {
    if told.ms < fault.from || seen_until(story, fault) + AFTERMATH_MS < told.ms {
        return false;
    }
    let AlertKey { name, subject } = told.key;
    match subject {
        Subject::Monitor | Subject::Vantage(_) => fault.kind == Kind::CutOff && name == AlertName::MonitorIsolated,
        Subject::Network(network) => network.index() == fault.network && fault.kind.of_network().contains(&name),
        Subject::Node(node) => {
            let concerns = fault.node.map_or_else(
                || story.settings.nodes[node.index()].network.index() == fault.network,
                |position| position == node.index(),
            );
            concerns
                && (fault.kind.of_nodes().contains(&name) || name == AlertName::NodeForked && is_left(story, fault))
        }
    }
}

/// Whether it is a node that stands still on a block that its network replaces meanwhile.
fn is_left(story: &Story, fault: &Fault) -> bool {
    let replaces = |other: &Fault| matches!(other.kind, Kind::Reorg { .. } | Kind::Rollback { .. });
    let meanwhile = |other: &Fault| other.network == fault.network && fault.lasts_at(other.from);
    fault.kind == Kind::Freezes && story.faults.iter().any(|other| replaces(other) && meanwhile(other))
}

/// What happens while nobody sees is told when somebody sees again; and a chain that was set back while it stood still
/// proves that only as it grows again.
fn seen_until(story: &Story, fault: &Fault) -> i64 {
    let hides = |other: &&Fault| match other.kind {
        Kind::CutOff | Kind::Paused => true,
        Kind::Halt => matches!(fault.kind, Kind::Rollback { .. }) && other.network == fault.network,
        _ => false,
    };
    let hidden = story
        .faults
        .iter()
        .filter(hides)
        .filter(|other| other.from < fault.until + 2 * story.poll_ms && fault.from < other.until);
    let seen = hidden.map(|other| other.until).max().unwrap_or(fault.until).max(fault.until);
    let grows = matches!(fault.kind, Kind::Rollback { .. }) && fault.until < seen;
    seen + if grows { fault.until - fault.from } else { 0 }
}

/// Faults that lasted and were not told in time. Where two things happen at once neither is due.
fn untold(story: &Story, played: &Played) -> Vec<String> {
    let truth = Truth::of(story);
    let is_alone = |fault: &Fault, due: &Due| {
        let mut others = story.faults.iter().filter(|other| !std::ptr::eq(*other, fault));
        !others.any(|other| other.from < fault.until.max(due.by) && fault.from < other.until + AFTERMATH_MS)
    };
    let due = story.faults.iter().filter_map(|fault| Some((fault, due(story, &truth, fault)?)));
    let due = due.filter(|(fault, due)| is_alone(fault, due));
    // One that still fires of something before need not be told again.
    let in_time = |fault: &Fault, due: &Due| {
        let until_due: Vec<&Told> =
            played.told.iter().filter(|told| told.key == due.key && told.ms <= due.by).collect();
        let began = until_due.iter().any(|told| told.fired && fault.from <= told.ms);
        began || until_due.last().is_some_and(|last| last.fired)
    };
    due.filter(|(fault, due)| !in_time(fault, due))
        .map(|(fault, due)| format!("{:?} not told by {} for {:?}", due.key.name, due.by, fault.kind))
        .collect()
}

/// What must be told by when.
struct Due {
    key: AlertKey,
    by: i64,
}

fn due(story: &Story, truth: &Truth<'_>, fault: &Fault) -> Option<Due> {
    let network = Subject::Network(NetworkIndex(u32::try_from(fault.network).unwrap()));
    let node = fault.node.map(|node| Subject::Node(NodeIndex(u32::try_from(node).unwrap())));
    let nodes = story.members(fault.network).len();
    let slack = 2 * story.poll_ms + GRACE_MS;
    let (name, subject, by) = match fault.kind {
        // An undeclared block time is learned at its own pace.
        Kind::Halt => {
            story.settings.networks[fault.network].block_time?;
            let threshold = (10 * story.block_ms[fault.network]).max(30_000);
            let on_demand = story.is_on_demand(fault.network);
            let counts = if on_demand { fault.from } else { truth.chains[fault.network].last_before(fault.from) };
            (AlertName::NetworkHalted, network, counts + threshold + slack)
        }
        Kind::FinalityStops => {
            (AlertName::FinalityStalled, network, fault.from + 120_000 + slack + 2 * story.block_ms[fault.network])
        }
        // A chain that was set back proves it only as it grows again over the heights that were told before.
        Kind::Reorg { depth } if 100 <= depth && story.checkpoints => {
            (AlertName::DeepReorg, network, fault.from + 90_000)
        }
        Kind::Down if 1 < nodes => (AlertName::NodeOffline, node?, fault.from + 120_000 + slack),
        Kind::Down => (AlertName::NetworkUnreachable, network, fault.from + 60_000 + slack + 5000),
        Kind::WrongChain => (AlertName::NodeWrongChain, node?, fault.from + 130_000 + slack),
        Kind::CutOff => (AlertName::MonitorIsolated, Subject::Monitor, fault.from + 85_000),
        // The alert about the first goes on for a while.
        Kind::ClockSet if earlier_clock_set(story, fault) => return None,
        Kind::ClockSet => (AlertName::MonitorClockJump, Subject::Monitor, fault.from + 60_000),
        _ => return None,
    };
    let lasts = fault.until <= fault.from + 1 || by < fault.until;
    lasts.then_some(Due { key: AlertKey { name, subject }, by })
}

/// Halts that were told before blocks had been missing for the whole threshold under our eyes: time in which nobody
/// looked proves nothing, but for what passes until that is noticed. Of a single balancer nobody can say which of its
/// backends has the last block.
fn hasty(story: &Story, played: &Played) -> Vec<String> {
    let truth = Truth::of(story);
    let balances = |network| story.faults.iter().any(|fault| fault.kind == Kind::Balances && fault.network == network);
    let single = |network| story.members(network).len() == 1 && balances(network);
    let halted =
        |fault: &&Fault| fault.kind == Kind::Halt && !story.is_on_demand(fault.network) && !single(fault.network);
    let mut broken = Vec::new();
    for fault in story.faults.iter().filter(halted) {
        let settings = &story.settings.networks[fault.network];
        let Some(block_time) = settings.block_time else { continue };
        let threshold = ms_of((block_time * settings.limits.missing_blocks).max(settings.limits.halt_floor));
        let last = truth.chains[fault.network].last_before(fault.from);
        let subject = Subject::Network(NetworkIndex(u32::try_from(fault.network).unwrap()));
        let key = AlertKey { name: AlertName::NetworkHalted, subject };
        let during = played.told.iter().filter(|told| told.fired && told.key == key && fault.lasts_at(told.ms));
        for told in during {
            let seen = told.ms - last - unseen(story, last, told.ms);
            if seen < threshold {
                broken.push(format!("too early, {seen} ms of {threshold} were seen: {told}"));
            }
        }
    }
    broken
}

/// Of the time between two moments, what nobody can have seen. An answer counts for two polls and a timeout, so that it
/// takes as long to notice that there are no others.
fn unseen(story: &Story, from: i64, until: i64) -> i64 {
    let timeout = story.settings.nodes.iter().map(|node| node.timeout).max().unwrap_or_default();
    let unnoticed = 2 * story.poll_ms + ms_of(timeout) + GRACE_MS;
    let blind = story.faults.iter().filter(|fault| matches!(fault.kind, Kind::CutOff | Kind::Paused));
    blind.map(|fault| (fault.until.min(until) - fault.from.max(from) - unnoticed).max(0)).sum()
}

/// Nothing begins twice or ends without having begun; and beyond halts and the monitor itself, nothing comes and goes
/// more than once in the window of the network.
fn out_of_order(story: &Story, played: &Played) -> Vec<String> {
    let mut open: BTreeMap<AlertKey, Level> = BTreeMap::new();
    let mut began: BTreeMap<AlertKey, i64> = BTreeMap::new();
    let mut broken = Vec::new();
    let window = story.settings.networks.iter().map(|network| network.limits.flap_window).max().unwrap_or_default();
    for told in &played.told {
        if !told.fired {
            if open.remove(&told.key).is_none() {
                broken.push(format!("ended without a beginning: {told}"));
            }
            continue;
        }
        match open.insert(told.key, told.level) {
            Some(before) if before <= told.level => broken.push(format!("told twice: {told}")),
            Some(_) => continue,
            None => {}
        }
        let excepted = [AlertName::NetworkHalted, AlertName::MonitorIsolated].contains(&told.key.name);
        if let Some(before) = began.insert(told.key, told.ms)
            && !excepted
            && told.ms - before < ms_of(window)
        {
            broken.push(format!("again after {} ms: {told}", told.ms - before));
        }
    }
    let shown: Vec<AlertKey> = played.firing.iter().map(|(key, _)| *key).collect();
    broken
        .extend(open.keys().filter(|key| !shown.contains(key)).map(|key| format!("announced and not shown: {key:?}")));
    broken
}

fn earlier_clock_set(story: &Story, fault: &Fault) -> bool {
    story.faults.iter().any(|other| other.kind == Kind::ClockSet && other.from < fault.from)
}

/// At the end, long after the last fault, nothing fires that anybody would act upon. A clock that was set is not set
/// right again; where few nodes are asked, theirs may be the wrong ones.
fn lasting(story: &Story, played: &Played) -> Vec<String> {
    let set = story.faults.iter().any(|fault| fault.kind == Kind::ClockSet);
    let heals = |key: &AlertKey| !set || key.name != AlertName::NodeClockSkew;
    let loud = |level: &Level| matches!(level, Level::L1 | Level::L2 | Level::L3);
    let lasting = played.firing.iter().filter(|(key, level)| loud(level) && heals(key));
    lasting.map(|(key, _)| format!("still fires at the end: {key:?}")).collect()
}

fn ms_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

fn difference(told: &[&Told], again: &[&Told]) -> String {
    let first = told.iter().zip(again).find(|(a, b)| a != b);
    match first {
        Some((a, b)) => format!("{a} / {b}"),
        None => format!("{} announcements, then {}", told.len(), again.len()),
    }
}
