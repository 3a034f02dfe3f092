//! What the nodes of a story say at each poll: facts made of their series, with hashes that agree where branches do and
//! times at which blocks were first told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{Numbers, Story, Words, ticks};
use crate::{
    model::{BlockHash, CanaryIndex, Height, NodeIndex, Timestamp, UnixTime, VantageIndex},
    observation::{CanaryObservation, ErrorKind, Facts, Finality, NodeObservation, Observation, PollError, Syncing},
};

/// An answer takes so long where nothing is said.
const LATENCY_MS: u64 = 20;

/// A node has so many peers where nothing is said.
const PEERS: u64 = 10;

/// Distances at which three older blocks each are asked for.
const STRIDES: [u64; 6] = [4, 16, 64, 256, 1024, 4096];

/// The outcome of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A good one.
    Good,
    /// It failed.
    Failed(ErrorKind),
    /// There was no poll.
    NotAsked,
}

/// A branch of the chain, and the last height it has in common with the first, where that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its name; all leave the branch `a`.
    pub name: Arc<str>,
    /// The last common height.
    pub leaves_at: Option<u64>,
}

/// The branch all others leave.
const TRUNK: &str = "a";

/// What one node says.
#[derive(Debug, Clone, Default)]
pub struct NodePart {
    /// How polls of it end; well, where nothing is said.
    pub answers: Words<Answer>,
    /// The height of its head. A good answer needs one.
    pub height: Numbers,
    /// The branch its head is on.
    pub branch: Words<Branch>,
    /// Whether it says that it is catching up.
    pub syncing: Words<bool>,
    /// The chain it says it is on; the network's where nothing is said.
    pub on_chain: Words<Arc<str>>,
    /// Its client and version.
    pub version: Words<Arc<str>>,
    /// The newest safe height.
    pub safe: Numbers,
    /// The newest final height.
    pub finalized: Numbers,
    /// Transactions that wait.
    pub pending: Numbers,
    /// Transactions in its head.
    pub transactions: Numbers,
    /// Its peers.
    pub peers: Numbers,
    /// The round of the height in progress.
    pub round: Numbers,
    /// Weight that signed the last block, per mille.
    pub participation: Numbers,
    /// How many seconds its clock is ahead of ours.
    pub clock_skew: Numbers,
    /// Milliseconds until it answers.
    pub latency: Numbers,
}

/// All nodes at work.
pub(super) struct Cast<'s> {
    story: &'s Story,
    /// Last common height of each branch, by network.
    forks: HashMap<(usize, Arc<str>), u64>,
    /// When each height was first told, by network.
    told: Vec<BTreeMap<u64, UnixTime>>,
}

impl<'s> Cast<'s> {
    pub(super) fn of(story: &'s Story) -> Self {
        let told = story.settings.networks.iter().map(|_| BTreeMap::new()).collect();
        Self { story, forks: forks(story), told }
    }

    /// What is observed at a tick; `truth` is the right wall time.
    pub(super) fn observe(&mut self, tick: u64, at: Timestamp, truth: UnixTime) -> Vec<Observation> {
        self.note_heights(tick, truth);
        let story = self.story;
        let mut observations = Vec::new();
        for (n, part) in (0..).zip(&story.nodes) {
            let height = height(part, tick);
            let outcome = match (part.answers.at(tick).copied().unwrap_or(Answer::Good), height) {
                (Answer::NotAsked, _) | (Answer::Good, None) => continue,
                (Answer::Failed(kind), _) => Err(PollError::new(kind, "")),
                (Answer::Good, Some(height)) => Ok(Arc::new(self.facts(n, part, tick, height, truth))),
            };
            let elapsed = Duration::from_millis(natural(&part.latency, tick).unwrap_or(LATENCY_MS));
            let (node, vantage) = (NodeIndex(u32::try_from(n).unwrap_or(u32::MAX)), VantageIndex::default());
            observations.push(Observation::Node(NodeObservation { node, vantage, at, elapsed, outcome }));
        }
        let reachable = story.monitor.canaries.at(tick).copied().unwrap_or(true);
        let canaries = (0..).map(CanaryIndex).take(story.settings.canaries.len());
        observations.extend(canaries.map(|canary| Observation::Canary(CanaryObservation { canary, at, reachable })));
        observations
    }

    /// A block is as old as the time since anybody first told its height.
    fn note_heights(&mut self, tick: u64, truth: UnixTime) {
        for (settings, part) in self.story.settings.nodes.iter().zip(&self.story.nodes) {
            let network = settings.network.index();
            let age =
                if tick == 0 { self.story.head_age.get(network).copied().unwrap_or_default() } else { Duration::ZERO };
            if let (Some(height), Some(told)) = (height(part, tick), self.told.get_mut(network)) {
                told.entry(height).or_insert(truth.before(age));
            }
        }
    }

