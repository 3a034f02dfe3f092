//! The consensus node of a rollup as a simulated node speaks it: the same blocks as those of an execution client, told in
//! one object of plain integers.

use super::{block::Block, rpc::Desk, view::View};

/// A block of the layer below for so many blocks of the rollup: twelve seconds against two.
const BLOCKS_PER_L1: u64 = 6;

/// `"result":...`, or `None` for a method that such a node does not know.
pub(super) fn outcome(desk: &Desk<'_>, view: &View<'_>, method: &str) -> Option<String> {
    Some(match method {
        "optimism_syncStatus" => format!(r#""result":{}"#, status(desk, view)),
        "optimism_rollupConfig" => {
            let first = desk.chain.block(desk.node, 0)?;
            format!(
                r#""result":{{"genesis":{{"l1":{},"l2":{},"l2_time":{}}},"block_time":2,"l1_chain_id":1,"l2_chain_id":{}}}"#,
                below(desk, first),
                reference(desk, first),
                desk.seconds(first),
                view.chain_id
            )
        }
        "optimism_version" => format!(r#""result":"v{}-sim""#, env!("CARGO_PKG_VERSION")),
        "opp2p_self" => format!(r#""result":{{"peerID":"16Uiu2HAmSim{}","protected":false}}"#, desk.node),
        "opp2p_peerStats" => format!(r#""result":{{"connected":{},"table":0,"banned":0}}"#, view.peers),
        _ => return None,
    })
}

fn status(desk: &Desk<'_>, view: &View<'_>) -> String {
    format!(
        r#"{{"current_l1":{0},"head_l1":{0},"safe_l1":{0},"finalized_l1":{0},"unsafe_l2":{1},"safe_l2":{2},"finalized_l2":{3},"queued_unsafe_l2":{4}}}"#,
        below(desk, view.head),
        reference(desk, view.head),
        reference(desk, view.safe),
        reference(desk, view.finalized),
        NOTHING
    )
}

fn reference(desk: &Desk<'_>, block: &Block) -> String {
    format!(
        r#"{{"hash":"{:#x}","number":{},"parentHash":"{:#x}","timestamp":{},"l1origin":{{"hash":"{:#x}","number":{}}},"sequenceNumber":{}}}"#,
        block.hash,
        block.number,
        block.parent,
        desk.seconds(block),
        block.hash,
        block.number / BLOCKS_PER_L1,
        block.number % BLOCKS_PER_L1
    )
}

/// The block of the layer below from which `block` follows.
fn below(desk: &Desk<'_>, block: &Block) -> String {
    format!(
        r#"{{"hash":"{:#x}","number":{},"parentHash":"{:#x}","timestamp":{}}}"#,
        block.hash,
        block.number / BLOCKS_PER_L1,
        block.parent,
        desk.seconds(block)
    )
}

/// A block that is not known.
const NOTHING: &str = concat!(
    r#"{"hash":"0x0000000000000000000000000000000000000000000000000000000000000000","number":0,"#,
    r#""parentHash":"0x0000000000000000000000000000000000000000000000000000000000000000","timestamp":0,"#,
    r#""l1origin":{"hash":"0x0000000000000000000000000000000000000000000000000000000000000000","number":0},"#,
    r#""sequenceNumber":0}"#,
);
