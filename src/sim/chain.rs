//! One simulated chain: who makes which block when, and what each node knows of it. Pure: the time is an argument, and
//! the same plan, seed and faults give the same blocks byte for byte, in whatever steps time is advanced.
//!
//! A partition clones the chain into a second branch; each side makes blocks as long as it has a quorum of its own.

use std::{collections::VecDeque, time::Duration};

use super::{
    block::{Block, millis},
    draw::{Purpose, draw},
    fault::{Fault, Manner},
    plan::{Cadence, Plan, Quorum},
};

/// Blocks a simulated node keeps; older ones, but for block 0, are pruned.
pub const KEPT_BLOCKS: usize = 4096;

/// Turns of attendance a branch remembers.
const KEPT_TURNS: usize = 256;

/// Slots looked ahead for one that is not missed.
const SLOTS_AHEAD: u64 = 64;

/// Whether a node's process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Process {
    /// It runs.
    #[default]
    Running,
    /// It accepts connections and does nothing.
    Frozen,
    /// It is gone.
    Stopped,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Seat {
    pub(super) process: Process,
    pub(super) side: usize,
    pub(super) behind: u64,
    pub(super) manner: Manner,
    pub(super) clock_skew_ms: i64,
    /// The height at which it last lost touch, and since when it has been catching up.
    pub(super) missed: Option<(u64, Duration)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Branch {
    pub(super) blocks: VecDeque<Block>,
    pub(super) quorum_since: Option<Duration>,
    /// Since when there has been none, if there is none.
    pub(super) stuck_since: Option<Duration>,
    /// Time in which enough agreed since the last block, before `quorum_since`.
    pub(super) agreed: Duration,
    /// The block that was the newest when more than a third of the voters went, who are still away.
    pub(super) undecided: Option<u64>,
    /// When two thirds of the voters were there, and when they were not any more, in turn.
    pub(super) attendance: VecDeque<(Duration, bool)>,
    due: Option<Duration>,
    salt: u64,
}

impl Branch {
    pub(super) fn tip(&self) -> &Block {
        self.blocks.back().expect("a branch begins with block 0 and never becomes empty")
    }

    pub(super) fn block(&self, number: u64) -> Option<&Block> {
        let offset = number.checked_sub(self.blocks.front()?.number)?;
        self.blocks.get(usize::try_from(offset).ok()?)
    }
}

enum Event {
    Arrival,
    Due(usize),
}

/// A chain and its nodes.
#[derive(Debug, Clone)]
pub struct Chain {
    pub(super) plan: Plan,
    pub(super) now: Duration,
    pub(super) genesis: Block,
    pub(super) branches: Vec<Branch>,
    pub(super) seats: Vec<Seat>,
    pub(super) pending: u64,
    pending_since: Duration,
    arrivals: u64,
    salts: u64,
}

impl Chain {
    /// The chain at time zero, with block 0 only.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let genesis = Block::first(&plan);
        let branch = Branch {
            blocks: VecDeque::from([genesis]),
            quorum_since: Some(Duration::ZERO),
            attendance: VecDeque::from([(Duration::ZERO, true)]),
            ..Branch::default()
        };
        let seats = vec![Seat::default(); plan.members.len()];
        let mut chain = Self {
            plan,
            now: Duration::ZERO,
            genesis,
            branches: vec![branch],
            seats,
            pending: 0,
            pending_since: Duration::ZERO,
            arrivals: 0,
            salts: 0,
        };
        chain.reschedule();
        chain
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Everything that happens by itself until `now`. Going back in time does nothing.
    pub fn advance(&mut self, now: Duration) {
        while let Some((at, event)) = self.next_event().filter(|(at, _)| *at <= now) {
            self.now = self.now.max(at);
            match event {
                Event::Arrival => self.receive(1),
                Event::Due(side) => self.extend(side),
            }
        }
        self.now = self.now.max(now);
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        self.next_event().map(|(at, _)| at)
    }

    fn next_event(&self) -> Option<(Duration, Event)> {
        let dues = self.branches.iter().enumerate().filter_map(|(side, b)| Some((b.due?, Event::Due(side))));
        dues.chain(self.next_arrival().map(|at| (at, Event::Arrival))).min_by_key(|(at, _)| *at)
    }

    fn next_arrival(&self) -> Option<Duration> {
        let Cadence::OnDemand { work_every: Some(every), .. } = self.plan.cadence else { return None };
        let n = self.arrivals + 1;
        let jitter = draw(self.plan.seed, Purpose::Arrival, n) % period(every);
        Some(Duration::from_millis(n.saturating_mul(period(every)).saturating_add(jitter)))
    }

    fn receive(&mut self, transactions: u64) {
        self.arrivals += 1;
        self.submit(transactions);
    }

    fn submit(&mut self, transactions: u64) {
        if self.pending == 0 {
            self.pending_since = self.now;
        }
        self.pending = self.pending.saturating_add(transactions);
        self.reschedule();
    }

    /// Lets a fault happen at `now`. Positions outside the plan are ignored.
    pub fn suffer(&mut self, fault: &Fault, now: Duration) {
        self.advance(now);
        match fault {
            Fault::Stop(node) => self.set_process(*node, Process::Stopped),
            Fault::Freeze(node) => self.set_process(*node, Process::Frozen),
            Fault::Start(node) => self.set_process(*node, Process::Running),
            Fault::Partition(nodes) => self.partition(nodes),
            Fault::Heal => self.heal(),
            Fault::Lag(node, blocks) => self.change(*node, |seat| seat.behind = *blocks),
            Fault::Manner(node, manner) => self.change(*node, |seat| seat.manner = *manner),
            Fault::ClockSkew(node, ms) => self.change(*node, |seat| seat.clock_skew_ms = *ms),
            Fault::Reorg(depth) => self.reorg(*depth),
            Fault::Submit(transactions) => self.submit(*transactions),
        }
        self.count_votes();
        self.reschedule();
    }

    fn change(&mut self, node: usize, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.seats.get_mut(node) {
            change(seat);
        }
    }

    fn set_process(&mut self, node: usize, process: Process) {
        let height = if node < self.seats.len() { self.height_of(node) } else { return };
        let now = self.now;
        self.change(node, |seat| {
            if seat.process == Process::Running || process == Process::Running {
                let from = seat.missed.map_or(height, |(from, _)| from.min(height));
                seat.missed = Some((if process == Process::Running { from } else { height }, now));
            }
            seat.process = process;
        });
    }

    fn partition(&mut self, nodes: &[usize]) {
        self.salts += 1;
        let side = self.branches.len();
        self.branches.push(Branch { salt: self.salts, ..self.branches[0].clone() });
        for node in nodes {
            self.change(*node, |seat| seat.side = side);
        }
    }

    fn heal(&mut self) {
        // The first of the longest wins, so that a partition without consequences changes no hash.
        let longest = self.branches.iter().map(|branch| branch.tip().number).max().unwrap_or_default();
        let winner = self.branches.iter().position(|branch| branch.tip().number == longest).unwrap_or_default();
        for node in 0..self.seats.len() {
            let height = self.height_of(node);
            let behind = self.seats[node].side != winner && height < longest;
            let seat = &mut self.seats[node];
            seat.side = 0;
            seat.missed = if behind { Some((height, self.now)) } else { seat.missed };
        }
        self.branches.swap(0, winner);
        self.branches.truncate(1);
    }

    fn reorg(&mut self, depth: u64) {
        self.salts += 1;
        let branch = &mut self.branches[0];
        branch.salt = self.salts;
        let kept = branch.blocks.len().saturating_sub(usize::try_from(depth).unwrap_or(usize::MAX)).max(1);
        for old in branch.blocks.split_off(kept) {
            let block = old.on_top_of(branch.tip(), &self.plan, branch.salt);
            branch.blocks.push_back(block);
        }
    }

    fn count_votes(&mut self) {
        for side in 0..self.branches.len() {
            let since = self.has_quorum(side).then(|| self.branches[side].quorum_since.unwrap_or(self.now));
            self.branches[side].agree(since, self.now);
            let undecided = self.branches[side].undecided.unwrap_or(self.branches[side].tip().number);
            let decides = Quorum::Bft.needed(self.voters().count()) <= self.voting(side).count();
            self.branches[side].undecided = (!decides).then_some(undecided);
            self.note_attendance(side);
        }
    }

    fn note_attendance(&mut self, side: usize) {
        let total = self.voters().count();
        let there = self.voters().filter(|node| self.can_vote(*node, side)).count();
        let (now, attested) = (self.now, total.saturating_mul(2) <= there.saturating_mul(3));
        let attendance = &mut self.branches[side].attendance;
        if attendance.back().is_none_or(|(_, before)| *before != attested) {
            attendance.push_back((now, attested));
        }
        if KEPT_TURNS < attendance.len() {
            attendance.pop_front();
        }
    }

    pub(super) fn voters(&self) -> impl Iterator<Item = usize> {
        self.plan.members.iter().enumerate().filter(|(_, member)| member.votes).map(|(node, _)| node)
    }

    /// Those on `side` who take part.
    pub(super) fn voting(&self, side: usize) -> impl Iterator<Item = usize> {
        self.voters().filter(move |node| self.can_vote(*node, side))
    }

    fn can_vote(&self, node: usize, side: usize) -> bool {
        self.seats[node].side == side && self.seats[node].process == Process::Running
    }

    fn has_quorum(&self, side: usize) -> bool {
        let total = self.voters().count();
        if total == 0 {
            return side == 0;
        }
        self.plan.quorum.needed(total) <= self.voting(side).count()
    }

    fn reschedule(&mut self) {
        for side in 0..self.branches.len() {
            self.branches[side].due = self.branches[side].quorum_since.and_then(|since| self.due(side, since));
        }
    }

    /// When the next block of `side` is due, if nothing changes.
    fn due(&self, side: usize, quorum_since: Duration) -> Option<Duration> {
        let ready = self.branches[side].tip().at.max(quorum_since);
        match self.plan.cadence {
            Cadence::Interval(every) => {
                let (_, absent) = self.proposer(side);
                Some(ready.saturating_add(every.saturating_mul(absent.saturating_add(1))))
            }
            Cadence::Slots { every, missed_per_mille } => {
                let slot = millis(self.now) / period(every);
                let free = |n: &u64| missed_per_mille <= draw(self.plan.seed, Purpose::MissedSlot, *n) % 1000;
                let next = (slot + 1..slot + SLOTS_AHEAD).find(free)?;
                Some(Duration::from_millis(next.saturating_mul(period(every))))
            }
            Cadence::OnDemand { seal_after, .. } => {
                (0 < self.pending).then(|| ready.max(self.pending_since).saturating_add(seal_after))
            }
        }
    }

    /// Who makes the next block of `side`, and how many proposers are away before it is their turn.
    fn proposer(&self, side: usize) -> (u64, u32) {
        let number = self.branches[side].tip().number + 1;
        let voters: Vec<usize> = self.voters().collect();
        let turn = |offset: u64| voters[usize::try_from((number + offset) % voters.len() as u64).unwrap_or_default()];
        let present = (0..voters.len() as u64).find(|offset| self.can_vote(turn(*offset), side));
        match present {
            Some(offset) => (turn(offset) as u64, u32::try_from(offset).unwrap_or(u32::MAX)),
            None => (draw(self.plan.seed, Purpose::Producer, number) % 1000, 0),
        }
    }

    fn extend(&mut self, side: usize) {
        let number = self.branches[side].tip().number + 1;
        let transactions = match self.plan.cadence {
            Cadence::OnDemand { .. } => std::mem::take(&mut self.pending),
            _ => draw(self.plan.seed, Purpose::Transactions, number) % 40,
        };
        let block = Block { number, at: self.now, producer: self.proposer(side).0, transactions, ..Block::default() };
        let branch = &mut self.branches[side];
        let block = block.on_top_of(branch.tip(), &self.plan, branch.salt);
        branch.blocks.push_back(block);
        branch.agreed = Duration::ZERO;
        if KEPT_BLOCKS < branch.blocks.len() {
            branch.blocks.pop_front();
        }
        self.reschedule();
    }
}

/// The length of a period in milliseconds, at least one: a plan that asks for no time at all gets the shortest there is.
fn period(duration: Duration) -> u64 {
    millis(duration).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::plan::{Member, Quorum};

    const SECOND: Duration = Duration::from_secs(1);

    fn plan(cadence: Cadence, quorum: Quorum, voters: usize) -> Plan {
        let members = (1..=voters).map(|n| Member { name: format!("v{n}"), votes: true }).collect();
        let name = "test".to_owned();
        Plan {
            tongue: crate::sim::Tongue::Evm,
            name,
            chain_id: 7,
            seed: 42,
            cadence,
            quorum,
            finality_lag: 2,
            outside_peers: 0,
            members,
        }
    }

    fn bft() -> Chain {
        Chain::new(plan(Cadence::Interval(SECOND), Quorum::Bft, 4))
    }

    fn hashes(chain: &Chain, node: usize) -> Vec<String> {
        let head = chain.view(node).unwrap().head.number;
        (0..=head).map(|n| chain.block(node, n).unwrap().hash.to_string()).collect()
    }

    #[test]
    fn four_validators_bear_the_loss_of_one_and_halt_at_two() {
        let mut chain = bft();
        chain.suffer(&Fault::Stop(3), SECOND * 10);
        let before = chain.tip().number;
        chain.advance(SECOND * 30);
        assert!(before + 10 <= chain.tip().number, "one down: {before} -> {}", chain.tip().number);

        chain.suffer(&Fault::Stop(2), SECOND * 30);
        let halted = chain.tip().number;
        chain.advance(SECOND * 3600);
        assert_eq!((chain.tip().number, chain.next_at()), (halted, None));

        chain.suffer(&Fault::Start(2), SECOND * 3600);
        chain.advance(SECOND * 3610);
        assert!(halted + 5 <= chain.tip().number);
    }

    #[test]
    fn every_quorum_needs_what_the_literature_says() {
        let table: Vec<_> =
            (1..=10).map(|n| (n, Quorum::Bft.needed(n), Quorum::Majority.needed(n), Quorum::One.needed(n))).collect();
        expect_test::expect![[r"
            [(1, 1, 1, 1), (2, 2, 2, 1), (3, 3, 2, 1), (4, 3, 3, 1), (5, 4, 3, 1), (6, 5, 4, 1), (7, 5, 4, 1), (8, 6, 5, 1), (9, 7, 5, 1), (10, 7, 6, 1)]
        "]]
        .assert_eq(&format!("{table:?}\n"));
    }

    #[test]
    fn a_frozen_validator_does_not_vote_but_its_peers_do_not_notice() {
        let mut chain = bft();
        chain.suffer(&Fault::Freeze(0), SECOND * 5);
        chain.suffer(&Fault::Freeze(1), SECOND * 5);
        let halted = chain.tip().number;
        chain.advance(SECOND * 60);
        assert_eq!((chain.tip().number, chain.view(3).unwrap().peers), (halted, 3));
        chain.suffer(&Fault::Stop(0), SECOND * 60);
        assert_eq!(chain.view(3).unwrap().peers, 2);
    }

    #[test]
    fn the_same_seed_gives_the_same_chain_in_whatever_steps_time_passes() {
        let cadences = [
            Cadence::Interval(SECOND),
            Cadence::Slots { every: SECOND * 12, missed_per_mille: 100 },
            Cadence::OnDemand { seal_after: SECOND, work_every: Some(SECOND * 20) },
        ];
        for cadence in cadences {
            let (mut jump, mut steps) =
                (Chain::new(plan(cadence, Quorum::Bft, 4)), Chain::new(plan(cadence, Quorum::Bft, 4)));
            for chain in [&mut jump, &mut steps] {
                chain.suffer(&Fault::Stop(2), SECOND * 100);
            }
            jump.advance(SECOND * 1000);
            for ms in (100_000..=1_000_000).step_by(333) {
                steps.advance(Duration::from_millis(ms));
            }
            steps.advance(SECOND * 1000);
            assert!(10 < jump.tip().number, "{cadence:?}");
            assert_eq!(hashes(&jump, 0), hashes(&steps, 0), "{cadence:?}");
            let other = Chain::new(Plan { seed: 43, ..plan(cadence, Quorum::Bft, 4) });
            assert_ne!(hashes(&other, 0)[0], hashes(&jump, 0)[0], "another seed is another chain");
        }
    }

    #[test]
    fn a_reorganisation_changes_the_hashes_from_one_height_on() {
        let mut chain = bft();
        chain.advance(SECOND * 20);
        let before = hashes(&chain, 0);
        chain.suffer(&Fault::Reorg(3), SECOND * 20);
        let after = hashes(&chain, 0);
        assert_eq!(before.len(), after.len());
        let first_changed = before.iter().zip(&after).position(|(old, new)| old != new);
        assert_eq!(first_changed, Some(before.len() - 3));
        chain.advance(SECOND * 21);
        let head = chain.view(0).unwrap().head;
        assert_eq!(head.parent.to_string(), *after.last().unwrap(), "the new branch is built upon");
    }

    #[test]
    fn an_on_demand_chain_makes_no_block_without_transactions() {
        let mut chain =
            Chain::new(plan(Cadence::OnDemand { seal_after: SECOND, work_every: None }, Quorum::Majority, 3));
        chain.advance(SECOND * 3600);
        assert_eq!((chain.tip().number, chain.next_at()), (0, None));
        chain.suffer(&Fault::Submit(5), SECOND * 3600);
        assert_eq!(chain.view(0).unwrap().pending, 5);
        chain.advance(SECOND * 3601);
        assert_eq!((chain.tip().number, chain.tip().transactions, chain.view(0).unwrap().pending), (1, 5, 0));

        chain.suffer(&Fault::Stop(0), SECOND * 3601);
        chain.suffer(&Fault::Stop(1), SECOND * 3601);
        chain.suffer(&Fault::Submit(2), SECOND * 3602);
        chain.advance(SECOND * 7200);
        assert_eq!((chain.tip().number, chain.view(2).unwrap().pending), (1, 2), "without a quorum work waits");
    }

    #[test]
    fn slots_are_missed_about_as_often_as_asked_for() {
        let mut chain = Chain::new(plan(Cadence::Slots { every: SECOND * 12, missed_per_mille: 100 }, Quorum::Bft, 0));
        chain.advance(SECOND * 12_000);
        let made = chain.tip().number;
        assert!((850..=950).contains(&made), "{made} of 1000 slots");
        assert!(chain.tip().at.as_secs().is_multiple_of(12));
    }

    #[test]
    fn a_node_that_returns_catches_up_and_says_so() {
        let mut chain = bft();
        chain.suffer(&Fault::Stop(3), SECOND * 100);
        let left_at = chain.view(3).unwrap().head.number;
        chain.suffer(&Fault::Start(3), SECOND * 1000);
        let view = chain.view(3).unwrap();
        assert_eq!((view.head.number, view.syncing_to), (left_at, Some(chain.tip().number)));
        chain.advance(SECOND * 1100);
        let view = chain.view(3).unwrap();
        assert_eq!((view.head.number, view.syncing_to), (chain.tip().number, None));
    }

    #[test]
    fn a_partition_stops_the_minority_and_healing_brings_it_back() {
        let mut chain = bft();
        chain.suffer(&Fault::Partition(vec![0]), SECOND * 10);
        let cut_at = chain.view(0).unwrap().head.number;
        chain.advance(SECOND * 40);
        assert_eq!((chain.view(0).unwrap().head.number, chain.view(0).unwrap().peers), (cut_at, 0));
        assert!(cut_at + 10 < chain.view(1).unwrap().head.number);
        chain.suffer(&Fault::Heal, SECOND * 40);
        chain.advance(SECOND * 60);
        assert_eq!(hashes(&chain, 0), hashes(&chain, 1));
    }

    #[test]
    fn two_sides_that_need_no_quorum_part_and_the_longer_one_wins() {
        let mut chain = Chain::new(plan(Cadence::Interval(SECOND), Quorum::One, 4));
        chain.suffer(&Fault::Partition(vec![0]), SECOND * 10);
        chain.advance(SECOND * 60);
        let (lone, many) = (hashes(&chain, 0), hashes(&chain, 1));
        assert_eq!(lone[10], many[10]);
        assert_ne!(lone[12], many[12]);
        assert!(lone.len() < many.len(), "three of four proposers are faster than one");
        chain.suffer(&Fault::Heal, SECOND * 60);
        chain.advance(SECOND * 80);
        assert_eq!(hashes(&chain, 0)[..many.len()], many);
    }

    #[test]
    fn a_lagging_node_stays_behind() {
        let mut chain = bft();
        chain.suffer(&Fault::Lag(1, 15), SECOND * 60);
        chain.advance(SECOND * 90);
        assert_eq!(chain.view(1).unwrap().head.number + 15, chain.tip().number);
        assert_eq!(chain.view(1).unwrap().syncing_to, None);
    }

    #[test]
    fn faults_of_nodes_that_do_not_exist_are_ignored() {
        let mut chain = bft();
        for fault in [Fault::Stop(9), Fault::Lag(9, 1), Fault::Partition(vec![9]), Fault::Reorg(u64::MAX)] {
            chain.suffer(&fault, SECOND * 5);
        }
        chain.advance(SECOND * 10);
        assert!(chain.view(9).is_none());
        assert!(0 < chain.tip().number);
    }
}