    /// When the block of a height was made, as far as the story tells.
    fn made(&self, network: usize, height: u64) -> Option<UnixTime> {
        let (first, time) = self.told.get(network)?.range(height..).next()?;
        let block_time = self.story.settings.networks.get(network)?.block_time.unwrap_or_default();
        let before = u32::try_from(first - height).unwrap_or(u32::MAX);
        let is_first = self.told.get(network)?.keys().next() == Some(first);
        Some(if is_first { time.before(block_time.saturating_mul(before)) } else { *time })
    }

    fn facts(&self, node: usize, part: &NodePart, tick: u64, height: u64, truth: UnixTime) -> Facts {
        let network = self.story.settings.nodes[node].network.index();
        let settings = &self.story.settings.networks[network];
        let branch = part.branch.at(tick).map_or_else(|| Arc::from(TRUNK), |branch| Arc::clone(&branch.name));
        let hash = |height: u64| self.hash(network, &branch, height);
        let mut facts = Facts::at_height(Height(height));
        let chain = settings.chain_id.as_ref().unwrap_or(&settings.name);
        facts.chain_id = Some(Arc::clone(part.on_chain.at(tick).unwrap_or(chain)));
        facts.genesis = settings.genesis;
        facts.version = part.version.at(tick).cloned();
        facts.safe = natural(&part.safe, tick).map(Height);
        facts.head.hash = Some(hash(height));
        facts.head.parent = height.checked_sub(1).map(hash);
        facts.head.time = self.made(network, height);
        facts.head.transactions = natural(&part.transactions, tick);
        facts.syncing = if part.syncing.at(tick) == Some(&true) { Syncing::Yes { behind: None } } else { Syncing::No };
        facts.peers = natural(&part.peers, tick).or(part.peers.is_empty().then_some(PEERS));
        facts.pending = natural(&part.pending, tick);
        facts.round = natural(&part.round, tick);
        facts.participation = natural(&part.participation, tick).and_then(|it| u16::try_from(it.min(1000)).ok());
        let skew = part.clock_skew.at(tick).and_then(|seconds| i64::try_from(seconds.saturating_mul(1000)).ok());
        facts.clock = skew.map(|skew| UnixTime::from_millis(truth.millis().saturating_add(skew)));
        facts.checkpoints = older(height).map(|height| (Height(height), hash(height))).collect();
        if let Some(height) = natural(&part.finalized, tick) {
            let time = self.made(network, height);
            facts.finality = Finality::Known { height: Height(height), hash: Some(hash(height)), time };
        }
        facts
    }

    /// Branches have the hashes of the trunk up to where they leave it.
    fn hash(&self, network: usize, branch: &Arc<str>, height: u64) -> BlockHash {
        let leaves_at = self.forks.get(&(network, Arc::clone(branch))).copied();
        let name = if leaves_at.is_some_and(|last| last < height) { branch } else { TRUNK };
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&height.to_be_bytes());
        hash[8] = u8::try_from(network % 255).unwrap_or_default() + 1;
        hash[9..].iter_mut().zip(name.bytes()).for_each(|(byte, letter)| *byte = letter);
        BlockHash(hash)
    }
}

/// Where each branch leaves the trunk: where it is said, or below the lowest height that anybody tells on it.
fn forks(story: &Story) -> HashMap<(usize, Arc<str>), u64> {
    let mut said = HashMap::new();
    let mut seen: HashMap<(usize, Arc<str>), u64> = HashMap::new();
    for (settings, part) in story.settings.nodes.iter().zip(&story.nodes) {
        let network = settings.network.index();
        let others = || part.branch.iter().filter(|branch| &*branch.name != TRUNK);
        said.extend(others().filter_map(|it| Some(((network, Arc::clone(&it.name)), it.leaves_at?))));
        if others().next().is_none() {
            continue;
        }
        for tick in 0..ticks(story) {
            let branch = part.branch.at(tick).filter(|branch| &*branch.name != TRUNK);
            let (Some(branch), Some(height)) = (branch, height(part, tick)) else { continue };
            let lowest = seen.entry((network, Arc::clone(&branch.name))).or_insert(height);
            *lowest = height.min(*lowest);
        }
    }
    for (branch, lowest) in seen {
        said.entry(branch).or_insert(lowest.saturating_sub(1));
    }
    said
}

/// The older heights a monitor asks for.
fn older(height: u64) -> impl Iterator<Item = u64> {
    let of_stride =
        move |stride: u64| (0..3).filter_map(move |n| (height / stride).checked_sub(n).map(|it| it * stride));
    let mut heights: Vec<u64> = STRIDES.into_iter().flat_map(of_stride).filter(|it| (1..height).contains(it)).collect();
    heights.sort_unstable_by_key(|height| std::cmp::Reverse(*height));
    heights.dedup();
    heights.into_iter()
}

fn height(part: &NodePart, tick: u64) -> Option<u64> {
    natural(&part.height, tick)
}

fn natural(series: &Numbers, tick: u64) -> Option<u64> {
    series.at(tick).map(|number| u64::try_from(number.max(0)).unwrap_or(u64::MAX))
}
