//! Which chain a network is: pinned by the configuration, else what the strict majority of its answering nodes says.
//! What was once the majority's stays until another strict majority says otherwise, so that one node that is left over
//! cannot turn the tables.
//!
//! And which node an endpoint is: two endpoints behind which one node answers have one word between them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{finding::Finding, settings::NetworkSettings, timer::Timer};
use crate::{
    model::{BlockHash, Height, Timestamp},
    observation::Facts,
};

/// Nodes that have contradicted each other for this long without any majority are told: at the start some may not have
/// been heard yet.
pub const MAJORITY_MUST_FORM: Duration = Duration::from_secs(30);

/// As whom an endpoint answered counts for this long: behind a balancer each poll may reach another node.
const SELF_LASTS: Duration = Duration::from_secs(600);

/// Nodes remembered behind one endpoint at the most.
const SELVES: usize = 8;

/// The chain the nodes of a network agree on.
#[derive(Debug, Default)]
pub struct Identity {
    chain_id: Claim<Arc<str>>,
    genesis: Claim<BlockHash>,
}

/// One part of an identity: what the majority said, or since when there has been none among nodes that disagree.
#[derive(Debug)]
struct Claim<T> {
    agreed: Option<T>,
    contested_since: Option<Timestamp>,
}

impl<T> Default for Claim<T> {
    fn default() -> Self {
        Self { agreed: None, contested_since: None }
    }
}

impl<T: Clone + PartialEq> Claim<T> {
    fn update<'a>(&mut self, mut said: impl Iterator<Item = &'a T> + Clone, quorum: usize, now: Timestamp)
    where
        T: 'a,
    {
        if let Some(value) = majority(said.clone(), self.agreed.as_ref(), quorum) {
            self.agreed = Some(value.clone());
        }
        let first = said.next();
        let contested = self.agreed.is_none() && said.any(|other| Some(other) != first);
        self.contested_since = if contested { self.contested_since.or(Some(now)) } else { None };
    }

    /// Whether nobody can tell any more who is right.
    fn is_open(&self, timer: &Timer) -> bool {
        self.contested_since.is_some_and(|since| timer.passed(since.after(MAJORITY_MUST_FORM)))
    }
}

impl Identity {
    /// Takes in what all answering nodes say; those whose chain id is wrong have no say about the genesis block.
    /// `pinned`: the configured chain id. `alone`: the network has one node only, which is then always right.
    pub fn update<'a>(
        &mut self,
        pinned: Option<&Arc<str>>,
        said: impl Iterator<Item = &'a Facts> + Clone,
        alone: bool,
        now: Timestamp,
    ) {
        let quorum = if alone { 1 } else { 2 };
        self.chain_id.update(said.clone().filter_map(|facts| facts.chain_id.as_ref()), quorum, now);
        let wanted = pinned.or(self.chain_id.agreed.as_ref());
        let is_ours = |facts: &&Facts| wanted.zip(facts.chain_id.as_ref()).is_none_or(|(wanted, said)| wanted == said);
        self.genesis.update(said.filter(is_ours).filter_map(|facts| facts.genesis.as_ref()), quorum, now);
    }

    /// What is wrong about the chain a node speaks for, if anything. Where nodes disagree, nothing is pinned and there
    /// is no majority, nobody can say whose word is about this network: then nobody's counts.
    #[must_use]
    pub fn dispute(&self, settings: &NetworkSettings, facts: &Facts, timer: &Timer) -> Option<Finding> {
        if let Some(said) = &facts.chain_id {
            match settings.chain_id.as_ref().or(self.chain_id.agreed.as_ref()) {
                Some(wanted) if wanted != said => {
                    return Some(Finding::ChainIdDiffers { wanted: Arc::clone(wanted), said: Arc::clone(said) });
                }
                None if self.chain_id.is_open(timer) => return Some(Finding::NodesDisagree { about: "chain id" }),
                _ => {}
            }
        }
        let said = facts.genesis?;
        match settings.genesis.or(self.genesis.agreed) {
            Some(wanted) if wanted != said => Some(Finding::GenesisDiffers { wanted, said }),
            None if self.genesis.is_open(timer) => Some(Finding::NodesDisagree { about: "genesis block" }),
            _ => None,
        }
    }
}

/// As whom one endpoint answered lately. Several take turns behind a balancer.
#[derive(Debug, Default)]
pub struct Selves {
    recent: VecDeque<(Arc<str>, Timestamp)>,
}

impl Selves {
    /// It answered as `identity`, if it says as whom.
    pub fn meet(&mut self, at: Timestamp, identity: Option<&Arc<str>>) {
        self.recent.retain(|(known, met)| Some(known) != identity && at < met.after(SELF_LASTS));
        if self.recent.len() == SELVES {
            self.recent.pop_front();
        }
        self.recent.extend(identity.map(|identity| (Arc::clone(identity), at)));
    }
}

