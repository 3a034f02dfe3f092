//! Looks through the headers of all new blocks for evidence of equivocation. A header holds the hash of its block's
//! evidence, which is that of nothing nearly always; only where it is another one the block itself is asked for.

use std::{borrow::Cow, collections::VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Decimal, Headers, Last};
use crate::{
    model::Height,
    observation::{EQUIVOCATIONS, Equivocation, clean_text},
};

/// Headers in one answer; a node gives no more.
const HEADERS: u64 = 20;

/// Blocks with evidence that may wait to be asked for; further ones are left out.
const WAITING: usize = 8;

/// A block with evidence is asked for so many times: an answer that is lost must not take a double signature with it, one
/// that never comes, or is too large for us, must not hold up those behind it.
const TRIES: u32 = 10;

/// So far behind, what lies between is history.
const TOO_FAR: u64 = 200;

/// SHA-256 of nothing: the hash of no evidence.
const NOTHING: &str = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";

/// The longest name of a validator that is kept, in bytes: an address has forty digits.
const MAX_NAME: usize = 64;

/// What is known of the evidence in a chain.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// The height up to which headers have been looked at.
    seen: Option<u64>,
    /// Blocks with evidence in them that has not been read.
    waiting: VecDeque<u64>,
    /// How often the first of them was asked for in vain.
    tries: u32,
    found: VecDeque<Equivocation>,
}

impl Trail {
    /// The parameters that ask for the next headers of a chain with the newest block `head`; `None` if there are none.
    /// What was there before the first look is history.
    pub(super) fn headers(&mut self, head: u64) -> Option<String> {
        let seen = self.seen.filter(|seen| *seen <= head).unwrap_or(head.saturating_sub(1));
        let seen = if TOO_FAR < head.saturating_sub(seen) { head.saturating_sub(HEADERS) } else { seen };
        self.seen = Some(seen);
        let last = head.min(seen.saturating_add(HEADERS));
        (seen < last).then(|| format!(r#"{{"minHeight":"{}","maxHeight":"{last}"}}"#, seen.saturating_add(1)))
    }

    /// Whether so many headers wait that the next ones should not.
    pub(super) fn is_behind(&self, head: u64) -> bool {
        self.seen.is_some_and(|seen| HEADERS / 2 <= head.saturating_sub(seen))
    }

    /// The parameters that ask for a block with evidence; `None` if there is none.
    pub(super) fn block(&self) -> Option<String> {
        self.waiting.front().map(|height| format!(r#"{{"height":"{height}"}}"#))
    }

    /// Takes in the headers that were asked for, of a chain with the newest block `head`.
    pub(super) fn take_headers(&mut self, head: u64, headers: &Headers<'_>) {
        let Some(seen) = self.seen else { return };
        let last = head.min(seen.saturating_add(HEADERS));
        for meta in headers.block_metas.0.iter().rev() {
            let height = meta.header.height.0;
            if height <= seen || last < height {
                continue;
            }
            self.seen = self.seen.max(Some(height));
            let hash = &*meta.header.evidence_hash;
            let known = hash.is_empty() || hash.eq_ignore_ascii_case(NOTHING) || self.waiting.contains(&height);
            if !known && self.waiting.len() < WAITING {
                self.waiting.push_back(height);
            }
        }
    }

    /// Takes in the block that was asked for; one that did not come is asked for again, up to a limit.
    pub(super) fn take_block(&mut self, block: Option<&EvidentBlock<'_>>) {
        self.tries += 1;
        if block.is_none() && self.tries < TRIES {
            return;
        }
        self.tries = 0;
        let Some(height) = self.waiting.pop_front() else { return };
        for evidence in block.iter().flat_map(|block| block.equivocations(Height(height))) {
            if self.found.contains(&evidence) {
                continue;
            }
            if self.found.len() == EQUIVOCATIONS {
                self.found.pop_front();
            }
            self.found.push_back(evidence);
        }
    }

    /// What was found, newest last.
    pub(super) fn found(&self) -> Vec<Equivocation> {
        self.found.iter().cloned().collect()
    }
}

/// The answer to `block`, as far as it is evidence.
#[derive(Debug, Deserialize)]
pub(super) struct EvidentBlock<'a> {
    #[serde(borrow)]
    block: Block<'a>,
}

#[derive(Debug, Deserialize)]
struct Block<'a> {
    #[serde(default, borrow)]
    evidence: Evidence<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Evidence<'a> {
    #[serde(default, borrow)]
    evidence: Last<&'a RawValue, EQUIVOCATIONS>,
}

/// `DuplicateVoteEvidence`: the same validator voted twice in a round. An attack on light clients has no such votes, and
/// is none of those who are watched here.
#[derive(Debug, Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    value: DuplicateVote<'a>,
}

#[derive(Debug, Deserialize)]
struct DuplicateVote<'a> {
    #[serde(borrow)]
    vote_a: Vote<'a>,
}

