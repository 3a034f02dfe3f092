//! What is remembered of one network, and how the words of its nodes become a view: who may vote, where the tip is,
//! whether we see enough to judge.

use std::time::Duration;

use super::{
    alert::Lives,
    branch::{Branches, Comparison},
    custom::CustomLives,
    finding::Finding,
    identity::Identity,
    node::{HashDispute, Node, Word, fresh_for},
    plan::Plans,
    progress::Progress,
    rule,
    settings::{NetworkSettings, NodeSettings},
    snapshot::{BLOCK_BUCKETS, Histogram},
    timer::Timer,
    tip::{Change, TipClock, Votes},
};
use crate::{
    model::{Height, Timestamp, UnixTime},
    observation::{Facts, Syncing},
};

/// So long must fewer voters than before be all there are, until they are what is expected.
const EXPECTATION_LASTS: Duration = Duration::from_secs(600);

/// A node that moves on without being contradicted again for this long is no longer called forked.
const CONTRADICTION_LASTS: Duration = Duration::from_secs(600);

/// Polls in which transactions must have waited before they prove work.
const WORK_POLLS: u32 = 2;

/// Blocks of one rise that count towards the end of a halt: a burst is not yet a heartbeat.
const BURST: u64 = 2;

/// Blocks of one rise that are put into the histogram at the most.
const COUNTED_BLOCKS: u64 = 1000;

/// Everything remembered of one network.
#[derive(Debug, Default)]
pub struct Network {
    /// Positions of its nodes.
    pub members: Vec<usize>,
    /// Since when it has had no node, if it had any before: nodes that were found can vanish.
    pub deserted: Option<Timestamp>,
    /// Which chain it is.
    pub identity: Identity,
    /// Who told which hash.
    pub branches: Branches,
    /// Its tip.
    pub tip: TipClock,
    /// When the tip rose.
    pub progress: Progress,
    /// Nodes whose word counts now.
    pub voters: usize,
    /// Voters of the last good view.
    pub expected: usize,
    /// Since when there have been fewer, and whether they are still enough.
    fewer: Option<(Timestamp, bool)>,
    /// Whether enough voters see the tip for a verdict about blocks.
    pub sight: bool,
    /// Work that waits for a block, if that is proven.
    pub work: Option<Work>,
    /// Blocks since the halt, until it is over.
    pub recovery: Option<Recovery>,
    /// Local times between blocks.
    pub block_interval: Histogram<10>,
    /// Halts that were announced.
    pub plans: Plans,
    /// Alerts that began firing, by level.
    pub incidents: [u64; 4],
    /// Its alerts.
    pub lives: Lives<{ rule::NETWORK_RULES.len() }>,
    /// Its alerts by rules of the user's own.
    pub custom: CustomLives,
    /// When it must be judged even if nobody says anything.
    pub due: Option<Timestamp>,
}

/// Transactions that wait.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Since when.
    pub since: Timestamp,
    /// How many, by the word of the node that knows most.
    pub pending: u64,
}

/// What has come since a halt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recovery {
    /// Blocks, each rise counting at most a few.
    pub blocks: u64,
    /// When the first came.
    pub first: Option<Timestamp>,
    /// Since when no work has been waiting for a block.
    pub idle_since: Option<Timestamp>,
}

impl Network {
    /// Makes a view of the nodes' words: identity, disputes, votes, tip, sight.
    pub fn view(&mut self, settings: &NetworkSettings, all: &[NodeSettings], nodes: &mut [Node], timer: &Timer) {
        self.settle_identity(settings, all, nodes, timer);
        self.settle_branches(all, nodes, timer);
        let votes = self.collect_votes(all, nodes, timer);
        let head_time = newest_head(self.members.iter().map(|i| &nodes[*i]), votes);
        if self.move_tip(settings, all, votes, head_time, timer) {
            self.members.iter().for_each(|i| nodes[*i].reached = nodes[*i].vote);
        }
        self.settle_sight(settings, all, votes, nodes, timer);
        self.work = self.work(all, nodes, timer);
        let idle = self.sight && self.work.is_none();
        if let Some(recovery) = &mut self.recovery {
            recovery.idle_since = recovery.idle_since.or(Some(timer.now().at)).filter(|_| idle);
        }
    }

    fn settle_identity(&mut self, settings: &NetworkSettings, all: &[NodeSettings], nodes: &mut [Node], timer: &Timer) {
        let facts: Vec<(usize, &Facts)> =
            self.members.iter().filter_map(|i| Some((*i, nodes[*i].testimony(&all[*i], timer)?))).collect();
        let said = facts.iter().map(|(_, facts)| *facts);
        self.identity.update(settings.chain_id.as_ref(), said, self.members.len() == 1, timer.now().at);
        let disputes: Vec<(usize, Option<Finding>)> =
            facts.into_iter().map(|(i, facts)| (i, self.identity.dispute(settings, facts, timer))).collect();
        for (i, dispute) in disputes {
            if dispute.is_some() {
                nodes[i].told.forget();
                nodes[i].reached = None;
            }
            nodes[i].dispute.identity = dispute;
        }
    }

