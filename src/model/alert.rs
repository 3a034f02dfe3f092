//! The names and levels of alerts. Names are API: they never change. Those of rules of users are known only at run time;
//! they are kept once each, so that a name stays a word that is copied.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// What kind of subject an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A network.
    Network,
    /// A node.
    Node,
    /// The monitor itself.
    Monitor,
}

/// How loudly an alert speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Critical: somebody is woken up.
    L1,
    /// Error.
    L2,
    /// Warning.
    L3,
    /// Info.
    L4,
    /// Not about trouble at all: the dead man's switch.
    None,
}

impl Level {
    /// The levels trouble can have, loudest first.
    pub const ALL: [Self; 4] = [Self::L1, Self::L2, Self::L3, Self::L4];

    /// The value of the label `level`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
            Self::None => "none",
        }
    }

    /// The value of the label `severity`.
    #[must_use]
    pub fn severity(self) -> &'static str {
        match self {
            Self::L1 => "critical",
            Self::L2 => "error",
            Self::L3 => "warning",
            Self::L4 => "info",
            Self::None => "none",
        }
    }

    /// The value of the label `priority`.
    #[must_use]
    pub fn priority(self) -> &'static str {
        match self {
            Self::L1 => "P0",
            Self::L2 => "P1",
            Self::L3 => "P2",
            Self::L4 => "P3",
            Self::None => "none",
        }
    }
}

macro_rules! alert_names {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The name of an alert.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum AlertName {
            $($(#[$doc])* $name,)*
            /// A rule of the user's own holds.
            Custom(RuleName),
        }

        impl AlertName {
            /// Every alert of haltwatch's own.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The value of the label `alertname`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* Self::Custom(rule) => rule.as_str() }
            }
        }
    };
}

alert_names! {
    /// The network makes no blocks.
    NetworkHalted,
    /// No node answers about the network, as far as we can tell not by our own fault.
    NetworkUnreachable,
    /// Blocks come, but they are not made final.
    FinalityStalled,
    /// Two branches of one network grow side by side.
    NetworkSplit,
    /// Many blocks were replaced by others.
    DeepReorg,
    /// The network has no core node to spare.
    QuorumAtRisk,
    /// Blocks come far more rarely than they should.
    BlocksSlow,
    /// Consensus needs many rounds, or too few take part in it.
    ConsensusStruggling,
    /// Transactions wait for too long.
    TransactionBacklog,
    /// Blocks come without the transactions that wait for them.
    EmptyBlocks,
    /// Blocks carry far more, or far fewer, transactions than usual.
    UnusualTraffic,
    /// A validator has signed two blocks at one height.
    DoubleSign,
    /// The network stands still, or soon will, as announced.
    PlannedHalt,
    /// A node gives no good answer.
    NodeOffline,
    /// A node answers, but stands still while the network moves.
    NodeStalled,
    /// A node is too far behind the tip.
    NodeLagging,
    /// A node is catching up.
    NodeSyncing,
    /// A node speaks for another chain.
    NodeWrongChain,
    /// A node is on a minority branch.
    NodeForked,
    /// A node has too few peers.
    NodeLowPeers,
    /// A node answers slowly.
    NodeSlow,
    /// A node fails too many requests.
    NodeErrors,
    /// A node limits our requests.
    NodeRateLimited,
    /// A node refuses our credentials.
    NodeUnauthorized,
    /// A node's clock disagrees with ours.
    NodeClockSkew,
    /// A node's height went backwards without proof of a reorganisation.
    HeightRegression,
    /// The monitor is cut off.
    MonitorIsolated,
    /// The monitor's wall clock was set.
    MonitorClockJump,
    /// A rule of the user's own cannot be evaluated.
    RuleFailing,
    /// Always firing: the dead man's switch.
    Watchdog,
}

impl AlertName {
    /// What kind of subject it is about.
    #[must_use]
    pub fn scope(self) -> Scope {
        use AlertName as N;
        match self {
            N::NetworkHalted
            | N::NetworkUnreachable
            | N::FinalityStalled
            | N::NetworkSplit
            | N::DeepReorg
            | N::QuorumAtRisk
            | N::BlocksSlow
            | N::ConsensusStruggling
            | N::TransactionBacklog
            | N::EmptyBlocks
            | N::UnusualTraffic
            | N::DoubleSign
            | N::PlannedHalt => Scope::Network,
            N::NodeOffline
            | N::NodeStalled
            | N::NodeLagging
            | N::NodeSyncing
            | N::NodeWrongChain
            | N::NodeForked
            | N::NodeLowPeers
            | N::NodeSlow
            | N::NodeErrors
            | N::NodeRateLimited
            | N::NodeUnauthorized
            | N::NodeClockSkew
            | N::HeightRegression => Scope::Node,
            N::MonitorIsolated | N::MonitorClockJump | N::RuleFailing | N::Watchdog => Scope::Monitor,
            N::Custom(rule) => rule.scope(),
        }
    }
}

/// Names of rules that one process ever keeps: reloads can bring new ones for ever, and none is ever given back.
const MAX_NAMES: usize = 10_000;

/// Longest name of a rule, in bytes.
const MAX_NAME: usize = 64;

static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The name of a rule of the user's own, with what the rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleName {
    text: &'static str,
    scope: Scope,
}

/// Why a rule cannot be called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleNameError {
    /// It does not look like the name of an alert.
    #[error("not the name of an alert")]
    Form,
    /// An alert of haltwatch's own is called so.
    #[error("haltwatch has an alert of this name")]
    Taken,
    /// This process has seen too many names.
    #[error("too many names of rules since the start")]
    TooMany,
}

impl RuleName {
    /// The name of a rule about `scope`.
    ///
    /// # Errors
    /// [`RuleNameError`].
    pub fn new(name: &str, scope: Scope) -> Result<Self, RuleNameError> {
        let is_camel =
            name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !is_camel || MAX_NAME < name.len() {
            return Err(RuleNameError::Form);
        }
        if AlertName::ALL.iter().any(|alert| alert.as_str() == name) {
            return Err(RuleNameError::Taken);
        }
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = names.get(name).copied();
        if known.is_none() && MAX_NAMES <= names.len() {
            return Err(RuleNameError::TooMany);
        }
        let text = known.unwrap_or_else(|| Box::leak(Box::from(name)));
        names.insert(text);
        Ok(Self { text, scope })
    }

    /// The value of the label `alertname`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.text
    }

    /// What the rule is about.
    #[must_use]
    pub fn scope(self) -> Scope {
        self.scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_called_like_an_alert_but_never_like_one_of_ours() {
        let name = |text: &str| RuleName::new(text, Scope::Node).map(RuleName::as_str);
        assert_eq!(name("ArchiveLagging"), Ok("ArchiveLagging"));
        for bad in ["", "lagging", "Archive Lagging", "Archive_Lagging", "Ärger", "1Up", &"A".repeat(65)] {
            assert_eq!(name(bad), Err(RuleNameError::Form), "{bad}");
        }
        assert_eq!(name("Watchdog"), Err(RuleNameError::Taken));
    }

    #[test]
    fn the_same_name_about_something_else_is_another_alert() {
        let name = |scope| AlertName::Custom(RuleName::new("SameName", scope).unwrap());
        assert_eq!(name(Scope::Node), name(Scope::Node));
        assert_ne!(name(Scope::Node), name(Scope::Network));
        assert_eq!((name(Scope::Node).as_str(), name(Scope::Node).scope()), ("SameName", Scope::Node));
    }
}
