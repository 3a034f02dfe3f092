//! What a rule can find. The reason is a closed set; the numbers ride beside it; the text is made from both, so that
//! label, log field and sentence cannot disagree.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    model::{BlockHash, Height},
    observation::ErrorKind,
};

/// What a rule found: the evidence for an alert.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// NetworkHalted: no new block for too long.
    BlocksMissing {
        /// The last block.
        tip: Height,
        /// How long ago the tip last rose.
        gap: Duration,
        /// The limit it exceeds.
        threshold: Duration,
        /// Transactions waiting, where that is what proves the halt (on-demand networks).
        pending: Option<u64>,
        /// How many nodes say so.
        voters: usize,
    },
    /// NetworkHalted: more core weight is offline than the protocol tolerates.
    CoreNodesOffline {
        /// Offline core weight.
        offline: u64,
        /// Core weight in all.
        total: u64,
        /// What the protocol tolerates.
        tolerated: u64,
    },
    /// NetworkUnreachable: no voter answers.
    NoVoterAnswers {
        /// For how long.
        silence: Duration,
        /// Nodes of the network.
        nodes: usize,
    },
    /// NetworkUnreachable: nodes answer, but none of them about this chain.
    NoNodeOfThisChain {
        /// For how long.
        lasting: Duration,
        /// Nodes that answer about another chain.
        elsewhere: usize,
        /// Nodes of the network.
        nodes: usize,
    },
    /// NetworkUnreachable: the network had nodes, and nobody names any to us any more.
    NoNodesLeft {
        /// For how long.
        lasting: Duration,
    },
    /// NodeOffline: no good answer.
    NoAnswer {
        /// For how long.
        silence: Duration,
        /// Failed attempts since.
        attempts: u32,
        /// How the last one failed.
        kind: ErrorKind,
    },
    /// NodeStalled: stands still while the tip moves.
    StandsStill {
        /// Its height.
        height: Height,
        /// The tip.
        tip: Height,
        /// For how long its height has not moved.
        still: Duration,
    },
    /// NodeLagging: moves, but is behind.
    Behind {
        /// Its height.
        height: Height,
        /// The tip.
        tip: Height,
        /// How far behind in time.
        lag: Duration,
        /// The limit.
        limit: Duration,
    },
    /// NodeSyncing: says it is catching up.
    CatchingUp {
        /// Blocks still missing, by its own word or by comparison with the tip.
        behind: Option<u64>,
    },
    /// NodeWrongChain: another chain id.
    ChainIdDiffers {
        /// What the network has.
        wanted: Arc<str>,
        /// What the node says.
        said: Arc<str>,
    },
    /// NodeWrongChain: another genesis block.
    GenesisDiffers {
        /// What the network has.
        wanted: BlockHash,
        /// What the node says.
        said: BlockHash,
    },
    /// NodeWrongChain: the nodes of the network speak for different chains, and nothing tells which is right.
    NodesDisagree {
        /// What they disagree about.
        about: &'static str,
    },
    /// NodeForked: another hash at a common height.
    HashDiffers {
        /// The height.
        height: Height,
        /// The majority's hash.
        wanted: BlockHash,
        /// The node's hash.
        said: BlockHash,
    },
    /// NodeLowPeers.
    FewPeers {
        /// Peers it has.
        peers: u64,
        /// Peers it should have.
        wanted: u64,
    },
    /// NodeSlow.
    SlowAnswers {
        /// 95th percentile of its recent polls.
        p95: Duration,
        /// The limit in force.
        limit: Duration,
    },
    /// NodeErrors.
    ManyErrors {
        /// Failed polls in the window.
        failed: u32,
        /// Polls in the window.
        polls: u32,
        /// The most frequent kind.
        kind: ErrorKind,
    },
    /// NodeRateLimited.
    Limited {
        /// For how long.
        lasting: Duration,
    },
    /// NodeUnauthorized.
    CredentialsRefused {
        /// For how long.
        lasting: Duration,
    },
    /// NodeClockSkew.
    ClockDiffers {
        /// The node's clock minus ours, in milliseconds.
        skew_ms: i64,
    },
    /// HeightRegression.
    WentBack {
        /// The height it had told.
        from: Height,
        /// The height it tells now.
        to: Height,
    },
    /// MonitorIsolated.
    CutOff {
        /// For how long nothing has answered.
        silence: Duration,
        /// Canaries, all of them silent.
        canaries: usize,
        /// Nodes, all of them silent.
        nodes: usize,
    },
    /// Watchdog.
    Alive,
}

impl Finding {
    /// The closed reason: label value and API field.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BlocksMissing { .. } => "blocks_missing",
            Self::CoreNodesOffline { .. } => "core_nodes_offline",
            Self::NoVoterAnswers { .. } => "no_voter_answers",
            Self::NoNodeOfThisChain { .. } => "no_node_of_this_chain",
            Self::NoNodesLeft { .. } => "no_nodes_left",
            Self::NodesDisagree { .. } => "nodes_disagree",
            Self::NoAnswer { .. } => "no_answer",
            Self::StandsStill { .. } => "stands_still",
            Self::Behind { .. } => "behind",
            Self::CatchingUp { .. } => "catching_up",
            Self::ChainIdDiffers { .. } => "chain_id_differs",
            Self::GenesisDiffers { .. } => "genesis_differs",
            Self::HashDiffers { .. } => "hash_differs",
            Self::FewPeers { .. } => "few_peers",
            Self::SlowAnswers { .. } => "slow_answers",
            Self::ManyErrors { .. } => "many_errors",
            Self::Limited { .. } => "limited",
            Self::CredentialsRefused { .. } => "credentials_refused",
            Self::ClockDiffers { .. } => "clock_differs",
            Self::WentBack { .. } => "went_back",
            Self::CutOff { .. } => "cut_off",
            Self::Alive => "alive",
        }
    }
}

/// One sentence for people, with the numbers and without a period.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlocksMissing { .. }
            | Self::CoreNodesOffline { .. }
            | Self::NoVoterAnswers { .. }
            | Self::NoNodeOfThisChain { .. }
            | Self::NoNodesLeft { .. } => self.of_network(f),
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
            Self::Alive => f.write_str("the monitor is alive"),
            Self::NoAnswer { .. }
            | Self::Limited { .. }
            | Self::CredentialsRefused { .. }
            | Self::ManyErrors { .. } => self.of_access(f),
            Self::StandsStill { .. } | Self::Behind { .. } | Self::CatchingUp { .. } | Self::WentBack { .. } => {
                self.of_height(f)
            }
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
            Self::BlocksMissing { tip, gap, threshold, pending, voters } => {
                write!(f, "no block after {tip} for {}, the limit is {}", Humane(*gap), Humane(*threshold))?;
                if let Some(pending) = pending {
                    write!(f, ", while {}", Count(*pending, "transaction waits", "transactions wait"))?;
                }
                match voters {
                    1 => f.write_str("; a single node says so"),
                    voters => write!(f, "; {voters} nodes say so"),
                }
            }
            Self::CoreNodesOffline { offline, total, tolerated } => {
                write!(f, "core nodes of weight {offline} of {total} are offline, the protocol tolerates {tolerated}")
            }
            Self::NoVoterAnswers { silence, nodes } => {
                write!(
                    f,
                    "no good answer for {} from any of {}",
                    Humane(*silence),
                    Count(*nodes as u64, "node", "nodes")
                )
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
