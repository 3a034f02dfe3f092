//! Bitcoin Core and its relatives: Litecoin, Dogecoin, Bitcoin Cash and SV, Dash, Zcash, `DigiByte`.
//!
//! A poll is one batch of three cheap calls, of which `getblockchaininfo` tells height and hash of the head from one
//! instant. A second round asks for the header of a head that is new, and at their own pace for what is heavy: peers,
//! branches, version, genesis. So a node with hundreds of peers answers the call that decides as fast as any other, and
//! what goes wrong with the heavy calls is no failure of the poll.
//!
//! Proof of work knows no finality but chance: none is told, except by Dash, whose masternodes lock blocks.

use std::{sync::Arc, time::Duration};

use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Question, Rota, decisive},
    family::Particulars,
    memory::Remembered,
    quantity::{BareHash, Quantity},
    reply::{Answer, Answers, RpcError},
};
use crate::{
    model::{BlockHash, Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Finality, Head, PollError, Syncing, clean_text},
};

mod answer;

use answer::{ChainLock, Gathered, Header, Info, Mempool, Network, Peers, Refused};

/// How often branches and peers are asked for: answers of nodes with many of them are long.
const HEAVY: Duration = Duration::from_secs(60);

/// How often version and genesis are asked for.
const IDENTITY: Duration = Duration::from_secs(600);

/// Blocks that a node may have to fetch or to check without calling that a synchronisation.
const ON_THE_WAY: u64 = 2;

/// Longest name of a chain and longest version that are kept, in bytes.
const MAX_CHAIN: usize = 32;
const MAX_VERSION: usize = 128;

const PENDING: usize = 1;
const CONNECTIONS: usize = 2;
const HEADER: usize = 3;
const NETWORK: usize = 4;
const GENESIS: usize = 5;
const TIPS: usize = 6;
const PEERS: usize = 7;
const CHAIN_LOCK: usize = 8;

/// All calls but the last one, which only Dash knows.
static CALLS: [Call; 8] = [
    Call::rpc("getblockchaininfo", "[]"),
    Call::rpc("getmempoolinfo", "[]").optional(),
    Call::rpc("getconnectioncount", "[]").optional(),
    // Of the newest block: its hash stands here once it is known.
    Call::rpc("getblockheader", "[]").optional(),
    Call::rpc("getnetworkinfo", "[]").optional().every(IDENTITY),
    Call::rpc("getblockhash", "[0]").every(IDENTITY),
    Call::rpc("getchaintips", "[]").optional().every(HEAVY),
    Call::rpc("getpeerinfo", "[]").optional().every(HEAVY),
];

/// What is remembered of one node.
#[derive(Debug)]
pub struct Bitcoin {
    calls: Vec<Call>,
    rota: Rota,
    identity: Identity,
    /// The header of the head.
    header: Option<Header>,
    refused: Remembered<Refused>,
    /// Whether it lacked blocks at its last answer.
    lacked: bool,
    peers: Remembered<Peers>,
}

/// Who a node says it is.
#[derive(Debug, Default)]
struct Identity {
    chain: Option<Arc<str>>,
    genesis: Remembered<BlockHash>,
    version: Remembered<Arc<str>>,
}

impl Bitcoin {
    /// An adapter for the variant that is declared.
    #[must_use]
    pub fn new(particulars: &Particulars) -> Self {
        let mut calls = CALLS.to_vec();
        if particulars.variant == Some("dash") {
            calls.push(Call::rpc("getbestchainlock", "[]").optional());
        }
        Self {
            calls,
            rota: Rota::default(),
            identity: Identity::default(),
            header: None,
            refused: Remembered::default(),
            lacked: false,
            peers: Remembered::default(),
        }
    }
}

impl Adapter for Bitcoin {
    fn calls(&self) -> &[Call] {
        &self.calls
    }

    fn due(&mut self, _now: Timestamp) -> CallSet {
        let due = [HEAD, PENDING, CONNECTIONS].into_iter().collect::<CallSet>();
        if self.calls.len() == CHAIN_LOCK { due } else { due.with(CHAIN_LOCK) }
    }

