//! What is so: the blocks of each network, and what each node answers when it is asked.

use std::sync::Arc;

use fastrand::Rng;
use haltwatch::{
    model::{BlockHash, Height, UnixTime},
    observation::{ErrorKind, Facts, Finality, Syncing},
};

use crate::{
    fault::{Fault, Kind},
    story::Story,
};

/// Wall time at the start.
pub const WALL: i64 = 1_795_000_000_000;

/// The height before the first block of a story.
const BASE: u64 = 5_000_000;

/// Blocks come at most this share of the block time early or late, in per cent.
const JITTER: i64 = 8;

/// A chain that works on demand has something to do this often at least.
const BUSY_MS: i64 = 30_000;

/// Until a block has reached every node, in milliseconds.
const SPREAD_MS: i64 = 300;

/// A liar's height is so far above everybody's.
const LIE: u64 = 10_000_000;

/// One network's blocks.
pub struct Chain {
    /// When each was made; the first stands at `BASE + 1`.
    made: Vec<i64>,
    /// When so many blocks were replaced, and from which height on.
    replaced: Vec<(i64, u64)>,
    /// When it was set back, from which height on, and by how many blocks in all until then.
    set_back: Vec<(i64, u64, u64)>,
    /// When its final height stood still.
    unfinal: Vec<(i64, i64)>,
    /// When a transaction waited that nobody took.
    stuck: Vec<(i64, i64)>,
}

/// All that is so in a story.
pub struct Truth<'s> {
    story: &'s Story,
    pub chains: Vec<Chain>,
}

impl<'s> Truth<'s> {
    pub fn of(story: &'s Story) -> Self {
        let chains = (0..story.settings.networks.len()).map(|network| Chain::of(story, network)).collect();
        Self { story, chains }
    }

    /// What the node at `position` says to its `poll`th poll, whose answer comes at `ms`.
    pub fn answer(&self, position: usize, poll: u64, ms: i64) -> Result<Facts, ErrorKind> {
        let story = self.story;
        let network = story.settings.nodes[position].network.index();
        let chain = &self.chains[network];
        let mut rng = Rng::with_seed(story.seed ^ (position as u64) << 40 ^ poll << 8);
        let sees = ms - rng.i64(20..=SPREAD_MS);
        let mut facts = self.honest(network, chain.height(sees), sees);
        facts.clock = Some(UnixTime::from_millis(WALL + ms));
        for fault in story.faults.iter().filter(|fault| fault.lasts_at(ms)) {
            match fault.kind {
                Kind::CutOff => return Err(ErrorKind::Timeout),
                _ if fault.node != Some(position) => {}
                Kind::Down => return Err(ErrorKind::Refused),
                Kind::Flaps if rng.u8(0..10) < 3 => return Err(ErrorKind::Timeout),
                _ => self.disturb(&mut facts, fault, (network, ms), &mut rng),
            }
        }
        Ok(facts)
    }

    fn disturb(&self, facts: &mut Facts, fault: &Fault, (network, ms): (usize, i64), rng: &mut Rng) {
        let chain = &self.chains[network];
        let clock = facts.clock;
        match fault.kind {
            Kind::Rogue | Kind::WrongChain => {
                let height = facts.head.height.0 + LIE;
                *facts = self.honest(network, height, ms);
                facts.head.hash = Some(hash(200, height));
                facts.head.parent = Some(hash(200, height - 1));
                facts.checkpoints.iter_mut().for_each(|(height, told)| *told = hash(200, height.0));
                if fault.kind == Kind::WrongChain {
                    facts.chain_id = Some(Arc::from("elsewhere"));
                }
                facts.clock = clock;
            }
            Kind::Freezes => {
                *facts = self.honest(network, chain.height(fault.from - SPREAD_MS), fault.from - SPREAD_MS);
                facts.clock = clock;
            }
            Kind::Balances => {
                let behind = facts.head.height.0 - rng.u64(0..=4).min(facts.head.height.0 - BASE - 1);
                *facts = self.honest(network, behind, ms - SPREAD_MS);
                facts.clock = clock;
            }
            Kind::ClockWrong => facts.clock = clock.map(|clock| UnixTime::from_millis(clock.millis() - 600_000)),
            _ => {}
        }
    }

