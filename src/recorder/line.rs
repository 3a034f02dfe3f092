//! Settings and observations as the lines of a stream.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    engine::settings::{Cadence, FaultTolerance, NetworkSettings, NodeSettings, Settings},
    model::{Instant, NetworkIndex, NodeIndex, Now, Timestamp, UnixTime, VantageIndex},
    observation::{CanaryObservation, ErrorKind, Facts, Finality, NodeObservation, Notice, Observation, Syncing},
    replay::{
        SCHEMA, own,
        record::{Cadence as Word, Chain, FinalityOf, Flag, Kind, Meta, Monitor, Node, Record, Role},
    },
};

/// What stands for a block time that nobody declared: the key must be there, and ours says that it means nothing.
const UNDECLARED_S: f64 = 1.0;

/// The beginning of one file.
#[derive(Debug)]
pub(super) struct Scene {
    /// What the places in observations point into.
    pub(super) cast: Arc<Settings>,
    /// Its time 0.
    pub(super) origin: Now,
}

impl Scene {
    /// The same with other places to point into.
    pub(super) fn with(&self, cast: &Arc<Settings>) -> Self {
        Self { cast: Arc::clone(cast), origin: self.origin }
    }

    /// The first lines: what is watched, and the halts that its configuration announces.
    pub(super) fn opening(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        self.meta(&mut lines);
        for (network, index) in self.cast.networks.iter().zip(0..) {
            for planned in &network.planned {
                let notice = Notice { network: NetworkIndex(index), planned: planned.clone() };
                self.notice(&mut lines, self.origin, &notice, false);
            }
        }
        lines
    }

    /// The first line.
    fn meta(&self, lines: &mut Vec<u8>) {
        let Settings { monitor, networks, nodes, vantages, canaries, isolated_after, .. } = &*self.cast;
        let vantages = if vantages.is_empty() { vec![Arc::clone(monitor)] } else { vantages.clone() };
        let of_one = canaries.iter().filter(|canary| canary.vantage == VantageIndex::default()).count();
        let meta = Meta {
            k: Arc::from("meta"),
            t: 0,
            run: Arc::from(format!("{monitor}-{}", self.origin.wall.millis())),
            schema: SCHEMA.to_owned(),
            wall0: self.origin.wall.millis(),
            monitor: Monitor {
                poll_s: nodes.first().map_or(1.0, |node| node.interval.as_secs_f64()),
                timeout_s: nodes.first().map_or(1.0, |node| node.timeout.as_secs_f64()),
                vantages,
                canaries: u32::try_from(of_one).unwrap_or(u32::MAX),
                isolated_after_s: Some(isolated_after.as_secs_f64()),
                canary_s: canaries.first().map(|canary| canary.interval.as_secs_f64()),
            },
            chains: networks.iter().map(|network| chain(&self.cast, network)).collect(),
            nodes: nodes.iter().map(|it| node(&self.cast, it)).collect(),
        };
        write(lines, &meta);
    }

    /// What was taken in at `now`; together with what follows, if there is `more`.
    pub(super) fn observation(&self, lines: &mut Vec<u8>, now: Now, observation: &Observation, more: bool) {
        match observation {
            Observation::Node(poll) => self.sample(lines, now, poll, more),
            Observation::Canary(probe) => self.canary(lines, now, *probe, more),
            Observation::Notice(notice) => self.notice(lines, now, notice, more),
        }
    }

    /// The announcement of a halt.
    pub(super) fn notice(&self, lines: &mut Vec<u8>, now: Now, notice: &Notice, more: bool) {
        let Some(network) = self.cast.networks.get(notice.network.index()) else { return };
        let planned = &notice.planned;
        let stream = |instant: Option<Instant>| instant.map(|it| self.since_origin(it.monotonic(now)));
        let wall = |instant: Option<Instant>| match instant {
            Some(Instant::Wall(wall)) => Some(wall.millis()),
            _ => None,
        };
        let record = Record {
            c: Some(Arc::clone(&network.name)),
            kind: Some(Arc::clone(&planned.kind)),
            from_ms: stream(planned.from),
            until_ms: stream(planned.until),
            from_w: wall(planned.from),
            until_w: wall(planned.until),
            at_height: planned.at_height.map(|height| height.0),
            ..self.record(Kind::Notice, now, more)
        };
        write(lines, &record);
    }

    fn canary(&self, lines: &mut Vec<u8>, now: Now, probe: CanaryObservation, more: bool) {
        let Some(canary) = self.cast.canaries.get(probe.canary.index()) else { return };
        let record = Record {
            v: Some(self.vantage(canary.vantage)),
            target: Some(Arc::clone(&canary.name)),
            ok: Some(Flag(probe.reachable)),
            at: self.at(now, probe.at),
            ..self.record(Kind::Canary, now, more)
        };
        write(lines, &record);
    }