/// Which of these nodes only repeat another's word, and whose, by their positions: an identity has one vote. Of those
/// that share one an endpoint that is always the same node speaks before a balancer, and then the one that claims
/// least, so that nobody gains weight by taking another's name.
#[must_use]
pub fn repeaters<'a>(words: impl Iterator<Item = (usize, &'a Selves, Option<Height>)>) -> Vec<(usize, usize)> {
    let mut named: Vec<_> = words.filter(|(_, selves, _)| !selves.recent.is_empty()).collect();
    named.sort_by_key(|(i, selves, height)| (1 < selves.recent.len(), *height, *i));
    let mut speakers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut repeaters = Vec::new();
    for (i, selves, _) in named {
        match selves.recent.iter().find_map(|(identity, _)| speakers.get(&**identity)) {
            Some(speaker) => repeaters.push((i, *speaker)),
            None => speakers.extend(selves.recent.iter().map(|(identity, _)| (&**identity, i))),
        }
    }
    repeaters.sort_unstable();
    repeaters
}

/// What more than half of those who say anything say, if they are at least `quorum`; `None` if that is `current`.
fn majority<'a, T: PartialEq>(
    said: impl Iterator<Item = &'a T> + Clone,
    current: Option<&T>,
    quorum: usize,
) -> Option<&'a T> {
    let total = said.clone().count();
    let strict = |n: usize| quorum <= n && total < 2 * n;
    if current.is_some_and(|current| strict(said.clone().filter(|id| *id == current).count())) {
        return None;
    }
    // The only value that can be a strict majority is the one that survives when unlike values cancel each other.
    let mut candidate = None;
    let mut lead = 0_usize;
    for id in said.clone() {
        match candidate {
            Some(held) if held == id => lead += 1,
            _ if lead == 0 => (candidate, lead) = (Some(id), 1),
            _ => lead -= 1,
        }
    }
    candidate.filter(|candidate| strict(said.filter(|id| id == candidate).count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the nodes say round by round, one letter a node (`.` says nothing), and the identity after each round.
    fn check(rounds: &[(&str, Option<&str>)]) {
        let mut identity = Identity::default();
        for (said, wanted) in rounds {
            let facts: Vec<Facts> = said
                .chars()
                .map(|letter| Facts {
                    chain_id: (letter != '.').then(|| letter.to_string().into()),
                    ..Facts::at_height(Height(1))
                })
                .collect();
            identity.update(None, facts.iter(), said.len() == 1, Timestamp(0));
            assert_eq!(identity.chain_id.agreed.as_deref(), *wanted, "{said}");
        }
    }

    /// Endpoints with the nodes behind them, one letter each, and their heights; who repeats whom.
    fn check_repeaters(endpoints: &[(&str, u64)], wanted: &[(usize, usize)]) {
        let selves: Vec<Selves> = endpoints
            .iter()
            .map(|(names, _)| {
                let mut selves = Selves::default();
                names.chars().for_each(|name| selves.meet(Timestamp(0), Some(&name.to_string().into())));
                selves
            })
            .collect();
        let words = endpoints.iter().zip(&selves).enumerate();
        let repeaters = repeaters(words.map(|(i, ((_, height), selves))| (i, selves, Some(Height(*height)))));
        assert_eq!(repeaters, wanted, "{endpoints:?}");
    }

    #[test]
    fn one_node_has_one_word_however_many_endpoints_lead_to_it() {
        check_repeaters(&[("a", 1), ("b", 1), ("c", 1)], &[]);
        check_repeaters(&[("", 1), ("", 1)], &[]);
        check_repeaters(&[("a", 5), ("a", 5), ("b", 5)], &[(1, 0)]);
        check_repeaters(&[("a", 9), ("a", 5)], &[(0, 1)]);
        check_repeaters(&[("ab", 9), ("ba", 9)], &[(1, 0)]);
        check_repeaters(&[("abc", 1), ("c", 9), ("d", 9)], &[(0, 1)]);
    }

    #[test]
    fn an_endpoint_is_no_longer_whom_it_was_long_ago() {
        let name = |text: &str| Some(Arc::from(text));
        let mut selves = Selves::default();
        selves.meet(Timestamp(0), name("a").as_ref());
        selves.meet(Timestamp(599_000), name("b").as_ref());
        assert_eq!(selves.recent.len(), 2);
        selves.meet(Timestamp(601_000), None);
        assert_eq!(selves.recent.len(), 1, "only b is left");
        (0..100).for_each(|i| selves.meet(Timestamp(601_000), name(&i.to_string()).as_ref()));
        assert_eq!(selves.recent.len(), SELVES);
    }

    #[test]
    fn only_a_strict_majority_of_two_or_more_names_the_chain() {
        check(&[("a.", None), ("ab", None), ("aab", Some("a")), ("a", Some("a"))]);
        check(&[("abcbb", Some("b")), ("aabb", Some("b")), ("aaab", Some("a"))]);
        check(&[("...", None), (".aa", Some("a")), ("b..", Some("a")), ("bb.", Some("b"))]);
    }
}
