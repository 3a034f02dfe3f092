//! The height in progress as `consensus_state` shows it: round, step, and who has voted in the last rounds.
//!
//! A network without a quorum stands in one round for ever: with too few prevotes no timeout ever runs out. Then, and only
//! then, the votes tell who is there: while rounds go on, those that are missing may just not have come yet.
//!
//! Sources: CometBFT `consensus/types/{round_state,height_vote_set}.go`, `types/vote_set.go`, `libs/bits/bit_array.go`.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};

use super::{answer::Last, answer::decimal, validators::MAX_VALIDATORS};
use crate::{model::Timestamp, observation::Seats};

/// The step from which on votes are cast (`RoundStepPrevote`).
const PREVOTE: u64 = 4;

/// The step in which a block is being taken over (`RoundStepCommit`): all votes that were needed are there.
const COMMIT: u64 = 8;

/// Votes of a round that are not there after this long will not come.
const STANDSTILL: Duration = Duration::from_secs(10);

/// How an absent vote is written.
const NO_VOTE: &str = "nil-Vote";

/// The answer to `consensus_state`.
#[derive(Debug, Deserialize)]
pub(super) struct ConsensusState<'a> {
    #[serde(borrow)]
    round_state: RoundState<'a>,
}

/// The last rounds of the height in progress; a long fight has hundreds of them.
#[derive(Debug, Deserialize)]
struct RoundState<'a> {
    #[serde(rename = "height/round/step", borrow)]
    place: Cow<'a, str>,
    #[serde(default, borrow)]
    height_vote_set: Last<Round<'a>, 4>,
}

#[derive(Debug, Deserialize)]
struct Round<'a> {
    round: u64,
    #[serde(default)]
    prevotes: Ballots,
    #[serde(default, borrow)]
    prevotes_bit_array: Cow<'a, str>,
    #[serde(default)]
    precommits: Ballots,
    #[serde(default, borrow)]
    precommits_bit_array: Cow<'a, str>,
}

/// Who has cast a vote, for a block or for none, in the order of the validator set.
#[derive(Debug, Default)]
struct Ballots(Vec<bool>);

impl<'de> Deserialize<'de> for Ballots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Votes;
        impl<'de> Visitor<'de> for Votes {
            type Value = Ballots;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of votes or null")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut votes: A) -> Result<Ballots, A::Error> {
                let mut cast = Vec::new();
                while cast.len() < MAX_VALIDATORS {
                    let Some(vote) = votes.next_element::<Vote<'de>>()? else { return Ok(Ballots(cast)) };
                    cast.push(vote.0 != NO_VOTE);
                }
                while votes.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Ballots(cast))
            }

            fn visit_unit<E: Error>(self) -> Result<Ballots, E> {
                Ok(Ballots::default())
            }
        }
        deserializer.deserialize_any(Votes)
    }
}

#[derive(Deserialize)]
struct Vote<'a>(#[serde(borrow)] Cow<'a, str>);

/// Weight that voted and weight of all, from the end of a bit array: `BA{4:_xx_} 2000/4000 = 0.50`.
fn tally(bit_array: &str) -> Option<(u64, u64)> {
    let (_, numbers) = bit_array.rsplit_once("} ")?;
    let (voted, total) = numbers.split_once(" = ")?.0.split_once('/')?;
    Some((decimal(voted)?, decimal(total)?)).filter(|(voted, total)| voted <= total && 0 < *total)
}

/// Where consensus stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    height: u64,
    round: u64,
    votes: bool,
}

/// What is to be said about the height in progress.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Its round.
    pub(super) round: u64,
    /// The weight of all validators, if anybody can vote yet.
    pub(super) total: Option<u64>,
    /// Who is there, where that can be told.
    pub(super) seats: Option<Seats>,
    /// The positions in the validator set of those who are not, where that can be told.
    pub(super) missing: Vec<usize>,
}

/// Watches the height in progress over several answers.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    place: Option<(Place, Timestamp)>,
}

impl Vigil {
    /// Takes in an answer that came at `now` of a node whose newest block is `head`; `None` if it does not speak of the
    /// height after that, which a node asks for one moment and makes the next.
    pub(super) fn look(&mut self, now: Timestamp, head: u64, state: &ConsensusState<'_>) -> Option<Progress> {
        let (place, step) = place(&state.round_state.place)?;
        let since = match self.place {
            Some((known, since)) if known == place => since,
            _ => now,
        };
        self.place = Some((place, since));
        if place.height <= head || head.saturating_add(2) < place.height {
            return None;
        }
        let rounds = &state.round_state.height_vote_set.0;
        let round = rounds.iter().find(|it| it.round == place.round);
        let prevoted = round.and_then(|round| tally(&round.prevotes_bit_array));
        let precommitted = round.and_then(|round| tally(&round.precommits_bit_array));
        let total = prevoted.or(precommitted).map(|(_, total)| total);
        let stands = place.votes && step < COMMIT && STANDSTILL <= now.since(since);
        let live = prevoted.max(precommitted).filter(|(live, _)| stands && 0 < *live);
        let seats = live.map(|(live, total)| Seats { total, needed: needed(total), live });
        let missing = if seats.is_some() { missing(rounds.iter(), place.round) } else { Vec::new() };
        Some(Progress { round: place.round, total, seats, missing })
    }
}

/// More than two thirds.
fn needed(total: u64) -> u64 {
    let needed = u128::from(total) * 2 / 3 + 1;
    u64::try_from(needed).unwrap_or(u64::MAX)
}

