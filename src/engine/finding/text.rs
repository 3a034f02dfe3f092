//! What a finding says to people: one sentence with its numbers.

use std::{fmt, time::Duration};

use super::Finding;

/// One sentence for people, with the numbers and without a period.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlocksMissing { .. }
            | Self::CoreNodesOffline { .. }
            | Self::ConsensusStands { .. }
            | Self::SeatsGone { .. }
            | Self::NoVoterAnswers { .. }
            | Self::NoNodeOfThisChain { .. }
            | Self::NoNodesLeft { .. } => self.of_network(f),
            Self::FinalityBehind { .. }
            | Self::BranchesGrow { .. }
            | Self::Reorganised { .. }
            | Self::SignedTwice { .. }
            | Self::MarginGone { .. }
            | Self::RoundsClimb { .. }
            | Self::ParticipationLow { .. } => self.of_consensus(f),
            Self::BlocksRare { .. }
            | Self::Backlog { .. }
            | Self::BlocksEmpty { .. }
            | Self::TrafficUnusual { .. }
            | Self::Planned { .. } => self.of_blocks(f),
            Self::ClockSet { by_ms } => clock_set(f, *by_ms),
            Self::CutOff { silence, canaries, nodes } => {
                let silence = Humane(*silence);
                write!(f, "nothing has answered for {silence}: ")?;
                write!(
                    f,
                    "{} and {} are silent",
                    Count(*canaries as u64, "canary", "canaries"),
                    Count(*nodes as u64, "node", "nodes")
                )
            }
            Self::RuleHolds { summary } => f.write_str(summary),
            Self::RuleFails { rule, subject, fault, failing } => {
                write!(f, "the rule {} cannot be evaluated about {subject}: {fault}", rule.as_str())?;
                if 1 < *failing { write!(f, "; {failing} rules fail") } else { Ok(()) }
            }
            Self::Resumed => {
                f.write_str("it was firing before haltwatch was started again and has not been judged anew yet")
            }
            Self::Alive => f.write_str("the monitor is alive"),
            Self::NoAnswer { .. }
            | Self::Limited { .. }
            | Self::CredentialsRefused { .. }
            | Self::ManyErrors { .. } => self.of_access(f),
            Self::StandsStill { .. }
            | Self::ViewStands { .. }
            | Self::Behind { .. }
            | Self::CatchingUp { .. }
            | Self::WentBack { .. } => self.of_height(f),
            Self::ChainIdDiffers { wanted, said } => write!(f, "says chain id {said}, wanted {wanted}"),
            Self::GenesisDiffers { wanted, said } => write!(f, "says genesis block {said}, wanted {wanted}"),
            Self::NodesDisagree { about } => {
                write!(f, "the nodes of the network disagree about the {about} and none has a majority: configure it")
            }
            Self::HashDiffers { height, wanted, said } => {
                write!(f, "says block {height} is {said}, the majority says {wanted}")
            }
            Self::FewPeers { peers, wanted } => {
                write!(f, "has {}, wanted at least {wanted}", Count(*peers, "peer", "peers"))
            }
            Self::SlowAnswers { p95, limit } => {
                write!(f, "95 % of its polls take up to {}, the limit is {}", Humane(*p95), Humane(*limit))
            }
            Self::ClockDiffers { skew_ms } => {
                let side = if *skew_ms < 0 { "behind" } else { "ahead of" };
                write!(f, "its clock is {} {side} ours", Humane(Duration::from_millis(skew_ms.unsigned_abs())))
            }
        }
    }
}

