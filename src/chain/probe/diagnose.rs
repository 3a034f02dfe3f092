//! What answered instead of a node: a refusal, a web page, metrics, a WebSocket server, or something unknown.

use http::{HeaderMap, Method, StatusCode, header};

use super::Caller;
use crate::{
    chain::{
        Family,
        reply::{Answer, Reply},
        rpc::read,
    },
    observation::{
        ErrorKind,
        probe::{ProbeError, Reason},
    },
    transport::Response,
};

/// How much of a body is looked at.
const GLANCE: usize = 512;

/// How Bitcoin Core and its relatives ask for user and password: `WWW_AUTH_HEADER_DATA` of `httprpc.cpp`.
const BITCOIN_REALM: &str = r#"Basic realm="jsonrpc""#;

/// What to say to that.
const WANTS_PASSWORD: &str =
    "a Bitcoin node wants user and password: --cookie-file here, cookie_file or basic_auth in a configuration";

/// Why `response` is not the answer of a node; `family` reads its errors.
pub(super) fn response(response: &Response, family: Family) -> ProbeError {
    if let Some(reason) = impostor(response) {
        return ProbeError { reason, detail: status_text(response.status) };
    }
    let of = |reason, detail: &str| ProbeError { reason, detail: detail.into() };
    if wants_bitcoin_password(response) {
        return of(Reason::Unauthorized, WANTS_PASSWORD);
    }
    match read(response) {
        Ok(Reply::Single { answer: Answer::Error(error), .. }) => {
            match family.adapter(&crate::chain::Particulars::default()).classify(&error) {
                ErrorKind::Rpc => of(Reason::UnknownFamily, &error.message),
                kind => of(kind.into(), &error.message),
            }
        }
        Ok(_) => of(Reason::UnknownFamily, "the answer does not fit the question"),
        Err(_) if response.status == StatusCode::NOT_FOUND => of(Reason::NotFound, &status_text(response.status)),
        Err(failure) => of(failure.error.kind.into(), &failure.error.detail),
    }
}

/// Whether whatever is posted there would be answered by something that is no JSON-RPC: a web page, a resource that is
/// not there, a verb that is not taken. A refusal (403) may be one of the method alone.
pub(super) fn is_no_rpc(response: &Response) -> bool {
    let is_failure = !response.status.is_success() && response.status != StatusCode::FORBIDDEN;
    impostor(response).is_some() || (is_failure && read(response).is_err())
}

fn wants_bitcoin_password(response: &Response) -> bool {
    let realm = response.headers.get(header::WWW_AUTHENTICATE).map(http::HeaderValue::as_bytes);
    response.status == StatusCode::UNAUTHORIZED && realm == Some(BITCOIN_REALM.as_bytes())
}

/// A server that has no answer to a question may show what it is when its page is asked for.
pub(super) async fn second_look(caller: &mut Caller<'_>, error: ProbeError) -> ProbeError {
    if !matches!(error.reason, Reason::HttpStatus | Reason::Malformed) {
        return error;
    }
    match caller.ask(Method::GET, "", "").await {
        Ok(page) => impostor(&page).map_or(error, |reason| ProbeError { reason, detail: status_text(page.status) }),
        Err(_) => error,
    }
}

/// What the answer is that is plainly not that of a node.
fn impostor(response: &Response) -> Option<Reason> {
    let start = String::from_utf8_lossy(&response.body[..response.body.len().min(GLANCE)]).to_lowercase();
    let start = start.trim_start();
    let says_websocket = start.contains("websocket") && !start.starts_with(['{', '[', '<']);
    match response.status.as_u16() {
        426 => Some(Reason::WebSocket),
        400 | 405 if says_websocket => Some(Reason::WebSocket),
        200 | 405 if start.starts_with('<') => Some(Reason::Html),
        200 if start.starts_with("# help") || start.starts_with("# type") => Some(Reason::Metrics),
        200 if content_type(&response.headers).contains("version=0.0.4") => Some(Reason::Metrics),
        _ => None,
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn status_text(status: StatusCode) -> std::sync::Arc<str> {
    format!("HTTP {} {}", status.as_u16(), status.canonical_reason().unwrap_or_default()).trim_end().into()
}
