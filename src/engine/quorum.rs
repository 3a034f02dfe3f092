//! How much core weight a network has, how much of it its protocol can lose, and how much is lost.
//!
//! Only what is watched can be seen to be lost; what is not watched counts as alive. A core node is lost when it gives
//! no answer, and also when it answers and demonstrably takes no part: it stands still, is on another branch or chain,
//! or has been catching up for long.
//!
//! Where nodes tell their own weight it counts, and the configured one does not: both in one sum would have two units. A
//! node that never told its weight is lost without weight then.

use std::time::Duration;

use super::{
    finding::Finding,
    node::Node,
    settings::{FaultTolerance, NetworkSettings, NodeSettings},
    timer::Timer,
};
use crate::model::NodeState;

/// A core node that answers but stands still, or is elsewhere, is lost after this long.
pub const ASTRAY_FOR: Duration = Duration::from_secs(60);

/// A core node that starts or catches up is lost after this long: a restart is not a loss.
pub const AWAY_FOR: Duration = Duration::from_secs(300);

/// What the nodes say about the weight of all validators.
#[derive(Debug, Default)]
pub struct Roll {
    validators: Option<u64>,
}

impl Roll {
    /// Takes in the word of all voters that tell it; the lower middle one counts. Silence changes nothing.
    pub fn hear(&mut self, mut said: Vec<u64>) {
        said.sort_unstable();
        let middle = said.len().saturating_sub(1) / 2;
        self.validators = said.get(middle).copied().or(self.validators);
    }

    /// Whether any node told the weight of all validators.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.validators.is_some()
    }

    /// Core weight of the network, of which `watched` is watched.
    #[must_use]
    pub fn total(&self, settings: &NetworkSettings, watched: u64) -> u64 {
        watched.max(settings.core_total.unwrap_or(0)).max(self.validators.unwrap_or(0))
    }
}

/// In what the core weight of a network is counted, and how much of it there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// All of it.
    pub total: u64,
    /// What the protocol can lose.
    pub tolerated: u64,
    /// What is watched.
    watched: u64,
    /// Whether nodes tell their own weight.
    told: bool,
}

impl Scale {
    /// The scale of a network with these nodes.
    #[must_use]
    pub fn of<'a>(
        settings: &NetworkSettings,
        roll: &Roll,
        nodes: impl Iterator<Item = (&'a NodeSettings, &'a Node)> + Clone,
    ) -> Self {
        let told = nodes.clone().any(|(_, node)| node.power.is_some());
        // What the nodes say of all validators bounds what one of them says of itself.
        let all = roll.validators.map(|all| all.max(settings.core_total.unwrap_or(0))).filter(|_| told);
        let mut scale = Self { total: all.unwrap_or(u64::MAX), tolerated: 0, watched: 0, told };
        let core = nodes.filter(|(settings, _)| settings.core);
        scale.watched = core.fold(0_u64, |sum, (settings, node)| sum.saturating_add(scale.weight(settings, node)));
        scale.total = all.unwrap_or_else(|| roll.total(settings, scale.watched));
        scale.tolerated = settings.tolerance.tolerated(scale.total);
        scale
    }

    /// What a core node weighs: once told, its weight is remembered while it is silent.
    #[must_use]
    pub fn weight(&self, settings: &NodeSettings, node: &Node) -> u64 {
        if self.told { node.power.unwrap_or(0).min(self.total) } else { settings.weight }
    }
}

/// How the core weight of a network stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// All of it.
    pub total: u64,
    /// What the protocol can lose.
    pub tolerated: u64,
    /// What is lost.
    pub lost: u64,
    /// What is neither known to be lost nor to be there.
    pub doubtful: u64,
    /// The heaviest node that is left among those the protocol could lose at full strength.
    next: Option<u64>,
}

impl Quorum {
    /// Counts the core nodes among `nodes`; `None` if there is none, or nothing is known of any.
    #[must_use]
    pub fn count<'a>(
        settings: &NetworkSettings,
        roll: &Roll,
        nodes: impl Iterator<Item = (&'a NodeSettings, &'a Node)> + Clone,
        timer: &Timer,
    ) -> Option<Self> {
        let scale = Scale::of(settings, roll, nodes.clone());
        let core: Vec<(u64, Share)> = nodes
            .filter(|(settings, _)| settings.core)
            .map(|(settings, node)| (scale.weight(settings, node), Share::of(node, timer)))
            .collect();
        if core.iter().all(|(_, share)| *share == Share::Unknown) {
            return None;
        }
        let sum = |wanted: &[Share]| {
            let counted = core.iter().filter(|(_, share)| wanted.contains(share));
            counted.fold(0_u64, |sum, (weight, _)| sum.saturating_add(*weight))
        };
        let Scale { total, tolerated, watched, .. } = scale;
        let left = core.iter().filter(|(weight, share)| *share != Share::Lost && *weight <= tolerated);
        let unwatched = (watched < total && 0 < tolerated).then_some(1);
        let next = left.map(|(weight, _)| *weight).max().or(unwatched);
        Some(Self {
            total,
            tolerated,
            lost: sum(&[Share::Lost]),
            doubtful: sum(&[Share::Unknown, Share::Silent]),
            next,
        })
    }

    /// What may still be lost; below zero there is no quorum left.
    #[must_use]
    pub fn margin(&self) -> i64 {
        let signed = |weight: u64| i64::try_from(weight).unwrap_or(i64::MAX);
        signed(self.tolerated).saturating_sub(signed(self.lost))
    }

    /// Whether the next loss would be one too many, if `lost` is lost. Where the protocol can lose nobody at full
    /// strength that is no news; a node so heavy that its loss always halts the network is no news either.
    #[must_use]
    pub fn at_risk(&self, lost: u64) -> bool {
        let too_many = |lost: u64| self.tolerated < lost;
        0 < self.tolerated
            && 0 < lost
            && (too_many(lost) || self.next.is_some_and(|n| too_many(lost.saturating_add(n))))
    }

    /// What there is to say about it.
    #[must_use]
    pub fn finding(&self) -> Finding {
        Finding::MarginGone {
            live: self.total.saturating_sub(self.lost),
            needed: self.total.saturating_sub(self.tolerated),
            total: self.total,
        }
    }
}

