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
    clock::Clock,
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
        let blocks = self.blocks(adapter, &wanted, (now, left)).await;
        self.ladder.take(&blocks);
        let facts = Arc::make_mut(&mut round.facts);
        facts.checkpoints.extend(blocks);
        facts.checkpoints.truncate(CHECKPOINTS);
        round
    }

    /// The blocks that are `wanted`, asked for in batches as large as the node takes them, else one by one. There is leave
    /// for the first request.
    async fn blocks(
        &mut self,
        adapter: &dyn Adapter,
        wanted: &[Height],
        (now, left): (Timestamp, Duration),
    ) -> Vec<(Height, BlockHash)> {
        let stopwatch = Clock.stopwatch();
        let left = || left.saturating_sub(stopwatch.elapsed());
        let most = self.batch_limit(adapter, now);
        let batched = self.batches == Batches::Taken && 1 < most;
        let (wanted, most) = if batched { (wanted, most) } else { (&wanted[..wanted.len().min(SINGLY)], 1) };
        let mut blocks = Vec::with_capacity(wanted.len());
        for (n, wanted) in wanted.chunks(most).enumerate() {
            if n != 0 && !self.leave_within(left()).await {
                break;
            }
            let told = if batched {
                self.batch_of_blocks(adapter, wanted, left()).await
            } else {
                self.single_block(adapter, wanted[0], left()).await
            };
            let Some(told) = told else { break };
            blocks.extend(told);
        }
        blocks
    }

    /// `None` if the node does not answer.
    async fn batch_of_blocks(
        &mut self,
        adapter: &dyn Adapter,
        wanted: &[Height],
        left: Duration,
    ) -> Option<Vec<(Height, BlockHash)>> {
        let calls = wanted.iter().filter_map(|height| adapter.block_call(*height));
        let items: Vec<String> = calls.enumerate().map(|(position, call)| body(&call, position)).collect();
        let batch = format!("[{}]", items.join(","));
        let response = self.exchange(Method::POST, "", batch.into(), left).await.ok()?;
        match read(&response) {
            Ok(Reply::Batch(answers)) => Some(told(adapter, wanted, &answers).collect()),
            _ => None,
        }
    }

    /// The same for one block.
    async fn single_block(
        &mut self,
        adapter: &dyn Adapter,
        wanted: Height,
        left: Duration,
    ) -> Option<Vec<(Height, BlockHash)>> {
        let call = adapter.block_call(wanted)?;
        let (method, path, body) = asked(&call, HEAD);
        let response = self.exchange(method, path, body, left).await.ok()?;
        let answer = single(&call, &response)?;
        Some(block(adapter, wanted, &answer).into_iter().collect())
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
