//! FISCO BCOS 3.x: JSON-RPC over HTTP or HTTPS, several groups in a node, the group a text.
//!
//! The head is asked for with `getConsensusStatus`: number, hash, quorum and the number of connected nodes from one
//! instant, as JSON inside a string. Batches are refused, so what a poll needs is kept to two requests; the rest has a pace
//! of its own, and the list of connected nodes is asked for at once when their number changes.
//!
//! The timer of its PBFT rests while nothing waits, so an idle chain shows a constant height *and* a constant view: there
//! is no heartbeat in it. What tells a lost quorum then is who is connected. Where one RPC service stands before several
//! nodes each call could reach another of them, so every call names one, learned from `getGroupInfo`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Question, Rota},
    family::Particulars,
    fisco_bcos::{
        Digest, Fields, Header, IDENTITY_PACE, List, NodeId, Number, Sealer, Words, head, inside, is_new, no_head,
        perhaps, seats, short, sum, syncing,
    },
    memory::Remembered,
    reply::{Answer, Answers, RpcError},
};
use crate::{
    model::{BlockHash, Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Finality, Head, PollError, Seats, clean_text},
};

/// The group that is watched where none is named.
pub(super) const FIRST_GROUP: &str = "group0";

/// How often a node is asked what it knows of its own synchronisation, and for the time of a new block.
const SLOW_PACE: Duration = Duration::from_secs(10);

/// How often the connected nodes are asked for while their number stays the same.
const PEERS_PACE: Duration = Duration::from_secs(30);

/// Longest chain id or name that is kept, in bytes.
const MAX_TEXT: usize = 160;

/// Longest version that is kept, in bytes.
const MAX_VERSION: usize = 128;

const PENDING: usize = 1;
const SYNC: usize = 2;
const GROUP: usize = 3;
const PEERS: usize = 4;
const BLOCK: usize = 5;

/// What is remembered of one node.
#[derive(Debug)]
pub struct FiscoBcos3 {
    group: String,
    /// The node behind the endpoint; empty for any of them.
    name: String,
    calls: [Call; 6],
    rota: Rota,
    chain_id: Option<Arc<str>>,
    version: Option<Arc<str>>,
    sync: Remembered<Sync>,
    peers: Remembered<Peers>,
    header: Option<Header>,
    header_asked: Option<Timestamp>,
}

/// The nodes of the group that are connected, and how many the consensus counted at the time.
#[derive(Debug)]
struct Peers {
    connected: Option<u64>,
    present: BTreeSet<NodeId>,
}

impl FiscoBcos3 {
    /// An adapter for the group that is named.
    #[must_use]
    pub fn new(particulars: &Particulars) -> Self {
        let group = particulars.group.as_deref().unwrap_or(FIRST_GROUP).to_owned();
        let empty = || Call::rpc("", "[]");
        let mut adapter = Self {
            group,
            name: String::new(),
            calls: [empty(), empty(), empty(), empty(), empty(), empty()],
            rota: Rota::default(),
            chain_id: None,
            version: None,
            sync: Remembered::default(),
            peers: Remembered::default(),
            header: None,
            header_asked: None,
        };
        adapter.address();
        adapter
    }

    /// Writes the group and the name of the node into every call. None of them is optional: a node that starts answers
    /// with the code that elsewhere means a missing method.
    fn address(&mut self) {
        let group = self.params("");
        let of_node = self.params(&format!(",{}", json(&self.name)));
        self.calls = [
            Call::rpc_with("getConsensusStatus", of_node.clone()),
            Call::rpc_with("getPendingTxSize", of_node.clone()),
            Call::rpc_with("getSyncStatus", of_node.clone()).every(SLOW_PACE),
            Call::rpc_with("getGroupInfo", group.clone()).every(IDENTITY_PACE),
            Call::rpc_with("getGroupPeers", group),
            Call::rpc_with("getBlockByNumber", of_node),
        ];
    }

    fn params(&self, rest: &str) -> String {
        format!("[{}{rest}]", json(&self.group))
    }

    fn block_params(&self, height: Height, rest: &str) -> String {
        self.params(&format!(",{},{}{rest}", json(&self.name), height.0))
    }

