//! Substrate and the Polkadot SDK: relay chains, parachains, chains of their own.
//!
//! A header tells neither its hash nor its time. So a poll asks for the head, the hash of the best block and the finalized
//! hash in one batch, and in a second one for what stands under those hashes: the time of the head, the number of the
//! finalized block. What stands under a hash never changes, so the second batch is only made when a block is new. Hash and
//! time are believed only if the best hash is the one at the height of the head: in between a block may have come.
//!
//! The hash of the first block is asked for in every poll, because a balancer or a name may bring us to another chain at
//! any moment. Who else the node is, the votes of GRANDPA and what waits in the pool are asked for at their own pace, in
//! the second batch, so that a long answer spoils nothing that decides.
//!
//! The number of a GRANDPA round is no round of a height: it grows for ever while all is well, so none is told.

use std::time::Duration;

use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Question, Rota, decisive},
    family::Particulars,
    memory::Remembered,
    quantity::{Count, Hash},
    reply::{Answer, Answers, RpcError},
};
use crate::{
    model::{BlockHash, Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Finality, Head, PollError, Syncing},
};

mod answer;
mod memory;

use answer::{Header, Health, RoundState, Runtime, SyncState, is_peer_id, moment};
use memory::{Best, Identity, Seen, name};

/// The variant whose blocks are made by hand, or for each extrinsic.
const MANUAL_SEAL: &str = "manual-seal";

/// How often name, version and runtime of a node are asked for.
const IDENTITY: Duration = Duration::from_secs(600);

/// How often the votes of GRANDPA are asked for. A round takes a few seconds: one that is the same the next time stands.
const VOTES: Duration = Duration::from_secs(30);

/// How often the pool is asked for, which may hold thousands of extrinsics.
const POOL: Duration = Duration::from_secs(60);

/// For so many of its paces, a pace being no less than this, a pool that was not told is left alone: it may be larger than
/// what we read, and took the rest of the batch with it.
const POOL_REST: u32 = 5;
const POOL_REST_PACE: Duration = Duration::from_secs(10);

/// Blocks that a node may have to import without calling that a synchronisation: the flag goes up for moments on every
/// node to which several blocks come at once.
const ON_THE_WAY: u64 = 10;

/// A node that does not tell how far behind it is must say in so many polls that it is.
const BUSY_POLLS: u8 = 3;

/// The key of `Timestamp.Now` in storage: twice 128 bits of xxHash, of the pallet's name and of the item's.
const NOW_KEY: &str = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";

const GENESIS: usize = 1;
const BEST: usize = 2;
const FINALIZED: usize = 3;
const HEALTH: usize = 4;
const AT_HEIGHT: usize = 5;
const TIME: usize = 6;
const FINAL_HEADER: usize = 7;
const SYNC_STATE: usize = 8;
const CHAIN: usize = 9;
const CLIENT: usize = 10;
const VERSION: usize = 11;
const RUNTIME: usize = 12;
const PEER_ID: usize = 13;
const ROUND_STATE: usize = 14;
const PENDING: usize = 15;

/// In the order in which they are made where they are made one by one: what matters more comes first.
static CALLS: [Call; 16] = [
    Call::rpc("chain_getHeader", "[]"),
    // Who the node is decides whether its word counts at all.
    Call::rpc("chain_getBlockHash", "[0]"),
    Call::rpc("chain_getBlockHash", "[]"),
    Call::rpc("chain_getFinalizedHead", "[]").optional(),
    // A light client without peers never answers it: whatever matters has been asked before.
    Call::rpc("system_health", "[]").optional(),
    // Parameters of these stand here once they are known.
    Call::rpc("chain_getBlockHash", "[]"),
    Call::rpc("state_getStorage", "[]").optional(),
    Call::rpc("chain_getHeader", "[]"),
    Call::rpc("system_syncState", "[]").optional(),
    Call::rpc("system_chain", "[]").optional().every(IDENTITY),
    Call::rpc("system_name", "[]").optional().every(IDENTITY),
    Call::rpc("system_version", "[]").optional().every(IDENTITY),
    Call::rpc("state_getRuntimeVersion", "[]").optional().every(IDENTITY),
    Call::rpc("system_localPeerId", "[]").optional().every(IDENTITY),
    Call::rpc("grandpa_roundState", "[]").optional().every(VOTES),
    Call::rpc("author_pendingExtrinsics", "[]").optional().every(POOL),
];