impl Finding {
    fn of_network(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlocksMissing { tip, gap, threshold, pending, overrun, voters } => {
                write!(f, "no block after {tip} for {}, the limit is {}", Humane(*gap), Humane(*threshold))?;
                if let Some(pending) = pending {
                    write!(f, ", while {}", Count(*pending, "transaction waits", "transactions wait"))?;
                }
                if let Some(overrun) = overrun {
                    write!(f, "; the announced halt should have been over {} ago", Humane(*overrun))?;
                }
                f.write_str("; ")?;
                say_so(f, *voters)
            }
            Self::CoreNodesOffline { offline, total, tolerated } => {
                write!(f, "core nodes of weight {offline} of {total} are offline, the protocol tolerates {tolerated}")
            }
            Self::ConsensusStands { tip, still, limit, voters } => {
                let (still, limit) = (Humane(*still), Humane(*limit));
                write!(
                    f,
                    "consensus stands still after {tip}: views have not moved for {still}, the limit is {limit}; "
                )?;
                say_so(f, *voters)
            }
            Self::SeatsGone { live, needed, total, lasting, voters } => {
                let lasting = Humane(*lasting);
                write!(f, "sealers of weight {live} of {total} are seen for {lasting}, a block needs {needed}; ")?;
                say_so(f, *voters)
            }
            Self::NoVoterAnswers { silence, nodes, kind, alike } => {
                let count = Count(*nodes as u64, "node", "nodes");
                write!(f, "no good answer for {} from any of {count}: ", Humane(*silence))?;
                match kind.as_str() {
                    kind if alike == nodes => f.write_str(kind),
                    kind if *nodes < 2 * alike => write!(f, "{kind} from {alike}"),
                    _ => f.write_str("they fail in different ways"),
                }
            }
            Self::NoNodeOfThisChain { lasting, elsewhere, nodes } => write!(
                f,
                "no good answer about this chain for {}; {elsewhere} of {} speak for another",
                Humane(*lasting),
                Count(*nodes as u64, "node", "nodes")
            ),
            Self::NoNodesLeft { lasting } => write!(
                f,
                "discovery has named no node of it for {}: nobody is left to ask whether it makes blocks",
                Humane(*lasting)
            ),
            _ => f.write_str(self.reason()),
        }
    }

    fn of_consensus(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FinalityBehind { finalized, tip, lag, limit } => write!(
                f,
                "block {finalized} is final while the head is at {tip}, {} behind, the limit is {}",
                Humane(*lag),
                Humane(*limit)
            ),
            Self::BranchesGrow { height, larger, smaller, length, lasting } => write!(
                f,
                "two branches differ from block {height} on at the latest: {} on one, {smaller} on the other, \
                 the shorter {} long, for {}",
                Count(*larger as u64, "node", "nodes"),
                Count(*length, "block", "blocks"),
                Humane(*lasting)
            ),
            Self::Reorganised { from, depth, at_most, nodes, limit } => {
                let nodes = Count(*nodes as u64, "node", "nodes");
                match at_most.filter(|most| depth < most) {
                    Some(most) => write!(f, "{depth} to {most} blocks up to {from} were replaced")?,
                    None => write!(f, "{} or more up to {from} were replaced", Count(*depth, "block", "blocks"))?,
                }
                write!(f, ", on {nodes}; more than {limit} is deep")
            }
            Self::MarginGone { live, needed, total } => {
                write!(f, "core nodes of weight {live} of {total} are left and {needed} is needed: ")?;
                f.write_str(if live < needed { "that is too little" } else { "one more loss halts the network" })
            }
            Self::SignedTwice { height, validator } => {
                write!(f, "validator {validator} signed two blocks at height {height}")
            }
            Self::RoundsClimb { round, lasting } => {
                write!(f, "consensus is in round {round} and has needed many rounds for {}", Humane(*lasting))
            }
            Self::ParticipationLow { per_mille, lasting } => {
                let (percent, tenth) = (per_mille / 10, per_mille % 10);
                write!(f, "only {percent}.{tenth} % of the weight takes part, low for {}", Humane(*lasting))
            }
            _ => f.write_str(self.reason()),
        }
    }

    fn of_blocks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlocksRare { blocks, expected, lasting, .. } => {
                let blocks = Count(*blocks, "block", "blocks");
                write!(f, "{blocks} in {}, where {expected} are normal", Humane(*lasting))
            }
            Self::Backlog { pending, oldest, limit } => {
                let pending = Count(*pending, "transaction waits", "transactions wait");
                write!(f, "{pending}, the oldest for {}, the limit is {}", Humane(*oldest), Humane(*limit))
            }
            Self::BlocksEmpty { blocks, lasting, pending } => {
                let blocks = Count(*blocks, "empty block", "empty blocks");
                write!(f, "{blocks} in a row for {}", Humane(*lasting))?;
                match pending {
                    Some(pending) => {
                        write!(f, ", while {}", Count(*pending, "transaction waits", "transactions wait"))
                    }
                    None => Ok(()),
                }
            }
            Self::TrafficUnusual { lately, usual } => write!(
                f,
                "{}.{:02} transactions per block lately, {}.{:02} are usual",
                lately / 100,
                lately % 100,
                usual / 100,
                usual % 100
            ),
            Self::Planned { kind, until } => write!(f, "announced: {kind}, until {until}"),
            _ => f.write_str(self.reason()),
        }
    }

    fn of_access(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer { silence, attempts, kind } => {
                let attempts = Count(u64::from(*attempts), "failed attempt", "failed attempts");
                write!(f, "no good answer for {} after {attempts}, the last one: {}", Humane(*silence), kind.as_str())
            }
            Self::Limited { lasting } => write!(f, "has limited our requests for {}", Humane(*lasting)),
            Self::CredentialsRefused { lasting } => write!(f, "has refused our credentials for {}", Humane(*lasting)),
            Self::ManyErrors { failed, polls, kind } => {
                write!(f, "{failed} of the last {polls} polls failed, most often: {}", kind.as_str())
            }
            _ => f.write_str(self.reason()),
        }
    }

    fn of_height(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StandsStill { height, tip, still } => {
                let behind = Count(tip.above(*height), "block", "blocks");
                write!(
                    f,
                    "stands still at {height} for {} while the network is at {tip}, {behind} ahead",
                    Humane(*still)
                )
            }
            Self::ViewStands { height, still } => {
                write!(f, "takes no part in the consensus: its view stands still at {height} for {}", Humane(*still))
            }
            Self::Behind { height, tip, lag, limit } => {
                let behind = Count(tip.above(*height), "block", "blocks");
                write!(f, "at {height}, {behind} or {} behind {tip}, the limit is {}", Humane(*lag), Humane(*limit))
            }
            Self::CatchingUp { behind: Some(behind) } => {
                write!(f, "catching up, {} to go", Count(*behind, "block", "blocks"))
            }
            Self::CatchingUp { behind: None } => f.write_str("catching up"),
            Self::WentBack { from, to } => {
                write!(f, "went back from {from} to {to}, by {}", Count(from.above(*to), "block", "blocks"))
            }
            _ => f.write_str(self.reason()),
        }
    }
}

