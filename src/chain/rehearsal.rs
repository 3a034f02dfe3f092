//! A poll without a node: what an adapter makes of bytes that somebody invents. Tests and fuzzers come in here, through
//! the same readers that real answers go through.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;

use super::{
    Family, Particulars,
    adapter::{Adapter, CallSet, HEAD, MAX_CALLS, Question},
    reply::{Answer, Answers, Reply, id_of},
    rpc::{Batched, batch_answers, node_clock, single_answer},
    subscription::{
        cometbft::{Said, said},
        number, sse,
    },
};
use crate::{
    model::{Height, Timestamp},
    observation::{Facts, Head, PollError},
    transport::Response,
};

pub use super::quantity::{Address, BareHash, Decimal, Hash, Quantity};

/// What is said in place of a node: an HTTP status and a body.
pub type Line = (u16, Bytes);

/// A node's adapter, and nobody behind it.
pub struct Rehearsal {
    adapter: Box<dyn Adapter>,
}

impl Rehearsal {
    /// An adapter that knows nothing yet.
    #[must_use]
    pub fn new(family: Family, particulars: &Particulars) -> Self {
        Self { adapter: family.adapter(particulars) }
    }

    /// A poll whose questions are answered one by one: `speak` is given each with the id under which it is put.
    ///
    /// # Errors
    /// What a poller would report.
    pub fn poll(
        &mut self,
        now: Timestamp,
        mut speak: impl FnMut(&Question, usize) -> Line,
    ) -> Result<Facts, PollError> {
        let due = self.adapter.due(now).with(HEAD);
        let first = self.round(due, &mut speak);
        let mut answers = Answers::default();
        for (position, response) in &first {
            match single_answer(response, *position, self.adapter.as_ref()) {
                Ok(answer) => answers.put(*position, answer),
                Err(failure) if *position == HEAD => return Err(failure.error),
                Err(_) => {}
            }
        }
        let more = self.adapter.follow_up(now, &answers);
        let second = self.round(more, &mut speak);
        for (position, response) in &second {
            if let Ok(answer) = single_answer(response, *position, self.adapter.as_ref()) {
                answers.put(*position, answer);
            }
        }
        let clock = first.first().and_then(|(_, response)| node_clock(&response.headers));
        self.adapter.interpret(now, clock, &answers)
    }

    /// A poll whose questions are all answered by one body, as a batch is.
    ///
    /// # Errors
    /// What a poller would report; a refusal of the batch is what it was refused with.
    pub fn batch(&mut self, now: Timestamp, line: Line) -> Result<Facts, PollError> {
        let asked = self.adapter.due(now).with(HEAD);
        let response = response(line);
        match batch_answers(&response, self.adapter.as_ref(), asked) {
            Batched::Answers(answers) => {
                self.adapter.follow_up(now, &answers);
                self.adapter.interpret(now, None, &answers)
            }
            Batched::Refused { failure, .. } | Batched::Failed(failure) => Err(failure.error),
        }
    }

    /// The older block in an answer, if the family asks for such.
    #[must_use]
    pub fn block(&self, height: Height, json: &str) -> Option<Head> {
        let raw = serde_json::from_str::<&RawValue>(json).ok()?;
        self.adapter.block_call(height)?;
        self.adapter.block(height, &Answer::Result(raw))
    }

    /// As after an absence of the node.
    pub fn doubt_identity(&mut self) {
        self.adapter.doubt_identity();
    }

    fn round(&self, calls: CallSet, speak: &mut impl FnMut(&Question, usize) -> Line) -> Vec<(usize, Response)> {
        let table = self.adapter.calls();
        let known = calls.iter().filter_map(|position| Some((position, table.get(position)?)));
        known.map(|(position, call)| (position, response(speak(&call.question, id_of(position))))).collect()
    }
}

/// The resource in an answer, as text.
#[must_use]
pub fn resource(line: Line) -> Option<String> {
    match super::rpc::resource(&response(line)).ok()? {
        Answer::Result(raw) => Some(raw.get().to_owned()),
        Answer::Error(error) => Some(error.message),
        Answer::Missing => None,
    }
}

/// How many calls the JSON-RPC answer in `body` answers; `None` if it is none.
#[must_use]
pub fn answered(body: &[u8]) -> Option<usize> {
    match Reply::parse(body)? {
        Reply::Batch(answers) => {
            Some((0..MAX_CALLS).filter(|position| !matches!(answers.get(*position), Answer::Missing)).count())
        }
        Reply::Single { answer, .. } => Some(usize::from(!matches!(answer, Answer::Missing))),
    }
}

/// The slots of new heads in a stream of server-sent events that comes in `pieces`, up to its end or to a line that no
/// such stream has; `None` for an event that tells no slot.
#[must_use]
pub fn slots<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Vec<Option<Height>> {
    sse::slots(pieces)
}

/// The height in a head that an execution client or a Substrate node pushes.
#[must_use]
pub fn pushed(json: &str) -> Option<Height> {
    number(serde_json::from_str(json).ok()?)
}

/// The height in a message that a CometBFT node pushes.
#[must_use]
pub fn pushed_header(message: &[u8]) -> Option<Height> {
    match said(message) {
        Said::Head(height) => Some(height),
        Said::Subscribed | Said::End => None,
    }
}

fn response((status, body): Line) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    Response { status, headers: HeaderMap::new(), body, elapsed: Duration::ZERO }
}
