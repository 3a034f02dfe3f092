//! FISCO BCOS 2.x: JSON-RPC over plain HTTP, several groups in a node, the group a JSON integer.
//!
//! The head is asked for with `getSyncStatus`: number and hash from one instant, beside the transactions that wait and the
//! peers. `getConsensusStatus` tells the view. Empty blocks are never stored, so a height that stands still says nothing
//! by itself; but on an idle chain whose sealers agree the view grows about once a second, and each block sets it back to
//! 0. It freezes when too few are left to agree. Only who takes part moves it: of observers, of sealers outside the
//! working set of rPBFT and of nodes that catch up it is not passed on.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::value::RawValue;

use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Question, Rota},
    family::Particulars,
    fisco_bcos::{
        Digest, Fields, Header, IDENTITY_PACE, List, NodeId, Number, Sealer, head, is_new, no_head, perhaps, seats,
        short, syncing,
    },
    reply::{Answer, Answers, RpcError},
};
use crate::{
    model::{BlockHash, Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Finality, Head, PollError, clean_text},
};

/// The group that is watched where none is named.
pub(super) const FIRST_GROUP: &str = "1";

/// Longest chain id or version that is kept, in bytes.
const MAX_TEXT: usize = 64;

/// A whole block is asked for at most so often: that is only done of nodes that do not know headers, before 2.6.
const BLOCK_PACE: Duration = Duration::from_secs(10);

const CONSENSUS: usize = 1;
const VERSION: usize = 2;
const HEADER: usize = 3;
const BLOCK: usize = 4;

/// What is remembered of one node.
#[derive(Debug)]
pub struct FiscoBcos2 {
    /// The group as JSON.
    group: String,
    calls: [Call; 5],
    rota: Rota,
    chain_id: Option<Arc<str>>,
    version: Option<Arc<str>>,
    header: Option<Header>,
    /// Whether the node is too old to know headers.
    knows_no_headers: bool,
    /// When a whole block was last asked for.
    block_asked: Option<Timestamp>,
}

impl FiscoBcos2 {
    /// An adapter for the group that is named.
    #[must_use]
    pub fn new(particulars: &Particulars) -> Self {
        let group = json_group(particulars.group.as_deref().unwrap_or(FIRST_GROUP));
        let of_group = || format!("[{group}]");
        let calls = [
            Call::rpc_with("getSyncStatus", of_group()),
            Call::rpc_with("getConsensusStatus", of_group()),
            Call::rpc("getClientVersion", "[]").every(IDENTITY_PACE),
            Call::rpc_with("getBlockHeaderByNumber", of_group()).optional(),
            Call::rpc_with("getBlockByNumber", of_group()),
        ];
        Self {
            group,
            calls,
            rota: Rota::default(),
            chain_id: None,
            version: None,
            header: None,
            knows_no_headers: false,
            block_asked: None,
        }
    }

    fn take_version(&mut self, answer: &Answer<'_>) {
        let Some(fields) = answer.read::<Fields<'_>>() else { return };
        let text = |name: &str| Some(clean_text(&fields.get::<String>(name)?, MAX_TEXT));
        self.chain_id = text("Chain Id").map(Into::into);
        self.version = text("FISCO-BCOS Version").map(|version| format!("FISCO BCOS {version}").into());
    }

    fn take_header(&mut self, answers: &Answers<'_>) {
        if let Answer::Error(RpcError { code: Some(-32601), .. }) = answers.get(HEADER) {
            self.knows_no_headers = true;
        }
        self.header = Header::read(answers.get(HEADER)).or_else(|| Header::read(answers.get(BLOCK))).or(self.header);
    }
}

/// The group as 2.x wants it: a JSON integer. What is none is sent as text, and the node says what is wrong with it.
fn json_group(group: &str) -> String {
    let digits = group.strip_prefix("group").unwrap_or(group);
    digits.parse::<u32>().map_or_else(|_| serde_json::Value::from(group).to_string(), |group| group.to_string())
}

/// `getSyncStatus`: `SyncMaster::syncInfo`.
struct Sync {
    height: Height,
    hash: Option<BlockHash>,
    genesis: Option<BlockHash>,
    under_way: Option<bool>,
    known: Option<u64>,
    pending: Option<u64>,
    own: Option<NodeId>,
    /// `None` if there was no list.
    peers: Option<Vec<NodeId>>,
}

impl Sync {
    fn read(answer: &Answer<'_>) -> Option<Self> {
        let fields = answer.read::<Fields<'_>>()?;
        let number = |name: &str| fields.get::<Number>(name).map(|number| number.0);
        let hash = |name: &str| fields.get::<Digest>(name).map(|hash| hash.0);
        let peers = fields.get::<List<Fields<'_>>>("peers");
        Some(Self {
            height: Height(number("blockNumber")?),
            hash: hash("latestHash"),
            genesis: hash("genesisHash"),
            under_way: fields.get("isSyncing"),
            known: number("knownHighestNumber"),
            pending: number("txPoolSize"),
            own: fields.get("nodeId"),
            peers: peers.map(|peers| peers.0.iter().filter_map(|peer| peer.get("nodeId")).collect()),
        })
    }
}

/// `getConsensusStatus`: `PBFTEngine::consensusStatus`. With Raft there is no view in it.
struct Consensus {
    view: Option<u64>,
    to_view: Option<u64>,
    leader_failed: bool,
    /// Whether this node takes part: a sealer with a place among those that vote.
    votes: bool,
    is_sealer: Option<bool>,
    sealers: Vec<Sealer>,
    /// How many vote; fewer than there are sealers with rPBFT.
    voting: Option<u64>,
    tolerated: Option<u64>,
}