/// Those who have cast no vote in the round that stands, nor in the one before it.
fn missing<'a>(rounds: impl Iterator<Item = &'a Round<'a>>, current: u64) -> Vec<usize> {
    let looked_at = current.saturating_sub(1)..=current;
    let mut voted: Vec<bool> = Vec::new();
    for round in rounds.filter(|round| looked_at.contains(&round.round)) {
        for ballots in [&round.prevotes.0, &round.precommits.0] {
            voted.resize(voted.len().max(ballots.len()), false);
            voted.iter_mut().zip(ballots).for_each(|(voted, ballot)| *voted |= *ballot);
        }
    }
    voted.iter().enumerate().filter(|(_, voted)| !**voted).map(|(position, _)| position).collect()
}

fn place(text: &str) -> Option<(Place, u64)> {
    let mut numbers = text.split('/').map(decimal);
    let (height, round, step) = (numbers.next()??, numbers.next()??, numbers.next()??);
    Some((Place { height, round, votes: PREVOTE <= step }, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOTE: &str =
        "Vote{1:8253B6C24855 100/00/SIGNED_MSG_TYPE_PREVOTE(Prevote) 000000000000 32F593FA58D0 @ 2026-11-21T19:38:54Z}";

    /// Rounds from 0 on: prevotes and precommits, `x` cast, `_` not; every validator weighs ten.
    fn state(place: &str, rounds: &[(&str, &str)]) -> String {
        let votes = |word: &str| {
            let votes: Vec<_> =
                word.chars().map(|c| format!("\"{}\"", if c == 'x' { VOTE } else { NO_VOTE })).collect();
            votes.join(",")
        };
        let bits = |word: &str| {
            let cast = 10 * word.matches('x').count();
            format!("BA{{{}:{word}}} {cast}/{} = 0.00", word.len(), 10 * word.len())
        };
        let round = |(n, (prevotes, precommits)): (usize, &(&str, &str))| {
            format!(
                r#"{{"round":{n},"prevotes":[{}],"prevotes_bit_array":"{}","precommits":[{}],"precommits_bit_array":"{}"}}"#,
                votes(prevotes),
                bits(prevotes),
                votes(precommits),
                bits(precommits)
            )
        };
        let rounds: Vec<_> = rounds.iter().enumerate().map(round).collect();
        format!(r#"{{"round_state":{{"height/round/step":"{place}","height_vote_set":[{}]}}}}"#, rounds.join(","))
    }

    /// What is said of the height after 99 when the same answer comes twice, with so many seconds between.
    fn look(json: &str, seconds: i64) -> Option<Progress> {
        let state: ConsensusState<'_> = serde_json::from_str(json).unwrap();
        let mut vigil = Vigil::default();
        vigil.look(Timestamp(0), 99, &state);
        vigil.look(Timestamp(seconds * 1000), 99, &state)
    }

    #[test]
    fn a_round_that_stands_tells_who_is_there() {
        let halted = state("100/0/4", &[("_xx_", "____"), ("____", "____")]);
        let seats = Seats { total: 40, needed: 27, live: 20 };
        let wanted = Progress { round: 0, total: Some(40), seats: Some(seats), missing: vec![0, 3] };
        assert_eq!(look(&halted, 10), Some(wanted));
        let moving = Progress { round: 0, total: Some(40), ..Progress::default() };
        assert_eq!(look(&halted, 9), Some(moving), "they may still come");
    }

    #[test]
    fn before_anybody_votes_and_after_everybody_has_nobody_is_missing() {
        for place in ["100/0/1", "100/0/2", "100/0/3", "100/0/8"] {
            let progress = look(&state(place, &[("_xx_", "____")]), 3600).unwrap();
            assert_eq!((progress.seats, progress.missing), (None, vec![]), "{place}");
        }
        let nobody = look(&state("100/0/4", &[("____", "____")]), 3600).unwrap();
        assert_eq!(nobody.seats, None, "a node that sees not even itself is cut off, and tells nothing of the others");
    }

    #[test]
    fn who_voted_in_the_round_before_is_not_missing() {
        let climbing = state("100/2/4", &[("____", "____"), ("xx_x", "x___"), ("x___", "____"), ("____", "____")]);
        let progress = look(&climbing, 60).unwrap();
        assert_eq!((progress.round, progress.missing), (2, vec![2]));
    }

    #[test]
    fn only_the_height_after_the_head_is_in_progress() {
        for (place, wanted) in
            [("98/7/4", None), ("99/7/8", None), ("100/7/4", Some(7)), ("101/7/4", Some(7)), ("102/7/4", None)]
        {
            assert_eq!(look(&state(place, &[]), 1).map(|it| it.round), wanted, "{place}");
        }
        for place in ["", "100", "100/0", "-1/0/0", "x/0/1", "100/0/99999999999999999999"] {
            assert_eq!(look(&state(place, &[]), 1), None, "{place}");
        }
    }

    #[test]
    fn weights_that_cannot_be_are_not_believed() {
        for (bits, wanted) in [
            ("BA{4:_xx_} 2000/4000 = 0.50", Some((2000, 4000))),
            ("BA{0:} 0/18446744073709551615 = 0.00", Some((0, u64::MAX))),
            ("BA{4:xxxx} 5000/4000 = 1.25", None),
            ("BA{4:____} 0/0 = NaN", None),
            ("BA{4:____} -1/4 = 0", None),
            ("nil-BitArray", None),
            ("", None),
        ] {
            assert_eq!(tally(bits), wanted, "{bits}");
        }
        assert_eq!(needed(u64::MAX), 12_297_829_382_473_034_411);
    }
}
