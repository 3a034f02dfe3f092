//! The outcome of one poll: what a chain adapter hands to the engine. Everything in here came from a node and has been
//! bounded and cleaned by the adapter; the engine treats it as a claim, not as truth.

pub mod probe;

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::model::{
    BlockHash, CanaryIndex, Height, NetworkIndex, NodeIndex, PlannedHalt, Timestamp, UnixTime, VantageIndex,
};

/// One finished poll of a node, one finished probe of a canary, or the announcement of a halt.
#[derive(Debug, Clone)]
pub enum Observation<N = NodeIndex, C = CanaryIndex> {
    /// A poll of a node.
    Node(NodeObservation<N>),
    /// A probe of a canary.
    Canary(CanaryObservation<C>),
    /// A halt was announced.
    Notice(Notice),
}

/// Names one poller or prober for ever: no other will get the name. Places in the settings change with every reload
/// under a poller that goes on; its name does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub u64);

/// An observation as it comes from its source, which does not know the place of what it watches.
pub type Sighting = Observation<Source, Source>;

/// Where what each source watches stands in one set of settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// The node of each poller.
    pub nodes: HashMap<Source, NodeIndex>,
    /// The canary of each prober.
    pub canaries: HashMap<Source, CanaryIndex>,
}

impl Roster {
    /// The observation with its place in these settings; `None` if nothing there is watched by its source any more.
    #[must_use]
    pub fn place(&self, sighting: Sighting) -> Option<Observation> {
        Some(match sighting {
            Observation::Node(NodeObservation { node, vantage, at, elapsed, outcome }) => {
                Observation::Node(NodeObservation { node: *self.nodes.get(&node)?, vantage, at, elapsed, outcome })
            }
            Observation::Notice(notice) => Observation::Notice(notice),
            Observation::Canary(CanaryObservation { canary, at, reachable }) => {
                Observation::Canary(CanaryObservation { canary: *self.canaries.get(&canary)?, at, reachable })
            }
        })
    }
}

/// The outcome of one poll of one node.
#[derive(Debug, Clone)]
pub struct NodeObservation<N = NodeIndex> {
    /// The node that was polled.
    pub node: N,
    /// From where.
    pub vantage: VantageIndex,
    /// When the answer, or the failure, arrived.
    pub at: Timestamp,
    /// From sending the request to the complete answer or the failure.
    pub elapsed: Duration,
    /// What the node said, or why it said nothing usable.
    pub outcome: Result<Arc<Facts>, PollError>,
}

/// The outcome of one probe of a target of the monitor's own surroundings.
#[derive(Debug, Clone, Copy)]
pub struct CanaryObservation<C = CanaryIndex> {
    /// The canary that was probed.
    pub canary: C,
    /// When it answered or failed.
    pub at: Timestamp,
    /// Whether it answered.
    pub reachable: bool,
}

/// The announcement of a halt, known from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The network that will stand still.
    pub network: NetworkIndex,
    /// When and why.
    pub planned: PlannedHalt,
}

