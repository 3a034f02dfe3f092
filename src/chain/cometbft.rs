//! CometBFT and Tendermint: the RPC of the consensus engine.
//!
//! `status` tells the head, which is final. `consensus_state` tells how the height in progress stands and goes along in
//! the same batch as long as it is short: in a long fight for a block it grows by every round, and an answer that is too
//! large would be taken for a dead node. Everything else has a pace of its own and is asked for in a second round, so that
//! whatever comes of it the head is known. That a node is not catching up (`catching_up: false`) only says that its
//! consensus is in charge, not that it is up to date.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Question, Rota, decisive},
    memory::Remembered,
    reply::{Answer, Answers, RpcError},
};
use crate::{
    model::{Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Finality, Head, PollError, Syncing, Upgrade, clean_text},
};

mod answer;
mod consensus;
mod evidence;
mod plan;
mod validators;

pub(super) use answer::Decimal;
use answer::{AbciInfo, Backlog, Headers, NetInfo, Status, SyncInfo};
use consensus::{ConsensusState, Progress, Vigil};
use evidence::{EvidentBlock, Trail};
use plan::Queried;
use validators::{Roster, SignedBlock};

const UNCONFIRMED: usize = 1;
const CONSENSUS: usize = 2;
const NET_INFO: usize = 3;
const ABCI_INFO: usize = 4;
const PLAN: usize = 5;
const VALIDATORS: usize = 6;
const COMMIT: usize = 7;
const HEADERS: usize = 8;
const BLOCK: usize = 9;

/// Calls in one batch: nodes refuse more (`max_request_batch_size`, since CometBFT 0.38.8).
const BATCH: usize = 10;

const SECOND: Duration = Duration::from_secs(1);

/// What is heavy comes at paces of its own; the parameters of the last four are those of the moment.
static CALLS: [Call; 10] = [
    Call::rpc("status", "{}"),
    Call::rpc("num_unconfirmed_txs", "{}").optional(),
    Call::rpc("consensus_state", "{}").optional(),
    Call::rpc("net_info", "{}").optional().every(SECOND.saturating_mul(30)),
    Call::rpc("abci_info", "{}").optional().every(SECOND.saturating_mul(600)),
    Call::rpc("abci_query", plan::QUERY).optional().every(SECOND.saturating_mul(60)),
    Call::rpc("validators", "{}").optional().every(validators::PACE),
    Call::rpc("commit", "{}").optional().every(SECOND.saturating_mul(10)),
    Call::rpc("blockchain", "{}").optional().every(SECOND.saturating_mul(10)),
    Call::rpc("block", "{}").optional().every(SECOND.saturating_mul(2)),
];

/// A state of consensus longer than this, in bytes, leaves the batch with the head.
const LONG: usize = 256 * 1024;

/// A long one is asked for this often.
const LONG_PACE: Duration = Duration::from_secs(30);

/// After a second round that brought nothing, only one call is made in each for this long.
const CAUTION: Duration = Duration::from_secs(600);

/// Longest chain id and version that are kept, in bytes.
const MAX_NAME: usize = 64;
const MAX_VERSION: usize = 128;

/// What is remembered of one node.
#[derive(Debug)]
pub struct CometBft {
    calls: [Call; 10],
    rota: Rota,
    /// Whether the last state of consensus was short.
    short: bool,
    /// When a long one was last asked for.
    long_asked: Option<Timestamp>,
    /// The second round of this poll.
    asked: CallSet,
    /// Since when second rounds are made of one call, and the last one made.
    caution: Option<Timestamp>,
    turn: usize,
    chain_id: Option<Arc<str>>,
    identity: Option<Arc<str>>,
    application: Option<Box<str>>,
    version: Option<Arc<str>>,
    peers: Remembered<u64>,
    upgrade: Remembered<Option<Upgrade>>,
    signed: Remembered<validators::Signed>,
    roster: Roster,
    vigil: Vigil,
    trail: Trail,
}

impl Default for CometBft {
    fn default() -> Self {
        Self {
            calls: CALLS.clone(),
            rota: Rota::default(),
            short: false,
            long_asked: None,
            asked: CallSet::default(),
            caution: None,
            turn: HEAD,
            chain_id: None,
            identity: None,
            application: None,
            version: None,
            peers: Remembered::default(),
            upgrade: Remembered::default(),
            signed: Remembered::default(),
            roster: Roster::default(),
            vigil: Vigil::default(),
            trail: Trail::default(),
        }
    }
}

impl Adapter for CometBft {
    fn calls(&self) -> &[Call] {
        &self.calls
    }

    fn due(&mut self, _now: Timestamp) -> CallSet {
        self.asked = CallSet::default();
        let due = CallSet::default().with(HEAD).with(UNCONFIRMED);
        if self.short { due.with(CONSENSUS) } else { due }
    }