impl Consensus {
    /// The status is an array: first an object, then what this node has heard of the views of others.
    fn read(answer: &Answer<'_>) -> Option<Self> {
        let Answer::Result(raw) = answer else { return None };
        let parts = perhaps::<List<&RawValue>>(raw.get());
        let fields: Fields<'_> = perhaps(parts.as_ref().and_then(|parts| parts.0.first()).unwrap_or(raw).get())?;
        let number = |name: &str| fields.get::<Number>(name).map(|number| number.0);
        let voting = number("nodeNum");
        let is_sealer = number("accountType").map(|kind| kind == 1);
        let seated = number("node_index").zip(voting).is_none_or(|(place, voting)| place < voting);
        let able = fields.get::<bool>("cfgErr") != Some(true);
        let sealers = fields.beginning::<NodeId>("sealer.").into_iter();
        Some(Self {
            view: number("currentView"),
            to_view: number("toView"),
            leader_failed: fields.get("leaderFailed") == Some(true),
            votes: is_sealer == Some(true) && seated && able,
            is_sealer,
            sealers: sealers.map(|id| Sealer { id, weight: 1 }).collect(),
            voting,
            tolerated: number("max_faulty_leader"),
        })
    }

    /// Those that vote, where all sealers do, and how many of them it takes.
    fn bench(&self) -> Option<(&[Sealer], u64)> {
        let (voting, tolerated) = self.voting.zip(self.tolerated)?;
        let all = u64::try_from(self.sealers.len()) == Ok(voting) && tolerated < voting;
        all.then(|| (&*self.sealers, voting - tolerated))
    }

    /// Tells what there is to tell of the consensus.
    fn tell(&self, sync: &Sync, facts: &mut Facts) {
        facts.validators = self.voting;
        facts.power = self.is_sealer.map(u64::from);
        if self.votes && sync.under_way == Some(false) {
            facts.heartbeat = self.view;
            let next = self.view.map(|view| view.saturating_add(u64::from(self.leader_failed)));
            facts.round = next.max(self.to_view.filter(|_| self.view.is_some()));
        }
        let (Some((sealers, needed)), Some(peers), Some(own)) = (self.bench(), &sync.peers, &sync.own) else { return };
        let present: BTreeSet<NodeId> = peers.iter().chain([own]).cloned().collect();
        let (seen, absent) = seats(sealers, needed, &present);
        (facts.seats, facts.absent) = (Some(seen), short(absent));
    }
}

impl Adapter for FiscoBcos2 {
    fn calls(&self) -> &[Call] {
        &self.calls
    }

    fn due(&mut self, now: Timestamp) -> CallSet {
        self.rota.take_turn(&self.calls, now).without(HEADER).without(BLOCK)
    }

    /// The time of a new head; on an idle chain there is nothing to ask.
    fn follow_up(&mut self, now: Timestamp, answers: &Answers<'_>) -> CallSet {
        let Some(sync) = Sync::read(answers.get(HEAD)) else { return CallSet::default() };
        if !is_new(sync.height, sync.hash, self.header.as_ref()) {
            return CallSet::default();
        }
        let params = format!(r#"[{},"{:#x}",false]"#, self.group, sync.height.0);
        if !self.knows_no_headers {
            self.calls[HEADER] = Call::rpc_with("getBlockHeaderByNumber", params).optional();
            return CallSet::default().with(HEADER);
        }
        if self.block_asked.is_some_and(|asked| now.since(asked) < BLOCK_PACE) {
            return CallSet::default();
        }
        self.block_asked = Some(now);
        self.calls[BLOCK] = Call::rpc_with("getBlockByNumber", params);
        CallSet::default().with(BLOCK)
    }

    fn interpret(
        &mut self,
        _now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        let sync = Sync::read(answers.get(HEAD)).ok_or_else(|| no_head(self, answers.get(HEAD)))?;
        self.take_version(answers.get(VERSION));
        self.take_header(answers);
        let head = head(sync.height, sync.hash, self.header.as_ref());
        let mut facts = Facts {
            chain_id: self.chain_id.clone(),
            genesis: sync.genesis,
            version: self.version.clone(),
            head,
            finality: Finality::Known { height: head.height, hash: head.hash, time: head.time },
            syncing: syncing(sync.under_way, sync.known, sync.height),
            peers: sync.peers.as_ref().map(|peers| peers.len() as u64),
            pending: sync.pending,
            identity: sync.own.as_ref().map(NodeId::whole),
            clock,
            ..Facts::at_height(head.height)
        };
        if let Some(consensus) = Consensus::read(answers.get(CONSENSUS)) {
            consensus.tell(&sync, &mut facts);
        }
        Ok(facts)
    }

    /// Codes of `librpc/Common.h`.
    fn classify(&self, error: &RpcError) -> ErrorKind {
        match error.code {
            Some(-40010) => ErrorKind::Starting,
            Some(-40011) => ErrorKind::RateLimited,
            Some(-40012) => ErrorKind::Unauthorized,
            _ => ErrorKind::Rpc,
        }
    }

    fn block_call(&self, height: Height) -> Option<Question> {
        let params = format!(r#"[{},"{:#x}"]"#, self.group, height.0);
        Some(Question::Rpc { method: "getBlockHashByNumber".into(), params: params.into() })
    }

    fn block(&self, height: Height, answer: &Answer<'_>) -> Option<Head> {
        Some(head(height, Some(answer.read::<Digest>()?.0), None))
    }

    fn doubt_identity(&mut self) {
        self.rota.forget([VERSION]);
    }
}
