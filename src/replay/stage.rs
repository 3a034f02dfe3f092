//! Turns the first line of a stream into the engine's settings, and the others into observations of it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    SCHEMA,
    own::{self, hash},
    record::{Cadence as Word, Chain, Flag, Kind, Meta, Node, Record, Role as RoleWord},
};
use crate::{
    engine::settings::{
        Cadence, CanarySettings, FaultTolerance, NetworkLimits, NetworkSettings, NodeSettings, Settings,
    },
    model::{
        CanaryIndex, Height, Labels, NetworkIndex, NodeIndex, PlannedHalt, Role, Timestamp, UnixTime, VantageIndex,
    },
    observation::{
        CHECKPOINTS, CanaryObservation, ErrorKind, Facts, Finality, NodeObservation, Notice, Observation, PollError,
        Syncing, clean_text,
    },
};

/// Networks and nodes of one stream.
const MAX_SUBJECTS: usize = 100_000;

/// A canary is known by its name from the first probe on; the engine is told of as many as the stream announces.
const MAX_CANARIES: u32 = 64;

/// Vantages of one stream.
const MAX_VANTAGES: usize = 64;

/// Longest text of a version in bytes.
const VERSION_BYTES: usize = 128;

/// A monitor that says nothing about it calls itself isolated after this.
const ISOLATED_AFTER: Duration = Duration::from_secs(60);

/// Whatever a stream says of its polls, no monitor ran that wrote nothing for longer.
const LONGEST_SILENCE: Duration = Duration::from_secs(24 * 3600);

/// The settings, and what the names of the stream stand for in them.
pub struct Stage {
    /// The engine's settings.
    pub settings: Settings,
    vantages: Vec<Arc<str>>,
    nodes: HashMap<(Arc<str>, Arc<str>), NodeIndex>,
    /// What each vantage has probed so far, in the order of its places in the settings.
    targets: Vec<Vec<Arc<str>>>,
}

impl Stage {
    /// Sets the stage the first line describes.
    pub fn set(meta: &Meta) -> Result<Self, String> {
        if meta.schema != SCHEMA {
            return Err(format!("the schema is {:?}, not {SCHEMA:?}", clean_text(&meta.schema, 64)));
        }
        if MAX_SUBJECTS < meta.chains.len().max(meta.nodes.len()) {
            return Err(format!("more than {MAX_SUBJECTS} networks or nodes"));
        }
        let vantages = &meta.monitor.vantages;
        let vantage = vantages.first().ok_or("there is no vantage")?;
        if MAX_VANTAGES < vantages.len() {
            return Err(format!("more than {MAX_VANTAGES} vantages"));
        }
        let (interval, timeout) = (seconds(meta.monitor.poll_s)?, seconds(meta.monitor.timeout_s)?);
        let probed = meta.monitor.canary_s.and_then(any_seconds).unwrap_or(interval);
        let canary = |vantage, n| CanarySettings { vantage, name: Arc::from(format!("canary {n}")), interval: probed };
        let canaries = 1..=meta.monitor.canaries.min(MAX_CANARIES);
        let places = (0..).map(VantageIndex).take(vantages.len());
        let mut stage = Self {
            settings: Settings {
                monitor: Arc::clone(vantage),
                vantages: if 1 < vantages.len() { vantages.clone() } else { Vec::new() },
                networks: meta.chains.iter().map(network).collect::<Result<_, _>>()?,
                nodes: Vec::with_capacity(meta.nodes.len()),
                canaries: places.flat_map(|place| canaries.clone().map(move |n| canary(place, n))).collect(),
                isolated_after: meta.monitor.isolated_after_s.and_then(any_seconds).unwrap_or(ISOLATED_AFTER),
                ..Settings::default()
            },
            vantages: vantages.clone(),
            nodes: HashMap::new(),
            targets: vec![Vec::new(); vantages.len()],
        };
        stage.connect(&meta.chains);
        // Nodes of a network stand together, in whatever order they are named.
        for (chain, index) in meta.chains.iter().zip((0..).map(NetworkIndex)) {
            for node in meta.nodes.iter().filter(|node| node.chain == chain.id) {
                stage.add(node, index, interval, timeout)?;
            }
        }
        if stage.nodes.len() < meta.nodes.len() {
            return Err("two nodes have one name, or a node belongs to no network".to_owned());
        }
        Ok(stage)
    }

