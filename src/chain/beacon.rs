//! Ethereum consensus clients: the Beacon API, which is REST. A height is a slot, and a slot may stay empty: then the
//! root at its height is that of the block before it, as in the protocol's own `get_block_root_at_slot`.
//!
//! The API tells no times: the time of a slot follows from that of the genesis and from the length of a slot, both told
//! by the node. Whoever the node is and how long its slots are is asked rarely; what is final is asked at a pace of its
//! own, because states are slow to come by at the edge of an epoch. So a poll asks two resources, now and then a third.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use self::{
    answer::{Calendar, Checkpoints, Genesis, Header, Identity, PeerCount, Spec, SyncState, Version, Wrapped},
    lineage::Lineage,
};
use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Question, Rota},
    memory::Remembered,
    reply::{Answer, Answers, RpcError},
};
use crate::{
    model::{BlockHash, Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Finality, Head, PollError, Syncing, clean_text},
};

mod answer;
mod lineage;

const SYNCING: usize = 1;
const GENESIS: usize = 2;
const SPEC: usize = 3;
const FINALITY: usize = 4;
const IDENTITY: usize = 5;
const PEERS: usize = 6;
const VERSION: usize = 7;
const COUNT: usize = 8;

/// How long it is believed who a node is.
const IDENTITY_PACE: Duration = Duration::from_secs(600);

/// How long the rules of a chain are believed: they change with a release of the client.
const SPEC_PACE: Duration = Duration::from_secs(24 * 3600);

/// How often peers are counted.
const PEERS_PACE: Duration = Duration::from_secs(60);

/// How often is asked again for what could not be had, or is in doubt though the node answers.
const RETRY: Duration = Duration::from_secs(30);

/// What is final is asked so many times in an epoch ...
const FINALITY_IN_EPOCH: u32 = 8;

/// ... and this often while nobody has told how long an epoch is.
const FINALITY_PACE: Duration = Duration::from_secs(12);

/// A head that has stood still for so long is not catching up with anything.
const STANDS: Duration = Duration::from_secs(120);

/// Longest version or peer id that is kept, in bytes.
const MAX_NAME: usize = 128;

/// In the order in which they are made: what matters more comes first.
static CALLS: [Call; COUNT] = [
    Call::get("/eth/v1/beacon/headers/head"),
    Call::get("/eth/v1/node/syncing"),
    Call::get("/eth/v1/beacon/genesis").every(IDENTITY_PACE),
    Call::get("/eth/v1/config/spec").every(SPEC_PACE),
    Call::get("/eth/v1/beacon/states/head/finality_checkpoints").optional().every(FINALITY_PACE),
    Call::get("/eth/v1/node/identity").optional().every(IDENTITY_PACE),
    Call::get("/eth/v1/node/peer_count").optional().every(PEERS_PACE),
    Call::get("/eth/v1/node/version").optional().every(IDENTITY_PACE),
];

/// What is remembered of one node.
#[derive(Debug)]
pub struct Beacon {
    /// The pace at which what is final is asked follows from the length of an epoch.
    calls: [Call; COUNT],
    rota: Rota,
    who: Who,
    calendar: Calendar,
    lineage: Lineage,
    /// The head, and since when it has been that.
    stood: Option<(BlockHash, Timestamp)>,
    checkpoints: Remembered<Checkpoints>,
    peers: Remembered<u64>,
    /// When it was last asked again for what is missing or in doubt.
    retried: Option<Timestamp>,
    /// Whether another process may have taken the node's place since.
    doubtful: bool,
    /// Whether a poll has begun that told nothing so far.
    unanswered: bool,
}

/// Who a node says it is.
#[derive(Debug, Default)]
struct Who {
    genesis: Option<BlockHash>,
    chain_id: Option<Arc<str>>,
    peer_id: Option<Arc<str>>,
    version: Option<Arc<str>>,
}

impl Default for Beacon {
    fn default() -> Self {
        Self {
            calls: CALLS.clone(),
            rota: Rota::default(),
            who: Who::default(),
            calendar: Calendar::default(),
            lineage: Lineage::default(),
            stood: None,
            checkpoints: Remembered::default(),
            peers: Remembered::default(),
            retried: None,
            doubtful: false,
            unanswered: false,
        }
    }
}

