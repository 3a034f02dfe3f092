//! What a family has to say for itself: which calls a poll makes, and what their answers mean. An adapter does no I/O,
//! reads no clock and judges nothing; it only remembers what it has learned of its node.

use super::reply::{Answer, Answers, RpcError};
use crate::{
    model::{Height, Timestamp, UnixTime},
    observation::{ErrorKind, Facts, Head, PollError},
};

/// More calls than this are never made in one poll.
pub const MAX_CALLS: usize = 16;

/// The position in every adapter's table of the call that asks for the head: a poll without its answer is a failure.
pub const HEAD: usize = 0;

/// One call an adapter can make.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// Its parameters, as JSON text.
    pub params: &'static str,
    /// A node without this method is a good node: the call is then left out for a day.
    pub optional: bool,
}

/// A set of calls, by their positions in the adapter's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallSet(u16);

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

    /// The positions in it, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_CALLS).filter(move |position| self.0 & bit(*position) != 0)
    }

    /// The number of calls in it.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

fn bit(position: usize) -> u16 {
    u32::try_from(position).ok().and_then(|position| 1_u16.checked_shl(position)).unwrap_or(0)
}

/// A family's way to ask a node and to read its answers.
pub trait Adapter: Send + Sync {
    /// Every call this family can make; the head call stands at [`HEAD`].
    fn calls(&self) -> &'static [Call];

    /// The calls to make in a poll at `now`.
    fn due(&self, now: Timestamp) -> CallSet;

    /// What the answers of a poll mean. `clock` is the node's wall clock, where its answer told it.
    ///
    /// # Errors
    /// If the head is missing, null, wrong or refused.
    fn interpret(&mut self, now: Timestamp, clock: Option<UnixTime>, answers: &Answers<'_>)
    -> Result<Facts, PollError>;

    /// What a node's error says in this family: codes mean different things elsewhere.
    fn classify(&self, error: &RpcError) -> ErrorKind;

    /// Method and parameters that ask for the block at `height`; `None` if the family has no such call.
    fn block_call(&self, _height: Height) -> Option<(&'static str, String)> {
        None
    }

    /// The block in the answer to that call.
    fn block(&self, _answer: &Answer<'_>) -> Option<Head> {
        None
    }

    /// The process behind the endpoint may be another one now: what is asked rarely is due again.
    fn doubt_identity(&mut self);
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
}