    fn follow_up(&mut self, now: Timestamp, answers: &Answers<'_>) -> CallSet {
        let Some(status) = answers.get(HEAD).read::<Status<'_>>() else { return CallSet::default() };
        let wanted = self.wanted(now, &status);
        let due = self.rota.take_turn(&self.calls, now);
        let mut asked: CallSet = wanted.iter().filter(|position| due.has(*position)).collect();
        if self.caution.is_some_and(|since| now.since(since) < CAUTION) {
            let next = asked.iter().find(|position| self.turn < *position).or_else(|| asked.iter().next());
            asked = next.into_iter().collect();
            self.turn = next.unwrap_or(HEAD);
        }
        self.rota.forget(due.iter().filter(|position| !asked.has(*position)));
        if asked.has(CONSENSUS) {
            self.long_asked = Some(now);
        }
        self.asked = asked;
        asked
    }

    fn batch_limit(&self) -> usize {
        BATCH
    }

    fn interpret(
        &mut self,
        now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        let status = decisive(self, answers.get(HEAD), "the status")?;
        self.meet(&status);
        self.take_version(&status, answers.get(ABCI_INFO));
        let head = newest(&status.sync_info).ok_or_else(|| PollError::new(ErrorKind::Starting, "no block yet"))?;
        self.learn(now, head.height.0, answers);
        let catching_up = status.sync_info.catching_up;
        let progress = self.progress(now, head.height.0, answers.get(CONSENSUS)).filter(|_| catching_up != Some(true));
        let first = status.sync_info.earliest_block_hash.0.filter(|_| status.sync_info.earliest_block_height.0 == 1);
        let signed = self.signed.at(now, CALLS[COMMIT].every);
        let total = progress.as_ref().and_then(|progress| progress.total);
        let missing = progress.as_ref().map(|progress| self.roster.names(now, &progress.missing)).unwrap_or_default();
        let unsigned = || signed.map(|signed| signed.absent.clone()).unwrap_or_default();
        Ok(Facts {
            chain_id: self.chain_id.clone(),
            genesis: first,
            version: self.version.clone(),
            head,
            finality: Finality::Known { height: head.height, hash: head.hash, time: head.time },
            syncing: match catching_up {
                Some(true) => Syncing::Yes { behind: None },
                Some(false) => Syncing::No,
                None => Syncing::Unknown,
            },
            peers: self.peers.at(now, CALLS[NET_INFO].every).copied(),
            pending: answers.get(UNCONFIRMED).read::<Backlog>().map(|backlog| backlog.total.0),
            round: progress.as_ref().map(|progress| progress.round),
            seats: progress.as_ref().and_then(|progress| progress.seats),
            power: power(&status),
            absent: if missing.is_empty() { unsigned() } else { missing },
            participation: signed.map(|signed| signed.participation),
            identity: self.identity.clone(),
            validators: total.or_else(|| self.roster.total(now)),
            equivocations: self.trail.found(),
            upgrade: self.upgrade.at(now, CALLS[PLAN].every).cloned().flatten(),
            clock,
            ..Facts::at_height(head.height)
        })
    }

    /// Nearly every error of a node is -32603 with a text; proxies in front of it have words of their own.
    fn classify(&self, error: &RpcError) -> ErrorKind {
        let text = error.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match error.code {
            Some(429 | -32005 | -32029) => ErrorKind::RateLimited,
            Some(401 | 403) => ErrorKind::Unauthorized,
            _ if says(&["rate limit", "too many requests", "quota"]) => ErrorKind::RateLimited,
            _ if says(&["wait for first block", "not ready", "still starting"]) => ErrorKind::Starting,
            _ => ErrorKind::Rpc,
        }
    }

    fn block_call(&self, height: Height) -> Option<Question> {
        let params = format!(r#"{{"minHeight":"{height}","maxHeight":"{height}"}}"#);
        Some(Question::Rpc { method: "blockchain".into(), params: params.into() })
    }

    fn block(&self, height: Height, answer: &Answer<'_>) -> Option<Head> {
        let headers = answer.read::<Headers<'_>>()?;
        let meta = headers.block_metas.0.iter().find(|meta| meta.header.height.0 == height.0)?;
        Some(Head {
            height,
            hash: meta.block_id.hash.0,
            parent: meta.header.last_block_id.as_ref().and_then(|parent| parent.hash.0),
            time: meta.header.time.0,
            transactions: meta.num_txs.map(|transactions| transactions.0),
        })
    }

    fn doubt_identity(&mut self) {
        self.rota.forget([ABCI_INFO]);
        // Whatever went wrong, it may have been the length of this.
        self.short = false;
    }
}

impl CometBft {
    /// Whether an answer to `status` is that of such a node.
    pub(super) fn is_status(answer: &Answer<'_>) -> bool {
        answer.read::<Status<'_>>().is_some()
    }