    fn settle_branches(&mut self, all: &[NodeSettings], nodes: &mut [Node], timer: &Timer) {
        let tip = self.tip.height();
        for i in &self.members {
            for word in nodes[*i].told.take_news() {
                self.branches.count(tip, word, timer.now().at);
            }
        }
        if let Some(tip) = tip {
            self.branches.settle(tip);
        }
        self.settle_disputes(all, nodes, timer);
        let patience = self.rounds(all) * 3 / 4;
        let lasts = |i: &&usize| {
            let dispute = nodes[**i].dispute.hash.as_ref();
            dispute.is_some_and(|dispute| timer.passed(dispute.since.after(patience)))
        };
        let disputed = self.members.iter().filter(lasts).count();
        if self.members.len() < 2 * disputed {
            self.begin_branches(nodes, timer.now().at);
        }
    }

    /// Most nodes cannot be the minority for longer than it takes to ask them all: the chain was rolled back, and what
    /// was told of the old blocks is void.
    fn begin_branches(&mut self, nodes: &mut [Node], now: Timestamp) {
        self.branches = Branches::default();
        for i in &self.members {
            let node = &mut nodes[*i];
            node.dispute.hash = None;
            let right = node.good.as_ref().filter(|_| node.dispute.identity.is_none());
            node.told.restart(right.map(|good| &good.facts.head));
            for word in node.told.take_news() {
                self.branches.count(None, word, now);
            }
        }
    }

    fn settle_disputes(&self, all: &[NodeSettings], nodes: &mut [Node], timer: &Timer) {
        for i in &self.members {
            let node = &mut nodes[*i];
            let Word::Facts(facts) = node.word(&all[*i], timer) else { continue };
            match self.branches.compare(&facts.head) {
                Comparison::Open => {
                    node.dispute.hash = node.dispute.hash.take().filter(|d| !outgrown(d, node.moved_at));
                }
                Comparison::Same => node.dispute.hash = None,
                Comparison::Differs { height, wanted, said } => {
                    let seen = timer.now().at;
                    let since = node.dispute.hash.take().map_or(seen, |dispute| dispute.since);
                    let finding = Finding::HashDiffers { height, wanted, said };
                    node.dispute.hash = Some(HashDispute { since, seen, finding });
                }
            }
        }
    }

    /// Who may vote, and for what. A node that says it is syncing may vote once it has reached the tip others prove.
    fn collect_votes(&self, all: &[NodeSettings], nodes: &mut [Node], timer: &Timer) -> Votes {
        let mut votes = Votes::default();
        let mut syncing = Vec::new();
        for i in &self.members {
            let node = &mut nodes[*i];
            node.vote = None;
            let right = node.dispute.identity.is_none() && !node.forked(timer);
            let Some(facts) = node.testimony(&all[*i], timer).filter(|_| right) else { continue };
            match facts.syncing {
                Syncing::Starting => {}
                Syncing::Yes { .. } => syncing.push(*i),
                Syncing::No | Syncing::Unknown => {
                    node.vote = node.height();
                    votes.add(node.vote.unwrap_or_default());
                }
            }
        }
        let tip = self.tip.height();
        let proven = tip.max(votes.second.or(votes.highest));
        for i in syncing {
            let height = nodes[i].height();
            if proven.is_some() && proven <= height {
                nodes[i].vote = height;
                votes.add(height.unwrap_or_default());
            }
        }
        for i in &self.members {
            let node = &mut nodes[*i];
            node.reached = node.reached.max(node.vote);
            votes.fallen += usize::from(node.vote.is_some() && node.vote < tip && tip <= node.reached);
        }
        votes
    }

    /// Returns whether the tip went back.
    fn move_tip(
        &mut self,
        settings: &NetworkSettings,
        all: &[NodeSettings],
        votes: Votes,
        head: Option<UnixTime>,
        timer: &Timer,
    ) -> bool {
        let now = timer.now();
        let block_time = self.progress.block_time(settings);
        let risen = self.progress.at.unwrap_or(now.at);
        let change = self.tip.update(votes, timer, block_time, risen);
        match change {
            Change::None | Change::RolledBack { progress: None } => {}
            Change::First => self.progress.begin(now, head, self.rounds(all), settings),
            Change::RolledBack { progress: Some(at) } => {
                self.progress.restart(at);
                self.recover(1, at);
            }
            Change::Rose(blocks) => {
                let proven = self.tip.height().and_then(|tip| self.branches.proven_at(tip));
                if let Some(each) = self.progress.rise(now.at, proven, blocks, settings) {
                    self.block_interval.observe_times(&BLOCK_BUCKETS, each, blocks.min(COUNTED_BLOCKS));
                }
                self.recover(blocks.min(BURST), now.at);
            }
        }
        matches!(change, Change::RolledBack { .. })
    }

    /// In this time every node is asked at least once, and whoever answers is asked again.
    fn rounds(&self, all: &[NodeSettings]) -> Duration {
        let slowest = self.members.iter().map(|i| all[*i].interval).max().unwrap_or_default();
        slowest.saturating_mul(2)
    }

