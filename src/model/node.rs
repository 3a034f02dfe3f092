//! What a network and a node are to us: positions in the configuration, roles, labels and states.

use std::sync::Arc;

/// Position of a network in `engine::Settings::networks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkIndex(pub u32);

/// Position of a node in `engine::Settings::nodes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u32);

/// Position of a vantage in `engine::Settings::vantages`: from where nodes are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VantageIndex(pub u16);

/// Position of a canary in `engine::Settings::canaries`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanaryIndex(pub u32);

impl NetworkIndex {
    /// The position as a slice index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeIndex {
    /// The position as a slice index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl VantageIndex {
    /// The position as a slice index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl CanaryIndex {
    /// The position as a slice index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Labels from the configuration, sorted by name; names match `[a-zA-Z_][a-zA-Z0-9_]*`.
pub type Labels = Vec<(Arc<str>, Arc<str>)>;

/// What a node is for. Validators and sealers are core nodes by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Votes in consensus.
    Validator,
    /// Seals blocks (the word of FISCO BCOS and proof-of-authority chains).
    Sealer,
    /// Follows the chain inside a consortium without a vote.
    Observer,
    /// Serves requests.
    Rpc,
    /// Shields a validator from the public network.
    Sentry,
    /// Keeps all history.
    Archive,
    /// Introduces peers to each other.
    Bootnode,
}

impl Role {
    /// Every role, in the order of the documentation.
    pub const ALL: [Self; 7] =
        [Self::Validator, Self::Sealer, Self::Observer, Self::Rpc, Self::Sentry, Self::Archive, Self::Bootnode];

    /// The word used in configuration, labels and texts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Sealer => "sealer",
            Self::Observer => "observer",
            Self::Rpc => "rpc",
            Self::Sentry => "sentry",
            Self::Archive => "archive",
            Self::Bootnode => "bootnode",
        }
    }

    /// Whether losing a node of this role can halt the network, unless the configuration says otherwise.
    #[must_use]
    pub fn is_core(self) -> bool {
        matches!(self, Self::Validator | Self::Sealer)
    }
}

/// The state of a node as the engine sees it. Exactly one holds at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum NodeState {
    /// Never polled, or not freshly: neither good nor bad.
    #[default]
    Unknown,
    /// Answers that it is still warming up.
    Starting,
    /// Answers that it is catching up with the chain, and is behind.
    Syncing,
    /// Follows the tip.
    Live,
    /// Moves, but is further behind the tip than allowed.
    Lagging,
    /// Answers, but its height stands still while the tip moves.
    Stalled,
    /// Refuses us for asking too often.
    RateLimited,
    /// Refuses our credentials.
    Unauthorized,
    /// Its last polls failed, not yet for long enough to call it offline.
    Unreachable,
    /// No good answer for `offline_after` and at least three attempts.
    Offline,
    /// Speaks for another chain; quarantined.
    WrongChain,
    /// On a branch that the majority does not follow.
    Forked,
}

impl NodeState {
    /// Every state, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Unknown,
        Self::Starting,
        Self::Syncing,
        Self::Live,
        Self::Lagging,
        Self::Stalled,
        Self::RateLimited,
        Self::Unauthorized,
        Self::Unreachable,
        Self::Offline,
        Self::WrongChain,
        Self::Forked,
    ];

    /// The word used in metrics, the API and texts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Starting => "starting",
            Self::Syncing => "syncing",
            Self::Live => "live",
            Self::Lagging => "lagging",
            Self::Stalled => "stalled",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::Unreachable => "unreachable",
            Self::Offline => "offline",
            Self::WrongChain => "wrong_chain",
            Self::Forked => "forked",
        }
    }
}
