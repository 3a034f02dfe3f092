//! Who signed twice, by the word of whom. The evidence lies on the chain, so every node that tells of it must tell the
//! same; what lies in blocks below the height at which we began to look is history. The deed itself may be older than that:
//! evidence of it is seldom in the next block.

use std::collections::VecDeque;

use super::vitals::Scene;
use crate::{
    model::{Height, Timestamp},
    observation::Equivocation,
};

/// Pieces of evidence remembered at the most; the oldest go first and are history then.
const REMEMBERED: usize = 64;

/// Where so many nodes answer, one node's word is not enough.
const WITNESSED: usize = 3;

/// The evidence that was new.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The highest block that is history.
    history: Option<Height>,
    new: VecDeque<(Equivocation, Timestamp)>,
}

impl Evidence {
    /// Takes in a view of the network.
    pub fn follow(&mut self, scene: &Scene<'_>) {
        let history = *self.history.get_or_insert(scene.tip);
        let needed = if WITNESSED <= scene.facts.len() { 2 } else { 1 };
        let told = || scene.facts.iter().flat_map(|facts| &facts.equivocations);
        for evidence in told().filter(|evidence| history < evidence.told_in && evidence.told_in <= scene.tip) {
            let witnesses = scene.facts.iter().filter(|facts| facts.equivocations.contains(evidence)).count();
            let known = self.new.iter().any(|(known, _)| known == evidence);
            if needed <= witnesses && !known {
                self.remember(evidence.clone(), scene.timer.now().at);
            }
        }
    }

    fn remember(&mut self, evidence: Equivocation, at: Timestamp) {
        if self.new.len() == REMEMBERED {
            let oldest = self.new.pop_front().map(|(evidence, _)| evidence.told_in);
            self.history = self.history.max(oldest);
        }
        self.new.push_back((evidence, at));
    }

    /// The newest evidence, and when it was told.
    #[must_use]
    pub fn newest(&self) -> Option<&(Equivocation, Timestamp)> {
        self.new.back()
    }
}
