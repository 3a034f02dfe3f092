//! Whether those who vote agree, and for how long they have: what the nodes of a consensus tell that turns over while
//! nobody wants a block.

use std::time::Duration;

use super::chain::{Branch, Chain, Process};

/// How the consensus of a node's side stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    /// Whole seconds in which enough agreed, since the last block.
    pub agreed: u64,
    /// For how long too few have been left, if they are.
    pub stuck: Option<Duration>,
}

impl Branch {
    /// Notes from `now` on whether there is a quorum, and since when.
    pub(super) fn agree(&mut self, quorum_since: Option<Duration>, now: Duration) {
        if let (Some(since), None) = (self.quorum_since, quorum_since) {
            self.agreed = self.agreed.saturating_add(now.saturating_sub(since.max(self.tip().at)));
        }
        self.stuck_since = if quorum_since.is_some() { None } else { self.stuck_since.or(Some(now)) };
        self.quorum_since = quorum_since;
    }
}

impl Chain {
    /// How the consensus of the node's side stands; `None` if the plan has no such node.
    #[must_use]
    pub fn turns(&self, node: usize) -> Option<Turns> {
        let branch = &self.branches[self.seats.get(node)?.side];
        let since = branch.quorum_since.map(|since| since.max(branch.tip().at));
        let running = since.map_or(Duration::ZERO, |since| self.now.saturating_sub(since));
        let stuck = branch.stuck_since.map(|since| self.now.saturating_sub(since));
        Some(Turns { agreed: branch.agreed.saturating_add(running).as_secs(), stuck })
    }

    /// The other nodes of the plan the node is connected with.
    #[must_use]
    pub fn neighbours(&self, node: usize) -> Vec<usize> {
        let Some(side) = self.seats.get(node).map(|seat| seat.side) else { return Vec::new() };
        let near = |(other, seat): &(usize, &super::chain::Seat)| {
            *other != node && seat.side == side && seat.process != Process::Stopped
        };
        self.seats.iter().enumerate().filter(near).map(|(other, _)| other).collect()
    }
}
