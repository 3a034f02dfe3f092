//! The validators of the chain, read page by page, and who of them signed the last block that everybody could sign.
//!
//! All pages of one reading are those of one height. When a commit shows that the set is another one by now, it is read
//! anew.

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde::Deserialize;

use super::answer::Decimal;
use crate::{model::Timestamp, observation::ABSENT};

/// Validators that are read at the most: several times what any chain has.
pub(super) const MAX_VALIDATORS: usize = 1000;

/// Validators on a page; a node gives no more.
const PAGE: usize = 100;

/// How often the set is read.
pub(super) const PACE: Duration = Duration::from_secs(60);

/// A set that could not be read again for this long is unknown.
const MEMORY: Duration = Duration::from_secs(180);

/// Of an address these many digits are kept: as many as a node writes beside a vote.
const DIGITS: usize = 12;

/// The answer to `validators`.
#[derive(Debug, Deserialize)]
pub(super) struct Page<'a> {
    block_height: Decimal,
    #[serde(default, borrow)]
    validators: Option<Vec<Member<'a>>>,
    total: Decimal,
}

#[derive(Debug, Deserialize)]
struct Member<'a> {
    #[serde(borrow)]
    address: Cow<'a, str>,
    voting_power: Decimal,
}

/// A validator: the first digits of its address, and its weight.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Validator {
    name: Arc<str>,
    power: u64,
}

/// The validator set as far as it is read.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// The height of the pages read so far, and who is on them.
    reading: Option<(u64, Vec<Validator>)>,
    known: Option<(Timestamp, Vec<Validator>)>,
    /// Who did not sign the last block looked at, and its height.
    idle: (u64, Vec<Arc<str>>),
    /// Those of them who had not signed the one looked at before either.
    absent: Vec<Arc<str>>,
}

/// What a commit says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// Weight that signed, per mille.
    pub(super) participation: u16,
    /// Those who signed neither this block nor the one looked at before.
    pub(super) absent: Vec<Arc<str>>,
}

