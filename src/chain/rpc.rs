//! A round of calls over HTTP as real nodes take them: JSON-RPC in one batch where the node takes batches, single calls
//! where it does not, resources one by one, and an honest name for everything that is not an answer.
//!
//! What a node has refused is remembered: batches for an hour, methods for a day, both for minutes where the refusal is in
//! doubt. The call for the head is always made, because a balancer may have answered once from a broken backend.

mod older;
mod outcome;
mod request;
mod status;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::Method;

use self::request::{body, is_fixed, request};
pub use self::status::Failure;
pub(super) use self::{
    outcome::{Batched, batch_answers, lacks_method, single_answer},
    request::{asked, batch_body},
    status::{node_clock, read, resource},
};
use super::{
    adapter::{Adapter, Call, CallSet, HEAD, MAX_CALLS, Question},
    cookie::Cookie,
    gate::Gate,
    ladder::Ladder,
    reply::{Answer, Answers},
};
use crate::{
    clock::{Clock, Stopwatch},
    model::Timestamp,
    observation::{ErrorKind, Facts, PollError},
    transport::{Client, Limits, Request, Response},
};

/// How long a refusal of batches is remembered.
const BATCH_MEMORY: Duration = Duration::from_secs(3600);

/// Who refuses a larger batch is offered one of this size: FISCO BCOS takes no more.
const SMALL_BATCH: usize = 8;

/// So many refusals in a row that may have another cause are taken for refusals of batches, of a node that took them.
const PATIENCE: u32 = 5;

/// How long a missing method is remembered.
const METHOD_MEMORY: Duration = Duration::from_secs(24 * 3600);

/// How long a refusal is remembered that may have been none, or that another process may take back.
const DOUBTED_MEMORY: Duration = Duration::from_secs(300);

/// A node as a JSON-RPC server: its connection and what it has refused.
pub struct Session {
    client: Client,
    cookie: Cookie,
    limits: Limits,
    gate: Arc<Gate>,
    batches: Batches,
    /// Batches in a row, of a node that takes them, that were answered with what may be a refusal.
    refusals: u32,
    /// Until when no batch larger than the small one is sent.
    small_until: Option<Timestamp>,
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

/// The responses to a set of calls, kept while their answers are read.
#[derive(Default)]
struct Shelf {
    batch: OnceLock<Response>,
    /// That to a smaller batch, if the first was refused.
    smaller: OnceLock<Response>,
    singles: OnceLock<Vec<(usize, Response)>>,
}

/// What was heard.
struct Heard<'s> {
    answers: Answers<'s>,
    /// The response with the answer that decides: that of the head, in a first round.
    head: Option<&'s Response>,
}

/// A good round: what the node said and how long the answer took.
#[derive(Debug)]
pub struct Round {
    /// What the adapter made of it.
    pub facts: Arc<Facts>,
    /// From sending the request (in single calls: that for the head) to the complete answer.
    pub elapsed: Duration,
}

