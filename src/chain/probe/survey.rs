//! Makes every call of a family once: in one batch, or one by one where batches are refused. So each method is known to
//! be open or not, and the adapter reads the same facts as in a poll.

use std::sync::Arc;

use super::Caller;
use crate::{
    chain::{
        adapter::{Adapter, Call, CallSet, HEAD, Question, permission},
        reply::{Answer, Answers, RpcError},
        rpc::{Batched, batch_answers, batch_body, lacks_method, node_clock, single_answer},
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
    let begun = Clock.now().at;
    let due = adapter.due(begun).with(HEAD);
    let first = Pile::fetch(caller, adapter, due).await?;
    report.batch = first.takes_batches;
    let mut answers = first.answers(adapter)?;
    let more = adapter.follow_up(begun, &answers).iter().filter(|position| !due.has(*position)).collect();
    let second =
        Pile { singles: one_by_one(caller, adapter.calls(), more).await.unwrap_or_default(), ..Pile::default() };
    answers.join(second.answers(adapter)?);
    let now = Clock.now();
    let asked = (0..adapter.calls().len()).filter(|position| due.has(*position) || more.has(*position));
    report.methods = asked.map(|it| method(adapter, it, answers.get(it))).collect();
    report.untold = adapter.untold(&answers);
    let Some(head) = first.head() else { return Ok(()) };
    let facts = adapter.interpret(now.at, node_clock(&head.headers), &answers).map_err(of_poll)?;
    report.facts = Some(Arc::new(facts));
    report.heard = Some((now.wall, head.elapsed));
    Ok(())
}

/// The responses to a set of calls.
#[derive(Default)]
struct Pile {
    /// Known once a batch was tried and the node has told its head one way or the other.
    takes_batches: Option<bool>,
    batch: Option<(CallSet, Response)>,
    singles: Vec<(usize, Response)>,
}

impl Pile {
    async fn fetch(caller: &mut Caller<'_>, adapter: &dyn Adapter, set: CallSet) -> Result<Self, ProbeError> {
        let calls = adapter.calls();
        let is_rpc = |position: usize| matches!(calls[position].question, Question::Rpc { .. });
        if set.len() < 2 || adapter.batch_limit() < set.len() || !set.iter().all(is_rpc) {
            return Ok(Self { singles: one_by_one(caller, calls, set).await?, ..Self::default() });
        }
        let response = caller.post(batch_body(calls, set)).await?;
        match batch_answers(&response, adapter, set) {
            Batched::Answers(_) => {
                return Ok(Self { takes_batches: Some(true), batch: Some((set, response)), ..Self::default() });
            }
            Batched::Failed(failure) => return Err(of_poll(failure.error)),
            Batched::Refused { .. } => {}
        }
        let singles = one_by_one(caller, calls, set).await?;
        if let Some((HEAD, head)) = singles.first() {
            single_answer(head, HEAD, adapter).map_err(|failure| of_poll(failure.error))?;
        }
        // Only now it is known that the batch was at fault and not the node.
        Ok(Self { takes_batches: Some(false), singles, ..Self::default() })
    }

    fn answers(&self, adapter: &dyn Adapter) -> Result<Answers<'_>, ProbeError> {
        let mut answers = Answers::default();
        if let Some((set, response)) = &self.batch
            && let Batched::Answers(batch) = batch_answers(response, adapter, *set)
        {
            answers.join(batch);
        }
        for (position, response) in &self.singles {
            match single_answer(response, *position, adapter) {
                Ok(answer) => answers.put(*position, answer),
                Err(failure) if *position == HEAD => return Err(of_poll(failure.error)),
                Err(_) => {}
            }
        }
        Ok(answers)
    }

    /// The response with the head.
    fn head(&self) -> Option<&Response> {
        let batch = self.batch.as_ref().map(|(_, response)| response);
        batch.or_else(|| self.singles.first().map(|(_, response)| response))
    }
}

/// The answers in the order of the calls, until the node has had enough.
pub(super) async fn one_by_one(
    caller: &mut Caller<'_>,
    calls: &[Call],
    set: CallSet,
) -> Result<Vec<(usize, Response)>, ProbeError> {
    let mut responses = Vec::with_capacity(set.len());
    for position in set.iter() {
        let response = match caller.put(&calls[position].question, position).await {
            Ok(response) => response,
            Err(error) if position == HEAD => return Err(error),
            Err(_) => break,
        };
        let unwelcome = matches!(response.status.as_u16(), 401 | 402 | 403 | 429);
        responses.push((position, response));
        if unwelcome {
            break;
        }
    }
    Ok(responses)
}

fn of_poll(error: PollError) -> ProbeError {
    ProbeError { reason: error.kind.into(), detail: error.detail }
}

fn method(adapter: &dyn Adapter, position: usize, answer: &Answer<'_>) -> Method {
    Method { name: name(adapter, &adapter.calls()[position].question), access: access(answer) }
}

/// `eth_getBlockByNumber latest`.
fn name(adapter: &dyn Adapter, question: &Question) -> String {
    let topic = match question {
        Question::Rpc { params, .. } => params.split('"').nth(1),
        Question::Get { .. } => None,
    };
    let asked = permission(adapter, question);
    topic.map_or_else(|| asked.clone(), |topic| format!("{asked} {}", adapter.without_secrets(topic)))
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
