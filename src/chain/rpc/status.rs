//! What an HTTP answer is worth before its JSON is read. The status alone is not trusted: servers send good JSON errors
//! with 4xx and 5xx, and pages of their front servers with 200.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    chain::{
        adapter::Adapter,
        reply::{Answer, Reply, RpcError, shown},
    },
    clock::Clock,
    model::{Endpoint, UnixTime},
    observation::{ErrorKind, PollError},
    transport::Response,
};

/// A `Retry-After` beyond this is taken for this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// What Bitcoin Core says with 503 when too many requests wait for it: it is there, and has had enough.
const FULL_QUEUE: &[u8] = b"Work queue depth exceeded";

/// A failed round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub error: PollError,
    /// How long the node wants to be left alone, at most ten minutes.
    pub retry_after: Option<Duration>,
}

impl From<PollError> for Failure {
    fn from(error: PollError) -> Self {
        Self { error, retry_after: None }
    }
}

impl Failure {
    /// A failure for which `response` is the evidence.
    pub(super) fn of(error: PollError, response: &Response) -> Self {
        Self { error, retry_after: retry_after(&response.headers) }
    }

    /// The same failure with our own keys cut out of its text: those of the address, and those of what was asked.
    pub(super) fn without_secrets(mut self, endpoint: &Endpoint, adapter: &dyn Adapter) -> Self {
        self.error.detail = adapter.without_secrets(&endpoint.without_secrets(&self.error.detail)).into();
        self
    }
}

/// The JSON-RPC answer in `response`.
pub(in crate::chain) fn read(response: &Response) -> Result<Reply<'_>, Failure> {
    let status = response.status;
    let refused = |kind| Failure::of(PollError::new(kind, &named(status)), response);
    match status.as_u16() {
        300..=399 => return Err(refused(ErrorKind::Redirect)),
        401 | 403 => return Err(refused(ErrorKind::Unauthorized)),
        402 | 429 => return Err(refused(ErrorKind::RateLimited)),
        503 if response.body.starts_with(FULL_QUEUE) => return Err(refused(ErrorKind::RateLimited)),
        _ => {}
    }
    match Reply::parse(without_mark(&response.body)) {
        Some(reply) if status.is_success() || says_something(&reply) => Ok(reply),
        _ if status.is_server_error() => Err(refused(ErrorKind::Http5xx)),
        _ if !status.is_success() => Err(refused(ErrorKind::HttpStatus)),
        _ => Err(Failure::of(PollError::new(ErrorKind::Malformed, &instead_of_json(&response.body)), response)),
    }
}

/// The resource in `response`: its whole body, or the error that stands in its place, whose code is the status.
pub(in crate::chain) fn resource(response: &Response) -> Result<Answer<'_>, Failure> {
    let status = response.status;
    let refused = |kind| Failure::of(PollError::new(kind, &named(status)), response);
    match status.as_u16() {
        300..=399 => return Err(refused(ErrorKind::Redirect)),
        401 | 403 => return Err(refused(ErrorKind::Unauthorized)),
        402 | 429 => return Err(refused(ErrorKind::RateLimited)),
        _ => {}
    }
    let body = without_mark(&response.body);
    if status.is_success() {
        let json = serde_json::from_slice::<&RawValue>(body);
        return json
            .map(Answer::Result)
            .map_err(|_| Failure::of(PollError::new(ErrorKind::Malformed, &instead_of_json(body)), response));
    }
    match message(body) {
        Some(message) => Ok(Answer::Error(RpcError { code: Some(status.as_u16().into()), message })),
        None if status.is_server_error() => Err(refused(ErrorKind::Http5xx)),
        None => Err(refused(ErrorKind::HttpStatus)),
    }
}

/// The text of an error that is JSON.
fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Error<'a> {
        #[serde(default, borrow)]
        message: Option<Cow<'a, str>>,
        #[serde(default, borrow)]
        error: Option<Cow<'a, str>>,
    }
    let error: Error<'_> = serde_json::from_slice(body).ok()?;
    error.message.or(error.error).map(|text| shown(&text))
}

