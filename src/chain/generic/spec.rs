//! What a configuration says of a chain that nobody knows: its calls, and what their answers tell.

use std::{fmt, time::Duration};

use super::expression::{Condition, Expression};
use crate::{
    chain::adapter::{Call, Question},
    model::{BlockHash, UnixTime},
    observation::Syncing,
};

/// Calls of one chain at the most.
pub const MAX_CALLS: usize = 16;

/// What kind of value a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// A hash of 32 bytes.
    Hash,
    /// A point in time.
    Time,
    /// A text.
    Text,
}

macro_rules! facts {
    ($($(#[$doc:meta])* $fact:ident = $key:literal, $kind:ident;)*) => {
        /// What an answer can tell, beside whether the node is synchronising.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fact { $($(#[$doc])* $fact,)* }

        impl Fact {
            /// Every fact, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$fact,)*];

            /// The key under which it stands in the configuration.
            #[must_use]
            pub fn key(self) -> &'static str {
                match self { $(Self::$fact => $key,)* }
            }

            /// What kind of value it is.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$fact => Kind::$kind,)* }
            }
        }
    };
}

facts! {
    /// The number of the newest block.
    Height = "height", Number;
    /// Its hash.
    Hash = "hash", Hash;
    /// The hash of the block before it.
    Parent = "parent", Hash;
    /// Its timestamp.
    Time = "time", Time;
    /// The number of transactions in it.
    Transactions = "transactions", Number;
    /// The number of the newest safe block.
    Safe = "safe", Number;
    /// The number of the newest final block.
    Finalized = "finalized", Number;
    /// The hash of that block.
    FinalizedHash = "finalized_hash", Hash;
    /// The timestamp of that block.
    FinalizedTime = "finalized_time", Time;
    /// By how many blocks the node is behind, in its own opinion.
    Behind = "behind", Number;
    /// The number of connected peers.
    Peers = "peers", Number;
    /// Transactions that wait for a block.
    Pending = "pending", Number;
    /// The chain the node says it follows.
    ChainId = "chain_id", Text;
    /// The hash of the first block.
    Genesis = "genesis", Hash;
    /// Client and version.
    Version = "version", Text;
    /// The round of consensus in progress.
    Round = "round", Number;
    /// What moves while nodes agree with each other.
    Heartbeat = "heartbeat", Number;
    /// What tells the node from every other.
    Identity = "identity", Text;
}

impl Fact {
    /// Whether it is a part of the newest block, all of which must come from one instant and so from one answer.
    #[must_use]
    pub fn is_of_head(self) -> bool {
        matches!(self, Self::Height | Self::Hash | Self::Parent | Self::Time | Self::Transactions)
    }

    /// Whether it is a part of the newest final block.
    #[must_use]
    pub fn is_of_final_block(self) -> bool {
        matches!(self, Self::Finalized | Self::FinalizedHash | Self::FinalizedTime)
    }
}

/// What is asked of every node of a chain. The call that tells the height stands first.
#[derive(Clone, PartialEq, Eq)]
pub struct Spec {
    calls: Vec<Call>,
    meanings: Vec<Meaning>,
    keys: Vec<String>,
}

/// What the answer to one call means.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Meaning {
    /// What it tells.
    pub facts: Vec<(Fact, Expression)>,
    /// Whether the node says it is catching up.
    pub syncing: Option<Condition>,
    /// What must be true for the answer to be one.
    pub success: Option<Condition>,
    /// What is true while the node cannot answer yet.
    pub starting: Option<Condition>,
}

/// Paths and parameters may hold keys: they are not shown.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.calls.iter().zip(&self.meanings).map(|(call, meaning)| {
            let asked = match &call.question {
                Question::Rpc { method, .. } => &**method,
                Question::Get { .. } => "GET …",
            };
            format!("{asked}, every {:?}, optional {}: {meaning:?}", call.every, call.optional)
        });
        f.debug_list().entries(calls).finish()
    }
}

impl fmt::Debug for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = [("success", &self.success), ("starting", &self.starting), ("syncing", &self.syncing)];
        let conditions = conditions.into_iter().filter_map(|(key, it)| Some(format!("{key} = {:?}", it.as_ref()?)));
        let facts = self.facts.iter().map(|(fact, it)| format!("{} = {it:?}", fact.key()));
        f.write_str(&conditions.chain(facts).collect::<Vec<_>>().join("; "))
    }
}

impl Meaning {
    /// Whether it tells this.
    #[must_use]
    pub fn tells(&self, fact: Fact) -> bool {
        self.facts.iter().any(|(told, _)| *told == fact)
    }
}

impl Spec {
    /// A chain with these calls; `None` if none of them tells the height, or if they are too many.
    #[must_use]
    pub fn new(mut asked: Vec<(Call, Meaning)>) -> Option<Self> {
        let head = asked.iter().position(|(_, meaning)| meaning.tells(Fact::Height))?;
        asked[..=head].rotate_right(1);
        let (calls, meanings) = asked.into_iter().unzip();
        Some(Self { calls, meanings, keys: Vec::new() }).filter(|spec| spec.calls.len() <= MAX_CALLS)
    }