impl Session {
    /// A session over `client`. Requests beyond the first of a round ask `gate` for leave; the first is the caller's.
    #[must_use]
    pub fn new(client: Client, limits: Limits, gate: Arc<Gate>) -> Self {
        Self {
            client,
            cookie: Cookie::default(),
            limits,
            gate,
            batches: Batches::Untried,
            refusals: 0,
            small_until: None,
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

    /// Another process may answer from now on: what the one before did not know is asked for again soon.
    pub fn doubt(&mut self, now: Timestamp) {
        for until in self.unsupported.iter_mut().flatten() {
            *until = now.after(DOUBTED_MEMORY).min(*until);
        }
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
        outcome.map_err(|failure| failure.without_secrets(self.client.endpoint(), adapter))
    }

    async fn any_round(&mut self, adapter: &mut dyn Adapter, now: Timestamp) -> Result<Round, Failure> {
        let stopwatch = Clock.stopwatch();
        let (first, second) = (Shelf::default(), Shelf::default());
        let due = adapter.due(now).with(HEAD);
        let due = self.supported(adapter.calls(), due, now);
        let mut heard = self.ask(&first, adapter, due, (now, stopwatch)).await?;
        let Some(head) = heard.head else {
            return Err(Failure::from(PollError::new(ErrorKind::Timeout, "no time left for the head")));
        };
        let more = adapter.follow_up(now, &heard.answers);
        let more = self.supported(adapter.calls(), more, now).iter().filter(|it| !due.has(*it)).collect::<CallSet>();
        let mut missed = None;
        if !more.is_empty() && self.leave_within(self.left(stopwatch)).await {
            match self.ask(&second, adapter, more, (now, stopwatch)).await {
                Ok(other) => heard.answers.join(other.answers),
                Err(failure) => missed = Some(failure),
            }
        }
        let outcome = interpret(adapter, now, head, &heard.answers);
        // Where the head itself needed the second round, its failure is what kept the node from telling it.
        outcome.map_err(|failure| missed.unwrap_or(failure))
    }

    /// Asks for a set of calls: JSON-RPC in a batch where that is possible, everything else one by one. Responses are
    /// put on the `shelf`, from which the answers are read without a copy.
    async fn ask<'s>(
        &mut self,
        shelf: &'s Shelf,
        adapter: &dyn Adapter,
        set: CallSet,
        (now, stopwatch): (Timestamp, Stopwatch),
    ) -> Result<Heard<'s>, Failure> {
        let mut refusal = None;
        for slot in [&shelf.batch, &shelf.smaller] {
            let batch = self.batch_of(adapter, set, now);
            if batch.len() < 2 {
                break;
            }
            if refusal.is_some() && !self.leave_within(self.left(stopwatch)).await {
                break;
            }
            let body = self.batch_body(adapter.calls(), batch);
            let response = self.exchange(Method::POST, "", body, self.left(stopwatch)).await?;
            let response = slot.get_or_init(|| response);
            match batch_answers(response, adapter, batch) {
                Batched::Answers(answers) => {
                    (self.batches, self.refusals) = (Batches::Taken, 0);
                    self.learn(adapter.calls(), batch, now, &answers);
                    let rest: CallSet = set.iter().filter(|position| !batch.has(*position)).collect();
                    let heard = Heard { answers, head: Some(response) };
                    return self.ask_for_the_rest(shelf, adapter, (heard, rest), (now, stopwatch)).await;
                }
                Batched::Failed(failure) => return Err(failure),
                Batched::Refused { failure, certain } if !certain && self.batches == Batches::Taken => {
                    self.suspect_batches();
                    return Err(failure);
                }
                Batched::Refused { failure, certain } => {
                    refusal = Some((failure, now.after(if certain { BATCH_MEMORY } else { DOUBTED_MEMORY })));
                }
            }
            if batch.len() <= SMALL_BATCH {
                break;
            }
            self.small_until = refusal.as_ref().map(|(_, until)| *until);
        }
        let Some((refusal, until)) = refusal else {
            return self.single_calls(shelf, adapter, set, (now, stopwatch)).await;
        };
        if !self.leave_within(self.left(stopwatch)).await {
            return Err(refusal);
        }
        let heard = self.single_calls(shelf, adapter, set, (now, stopwatch)).await?;
        // Only now it is known that the batch was at fault and not the node.
        self.batches = Batches::RefusedUntil(until);
        Ok(heard)
    }

    /// The calls of the set that go into one batch, as far as the node is known to take any.
    fn batch_of(&self, adapter: &dyn Adapter, set: CallSet, now: Timestamp) -> CallSet {
        let is_rpc = |position: &usize| matches!(adapter.calls()[*position].question, Question::Rpc { .. });
        set.iter().filter(is_rpc).take(self.batch_limit(adapter, now)).collect()
    }

    /// How many calls the node is known to take in one batch, as far as is known.
    fn batch_limit(&self, adapter: &dyn Adapter, now: Timestamp) -> usize {
        let small = self.small_until.is_some_and(|until| now < until);
        match self.batches {
            Batches::RefusedUntil(until) if now < until => 0,
            _ if small => adapter.batch_limit().min(SMALL_BATCH),
            _ => adapter.batch_limit(),
        }
    }

    /// One bad answer to a batch is that of a bad gateway; of many in a row only single calls can tell.
    fn suspect_batches(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
        if PATIENCE <= self.refusals {
            (self.batches, self.refusals) = (Batches::Untried, 0);
        }
    }