/// What is remembered of one node.
#[derive(Debug)]
pub struct Substrate {
    calls: Vec<Call>,
    rota: Rota,
    identity: Identity,
    best: Option<Best>,
    finalized: Option<(BlockHash, Height)>,
    votes: Remembered<Seen>,
    /// What waited in the pool, and at which head: a count from before a block says nothing of what waits after it.
    pending: Remembered<(Height, u64)>,
    /// The pool is not asked for until then.
    pool_rests: Option<Timestamp>,
    /// Whether the pool was asked for in this poll.
    pool_asked: bool,
    /// Polls in a row in which the node said that it is synchronising.
    busy_polls: u8,
}

impl Substrate {
    /// An adapter for the variant that is declared.
    #[must_use]
    pub fn new(particulars: &Particulars) -> Self {
        let mut calls = CALLS.to_vec();
        if particulars.variant == Some(MANUAL_SEAL) {
            // What waits is all that makes a block due there.
            calls[PENDING].every = Duration::ZERO;
        }
        Self {
            calls,
            rota: Rota::default(),
            identity: Identity::default(),
            best: None,
            finalized: None,
            votes: Remembered::default(),
            pending: Remembered::default(),
            pool_rests: None,
            pool_asked: false,
            busy_polls: 0,
        }
    }
}

impl Adapter for Substrate {
    fn calls(&self) -> &[Call] {
        &self.calls
    }

    fn due(&mut self, _now: Timestamp) -> CallSet {
        [HEAD, GENESIS, BEST, FINALIZED, HEALTH].into_iter().collect()
    }

