//! The consensus node of an OP stack rollup. It tells three lines of progress that fail apart from each other: the
//! unsafe head stops with the sequencer, the safe head with the batcher, the finalized head with the layer below.
//!
//! Everything is in one call, `optimism_syncStatus`, whose numbers are plain integers. Before the node has found its
//! feet all of its fields are zero: that is no chain at height 0, and no reset.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Rota, decisive},
    evm,
    memory::Remembered,
    quantity::{Hash, Quantity},
    reply::{Answers, RpcError},
};
use crate::{
    model::{BlockHash, Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Finality, Head, PollError, Syncing, clean_text},
};

/// Who the node is does not change while it runs.
const RARELY: Duration = Duration::from_secs(600);

/// Peers come and go.
const PEERS_PACE: Duration = Duration::from_secs(30);

/// Longest version and longest peer id that are kept, in bytes.
const MAX_TEXT: usize = 128;

const CHAIN: usize = 1;
const VERSION: usize = 2;
const SELF: usize = 3;
const PEERS: usize = 4;

static CALLS: [Call; 5] = [
    Call::rpc("optimism_syncStatus", "[]"),
    Call::rpc("optimism_rollupConfig", "[]").optional().every(RARELY),
    Call::rpc("optimism_version", "[]").optional().every(RARELY),
    // Nodes without a network of their own do not know these two.
    Call::rpc("opp2p_self", "[]").optional().every(RARELY),
    Call::rpc("opp2p_peerStats", "[]").optional().every(PEERS_PACE),
];

/// What is remembered of one node.
#[derive(Debug, Default)]
pub struct OpNode {
    rota: Rota,
    chain: Remembered<Chain>,
    version: Remembered<Arc<str>>,
    identity: Remembered<Arc<str>>,
    peers: Remembered<u64>,
}

/// Which chain it follows.
#[derive(Debug, Clone)]
struct Chain {
    id: Arc<str>,
    genesis: Option<BlockHash>,
}

/// The answer to `optimism_syncStatus`; it also tells of the layer below, which is watched for itself.
#[derive(Debug, Clone, Copy, Deserialize)]
struct SyncStatus {
    unsafe_l2: Block,
    #[serde(default)]
    safe_l2: Option<Block>,
    #[serde(default)]
    finalized_l2: Option<Block>,
}

/// A reference to a block.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Block {
    hash: Hash,
    number: Quantity,
    #[serde(default, rename = "parentHash")]
    parent: Option<Hash>,
    #[serde(default)]
    timestamp: Option<Quantity>,
}

impl Block {
    /// A block that is not known is written as zeros.
    fn known(self) -> Option<Self> {
        (self.hash.0 != BlockHash([0; 32])).then_some(self)
    }

    fn height(&self) -> Height {
        Height(self.number.0)
    }

    fn time(&self) -> Option<UnixTime> {
        UnixTime::from_seconds(self.timestamp?.0)
    }
}

/// What of `optimism_rollupConfig` says which chain it is.
#[derive(Debug, Deserialize)]
struct RollupConfig {
    l2_chain_id: Quantity,
    #[serde(default)]
    genesis: Option<Genesis>,
}

/// Chains that are older than the rollup protocol begin in the middle.
#[derive(Debug, Deserialize)]
struct Genesis {
    l2: Block,
}

/// The answer to `opp2p_self`, as far as it says who it is.
#[derive(Debug, Deserialize)]
struct Oneself {
    #[serde(rename = "peerID")]
    peer_id: String,
}

/// The answer to `opp2p_peerStats`.
#[derive(Debug, Deserialize)]
struct PeerStats {
    connected: Quantity,
}

impl Adapter for OpNode {
    fn calls(&self) -> &[Call] {
        &CALLS
    }

    fn due(&mut self, now: Timestamp) -> CallSet {
        self.rota.take_turn(&CALLS, now)
    }