    fn recover(&mut self, blocks: u64, at: Timestamp) {
        if let Some(recovery) = &mut self.recovery {
            recovery.blocks = recovery.blocks.saturating_add(blocks);
            recovery.first.get_or_insert(at);
        }
    }

    /// We see enough when half of the voters of the last good view still speak, and one of them stands at the tip.
    /// Whoever was last heard so long ago that a block could have been missed since does not see the tip.
    fn settle_sight(
        &mut self,
        settings: &NetworkSettings,
        all: &[NodeSettings],
        votes: Votes,
        see: &[Node],
        timer: &Timer,
    ) {
        let now = timer.now().at;
        self.voters = votes.count;
        let half = |n: usize| 0 < n && self.expected.max(votes.count) <= 2 * n;
        let enough = half(self.voters);
        let threshold = self.progress.threshold(settings);
        let sees = |i: &&usize| {
            let good = see[**i].good.as_ref().filter(|_| see[**i].vote.is_some());
            good.is_some_and(|good| !timer.passed(good.at.after(sees_for(&all[**i], threshold))))
        };
        let seeing = half(self.members.iter().filter(sees).count());
        self.expect(enough, timer);
        self.sight = seeing && self.tip.height() <= votes.highest && self.tip.height().is_some();
        self.progress.see(self.sight, now);
    }

    /// What lasts becomes what is expected: first fewer voters, at last even fewer than half.
    fn expect(&mut self, enough: bool, timer: &Timer) {
        if self.expected <= self.voters || self.voters == 0 {
            (self.expected, self.fewer) = (self.expected.max(self.voters), None);
            return;
        }
        let since = match self.fewer {
            Some((since, before)) if before == enough => since,
            _ => timer.now().at,
        };
        self.fewer = Some((since, enough));
        if timer.passed(since.after(EXPECTATION_LASTS)) {
            (self.expected, self.fewer) = (self.voters, None);
        }
    }

    /// We cannot trust what we hear: nothing counts until we can.
    pub fn blind(&mut self, now: Timestamp) {
        self.sight = false;
        self.progress.see(false, now);
    }

    /// Work is proven by transactions that wait in two polls, on two nodes where two nodes say what waits.
    fn work(&self, all: &[NodeSettings], nodes: &[Node], timer: &Timer) -> Option<Work> {
        let mut speakers = 0;
        let mut pending = 0;
        let mut waiting = Vec::new();
        for i in &self.members {
            let node = &nodes[*i];
            let facts = node.testimony(&all[*i], timer).filter(|_| node.vote.is_some());
            let Some(count) = facts.and_then(|facts| facts.pending) else { continue };
            speakers += 1;
            pending = pending.max(count);
            waiting.extend(node.waiting.filter(|(_, polls)| WORK_POLLS <= *polls).map(|(since, _)| since));
        }
        waiting.sort_unstable();
        let witness = usize::from(2 <= speakers);
        waiting.get(witness).map(|since| Work { since: *since, pending })
    }

    /// Whether the tip rose after `since` and within the halt threshold: blocks demonstrably go on, whoever says so.
    #[must_use]
    pub fn rose_since(&self, since: Timestamp, settings: &NetworkSettings, timer: &Timer) -> bool {
        let rose = self.progress.at.filter(|at| since < *at);
        rose.is_some_and(|at| !timer.passed(at.after(self.progress.threshold(settings))))
    }
}

/// How long a voter's last answer proves that no block has come: never so long that its next could be overlooked.
fn sees_for(settings: &NodeSettings, threshold: Duration) -> Duration {
    let until_next = settings.interval.saturating_add(settings.interval / 4);
    fresh_for(settings).min(threshold.saturating_sub(until_next).max(threshold / 3))
}

/// Whether a node has moved on for so long without being contradicted again that an old contradiction proves nothing.
fn outgrown(dispute: &HashDispute, moved_at: Option<Timestamp>) -> bool {
    moved_at.is_some_and(|at| dispute.seen.after(CONTRADICTION_LASTS) <= at)
}

/// The newest timestamp among the voters' heads at the height that will be the tip: one node's clock may be wrong.
fn newest_head<'a>(members: impl Iterator<Item = &'a Node>, votes: Votes) -> Option<UnixTime> {
    let tip = votes.second.or(votes.highest);
    let heads = members.filter(|node| node.vote.is_some() && tip <= node.vote);
    heads.filter_map(|node| node.good.as_ref()?.facts.head.time).max()
}

/// How many of the nodes that vote stand behind `tip`: those above it, and the largest group that tells one hash for it.
#[must_use]
pub fn confirmed_by<'a>(tip: Height, members: impl Iterator<Item = &'a Node>) -> usize {
    let mut above = 0;
    let mut told = Vec::new();
    for node in members.filter(|node| node.vote.is_some_and(|vote| tip <= vote)) {
        match node
            .good
            .as_ref()
            .map(|good| good.facts.head)
            .filter(|head| head.height == tip)
            .and_then(|head| head.hash)
        {
            Some(hash) => told.push(hash),
            None => above += 1,
        }
    }
    told.sort_unstable();
    above + told.chunk_by(PartialEq::eq).map(<[_]>::len).max().unwrap_or(0)
}