    /// The same chain; these parts of its calls are keys, which are not shown where a node quotes them.
    #[must_use]
    pub fn with_keys(self, keys: Vec<String>) -> Self {
        Self { keys, ..self }
    }

    /// The parts of its calls that are keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    /// Every call; that which tells the height stands first.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Whether any answer tells this.
    #[must_use]
    pub fn tells(&self, fact: Fact) -> bool {
        self.meanings.iter().any(|meaning| meaning.tells(fact))
    }

    /// Requests of a poll that comes every `interval`, without those at a pace of their own: all methods stand in one
    /// batch, each resource in a request of its own.
    #[must_use]
    pub fn requests(&self, interval: Duration) -> usize {
        let fast = || self.calls.iter().filter(|call| call.every <= interval).map(|call| &call.question);
        let resources = fast().filter(|question| matches!(question, Question::Get { .. })).count();
        resources + usize::from(fast().any(|question| matches!(question, Question::Rpc { .. })))
    }

    /// What the answer to the call at `position` means.
    #[must_use]
    pub fn meaning(&self, position: usize) -> Option<&Meaning> {
        self.meanings.get(position)
    }
}

/// Of a node that no configuration describes the endpoint itself is asked for, and nothing is understood.
impl Default for Spec {
    fn default() -> Self {
        Self { calls: vec![Call::get("")], meanings: vec![Meaning::default()], keys: Vec::new() }
    }
}

/// A JSON-RPC call of a method with parameters that are JSON text.
#[must_use]
pub fn rpc(method: String, params: String) -> Question {
    Question::Rpc { method: method.into(), params: params.into() }
}

/// A resource below the endpoint.
#[must_use]
pub fn get(path: String) -> Question {
    Question::Get { path: path.into() }
}

/// What one answer has told.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    values: Vec<(Fact, Value)>,
    syncing: Option<bool>,
}

#[derive(Debug, Clone)]
enum Value {
    Number(u64),
    Hash(BlockHash),
    Time(UnixTime),
    Text(String),
}

impl Meaning {
    /// What the answer tells: only what is there and what it has to be.
    pub(super) fn read(&self, json: &str) -> Told {
        let value = |(fact, expression): &(Fact, Expression)| {
            let value = match fact.kind() {
                Kind::Number => {
                    let number = expression.number(json)?;
                    // A node that is ahead of what it wants to reach is not behind; nothing else can be below zero.
                    let number = if *fact == Fact::Behind { number.max(0) } else { number };
                    Value::Number(u64::try_from(number).ok()?)
                }
                Kind::Hash => Value::Hash(expression.hash(json)?),
                Kind::Time => Value::Time(expression.time(json)?),
                Kind::Text => Value::Text(expression.text(json)?),
            };
            Some((*fact, value))
        };
        Told {
            values: self.facts.iter().filter_map(value).collect(),
            syncing: self.syncing.as_ref().and_then(|syncing| syncing.holds(json)),
        }
    }

    /// Where this is looked for.
    pub(super) fn place(&self, fact: Fact) -> Option<&str> {
        self.facts.iter().find(|(told, _)| *told == fact).map(|(_, expression)| expression.written())
    }

    /// What a good answer should tell and this one does not, and where it was looked for. What is null is not told at
    /// present.
    pub(super) fn untold(&self, json: &str) -> impl Iterator<Item = (&'static str, &str)> {
        let told = self.read(json);
        let syncing = self.syncing.as_ref().filter(|_| told.syncing.is_none()).map(|it| ("syncing", it.written()));
        let is_told = move |fact: Fact| told.values.iter().any(|(known, _)| *known == fact);
        let untold = self.facts.iter().filter(move |(fact, it)| !is_told(*fact) && !it.is_null(json));
        untold.map(|(fact, it)| (fact.key(), it.written())).chain(syncing)
    }
}

impl Told {
    /// Adds what another answer has told.
    pub(super) fn join(&mut self, other: &Self) {
        self.values.extend(other.values.iter().cloned());
        self.syncing = self.syncing.or(other.syncing);
    }

    pub(super) fn number(&self, fact: Fact) -> Option<u64> {
        self.find(fact, |value| if let Value::Number(number) = value { Some(*number) } else { None })
    }

    pub(super) fn hash(&self, fact: Fact) -> Option<BlockHash> {
        self.find(fact, |value| if let Value::Hash(hash) = value { Some(*hash) } else { None })
    }

    pub(super) fn time(&self, fact: Fact) -> Option<UnixTime> {
        self.find(fact, |value| if let Value::Time(time) = value { Some(*time) } else { None })
    }

    pub(super) fn text(&self, fact: Fact) -> Option<&str> {
        self.find(fact, |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    /// What the node says of its synchronisation.
    pub(super) fn syncing(&self) -> Syncing {
        let behind = self.number(Fact::Behind);
        match (self.syncing, behind) {
            (Some(false), _) | (None, Some(0)) => Syncing::No,
            (Some(true), _) | (None, Some(_)) => Syncing::Yes { behind },
            (None, None) => Syncing::Unknown,
        }
    }

    fn find<'t, T>(&'t self, fact: Fact, read: impl Fn(&'t Value) -> Option<T>) -> Option<T> {
        let (_, value) = self.values.iter().find(|(told, _)| *told == fact)?;
        read(value)
    }
}
