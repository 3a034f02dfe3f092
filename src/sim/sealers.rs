//! What simulated nodes of consortium chains tell of those who make blocks, in the shapes of Besu and of geth.

use std::collections::BTreeMap;

use super::{
    rpc::{Desk, producer},
    tongue::Tongue,
    view::View,
};

/// Blocks that Besu looks back over.
const BESU_BLOCKS: u64 = 100;

/// Blocks that geth looks back over.
const CLIQUE_BLOCKS: u64 = 64;

/// `"result":...`, or `None` for a method that a node of this kind does not know.
pub(super) fn outcome(desk: &Desk<'_>, view: &View<'_>, method: &str) -> Option<String> {
    let result = match (desk.chain.plan().tongue, method) {
        (Tongue::Qbft, "qbft_getValidatorsByBlockNumber") | (Tongue::Clique, "clique_getSigners") => {
            let list: Vec<String> = voters(desk).map(|voter| format!("\"{}\"", producer(voter))).collect();
            format!("[{}]", list.join(","))
        }
        (Tongue::Qbft, "qbft_getSignerMetrics") => {
            let one = |(maker, (blocks, last)): (&u64, &(u64, u64))| {
                format!(
                    r#"{{"address":"{}","proposedBlockCount":"{blocks:#x}","lastProposedBlockNumber":"{last:#x}"}}"#,
                    producer(*maker)
                )
            };
            format!("[{}]", made(desk, view, BESU_BLOCKS).iter().map(one).collect::<Vec<_>>().join(","))
        }
        (Tongue::Qbft, "txpool_besuStatistics") => {
            format!(r#"{{"maxSize":4096,"localCount":{},"remoteCount":0}}"#, view.pending)
        }
        (Tongue::Clique, "clique_status") => {
            let made = made(desk, view, CLIQUE_BLOCKS);
            let one = |(maker, (blocks, _)): (&u64, &(u64, u64))| format!(r#""{}":{blocks}"#, producer(*maker));
            let activity: Vec<String> = made.iter().map(one).collect();
            let blocks: u64 = made.values().map(|(blocks, _)| blocks).sum();
            format!(r#"{{"inturnPercent":100,"sealerActivity":{{{}}},"numBlocks":{blocks}}}"#, activity.join(","))
        }
        _ => return None,
    };
    Some(format!(r#""result":{result}"#))
}

fn voters(desk: &Desk<'_>) -> impl Iterator<Item = u64> {
    desk.chain.plan().members.iter().zip(0..).filter(|(member, _)| member.votes).map(|(_, voter)| voter)
}

/// How many of the last blocks each voter made, and the number of its last one; 0 and 0 for who made none.
fn made(desk: &Desk<'_>, view: &View<'_>, blocks: u64) -> BTreeMap<u64, (u64, u64)> {
    let mut made: BTreeMap<u64, (u64, u64)> = voters(desk).map(|voter| (voter, (0, 0))).collect();
    let head = view.head.number;
    for block in (head.saturating_sub(blocks).max(1)..head).filter_map(|number| desk.chain.block(desk.node, number)) {
        let (count, last) = made.entry(block.producer).or_default();
        (*count, *last) = (*count + 1, block.number);
    }
    made
}