impl Roster {
    /// The parameters that ask for the next page.
    pub(super) fn question(&self) -> String {
        match &self.reading {
            Some((height, read)) => {
                format!(r#"{{"height":"{height}","page":"{}","per_page":"{PAGE}"}}"#, read.len() / PAGE + 1)
            }
            None => format!(r#"{{"page":"1","per_page":"{PAGE}"}}"#),
        }
    }

    /// Whether a set is only read in part.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Takes in a page; one that does not fit to those before it begins anew.
    pub(super) fn take(&mut self, now: Timestamp, page: Option<Page<'_>>) {
        let (height, mut read) = self.reading.take().unwrap_or_default();
        let Some(page) = page else { return };
        let Some(total) = usize::try_from(page.total.0).ok().filter(|total| (1..=MAX_VALIDATORS).contains(total))
        else {
            return;
        };
        let before = read.len();
        if before != 0 && height != page.block_height.0 {
            return;
        }
        for member in page.validators.unwrap_or_default().into_iter().take(PAGE) {
            let Some(name) = name(&member.address) else { return };
            read.push(Validator { name, power: member.voting_power.0 });
        }
        if read.len() == total {
            self.known = Some((now, read));
        } else if before < read.len() && read.len() < total && read.len().is_multiple_of(PAGE) {
            self.reading = Some((page.block_height.0, read));
        }
    }

    /// The weight of all of them.
    pub(super) fn total(&self, now: Timestamp) -> Option<u64> {
        let sum = self.known(now)?.iter().fold(0_u64, |sum, it| sum.saturating_add(it.power));
        Some(sum).filter(|sum| 0 < *sum)
    }

    /// The names of those at these positions, as many as are told.
    pub(super) fn names(&self, now: Timestamp, positions: &[usize]) -> Vec<Arc<str>> {
        let known = self.known(now).unwrap_or_default();
        positions.iter().filter_map(|it| known.get(*it)).map(|it| Arc::clone(&it.name)).take(ABSENT).collect()
    }

    /// What a commit says of these validators; `None` while they are not known, or if it is a commit of others.
    pub(super) fn weigh(&mut self, now: Timestamp, commit: &Commit<'_>) -> Option<Signed> {
        let total = self.total(now)?;
        let known = self.known(now)?;
        let signatures = commit.signatures.as_deref().unwrap_or_default();
        let same = |(signature, it): (&Signature<'_>, &Validator)| {
            let name = name(&signature.validator_address);
            signature.block_id_flag == ABSENT_FLAG || name.is_some_and(|name| name == it.name)
        };
        if signatures.len() != known.len() || !signatures.iter().zip(known).all(same) {
            self.known = None;
            return None;
        }
        let all = || signatures.iter().zip(known);
        let signed = all().filter(|(signature, _)| signature.block_id_flag == COMMIT_FLAG);
        let signed = signed.fold(0_u64, |sum, (_, it)| sum.saturating_add(it.power));
        let idle = all().filter(|(signature, _)| signature.block_id_flag == ABSENT_FLAG);
        let idle: Vec<Arc<str>> = idle.map(|(_, it)| Arc::clone(&it.name)).collect();
        let per_mille = u128::from(signed) * 1000 / u128::from(total);
        Some(Signed {
            participation: u16::try_from(per_mille).unwrap_or(1000).min(1000),
            absent: self.still_idle(commit.height.0, idle),
        })
    }

    fn known(&self, now: Timestamp) -> Option<&[Validator]> {
        let (at, validators) = self.known.as_ref()?;
        (now.since(*at) <= MEMORY).then_some(validators)
    }

    /// One block missed is life; who missed two that were looked at is absent. A block looked at again says nothing new.
    fn still_idle(&mut self, height: u64, idle: Vec<Arc<str>>) -> Vec<Arc<str>> {
        if self.idle.0 != height {
            let before = std::mem::replace(&mut self.idle, (height, idle)).1;
            self.absent = self.idle.1.iter().filter(|name| before.contains(name)).take(ABSENT).cloned().collect();
        }
        self.absent.clone()
    }
}

fn name(address: &str) -> Option<Arc<str>> {
    let digits = address.get(..DIGITS)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| digits.to_ascii_uppercase().into())
}

/// `BlockIDFlagAbsent`: no vote had come when the next block was made.
const ABSENT_FLAG: u8 = 1;

/// `BlockIDFlagCommit`: a vote for the block; 3 is one for none.
const COMMIT_FLAG: u8 = 2;

/// The answer to `commit` for a block below the newest one: that of the newest is what this node happens to have seen.
#[derive(Debug, Deserialize)]
pub(super) struct SignedBlock<'a> {
    #[serde(borrow)]
    pub(super) signed_header: SignedHeader<'a>,
}

/// A header with its commit, which here is all that counts.
#[derive(Debug, Deserialize)]
pub(super) struct SignedHeader<'a> {
    #[serde(borrow)]
    pub(super) commit: Commit<'a>,
}