    fn sample(&self, lines: &mut Vec<u8>, now: Now, poll: &NodeObservation, more: bool) {
        let Some((network, node)) = self.names(poll.node) else { return };
        let mut record = Record {
            v: Some(self.vantage(poll.vantage)),
            c: Some(network),
            n: Some(node),
            ok: Some(Flag(poll.outcome.is_ok())),
            lat: Some(u64::try_from(poll.elapsed.as_millis()).unwrap_or(u64::MAX)),
            at: self.at(now, poll.at),
            ..self.record(Kind::Sample, now, more)
        };
        match &poll.outcome {
            Ok(facts) => write_facts(&mut record, facts),
            Err(error) => record.err = Some(error_word(error.kind).to_owned()),
        }
        write(lines, &record);
    }

    fn record(&self, k: Kind, now: Now, more: bool) -> Record {
        Record { k, t: self.since_origin(now.at), w: Some(now.wall.millis()), more: Flag(more), ..Record::default() }
    }

    /// When something was observed, where that is not the moment at which it was taken in.
    fn at(&self, now: Now, at: Timestamp) -> Option<i64> {
        (at != now.at).then(|| self.since_origin(at))
    }

    fn since_origin(&self, at: Timestamp) -> i64 {
        at.0.saturating_sub(self.origin.at.0)
    }

    fn vantage(&self, vantage: VantageIndex) -> Arc<str> {
        Arc::clone(self.cast.vantages.get(vantage.index()).unwrap_or(&self.cast.monitor))
    }

    fn names(&self, node: NodeIndex) -> Option<(Arc<str>, Arc<str>)> {
        let node = self.cast.nodes.get(node.index())?;
        let network = self.cast.networks.get(node.network.index())?;
        Some((Arc::clone(&network.name), Arc::clone(&node.name)))
    }
}

fn chain(cast: &Settings, network: &NetworkSettings) -> Chain {
    let mut chain = Chain {
        id: Arc::clone(&network.name),
        net: network.chain_id.clone().unwrap_or_default(),
        family: Some(Arc::clone(&network.family)),
        bft: Flag(network.tolerance == FaultTolerance::Bft),
        block_time_s: network.block_time.map_or(UNDECLARED_S, |it| it.as_secs_f64()),
        cadence: match network.cadence {
            Cadence::Interval | Cadence::Slots => Word::Fixed,
            Cadence::Poisson => Word::Poisson,
            Cadence::OnDemand | Cadence::IdleMax(_) => Word::OnDemand,
        },
        finality: Some(FinalityOf {
            kind: Arc::from(if network.finality_lag.is_some() { "lag" } else { "none" }),
            normal_lag_s: network.finality_lag.map(|lag| lag.as_secs_f64()),
        }),
        core_total: network.core_total,
        ..Chain::default()
    };
    let parents = network.depends_on.iter().filter_map(|parent| cast.networks.get(parent.index()));
    own::write_network(&mut chain, network, parents.map(|parent| Arc::clone(&parent.name)).collect());
    chain
}

fn node(cast: &Settings, settings: &NodeSettings) -> Node {
    let mut node = Node {
        id: Arc::clone(&settings.name),
        chain: cast.networks.get(settings.network.index()).map(|network| Arc::clone(&network.name)).unwrap_or_default(),
        role: if settings.core { Role::Core } else { Role::Rpc },
        weight: Some(settings.weight),
        ..Node::default()
    };
    own::write_node(&mut node, settings);
    node
}

fn write_facts(record: &mut Record, facts: &Facts) {
    record.h = Some(facts.head.height.0);
    record.hh = facts.head.hash.map(|hash| hash.to_string());
    record.ht = facts.head.time.map(UnixTime::millis);
    record.ntx = facts.head.transactions;
    record.net.clone_from(&facts.chain_id);
    record.ver.clone_from(&facts.version);
    record.peers = facts.peers;
    record.pend = facts.pending;
    record.r = facts.round;
    record.part = facts.participation;
    record.nw = facts.clock.map(UnixTime::millis);
    record.g = facts.checkpoints.iter().map(|(height, hash)| (height.0, hash.to_string())).collect();
    record.syncing = match facts.syncing {
        Syncing::Unknown => None,
        Syncing::No => Some(Flag(false)),
        Syncing::Yes { .. } | Syncing::Starting => Some(Flag(true)),
    };
    if let Finality::Known { height, hash, time } = facts.finality {
        record.f = Some(height.0);
        record.fh = hash.map(|hash| hash.to_string());
        record.ft = time.map(UnixTime::millis);
    }
    own::write_facts(record, facts);
}

/// The word of the format for a failure, ours where it has none.
fn error_word(kind: ErrorKind) -> &'static str {
    if kind == ErrorKind::RateLimited { "http_429" } else { kind.as_str() }
}

fn write(lines: &mut Vec<u8>, line: &impl Serialize) {
    let before = lines.len();
    // Numbers, texts and lists with names for keys: there is nothing in a line that JSON does not have. Were it so, the
    // line would be missing, not broken.
    if serde_json::to_writer(&mut *lines, line).is_ok() {
        lines.push(b'\n');
    } else {
        lines.truncate(before);
    }
}
