//! JSON-RPC over HTTP as real nodes speak it: one batch a poll where the node takes batches, single calls where it
//! does not, and an honest name for everything that is not an answer.
//!
//! What a node has refused is remembered: batches for an hour, methods for a day. The call for the head is always
//! made, because a balancer may have answered once from a broken backend.

mod older;
mod status;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;

pub use self::status::Failure;
pub(super) use self::status::{node_clock, read};
use super::{
    adapter::{Adapter, Call, CallSet, HEAD, MAX_CALLS},
    gate::Gate,
    ladder::Ladder,
    reply::{Answer, Answers, Reply, RpcError, id_of},
};
use crate::{
    clock::{Clock, Stopwatch},
    model::Timestamp,
    observation::{ErrorKind, Facts, PollError},
    transport::{Client, Limits, Request, Response},
};

/// How long a refusal of batches is remembered.
const BATCH_MEMORY: Duration = Duration::from_secs(3600);

/// How long a missing method is remembered.
const METHOD_MEMORY: Duration = Duration::from_secs(24 * 3600);

/// A node as a JSON-RPC server: its connection and what it has refused.
pub struct Session {
    client: Client,
    limits: Limits,
    gate: Arc<Gate>,
    batches: Batches,
    /// Until when each optional call is left out.
    unsupported: [Option<Timestamp>; MAX_CALLS],
    /// The last batch sent: it is nearly always the next one too.
    last_batch: (CallSet, Bytes),
    /// Which older blocks are asked for.
    ladder: Ladder,
}

/// What is known of a node's taking batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batches {
    Untried,
    Taken,
    RefusedUntil(Timestamp),
}

/// A good round: what the node said and how long the answer took.
#[derive(Debug)]
pub struct Round {
    /// What the adapter made of it.
    pub facts: Arc<Facts>,
    /// From sending the request (in single calls: that for the head) to the complete answer.
    pub elapsed: Duration,
}

/// What a batch was answered with.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for the time of one reading")]
pub(super) enum Batched<'a> {
    Answers(Answers<'a>),
    /// Something that may be the fault of the batch rather than the node's; `certain` if it is.
    Refused {
        failure: Failure,
        certain: bool,
    },
    /// A failure that single calls would meet as well.
    Failed(Failure),
}

impl Session {
    /// A session over `client`. Requests beyond the first of a round ask `gate` for leave; the first is the caller's.
    #[must_use]
    pub fn new(client: Client, limits: Limits, gate: Arc<Gate>) -> Self {
        Self {
            client,
            limits,
            gate,
            batches: Batches::Untried,
            unsupported: [None; MAX_CALLS],
            last_batch: (CallSet::default(), Bytes::new()),
            ladder: Ladder::default(),
        }
    }

    /// See [`Client::closed`].
    pub async fn closed(&mut self) {
        self.client.closed().await;
    }

    /// See [`Client::dials`].
    #[must_use]
    pub fn dials(&self) -> u64 {
        self.client.dials()
    }

    /// Makes the calls that are due and lets the adapter read the answers, all within the deadline.
    ///
    /// # Errors
    /// Whatever kept the node from telling its head.
    pub async fn round(&mut self, adapter: &mut dyn Adapter, now: Timestamp) -> Result<Round, Failure> {
        let stopwatch = Clock.stopwatch();
        let outcome = match self.any_round(adapter, now).await {
            Ok(round) => {
                let left = self.limits.deadline.saturating_sub(stopwatch.elapsed());
                Ok(self.look_back(adapter, now, round, left).await)
            }
            failed => failed,
        };
        outcome.map_err(|failure| failure.without_secrets(self.client.endpoint()))
    }

    async fn any_round(&mut self, adapter: &mut dyn Adapter, now: Timestamp) -> Result<Round, Failure> {
        let stopwatch = Clock.stopwatch();
        let due = self.supported(adapter, now);
        let refused = matches!(self.batches, Batches::RefusedUntil(until) if now < until);
        if refused || due.len() < 2 {
            return self.single_calls(adapter, due, now, stopwatch).await;
        }
        if self.last_batch.0 != due {
            self.last_batch = (due, batch_body(adapter.calls(), due));
        }
        let response = self.exchange(self.last_batch.1.clone(), self.limits.deadline).await?;
        let refusal = match batch_answers(&response, adapter) {
            Batched::Answers(answers) => {
                self.batches = Batches::Taken;
                self.learn(adapter.calls(), due, now, &answers);
                return interpret(adapter, now, &response, &answers);
            }
            Batched::Failed(failure) => return Err(failure),
            Batched::Refused { failure, certain } if !certain && self.batches == Batches::Taken => return Err(failure),
            Batched::Refused { failure, .. } => failure,
        };
        if !self.leave_within(self.limits.deadline.saturating_sub(stopwatch.elapsed())).await {
            return Err(refusal);
        }
        let round = self.single_calls(adapter, due, now, stopwatch).await?;
        // Only now it is known that the batch was at fault and not the node.
        self.batches = Batches::RefusedUntil(now.after(BATCH_MEMORY));
        Ok(round)
    }

