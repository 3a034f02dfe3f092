//! Monero: the JSON-RPC of monerod, which takes no batches and says what is wrong inside of good answers (`status`).
//!
//! `get_info` tells the head, the peers and the pool at once. Its `height` is the number of blocks, one more than the
//! number of the newest. A second call asks for the header of a head that is new.

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde::Deserialize;

use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Question, Rota},
    quantity::{BareHash, Quantity},
    reply::{Answer, Answers, RpcError},
};
use crate::{
    model::{BlockHash, Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Head, PollError, Syncing, clean_text},
};

/// How often the first block is asked for.
const IDENTITY: Duration = Duration::from_secs(600);

/// Longest name of a network, longest version and longest status that are kept, in bytes.
const MAX_TEXT: usize = 64;

const HEADER: usize = 1;
const GENESIS: usize = 2;

static CALLS: [Call; 3] = [
    Call::rpc("get_info", "{}"),
    // Of the newest block: its hash stands here once it is known.
    Call::rpc("get_block_header_by_hash", "{}").optional(),
    Call::rpc("get_block_header_by_height", r#"{"height":0}"#).optional().every(IDENTITY),
];

/// What is remembered of one node.
#[derive(Debug)]
pub struct Monero {
    calls: Vec<Call>,
    rota: Rota,
    chain: Option<Arc<str>>,
    genesis: Option<BlockHash>,
    /// The header of the head.
    header: Option<Header>,
}

/// The answer to `get_info`.
#[derive(Debug, Deserialize)]
struct Info<'a> {
    /// `OK`, or what is wrong: `BUSY`.
    #[serde(borrow)]
    status: Cow<'a, str>,
    /// The number of blocks.
    height: Quantity,
    top_block_hash: BareHash,
    /// `mainnet`, `testnet`, `stagenet`, `fakechain`.
    #[serde(default, borrow)]
    nettype: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    version: Option<Cow<'a, str>>,
    /// The height it is catching up with, 0 when it has none.
    #[serde(default)]
    target_height: Option<Quantity>,
    #[serde(default)]
    synchronized: Option<bool>,
    #[serde(default)]
    incoming_connections_count: Option<Quantity>,
    #[serde(default)]
    outgoing_connections_count: Option<Quantity>,
    #[serde(default)]
    tx_pool_size: Option<Quantity>,
    /// An interface for strangers: it tells no peers, but zero in their place.
    #[serde(default)]
    restricted: bool,
    /// What it says comes from another node, as long as its own chain is not there.
    #[serde(default)]
    untrusted: bool,
}

/// The answer to either call for a header.
#[derive(Debug, Deserialize)]
struct HeaderAnswer {
    block_header: Header,
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Header {
    hash: BareHash,
    height: Quantity,
    prev_hash: BareHash,
    /// In seconds.
    timestamp: Quantity,
    #[serde(default)]
    num_txes: Option<Quantity>,
}

impl Default for Monero {
    fn default() -> Self {
        Self { calls: CALLS.to_vec(), rota: Rota::default(), chain: None, genesis: None, header: None }
    }
}

impl Adapter for Monero {
    fn calls(&self) -> &[Call] {
        &self.calls
    }

    fn due(&mut self, _now: Timestamp) -> CallSet {
        CallSet::default().with(HEAD)
    }

