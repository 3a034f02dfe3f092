//! What an answer to a batch or to a single call amounts to: answers, a refusal of the batch, or a failure.

use super::{Failure, read, resource};
use crate::{
    chain::{
        adapter::{Adapter, CallSet, HEAD, Question},
        reply::{Answer, Answers, Reply, RpcError},
    },
    observation::{ErrorKind, PollError},
    transport::Response,
};

/// What a batch was answered with.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for the time of one reading")]
pub(in crate::chain) enum Batched<'a> {
    Answers(Answers<'a>),
    /// Something that may be the fault of the batch rather than the node's; `certain` if it is.
    Refused {
        failure: Failure,
        certain: bool,
    },
    /// A failure that single calls would meet as well.
    Failed(Failure),
}

/// The answers to a batch of the calls `asked`, or what came instead of them.
pub(in crate::chain) fn batch_answers<'a>(
    response: &'a Response,
    adapter: &dyn Adapter,
    asked: CallSet,
) -> Batched<'a> {
    let first = asked.iter().next().unwrap_or(HEAD);
    let refused = |kind, detail: &str| {
        let failure = Failure::of(PollError::new(kind, detail), response);
        Batched::Refused { failure, certain: true }
    };
    match read(response) {
        Ok(Reply::Batch(answers)) => match answers.get(first) {
            Answer::Missing => refused(ErrorKind::Malformed, "no answer under the id of the first call"),
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

pub(in crate::chain) fn single_answer<'a>(
    response: &'a Response,
    asked: usize,
    adapter: &dyn Adapter,
) -> Result<Answer<'a>, Failure> {
    if matches!(adapter.calls()[asked].question, Question::Get { .. }) {
        return resource(response);
    }
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
pub(in crate::chain) fn lacks_method(error: &RpcError) -> bool {
    let text = error.message.to_lowercase();
    let worded = text.contains("method")
        && ["not found", "does not exist", "not available", "not supported", "unsupported", "not enabled"]
            .iter()
            .any(|words| text.contains(words));
    matches!(error.code, Some(-32601 | -32604 | -32004))
        || (worded && matches!(error.code, None | Some(-32700 | -32600)))
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