/// Who signed a block, in the order of the validator set.
#[derive(Debug, Deserialize)]
pub(super) struct Commit<'a> {
    height: Decimal,
    #[serde(default, borrow)]
    signatures: Option<Vec<Signature<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Signature<'a> {
    block_id_flag: u8,
    #[serde(default, borrow)]
    validator_address: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1000);

    fn address(n: usize) -> String {
        format!("{n:012X}{}", "0".repeat(28))
    }

    /// A page with the validators `range`, each of weight 10.
    fn page(height: u64, range: std::ops::Range<usize>, total: usize) -> String {
        let member = |n| format!(r#"{{"address":"{}","voting_power":"10","proposer_priority":"-1"}}"#, address(n));
        let members: Vec<_> = range.map(member).collect();
        let (count, members) = (members.len(), members.join(","));
        format!(r#"{{"block_height":"{height}","validators":[{members}],"count":"{count}","total":"{total}"}}"#)
    }

    fn take(roster: &mut Roster, json: &str) {
        roster.take(NOW, serde_json::from_str(json).ok());
    }

    fn four() -> Roster {
        let mut roster = Roster::default();
        take(&mut roster, &page(7, 0..4, 4));
        roster
    }

    /// Signatures by their flags.
    fn weigh(roster: &mut Roster, height: u64, flags: &[u8]) -> Option<Signed> {
        let signature = |(n, flag): (usize, &u8)| {
            let address = if *flag == 1 { String::new() } else { address(n) };
            format!(r#"{{"block_id_flag":{flag},"validator_address":"{address}","signature":null}}"#)
        };
        let signatures: Vec<_> = flags.iter().enumerate().map(signature).collect();
        let json = format!(r#"{{"height":"{height}","round":0,"signatures":[{}]}}"#, signatures.join(","));
        roster.weigh(NOW, &serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn a_set_is_whole_when_its_last_page_is_read() {
        let mut roster = Roster::default();
        assert_eq!(roster.question(), r#"{"page":"1","per_page":"100"}"#);
        take(&mut roster, &page(55, 0..100, 225));
        assert_eq!(
            (roster.question().as_str(), roster.total(NOW)),
            (r#"{"height":"55","page":"2","per_page":"100"}"#, None)
        );
        take(&mut roster, &page(55, 100..200, 225));
        assert!(roster.is_reading() && roster.question().contains(r#""page":"3""#));
        take(&mut roster, &page(55, 200..225, 225));
        assert_eq!((roster.is_reading(), roster.total(NOW)), (false, Some(2250)));
        assert_eq!(roster.total(NOW.after(Duration::from_secs(181))), None, "what is old is unknown");
    }

    #[test]
    fn pages_that_do_not_fit_together_are_no_set() {
        for second in [page(56, 100..150, 150), page(55, 100..100, 150), page(55, 100..199, 150), "{}".to_owned()] {
            let mut roster = Roster::default();
            take(&mut roster, &page(55, 0..100, 150));
            take(&mut roster, &second);
            assert_eq!((roster.is_reading(), roster.total(NOW)), (false, None), "{}", &second[..second.len().min(40)]);
        }
        for alone in
            [page(1, 0..0, 0), page(1, 0..4, 5), page(1, 0..100, 1_000_000), page(1, 0..1, 1).replace('0', "x")]
        {
            let mut roster = Roster::default();
            take(&mut roster, &alone);
            assert_eq!((roster.is_reading(), roster.total(NOW)), (false, None), "{}", &alone[..alone.len().min(40)]);
        }
    }

    #[test]
    fn the_weight_of_those_who_signed_is_the_participation() {
        let mut roster = four();
        for (height, flags, wanted) in [(1, [2, 2, 2, 2], 1000), (2, [1, 2, 2, 2], 750), (3, [1, 2, 3, 2], 500)] {
            assert_eq!(weigh(&mut roster, height, &flags).unwrap().participation, wanted);
        }
    }

    #[test]
    fn who_misses_two_blocks_is_absent() {
        let mut roster = four();
        let names = |signed: Option<Signed>| signed.unwrap().absent.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(names(weigh(&mut roster, 8, &[2, 2, 2, 1])).is_empty());
        assert!(names(weigh(&mut roster, 8, &[2, 2, 2, 1])).is_empty(), "it is the same block");
        assert_eq!(names(weigh(&mut roster, 9, &[2, 2, 1, 1])), ["000000000003"]);
        assert_eq!(names(weigh(&mut roster, 9, &[2, 2, 1, 1])), ["000000000003"]);
        assert!(names(weigh(&mut roster, 10, &[2, 2, 2, 2])).is_empty());
    }

    #[test]
    fn a_commit_of_another_set_says_nothing_and_has_the_set_read_again() {
        for flags in [&[2, 2, 2][..], &[2, 2, 2, 2, 2]] {
            let mut roster = four();
            assert_eq!((weigh(&mut roster, 8, flags), roster.total(NOW)), (None, None));
        }
        let mut roster = Roster::default();
        take(&mut roster, &page(7, 1..5, 4));
        assert_eq!((weigh(&mut roster, 8, &[2, 2, 2, 2]), roster.total(NOW)), (None, None));
    }
}
