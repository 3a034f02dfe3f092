//! What both generations of FISCO BCOS nodes have in common: how they write numbers, hashes and names of nodes, JSON that
//! comes as text inside a string, and what is remembered of an answer that is not asked for in every poll.
//!
//! Field names and encodings: `librpc/Rpc.cpp`, `PBFTEngine.cpp` and `SyncMaster.cpp` of 2.x, `JsonRpcImpl_2_0.cpp`,
//! `PBFTImpl.cpp` and `BlockSync.cpp` of 3.x.

mod seal;
mod word;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

pub(super) use self::{
    seal::{Sealer, seats, sum},
    word::{Digest, Fields, List, NodeId, Number, Words, inside, perhaps},
};
use super::{
    adapter::{Adapter, refusal},
    reply::Answer,
};
use crate::{
    model::{BlockHash, Height, UnixTime},
    observation::{ErrorKind, Head, PollError, Syncing},
};

/// How long name, chain and version of a node are believed without asking.
pub(super) const IDENTITY_PACE: Duration = Duration::from_secs(600);

/// The block of a head, as far as it has been asked for beside the height and the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Its height.
    pub(super) height: Height,
    /// Its hash.
    pub(super) hash: Option<BlockHash>,
    /// The hash of the block before it.
    pub(super) parent: Option<BlockHash>,
    /// Milliseconds since 1970, as the leader that sealed it read its clock.
    pub(super) time: Option<UnixTime>,
}

impl Header {
    /// Reads a block or its header: `number`, `hash`, `parentHash`, `timestamp` in 2.x; in 3.x the hash of the block
    /// before stands in `parentInfo`.
    pub(super) fn read(answer: &Answer<'_>) -> Option<Self> {
        let fields = answer.read::<Fields<'_>>()?;
        let parents = || fields.get::<List<Fields<'_>>>("parentInfo")?.0.first()?.get::<Digest>("blockHash");
        Some(Self {
            height: Height(fields.get::<Number>("number")?.0),
            hash: fields.get::<Digest>("hash").map(|hash| hash.0),
            parent: fields.get::<Digest>("parentHash").or_else(parents).map(|hash| hash.0),
            time: fields
                .get::<Number>("timestamp")
                .and_then(|ms| Some(UnixTime::from_millis(i64::try_from(ms.0).ok()?))),
        })
    }

    /// Whether it is the block of this head.
    fn belongs_to(&self, height: Height, hash: Option<BlockHash>) -> bool {
        self.height == height && (self.hash.is_none() || hash.is_none() || self.hash == hash)
    }
}

/// The head, with what is known of its block.
pub(super) fn head(height: Height, hash: Option<BlockHash>, header: Option<&Header>) -> Head {
    let header = header.filter(|header| header.belongs_to(height, hash));
    Head {
        height,
        hash,
        parent: header.and_then(|header| header.parent),
        time: header.and_then(|header| header.time),
        transactions: None,
    }
}

/// Whether the block of this head has not been asked for yet.
pub(super) fn is_new(height: Height, hash: Option<BlockHash>, header: Option<&Header>) -> bool {
    header.is_none_or(|header| !header.belongs_to(height, hash))
}

/// Why there is no head in the answer to the call for it.
pub(super) fn no_head(adapter: &dyn Adapter, answer: &Answer<'_>) -> PollError {
    match answer {
        Answer::Missing => PollError::new(ErrorKind::Malformed, "no answer to the call for the head"),
        Answer::Error(error) => refusal(adapter, error),
        Answer::Result(_) => PollError::new(ErrorKind::Malformed, "the answer tells no block number"),
    }
}

/// What a node says of its own synchronisation.
pub(super) fn syncing(under_way: Option<bool>, known: Option<u64>, height: Height) -> Syncing {
    match under_way {
        None => Syncing::Unknown,
        Some(false) => Syncing::No,
        Some(true) => Syncing::Yes { behind: known.map(|known| known.saturating_sub(height.0)) },
    }
}

/// Names for people: a node id has 128 digits, of which nobody reads more than the first.
pub(super) fn short(names: BTreeSet<&NodeId>) -> Vec<Arc<str>> {
    names.into_iter().take(crate::observation::ABSENT).map(NodeId::short).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::{
        chain::{
            Family, Particulars,
            reply::{Answers, RpcError},
        },
        model::Timestamp,
    };

    /// JSON of wild shapes, some of it with the names that are looked for, some of it wrapped in a string.
    fn wild() -> impl Strategy<Value = serde_json::Value> {
        let names = prop::sample::select(vec![
            "blockNumber",
            "latestHash",
            "hash",
            "nodeId",
            "nodeID",
            "peers",
            "isSyncing",
            "currentView",
            "toView",
            "nodeNum",
            "max_faulty_leader",
            "sealer.0",
            "accountType",
            "consensusNodeList",
            "weight",
            "timeout",
            "minRequiredQuorum",
            "connectedNodeList",
            "nodeList",
            "name",
            "iniConfig",
            "timestamp",
            "number",
        ]);
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "[0-9a-fx\"\\\\{}\\[\\],]{0,80}".prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 64, 8, move |inner| {
            let map = prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner.clone(), 0..8);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                map.prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
                inner.prop_map(|inner| inner.to_string().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_a_node_says_breaks_an_adapter(said in prop::collection::vec((wild(), any::<bool>()), 6), cut in any::<u16>()) {
            let texts: Vec<String> = said.iter().map(|(value, _)| value.to_string()).collect();
            let raws: Vec<Box<RawValue>> = texts.iter().map(|text| {
                let part = text.get(..usize::from(cut) % (text.len() + 1)).unwrap_or(text);
                let json = if serde_json::from_str::<serde::de::IgnoredAny>(part).is_ok() { part } else { text };
                RawValue::from_string(json.to_owned()).unwrap()
            }).collect();
            for family in [Family::FiscoBcos2, Family::FiscoBcos3] {
                let mut adapter = family.adapter(&Particulars::default());
                let now = Timestamp(1000);
                adapter.due(now);
                let mut answers = Answers::default();
                for (position, raw) in raws.iter().enumerate() {
                    let wrapped = said[position].1;
                    answers.put(position, if wrapped { Answer::Error(RpcError::default()) } else { Answer::Result(raw) });
                }
                adapter.follow_up(now, &answers);
                if let Ok(facts) = adapter.interpret(now, None, &answers) {
                    prop_assert!(facts.absent.len() <= crate::observation::ABSENT);
                    prop_assert!(facts.seats.is_none_or(|seats| seats.live <= seats.total));
                }
            }
        }
    }

    #[test]
    fn the_time_of_another_block_is_not_that_of_the_head() {
        let (one, two) = (Some(BlockHash([1; 32])), Some(BlockHash([2; 32])));
        let header = Header { height: Height(7), hash: one, parent: None, time: Some(UnixTime::from_millis(5)) };
        assert!(head(Height(7), one, Some(&header)).time.is_some());
        assert_eq!(head(Height(8), two, Some(&header)).time, None);
        assert_eq!(head(Height(7), two, Some(&header)).time, None, "it was replaced");
    }
}
