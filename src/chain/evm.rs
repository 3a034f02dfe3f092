//! Ethereum execution clients and everything that speaks their JSON-RPC: side chains, rollups, development nodes.
//!
//! The head is asked for as one call, `eth_getBlockByNumber("latest", false)`: number, hash and time from one instant.
//! What a node says of its own synchronisation is passed on as a hint. Its chain id is asked for in every poll, because a
//! balancer or a name may bring us to another chain at any moment, whose height must not be taken for that of ours; its
//! genesis and version are asked for rarely and remembered.

use std::{sync::Arc, time::Duration};

use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Question, refusal},
    reply::{Answer, Answers, RpcError},
};
use crate::{
    model::{BlockHash, Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Finality, Head, PollError, Syncing, clean_text},
};

mod answer;
mod members;
mod sealers;
mod variant;

use self::{
    answer::{Backlog, Block, SyncAnswer},
    sealers::Sealers,
    variant::Variant,
};
use super::{adapter::Rota, family::Particulars, quantity::Quantity};

/// How long genesis and version of a node are believed without asking.
const IDENTITY_MEMORY: Duration = Duration::from_secs(600);

/// A node that did not get round to telling them is asked again after this.
const IDENTITY_RETRY: Duration = Duration::from_secs(60);

/// Longest version that is kept, in bytes.
const MAX_VERSION: usize = 128;

const CHAIN_ID: usize = 1;
const SAFE: usize = 2;
const FINALIZED: usize = 3;
const SYNCING: usize = 4;
const PEERS: usize = 5;
const PENDING: usize = 6;
const GENESIS: usize = 7;
const VERSION: usize = 8;

