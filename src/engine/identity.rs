//! Which chain a network is: pinned by the configuration, else what the strict majority of its answering nodes says.
//! What was once the majority's stays until another strict majority says otherwise, so that one node that is left over
//! cannot turn the tables.

use std::sync::Arc;

use super::{finding::Finding, settings::NetworkSettings};
use crate::{model::BlockHash, observation::Facts};

/// The chain the nodes of a network agree on.
#[derive(Debug, Default)]
pub struct Identity {
    chain_id: Option<Arc<str>>,
    genesis: Option<BlockHash>,
}

impl Identity {
    /// Takes in what all answering nodes say. `alone`: the network has one node only, which is then always right.
    pub fn update<'a>(&mut self, said: impl Iterator<Item = &'a Facts> + Clone, alone: bool) {
        let quorum = if alone { 1 } else { 2 };
        let ids = said.clone().filter_map(|facts| facts.chain_id.as_ref());
        if let Some(id) = majority(ids, self.chain_id.as_ref(), quorum) {
            self.chain_id = Some(Arc::clone(id));
        }
        if let Some(genesis) = majority(said.filter_map(|facts| facts.genesis.as_ref()), self.genesis.as_ref(), quorum)
        {
            self.genesis = Some(*genesis);
        }
    }

    /// What is wrong about the chain a node speaks for, if anything.
    #[must_use]
    pub fn dispute(&self, settings: &NetworkSettings, facts: &Facts) -> Option<Finding> {
        let wanted = settings.chain_id.as_ref().or(self.chain_id.as_ref());
        if let (Some(wanted), Some(said)) = (wanted, &facts.chain_id)
            && wanted != said
        {
            return Some(Finding::ChainIdDiffers { wanted: Arc::clone(wanted), said: Arc::clone(said) });
        }
        match (settings.genesis.or(self.genesis), facts.genesis) {
            (Some(wanted), Some(said)) if wanted != said => Some(Finding::GenesisDiffers { wanted, said }),
            _ => None,
        }
    }
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
    use crate::model::Height;

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
            identity.update(facts.iter(), said.len() == 1);
            assert_eq!(identity.chain_id.as_deref(), *wanted, "{said}");
        }
    }

    #[test]
    fn only_a_strict_majority_of_two_or_more_names_the_chain() {
        check(&[("a.", None), ("ab", None), ("aab", Some("a")), ("a", Some("a"))]);
        check(&[("abcbb", Some("b")), ("aabb", Some("b")), ("aaab", Some("a"))]);
        check(&[("...", None), (".aa", Some("a")), ("b..", Some("a")), ("bb.", Some("b"))]);
    }
}
