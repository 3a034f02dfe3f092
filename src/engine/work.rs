//! Work that waits for a block. Where blocks come only for work it is what makes one due; it must be proven, for a
//! transaction that waits may be one that no block will ever take. What came after the last block proves it, and so does
//! what full blocks had no room for.

use super::{backlog::Queue, node::Node, settings::NodeSettings, timer::Timer};
use crate::model::Timestamp;

/// Polls in which transactions must have waited before they prove work.
const POLLS: u32 = 2;

/// Transactions that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Since when.
    pub since: Timestamp,
    /// How many, by the word of the node that knows most.
    pub pending: u64,
}

impl Work {
    /// What full blocks left behind.
    #[must_use]
    pub fn left(queue: Queue) -> Self {
        Self { since: queue.oldest, pending: queue.pending }
    }

    /// Work is proven by transactions that wait in two polls, on two nodes where two nodes say what waits. Rounds and
    /// views prove none: on some chains they climb while all is well and nobody wants anything.
    #[must_use]
    pub fn proven<'a>(members: impl Iterator<Item = (&'a NodeSettings, &'a Node)>, timer: &Timer) -> Option<Self> {
        let mut speakers = 0;
        let mut pending = 0;
        let mut waiting = Vec::new();
        for (settings, node) in members {
            let facts = node.testimony(settings, timer).filter(|_| node.vote.is_some());
            let Some(count) = facts.and_then(|facts| facts.pending) else { continue };
            speakers += 1;
            pending = pending.max(count);
            waiting.extend(node.waiting.filter(|(_, polls)| POLLS <= *polls).map(|(since, _)| since));
        }
        waiting.sort_unstable();
        let witness = usize::from(2 <= speakers);
        waiting.get(witness).map(|since| Self { since: *since, pending })
    }
}