    /// One request a call. Once the head is known, the other answers may be missing.
    async fn single_calls(
        &mut self,
        adapter: &mut dyn Adapter,
        due: CallSet,
        now: Timestamp,
        stopwatch: Stopwatch,
    ) -> Result<Round, Failure> {
        let responses = self.ask_singly(adapter.calls(), due, stopwatch).await?;
        let mut answers = Answers::default();
        for (position, response) in &responses {
            match single_answer(response, *position, adapter) {
                Ok(answer) => answers.put(*position, answer),
                Err(failure) if *position == HEAD => return Err(failure),
                Err(_) => {}
            }
        }
        self.learn(adapter.calls(), due, now, &answers);
        match responses.first() {
            Some((_, head)) => interpret(adapter, now, head, &answers),
            None => Err(Failure::from(PollError::new(ErrorKind::Timeout, "no time left for the head"))),
        }
    }

    /// Asks for the head first, then for the rest, until the time is up or the node has had enough.
    async fn ask_singly(
        &mut self,
        calls: &[Call],
        due: CallSet,
        stopwatch: Stopwatch,
    ) -> Result<Vec<(usize, Response)>, Failure> {
        let mut responses: Vec<(usize, Response)> = Vec::with_capacity(due.len());
        for position in due.with(HEAD).iter() {
            let left = self.limits.deadline.saturating_sub(stopwatch.elapsed());
            if position != HEAD && !self.leave_within(left).await {
                break;
            }
            let response = match self.exchange(single_body(calls, position), left).await {
                Ok(response) => response,
                Err(failure) if position == HEAD => return Err(failure),
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

    async fn exchange(&mut self, body: Bytes, deadline: Duration) -> Result<Response, Failure> {
        let request = Request { method: Method::POST, path: String::new(), body };
        let limits = Limits { deadline, ..self.limits };
        self.client.exchange(request, limits).await.map_err(Failure::from)
    }

    /// Waits for leave to make one more request; false if it does not come within `left`.
    async fn leave_within(&self, left: Duration) -> bool {
        !left.is_zero() && tokio::time::timeout(left, self.gate.leave()).await.is_ok()
    }

    fn supported(&self, adapter: &dyn Adapter, now: Timestamp) -> CallSet {
        let unsupported = |position: &usize| self.unsupported[*position].is_some_and(|until| now < until);
        let due = adapter.due(now).with(HEAD);
        due.iter().filter(unsupported).fold(due, CallSet::without)
    }

    fn learn(&mut self, calls: &[Call], due: CallSet, now: Timestamp, answers: &Answers<'_>) {
        for position in due.iter().filter(|position| calls[*position].optional) {
            if matches!(answers.get(position), Answer::Error(error) if lacks_method(error)) {
                self.unsupported[position] = Some(now.after(METHOD_MEMORY));
            }
        }
    }
}

fn interpret(
    adapter: &mut dyn Adapter,
    now: Timestamp,
    response: &Response,
    answers: &Answers<'_>,
) -> Result<Round, Failure> {
    let facts = adapter.interpret(now, node_clock(&response.headers), answers);
    facts
        .map(|facts| Round { facts: Arc::new(facts), elapsed: response.elapsed })
        .map_err(|error| Failure::of(error, response))
}

/// The answers to a batch, or what came instead of them.
pub(super) fn batch_answers<'a>(response: &'a Response, adapter: &dyn Adapter) -> Batched<'a> {
    let refused = |kind, detail: &str| {
        let failure = Failure::of(PollError::new(kind, detail), response);
        Batched::Refused { failure, certain: true }
    };
    match read(response) {
        Ok(Reply::Batch(answers)) => match answers.get(HEAD) {
            Answer::Missing => refused(ErrorKind::Malformed, "no answer under the id of the call for the head"),
            Answer::Error(error) if refuses_batch(error) => refused(ErrorKind::Rpc, &error.message),
            Answer::Result(_) | Answer::Error(_) => Batched::Answers(answers),
        },
        Ok(Reply::Single { answer: Answer::Error(error), .. }) => whole_error(response, adapter, &error),
        Ok(Reply::Single { .. }) => refused(ErrorKind::Malformed, "a batch answered with a single object"),
        Err(failure) => match failure.error.kind {
            ErrorKind::Http5xx | ErrorKind::HttpStatus | ErrorKind::Malformed => {
                let certain = matches!(response.status.as_u16(), 400 | 413);
                Batched::Refused { failure, certain }
            }
            _ => Batched::Failed(failure),
        },
    }
}

/// One error in place of all answers: a refusal of the batch, unless it says what else it is.
fn whole_error(response: &Response, adapter: &dyn Adapter, error: &RpcError) -> Batched<'static> {
    let failure = |kind| Failure::of(PollError::new(kind, &error.message), response);
    match adapter.classify(error) {
        _ if refuses_batch(error) => Batched::Refused { failure: failure(ErrorKind::Rpc), certain: true },
        ErrorKind::Rpc if response.status.is_server_error() => {
            Batched::Refused { failure: failure(ErrorKind::Http5xx), certain: false }
        }
        ErrorKind::Rpc => Batched::Refused { failure: failure(ErrorKind::Rpc), certain: false },
        kind => Batched::Failed(failure(kind)),
    }
}

