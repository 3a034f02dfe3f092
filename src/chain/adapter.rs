//! What a family has to say for itself: which calls a poll makes, and what their answers mean. An adapter does no I/O,
//! reads no clock and judges nothing; it only remembers what it has learned of its node.
//!
//! A poll is one round of calls, in one batch where the family and the node know batches. Where a call needs what another
//! one has told, as the time of the block whose hash the head call gave, the adapter asks for it in a second round of the
//! same poll. What is heavy or changes rarely is asked at a pace of its own and remembered.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;

use super::reply::{Answer, Answers, RpcError};
use crate::{
    model::{Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Head, PollError},
};

/// More calls than this are never made in one poll.
pub const MAX_CALLS: usize = 24;

/// The position in every adapter's table of the call that asks for the head: a poll without its answer is a failure.
pub const HEAD: usize = 0;

/// Text that is either written down here or made from what a node has told.
pub type Text = Cow<'static, str>;

/// One call an adapter can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub question: Question,
    /// A node that does not know this call is a good node: it is then left out for a day.
    pub optional: bool,
    /// How often it is made; zero for every poll.
    pub every: Duration,
}

/// What is sent to a node. Only what reads: nothing that changes a node is ever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A JSON-RPC method with its parameters as JSON text, posted to the endpoint itself.
    Rpc {
        /// The method.
        method: Text,
        /// `[]`, `{}` or with something in it.
        params: Text,
    },
    /// A resource below the endpoint, query included: `/eth/v1/node/syncing`.
    Get {
        /// Begins with a slash.
        path: Text,
    },
}

impl Call {
    /// A JSON-RPC call of every poll that every node of the family must answer.
    #[must_use]
    pub const fn rpc(method: &'static str, params: &'static str) -> Self {
        let question = Question::Rpc { method: Text::Borrowed(method), params: Text::Borrowed(params) };
        Self { question, optional: false, every: Duration::ZERO }
    }

    /// The same with parameters that are only known when the program runs.
    #[must_use]
    pub fn rpc_with(method: &'static str, params: String) -> Self {
        let question = Question::Rpc { method: Text::Borrowed(method), params: Text::Owned(params) };
        Self { question, optional: false, every: Duration::ZERO }
    }

    /// The same for a resource of a REST interface.
    #[must_use]
    pub const fn get(path: &'static str) -> Self {
        Self { question: Question::Get { path: Text::Borrowed(path) }, optional: false, every: Duration::ZERO }
    }

    /// The same call, which a good node need not know.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The same call at a pace of its own.
    #[must_use]
    pub const fn every(mut self, pace: Duration) -> Self {
        self.every = pace;
        self
    }
}

/// A set of calls, by their positions in the adapter's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallSet(u32);

impl CallSet {
    /// The same set with the call at `position` in it.
    #[must_use]
    pub fn with(self, position: usize) -> Self {
        Self(self.0 | bit(position))
    }

    /// The same set without the call at `position`.
    #[must_use]
    pub fn without(self, position: usize) -> Self {
        Self(self.0 & !bit(position))
    }

    /// Whether the call at `position` is in it.
    #[must_use]
    pub fn has(self, position: usize) -> bool {
        self.0 & bit(position) != 0
    }

    /// The positions in it, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_CALLS).filter(move |position| self.has(*position))
    }

    /// The number of calls in it.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<usize> for CallSet {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        positions.into_iter().fold(Self::default(), Self::with)
    }
}

fn bit(position: usize) -> u32 {
    u32::try_from(position)
        .ok()
        .filter(|_| position < MAX_CALLS)
        .and_then(|position| 1_u32.checked_shl(position))
        .unwrap_or(0)
}

/// Whose turn it is among calls of different paces.
#[derive(Debug, Clone, Default)]
pub struct Rota([Option<Timestamp>; MAX_CALLS]);

impl Rota {
    /// The calls that are due at `now`; they count as made.
    pub fn take_turn(&mut self, calls: &[Call], now: Timestamp) -> CallSet {
        let mut due = CallSet::default();
        for (position, (call, asked)) in calls.iter().zip(&mut self.0).enumerate() {
            if asked.is_none_or(|asked| call.every <= now.since(asked)) {
                *asked = Some(now);
                due = due.with(position);
            }
        }
        due
    }

    /// These are due again at the next poll, whenever they were made.
    pub fn forget(&mut self, positions: impl IntoIterator<Item = usize>) {
        for position in positions {
            if let Some(asked) = self.0.get_mut(position) {
                *asked = None;
            }
        }
    }
}

