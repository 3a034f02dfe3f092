//! Questions as bytes.

use bytes::Bytes;
use http::Method;

use crate::chain::{
    adapter::{Call, CallSet, Question, Text},
    reply::id_of,
};

/// Whether the question is the same whatever the node has told.
pub(super) fn is_fixed(question: &Question) -> bool {
    match question {
        Question::Rpc { method: Text::Borrowed(_), params: Text::Borrowed(_) }
        | Question::Get { path: Text::Borrowed(_) } => true,
        Question::Rpc { .. } | Question::Get { .. } => false,
    }
}

/// The body of a batch of JSON-RPC calls.
pub(in crate::chain) fn batch_body(calls: &[Call], set: CallSet) -> Bytes {
    let items: Vec<_> = set.iter().map(|position| body(&calls[position].question, position)).collect();
    format!("[{}]", items.join(",")).into()
}

/// The request that makes a single call.
pub(super) fn request(calls: &[Call], position: usize) -> (Method, &str, Bytes) {
    asked(&calls[position].question, position)
}

/// The request that puts a question, under the id of `position`.
pub(in crate::chain) fn asked(question: &Question, position: usize) -> (Method, &str, Bytes) {
    match question {
        Question::Rpc { .. } => (Method::POST, "", body(question, position).into()),
        Question::Get { path } => (Method::GET, path, Bytes::new()),
    }
}

/// A JSON-RPC question as text; a resource has none.
pub(super) fn body(question: &Question, position: usize) -> String {
    let Question::Rpc { method, params } = question else { return String::new() };
    format!(r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{params}}}"#, id_of(position))
}
