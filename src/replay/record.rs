//! The lines of a stream as they are written. Keys we do not know are passed over; what is missing is not zero.

use std::sync::Arc;

use serde::Deserialize;

/// The first line: what was watched, and how.
#[derive(Debug, Deserialize)]
pub struct Meta {
    /// `halt-replay/1`.
    pub schema: String,
    /// The wall clock at time 0, in Unix milliseconds.
    pub wall0: i64,
    /// How it was watched.
    pub monitor: Monitor,
    /// The networks.
    pub chains: Vec<Chain>,
    /// Their nodes.
    pub nodes: Vec<Node>,
}

/// How the networks were watched.
#[derive(Debug, Deserialize)]
pub struct Monitor {
    /// Seconds between two polls of a node.
    pub poll_s: f64,
    /// Seconds a poll may take.
    pub timeout_s: f64,
    /// From where.
    pub vantages: Vec<Arc<str>>,
    /// Canaries of each vantage.
    #[serde(default)]
    pub canaries: u32,
}

/// A network.
#[derive(Debug, Deserialize)]
pub struct Chain {
    /// Its name.
    pub id: Arc<str>,
    /// What a right node says it is.
    pub net: Arc<str>,
    /// The family of its nodes, for people.
    #[serde(default)]
    pub family: Option<Arc<str>>,
    /// Whether it is a quorum protocol.
    #[serde(default)]
    pub bft: Flag,
    /// Declared seconds between two blocks; the mean where they come at random.
    pub block_time_s: f64,
    /// When blocks are due.
    pub cadence: Cadence,
    /// How blocks become final.
    #[serde(default)]
    pub finality: Option<FinalityOf>,
    /// Weight of all core nodes, where only some are watched.
    #[serde(default)]
    pub core_total: Option<u64>,
}

/// How blocks of a network become final.
#[derive(Debug, Deserialize)]
pub struct FinalityOf {
    /// Declared seconds from the head to the final block; absent where nothing is final.
    #[serde(default)]
    pub normal_lag_s: Option<f64>,
}

/// When blocks are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// Always.
    Fixed,
    /// At random, as proof of work makes them.
    Poisson,
    /// When there is work.
    OnDemand,
}

/// A node.
#[derive(Debug, Deserialize)]
pub struct Node {
    /// Its name.
    pub id: Arc<str>,
    /// Its network.
    pub chain: Arc<str>,
    /// `core` can halt the network.
    pub role: Role,
    /// Its weight among the core nodes.
    #[serde(default)]
    pub weight: Option<u64>,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Votes in consensus.
    Core,
    /// One's own node without a vote.
    Rpc,
    /// Somebody's endpoint.
    Public,
}

/// Any line but the first.
#[derive(Debug, Deserialize)]
pub struct Record {
    /// What it is.
    pub k: Kind,
    /// When, in milliseconds since the start.
    pub t: i64,
    /// The monitor's wall clock, in Unix milliseconds.
    pub w: Option<i64>,
    /// From where.
    pub v: Option<Arc<str>>,
    /// The node.
    pub n: Option<Arc<str>>,
    /// Its network.
    pub c: Option<Arc<str>>,
    /// What was probed.
    pub target: Option<Arc<str>>,
    /// Whether it answered.
    pub ok: Option<Flag>,
    /// Milliseconds until it did, or failed.
    pub lat: Option<u64>,
    /// How it failed.
    pub err: Option<String>,
    /// The height of its head ...
    pub h: Option<u64>,
    /// ... with its hash ...
    pub hh: Option<String>,
    /// ... its timestamp in Unix milliseconds ...
    pub ht: Option<i64>,
    /// ... and its transactions.
    pub ntx: Option<u64>,
    /// What chain the node says it is on.
    pub net: Option<Arc<str>>,
    /// Whether it says that it is syncing.
    pub syncing: Option<Flag>,
    /// Its peers.
    pub peers: Option<u64>,
    /// Client and version.
    pub ver: Option<Arc<str>>,
    /// Transactions that wait.
    pub pend: Option<u64>,
    /// Weight that signed the last block, per mille.
    pub part: Option<u16>,
    /// Older blocks: height and hash.
    #[serde(default)]
    pub g: Vec<(u64, String)>,
    /// The final height ...
    pub f: Option<u64>,
    /// ... its hash ...
    pub fh: Option<String>,
    /// ... and its timestamp in Unix milliseconds.
    pub ft: Option<i64>,
    /// The round of the height in progress.
    pub r: Option<u64>,
    /// The node's own wall clock, in Unix milliseconds.
    pub nw: Option<i64>,
    /// What is announced ...
    pub kind: Option<Arc<str>>,
    /// ... from when ...
    pub from_ms: Option<i64>,
    /// ... until when ...
    pub until_ms: Option<i64>,
    /// ... and the first height that will not be made before.
    pub at_height: Option<u64>,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A finished poll.
    Sample,
    /// A finished probe of the surroundings.
    Canary,
    /// The announcement of a halt.
    Notice,
    /// Anything else.
    #[serde(other)]
    Other,
}

/// A truth value, written as `true`, `false`, 1 or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "RawFlag")]
pub struct Flag(pub bool);

#[derive(Deserialize)]
#[serde(untagged)]
enum RawFlag {
    Bool(bool),
    Number(u8),
}

impl TryFrom<RawFlag> for Flag {
    type Error = &'static str;

    fn try_from(raw: RawFlag) -> Result<Self, Self::Error> {
        match raw {
            RawFlag::Bool(flag) => Ok(Self(flag)),
            RawFlag::Number(number @ 0..=1) => Ok(Self(number == 1)),
            RawFlag::Number(_) => Err("a truth value is true, false, 1 or 0"),
        }
    }
}
