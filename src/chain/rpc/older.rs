//! Older blocks, asked for after the head where the ladder wants them. What comes of it is no part of the poll's success:
//! a node that does not answer here has still told its head.

use std::{sync::Arc, time::Duration};

use super::{Batches, Round, Session, read};
use crate::{
    chain::{
        adapter::Adapter,
        reply::{Answer, Answers, Reply, id_of},
    },
    model::{BlockHash, Height, Timestamp},
    observation::CHECKPOINTS,
};

/// Older blocks asked for one by one, of a node that takes no batches.
const SINGLY: usize = 3;

impl Session {
    /// Adds to a good round the older blocks that are to be asked for, as far as they come in what is `left` of its time.
    pub(super) async fn look_back(
        &mut self,
        adapter: &dyn Adapter,
        now: Timestamp,
        mut round: Round,
        left: Duration,
    ) -> Round {
        let wanted = self.ladder.climb(now, &round.facts.head);
        if wanted.is_empty() || adapter.block_call(Height(0)).is_none() || !self.leave_within(left).await {
            return round;
        }
        let blocks = if self.batches == Batches::Taken {
            self.blocks(adapter, &wanted, left).await
        } else {
            self.blocks(adapter, &wanted[..wanted.len().min(SINGLY)], left).await
        };
        self.ladder.take(&blocks);
        let facts = Arc::make_mut(&mut round.facts);
        facts.checkpoints.extend(blocks);
        facts.checkpoints.truncate(CHECKPOINTS);
        round
    }

    async fn blocks(&mut self, adapter: &dyn Adapter, wanted: &[Height], left: Duration) -> Vec<(Height, BlockHash)> {
        let calls: Vec<String> =
            wanted.iter().enumerate().filter_map(|(position, height)| block_call(adapter, position, *height)).collect();
        let mut blocks = Vec::with_capacity(calls.len());
        if self.batches == Batches::Taken {
            let Ok(response) = self.exchange(format!("[{}]", calls.join(",")).into(), left).await else {
                return blocks;
            };
            if let Ok(Reply::Batch(answers)) = read(&response) {
                blocks.extend(told(adapter, wanted, &answers));
            }
            return blocks;
        }
        for (call, height) in calls.into_iter().zip(wanted) {
            let Ok(response) = self.exchange(call.into(), left).await else { break };
            let Ok(Reply::Single { answer: answer @ Answer::Result(_), .. }) = read(&response) else { break };
            blocks.extend(block(adapter, *height, &answer));
        }
        blocks
    }
}

fn block_call(adapter: &dyn Adapter, position: usize, height: Height) -> Option<String> {
    let (method, params) = adapter.block_call(height)?;
    Some(format!(r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{params}}}"#, id_of(position)))
}

fn told<'a>(
    adapter: &'a dyn Adapter,
    wanted: &'a [Height],
    answers: &'a Answers<'_>,
) -> impl Iterator<Item = (Height, BlockHash)> + 'a {
    wanted.iter().enumerate().filter_map(move |(position, height)| block(adapter, *height, answers.get(position)))
}

/// The block in an answer, if it is the one that was asked for.
fn block(adapter: &dyn Adapter, wanted: Height, answer: &Answer<'_>) -> Option<(Height, BlockHash)> {
    let block = adapter.block(answer).filter(|block| block.height == wanted)?;
    Some((block.height, block.hash?))
}