    /// Says which networks depend on which. A name that the stream does not know explains nothing.
    fn connect(&mut self, chains: &[Chain]) {
        let places: HashMap<_, _> = chains.iter().map(|chain| &chain.id).zip((0..).map(NetworkIndex)).collect();
        for (network, chain) in self.settings.networks.iter_mut().zip(chains) {
            network.depends_on = chain.depends_on.iter().filter_map(|name| places.get(name).copied()).collect();
        }
    }

    fn add(&mut self, node: &Node, network: NetworkIndex, interval: Duration, timeout: Duration) -> Result<(), String> {
        let core = node.role == RoleWord::Core;
        let number = u32::try_from(self.settings.nodes.len()).map_err(|_| "too many nodes")?;
        self.nodes.insert((Arc::clone(&node.chain), Arc::clone(&node.id)), NodeIndex(number));
        let mut settings = NodeSettings {
            name: Arc::clone(&node.id),
            network,
            role: if core { Role::Validator } else { Role::Rpc },
            core,
            weight: node.weight.unwrap_or(1),
            labels: Labels::new(),
            interval,
            timeout,
            limits: own::usual_node_limits(),
            metrics: None,
        };
        own::node(&mut settings, node);
        self.settings.nodes.push(settings);
        Ok(())
    }

    /// A monitor that runs writes at least one line in this time.
    #[must_use]
    pub fn longest_silence(&self) -> Duration {
        let of = |node: &NodeSettings| node.interval.saturating_mul(2).saturating_add(node.timeout);
        self.settings.nodes.iter().map(of).max().unwrap_or(Duration::MAX).min(LONGEST_SILENCE)
    }

    /// What a line observed; `None` if it is none of this monitor's observations.
    pub fn observation(&mut self, record: &Record) -> Result<Option<Observation>, String> {
        let vantage = match &record.v {
            None => 0,
            Some(name) => match self.vantages.iter().position(|vantage| vantage == name) {
                None => return Ok(None),
                Some(position) => position,
            },
        };
        match record.k {
            Kind::Sample => self.sample(record, vantage).map(|it| Some(Observation::Node(it))),
            Kind::Canary => Ok(self.canary(record, vantage)?.map(Observation::Canary)),
            Kind::Notice => self.notice(record).map(|it| Some(Observation::Notice(it))),
            Kind::Other => Ok(None),
        }
    }

    fn sample(&self, record: &Record, vantage: usize) -> Result<NodeObservation, String> {
        let name = record.c.clone().zip(record.n.clone()).ok_or("a sample has `c` and `n`")?;
        let node = *self.nodes.get(&name).ok_or("a sample of a node that the first line does not name")?;
        let Flag(good) = record.ok.ok_or("a sample has `ok`")?;
        Ok(NodeObservation {
            node,
            vantage: VantageIndex(u16::try_from(vantage).map_err(|_| "a vantage too many")?),
            at: observed(record),
            elapsed: Duration::from_millis(record.lat.unwrap_or_default()),
            outcome: if good { Ok(Arc::new(facts(record)?)) } else { Err(failure(record)) },
        })
    }

    fn notice(&self, record: &Record) -> Result<Notice, String> {
        let chain = record.c.as_ref().ok_or("a notice has `c`")?;
        let mut networks = self.settings.networks.iter().zip((0..).map(NetworkIndex));
        let network = networks.find(|(network, _)| network.name == *chain).map(|(_, index)| index);
        Ok(Notice {
            network: network.ok_or("a notice of a network that the first line does not name")?,
            planned: PlannedHalt {
                kind: Arc::from(clean_text(record.kind.as_deref().unwrap_or("maintenance"), VERSION_BYTES)),
                from: own::instant(record.from_ms, record.from_w),
                until: own::instant(record.until_ms, record.until_w),
                at_height: record.at_height.map(Height),
            },
        })
    }