    /// What an honest node says that is at `height` and saw the world last at `sees`.
    fn honest(&self, network: usize, height: u64, sees: i64) -> Facts {
        let chain = &self.chains[network];
        let mut facts = Facts::at_height(Height(height));
        facts.chain_id = Some(Arc::clone(&self.story.settings.networks[network].name));
        facts.head.hash = Some(chain.hash(height, sees));
        facts.head.parent = Some(chain.hash(height - 1, sees));
        facts.head.time = Some(UnixTime::from_millis(WALL + chain.made_at(height, sees)));
        facts.head.transactions = Some(3);
        facts.syncing = Syncing::No;
        facts.peers = Some(9);
        facts.pending = Some(u64::from(chain.is_stuck(sees)));
        let finalized = chain.finalized(height, sees);
        facts.finality = Finality::Known {
            height: Height(finalized),
            hash: Some(chain.hash(finalized, sees)),
            time: Some(UnixTime::from_millis(WALL + chain.made_at(finalized, sees))),
        };
        if self.story.checkpoints {
            let scales = [4, 16, 64, 256, 1024, 4096];
            facts.checkpoints.reserve(3 * scales.len());
            let below = scales.into_iter().flat_map(|scale| (0..3).map(move |n| (height - height % scale) - n * scale));
            facts.checkpoints.extend(below.map(|height| (Height(height), chain.hash(height, sees))));
        }
        facts
    }
}

impl Chain {
    fn of(story: &Story, network: usize) -> Self {
        let of_kind =
            |kind: Kind| story.faults.iter().filter(move |fault| fault.network == network && fault.kind == kind);
        let halts: Vec<_> = of_kind(Kind::Halt).map(|fault| (fault.from, fault.until)).collect();
        let mut rng = Rng::with_seed(story.seed ^ 0x5EED ^ (network as u64) << 32);
        let (mut made, block_ms) = (Vec::new(), story.block_ms[network]);
        // Blocks from long before, so that the deepest reorganisation has something to replace.
        let mut at = -400 * block_ms;
        while at < story.end() {
            if !halts.iter().any(|(from, until)| *from <= at && at < *until) {
                made.push(at);
            }
            // A chain that works on demand has now and then something to do.
            let pause = if story.is_on_demand(network) { rng.i64(1..=(BUSY_MS / block_ms).max(1)) } else { 1 };
            at += block_ms * pause + rng.i64(-JITTER..=JITTER) * block_ms / 100;
        }
        let stuck = if story.is_on_demand(network) { halts } else { Vec::new() };
        let mut chain = Self { made, replaced: Vec::new(), set_back: Vec::new(), unfinal: Vec::new(), stuck };
        chain.unfinal = of_kind(Kind::FinalityStops).map(|fault| (fault.from, fault.until)).collect();
        for fault in story.faults.iter().filter(|fault| fault.network == network) {
            let (Kind::Reorg { depth } | Kind::Rollback { depth }) = fault.kind else { continue };
            let first = chain.height(fault.from) + 1 - depth;
            chain.replaced.push((fault.from, first));
            if matches!(fault.kind, Kind::Rollback { .. }) {
                let before = chain.set_back.last().map_or(0, |(_, _, blocks)| *blocks);
                chain.set_back.push((fault.from, first, before + depth));
            }
        }
        chain
    }

    fn height(&self, ms: i64) -> u64 {
        let lost = self.set_back.iter().rev().find(|(at, ..)| *at <= ms).map_or(0, |(.., blocks)| *blocks);
        BASE + self.made.partition_point(|made| *made <= ms) as u64 - lost
    }

    fn made_at(&self, height: u64, sees: i64) -> i64 {
        let replaced = self.set_back.iter().rev().find(|(at, first, _)| *at <= sees && *first <= height);
        let lost = replaced.map_or(0, |(.., blocks)| *blocks);
        let position = (height + lost).saturating_sub(BASE + 1);
        usize::try_from(position).ok().and_then(|position| self.made.get(position)).copied().unwrap_or_default()
    }

    fn hash(&self, height: u64, sees: i64) -> BlockHash {
        let newer = self.replaced.iter().filter(|(at, from)| *at <= sees && *from <= height).count();
        hash(u8::try_from(newer).unwrap_or(u8::MAX), height)
    }

    fn finalized(&self, height: u64, sees: i64) -> u64 {
        let stopped = self.unfinal.iter().find(|(from, until)| *from <= sees && sees < *until);
        stopped.map_or(height, |(from, _)| self.height(*from).min(height))
    }

    fn is_stuck(&self, ms: i64) -> bool {
        self.stuck.iter().any(|(from, until)| *from <= ms && ms < *until)
    }

    /// When the last block before `ms` was made.
    pub fn last_before(&self, ms: i64) -> i64 {
        let count = self.made.partition_point(|made| *made < ms);
        self.made[..count].last().copied().unwrap_or_default()
    }
}

fn hash(branch: u8, height: u64) -> BlockHash {
    let mut hash = [branch; 32];
    hash[..8].copy_from_slice(&height.to_be_bytes());
    BlockHash(hash)
}
