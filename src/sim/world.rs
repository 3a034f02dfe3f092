//! Several chains and the script of what befalls them: the whole of a simulation, still pure.

use std::time::Duration;

use super::{
    chain::Chain,
    fault::Fault,
    plan::Plan,
    script::{Script, Step},
};

/// Chains and their script.
#[derive(Debug, Clone)]
pub struct World {
    chains: Vec<Chain>,
    script: Script,
    opened: Duration,
}

impl World {
    /// The world of these plans after `history` has passed in peace; the script's times count from then.
    #[must_use]
    pub fn open(plans: Vec<Plan>, script: Script, history: Duration) -> Self {
        let mut chains: Vec<Chain> = plans.into_iter().map(Chain::new).collect();
        for chain in &mut chains {
            chain.advance(history);
        }
        Self { chains, script, opened: history }
    }

    /// The chains, in the order of their plans.
    #[must_use]
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// The time on the chains' own clock at which the world was opened.
    #[must_use]
    pub fn opened(&self) -> Duration {
        self.opened
    }

    /// Everything that happens until `now`, counted from the opening. Returns the events of the script that happened.
    pub fn advance(&mut self, now: Duration) -> Vec<Step> {
        let mut happened = Vec::new();
        while let Some(step) = self.script.take_due(now) {
            self.suffer(step.network, &step.fault, step.at);
            happened.push(step);
        }
        let now = self.opened.saturating_add(now);
        for chain in &mut self.chains {
            chain.advance(now);
        }
        happened
    }

    /// Lets a fault happen outside the script. Networks that do not exist are ignored.
    pub fn suffer(&mut self, network: usize, fault: &Fault, now: Duration) {
        let now = self.opened.saturating_add(now);
        if let Some(chain) = self.chains.get_mut(network) {
            chain.suffer(fault, now);
        }
    }

    /// When something happens next by itself, counted from the opening.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        let chains = self.chains.iter().filter_map(Chain::next_at).map(|at| at.saturating_sub(self.opened));
        chains.chain(self.script.next_at()).min()
    }
}