impl Adapter for Beacon {
    fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Everything at first; afterwards one resource at the most beside those of every poll.
    fn due(&mut self, now: Timestamp) -> CallSet {
        self.ask_again(now);
        let due = self.rota.take_turn(&self.calls, now);
        let is_first = self.retried.is_none();
        self.retried.get_or_insert(now);
        self.unanswered = true;
        if is_first {
            return due;
        }
        let later: CallSet = due.iter().filter(|position| SYNCING < *position).skip(1).collect();
        self.rota.forget(later.iter());
        later.iter().fold(due, CallSet::without)
    }

    fn interpret(
        &mut self,
        now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        let syncing = data::<SyncState>(answers.get(SYNCING)).map(|state| state.meaning());
        let header = self.header(answers.get(HEAD), syncing.is_some())?;
        self.unanswered = false;
        self.learn(answers);
        self.lineage.follow(header.slot(), header.root.0, header.parent());
        self.checkpoints.keep(now, verified::<Checkpoints>(answers.get(FINALITY)));
        self.peers.keep(now, data::<PeerCount>(answers.get(PEERS)).map(|peers| peers.connected.0));
        let head = self.block_of(&header);
        Ok(Facts {
            chain_id: self.who.chain_id.clone(),
            genesis: self.who.genesis,
            version: self.who.version.clone(),
            identity: self.who.peer_id.clone(),
            head,
            safe: self.safe(now),
            finality: self.finality(now),
            syncing: self.hint(now, &header, syncing),
            peers: self.peers.at(now, PEERS_PACE).copied(),
            participation: self.lineage.filled(),
            clock,
            ..Facts::at_height(head.height)
        })
    }

    /// A client that is not ready says 503 in JSON, but so do some front servers that have no client to ask.
    fn classify(&self, error: &RpcError) -> ErrorKind {
        let text = error.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match error.code {
            Some(503) if says(&["backend", "upstream", "no server", "no available server"]) => ErrorKind::Http5xx,
            Some(503) => ErrorKind::Starting,
            // No route says that, but the head of a chain that has not begun.
            Some(404) if says(&["genesis", "not yet"]) => ErrorKind::Starting,
            Some(500..=599) => ErrorKind::Http5xx,
            Some(402 | 429) => ErrorKind::RateLimited,
            Some(401 | 403) => ErrorKind::Unauthorized,
            _ => ErrorKind::HttpStatus,
        }
    }

    fn block_call(&self, height: Height) -> Option<Question> {
        Some(Question::Get { path: format!("/eth/v1/beacon/headers/{}", height.0).into() })
    }

    /// 404 for a slot without a block is an answer too: there is none.
    fn block(&self, height: Height, answer: &Answer<'_>) -> Option<Head> {
        let header = data::<Header>(answer).filter(|header| header.canonical != Some(false))?;
        (header.slot() == height.0).then(|| self.block_of(&header))
    }

    fn doubt_identity(&mut self) {
        self.doubtful = true;
    }
}

impl Beacon {
    /// Makes due what is missing or in doubt: at once after a poll that told nothing, else not too often, because many
    /// servers close every idle connection and are the same as before.
    fn ask_again(&mut self, now: Timestamp) {
        let Some(retried) = self.retried else { return };
        let soon = self.unanswered && self.doubtful;
        if !soon && now.since(retried) < RETRY {
            return;
        }
        self.retried = Some(now);
        if std::mem::take(&mut self.doubtful) {
            self.rota.forget([GENESIS, IDENTITY, VERSION]);
        }
        let missing = [(GENESIS, self.who.genesis.is_none()), (SPEC, self.calendar.slot.is_none())];
        self.rota.forget(missing.into_iter().filter(|(_, missing)| *missing).map(|(position, _)| position));
    }

    fn header(&self, answer: &Answer<'_>, is_beacon: bool) -> Result<Header, PollError> {
        let malformed = |what: &str| PollError::new(ErrorKind::Malformed, what);
        match answer {
            Answer::Missing => Err(malformed("no answer to the request for the head")),
            // Before the genesis there is no head; a node that tells how it stands is there all the same.
            Answer::Error(error) if error.code == Some(404) && is_beacon => {
                Err(PollError::new(ErrorKind::Starting, &format!("no head yet: {}", error.message)))
            }
            Answer::Error(error) => {
                let code = error.code.map(|code| format!("HTTP {code} ")).unwrap_or_default();
                Err(PollError::new(self.classify(error), &format!("{code}{}", error.message)))
            }
            Answer::Result(raw) => {
                let header = serde_json::from_str::<Wrapped<Header>>(raw.get());
                header.map(|header| header.data).map_err(|error| malformed(&error.to_string()))
            }
        }
    }