/// A family's way to ask a node and to read its answers.
pub trait Adapter: Send + Sync {
    /// Every call this adapter can make of its node; the head call stands at [`HEAD`].
    fn calls(&self) -> &[Call];

    /// The calls of a poll at `now`. The head call is made whether it is in it or not.
    fn due(&mut self, now: Timestamp) -> CallSet;

    /// The calls of a second round of the same poll, for which the answers of the first were needed. Parameters that
    /// depend on these are put into the table now.
    fn follow_up(&mut self, _now: Timestamp, _answers: &Answers<'_>) -> CallSet {
        CallSet::default()
    }

    /// How many JSON-RPC calls may stand in one batch; 1 = no batches.
    fn batch_limit(&self) -> usize {
        MAX_CALLS
    }

    /// What the answers of a poll mean. `clock` is the node's wall clock, where its answer told it.
    ///
    /// # Errors
    /// If the head is missing, null, wrong or refused.
    fn interpret(&mut self, now: Timestamp, clock: Option<UnixTime>, answers: &Answers<'_>)
    -> Result<Facts, PollError>;

    /// What a node's error says in this family: codes mean different things elsewhere. Of a resource the code is the
    /// HTTP status.
    fn classify(&self, error: &RpcError) -> ErrorKind;

    /// Asks for the block at `height`; `None` if the family has no such call.
    fn block_call(&self, _height: Height) -> Option<Question> {
        None
    }

    /// The block in the answer to that call for `height`.
    fn block(&self, _height: Height, _answer: &Answer<'_>) -> Option<Head> {
        None
    }

    /// What answers do not hold where the configuration looks for it, each as a sentence without a period; what a
    /// node tells only at times may be among it.
    fn untold(&self, _answers: &Answers<'_>) -> Vec<String> {
        Vec::new()
    }

    /// The process behind the endpoint may be another one now: what is asked rarely is due again.
    fn doubt_identity(&mut self);

    /// `text`, which may quote what was asked, without the keys that the configuration put into questions.
    fn without_secrets(&self, text: &str) -> String {
        text.to_owned()
    }
}

/// What an operator has to allow for a question of this adapter: the method, or the verb and the path without keys.
#[must_use]
pub fn permission(adapter: &dyn Adapter, question: &Question) -> String {
    match question {
        Question::Rpc { method, .. } => method.to_string(),
        Question::Get { path } => format!("GET {}", adapter.without_secrets(path)),
    }
}

/// The answer that decides, read as `T`; `what` names it for people.
///
/// # Errors
/// If it is missing, null or something else, or what the node's error in its place amounts to.
pub fn decisive<'a, T: Deserialize<'a>>(
    adapter: &dyn Adapter,
    answer: &Answer<'a>,
    what: &str,
) -> Result<T, PollError> {
    let malformed = |what: &str| PollError::new(ErrorKind::Malformed, what);
    match answer {
        Answer::Missing => Err(malformed(&format!("no answer to the call for {what}"))),
        Answer::Error(error) => Err(refusal(adapter, error)),
        Answer::Result(raw) if raw.get() == "null" => Err(malformed(&format!("{what} is null"))),
        Answer::Result(raw) => serde_json::from_str(raw.get()).map_err(|error| malformed(&error.to_string())),
    }
}

/// What a node's error in place of that answer amounts to.
#[must_use]
pub fn refusal(adapter: &dyn Adapter, error: &RpcError) -> PollError {
    let code = error.code.map(|code| format!("{code} ")).unwrap_or_default();
    PollError::new(adapter.classify(error), &format!("{code}{}", error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_calls_is_a_set() {
        let set = CallSet::default().with(3).with(0).with(3).with(15).without(15);
        assert_eq!((set.iter().collect::<Vec<_>>(), set.len()), (vec![0, 3], 2));
        assert_eq!(set.with(99), set);
    }

    #[test]
    fn calls_come_at_their_own_pace_and_at_once_after_a_doubt() {
        let calls = [Call::rpc("head", "[]"), Call::get("/peers").every(Duration::from_secs(60))];
        let mut rota = Rota::default();
        let mut due = |seconds: i64| rota.take_turn(&calls, Timestamp(seconds * 1000)).len();
        assert_eq!([due(0), due(1), due(59), due(60), due(61)], [2, 1, 1, 2, 1]);
        rota.forget([1]);
        assert_eq!(rota.take_turn(&calls, Timestamp(62_000)).len(), 2);
    }
}
