//! The answers of Bitcoin Core and its relatives: only the fields that are used. Lists of peers and of branches, which may
//! have thousands of entries, are read entry by entry and never kept.
//!
//! Names and units are those of the RPC reference of Bitcoin Core; what relatives name otherwise is said where it is read.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    chain::quantity::{BareHash, Quantity},
    model::{BlockHash, Height, UnixTime},
};

/// The answer to `getblockchaininfo`: height and hash of the head from one instant.
#[derive(Debug, Deserialize)]
pub(super) struct Info<'a> {
    /// `main`, `test`, `testnet4`, `signet`, `regtest`; the forks of Bitcoin and most relatives say `main` as well.
    #[serde(default, borrow)]
    pub(super) chain: Option<Cow<'a, str>>,
    blocks: Quantity,
    bestblockhash: BareHash,
    /// Height of the best header; -1 as long as there is none.
    #[serde(default)]
    headers: Lenient,
    /// Time of the head in seconds; only newer versions tell it here.
    #[serde(default)]
    time: Lenient,
    #[serde(default)]
    initialblockdownload: Flag,
    /// What zcashd tells instead, the other way round.
    #[serde(default)]
    initial_block_download_complete: Flag,
}

impl Info<'_> {
    pub(super) fn height(&self) -> Height {
        Height(self.blocks.0)
    }

    pub(super) fn hash(&self) -> BlockHash {
        self.bestblockhash.0
    }

    pub(super) fn headers(&self) -> Option<u64> {
        self.headers.0
    }

    pub(super) fn time(&self) -> Option<UnixTime> {
        UnixTime::from_seconds(self.time.0?)
    }

    /// Whether the node calls its synchronisation unfinished. It does while its head is older than a day, and never
    /// again before its next start once that has been over.
    pub(super) fn downloads(&self) -> Option<bool> {
        self.initialblockdownload.0.or(self.initial_block_download_complete.0.map(|complete| !complete))
    }
}

/// The answer to `getblockheader` with its second parameter true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Header {
    hash: BareHash,
    #[serde(default)]
    height: Lenient,
    #[serde(default)]
    time: Lenient,
    /// The first block has none.
    #[serde(default)]
    previousblockhash: Option<BareHash>,
    #[serde(default, rename = "nTx")]
    transactions: Lenient,
    /// The same in Bitcoin SV.
    #[serde(default)]
    num_tx: Lenient,
}

impl Header {
    /// Whether it is the header of that block.
    pub(super) fn is_of(&self, height: Height, hash: BlockHash) -> bool {
        self.hash.0 == hash && self.height.0.is_none_or(|told| told == height.0)
    }

    pub(super) fn time(&self) -> Option<UnixTime> {
        UnixTime::from_seconds(self.time.0?)
    }

    pub(super) fn parent(&self) -> Option<BlockHash> {
        self.previousblockhash.map(|hash| hash.0)
    }

    pub(super) fn transactions(&self) -> Option<u64> {
        self.transactions.0.or(self.num_tx.0)
    }
}

/// The answer to `getmempoolinfo`.
#[derive(Debug, Deserialize)]
pub(super) struct Mempool {
    /// Transactions in it.
    pub(super) size: Quantity,
}

/// The answer to `getnetworkinfo`.
#[derive(Debug, Deserialize)]
pub(super) struct Network<'a> {
    /// `/Satoshi:28.0.0/`.
    #[serde(borrow)]
    pub(super) subversion: Cow<'a, str>,
}

/// The answer to `getbestchainlock` of Dash: the newest block that a quorum of masternodes has locked.
#[derive(Debug, Deserialize)]
pub(super) struct ChainLock {
    pub(super) height: Quantity,
    #[serde(default)]
    pub(super) blockhash: Option<BareHash>,
}

/// What is gathered of an array whose entries are not kept.
pub(super) trait Gather: Default {
    type Entry: DeserializeOwned;
    fn take(&mut self, entry: Self::Entry);
}

/// An array, gathered.
pub(super) struct Gathered<G>(pub(super) G);

impl<'de, G: Gather> Deserialize<'de> for Gathered<G> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<G>(PhantomData<G>);
        impl<'de, G: Gather> Visitor<'de> for Entries<G> {
            type Value = Gathered<G>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Gathered<G>, A::Error> {
                let mut gathered = G::default();
                while let Some(entry) = entries.next_element()? {
                    gathered.take(entry);
                }
                Ok(Gathered(gathered))
            }
        }
        deserializer.deserialize_seq(Entries(PhantomData))
    }
}

/// What `getchaintips` says of branches that the node has refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// The height of the highest block of a branch that the node holds for invalid.
    pub(super) highest: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tip {
    height: Quantity,
    status: String,
}

impl Gather for Refused {
    type Entry = Tip;

    fn take(&mut self, tip: Tip) {
        if tip.status == "invalid" {
            self.highest = self.highest.max(Some(tip.height.0));
        }
    }
}

/// What `getpeerinfo` says of the heights of the peers that the node has chosen itself: who comes from outside may be
/// anybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Peers {
    highest: Option<u64>,
    second: Option<u64>,
}

impl Peers {
    /// A height that two of these peers have reached, or the only one that tells any.
    pub(super) fn reached(&self) -> Option<u64> {
        self.second.or(self.highest)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Peer {
    #[serde(default)]
    inbound: Flag,
    /// Height of the last header it has in common with the node; -1 until that is known.
    #[serde(default)]
    synced_headers: Lenient,
}

impl Gather for Peers {
    type Entry = Peer;

    fn take(&mut self, peer: Peer) {
        let Some(height) = peer.synced_headers.0.filter(|_| peer.inbound.0 == Some(false)) else { return };
        self.second = self.second.max(self.highest.min(Some(height)));
        self.highest = self.highest.max(Some(height));
    }
}

/// A quantity, or nothing where something else stands: a fact beside the head is never a reason to refuse the head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lenient(Option<u64>);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str::<Quantity>(raw.get()).ok().map(|quantity| quantity.0)))
    }
}

/// A boolean, or nothing where something else stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flag(Option<bool>);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_that_came_by_themselves_and_one_alone_do_not_raise_the_height() {
        let reached = |json: &str| serde_json::from_str::<Gathered<Peers>>(json).ok().and_then(|it| it.0.reached());
        let peer = |inbound: bool, height: i64| format!(r#"{{"inbound":{inbound},"synced_headers":{height}}}"#);
        let peers = |peers: &[(bool, i64)]| {
            format!("[{}]", peers.iter().map(|it| peer(it.0, it.1)).collect::<Vec<_>>().join(","))
        };
        for (told, wanted) in [
            (peers(&[]), None),
            (peers(&[(false, -1)]), None),
            (peers(&[(false, 7)]), Some(7)),
            (peers(&[(false, 7), (false, 900), (false, 8)]), Some(8)),
            (peers(&[(true, 900), (true, 900), (false, 8)]), Some(8)),
            (r#"[{"inbound":false,"synced_headers":"soon"}]"#.to_owned(), None),
            (r#"[{"addr":"x"},{}]"#.to_owned(), None),
            ("{}".to_owned(), None),
        ] {
            assert_eq!(reached(&told), wanted, "{told}");
        }
    }

    #[test]
    fn only_invalid_branches_are_refused() {
        let tips = r#"[{"height":20,"status":"active"},{"height":19,"status":"invalid"},
            {"height":99,"status":"headers-only"},{"height":7,"status":"invalid","branchlen":3}]"#;
        assert_eq!(serde_json::from_str::<Gathered<Refused>>(tips).unwrap().0.highest, Some(19));
    }
}