/// What a good poll says. Every fact but the head's height is optional; missing is not zero.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The chain the node says it follows, as text (`"1"`, `"injective-777"`).
    pub chain_id: Option<Arc<str>>,
    /// Hash of block 0, where the node gives it.
    pub genesis: Option<BlockHash>,
    /// Client and version, at most 128 bytes, without control characters.
    pub version: Option<Arc<str>>,
    /// The newest block the node knows.
    pub head: Head,
    /// The newest block the node calls safe.
    pub safe: Option<Height>,
    /// The newest block the node calls final.
    pub finality: Finality,
    /// What the node says about its own synchronisation: a hint, never a verdict.
    pub syncing: Syncing,
    /// Number of connected peers.
    pub peers: Option<u64>,
    /// Transactions waiting for a block.
    pub pending: Option<u64>,
    /// Consensus round or view of the height in progress, 0 = first.
    pub round: Option<u64>,
    /// A number that moves as long as the nodes agree with each other, though no block may be due: the view of a
    /// consensus that turns over also when it is idle. Only told by nodes that take part. Compared together with the height.
    pub heartbeat: Option<u64>,
    /// What the node sees of those who make blocks: sealers it is connected with, votes of the round in progress.
    pub seats: Option<Seats>,
    /// Its own weight among the validators, where it tells it.
    pub power: Option<u64>,
    /// Validators that take no part, as far as the node sees, by their names on the chain: at most [`ABSENT`].
    pub absent: Vec<Arc<str>>,
    /// Weight that signed the last block or epoch, per mille of all.
    pub participation: Option<u16>,
    /// Older blocks the node was asked for, at most [`CHECKPOINTS`], in any order: what shows how deep a reorganisation
    /// went, and lets nodes of different height be compared.
    pub checkpoints: Vec<(Height, BlockHash)>,
    /// What tells the node behind this endpoint from every other, where it says so: a peer id, a node id.
    pub identity: Option<Arc<str>>,
    /// Weight of all validators of the network, where the node tells it.
    pub validators: Option<u64>,
    /// Evidence of equivocation the node reports, at most [`EQUIVOCATIONS`], newest last.
    pub equivocations: Vec<Equivocation>,
    /// An upgrade the chain itself has planned: it will stop one block below that height.
    pub upgrade: Option<Upgrade>,
    /// The node's own wall clock, from the `Date` header of its answer (one second of resolution).
    pub clock: Option<UnixTime>,
}

impl Facts {
    /// Facts that say nothing but the height.
    #[must_use]
    pub fn at_height(height: Height) -> Self {
        Self {
            chain_id: None,
            genesis: None,
            version: None,
            head: Head { height, hash: None, parent: None, time: None, transactions: None },
            safe: None,
            finality: Finality::Unknown,
            syncing: Syncing::Unknown,
            peers: None,
            pending: None,
            round: None,
            heartbeat: None,
            seats: None,
            power: None,
            absent: Vec::new(),
            participation: None,
            checkpoints: Vec::new(),
            identity: None,
            validators: None,
            equivocations: Vec::new(),
            upgrade: None,
            clock: None,
        }
    }
}

/// Older blocks of one poll at the most.
pub const CHECKPOINTS: usize = 32;

/// Pieces of evidence of equivocation in one poll at the most.
pub const EQUIVOCATIONS: usize = 8;

/// Absent validators named in one poll at the most.
pub const ABSENT: usize = 8;

/// The weight of those who make blocks, as one node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// All of it.
    pub total: u64,
    /// What a block needs.
    pub needed: u64,
    /// What the node sees to be there, its own included.
    pub live: u64,
}

/// A validator signed two blocks at one height.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Equivocation {
    /// The height at which it did.
    pub height: Height,
    /// The validator, as the chain names it: bounded and cleaned by the adapter.
    pub validator: Arc<str>,
    /// The height of the block that holds the evidence: it may come long after the deed.
    pub told_in: Height,
}

/// An upgrade that a chain has planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// Its name: bounded and cleaned by the adapter.
    pub name: Arc<str>,
    /// The first height that only upgraded nodes make.
    pub height: Height,
}

/// The newest block a node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub height: Height,
    /// Its hash.
    pub hash: Option<BlockHash>,
    /// The hash of the block before it.
    pub parent: Option<BlockHash>,
    /// The producer's timestamp; may be wrong.
    pub time: Option<UnixTime>,
    /// The number of transactions in it.
    pub transactions: Option<u64>,
}

/// What a node says about finality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// Asked, and the node does not know yet (or cannot say): not a failure.
    Unknown,
    /// The newest final block.
    Known {
        /// Its number.
        height: Height,
        /// Its hash, where given.
        hash: Option<BlockHash>,
        /// Its timestamp, where given.
        time: Option<UnixTime>,
    },
}

