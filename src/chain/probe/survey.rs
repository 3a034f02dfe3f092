//! Makes every call of a family once: in one batch, or one by one where batches are refused. So each method is known to
//! be open or not, and the adapter reads the same facts as in a poll.

use std::sync::Arc;

use super::Caller;
use crate::{
    chain::{
        adapter::{Adapter, Call, CallSet, HEAD},
        reply::{Answer, Answers, RpcError},
        rpc::{Batched, batch_answers, batch_body, call_text, lacks_method, node_clock, single_answer},
    },
    clock::Clock,
    observation::{
        PollError,
        probe::{Access, Method, ProbeError, Report},
    },
    transport::Response,
};

/// Fills in facts, methods and whether batches are taken.
///
/// # Errors
/// What kept the node from telling its head.
pub(super) async fn survey(
    caller: &mut Caller<'_>,
    adapter: &mut dyn Adapter,
    report: &mut Report,
) -> Result<(), ProbeError> {
    let all = (0..adapter.calls().len()).fold(CallSet::default(), CallSet::with);
    let response = caller.post(batch_body(adapter.calls(), all)).await?;
    match batch_answers(&response, adapter) {
        Batched::Answers(answers) => {
            report.batch = Some(true);
            return note(adapter, &response, &answers, report);
        }
        Batched::Failed(failure) => return Err(of_poll(failure.error)),
        Batched::Refused { .. } => {}
    }
    let responses = one_by_one(caller, adapter.calls()).await?;
    let mut answers = Answers::default();
    for (position, response) in responses.iter().enumerate() {
        match single_answer(response, position, adapter) {
            Ok(answer) => answers.put(position, answer),
            Err(failure) if position == HEAD => return Err(of_poll(failure.error)),
            Err(_) => {}
        }
    }
    // Only now it is known that the batch was at fault and not the node.
    report.batch = Some(false);
    // The head is asked for first, and whatever kept it from being answered has ended the survey.
    responses.get(HEAD).map_or(Ok(()), |head| note(adapter, head, &answers, report))
}

/// The answers in the order of the calls, until the node has had enough.
async fn one_by_one(caller: &mut Caller<'_>, calls: &[Call]) -> Result<Vec<Response>, ProbeError> {
    let mut responses = Vec::with_capacity(calls.len());
    for position in 0..calls.len() {
        match caller.post(call_text(calls, position)).await {
            Ok(response) => responses.push(response),
            Err(error) if position == HEAD => return Err(error),
            Err(_) => break,
        }
        let status = responses.last().map_or(0, |response| response.status.as_u16());
        if matches!(status, 401 | 402 | 403 | 429) {
            break;
        }
    }
    Ok(responses)
}

fn note(
    adapter: &mut dyn Adapter,
    response: &Response,
    answers: &Answers<'_>,
    report: &mut Report,
) -> Result<(), ProbeError> {
    let now = Clock.now();
    let method = |(position, call): (usize, &Call)| Method { name: name(call), access: access(answers.get(position)) };
    report.methods = adapter.calls().iter().enumerate().map(method).collect();
    let facts = adapter.interpret(now.at, node_clock(&response.headers), answers).map_err(of_poll)?;
    report.facts = Some(Arc::new(facts));
    report.heard = Some((now.wall, response.elapsed));
    Ok(())
}

fn of_poll(error: PollError) -> ProbeError {
    ProbeError { reason: error.kind.into(), detail: error.detail }
}

/// `eth_getBlockByNumber latest`.
fn name(call: &Call) -> String {
    match call.params.split('"').nth(1) {
        Some(first) => format!("{} {first}", call.method),
        None => call.method.to_owned(),
    }
}

fn access(answer: &Answer<'_>) -> Access {
    match answer {
        Answer::Missing => Access::Unanswered,
        Answer::Result(raw) if raw.get() == "null" => Access::Empty,
        Answer::Result(_) => Access::Open,
        Answer::Error(error) if lacks_method(error) => Access::Missing,
        Answer::Error(error) if has_nothing_yet(error) => Access::Empty,
        Answer::Error(_) => Access::Refused,
    }
}

/// A node that is asked for a block it does not have (yet) offers the method all the same.
fn has_nothing_yet(error: &RpcError) -> bool {
    let text = error.message.to_lowercase();
    error.code == Some(-39001) || text.contains("not found") || text.contains("unknown block")
}