    /// What a second round should ask for, with the parameters of the moment. Of a node without blocks, or that catches
    /// up, only what it knows all the same.
    fn wanted(&mut self, now: Timestamp, status: &Status<'_>) -> CallSet {
        let head = status.sync_info.latest_block_height.0;
        let mut set = CallSet::default().with(NET_INFO).with(ABCI_INFO);
        if head == 0 || status.sync_info.catching_up == Some(true) {
            return set;
        }
        set = set.with(PLAN).with(VALIDATORS);
        if self.roster.is_reading() {
            self.rota.forget([VALIDATORS]);
        }
        self.ask(VALIDATORS, self.roster.question());
        if !self.short && self.long_asked.is_none_or(|asked| LONG_PACE <= now.since(asked)) {
            set = set.with(CONSENSUS);
        }
        if 1 < head {
            self.ask(COMMIT, format!(r#"{{"height":"{}"}}"#, head - 1));
            set = set.with(COMMIT);
        }
        if self.trail.is_behind(head) {
            self.rota.forget([HEADERS]);
        }
        if let Some(params) = self.trail.headers(head) {
            self.ask(HEADERS, params);
            set = set.with(HEADERS);
        }
        if let Some(params) = self.trail.block() {
            self.ask(BLOCK, params);
            set = set.with(BLOCK);
        }
        set
    }

    fn ask(&mut self, position: usize, params: String) {
        if let Question::Rpc { params: old, .. } = &mut self.calls[position].question {
            *old = Cow::Owned(params);
        }
    }

    /// Notes who speaks. What is remembered of another node is forgotten, and of another chain all of it.
    fn meet(&mut self, status: &Status<'_>) {
        let chain_id = clean_text(&status.node_info.network, MAX_NAME);
        if self.chain_id.as_deref() != Some(&*chain_id) {
            if self.chain_id.is_some() {
                *self = Self::default();
            }
            self.chain_id = Some(chain_id.into());
        }
        let identity = clean_text(&status.node_info.id, MAX_NAME);
        if self.identity.as_deref().unwrap_or_default() != identity {
            (self.peers, self.application) = (Remembered::default(), None);
            self.identity = Some(identity).filter(|identity| !identity.is_empty()).map(Into::into);
        }
    }

    /// `injective/v1.20.1 cometbft/1.0.1`
    fn take_version(&mut self, status: &Status<'_>, answer: &Answer<'_>) {
        if let Some(AbciInfo { response }) = answer.read::<AbciInfo<'_>>() {
            let application = format!("{}/{} ", response.data, response.version);
            self.application = Some(clean_text(&application, MAX_VERSION).into());
        }
        let application = self.application.as_deref().unwrap_or_default();
        let version = clean_text(&format!("{application}cometbft/{}", status.node_info.version), MAX_VERSION);
        if self.version.as_deref() != Some(&*version) {
            self.version = Some(version.into());
        }
    }

    /// What the state of consensus says of the height after `head`.
    fn progress(&mut self, now: Timestamp, head: u64, answer: &Answer<'_>) -> Option<Progress> {
        let Answer::Result(raw) = answer else { return None };
        self.short = raw.get().len() <= LONG;
        self.vigil.look(now, head, &answer.read::<ConsensusState<'_>>()?)
    }

    /// Takes in what a second round has brought. If that is nothing at all, an answer may have been too large.
    fn learn(&mut self, now: Timestamp, head: u64, answers: &Answers<'_>) {
        let heard = self.asked.iter().any(|position| !matches!(answers.get(position), Answer::Missing));
        if !heard && 1 < self.asked.len() {
            self.caution = Some(now);
            self.rota.forget(self.asked.iter());
        }
        self.peers.keep(now, answers.get(NET_INFO).read::<NetInfo>().map(|net| net.n_peers.0));
        self.upgrade.keep(now, answers.get(PLAN).read::<Queried<'_>>().and_then(|queried| queried.plan()));
        if self.asked.has(VALIDATORS) {
            self.roster.take(now, answers.get(VALIDATORS).read());
        }
        if let Some(block) = answers.get(COMMIT).read::<SignedBlock<'_>>() {
            let signed = self.roster.weigh(now, &block.signed_header.commit);
            if signed.is_none() {
                self.rota.forget([VALIDATORS]);
            }
            self.signed.keep(now, signed);
        }
        if let Some(headers) = answers.get(HEADERS).read::<Headers<'_>>() {
            self.trail.take_headers(head, &headers);
        }
        if self.asked.has(BLOCK) {
            self.trail.take_block(answers.get(BLOCK).read::<EvidentBlock<'_>>().as_ref());
        }
    }
}

/// Its own weight. Of a node that catches up it is that at an old height: a validator that was none yet says 0 there.
fn power(status: &Status<'_>) -> Option<u64> {
    let power = status.validator_info.as_ref()?.voting_power?.0;
    (power != 0 || status.sync_info.catching_up != Some(true)).then_some(power)
}

/// The newest block; none where there is none yet.
fn newest(sync: &SyncInfo) -> Option<Head> {
    let height = Some(sync.latest_block_height.0).filter(|height| *height != 0)?;
    let (hash, time) = (sync.latest_block_hash.0, sync.latest_block_time.0);
    Some(Head { height: Height(height), hash, parent: None, time, transactions: None })
}

#[cfg(test)]
mod tests;
