//! What is remembered of one network, and how the words of its nodes become a view: who may vote, where the tip is,
//! whether we see enough to judge.

use std::time::Duration;

use super::{
    alert::Lives,
    branch::{Ground, Split, Standing},
    consensus::Consensus,
    custom::CustomLives,
    decrease::{Cause, HARMLESS_STEP},
    finding::Finding,
    identity::{Identity, repeaters},
    node::{HashDispute, Node, Word},
    plan::{Plans, corroborated},
    progress::Progress,
    quorum::Roll,
    rule,
    settings::{NetworkSettings, NodeSettings},
    snapshot::{BLOCK_BUCKETS, Histogram},
    timer::Timer,
    tip::{Change, TipClock, Votes},
    vitals::Vitals,
    work::Work,
};
use crate::{
    model::{Height, Timestamp, UnixTime},
    observation::{Facts, Syncing},
};

/// A node that moves on without being contradicted again for this long is no longer called forked.
const CONTRADICTION_LASTS: Duration = Duration::from_secs(600);

/// A chain that has come down to less than one of so many of its blocks has begun anew.
const RESET_SHARE: u64 = 10;

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
    pub ground: Ground,
    /// Two branches side by side, if there are.
    pub split: Option<Split>,
    /// Its tip.
    pub tip: TipClock,
    /// When voters last told a height that is the tip or above it.
    pub tip_told: Option<Timestamp>,
    /// When the tip rose.
    pub progress: Progress,
    /// Nodes that only repeat the word of another, and whose: two endpoints of one node, or of one balancer.
    pub duplicates: Vec<(usize, usize)>,
    /// Nodes whose word counts now.
    pub voters: usize,
    /// Voters of the last good view.
    pub expected: usize,
    /// Since when there have been fewer, and whether they are still enough.
    pub(super) fewer: Option<(Timestamp, bool)>,
    /// Whether enough voters see the tip for a verdict about blocks.
    pub sight: bool,
    /// Whether it runs where no block need come.
    pub consensus: Consensus,
    /// Work that waits for a block, if that is proven.
    pub work: Option<Work>,
    /// Blocks since the halt, until it is over.
    pub recovery: Option<Recovery>,
    /// Local times between blocks.
    pub block_interval: Histogram<10>,
    /// How it does while it lives.
    pub vitals: Vitals,
    /// Halts that were announced.
    pub plans: Plans,
    /// How much core weight it has, by its nodes' word.
    pub roll: Roll,
    /// Alerts that began firing or got louder, by the level they came to.
    pub incidents: [u64; 4],
    /// Its alerts.
    pub lives: Lives<{ rule::NETWORK_RULES.len() }>,
    /// Its alerts by rules of the user's own.
    pub custom: CustomLives,
    /// When it must be judged even if nobody says anything.
    pub due: Option<Timestamp>,
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
        self.progress.round = self.round(all);
        self.settle_identity(settings, all, nodes, timer);
        self.settle_branches(settings, all, nodes, timer);
        let votes = self.collect_votes(settings, all, nodes, timer);
        let head_time = newest_head(self.members.iter().map(|i| &nodes[*i]), votes);
        let before = self.tip.height();
        if self.move_tip(settings, all, votes, head_time, timer) {
            self.settle_rollback(before, nodes);
        }
        self.tip_told = self.tip_told.max(self.last_at_tip(votes, nodes));
        self.settle_plans(settings, all, nodes, timer);
        self.settle_sight(settings, all, votes, nodes, timer);
        self.settle_consensus(settings, all, nodes, timer);
        let new = Work::proven(self.members.iter().map(|i| (&all[*i], &nodes[*i])), timer);
        self.work = new.or_else(|| self.vitals.backlog.work().map(Work::left));
        let idle = self.sight && self.work.is_none();
        if let Some(recovery) = &mut self.recovery {
            recovery.idle_since = recovery.idle_since.or(Some(timer.now().at)).filter(|_| idle);
        }
        let mut vitals = std::mem::take(&mut self.vitals);
        vitals.follow(self, settings, all, nodes, timer);
        self.vitals = vitals;
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

    /// Counts the words of the nodes that answer for this network, and looks where they part.
    fn settle_branches(&mut self, settings: &NetworkSettings, all: &[NodeSettings], nodes: &mut [Node], timer: &Timer) {
        let now = timer.now().at;
        self.ground.speakers = 0;
        for i in &self.members {
            let node = &mut nodes[*i];
            let speaks = node.dispute.identity.is_none() && node.testimony(&all[*i], timer).is_some();
            node.told.settle(speaks, |height, before, said| self.ground.count(height, before, said, now));
            self.ground.speakers += usize::from(node.told.speaks());
        }
        self.settle_disputes(all, nodes, timer);
        let reach = |height, hash| {
            let told = self.members.iter().map(|i| &nodes[*i]).filter(|node| node.told.hash_at(height) == Some(hash));
            told.map(|node| (node.height().unwrap_or_default(), node.moved_at.unwrap_or_default())).reduce(furthest)
        };
        let block_time = self.progress.block_time(settings).unwrap_or_default();
        self.split = Split::look(self.split.take(), &self.ground, &reach, block_time, timer);
    }

    fn settle_disputes(&self, all: &[NodeSettings], nodes: &mut [Node], timer: &Timer) {
        for i in &self.members {
            let node = &mut nodes[*i];
            let Word::Facts(facts) = node.word(&all[*i], timer) else { continue };
            let came_back = HARMLESS_STEP < node.height().unwrap_or_default().above(facts.head.height);
            let standing = self.ground.compare(&node.told);
            // As long as its height is one from when it was alone, so is the node.
            node.dispute.alone = standing == Standing::Alone || node.dispute.alone && came_back;
            match standing {
                Standing::Open | Standing::Alone => {
                    node.dispute.hash = node.dispute.hash.take().filter(|d| !outgrown(d, node.moved_at));
                }
                Standing::Same => node.dispute.hash = None,
                Standing::Differs { height, wanted, said } => {
                    let finding = Finding::HashDiffers { height, wanted, said };
                    let now = timer.now().at;
                    let at = node.told.at(height).unwrap_or(now);
                    let known = node.dispute.hash.take();
                    let (since, told) = known.map_or((now, at), |known| (known.since, known.told.max(at)));
                    node.dispute.hash = Some(HashDispute { since, told, finding });
                }
            }
        }
    }

    /// Who may vote, and for what. A node that says it is syncing may vote once it has reached the tip others prove. A
    /// rise that nobody bears out, or that the majority's hashes contradict, is none: such a node votes for the tip as
    /// it stands.
    fn collect_votes(
        &mut self,
        settings: &NetworkSettings,
        all: &[NodeSettings],
        nodes: &mut [Node],
        timer: &Timer,
    ) -> Votes {
        let tip = self.tip.height();
        let risen = self.progress.at.unwrap_or(timer.now().at);
        let block_time = self.progress.block_time(settings);
        let mut votes = Votes::new(self.tip.plausible(timer.now().at, block_time, risen));
        let mut syncing = Vec::new();
        self.members.iter().for_each(|i| nodes[*i].vote = None);
        for i in self.speakers(all, nodes, timer) {
            let node = &mut nodes[i];
            let Some(facts) = node.testimony(&all[i], timer) else { continue };
            match facts.syncing {
                Syncing::Starting => {}
                Syncing::Yes { behind } if behind != Some(0) => syncing.push(i),
                // One that lacks no block may go on indexing, and saying so, for hours.
                Syncing::Yes { .. } | Syncing::No | Syncing::Unknown => {
                    node.vote = node.provable_height(tip);
                    votes.add(node.vote.unwrap_or_default());
                }
            }
        }
        let proven = tip.max(votes.second.or(votes.highest));
        for i in syncing {
            let height = nodes[i].provable_height(tip);
            if proven.is_some() && proven <= height {
                nodes[i].vote = height;
                votes.add(height.unwrap_or_default());
            }
        }
        for i in &self.members {
            let node = &mut nodes[*i];
            node.reached = node.reached.max(node.vote);
            let proved = tip.is_some() && tip <= node.reached;
            votes.fallen += usize::from(proved && node.vote.is_some() && node.vote < tip);
            votes.fallen_beside += usize::from(!proved && node.fell_beside(tip, &all[*i], block_time));
            votes.silent += usize::from(proved && node.vote.is_none());
        }
        votes
    }

    /// The nodes that speak for this chain, those left out that only repeat the word of another.
    fn speakers(&mut self, all: &[NodeSettings], nodes: &[Node], timer: &Timer) -> Vec<usize> {
        let right = |i: &usize| {
            let node = &nodes[*i];
            let testifies = node.dispute.identity.is_none() && !node.forked();
            testifies && node.testimony(&all[*i], timer).is_some()
        };
        let mut speakers: Vec<usize> = self.members.iter().copied().filter(right).collect();
        let words = speakers.iter().map(|i| (*i, &nodes[*i].selves, nodes[*i].height()));
        self.duplicates = repeaters(words);
        speakers.retain(|i| self.duplicates.iter().all(|(repeater, _)| repeater != i));
        speakers
    }

    /// When the tip or more was last the newest word of two voters, or of one where there are no three.
    fn last_at_tip(&self, votes: Votes, nodes: &[Node]) -> Option<Timestamp> {
        let tip = self.tip.borne_out();
        let voters = self.members.iter().map(|i| &nodes[*i]).filter(|node| node.vote.is_some());
        let there = voters.filter(|node| tip <= node.last_height());
        let mut told: Vec<_> = there.filter_map(|node| Some(node.good.as_ref()?.at)).collect();
        told.sort_unstable_by(|a, b| b.cmp(a));
        told.get(usize::from(2 < votes.count)).copied()
    }

    /// The tip went back: what the nodes had reached counts no more. A chain that is left with next to nothing of its
    /// height has begun anew, whatever its nodes' hashes say about single blocks, and its pace must be learned anew.
    fn settle_rollback(&mut self, before: Option<Height>, nodes: &mut [Node]) {
        let tip = self.tip.height().unwrap_or_default();
        let reset = before.is_some_and(|before| tip.0 < before.0 / RESET_SHARE);
        for i in &self.members {
            let node = &mut nodes[*i];
            node.reached = node.vote;
            if let Some(decrease) = node.decrease.as_mut().filter(|it| reset && it.to <= tip && node.vote.is_some()) {
                decrease.cause = Cause::Reset;
            }
        }
        if reset {
            self.progress.unlearn();
        }
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
        let change = self.tip.update(votes, timer, |height| self.ground.proven_at(height));
        match change {
            Change::None | Change::RolledBack { progress: None } => {}
            Change::First => {
                self.progress.begin(now, head, self.rounds_of_most(all), settings);
            }
            Change::RolledBack { progress: Some(at) } => {
                self.progress.restart(at);
                self.recover(1, at);
            }
            Change::Rose(blocks) => {
                let proven = self.tip.height().and_then(|tip| self.ground.proven_at(tip));
                if let Some(each) = self.progress.rise(now.at, proven, blocks, settings) {
                    self.block_interval.observe_times(&BLOCK_BUCKETS, each, blocks.min(COUNTED_BLOCKS));
                }
                self.recover(blocks.min(BURST), now.at);
            }
        }
        matches!(change, Change::RolledBack { .. })
    }

    /// What the voters say about upgrades and the weight of all; a window that closed starts the clock anew.
    fn settle_plans(&mut self, settings: &NetworkSettings, all: &[NodeSettings], nodes: &[Node], timer: &Timer) {
        let voters = || self.members.iter().filter(|i| nodes[**i].vote.is_some());
        let said = || voters().filter_map(|i| nodes[*i].testimony(&all[*i], timer));
        let validators = said().filter_map(|facts| facts.validators).collect();
        let upgrade = corroborated(said().map(|facts| facts.upgrade.as_ref()));
        self.roll.hear(validators);
        let tip = self.tip.height().map(|tip| (tip, self.progress.at.unwrap_or(timer.now().at)));
        if let Some(closed) = self.plans.settle(settings, upgrade, tip, timer) {
            self.progress.excuse(closed);
        }
    }

    /// In this time so many are asked as prove a tip: two, or one where there are no three. Whoever is asked rarely holds
    /// up nobody.
    fn round(&self, all: &[NodeSettings]) -> Duration {
        self.interval_at(usize::from(2 < self.members.len()), all)
    }

    /// In this time most are asked, and whoever answers is asked again.
    pub(super) fn rounds_of_most(&self, all: &[NodeSettings]) -> Duration {
        self.interval_at(self.members.len() / 2, all).saturating_mul(2)
    }

    /// The interval at this position among those of all members, the shortest first.
    fn interval_at(&self, position: usize, all: &[NodeSettings]) -> Duration {
        let mut intervals: Vec<Duration> = self.members.iter().map(|i| all[*i].interval).collect();
        intervals.sort_unstable();
        intervals.get(position).copied().unwrap_or_default()
    }

    fn recover(&mut self, blocks: u64, at: Timestamp) {
        if let Some(recovery) = &mut self.recovery {
            recovery.blocks = recovery.blocks.saturating_add(blocks);
            recovery.first.get_or_insert(at);
        }
    }

    /// Whether the tip rose after `since` and within the halt threshold: blocks demonstrably go on, whoever says so.
    #[must_use]
    pub fn rose_since(&self, since: Timestamp, settings: &NetworkSettings, timer: &Timer) -> bool {
        let rose = self.progress.at.filter(|at| since < *at);
        rose.is_some_and(|at| !timer.passed(at.after(self.progress.threshold(settings))))
    }
}

/// The higher of two heads, and when the later of them rose.
fn furthest(a: (Height, Timestamp), b: (Height, Timestamp)) -> (Height, Timestamp) {
    (a.0.max(b.0), a.1.max(b.1))
}

/// Whether a node has moved on for so long without being contradicted again that an old contradiction proves nothing.
fn outgrown(dispute: &HashDispute, moved_at: Option<Timestamp>) -> bool {
    moved_at.is_some_and(|at| dispute.told.after(CONTRADICTION_LASTS) <= at)
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
