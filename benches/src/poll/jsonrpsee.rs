//! The library a daemon would usually take: one jsonrpsee HTTP client per node, as it comes, asking in batches.

use std::{rc::Rc, time::Instant};

use anyhow::Context;
use jsonrpsee::{
    core::{
        client::ClientT,
        params::{ArrayParams, BatchRequestBuilder},
    },
    http_client::{HttpClient, HttpClientBuilder},
};
use serde_json::value::RawValue;

use super::{
    client::Beat,
    meter::Meter,
    question::{Answers, Question},
};

/// Starts one poller per node.
pub fn spawn(beat: &Beat, questions: &Rc<[Question]>, meter: &Rc<Meter>) {
    for index in 0..beat.nodes {
        let (beat, questions, meter) = (beat.clone(), Rc::clone(questions), Rc::clone(meter));
        tokio::task::spawn_local(async move {
            if poll_forever(&beat, index, &questions, &meter).await.is_err() {
                meter.failed();
            }
        });
    }
}

async fn poll_forever(beat: &Beat, index: usize, questions: &[Question], meter: &Meter) -> anyhow::Result<()> {
    let client = HttpClientBuilder::default().build(format!("http://{}/n/{index}", beat.server))?;
    let mut due = beat.interval(index);
    loop {
        due.tick().await;
        let sent = Instant::now();
        match exchange(&client, questions).await {
            Ok(answers) if answers.understood == questions.len() => meter.good(sent.elapsed()),
            _ => meter.failed(),
        }
    }
}

async fn exchange(client: &HttpClient, questions: &[Question]) -> anyhow::Result<Answers> {
    let mut batch = BatchRequestBuilder::new();
    for question in questions {
        let mut params = ArrayParams::new();
        for param in &question.params {
            params.insert(param)?;
        }
        batch.insert(&question.method, params)?;
    }
    let replies = client.batch_request::<Box<RawValue>>(batch).await?;
    let mut answers = Answers::default();
    for (question, reply) in questions.iter().zip(replies) {
        let result = reply.ok().context("an error instead of a result")?;
        answers.take(question, &result);
    }
    Ok(answers)
}
