//! FISCO BCOS 2.x: JSON-RPC over HTTP, several groups in a node.

use super::{
    adapter::{Adapter, Call, CallSet},
    reply::{Answers, RpcError},
};
use crate::{
    model::{Timestamp, UnixTime},
    observation::{ErrorKind, Facts, PollError},
};

static CALLS: [Call; 1] = [Call::rpc("", "[]")];

/// What is remembered of one node.
#[derive(Debug, Default)]
pub struct FiscoBcos2;

impl Adapter for FiscoBcos2 {
    fn calls(&self) -> &[Call] {
        &CALLS
    }

    fn due(&mut self, _now: Timestamp) -> CallSet {
        CallSet::default()
    }

    fn interpret(
        &mut self,
        _now: Timestamp,
        _clock: Option<UnixTime>,
        _answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        Err(PollError::new(ErrorKind::Malformed, "this family is not built yet"))
    }

    fn classify(&self, _error: &RpcError) -> ErrorKind {
        ErrorKind::Rpc
    }

    fn doubt_identity(&mut self) {}
}
