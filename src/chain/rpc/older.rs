//! Older blocks, asked for after the head where the ladder wants them. What comes of it is no part of the poll's success:
//! a node that does not answer here has still told its head.

use std::{sync::Arc, time::Duration};

use http::Method;

use super::{Batches, Round, Session, asked, body, read, resource};
use crate::{
    chain::{
        adapter::{Adapter, HEAD, Question},
        reply::{Answer, Answers, Reply},
    },
    model::{BlockHash, Height, Timestamp},
    observation::CHECKPOINTS,
    transport::Response,
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
        let blocks = self.blocks(adapter, &wanted, left).await;
        self.ladder.take(&blocks);
        let facts = Arc::make_mut(&mut round.facts);
        facts.checkpoints.extend(blocks);
        facts.checkpoints.truncate(CHECKPOINTS);
        round
    }

    async fn blocks(&mut self, adapter: &dyn Adapter, wanted: &[Height], left: Duration) -> Vec<(Height, BlockHash)> {
        let calls: Vec<Question> = wanted.iter().filter_map(|height| adapter.block_call(*height)).collect();
        let mut blocks = Vec::with_capacity(calls.len());
        if self.batches == Batches::Taken && calls.len() <= adapter.batch_limit() {
            let items: Vec<String> = calls.iter().enumerate().map(|(position, call)| body(call, position)).collect();
            let batch = format!("[{}]", items.join(","));
            let Ok(response) = self.exchange(Method::POST, "", batch.into(), left).await else { return blocks };
            if let Ok(Reply::Batch(answers)) = read(&response) {
                blocks.extend(told(adapter, wanted, &answers));
            }
            return blocks;
        }
        for (call, height) in calls.iter().zip(wanted).take(SINGLY) {
            let (method, path, body) = asked(call, HEAD);
            let Ok(response) = self.exchange(method, path, body, left).await else { break };
            let Some(answer) = single(call, &response) else { break };
            blocks.extend(block(adapter, *height, &answer));
        }
        blocks
    }
}

fn single<'a>(call: &Question, response: &'a Response) -> Option<Answer<'a>> {
    match call {
        Question::Get { .. } => resource(response).ok(),
        Question::Rpc { .. } => match read(response) {
            Ok(Reply::Single { answer: answer @ Answer::Result(_), .. }) => Some(answer),
            _ => None,
        },
    }
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
    let block = adapter.block(wanted, answer).filter(|block| block.height == wanted)?;
    Some((block.height, block.hash?))
}