    fn interpret(
        &mut self,
        now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        let status: SyncStatus = decisive(self, answers.get(HEAD), "the state of synchronisation")?;
        let Some(head) = status.unsafe_l2.known() else {
            return Err(PollError::new(ErrorKind::Starting, "no unsafe head yet"));
        };
        self.remember(now, answers);
        let finalized = status.finalized_l2.and_then(Block::known);
        let chain = self.chain.at(now, RARELY);
        Ok(Facts {
            genesis: chain.and_then(|chain| chain.genesis),
            chain_id: chain.map(|chain| Arc::clone(&chain.id)),
            version: self.version.at(now, RARELY).cloned(),
            identity: self.identity.at(now, RARELY).cloned(),
            head: Head {
                height: head.height(),
                hash: Some(head.hash.0),
                parent: head.parent.map(|parent| parent.0),
                time: head.time(),
                transactions: None,
            },
            safe: status.safe_l2.and_then(Block::known).map(|block| block.height()),
            finality: finalized.map_or(Finality::Unknown, |block| Finality::Known {
                height: block.height(),
                hash: Some(block.hash.0),
                time: block.time(),
            }),
            syncing: Syncing::Unknown,
            peers: self.peers.at(now, PEERS_PACE).copied(),
            clock,
            ..Facts::at_height(head.height())
        })
    }

    /// It is served by the same library as the execution client.
    fn classify(&self, error: &RpcError) -> ErrorKind {
        evm::dialect(error)
    }

    fn doubt_identity(&mut self) {
        self.rota.forget([CHAIN, VERSION, SELF, PEERS]);
    }
}

impl OpNode {
    /// Takes over what was answered; what was not keeps its old value.
    fn remember(&mut self, now: Timestamp, answers: &Answers<'_>) {
        if let Some(config) = answers.get(CHAIN).read::<RollupConfig>() {
            let genesis = config.genesis.map(|genesis| genesis.l2).filter(|l2| l2.number.0 == 0).map(|l2| l2.hash.0);
            self.chain.keep(now, Some(Chain { id: config.l2_chain_id.0.to_string().into(), genesis }));
        }
        self.version.keep(now, answers.get(VERSION).read::<String>().map(|version| text(&version)));
        self.identity.keep(now, answers.get(SELF).read::<Oneself>().map(|oneself| text(&oneself.peer_id)));
        self.peers.keep(now, answers.get(PEERS).read::<PeerStats>().map(|stats| stats.connected.0));
    }
}