    /// In this API a node is syncing when its head is far behind the clock. When the chain stops that becomes true of all
    /// nodes, though none of them has anything to catch up with; so it is passed on only while the head moves.
    fn hint(&mut self, now: Timestamp, header: &Header, told: Option<Syncing>) -> Syncing {
        let root = header.root.0;
        let (_, since) = *self.stood.insert(self.stood.filter(|(head, _)| *head == root).unwrap_or((root, now)));
        match told {
            Some(Syncing::Yes { .. }) if STANDS <= now.since(since) => Syncing::Unknown,
            told => told.unwrap_or(Syncing::Unknown),
        }
    }

    /// Takes over what was answered; what was not keeps its old value, unless it is another chain that speaks.
    fn learn(&mut self, answers: &Answers<'_>) {
        if let Some(genesis) = data::<Genesis>(answers.get(GENESIS)) {
            let root = genesis.genesis_validators_root.0;
            if self.who.genesis.is_some_and(|before| before != root) {
                self.forget_chain();
            }
            (self.who.genesis, self.calendar.genesis) = (Some(root), genesis.time());
        }
        if let Some(spec) = data::<Spec>(answers.get(SPEC)) {
            (self.calendar.slot, self.calendar.slots_per_epoch) = (spec.slot(), spec.slots_per_epoch());
            self.who.chain_id = spec.chain_id().map(|number| number.to_string().into());
            self.calls[FINALITY].every = self.finality_pace();
        }
        if let Some(identity) = data::<Identity<'_>>(answers.get(IDENTITY)) {
            note(&mut self.who.peer_id, &identity.peer_id);
        }
        if let Some(version) = data::<Version<'_>>(answers.get(VERSION)) {
            note(&mut self.who.version, &version.version);
        }
    }

    /// What is remembered is that of another chain: its rules are asked for at the next poll.
    fn forget_chain(&mut self) {
        self.calendar = Calendar::default();
        self.who.chain_id = None;
        self.lineage.forget();
        self.checkpoints = Remembered::default();
        self.rota.forget([SPEC, FINALITY]);
    }

    fn finality_pace(&self) -> Duration {
        let epoch = self.calendar.epoch().map(|epoch| epoch / FINALITY_IN_EPOCH);
        epoch.zip(self.calendar.slot).map_or(FINALITY_PACE, |(share, slot)| share.max(slot))
    }

    fn block_of(&self, header: &Header) -> Head {
        Head {
            height: Height(header.slot()),
            hash: Some(header.root.0),
            parent: header.parent(),
            time: self.calendar.time_of(header.slot()),
            transactions: None,
        }
    }

    fn told(&self, now: Timestamp) -> Option<&Checkpoints> {
        self.checkpoints.at(now, self.calls[FINALITY].every)
    }

    fn safe(&self, now: Timestamp) -> Option<Height> {
        let justified = self.told(now)?.current_justified.filter(answer::Checkpoint::is_one)?;
        self.calendar.first_slot(justified.epoch.0)
    }

    fn finality(&self, now: Timestamp) -> Finality {
        let known = || {
            let finalized = self.told(now)?.finalized.filter(answer::Checkpoint::is_one)?;
            let height = self.calendar.first_slot(finalized.epoch.0)?;
            let (hash, time) = (Some(finalized.root.0), self.calendar.time_of(height.0));
            Some(Finality::Known { height, hash, time })
        };
        known().unwrap_or(Finality::Unknown)
    }
}

/// What stands under `data`.
fn data<'a, T: Deserialize<'a>>(answer: &Answer<'a>) -> Option<T> {
    Some(answer.read::<Wrapped<T>>()?.data)
}

/// The same, unless the execution client has not verified it yet.
fn verified<'a, T: Deserialize<'a>>(answer: &Answer<'a>) -> Option<T> {
    let wrapped = answer.read::<Wrapped<T>>()?;
    (wrapped.execution_optimistic != Some(true)).then_some(wrapped.data)
}

fn note(known: &mut Option<Arc<str>>, told: &str) {
    let told = clean_text(told, MAX_NAME);
    if known.as_deref() != Some(&*told) {
        *known = Some(told.into());
    }
}

#[cfg(test)]
mod tests;