/// In the order in which they are made where they are made one by one: what matters more comes first.
static CALLS: [Call; 9] = [
    Call::rpc("eth_getBlockByNumber", r#"["latest",false]"#),
    // Who the node is decides whether its word counts at all: never left out.
    Call::rpc("eth_chainId", "[]"),
    Call::rpc("eth_getBlockByNumber", r#"["safe",false]"#).optional(),
    Call::rpc("eth_getBlockByNumber", r#"["finalized",false]"#).optional(),
    Call::rpc("eth_syncing", "[]").optional(),
    Call::rpc("net_peerCount", "[]").optional(),
    Call::rpc("txpool_status", "[]").optional(),
    Call::rpc("eth_getBlockByNumber", r#"["0x0",false]"#),
    Call::rpc("web3_clientVersion", "[]"),
];

/// What is remembered of one node.
#[derive(Debug)]
pub struct Evm {
    variant: &'static Variant,
    /// The common calls and behind them those of the variant.
    calls: Vec<Call>,
    rota: Rota,
    identity: Identity,
    sealers: Sealers,
    /// When the identity is asked for again.
    due_at: Option<Timestamp>,
    /// Whether another process may have taken the node's place since.
    doubtful: bool,
}

/// Who a node says it is.
#[derive(Debug, Default)]
struct Identity {
    number: Option<u64>,
    /// The same as text.
    chain_id: Option<Arc<str>>,
    genesis: Option<BlockHash>,
    version: Option<Arc<str>>,
}

impl Adapter for Evm {
    fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The identity is due until a good poll has told it, everything else by its pace.
    fn due(&mut self, now: Timestamp) -> CallSet {
        let due = self.variant.sensible(self.rota.take_turn(&self.calls, now));
        if self.identity_is_due(now) { due } else { due.without(GENESIS).without(VERSION) }
    }

    fn interpret(
        &mut self,
        now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        let syncing = syncing(answers.get(SYNCING));
        let head = self.head(answers.get(HEAD), syncing)?;
        if self.identity_is_due(now) {
            let told = !matches!(answers.get(GENESIS), Answer::Missing);
            let believed = if told { IDENTITY_MEMORY } else { IDENTITY_RETRY };
            (self.due_at, self.doubtful) = (Some(now.after(believed)), false);
        }
        if self.identity.update(answers) {
            // What is remembered is that of another chain: ask at the next poll.
            self.doubtful = true;
            self.sealers = Sealers::default();
            self.rota = Rota::default();
        }
        let mut facts = Facts {
            chain_id: self.identity.chain_id.clone(),
            genesis: self.identity.genesis,
            version: self.identity.version.clone(),
            head,
            safe: block(answers.get(SAFE)).map(|block| block.height()),
            finality: block(answers.get(FINALIZED)).map_or(Finality::Unknown, |block| Finality::Known {
                height: block.height(),
                hash: None,
                time: block.time(),
            }),
            syncing,
            peers: answers.get(PEERS).read::<Quantity>().map(|peers| peers.0),
            pending: answers.get(PENDING).read::<Backlog>().map(|backlog| backlog.pending.0),
            clock,
            ..Facts::at_height(head.height)
        };
        self.sealers.tell(self.variant, now, answers, &mut facts);
        Ok(facts)
    }

    fn classify(&self, error: &RpcError) -> ErrorKind {
        dialect(error)
    }

    fn block_call(&self, height: Height) -> Option<Question> {
        let params = format!(r#"["{:#x}",false]"#, height.0);
        Some(Question::Rpc { method: "eth_getBlockByNumber".into(), params: params.into() })
    }

    fn block(&self, _height: Height, answer: &Answer<'_>) -> Option<Head> {
        block(answer).map(|block| block.head())
    }

    fn doubt_identity(&mut self) {
        self.doubtful = true;
    }
}

impl Evm {
    /// An adapter for a node of the variant that is declared, if one is.
    #[must_use]
    pub fn new(particulars: &Particulars) -> Self {
        let variant = Variant::named(particulars.variant);
        Self {
            variant,
            calls: variant.calls(&CALLS),
            rota: Rota::default(),
            identity: Identity::default(),
            sealers: Sealers::default(),
            due_at: None,
            doubtful: false,
        }
    }

    fn identity_is_due(&self, now: Timestamp) -> bool {
        self.doubtful || self.due_at.is_none_or(|due| due <= now)
    }

    fn head(&self, answer: &Answer<'_>, syncing: Syncing) -> Result<Head, PollError> {
        let malformed = |what: &str| PollError::new(ErrorKind::Malformed, what);
        match answer {
            Answer::Missing => Err(malformed("no answer to the call for the latest block")),
            Answer::Error(error) => Err(refusal(self, error)),
            // A node that has no block yet says null; one that claims to be in sync at the same time is broken.
            Answer::Result(raw) if raw.get() == "null" && syncing != Syncing::No => {
                Err(PollError::new(ErrorKind::Starting, "no block yet"))
            }
            Answer::Result(raw) if raw.get() == "null" => Err(malformed("the latest block is null")),
            Answer::Result(raw) => {
                let block: Block = serde_json::from_str(raw.get()).map_err(|error| malformed(&error.to_string()))?;
                Ok(block.head())
            }
        }
    }
}

impl Identity {
    /// Takes over what was answered; what was not keeps its old value, unless it is another chain that speaks. Returns
    /// whether that is so.
    fn update(&mut self, answers: &Answers<'_>) -> bool {
        let told = answers.get(CHAIN_ID).read::<Quantity>().map(|chain_id| chain_id.0);
        let changed = told.filter(|told| self.number != Some(*told));
        let moved = changed.is_some() && self.number.is_some();
        if let Some(number) = changed {
            *self = Self { number: changed, chain_id: Some(number.to_string().into()), genesis: None, version: None };
        }
        if let Some(genesis) = block(answers.get(GENESIS)).filter(|block| block.height() == Height(0)) {
            self.genesis = Some(genesis.hash());
        }
        if let Some(version) = answers.get(VERSION).read::<String>() {
            let version = clean_text(&version, MAX_VERSION);
            if self.version.as_deref() != Some(&*version) {
                self.version = Some(version.into());
            }
        }
        moved
    }
}

/// Codes of EIP-1474 with the dialects of providers; the words decide where the codes are overloaded.
pub(super) fn dialect(error: &RpcError) -> ErrorKind {
    let text = error.message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match error.code {
        Some(-32005 | -32029 | -32016 | 429 | 402) => ErrorKind::RateLimited,
        Some(401 | 403) => ErrorKind::Unauthorized,
        _ if says(&["rate limit", "rate-limit", "too many requests", "capacity", "compute units", "quota"]) => {
            ErrorKind::RateLimited
        }
        _ if says(&["wait for first block", "not ready", "no peer available", "still starting", "warming up"]) => {
            ErrorKind::Starting
        }
        _ => ErrorKind::Rpc,
    }
}

/// The block in an answer. A node that does not know the tag says so in many ways: null, -39001, "not found", "invalid
/// block tag". None of them is a fault.
fn block(answer: &Answer<'_>) -> Option<Block> {
    answer.read::<Block>()
}

fn syncing(answer: &Answer<'_>) -> Syncing {
    match answer {
        Answer::Error(error) if error.message.contains("no peer available") => Syncing::Starting,
        Answer::Error(_) | Answer::Missing => Syncing::Unknown,
        Answer::Result(_) => answer.read::<SyncAnswer>().map_or(Syncing::Unknown, SyncAnswer::meaning),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64, message: &str) -> RpcError {
        RpcError { code: Some(code), message: message.to_owned() }
    }

    #[test]
    fn the_words_and_codes_of_spent_quotas_are_known() {
        let evm = Evm::new(&Particulars::default());
        for (error, wanted) in [
            (error(-32005, "limit exceeded"), ErrorKind::RateLimited),
            (error(-32000, "Your app has exceeded its compute units per second capacity"), ErrorKind::RateLimited),
            (error(429, ""), ErrorKind::RateLimited),
            (error(-32000, "Too Many Requests"), ErrorKind::RateLimited),
            (error(-32000, "injective is not ready; please wait for first block"), ErrorKind::Starting),
            (error(-32603, "Internal error"), ErrorKind::Rpc),
            (error(-32000, "header not found"), ErrorKind::Rpc),
        ] {
            assert_eq!(evm.classify(&error), wanted, "{error:?}");
        }
    }

    /// A poll in which these calls were answered with a block.
    fn told(evm: &mut Evm, now: Timestamp, positions: &[usize]) {
        let block = format!(r#"{{"number":"0x0","hash":"0x{}"}}"#, "11".repeat(32));
        let raw = serde_json::value::RawValue::from_string(block).unwrap();
        let mut answers = Answers::default();
        for position in positions {
            answers.put(*position, Answer::Result(&raw));
        }
        evm.interpret(now, None, &answers).unwrap();
    }

    #[test]
    fn identity_is_asked_at_the_start_rarely_and_after_a_doubt() {
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let asks = |evm: &mut Evm, now| evm.due(now).iter().any(|position| position == GENESIS);
        let mut evm = Evm::new(&Particulars::default());
        assert!(asks(&mut evm, at(0)));
        told(&mut evm, at(0), &[HEAD, GENESIS]);
        assert!(!asks(&mut evm, at(599)) && asks(&mut evm, at(600)));
        told(&mut evm, at(600), &[HEAD]);
        assert!(!asks(&mut evm, at(659)) && asks(&mut evm, at(660)), "what was not told is asked for again soon");
        told(&mut evm, at(660), &[HEAD, GENESIS]);
        evm.doubt_identity();
        assert!(asks(&mut evm, at(1)), "another process may have another version and another past");
    }
}