fn says_something(reply: &Reply<'_>) -> bool {
    match reply {
        Reply::Batch(_) => true,
        // Front servers like to say `{"error":"..."}`; with an error status that is the status in other words.
        Reply::Single { answer: Answer::Error(error), .. } => error.code.is_some(),
        Reply::Single { answer, .. } => !matches!(answer, Answer::Missing),
    }
}

fn named(status: StatusCode) -> String {
    format!("HTTP {} {}", status.as_u16(), status.canonical_reason().unwrap_or_default()).trim_end().to_owned()
}

fn instead_of_json(body: &[u8]) -> String {
    let start = String::from_utf8_lossy(&body[..body.len().min(256)]);
    match start.trim() {
        "" => "an empty body".to_owned(),
        page if page.starts_with('<') => "a page of HTML or XML".to_owned(),
        text => format!("not the JSON that was asked for: {}", shown(text)),
    }
}

/// The byte order mark is no part of JSON, but some servers write it.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// The node's wall clock. A cache in front of it tells by `Age` that the date is of its making or an old one.
pub(in crate::chain) fn node_clock(headers: &HeaderMap) -> Option<UnixTime> {
    if headers.contains_key(header::AGE) {
        return None;
    }
    let date = http_date(headers.get(header::DATE)?)?;
    UnixTime::from_seconds(date.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?;
    let text = value.to_str().ok()?.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number too large for us is a long time too.
    let seconds = is_number.then(|| text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs));
    let until = || {
        let date = http_date(value)?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let now = node_clock(headers).unwrap_or_else(|| Clock.now().wall);
        Some(UnixTime::from_seconds(date.as_secs())?.since(now))
    };
    seconds.or_else(until).map(|wait| wait.min(MAX_RETRY_AFTER))
}

fn http_date(value: &http::HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)));
        Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: Bytes::from_static(body.as_bytes()),
            elapsed: Duration::ZERO,
        }
    }

    fn kind(status: u16, body: &'static str) -> Option<ErrorKind> {
        read(&response(status, &[], body)).err().map(|failure| failure.error.kind)
    }

    #[test]
    fn an_answer_is_sorted_by_status_and_body_together() {
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-28,"message":"warming up"}}"#;
        let result = r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#;
        for (status, body, wanted) in [
            (200, result, None),
            (200, "\u{feff}[]", None),
            (500, error, None),
            (404, error, None),
            (500, "<html>", Some(ErrorKind::Http5xx)),
            (503, r#"{"error":"no backend"}"#, Some(ErrorKind::Http5xx)),
            (404, "not found", Some(ErrorKind::HttpStatus)),
            (401, error, Some(ErrorKind::Unauthorized)),
            (403, "invalid host specified", Some(ErrorKind::Unauthorized)),
            (429, error, Some(ErrorKind::RateLimited)),
            (402, "", Some(ErrorKind::RateLimited)),
            (503, "Work queue depth exceeded", Some(ErrorKind::RateLimited)),
            (503, "no backend", Some(ErrorKind::Http5xx)),
            (301, result, Some(ErrorKind::Redirect)),
            (200, "", Some(ErrorKind::Malformed)),
            (200, "<html>", Some(ErrorKind::Malformed)),
            (200, "42", Some(ErrorKind::Malformed)),
        ] {
            assert_eq!(kind(status, body), wanted, "{status} {body}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        for (value, wanted) in [
            ("7", Some(7)),
            ("Sat, 21 Nov 2026 20:00:30 GMT", Some(30)),
            ("Sat, 21 Nov 2026 19:00:00 GMT", Some(0)),
            ("86400", Some(600)),
            ("99999999999999999999999", Some(600)),
            ("-7", None),
            ("soon", None),
        ] {
            let response = response(429, &[("date", "Sat, 21 Nov 2026 20:00:00 GMT"), ("retry-after", value)], "");
            assert_eq!(read(&response).unwrap_err().retry_after, wanted.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_date_that_went_through_a_cache_is_not_the_clock_of_the_node() {
        let date = ("date", "Sat, 21 Nov 2026 20:00:00 GMT");
        assert_eq!(node_clock(&response(200, &[date], "").headers).unwrap().to_string(), "2026-11-21T20:00:00.000Z");
        assert_eq!(node_clock(&response(200, &[date, ("age", "7")], "").headers), None);
        assert_eq!(node_clock(&response(200, &[], "").headers), None);
    }
}