/// Whether a network stops when too few of its core nodes are left, although some are.
#[must_use]
pub fn has_quorum(tolerance: FaultTolerance) -> bool {
    tolerance != FaultTolerance::AllButOne
}

/// A core node's share in its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    /// It takes part, as far as can be seen.
    There,
    /// It fails, not yet for long.
    Silent,
    /// It takes no part.
    Lost,
    /// Nothing fresh is known of it.
    Unknown,
}

impl Share {
    fn of(node: &Node, timer: &Timer) -> Self {
        use NodeState as S;
        let lasts = |patience| node.state_since.is_some_and(|since| timer.passed(since.after(patience)));
        match node.state {
            S::Unknown => Self::Unknown,
            S::Offline => Self::Lost,
            S::Unreachable => Self::Silent,
            S::Stalled | S::Forked | S::WrongChain if lasts(ASTRAY_FOR) => Self::Lost,
            S::Starting | S::Syncing if lasts(AWAY_FOR) => Self::Lost,
            _ => Self::There,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::settings::{Cadence, NetworkLimits, NodeLimits},
        model::{Labels, NetworkIndex, Now, Role},
    };

    fn network() -> NetworkSettings {
        NetworkSettings {
            name: "main".into(),
            family: "evm".into(),
            chain_id: None,
            genesis: None,
            cadence: Cadence::Interval,
            block_time: None,
            tolerance: FaultTolerance::Bft,
            core_total: None,
            finality_lag: None,
            planned: Vec::new(),
            limits: NetworkLimits::default(),
            labels: Labels::new(),
            depends_on: Vec::new(),
        }
    }

    fn node_of(weight: u64) -> NodeSettings {
        NodeSettings {
            name: "a".into(),
            network: NetworkIndex(0),
            role: Role::Validator,
            core: true,
            weight,
            labels: Labels::new(),
            metrics: None,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(2),
            limits: NodeLimits::default(),
        }
    }

    #[test]
    fn the_lower_middle_of_what_is_told_counts_and_silence_changes_nothing() {
        let mut roll = Roll::default();
        for (said, wanted) in [(vec![], None), (vec![7], Some(7)), (vec![u64::MAX, 4], Some(4)), (vec![], Some(4))] {
            roll.hear(said.clone());
            assert_eq!(roll.validators, wanted, "{said:?}");
        }
        roll.hear(vec![u64::MAX, 10, 0]);
        assert_eq!(roll.validators, Some(10));
    }

    /// Core nodes by weight: `!` lost, `?` unknown, others are there.
    fn check(tolerance: FaultTolerance, total: Option<u64>, nodes: &str, wanted: (i64, bool)) {
        let settings = NetworkSettings { tolerance, core_total: total, ..network() };
        let mut core = Vec::new();
        for word in nodes.split(' ') {
            let weight = word.trim_end_matches(['!', '?']).parse().unwrap();
            let state = match word.chars().last() {
                Some('!') => NodeState::Offline,
                Some('?') => NodeState::Unknown,
                _ => NodeState::Live,
            };
            let mut node = Node::new(1);
            node.state = state;
            core.push((node_of(weight), node));
        }
        let nodes_of = core.iter().map(|(settings, node)| (settings, node));
        let quorum = Quorum::count(&settings, &Roll::default(), nodes_of, &Timer::new(Now::default()));
        let quorum = quorum.unwrap();
        assert_eq!((quorum.margin(), quorum.at_risk(quorum.lost)), wanted, "{tolerance:?} of {total:?}: {nodes}");
    }

    #[test]
    fn the_margin_follows_the_quorum_table() {
        use FaultTolerance as F;
        check(F::Bft, None, "1 1 1 1", (1, false));
        check(F::Bft, None, "1 1 1 1!", (0, true));
        check(F::Bft, None, "1 1 1! 1!", (-1, true));
        check(F::Bft, None, "1 1 1 1 1 1 1!", (1, false));
        check(F::Bft, None, "1 1 1 1 1 1! 1!", (0, true));
        check(F::TwoThirds, None, "1 1 1", (1, false));
        check(F::TwoThirds, None, "1 1 1!", (0, true));
        check(F::Majority, None, "1 1 1 1 1!", (1, false));
        check(F::Majority, None, "1 1 1 1! 1!", (0, true));
    }

    #[test]
    fn a_network_that_can_lose_nobody_is_not_at_risk_all_the_time() {
        for nodes in ["1", "1 1", "1 1 1"] {
            check(FaultTolerance::Bft, None, nodes, (0, false));
        }
        check(FaultTolerance::Bft, None, "1 1 1!", (-1, false));
        check(FaultTolerance::Bft, None, "60 10 10 10 10", (33, false));
        check(FaultTolerance::Bft, None, "60 10! 10! 10! 10", (3, true));
    }

    #[test]
    fn weight_that_is_not_watched_counts_as_alive() {
        check(FaultTolerance::Bft, Some(100), "1! 1!", (31, false));
        check(FaultTolerance::Bft, Some(7), "1! 1!", (0, true));
        check(FaultTolerance::Bft, Some(2), "1 1 1 1", (1, false));
        check(FaultTolerance::Bft, Some(u64::MAX), "1! 1!", (6_148_914_691_236_517_202, false));
    }
}
