//! What happens when: a list of timed faults, each with the sentence in which a narrator announces it.

use std::{collections::VecDeque, time::Duration};

use super::fault::Fault;

/// One event of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When, counted from the opening of the simulation.
    pub at: Duration,
    /// Position of the network it happens to.
    pub network: usize,
    /// What happens.
    pub fault: Fault,
    /// What the narrator says; empty = nothing.
    pub says: String,
}

/// Timed faults in the order of their times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    steps: VecDeque<Step>,
}

impl Script {
    /// The script with one more event; events at the same time happen in the order in which they were added.
    #[must_use]
    pub fn at(mut self, at: Duration, network: usize, fault: Fault, says: &str) -> Self {
        let position = self.steps.partition_point(|step| step.at <= at);
        self.steps.insert(position, Step { at, network, fault, says: says.to_owned() });
        self
    }

    /// When the next event is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        self.steps.front().map(|step| step.at)
    }

    /// Takes the next event if it is due at `now`.
    pub fn take_due(&mut self, now: Duration) -> Option<Step> {
        if self.next_at()? <= now { self.steps.pop_front() } else { None }
    }
}