    fn follow_up(&mut self, now: Timestamp, answers: &Answers<'_>) -> CallSet {
        let Some(info) = answers.get(HEAD).read::<Info<'_>>() else { return CallSet::default() };
        let rare = self.rota.take_turn(&self.calls, now).has(GENESIS);
        let due = if rare { CallSet::default().with(GENESIS) } else { CallSet::default() };
        if self.header_of(&info).is_some() {
            return due;
        }
        let hash = alloy_primitives::hex::encode(info.top_block_hash.0.0);
        let params = format!(r#"{{"hash":"{hash}"}}"#);
        self.calls[HEADER].question =
            Question::Rpc { method: "get_block_header_by_hash".into(), params: params.into() };
        due.with(HEADER)
    }

    fn batch_limit(&self) -> usize {
        1
    }

    fn interpret(
        &mut self,
        _now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        let info = self.info(answers.get(HEAD))?;
        let height = info.height.0.checked_sub(1).map(Height);
        let height = height.ok_or_else(|| PollError::new(ErrorKind::Starting, "no block yet"))?;
        self.remember(&info, answers);
        let header = self.header_of(&info);
        let head = Head {
            height,
            hash: Some(info.top_block_hash.0),
            parent: header.map(|header| header.prev_hash.0),
            time: header.and_then(Header::time),
            transactions: header.and_then(|header| header.num_txes).map(|count| count.0),
        };
        let version = info.version.as_deref().filter(|version| !version.is_empty());
        Ok(Facts {
            chain_id: self.chain.clone(),
            genesis: self.genesis,
            version: version.map(|version| clean_text(version, MAX_TEXT).into()),
            head,
            syncing: info.syncing(),
            peers: info.peers(),
            pending: info.tx_pool_size.map(|size| size.0),
            clock,
            ..Facts::at_height(height)
        })
    }

    /// Codes of `core_rpc_server_error_codes.h`.
    fn classify(&self, error: &RpcError) -> ErrorKind {
        match error.code {
            // The core is busy.
            Some(-9) => ErrorKind::Starting,
            Some(429) => ErrorKind::RateLimited,
            _ => ErrorKind::Rpc,
        }
    }

    fn block_call(&self, height: Height) -> Option<Question> {
        let params = format!(r#"{{"height":{}}}"#, height.0);
        Some(Question::Rpc { method: "get_block_header_by_height".into(), params: params.into() })
    }

    fn block(&self, _height: Height, answer: &Answer<'_>) -> Option<Head> {
        let header = answer.read::<HeaderAnswer>()?.block_header;
        Some(Head {
            height: Height(header.height.0),
            hash: Some(header.hash.0),
            parent: Some(header.prev_hash.0),
            time: header.time(),
            transactions: header.num_txes.map(|count| count.0),
        })
    }

    fn doubt_identity(&mut self) {
        self.rota.forget([GENESIS]);
    }
}

impl Monero {
    /// What the node says of its head, or why it does not.
    fn info<'a>(&self, answer: &Answer<'a>) -> Result<Info<'a>, PollError> {
        let failed = |kind, what: &str| Err(PollError::new(kind, what));
        let raw = match answer {
            Answer::Missing => return failed(ErrorKind::Malformed, "no answer to get_info"),
            Answer::Error(error) => return failed(self.classify(error), &error.message),
            Answer::Result(raw) => raw.get(),
        };
        let info = match serde_json::from_str::<Info<'_>>(raw) {
            // What is busy need not tell anything else.
            _ if status_of(raw).as_deref() == Some("BUSY") => return failed(ErrorKind::Starting, "BUSY"),
            Err(error) => return failed(ErrorKind::Malformed, &error.to_string()),
            Ok(info) => info,
        };
        match &*info.status {
            "OK" if info.untrusted => failed(ErrorKind::Starting, "it repeats what its bootstrap daemon says"),
            "OK" => Ok(info),
            status => failed(ErrorKind::Rpc, &clean_text(status, MAX_TEXT)),
        }
    }

    fn header_of(&self, info: &Info<'_>) -> Option<&Header> {
        self.header.as_ref().filter(|header| header.hash == info.top_block_hash)
    }

    fn remember(&mut self, info: &Info<'_>, answers: &Answers<'_>) {
        let told = info.nettype.as_deref().map(|chain| clean_text(chain, MAX_TEXT));
        if self.chain.as_deref() != told.as_deref() {
            // What is remembered is that of another chain: ask at the next poll.
            if self.chain.is_some() {
                self.doubt_identity();
            }
            (self.chain, self.genesis) = (told.map(Arc::from), None);
        }
        let header = |position| answers.get(position).read::<HeaderAnswer>().map(|answer| answer.block_header);
        self.header = header(HEADER).or(self.header);
        let first = header(GENESIS).filter(|header| header.height == Quantity(0));
        self.genesis = first.map(|header| header.hash.0).or(self.genesis);
    }
}

impl Info<'_> {
    fn syncing(&self) -> Syncing {
        let behind = self.target_height.map_or(0, |target| target.0.saturating_sub(self.height.0));
        match self.synchronized {
            Some(true) => Syncing::No,
            Some(false) => Syncing::Yes { behind: Some(behind).filter(|behind| 0 < *behind) },
            None => Syncing::Unknown,
        }
    }

    fn peers(&self) -> Option<u64> {
        let (incoming, outgoing) = (self.incoming_connections_count?, self.outgoing_connections_count?);
        (!self.restricted).then_some(incoming.0.saturating_add(outgoing.0))
    }
}

impl Header {
    fn time(&self) -> Option<UnixTime> {
        UnixTime::from_seconds(self.timestamp.0)
    }
}

/// The status of an answer of which nothing else may be there.
fn status_of(raw: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Status {
        status: String,
    }
    serde_json::from_str::<Status>(raw).ok().map(|answer| answer.status)
}