pub(super) fn single_answer<'a>(
    response: &'a Response,
    asked: usize,
    adapter: &dyn Adapter,
) -> Result<Answer<'a>, Failure> {
    match read(response)? {
        Reply::Single { position: Some(position), answer } if position == asked => Ok(answer),
        // A server that fails before it has read the request has no id to echo.
        Reply::Single { position: None, answer: Answer::Error(error) } => {
            let kind = match adapter.classify(&error) {
                ErrorKind::Rpc if response.status.is_server_error() => ErrorKind::Http5xx,
                kind => kind,
            };
            Err(Failure::of(PollError::new(kind, &error.message), response))
        }
        Reply::Single { .. } | Reply::Batch(_) => Err(Failure::of(
            PollError::new(ErrorKind::Malformed, "the answer has another id than the question"),
            response,
        )),
    }
}

/// geth, Erigon and Besu say -32600, jsonrpsee -32005, -32010 or -32011 with a text that names the batch.
fn refuses_batch(error: &RpcError) -> bool {
    matches!(error.code, Some(-32600 | -32700 | -32010 | -32011)) || error.message.to_lowercase().contains("batch")
}

/// -32601 by the book, -32604 in Besu, -32004 in Hardhat; Ganache says -32700 and Chopsticks no code at all.
pub(super) fn lacks_method(error: &RpcError) -> bool {
    let text = error.message.to_lowercase();
    let worded = text.contains("method")
        && ["not found", "does not exist", "not available", "not supported", "unsupported", "not enabled"]
            .iter()
            .any(|words| text.contains(words));
    matches!(error.code, Some(-32601 | -32604 | -32004))
        || (worded && matches!(error.code, None | Some(-32700 | -32600)))
}

pub(super) fn batch_body(calls: &[Call], due: CallSet) -> Bytes {
    let items: Vec<_> = due.iter().map(|position| call_text(calls, position)).collect();
    format!("[{}]", items.join(",")).into()
}

fn single_body(calls: &[Call], position: usize) -> Bytes {
    call_text(calls, position).into()
}

pub(super) fn call_text(calls: &[Call], position: usize) -> String {
    let Call { method, params, .. } = calls[position];
    format!(r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{params}}}"#, id_of(position))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: impl Into<Option<i64>>, message: &str) -> RpcError {
        RpcError { code: code.into(), message: message.to_owned() }
    }

    #[test]
    fn every_dialect_of_a_missing_method_is_understood() {
        for lacking in [
            error(-32601, "the method txpool_status does not exist/is not available"),
            error(-32004, "Method net_peerCount is not supported"),
            error(-32700, "The method txpool_status does not exist/is not available"),
            error(None, "Method not found"),
            error(-32604, "Method not enabled"),
        ] {
            assert!(lacks_method(&lacking), "{lacking:?}");
        }
        for other in [error(-32000, "finalized block not found"), error(-32700, "parse error"), error(None, "busy")] {
            assert!(!lacks_method(&other), "{other:?}");
        }
    }
}