    fn follow_up(&mut self, now: Timestamp, answers: &Answers<'_>) -> CallSet {
        self.pool_asked = false;
        let Some(head) = answers.get(HEAD).read::<Header>() else { return CallSet::default() };
        self.meet(answers);
        let mut due = self.rare(now);
        if let Some(best) = hash(answers, BEST).filter(|best| self.known(head.height(), *best).is_none()) {
            self.ask(AT_HEIGHT, format!("[{}]", head.height()));
            self.ask(TIME, format!(r#"["{NOW_KEY}","{best}"]"#));
            due = due.with(AT_HEIGHT).with(TIME);
        }
        if let Some(hash) = hash(answers, FINALIZED).filter(|hash| self.number_of(*hash).is_none()) {
            self.ask(FINAL_HEADER, format!(r#"["{hash}"]"#));
            due = due.with(FINAL_HEADER);
        }
        let busy = answers.get(HEALTH).read::<Health>().is_some_and(|health| health.is_syncing == Some(true));
        if busy { due.with(SYNC_STATE) } else { due }
    }

    fn interpret(
        &mut self,
        now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        let header = decisive(self, answers.get(HEAD), "the best header")?;
        self.meet(answers);
        self.remember(now, &header, answers);
        let health = answers.get(HEALTH).read::<Health>();
        let syncing = self.syncing(health, answers);
        let votes = self.votes.at(now, VOTES);
        let waited = self.pending.at(now, self.calls[PENDING].every);
        Ok(Facts {
            chain_id: self.identity.chain.at(now, IDENTITY).cloned(),
            genesis: hash(answers, GENESIS),
            version: self.identity.version(now, IDENTITY),
            identity: self.identity.peer.at(now, IDENTITY).cloned(),
            head: self.head(&header, answers),
            finality: self.finality(answers),
            peers: health.and_then(|health| health.peers()),
            syncing,
            pending: waited.filter(|(height, _)| *height == header.height()).map(|(_, pending)| *pending),
            validators: votes.map(|votes| votes.total),
            participation: votes.and_then(|votes| votes.participation),
            absent: votes.map(|votes| votes.absent.clone()).unwrap_or_default(),
            clock,
            ..Facts::at_height(header.height())
        })
    }

    /// No code means a spent quota here: -32005 is that of refused batches. The words of limits and providers tell.
    fn classify(&self, error: &RpcError) -> ErrorKind {
        let text = error.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match error.code {
            Some(-32029 | 429 | 402) => ErrorKind::RateLimited,
            Some(401 | 403) => ErrorKind::Unauthorized,
            _ if says(&["rate limit", "rate-limit", "too many requests", "capacity", "quota"]) => {
                ErrorKind::RateLimited
            }
            _ if says(&["not ready", "still starting", "warming up"]) => ErrorKind::Starting,
            _ => ErrorKind::Rpc,
        }
    }

    fn block_call(&self, height: Height) -> Option<Question> {
        Some(Question::Rpc { method: "chain_getBlockHash".into(), params: format!("[{height}]").into() })
    }

    fn block(&self, height: Height, answer: &Answer<'_>) -> Option<Head> {
        let hash = answer.read::<Hash>()?.0;
        Some(Head { hash: Some(hash), ..Facts::at_height(height).head })
    }

    fn doubt_identity(&mut self) {
        self.rota.forget(CHAIN..=PEER_ID);
    }
}

impl Substrate {
    /// What is asked for at a pace of its own and is due. An identity that was not told is asked for more often than one
    /// that was.
    fn rare(&mut self, now: Timestamp) -> CallSet {
        let Identity { chain, client, version, runtime, peer, .. } = &self.identity;
        let unknown = [
            (CHAIN, !chain.is_known()),
            (CLIENT, !client.is_known()),
            (VERSION, !version.is_known()),
            (RUNTIME, !runtime.is_known()),
            (PEER_ID, !peer.is_known()),
        ];
        let mut due: CallSet = self.rota.take_turn(&self.calls, now).iter().filter(|it| CHAIN <= *it).collect();
        if due.has(ROUND_STATE) {
            due =
                unknown.into_iter().filter(|(_, unknown)| *unknown).fold(due, |due, (position, _)| due.with(position));
        }
        self.pool_asked = due.has(PENDING) && self.pool_rests.is_none_or(|until| until <= now);
        if self.pool_asked { due } else { due.without(PENDING) }
    }

    fn ask(&mut self, position: usize, params: String) {
        if let Question::Rpc { params: old, .. } = &mut self.calls[position].question {
            *old = params.into();
        }
    }

    /// Notes which chain speaks. Of another one than before nothing is known.
    fn meet(&mut self, answers: &Answers<'_>) {
        let Some(genesis) = hash(answers, GENESIS) else { return };
        if self.identity.genesis.is_some_and(|known| known != genesis) {
            self.identity = Identity::default();
            (self.best, self.finalized) = (None, None);
            (self.votes, self.pending) = <(Remembered<_>, Remembered<_>)>::default();
            self.rota.forget(CHAIN..=PENDING);
        }
        self.identity.genesis = Some(genesis);
    }

    /// Takes over what was answered; what was not keeps its old value.
    fn remember(&mut self, now: Timestamp, header: &Header, answers: &Answers<'_>) {
        let text = |position: usize| answers.get(position).read::<String>().map(|text| name(&text));
        let identity = &mut self.identity;
        identity.chain.keep(now, text(CHAIN).map(Into::into));
        identity.client.keep(now, text(CLIENT));
        identity.version.keep(now, text(VERSION));
        let runtime = answers.get(RUNTIME).read::<Runtime<'_>>();
        let runtime = runtime.map(|runtime| name(&format!("{}-{}", runtime.spec_name, runtime.spec_version.0)));
        identity.runtime.keep(now, runtime);
        identity.peer.keep(now, text(PEER_ID).filter(|text| is_peer_id(text)).map(Into::into));
        self.remember_blocks(header, answers);
        if let Some(state) = answers.get(ROUND_STATE).read::<RoundState>() {
            let seen = self.see(now, &state);
            self.votes.keep(now, Some(seen));
        }
        let pending = answers.get(PENDING).read::<Count>();
        if self.pool_asked && matches!(answers.get(PENDING), Answer::Missing) {
            self.pool_rests = Some(now.after(self.calls[PENDING].every.max(POOL_REST_PACE) * POOL_REST));
        }
        self.pending.keep(now, pending.map(|count| (header.height(), count.0)));
    }

    /// What stands under the hashes that were told.
    fn remember_blocks(&mut self, header: &Header, answers: &Answers<'_>) {
        if let Some(best) = hash(answers, BEST).filter(|best| hash(answers, AT_HEIGHT) == Some(*best)) {
            let time = answers.get(TIME).read::<&str>().and_then(moment);
            self.best = Some(Best { height: header.height(), hash: best, time });
        }
        let finalized = hash(answers, FINALIZED).zip(answers.get(FINAL_HEADER).read::<Header>());
        if let Some((hash, header)) = finalized {
            // Some answer with the first block where they do not know the hash.
            let stranger = header.height() == Height(0) && self.identity.genesis != Some(hash);
            self.finalized = (!stranger).then_some((hash, header.height()));
        }
    }

    /// What a round tells. One that is the same as it was a whole pace before stands still.
    fn see(&self, now: Timestamp, state: &RoundState) -> Seen {
        let before = self.votes.at(now, VOTES);
        let stands = before.is_some_and(|before| before.round == state.round());
        let absent = if stands { state.missing() } else { Vec::new() };
        Seen { round: state.round(), total: state.total(), participation: state.participation(stands), absent }
    }

    fn head(&self, header: &Header, answers: &Answers<'_>) -> Head {
        let best = hash(answers, BEST).and_then(|best| self.known(header.height(), best));
        Head {
            hash: best.map(|best| best.hash).or_else(|| hash(answers, AT_HEIGHT)),
            parent: header.parent(),
            time: best.and_then(|best| best.time),
            ..Facts::at_height(header.height()).head
        }
    }

    /// What is known of the best block, if it is this one.
    fn known(&self, height: Height, hash: BlockHash) -> Option<Best> {
        self.best.filter(|best| (best.height, best.hash) == (height, hash))
    }

    /// The first block is final by definition, and stays the newest final one where there is no GRANDPA: that says nothing.
    fn finality(&self, answers: &Answers<'_>) -> Finality {
        let told = hash(answers, FINALIZED).and_then(|hash| Some((hash, self.number_of(hash)?)));
        let told = told.filter(|(_, height)| *height != Height(0));
        told.map_or(Finality::Unknown, |(hash, height)| Finality::Known { height, hash: Some(hash), time: None })
    }

    fn number_of(&self, finalized: BlockHash) -> Option<Height> {
        self.finalized.filter(|(hash, _)| *hash == finalized).map(|(_, height)| height)
    }

    fn syncing(&mut self, health: Option<Health>, answers: &Answers<'_>) -> Syncing {
        let Some(busy) = health.and_then(|health| health.is_syncing) else { return Syncing::Unknown };
        self.busy_polls = if busy { self.busy_polls.saturating_add(1) } else { 0 };
        let behind = answers.get(SYNC_STATE).read::<SyncState>().and_then(|state| state.behind());
        match behind {
            _ if !busy => Syncing::No,
            Some(behind) if behind <= ON_THE_WAY => Syncing::No,
            None if self.busy_polls < BUSY_POLLS => Syncing::Unknown,
            behind => Syncing::Yes { behind },
        }
    }
}

fn hash(answers: &Answers<'_>, position: usize) -> Option<BlockHash> {
    answers.get(position).read::<Hash>().map(|hash| hash.0)
}

#[cfg(test)]
mod tests;