    fn canary(&mut self, record: &Record, vantage: usize) -> Result<Option<CanaryObservation>, String> {
        let target = record.target.clone().ok_or("a canary has `target`")?;
        let Flag(reachable) = record.ok.ok_or("a canary has `ok`")?;
        let (each, targets) = (self.settings.canaries.len() / self.vantages.len(), &mut self.targets[vantage]);
        // More canaries than announced: those are left out, as in `settings`.
        if !targets.contains(&target) && targets.len() < each {
            targets.push(Arc::clone(&target));
        }
        let position = targets.iter().position(|name| *name == target);
        let canary = position.and_then(|position| u32::try_from(vantage * each + position).ok());
        Ok(canary.map(|canary| CanaryObservation { canary: CanaryIndex(canary), at: observed(record), reachable }))
    }
}

/// When it was observed, which can be before it was taken in.
fn observed(record: &Record) -> Timestamp {
    Timestamp(record.at.map_or(record.t, |at| at.min(record.t)))
}

fn network(chain: &Chain) -> Result<NetworkSettings, String> {
    let block_time = seconds(chain.block_time_s)?;
    let mut settings = NetworkSettings {
        name: Arc::clone(&chain.id),
        family: chain.family.clone().unwrap_or_else(|| Arc::from("generic")),
        chain_id: Some(Arc::clone(&chain.net)),
        genesis: None,
        cadence: match chain.cadence {
            Word::Fixed => Cadence::Interval,
            Word::Poisson => Cadence::Poisson,
            Word::OnDemand => Cadence::OnDemand,
        },
        block_time: Some(block_time),
        tolerance: if chain.bft == Flag(true) { FaultTolerance::Bft } else { FaultTolerance::AllButOne },
        core_total: chain.core_total,
        finality_lag: chain.finality.as_ref().and_then(|it| it.normal_lag_s).and_then(any_seconds),
        planned: Vec::new(),
        limits: NetworkLimits::default(),
        labels: Labels::new(),
        depends_on: Vec::new(),
    };
    own::network(&mut settings, chain);
    Ok(settings)
}

fn facts(record: &Record) -> Result<Facts, String> {
    let mut facts = Facts::at_height(Height(record.h.ok_or("a good sample has `h`")?));
    facts.chain_id.clone_from(&record.net);
    facts.version = record.ver.as_ref().map(|version| Arc::from(clean_text(version, VERSION_BYTES)));
    facts.head.hash = record.hh.as_deref().map(hash);
    facts.head.time = record.ht.map(UnixTime::from_millis);
    facts.head.transactions = record.ntx;
    facts.peers = record.peers;
    facts.pending = record.pend;
    facts.round = record.r;
    facts.participation = record.part.map(|part| part.min(1000));
    let older = record.g.iter().take(CHECKPOINTS);
    facts.checkpoints = older.map(|(height, text)| (Height(*height), hash(text))).collect();
    facts.clock = record.nw.map(UnixTime::from_millis);
    facts.syncing = match record.syncing {
        Some(Flag(true)) => Syncing::Yes { behind: None },
        Some(Flag(false)) => Syncing::No,
        None => Syncing::Unknown,
    };
    if let Some(height) = record.f {
        let hash = record.fh.as_deref().map(hash);
        facts.finality = Finality::Known { height: Height(height), hash, time: record.ft.map(UnixTime::from_millis) };
    }
    own::facts(&mut facts, record);
    Ok(facts)
}

fn failure(record: &Record) -> PollError {
    let kind = match record.err.as_deref().unwrap_or_default() {
        "timeout" => ErrorKind::Timeout,
        "refused" => ErrorKind::Refused,
        "http_429" => ErrorKind::RateLimited,
        other => ErrorKind::ALL.iter().copied().find(|kind| kind.as_str() == other).unwrap_or(ErrorKind::Malformed),
    };
    PollError::new(kind, "")
}

/// A number of seconds that may be zero.
fn any_seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

fn seconds(number: f64) -> Result<Duration, String> {
    let duration = Duration::try_from_secs_f64(number).ok().filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| format!("{number} is not a number of seconds"))
}