#[derive(Debug, Deserialize)]
struct Vote<'a> {
    height: Decimal,
    #[serde(borrow)]
    validator_address: Cow<'a, str>,
}

impl EvidentBlock<'_> {
    /// What the block at the height `told_in` holds.
    fn equivocations(&self, told_in: Height) -> impl Iterator<Item = Equivocation> {
        let pieces = self.block.evidence.evidence.0.iter();
        pieces.filter_map(|raw| serde_json::from_str::<Piece<'_>>(raw.get()).ok()).map(move |piece| {
            let vote = piece.value.vote_a;
            Equivocation {
                height: Height(vote.height.0),
                validator: clean_text(&vote.validator_address, MAX_NAME).into(),
                told_in,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers of these heights, newest first; those marked have evidence.
    fn headers(heights: &[(u64, bool)]) -> String {
        let meta = |(height, evident): &(u64, bool)| {
            let hash = if *evident { "D8C3" } else { NOTHING };
            format!(r#"{{"block_id":{{"hash":""}},"header":{{"height":"{height}","evidence_hash":"{hash}"}}}}"#)
        };
        let metas: Vec<_> = heights.iter().map(meta).collect();
        format!(r#"{{"last_height":"9","block_metas":[{}]}}"#, metas.join(","))
    }

    fn take(trail: &mut Trail, head: u64, heights: &[(u64, bool)]) {
        trail.take_headers(head, &serde_json::from_str(&headers(heights)).unwrap());
    }

    #[test]
    fn every_header_is_asked_for_once() {
        let mut trail = Trail::default();
        assert_eq!(trail.headers(100).unwrap(), r#"{"minHeight":"100","maxHeight":"100"}"#);
        take(&mut trail, 100, &[(100, false)]);
        assert_eq!(trail.headers(100), None);
        assert_eq!(trail.headers(103).unwrap(), r#"{"minHeight":"101","maxHeight":"103"}"#);
        take(&mut trail, 103, &[(103, false), (102, false), (101, false)]);
        assert_eq!((trail.headers(103), trail.is_behind(112), trail.is_behind(113)), (None, false, true));
        assert_eq!(trail.headers(150).unwrap(), r#"{"minHeight":"104","maxHeight":"123"}"#);
        assert_eq!(trail.headers(1000).unwrap(), r#"{"minHeight":"981","maxHeight":"1000"}"#, "far behind");
        assert_eq!(trail.headers(5).unwrap(), r#"{"minHeight":"5","maxHeight":"5"}"#, "the chain began anew");
        let mut trail = Trail::default();
        assert!(trail.headers(u64::MAX).is_some() && trail.headers(0).is_none());
    }

    #[test]
    fn only_blocks_with_evidence_are_asked_for() {
        let mut trail = Trail::default();
        trail.headers(101);
        take(&mut trail, 101, &[(101, true), (7, true), (5000, true)]);
        assert_eq!(trail.block().unwrap(), r#"{"height":"101"}"#);
        let nothing = r#"{"block":{"evidence":{"evidence":[]}}}"#;
        trail.take_block(Some(&serde_json::from_str(nothing).unwrap()));
        assert_eq!((trail.block(), trail.found()), (None, vec![]));
    }

    #[test]
    fn a_block_that_does_not_come_is_asked_for_again_and_holds_up_the_next_only_for_a_while() {
        let mut trail = Trail::default();
        trail.headers(101);
        take(&mut trail, 101, &[(101, true)]);
        trail.headers(102);
        take(&mut trail, 102, &[(102, true)]);
        for _ in 1..TRIES {
            trail.take_block(None);
            assert_eq!(trail.block().unwrap(), r#"{"height":"101"}"#);
        }
        trail.take_block(None);
        assert_eq!(trail.block().unwrap(), r#"{"height":"102"}"#);
        trail.take_block(None);
        assert_eq!(trail.block().unwrap(), r#"{"height":"102"}"#, "each has tries of its own");
    }

    #[test]
    fn what_is_found_is_told_once_and_bounded() {
        let piece = |height: u64| {
            format!(
                r#"{{"type":"tendermint/DuplicateVoteEvidence","value":{{"vote_a":{{"height":"{height}","validator_address":"00AB"}}}}}}"#
            )
        };
        let mut trail = Trail::default();
        for height in [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9] {
            trail.waiting.push_back(100 + height);
            let json = format!(r#"{{"block":{{"evidence":{{"evidence":[{{}},{}]}}}}}}"#, piece(height));
            trail.take_block(Some(&serde_json::from_str(&json).unwrap()));
        }
        let heights: Vec<u64> = trail.found().iter().map(|it| it.height.0).collect();
        assert_eq!(heights, [2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!((&*trail.found()[0].validator, trail.found()[0].told_in), ("00AB", Height(102)));
    }
}