    /// Chain, version and name of the node. One that was chosen stays as long as it is there; else it is the first, so
    /// that every poll asks the same.
    fn take_group(&mut self, answer: &Answer<'_>) {
        let Some(fields) = answer.read::<Fields<'_>>() else { return };
        let nodes = fields.get::<List<Fields<'_>>>("nodeList").map(|list| list.0).unwrap_or_default();
        let named = |node: &Fields<'_>| node.get::<String>("name").filter(|name| name.len() <= MAX_TEXT);
        let mut names: Vec<(String, &Fields<'_>)> =
            nodes.iter().filter_map(|node| Some((named(node)?, node))).collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let chosen = names.iter().find(|(name, _)| *name == self.name).or(names.first());
        self.chain_id = fields.get::<String>("chainID").map(|id| clean_text(&id, MAX_TEXT).into());
        let Some((name, node)) = chosen else { return };
        self.version = node.get::<String>("iniConfig").and_then(|text| version(&text)).map(Into::into);
        if *name != self.name {
            self.name.clone_from(name);
            self.address();
        }
    }

    fn take_paced(&mut self, now: Timestamp, consensus: &Consensus, answers: &Answers<'_>) {
        self.sync.keep(now, Sync::read(answers.get(SYNC)));
        let present = answers.get(PEERS).read::<Words<NodeId>>().map(|words| words.0.into_iter().collect());
        self.peers.keep(now, present.map(|present| Peers { connected: consensus.connected, present }));
        self.header = Header::read(answers.get(BLOCK)).or(self.header);
    }

    fn peers_are_due(&self, now: Timestamp, consensus: &Consensus) -> bool {
        let told = self.peers.within(now, PEERS_PACE);
        told.is_none_or(|peers| peers.connected != consensus.connected)
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The configuration of a node is JSON inside a string.
fn version(config: &str) -> Option<String> {
    let fields: Fields<'_> = perhaps(config)?;
    let version = fields.get::<Fields<'_>>("binaryInfo")?.get::<String>("version")?;
    Some(clean_text(&format!("FISCO BCOS {version}"), MAX_VERSION))
}

/// `getSyncStatus`: `BlockSync::asyncGetSyncInfo`.
#[derive(Debug)]
struct Sync {
    genesis: Option<BlockHash>,
    under_way: Option<bool>,
    known: Option<u64>,
}

impl Sync {
    fn read(answer: &Answer<'_>) -> Option<Self> {
        inside(answer, |text| {
            let fields: Fields<'_> = perhaps(text)?;
            Some(Self {
                genesis: fields.get::<Digest>("genesisHash").map(|hash| hash.0),
                under_way: fields.get("isSyncing"),
                known: fields.get::<Number>("knownHighestNumber").map(|number| number.0),
            })
        })
    }
}

/// `getConsensusStatus`: `PBFTImpl::asyncGetConsensusStatus`.
#[derive(Debug)]
struct Consensus {
    height: Height,
    hash: Option<BlockHash>,
    own: Option<NodeId>,
    votes: Option<bool>,
    timeout: bool,
    cycle: Option<u64>,
    /// Nodes of the group that are connected, this one included: sealers and observers.
    connected: Option<u64>,
    needed: Option<u64>,
    sealers: Vec<Sealer>,
}

impl Consensus {
    fn read(answer: &Answer<'_>) -> Option<Self> {
        inside(answer, |text| {
            let fields: Fields<'_> = perhaps(text)?;
            let number = |name: &str| fields.get::<Number>(name).map(|number| number.0);
            let sealers = fields.get::<List<Fields<'_>>>("consensusNodeList").map(|list| list.0).unwrap_or_default();
            let weight = |sealer: &Fields<'_>| sealer.get::<Number>("weight").map_or(1, |weight| weight.0);
            let sealer = |it: &Fields<'_>| Some(Sealer { id: it.get("nodeID")?, weight: weight(it) });
            Some(Self {
                height: Height(number("blockNumber")?),
                hash: fields.get::<Digest>("hash").map(|hash| hash.0),
                own: fields.get("nodeID"),
                votes: fields.get("isConsensusNode"),
                timeout: fields.get("timeout") == Some(true),
                cycle: number("changeCycle"),
                connected: number("connectedNodeList"),
                needed: number("minRequiredQuorum"),
                sealers: sealers.iter().filter_map(sealer).collect(),
            })
        })
    }

    /// The round of the height in progress: how often agreeing on it has failed.
    fn round(&self) -> Option<u64> {
        self.cycle.filter(|_| self.votes == Some(true)).map(|cycle| cycle.max(u64::from(self.timeout)))
    }

    fn power(&self) -> Option<u64> {
        let own = self.own.as_ref()?;
        let place = self.sealers.iter().find(|sealer| sealer.id == *own);
        place.map(|sealer| sealer.weight).or((self.votes == Some(false)).then_some(0))
    }

    /// What it sees of the sealers. The number of connected nodes is as fresh as the head, but counts observers too: it
    /// proves alone that too few are left, and nothing else.
    fn tell_seats(&self, peers: Option<&Peers>, facts: &mut Facts) {
        let Some(needed) = self.needed.filter(|_| !self.sealers.is_empty()) else { return };
        if let Some(peers) = peers.filter(|peers| peers.connected == self.connected) {
            let present: BTreeSet<NodeId> = peers.present.iter().chain(&self.own).cloned().collect();
            let (seen, absent) = seats(&self.sealers, needed, &present);
            (facts.seats, facts.absent) = (Some(seen), short(absent));
            return;
        }
        let equal = self.sealers.iter().all(|sealer| sealer.weight == 1);
        let few = self.connected.filter(|connected| equal && *connected < needed);
        let total = sum(self.sealers.iter());
        facts.seats = few.map(|live| Seats { total, needed, live: live.min(total) });
    }
}

impl Adapter for FiscoBcos3 {
    fn calls(&self) -> &[Call] {
        &self.calls
    }

    fn due(&mut self, now: Timestamp) -> CallSet {
        self.rota.take_turn(&self.calls, now).without(PEERS).without(BLOCK)
    }

    fn follow_up(&mut self, now: Timestamp, answers: &Answers<'_>) -> CallSet {
        let Some(consensus) = Consensus::read(answers.get(HEAD)) else { return CallSet::default() };
        let mut due = CallSet::default();
        if self.peers_are_due(now, &consensus) {
            due = due.with(PEERS);
        }
        let rested = self.header_asked.is_none_or(|asked| SLOW_PACE <= now.since(asked));
        if rested && is_new(consensus.height, consensus.hash, self.header.as_ref()) {
            self.header_asked = Some(now);
            self.calls[BLOCK] = Call::rpc_with("getBlockByNumber", self.block_params(consensus.height, ",true,true"));
            due = due.with(BLOCK);
        }
        due
    }

    /// 3.x answers a batch with an error.
    fn batch_limit(&self) -> usize {
        1
    }

    fn interpret(
        &mut self,
        now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        // Also when the head is refused: that may be because the node it was asked of is gone.
        self.take_group(answers.get(GROUP));
        let consensus = Consensus::read(answers.get(HEAD)).ok_or_else(|| no_head(self, answers.get(HEAD)))?;
        self.take_paced(now, &consensus, answers);
        let head = head(consensus.height, consensus.hash, self.header.as_ref());
        let sync = self.sync.at(now, SLOW_PACE);
        let mut facts = Facts {
            chain_id: self.chain_id.clone(),
            genesis: sync.and_then(|sync| sync.genesis),
            version: self.version.clone(),
            head,
            finality: Finality::Known { height: head.height, hash: head.hash, time: head.time },
            syncing: syncing(sync.and_then(|sync| sync.under_way), sync.and_then(|sync| sync.known), head.height),
            peers: consensus.connected.map(|connected| connected.saturating_sub(1)),
            pending: answers.get(PENDING).read::<Number>().map(|pending| pending.0),
            round: consensus.round(),
            power: consensus.power(),
            validators: (!consensus.sealers.is_empty()).then(|| sum(consensus.sealers.iter())),
            identity: consensus.own.as_ref().map(NodeId::whole),
            clock,
            ..Facts::at_height(head.height)
        };
        consensus.tell_seats(self.peers.at(now, PEERS_PACE), &mut facts);
        Ok(facts)
    }

    /// Codes of `bcos-rpc/jsonrpc/Common.h`; others of them mean something else in other families.
    fn classify(&self, error: &RpcError) -> ErrorKind {
        match error.code {
            Some(-32004) => ErrorKind::Starting,
            Some(-32003) => ErrorKind::Unauthorized,
            _ => ErrorKind::Rpc,
        }
    }

    fn block_call(&self, height: Height) -> Option<Question> {
        Some(Question::Rpc { method: "getBlockHashByNumber".into(), params: self.block_params(height, "").into() })
    }

    fn block(&self, height: Height, answer: &Answer<'_>) -> Option<Head> {
        Some(head(height, Some(answer.read::<Digest>()?.0), None))
    }

    fn doubt_identity(&mut self) {
        self.rota.forget([GROUP, SYNC]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_as_short_as_facts_promise() {
        let of = |text: &str| version(&format!(r#"{{"binaryInfo":{{"version":"{text}"}}}}"#));
        assert_eq!(of("3.16.2").as_deref(), Some("FISCO BCOS 3.16.2"));
        assert_eq!(of(&"9".repeat(200)).map(|version| version.len()), Some(MAX_VERSION));
    }
}
