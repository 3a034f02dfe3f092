//! What a node of a simulated chain knows of it. The shell asks this and nothing else.

use std::time::Duration;

use super::{
    block::Block,
    chain::{Chain, Process},
    fault::Manner,
};

/// Blocks per second a node replays while it catches up.
const CATCH_UP_RATE: u64 = 20;

/// What a node says of itself at an instant.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The newest block it has.
    pub head: &'a Block,
    /// The newest block it calls safe.
    pub safe: &'a Block,
    /// The newest block it calls final.
    pub finalized: &'a Block,
    /// While it catches up: the number of the newest block it knows to exist.
    pub syncing_to: Option<u64>,
    /// Its peers.
    pub peers: u64,
    /// Transactions waiting.
    pub pending: u64,
    /// The chain id it gives.
    pub chain_id: u64,
}

impl Chain {
    /// What `node` says of itself now; `None` if the plan has no such node.
    #[must_use]
    pub fn view(&self, node: usize) -> Option<View<'_>> {
        let seat = self.seats.get(node)?;
        let height = self.height_of(node);
        let lag = self.plan.finality_lag;
        let target = self.branches[seat.side].tip().number.saturating_sub(seat.behind);
        Some(View {
            head: self.block_or_genesis(node, height),
            safe: self.block_or_genesis(node, height.saturating_sub(lag / 2)),
            finalized: self.block_or_genesis(node, height.saturating_sub(lag)),
            syncing_to: (seat.missed.is_some() && height < target).then_some(target),
            peers: self.peers_of(node),
            pending: self.pending,
            chain_id: if let Manner::WrongChain(id) = seat.manner { id } else { self.plan.chain_id },
        })
    }

    /// The block with this number as `node` knows it; `None` if it does not know it or no longer keeps it.
    #[must_use]
    pub fn block(&self, node: usize, number: u64) -> Option<&Block> {
        if number == 0 {
            return Some(&self.genesis);
        }
        let seat = self.seats.get(node)?;
        self.branches[seat.side].block(number).filter(|block| block.number <= self.height_of(node))
    }

    /// The names of the voters that `node` sees take part, and of those that it does not.
    #[must_use]
    pub fn votes(&self, node: usize) -> (Vec<&str>, Vec<&str>) {
        let Some(seat) = self.seats.get(node) else { return (Vec::new(), Vec::new()) };
        let name = |voter: usize| self.plan.members[voter].name.as_str();
        let voting: Vec<usize> = self.voting(seat.side).collect();
        let away = self.voters().filter(|voter| !voting.contains(voter)).map(name).collect();
        (voting.iter().map(|voter| name(*voter)).collect(), away)
    }

    /// The block after which too few voters were left on the side of `node` to agree, while that lasts.
    #[must_use]
    pub fn undecided(&self, node: usize) -> Option<u64> {
        self.branches[self.seats.get(node)?.side].undecided
    }

    /// The newest block that `node` knows and that was made at or before `at`. Those it no longer keeps are not looked at.
    #[must_use]
    pub fn block_at(&self, node: usize, at: Duration) -> Option<&Block> {
        let seat = self.seats.get(node)?;
        let height = self.height_of(node);
        let known = self.branches[seat.side].blocks.iter().rev().filter(|block| block.number <= height);
        known.into_iter().find(|block| block.at <= at)
    }

    /// Whether two thirds of the voters on the side of `node` were there all the time between the two.
    #[must_use]
    pub fn attested(&self, node: usize, from: Duration, to: Duration) -> bool {
        let Some(seat) = self.seats.get(node) else { return false };
        let attendance = &self.branches[seat.side].attendance;
        let begun = attendance.iter().rev().find(|(at, _)| *at <= from).is_some_and(|(_, attested)| *attested);
        begun && attendance.iter().all(|(at, attested)| *attested || *at <= from || to <= *at)
    }

    /// The time of the simulation.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Whether the node's process runs. Nodes outside the plan do not.
    #[must_use]
    pub fn process(&self, node: usize) -> Process {
        self.seats.get(node).map_or(Process::Stopped, |seat| seat.process)
    }

    /// How the node treats those who ask.
    #[must_use]
    pub fn manner(&self, node: usize) -> Manner {
        self.seats.get(node).map_or(Manner::Plain, |seat| seat.manner)
    }

    /// By how many milliseconds the node's clock is ahead.
    #[must_use]
    pub fn clock_skew_ms(&self, node: usize) -> i64 {
        self.seats.get(node).map_or(0, |seat| seat.clock_skew_ms)
    }

    /// The newest block of the first branch.
    #[must_use]
    pub fn tip(&self) -> &Block {
        self.branches[0].tip()
    }

    /// The height `node` has reached by now.
    pub(super) fn height_of(&self, node: usize) -> u64 {
        let seat = &self.seats[node];
        let height = self.branches[seat.side].tip().number.saturating_sub(seat.behind);
        let Some((from, since)) = seat.missed else { return height };
        if seat.process != Process::Running {
            return from.min(height);
        }
        let replayed = replayed_in(self.now.saturating_sub(since));
        from.saturating_add(replayed).min(height)
    }

    fn block_or_genesis(&self, node: usize, number: u64) -> &Block {
        self.seats.get(node).and_then(|seat| self.branches[seat.side].block(number)).unwrap_or(&self.genesis)
    }

    /// A frozen process keeps its connections, so its peers go on counting it.
    fn peers_of(&self, node: usize) -> u64 {
        let side = self.seats[node].side;
        let near = |(other, seat): &(usize, &super::chain::Seat)| {
            *other != node && seat.side == side && seat.process != Process::Stopped
        };
        self.plan.outside_peers.saturating_add(self.seats.iter().enumerate().filter(near).count() as u64)
    }
}

fn replayed_in(time: Duration) -> u64 {
    super::block::millis(time).saturating_mul(CATCH_UP_RATE) / 1000
}