    fn follow_up(&mut self, now: Timestamp, answers: &Answers<'_>) -> CallSet {
        let Some(info) = answers.get(HEAD).read::<Info<'_>>() else { return CallSet::default() };
        let mut due: CallSet = self.rota.take_turn(&self.calls, now).iter().filter(|it| self.is_rare(*it)).collect();
        // An identity that was not told is asked for more often than one that was.
        if due.has(TIPS) {
            due = if self.identity.genesis.is_known() { due } else { due.with(GENESIS) };
            due = if self.identity.version.is_known() { due } else { due.with(NETWORK) };
        }
        // Whether it fetches what it lacks, or has refused it, is to be known at once and not a minute later.
        let lacks = info.headers().is_some_and(|known| ON_THE_WAY < known.saturating_sub(info.height().0));
        if lacks && !self.lacked {
            due = due.with(TIPS);
        }
        self.lacked = lacks;
        if self.header_of(&info).is_some() {
            return due;
        }
        let hash = alloy_primitives::hex::encode(info.hash().0);
        let params = format!(r#"["{hash}",true]"#);
        self.calls[HEADER].question = Question::Rpc { method: "getblockheader".into(), params: params.into() };
        due.with(HEADER)
    }

    fn interpret(
        &mut self,
        now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        let info = decisive(self, answers.get(HEAD), "the state of the chain")?;
        self.remember(now, &info, answers);
        let header = self.header_of(&info);
        let head = Head {
            height: info.height(),
            hash: Some(info.hash()),
            parent: header.and_then(Header::parent),
            time: header.and_then(Header::time).or_else(|| info.time()),
            transactions: header.and_then(Header::transactions),
        };
        Ok(Facts {
            chain_id: self.identity.chain.clone(),
            genesis: self.identity.genesis.at(now, IDENTITY).copied(),
            version: self.identity.version.at(now, IDENTITY).cloned(),
            head,
            finality: finality(answers.get(CHAIN_LOCK)),
            syncing: self.syncing(now, &info),
            peers: answers.get(CONNECTIONS).read::<Quantity>().map(|peers| peers.0),
            pending: answers.get(PENDING).read::<Mempool>().map(|mempool| mempool.size.0),
            clock,
            ..Facts::at_height(head.height)
        })
    }

    /// Codes of `rpc/protocol.h`; what stands in front of a node may have its own words.
    fn classify(&self, error: &RpcError) -> ErrorKind {
        let text = error.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match error.code {
            // Loading the index, checking blocks, rewinding, replaying.
            Some(-28) => ErrorKind::Starting,
            Some(429 | 402) => ErrorKind::RateLimited,
            Some(401 | 403) => ErrorKind::Unauthorized,
            _ if says(&["rate limit", "too many requests", "quota", "work queue depth"]) => ErrorKind::RateLimited,
            _ => ErrorKind::Rpc,
        }
    }

    fn block_call(&self, height: Height) -> Option<Question> {
        Some(Question::Rpc { method: "getblockhash".into(), params: format!("[{}]", height.0).into() })
    }

    /// The answer is the hash alone.
    fn block(&self, height: Height, answer: &Answer<'_>) -> Option<Head> {
        let hash = answer.read::<BareHash>()?.0;
        Some(Head { height, hash: Some(hash), parent: None, time: None, transactions: None })
    }

    fn doubt_identity(&mut self) {
        self.rota.forget([NETWORK, GENESIS, TIPS, PEERS]);
    }
}

impl Bitcoin {
    fn is_rare(&self, position: usize) -> bool {
        !self.calls[position].every.is_zero()
    }

    fn header_of(&self, info: &Info<'_>) -> Option<&Header> {
        self.header.as_ref().filter(|header| header.is_of(info.height(), info.hash()))
    }

    fn remember(&mut self, now: Timestamp, info: &Info<'_>, answers: &Answers<'_>) {
        if self.identity.update(now, info, answers) {
            self.doubt_identity();
            (self.refused, self.peers) = (Remembered::default(), Remembered::default());
        }
        self.header = answers.get(HEADER).read::<Header>().or(self.header);
        self.refused.keep(now, answers.get(TIPS).read::<Gathered<Refused>>().map(|it| it.0));
        self.peers.keep(now, answers.get(PEERS).read::<Gathered<Peers>>().map(|it| it.0));
    }

    /// What the node lacks: blocks whose headers it has, or its peers have. Blocks that it has refused it will never
    /// have: they make it one that disagrees, not one that is catching up.
    fn syncing(&self, now: Timestamp, info: &Info<'_>) -> Syncing {
        let own = info.height().0;
        let refused = self.refused.at(now, HEAVY).and_then(|refused| refused.highest);
        let peers = self.peers.at(now, HEAVY).and_then(Peers::reached);
        let known = info.headers().max(peers);
        let lacking = known.map(|known| if Some(known) <= refused { 0 } else { known.saturating_sub(own) });
        match (lacking, info.downloads()) {
            (Some(lacking), _) if ON_THE_WAY < lacking => Syncing::Yes { behind: Some(lacking) },
            // Of a node whose peers know no more it only says that the chain has been standing still for a day.
            (_, Some(true)) if peers.is_some_and(|peers| peers <= own) => Syncing::Unknown,
            (_, Some(true)) => Syncing::Yes { behind: lacking.filter(|lacking| 0 < *lacking) },
            (None, None) => Syncing::Unknown,
            _ => Syncing::No,
        }
    }
}

impl Identity {
    /// Takes over what was answered; what was not keeps its old value, unless it is another chain that speaks. Returns
    /// whether that is so.
    fn update(&mut self, now: Timestamp, info: &Info<'_>, answers: &Answers<'_>) -> bool {
        let told = info.chain.as_deref().map(|chain| clean_text(chain, MAX_CHAIN));
        let changed = self.chain.as_deref() != told.as_deref();
        let moved = changed && self.chain.is_some();
        if changed {
            *self = Self { chain: told.map(Arc::from), ..Self::default() };
        }
        self.genesis.keep(now, answers.get(GENESIS).read::<BareHash>().map(|hash| hash.0));
        let version = answers.get(NETWORK).read::<Network<'_>>();
        self.version.keep(now, version.map(|it| clean_text(&it.subversion, MAX_VERSION).into()));
        moved
    }
}

/// A node that has seen no lock yet answers with an error.
fn finality(answer: &Answer<'_>) -> Finality {
    answer.read::<ChainLock>().map_or(Finality::Unknown, |lock| Finality::Known {
        height: Height(lock.height.0),
        hash: lock.blockhash.map(|hash| hash.0),
        time: None,
    })
}
