//! How many of the last slots have a block. Nobody is asked about each of them: every head names the block before it, so
//! where heads follow each other as parent and child, the slots between two of them were missed for certain.

use std::collections::VecDeque;

use crate::model::BlockHash;

/// Slots over which is counted: an epoch of the mainnet.
pub(super) const WINDOW: u64 = 32;

/// Heads that follow each other without a gap in what is known, oldest first.
#[derive(Debug, Default)]
pub(super) struct Lineage(VecDeque<(u64, BlockHash)>);

impl Lineage {
    /// Takes in a head. One whose parent is not known begins anew: what lies between is not known either.
    pub(super) fn follow(&mut self, slot: u64, root: BlockHash, parent: Option<BlockHash>) {
        // A balancer may answer from a node that is a slot behind.
        if self.0.iter().any(|(_, known)| *known == root) {
            return;
        }
        let parent = self.0.iter().rposition(|(at, known)| Some(*known) == parent && *at < slot);
        self.0.truncate(parent.map_or(0, |parent| parent + 1));
        self.0.push_back((slot, root));
        while self.0.get(1).is_some_and(|(second, _)| second.saturating_add(WINDOW) <= slot) {
            self.0.pop_front();
        }
    }

    /// The share of the last [`WINDOW`] slots up to the newest head that have a block, per mille; `None` while less is
    /// known.
    pub(super) fn filled(&self) -> Option<u16> {
        let (newest, _) = self.0.back()?;
        let begin = newest.checked_sub(WINDOW)?;
        self.0.front().filter(|(oldest, _)| *oldest <= begin)?;
        let filled = self.0.iter().filter(|(slot, _)| begin < *slot).count();
        u16::try_from(filled.saturating_mul(1000) / usize::try_from(WINDOW).ok()?).ok()
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(slot: u64) -> BlockHash {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&slot.to_be_bytes());
        BlockHash(bytes)
    }

    /// Follows blocks in these slots, each on top of the one before, of which those in `unseen` are not polled.
    fn filled(slots: impl Iterator<Item = u64>, unseen: &[u64]) -> Option<u16> {
        let (mut lineage, mut parent) = (Lineage::default(), None);
        for slot in slots {
            if !unseen.contains(&slot) {
                lineage.follow(slot, root(slot), parent);
            }
            parent = Some(root(slot));
        }
        lineage.filled()
    }

    #[test]
    fn the_share_of_filled_slots_is_known_after_a_window_of_heads_without_a_gap() {
        assert_eq!(filled(0..32, &[]), None, "one slot short");
        assert_eq!(filled(0..33, &[]), Some(1000));
        assert_eq!(filled((0..101).step_by(2), &[]), Some(500));
        assert_eq!(filled((0..=100).filter(|slot| slot % 8 != 3), &[]), Some(875));
        assert_eq!(filled(0..1000, &[990]), None, "what lies before an unseen block is not known");
        assert_eq!(filled(0..1000, &[900]), Some(1000));
        assert_eq!(filled([0, 64].into_iter(), &[]), Some(31), "a long gap between parent and child was empty");
    }

    #[test]
    fn a_late_block_that_is_replaced_counts_once_and_an_old_head_changes_nothing() {
        let mut lineage = Lineage::default();
        (0..=40).for_each(|slot| lineage.follow(slot, root(slot), slot.checked_sub(1).map(root)));
        lineage.follow(41, root(1041), Some(root(39)));
        assert_eq!(lineage.filled(), Some(968), "slot 40 is empty on this branch");
        lineage.follow(39, root(39), Some(root(38)));
        assert_eq!(lineage.filled(), Some(968));
        lineage.follow(38, root(2038), Some(root(38)));
        assert_eq!(lineage.filled(), None, "a child before its parent is nonsense");
        for slot in [u64::MAX, 0, u64::MAX - 1] {
            lineage.follow(slot, root(slot ^ 5), None);
            assert_eq!(lineage.filled(), None);
        }
        assert!(lineage.0.len() <= 1);
    }
}