    /// Adds to what was heard in a batch what could not stand in it.
    async fn ask_for_the_rest<'s>(
        &mut self,
        shelf: &'s Shelf,
        adapter: &dyn Adapter,
        (mut heard, rest): (Heard<'s>, CallSet),
        (now, stopwatch): (Timestamp, Stopwatch),
    ) -> Result<Heard<'s>, Failure> {
        if !rest.is_empty() && self.leave_within(self.left(stopwatch)).await {
            let others = self.single_calls(shelf, adapter, rest, (now, stopwatch)).await?;
            heard.head = if rest.has(HEAD) { others.head } else { heard.head };
            heard.answers.join(others.answers);
        }
        Ok(heard)
    }

    /// One request a call. Once the head is known, the other answers may be missing.
    async fn single_calls<'s>(
        &mut self,
        shelf: &'s Shelf,
        adapter: &dyn Adapter,
        set: CallSet,
        (now, stopwatch): (Timestamp, Stopwatch),
    ) -> Result<Heard<'s>, Failure> {
        let responses = self.ask_singly(adapter, set, stopwatch).await?;
        let responses = shelf.singles.get_or_init(|| responses);
        let mut answers = Answers::default();
        for (position, response) in responses {
            match single_answer(response, *position, adapter) {
                Ok(answer) => answers.put(*position, answer),
                Err(failure) if *position == HEAD => return Err(failure),
                Err(_) => {}
            }
        }
        self.learn(adapter.calls(), set, now, &answers);
        Ok(Heard { answers, head: responses.first().map(|(_, response)| response) })
    }

    /// Asks for what comes first, which decides, then for the rest, until the time is up or the node has had enough. A
    /// node that has no answer for its head is asked nothing else.
    async fn ask_singly(
        &mut self,
        adapter: &dyn Adapter,
        set: CallSet,
        stopwatch: Stopwatch,
    ) -> Result<Vec<(usize, Response)>, Failure> {
        let mut responses: Vec<(usize, Response)> = Vec::with_capacity(set.len());
        for position in set.iter() {
            let first = responses.is_empty();
            let left = self.left(stopwatch);
            if !first && !self.leave_within(left).await {
                break;
            }
            let (method, path, body) = request(adapter.calls(), position);
            let response = match self.exchange(method, path, body, left).await {
                Ok(response) => response,
                Err(failure) if first => return Err(failure),
                Err(_) => break,
            };
            let unwelcome = matches!(response.status.as_u16(), 401 | 402 | 403 | 429);
            let headless = position == HEAD && single_answer(&response, position, adapter).is_err();
            responses.push((position, response));
            if unwelcome || headless {
                break;
            }
        }
        Ok(responses)
    }

    /// The body of a batch. The last one is kept while nothing in it changes: it is nearly always the next one too.
    fn batch_body(&mut self, calls: &[Call], set: CallSet) -> Bytes {
        let fixed = set.iter().all(|position| is_fixed(&calls[position].question));
        if !fixed {
            return batch_body(calls, set);
        }
        if self.last_batch.0 != set {
            self.last_batch = (set, batch_body(calls, set));
        }
        self.last_batch.1.clone()
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Response, Failure> {
        let request = Request { method, path: path.to_owned(), body };
        let limits = Limits { deadline, ..self.limits };
        self.cookie.exchange(&mut self.client, request, limits).await.map_err(Failure::from)
    }

    /// Waits for leave to make one more request; false if it does not come within `left`.
    async fn leave_within(&self, left: Duration) -> bool {
        !left.is_zero() && tokio::time::timeout(left, self.gate.leave()).await.is_ok()
    }

    /// What is left of the time for a poll.
    fn left(&self, stopwatch: Stopwatch) -> Duration {
        self.limits.deadline.saturating_sub(stopwatch.elapsed())
    }

    /// The set without what the node has said it does not know.
    fn supported(&self, calls: &[Call], set: CallSet, now: Timestamp) -> CallSet {
        let unsupported = |position: &usize| self.unsupported[*position].is_some_and(|until| now < until);
        set.iter().filter(|position| *position < calls.len() && !unsupported(position)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chain::{Family, Particulars, reply::RpcError},
        model::Endpoint,
    };

    #[test]
    fn what_a_node_lacks_is_left_out_for_a_day_and_for_minutes_once_another_may_answer() {
        let at = |minute: i64| Timestamp(minute * 60_000);
        let endpoint = Endpoint::parse("http://127.0.0.1:1", "http").unwrap();
        let limits = Limits { deadline: Duration::from_secs(1), body: 1024 };
        let mut session = Session::new(Client::new(endpoint), limits, Arc::new(Gate::default()));
        let adapter = Family::Evm.adapter(&Particulars::default());
        let all: CallSet = (0..adapter.calls().len()).collect();
        let last = adapter.calls().iter().rposition(|call| call.optional).unwrap();
        let mut answers = Answers::default();
        answers.put(last, Answer::Error(RpcError { code: Some(-32601), message: String::new() }));
        session.learn(adapter.calls(), all, at(0), &answers);
        let asks = |session: &Session, minute| session.supported(adapter.calls(), all, at(minute)).has(last);
        assert!(!asks(&session, 0) && !asks(&session, 1439) && asks(&session, 1440));
        session.doubt(at(10));
        session.doubt(at(12));
        assert!(!asks(&session, 14) && asks(&session, 15), "one that fails all the time is asked no later for that");
        session.doubt(at(2000));
        assert!(asks(&session, 2000));
    }
}