fn text(told: &str) -> Arc<str> {
    clean_text(told, MAX_TEXT).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::chain::reply::Answer;

    const ZERO: &str = r#"{"hash":"0x0000000000000000000000000000000000000000000000000000000000000000","number":0,"parentHash":"0x0000000000000000000000000000000000000000000000000000000000000000","timestamp":0,"l1origin":{"hash":"0x00","number":0},"sequenceNumber":0}"#;

    fn block(number: u64) -> String {
        format!(
            r#"{{"hash":"{:#066x}","number":{number},"parentHash":"{:#066x}","timestamp":{},"l1origin":{{"hash":"0x00","number":7}},"sequenceNumber":3}}"#,
            number + 1,
            number,
            1_730_000_000 + 2 * number
        )
    }

    fn status(unsafe_l2: &str, safe_l2: &str, finalized_l2: &str) -> String {
        format!(
            r#"{{"current_l1":{ZERO},"head_l1":{ZERO},"unsafe_l2":{unsafe_l2},"safe_l2":{safe_l2},"finalized_l2":{finalized_l2},"queued_unsafe_l2":{ZERO}}}"#
        )
    }

    fn read(node: &mut OpNode, seconds: i64, said: &[(usize, &str)]) -> Result<Facts, PollError> {
        let raw: Vec<(usize, Box<RawValue>)> =
            said.iter().map(|(at, json)| (*at, RawValue::from_string((*json).to_owned()).unwrap())).collect();
        let mut answers = Answers::default();
        for (position, raw) in &raw {
            answers.put(*position, Answer::Result(raw));
        }
        node.interpret(Timestamp(seconds * 1000), None, &answers)
    }

    #[test]
    fn three_lines_of_progress_are_read_from_plain_integers() {
        let status = status(&block(127), &block(100), &block(40));
        let facts = read(&mut OpNode::default(), 0, &[(HEAD, &status)]).unwrap();
        assert_eq!(
            (facts.head.height, facts.safe, facts.finality.height()),
            (Height(127), Some(Height(100)), Some(Height(40)))
        );
        assert_eq!(facts.head.time, UnixTime::from_seconds(1_730_000_254));
        assert_eq!((facts.peers, facts.chain_id), (None, None));
    }

    #[test]
    fn zeros_are_not_a_chain_at_height_zero() {
        let error = read(&mut OpNode::default(), 0, &[(HEAD, &status(ZERO, ZERO, ZERO))]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Starting);
        let facts = read(&mut OpNode::default(), 0, &[(HEAD, &status(&block(0), ZERO, ZERO))]).unwrap();
        assert_eq!((facts.head.height, facts.safe, facts.finality), (Height(0), None, Finality::Unknown));
    }

    #[test]
    fn who_it_is_is_remembered_for_a_while_and_its_peers_for_less() {
        let mut node = OpNode::default();
        let status = status(&block(9), &block(8), &block(7));
        let config = format!(
            r#"{{"genesis":{{"l1":{{"hash":"0x0","number":1}},"l2":{},"l2_time":1}},"block_time":2,"l1_chain_id":1,"l2_chain_id":10}}"#,
            format_args!(r#"{{"hash":"{:#066x}","number":0}}"#, 5)
        );
        let said = [
            (HEAD, &*status),
            (CHAIN, &*config),
            (VERSION, r#""v1.9.1-stable""#),
            (SELF, r#"{"peerID":"16Uiu2HAm","nodeID":"ab"}"#),
            (PEERS, r#"{"connected":21,"table":300,"known":90}"#),
        ];
        let facts = read(&mut node, 0, &said).unwrap();
        assert_eq!((facts.chain_id.as_deref(), facts.version.as_deref()), (Some("10"), Some("v1.9.1-stable")));
        assert_eq!((facts.identity.as_deref(), facts.peers), (Some("16Uiu2HAm"), Some(21)));
        assert!(facts.genesis.is_some());
        let later = read(&mut node, 91, &[(HEAD, &status)]).unwrap();
        assert_eq!((later.chain_id.as_deref(), later.peers), (Some("10"), None));
        let long_after = read(&mut node, 1801, &[(HEAD, &status)]).unwrap();
        assert_eq!((long_after.chain_id, long_after.genesis), (None, None), "what goes together is forgotten together");
    }

    #[test]
    fn what_is_wrong_has_a_name() {
        for (json, wanted) in [
            ("null", ErrorKind::Malformed),
            ("{}", ErrorKind::Malformed),
            (r#"{"unsafe_l2":null}"#, ErrorKind::Malformed),
            (r#"{"unsafe_l2":{"hash":"0x12","number":1}}"#, ErrorKind::Malformed),
            (r#"{"unsafe_l2":{"number":1}}"#, ErrorKind::Malformed),
        ] {
            assert_eq!(read(&mut OpNode::default(), 0, &[(HEAD, json)]).unwrap_err().kind, wanted, "{json}");
        }
        assert!(read(&mut OpNode::default(), 0, &[]).is_err());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(number in any::<u64>(), time in any::<u64>(), text in "\\PC{0,60}", at in 0..5_usize) {
            let head = format!(r#"{{"hash":"{:#066x}","number":{number},"timestamp":{time}}}"#, 1);
            let status = status(&head, &head, ZERO);
            let told = read(&mut OpNode::default(), 0, &[(HEAD, &status)]).unwrap();
            prop_assert_eq!(told.head.height, Height(number));
            let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
            for json in [serde_json::to_string(&text).unwrap(), nested] {
                let _ = read(&mut OpNode::default(), 0, &[(at, &json)]);
                let _ = read(&mut OpNode::default(), 0, &[(HEAD, &status), (at.max(1), &json)]).unwrap();
            }
        }
    }
}
