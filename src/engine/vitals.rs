//! The vital signs of a network whose heart beats: finality, pace, consensus, traffic, evidence of misbehaviour. Each is
//! a memory of its own; here they are fed from one view of the network, so that all of them see the same.

use std::time::Duration;

use super::{
    backlog::Backlog,
    evidence::Evidence,
    finality::{Claim, Finality},
    network::Network,
    node::Node,
    pace::Pace,
    rounds::Rounds,
    rule,
    settings::{NetworkSettings, NodeSettings},
    timer::Timer,
    traffic::{Block, Traffic},
};
use crate::{
    model::{Height, Timestamp, UnixTime},
    observation::{Facts, Finality as Said},
};

/// Everything of this kind that is remembered of one network.
#[derive(Debug, Default)]
pub struct Vitals {
    /// How far finality is.
    pub finality: Finality,
    /// How fast blocks come.
    pub pace: Pace,
    /// How hard consensus is.
    pub rounds: Rounds,
    /// What waits for a block.
    pub backlog: Backlog,
    /// What blocks carry.
    pub traffic: Traffic,
    /// Who signed twice.
    pub evidence: Evidence,
    /// In this time every node is asked once: what one has told, the others may have told too.
    pub settle: Duration,
    tip: Option<Height>,
}

/// What the nodes that vote say now.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The network, but for its vital signs.
    pub network: &'a Network,
    /// Its settings.
    pub settings: &'a NetworkSettings,
    /// What each voter says.
    pub facts: Vec<&'a Facts>,
    /// The tip.
    pub tip: Height,
    /// When it rose, as far as we saw; now, if we did not.
    pub risen: Timestamp,
    /// How many blocks it has risen since the last view; `None` if it went back or is the first.
    pub blocks: Option<u64>,
    /// Now.
    pub timer: &'a Timer,
}

impl Scene<'_> {
    /// The block time in use.
    #[must_use]
    pub fn block_time(&self) -> Option<Duration> {
        self.network.progress.block_time(self.settings)
    }

    /// When the head came, however long ago that is.
    #[must_use]
    pub fn risen_at(&self) -> Timestamp {
        self.network.progress.at.unwrap_or(self.risen)
    }

    /// The newest timestamp of the tip.
    #[must_use]
    pub fn head_time(&self) -> Option<UnixTime> {
        self.facts.iter().filter(|facts| facts.head.height == self.tip).filter_map(|facts| facts.head.time).max()
    }

    fn block(&self) -> Option<Block> {
        let at_tip = self.facts.iter().filter(|facts| facts.head.height == self.tip);
        let transactions = at_tip.filter_map(|facts| facts.head.transactions).max()?;
        Some(Block { height: self.tip, transactions })
    }

    /// The network stands still, has just begun to move again, or is meant to stand still: its pace says nothing.
    fn is_resting(&self) -> bool {
        let lives = &self.network.lives;
        self.network.recovery.is_some() || lives.fires(rule::HALTED) || lives.fires(rule::PLANNED)
    }
}

impl Vitals {
    /// Takes in a view of the network.
    pub fn follow(
        &mut self,
        network: &Network,
        settings: &NetworkSettings,
        all: &[NodeSettings],
        nodes: &[Node],
        timer: &Timer,
    ) {
        let Some(tip) = network.tip.height() else { return };
        let voters = network.members.iter().filter(|i| nodes[**i].vote.is_some());
        let before = self.tip.replace(tip);
        let seen = before.is_some_and(|before| before < tip);
        let scene = Scene {
            network,
            settings,
            facts: voters.filter_map(|i| nodes[*i].testimony(&all[*i], timer)).collect(),
            tip,
            risen: network.progress.at.filter(|_| seen).unwrap_or(timer.now().at),
            blocks: before.filter(|before| *before <= tip).map(|before| tip.above(before)),
            timer,
        };
        let slowest = network.members.iter().map(|i| all[*i].interval).max().unwrap_or_default();
        self.settle = slowest.saturating_add(slowest / 4);
        self.observe(&scene);
    }

    fn observe(&mut self, scene: &Scene<'_>) {
        self.finality.follow(scene, &claims(scene));
        self.pace.follow(scene, scene.is_resting());
        self.rounds.follow(scene);
        let (block, pending) = (scene.block(), pending(scene));
        self.traffic.follow(scene, block, pending);
        self.backlog.follow(scene, block, pending);
        self.evidence.follow(scene);
    }
}

/// What voters say is final.
fn claims(scene: &Scene<'_>) -> Vec<Claim> {
    let claim = |facts: &&Facts| match facts.finality {
        Said::Known { height, time, .. } => Some(Claim { height, time }),
        Said::Unknown => None,
    };
    scene.facts.iter().filter_map(claim).collect()
}

/// Transactions that wait: as many as a second node bears out, where a second says anything.
fn pending(scene: &Scene<'_>) -> Option<u64> {
    borne_out(scene.facts.iter().filter_map(|facts| facts.pending))
}

/// The highest value that a second witness reaches; of a single witness its own.
#[must_use]
pub fn borne_out<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.get(1).or(values.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_when_a_second_witness_bears_it_out() {
        for (values, wanted) in [(&[][..], None), (&[7], Some(7)), (&[7, 3], Some(3)), (&[3, 9, 7], Some(7))] {
            assert_eq!(borne_out(values.iter().copied()), wanted);
        }
    }
}
