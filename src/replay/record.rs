//! The lines of a stream as they are written and read. Keys we do not know are passed over; what is missing is not zero.
//! What the format has no key for, but a replay needs to judge as the daemon did, stands under keys of our own, which
//! others pass over.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

/// The first line: what was watched, and how.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Meta {
    /// `meta`.
    #[serde(default)]
    pub k: Arc<str>,
    /// 0.
    #[serde(default)]
    pub t: i64,
    /// Tells one recording from another.
    #[serde(default)]
    pub run: Arc<str>,
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
#[derive(Debug, Default, Serialize, Deserialize)]
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
    /// Ours: seconds of silence after which the monitor calls itself isolated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolated_after_s: Option<f64>,
    /// Ours: seconds between two probes of a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_s: Option<f64>,
}

/// A network.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Chain {
    /// Its name.
    pub id: Arc<str>,
    /// What a right node says it is.
    pub net: Arc<str>,
    /// The family of its nodes, for people.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finality: Option<FinalityOf>,
    /// Weight of all core nodes, where only some are watched.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_total: Option<u64>,
    /// Ours: hash of its block 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genesis: Option<String>,
    /// Ours: nobody declared the block time; it is learned.
    #[serde(default, skip_serializing_if = "Flag::is_off")]
    pub block_time_learned: Flag,
    /// Ours: the exact word for when blocks are due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Arc<str>>,
    /// Ours: seconds after which a block is due at the latest, where `due` is `idle_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_max_s: Option<f64>,
    /// Ours: how much core weight may be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Arc<str>>,
    /// Ours: networks whose halt explains this one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Arc<str>>,
    /// Ours: the thresholds that are not the defaults, by their names in the configuration; times in seconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Arc<str>, f64>,
}

/// How blocks of a network become final.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct FinalityOf {
    /// `lag` or `none`; other words say more than we use.
    #[serde(default)]
    pub kind: Arc<str>,
    /// Declared seconds from the head to the final block; absent where nothing is final.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal_lag_s: Option<f64>,
}

/// When blocks are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// Always.
    #[default]
    Fixed,
    /// At random, as proof of work makes them.
    Poisson,
    /// When there is work.
    OnDemand,
}

/// A node.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub id: Arc<str>,
    /// Its network.
    pub chain: Arc<str>,
    /// `core` can halt the network.
    pub role: Role,
    /// Its weight among the core nodes.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
    /// Ours: its exact role.
    #[serde(rename = "as")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exactly: Option<Arc<str>>,
    /// Ours: seconds between two polls of it, where they are not those of the monitor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_s: Option<f64>,
    /// Ours: seconds a poll of it may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// Ours: the thresholds that are not the defaults, as for networks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Arc<str>, f64>,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Votes in consensus.
    Core,
    /// One's own node without a vote.
    #[default]
    Rpc,
    /// Somebody's endpoint.
    Public,
}

/// Any line but the first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// What it is.
    pub k: Kind,
    /// When, in milliseconds since the start.
    pub t: i64,
    /// The monitor's wall clock, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub w: Option<i64>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v: Option<Arc<str>>,
    /// The node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<Arc<str>>,
    /// Its network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub c: Option<Arc<str>>,
    /// What was probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Arc<str>>,
    /// Whether it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<Flag>,
    /// Milliseconds until it did, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lat: Option<u64>,
    /// How it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err: Option<String>,
    /// The height of its head ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h: Option<u64>,
    /// ... with its hash ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hh: Option<String>,
    /// ... its timestamp in Unix milliseconds ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ht: Option<i64>,
    /// ... and its transactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ntx: Option<u64>,
    /// What chain the node says it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<Arc<str>>,
    /// Whether it says that it is syncing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syncing: Option<Flag>,
    /// Its peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<u64>,
    /// Client and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ver: Option<Arc<str>>,
    /// Transactions that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pend: Option<u64>,
    /// Weight that signed the last block, per mille.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u16>,
    /// Older blocks: height and hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub g: Vec<(u64, String)>,
    /// The final height ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f: Option<u64>,
    /// ... its hash ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fh: Option<String>,
    /// ... and its timestamp in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ft: Option<i64>,
    /// The round of the height in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r: Option<u64>,
    /// The node's own wall clock, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nw: Option<i64>,
    /// What is announced ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Arc<str>>,
    /// ... from when ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// ... until when ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// ... and the first height that will not be made before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_height: Option<u64>,
    /// Ours: the beginning as it was announced on the wall clock, in Unix milliseconds ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_w: Option<i64>,
    /// ... and the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_w: Option<i64>,
    /// Ours: when the answer came, where the monitor took it in later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// Ours: the next line was taken in together with this one.
    #[serde(default, skip_serializing_if = "Flag::is_off")]
    pub more: Flag,
    /// Ours: the hash of the block before the head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ph: Option<String>,
    /// Ours: the hash of block 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genesis: Option<String>,
    /// Ours: the newest block that the node calls safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safe: Option<u64>,
    /// Ours: blocks that a node which is syncing says are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// Ours: the node says that it is warming up.
    #[serde(default, skip_serializing_if = "Flag::is_off")]
    pub starting: Flag,
    /// Ours: what tells the node behind the endpoint from others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Arc<str>>,
    /// Ours: weight of all validators of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validators: Option<u64>,
    /// Ours: heights at which a validator signed twice, which, and in which block the evidence is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equivocations: Vec<(u64, Arc<str>, u64)>,
    /// Ours: the upgrade that the chain has planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<(Arc<str>, u64)>,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A finished poll.
    Sample,
    /// A finished probe of the surroundings.
    Canary,
    /// The announcement of a halt.
    Notice,
    /// Anything else.
    #[default]
    #[serde(other)]
    Other,
}

/// A truth value, written as `true`, `false`, 1 or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "RawFlag", into = "u8")]
pub struct Flag(pub bool);

impl Flag {
    /// Whether it is false.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
    fn is_off(&self) -> bool {
        !self.0
    }
}

impl From<Flag> for bool {
    fn from(flag: Flag) -> Self {
        flag.0
    }
}

impl From<Flag> for u8 {
    fn from(flag: Flag) -> Self {
        Self::from(flag.0)
    }
}

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
