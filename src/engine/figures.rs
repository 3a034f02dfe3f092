//! Numbers of a network that are shown and not decided upon: how far finality is behind, how consensus fares, what the
//! protocol could lose. Of what several nodes say the middle counts, so that one of them cannot paint the picture.

use std::time::Duration;

use super::node::Node;
use crate::{
    model::{Height, UnixTime},
    observation::{Facts, Finality},
};

/// Where so many voters tell what is final, the word of one alone is not enough.
const WITNESSED: usize = 3;

/// The newest final block of a network, as far as its voters say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Final {
    /// Its height, at most the tip.
    pub height: Option<Height>,
    /// Time from that block to the block at the tip: by their own timestamps, else by the number of blocks between them.
    pub lag: Option<Duration>,
}

impl Final {
    /// What the voters among `nodes` say, for a tip at `tip` of `time`.
    pub fn of<'a>(
        nodes: impl Iterator<Item = &'a Node>,
        tip: Option<(Height, Option<UnixTime>)>,
        block_time: Option<Duration>,
    ) -> Self {
        let Some((tip, tip_time)) = tip else { return Self::default() };
        let told = voters(nodes).filter_map(|facts| match facts.finality {
            Finality::Known { height, time, .. } => Some((height.min(tip), time.filter(|_| height <= tip))),
            Finality::Unknown => None,
        });
        let mut told: Vec<_> = told.collect();
        told.sort_unstable();
        let alone = usize::from(WITNESSED <= told.len());
        let Some((height, time)) = told.into_iter().rev().nth(alone) else { return Self::default() };
        let by_blocks = || Some(block_time?.saturating_mul(u32::try_from(tip.above(height)).unwrap_or(u32::MAX)));
        let by_times = tip_time.zip(time).map(|(tip, time)| tip.since(time));
        Self { height: Some(height), lag: by_times.or_else(by_blocks) }
    }
}

/// What the middle one of the voters says, of those who say anything.
pub fn middle<'a, T: Ord + Copy>(
    nodes: impl Iterator<Item = &'a Node>,
    said: impl Fn(&Facts) -> Option<T>,
) -> Option<T> {
    let mut all: Vec<T> = voters(nodes).filter_map(said).collect();
    all.sort_unstable();
    all.get(all.len().saturating_sub(1) / 2).copied()
}

fn voters<'a>(nodes: impl Iterator<Item = &'a Node>) -> impl Iterator<Item = &'a Facts> {
    nodes.filter(|node| node.vote.is_some()).filter_map(|node| Some(&*node.good.as_ref()?.facts))
}