impl Finality {
    /// The number of the newest final block, if the node knows it.
    #[must_use]
    pub fn height(self) -> Option<Height> {
        match self {
            Self::Known { height, .. } => Some(height),
            Self::Unknown => None,
        }
    }
}

/// What a node says about its own synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncing {
    /// Not said.
    Unknown,
    /// Says it is in sync.
    No,
    /// Says it is warming up and cannot answer yet.
    Starting,
    /// Says it is catching up, and by how many blocks it is behind where it says so.
    Yes {
        /// Blocks still missing, in the node's own opinion.
        behind: Option<u64>,
    },
}

impl Syncing {
    /// Whether it says that it is not ready, if it says anything.
    #[must_use]
    pub fn is_under_way(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::No => Some(false),
            Self::Starting | Self::Yes { .. } => Some(true),
        }
    }
}

/// Why a poll gave no facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollError {
    /// The closed reason: metric label, log field and text come from it.
    pub kind: ErrorKind,
    /// More for people: bounded, cleaned of control characters, free of secrets. May be empty.
    pub detail: Arc<str>,
}

impl PollError {
    /// An error of `kind`; `detail` is cut to 160 bytes and cleaned of control characters.
    #[must_use]
    pub fn new(kind: ErrorKind, detail: &str) -> Self {
        Self { kind, detail: clean_text(detail, 160).into() }
    }
}

/// Removes control and direction-changing characters from node-supplied text and cuts it to `limit` bytes.
#[must_use]
pub fn clean_text(text: &str, limit: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        let c = if hidden { ' ' } else { c };
        if limit < clean.len() + c.len_utf8() {
            break;
        }
        clean.push(c);
    }
    clean
}

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $kind:ident = $label:literal, $meaning:ident;)*) => {
        /// Every way in which a poll can fail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorKind { $($(#[$doc])* $kind,)* }

        impl ErrorKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The word used as metric label, log field and in texts.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $label,)* }
            }

            /// What this failure says about the node.
            #[must_use]
            pub fn meaning(self) -> Meaning {
                match self { $(Self::$kind => Meaning::$meaning,)* }
            }
        }
    };
}

/// What a failure says about the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The node may be down: counts towards `NodeOffline`.
    Absent,
    /// The node is there and limits us: never offline, no vote.
    Limited,
    /// The node is there and refuses our credentials: never offline, no vote.
    Refused,
    /// The node is there and warming up: no vote.
    Starting,
    /// Our own fault: says nothing about the node.
    Local,
}

error_kinds! {
    /// The host name does not resolve.
    Dns = "dns", Absent;
    /// The connection was refused.
    Refused = "refused", Absent;
    /// No route to the host.
    Unreachable = "unreachable", Absent;
    /// The connection was reset or closed in the middle of an answer.
    Reset = "reset", Absent;
    /// No complete answer within the deadline.
    Timeout = "timeout", Absent;
    /// The TLS handshake failed.
    Tls = "tls", Absent;
    /// HTTP 5xx without a usable JSON answer.
    Http5xx = "http_5xx", Absent;
    /// Another unexpected HTTP status.
    HttpStatus = "http_status", Absent;
    /// The node answered with a redirect, which is never followed.
    Redirect = "redirect", Absent;
    /// The answer is not what the protocol says: not JSON, empty, wrong ids, wrong types.
    Malformed = "malformed", Absent;
    /// The answer is larger than the body limit.
    TooLarge = "too_large", Absent;
    /// The node answered the call for its head with an error of its own.
    Rpc = "rpc", Absent;
    /// HTTP 429 or 402, or a family's own code for a spent quota.
    RateLimited = "rate_limited", Limited;
    /// HTTP 401 or 403, or a cookie, certificate or key of ours that cannot be read.
    Unauthorized = "unauthorized", Refused;
    /// The node says that it is still starting.
    Starting = "starting", Starting;
    /// The monitor ran out of file descriptors, memory or ports.
    Local = "local", Local;
}