fn clock_set(f: &mut fmt::Formatter<'_>, by_ms: i64) -> fmt::Result {
    let side = if by_ms < 0 { "back" } else { "forward" };
    write!(f, "our own wall clock was set {side} by {}", Humane(Duration::from_millis(by_ms.unsigned_abs())))
}

/// How many bear witness.
fn say_so(f: &mut fmt::Formatter<'_>, voters: usize) -> fmt::Result {
    match voters {
        1 => f.write_str("a single node says so"),
        voters => write!(f, "{voters} nodes say so"),
    }
}

/// A number with its noun.
struct Count(u64, &'static str, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { self.1 } else { self.2 })
    }
}

/// A duration as people say it: two units at the most (`320 ms`, `42 s`, `3 m 5 s`, `2 h 7 m`, `11 d 4 h`).
struct Humane(Duration);

impl fmt::Display for Humane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let two = |f: &mut fmt::Formatter<'_>, large: u64, unit, small: u64, small_unit| match small {
            0 => write!(f, "{large} {unit}"),
            small => write!(f, "{large} {unit} {small} {small_unit}"),
        };
        match seconds {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..60 => write!(f, "{seconds} s"),
            60..3600 => two(f, seconds / 60, "m", seconds % 60, "s"),
            3600..86_400 => two(f, seconds / 3600, "h", seconds % 3600 / 60, "m"),
            _ => two(f, seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Height, observation::ErrorKind};

    #[test]
    fn durations_are_told_as_people_say_them() {
        for (ms, said) in [
            (320, "320 ms"),
            (42_999, "42 s"),
            (60_000, "1 m"),
            (185_000, "3 m 5 s"),
            (7_620_000, "2 h 7 m"),
            (964_800_000, "11 d 4 h"),
        ] {
            assert_eq!(Humane(Duration::from_millis(ms)).to_string(), said);
        }
    }

    #[test]
    fn findings_are_one_sentence_with_their_numbers() {
        let seconds = Duration::from_secs;
        let halted = Finding::BlocksMissing {
            tip: Height(100),
            gap: seconds(42),
            threshold: seconds(30),
            pending: Some(1),
            overrun: None,
            voters: 1,
        };
        let wanted = "no block after 100 for 42 s, the limit is 30 s, while 1 transaction waits; a single node says so";
        assert_eq!(halted.to_string(), wanted);
        let silent = Finding::NoAnswer { silence: seconds(95), attempts: 3, kind: ErrorKind::Refused };
        assert_eq!(silent.to_string(), "no good answer for 1 m 35 s after 3 failed attempts, the last one: refused");
        let skewed = Finding::ClockDiffers { skew_ms: -600_000 };
        assert_eq!(skewed.to_string(), "its clock is 10 m behind ours");
    }
}
