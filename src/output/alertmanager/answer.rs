//! What a peer's answer means for the alerts that were sent, and what it gives away about the peer's clock and age.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode, header::DATE};
use serde::Deserialize;

use crate::{
    model::UnixTime,
    observation::{PollError, clean_text},
    transport::Response,
};

/// Longest text of a peer that is repeated in our log, in bytes.
const MAX_TEXT_BYTES: usize = 200;
/// Longest start time of a peer that is believed to be one, in bytes.
const MAX_INCARNATION_BYTES: usize = 64;
/// The `Date` header is cut to seconds: on average it is half of one behind.
const DATE_ROUNDING: Duration = Duration::from_millis(500);

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every alert was taken.
    Accepted,
    /// At least one of the alerts is wrong.
    Refused(String),
    /// The body is too large for the peer.
    TooLarge(String),
    /// The peer does not know us.
    Unauthorized(String),
    /// The peer did not deal with it; it may the next time.
    Failed(String),
}

impl Outcome {
    /// The meaning of an answer, or of the want of one.
    #[must_use]
    pub fn of(answer: &Result<Response, PollError>) -> Self {
        let response = match answer {
            Ok(response) => response,
            Err(error) => return Self::Failed(describe_error(error)),
        };
        let text = describe(response);
        match response.status {
            status if status.is_success() => Self::Accepted,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Self::Refused(text),
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge(text),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Unauthorized(text),
            _ => Self::Failed(text),
        }
    }
}

/// What became of the question since when the peer runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incarnation {
    /// Its start time, in its own words: another text is another life.
    Known(Arc<str>),
    /// It answers, but does not say.
    Untold,
    /// It does not answer.
    Failed(String),
}

#[derive(Deserialize)]
struct Status {
    uptime: String,
}

impl Incarnation {
    /// Reads the answer of `GET /api/v2/status`, whose `uptime` is the time of the start.
    #[must_use]
    pub fn of(answer: &Result<Response, PollError>) -> Self {
        let response = match answer {
            Err(error) => return Self::Failed(describe_error(error)),
            Ok(response) if response.status.is_server_error() => return Self::Failed(describe(response)),
            Ok(response) => response,
        };
        match serde_json::from_slice::<Status>(&response.body) {
            Ok(status) if status.uptime.len() <= MAX_INCARNATION_BYTES => Self::Known(status.uptime.into()),
            _ => Self::Untold,
        }
    }
}

/// By how many milliseconds the peer's clock is ahead of ours, from the `Date` header of an answer that took `elapsed`
/// and was complete at `now`. The resolution is a second.
#[must_use]
pub fn clock_skew_ms(headers: &HeaderMap, now: UnixTime, elapsed: Duration) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since_epoch = date.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    let theirs = UnixTime::from_seconds(since_epoch.as_secs())?.after(DATE_ROUNDING);
    Some(theirs.minus(now.before(elapsed / 2)))
}

fn describe(response: &Response) -> String {
    let body = String::from_utf8_lossy(&response.body[..response.body.len().min(MAX_TEXT_BYTES)]);
    let text = clean_text(body.trim(), MAX_TEXT_BYTES);
    if text.is_empty() { format!("HTTP {}", response.status) } else { format!("HTTP {}: {text}", response.status) }
}

fn describe_error(error: &PollError) -> String {
    let kind = error.kind.as_str();
    if error.detail.is_empty() { kind.to_owned() } else { format!("{kind}: {}", error.detail) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "it stands for the outcome of an exchange")]
    fn response(status: u16, body: &'static str) -> Result<Response, PollError> {
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Response {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
            elapsed: Duration::ZERO,
        })
    }

    #[test]
    fn only_a_client_error_about_the_body_speaks_against_an_alert() {
        for status in [200, 202, 204] {
            assert_eq!(Outcome::of(&response(status, "")), Outcome::Accepted);
        }
        for status in [400, 422] {
            assert!(matches!(Outcome::of(&response(status, "bad")), Outcome::Refused(_)), "{status}");
        }
        for status in [301, 404, 408, 415, 429, 500, 502, 503] {
            assert!(matches!(Outcome::of(&response(status, "")), Outcome::Failed(_)), "{status}");
        }
        assert!(matches!(Outcome::of(&response(413, "")), Outcome::TooLarge(_)));
        assert!(matches!(Outcome::of(&response(401, "")), Outcome::Unauthorized(_)));
        assert!(matches!(Outcome::of(&response(403, "")), Outcome::Unauthorized(_)));
    }

    #[test]
    fn a_peer_that_does_not_tell_its_age_is_no_failure() {
        let known = Incarnation::of(&response(200, r#"{"cluster":{},"uptime":"2026-11-21T19:20:59.123Z"}"#));
        assert_eq!(known, Incarnation::Known("2026-11-21T19:20:59.123Z".into()));
        for (status, body) in [(404, "not found"), (200, "{}"), (401, ""), (200, "null")] {
            assert_eq!(Incarnation::of(&response(status, body)), Incarnation::Untold, "{status} {body}");
        }
        assert!(matches!(Incarnation::of(&response(503, "")), Incarnation::Failed(_)));
    }

    #[test]
    fn the_date_header_tells_the_skew() {
        let now = UnixTime::from_millis(1_795_289_659_500);
        for (date, wanted) in [
            ("Sat, 21 Nov 2026 19:34:19 GMT", Some(500)),
            ("Sat, 21 Nov 2026 19:44:19 GMT", Some(600_500)),
            ("Sat, 21 Nov 2026 19:33:19 GMT", Some(-59_500)),
            ("yesterday", None),
        ] {
            let headers = HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
            assert_eq!(clock_skew_ms(&headers, now, Duration::from_secs(1)), wanted, "{date}");
        }
    }
}
