//! The answers about those who make blocks, in the shapes of the clients that give them.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

use crate::chain::quantity::{Address, Quantity};

/// Longer lists are not believed.
pub(super) const MAX_MEMBERS: usize = 1024;

/// Validators: a list of addresses, or in Bor of objects with the address as `signer`.
#[derive(Debug)]
pub(super) struct Members(pub(super) Vec<Address>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Member {
            Plain(Address),
            Described { signer: Address },
        }
        let members = Vec::<Member>::deserialize(deserializer)?.into_iter();
        let address = |member| match member {
            Member::Plain(address) | Member::Described { signer: address } => address,
        };
        Ok(Self(members.map(address).collect()))
    }
}

/// Who made how many of the last blocks.
///
/// geth and `GoQuorum` count in plain numbers by address, `{"sealerActivity":{"0x…":21},"numBlocks":64}`; Besu lists
/// `{"address":"0x…","proposedBlockCount":"0x21","lastProposedBlockNumber":"0x61"}`, also those who made none.
#[derive(Debug)]
pub(super) struct Makers(BTreeMap<Address, Made>);

#[derive(Debug, Clone, Copy)]
struct Made {
    blocks: u64,
    /// The number of the last of them, where it is told.
    last: Option<u64>,
}

impl Makers {
    /// How many blocks were looked at: each of them has one maker.
    pub(super) fn blocks(&self) -> u64 {
        self.0.values().fold(0, |sum, made| sum.saturating_add(made.blocks))
    }

    /// The number of the newest block that was looked at, where numbers are told.
    pub(super) fn newest(&self) -> Option<u64> {
        self.0.values().filter(|made| made.blocks != 0).filter_map(|made| made.last).max()
    }

    /// Whether `address` made one of them that is not older than `oldest`.
    pub(super) fn made_any(&self, address: Address, oldest: Option<u64>) -> bool {
        let young = |made: &Made| oldest.is_none_or(|oldest| made.last.is_none_or(|last| oldest <= last));
        self.0.get(&address).is_some_and(|made| made.blocks != 0 && young(made))
    }
}

impl<'de> Deserialize<'de> for Makers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metric {
            address: Address,
            proposed_block_count: Quantity,
            last_proposed_block_number: Quantity,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Activity {
            sealer_activity: BTreeMap<Address, Quantity>,
        }
        let metric = |it: Metric| {
            let last = Some(it.last_proposed_block_number.0);
            (it.address, Made { blocks: it.proposed_block_count.0, last })
        };
        let counted = |(who, blocks): (Address, Quantity)| (who, Made { blocks: blocks.0, last: None });
        // An enum without tags would keep all of a long answer before it looks at any of it.
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let makers: Result<BTreeMap<Address, Made>, _> = if raw.starts_with('{') {
            serde_json::from_str::<Activity>(raw).map(|told| told.sealer_activity.into_iter().map(counted).collect())
        } else {
            serde_json::from_str::<Vec<Metric>>(raw).map(|told| told.into_iter().map(metric).collect())
        };
        let makers = makers.map_err(D::Error::custom)?;
        if MAX_MEMBERS < makers.len() {
            return Err(D::Error::custom("too many makers of blocks"));
        }
        Ok(Self(makers))
    }
}

/// The answer to `txpool_besuStatistics`: plain numbers.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BesuPool {
    local_count: Quantity,
    remote_count: Quantity,
}

impl BesuPool {
    /// Transactions that wait, wherever they came from.
    pub(super) fn waiting(self) -> u64 {
        self.local_count.0.saturating_add(self.remote_count.0)
    }
}

/// The answer to `raft_cluster`.
#[derive(Debug)]
pub(super) struct Cluster(pub(super) Vec<Peer>);

/// A member of a Raft cluster.
#[derive(Debug)]
pub(super) struct Peer {
    /// Its number in the cluster.
    pub(super) name: Arc<str>,
    /// Whether it votes: learners only follow.
    pub(super) votes: bool,
    /// Whether the node that was asked is connected with it, or is it.
    pub(super) active: bool,
}

impl<'de> Deserialize<'de> for Cluster {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            raft_id: Quantity,
            #[serde(default)]
            role: String,
            node_active: bool,
        }
        let told = Vec::<Told>::deserialize(deserializer)?;
        if MAX_MEMBERS < told.len() {
            return Err(D::Error::custom("too many members of a cluster"));
        }
        let peer = |it: Told| Peer {
            name: it.raft_id.0.to_string().into(),
            votes: it.role != "learner",
            active: it.node_active,
        };
        Ok(Self(told.into_iter().map(peer).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> String {
        format!("0x{}", format!("{n:02x}").repeat(20))
    }

    fn read<T: for<'a> Deserialize<'a>>(json: &str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn validators_are_addresses_or_objects_with_a_signer() {
        let (a, b) = (address(1), address(2));
        let count = |json: &str| read::<Members>(json).map(|members| members.0.len());
        assert_eq!(count(&format!(r#"["{a}","{b}"]"#)), Some(2));
        assert_eq!(count(&format!(r#"[{{"ID":1,"signer":"{a}","power":10000,"accum":-3}}]"#)), Some(1));
        assert_eq!(count("[]"), Some(0));
        for wrong in ["null", "{}", "[1]", r#"["0x12"]"#, r#"[{"ID":1}]"#, "\"0x\""] {
            assert_eq!(count(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn both_ways_to_count_blocks_are_understood() {
        let (a, b) = (address(1), address(2));
        let activity = format!(r#"{{"inturnPercent":98.4,"sealerActivity":{{"{a}":64,"{b}":0}},"numBlocks":64}}"#);
        let makers: Makers = read(&activity).unwrap();
        let who = |json: &str| serde_json::from_str::<Address>(&format!("\"{json}\"")).unwrap();
        assert_eq!((makers.blocks(), makers.newest()), (64, None));
        assert!(makers.made_any(who(&a), None) && !makers.made_any(who(&b), None));
        let metrics = format!(
            r#"[{{"address":"{a}","proposedBlockCount":"0x32","lastProposedBlockNumber":"0x61"}},
                {{"address":"{b}","proposedBlockCount":"0x32","lastProposedBlockNumber":"0x40"}}]"#
        );
        let makers: Makers = read(&metrics).unwrap();
        assert_eq!((makers.blocks(), makers.newest()), (100, Some(0x61)));
        assert!(makers.made_any(who(&b), None) && !makers.made_any(who(&b), Some(0x41)));
        for wrong in ["null", "7", r#"{"numBlocks":64}"#, r#"{"sealerActivity":{"0x1":2}}"#, r#"[{"address":"0x1"}]"#] {
            assert!(read::<Makers>(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_cluster_that_does_not_tell_who_is_connected_tells_nothing() {
        let cluster = r#"[{"raftId":1,"role":"minter","nodeActive":true,"hostname":"127.0.0.1"},{"raftId":2,"role":"learner","nodeActive":false}]"#;
        let cluster: Cluster = read(cluster).unwrap();
        assert_eq!(
            cluster.0.iter().map(|peer| (peer.votes, peer.active)).collect::<Vec<_>>(),
            [(true, true), (false, false)]
        );
        assert!(read::<Cluster>(r#"[{"raftId":1,"role":"minter"}]"#).is_none());
    }
}
