//! HTTP/1.1 over TCP or TLS, one kept-alive connection at a time, with a total deadline and a body limit. Everything
//! that leaves the process as an HTTP request goes through here: polls of nodes and pushes to Alertmanager.
//!
//! Between two exchanges only the bare stream is kept: the machinery of HTTP, with its buffers, lives as long as one
//! exchange. A node that is waiting for its next poll so costs a socket and nothing else, however large its answers.

mod certificate;
mod dial;
mod fault;
mod flow;
mod link;
mod name;
mod reach;
mod trust;
mod upgrade;

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::Full;

pub use self::{
    dial::{DialFault, Dialed, dial, dial_within},
    flow::Flow,
    link::Stream,
    reach::Reach,
    upgrade::Upgrade,
};
use crate::{
    model::Endpoint,
    observation::{ErrorKind, PollError},
};

/// What we call ourselves.
const AGENT: &str = concat!("haltwatch/", env!("CARGO_PKG_VERSION"));

/// A client of one endpoint. It keeps one connection alive and dials a new one when that has gone.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    /// The headers of every request: built once, copied for each.
    headers: HeaderMap,
    /// A connection on which nothing is under way.
    kept: Option<Stream>,
    dials: u64,
    reach: Reach,
}

/// One request. Path and query of the endpoint come first, then `path`.
#[derive(Debug, Clone)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// What is appended to the endpoint's own path, `""` for nothing; the endpoint's own query stays at the end.
    pub path: String,
    /// The body; if not empty it is sent as `application/json`.
    pub body: Bytes,
}

/// Bounds on one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first packet of the connection to the last byte of the body: total, not idle.
    pub deadline: Duration,
    /// Largest body in bytes.
    pub body: usize,
}

/// A complete answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status line.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// From handing the request to the connection to the last byte of the body; dialing is not in it.
    pub elapsed: Duration,
}

impl Client {
    /// A client that has not dialed yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let mut headers = HeaderMap::with_capacity(4 + endpoint.headers().len());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Ok(host) = HeaderValue::from_str(endpoint.authority()) {
            headers.insert(HOST, host);
        }
        headers.extend(endpoint.headers().clone());
        Self { endpoint, headers, kept: None, dials: 0, reach: Reach::Anywhere }
    }

    /// The same client, which connects only to addresses within `reach`.
    #[must_use]
    pub fn within(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// Sends `Authorization` with this value from now on; false if that is what was sent before.
    pub fn authorize(&mut self, value: &HeaderValue) -> bool {
        // The endpoint knows it as well, and keeps it out of texts.
        let mut headers = self.endpoint.headers().clone();
        headers.insert(AUTHORIZATION, value.clone());
        self.endpoint = self.endpoint.clone().with_headers(headers);
        let before = self.headers.insert(AUTHORIZATION, value.clone());
        before.is_none_or(|before| before != *value)
    }

    /// Opens a connection for the next exchange and says what it is like. `deadline` is as in [`dial`].
    ///
    /// # Errors
    /// Name, connection or TLS.
    pub async fn connect(&mut self, deadline: Duration) -> Result<Dialed, DialFault> {
        let (stream, dialed) = dial_within(&self.endpoint, self.reach, deadline).await?;
        self.dials = self.dials.saturating_add(1);
        self.kept = Some(stream);
        Ok(dialed)
    }

    /// Sends `request` and waits for the complete answer. Redirects are not followed. If a kept connection turns out
    /// to be dead before any byte of the answer has come, the request is sent once more on a new one.
    ///
    /// # Errors
    /// Every failure below HTTP: name, connection, TLS, deadline, body limit, broken HTTP.
    pub async fn exchange(&mut self, request: Request, limits: Limits) -> Result<Response, PollError> {
        let request = self.http_request(request)?;
        let mut connected = self.kept.is_some();
        match tokio::time::timeout(limits.deadline, self.attempt(request, limits, &mut connected)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late(limits.deadline, connected)),
        }
    }

    /// Asks on a connection of its own for a resource that goes on for ever, as server-sent events do. Connecting may take
    /// `deadline`; how long the answer may take to begin is the caller's to say, since some servers begin with the first
    /// event.
    ///
    /// # Errors
    /// Name, connection, TLS, or broken HTTP.
    pub async fn listen(&self, path: &str, deadline: Duration) -> Result<Flow, PollError> {
        let request = Request { method: Method::GET, path: path.to_owned(), body: Bytes::new() };
        let mut request = self.http_request(request)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let dialed = tokio::time::timeout(deadline, dial_within(&self.endpoint, self.reach, deadline)).await;
        let (stream, _) = dialed.map_err(|_| late(deadline, false))?.map_err(|fault| fault.error)?;
        Flow::open(stream, request).await
    }

    /// Completes when the kept connection has been closed by the other side: a process that dies closes its
    /// connections at once, long before the next poll would find out. Never completes while nothing is kept.
    pub async fn closed(&mut self) {
        match &mut self.kept {
            Some(stream) => stream.disturbed().await,
            None => std::future::pending().await,
        }
        self.kept = None;
    }

    /// How many connections have been opened: behind a new one there may be another process.
    #[must_use]
    pub fn dials(&self) -> u64 {
        self.dials
    }

    /// Whom this client talks to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn attempt(
        &mut self,
        request: http::Request<Full<Bytes>>,
        limits: Limits,
        connected: &mut bool,
    ) -> Result<Response, PollError> {
        // A kept connection on which anything has happened while it was idle is over or out of step.
        if let Some(stream) = self.kept.take().and_then(Stream::if_undisturbed) {
            let (outcome, kept) = link::converse(stream, request.clone(), limits.body).await;
            self.kept = kept;
            match outcome {
                Err(failure) if failure.unheard => *connected = false,
                outcome => return outcome.map_err(|failure| failure.error),
            }
        }
        let (stream, _) =
            dial_within(&self.endpoint, self.reach, limits.deadline).await.map_err(|fault| fault.error)?;
        self.dials = self.dials.saturating_add(1);
        *connected = true;
        let (outcome, kept) = link::converse(stream, request, limits.body).await;
        self.kept = kept;
        outcome.map_err(|failure| failure.error)
    }

    fn http_request(&self, request: Request) -> Result<http::Request<Full<Bytes>>, PollError> {
        let target = target(self.endpoint.path_and_query(), &request.path);
        let target: Uri = target.parse().map_err(|_| PollError::new(ErrorKind::Local, "the path is not valid"))?;
        let has_body = !request.body.is_empty();
        let mut built = http::Request::new(Full::new(request.body));
        *built.method_mut() = request.method;
        *built.uri_mut() = target;
        *built.headers_mut() = self.headers.clone();
        if has_body {
            built.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(built)
    }
}

fn late(deadline: Duration, connected: bool) -> PollError {
    let what = if connected { "no complete answer" } else { "no connection" };
    PollError::new(ErrorKind::Timeout, &format!("{what} within {}", humantime::format_duration(deadline)))
}

/// Joins the endpoint's own path and query with what a request adds. The endpoint's query, which may hold a key, stays
/// at the end: `/base?key=1` and `/status` make `/base/status?key=1`.
fn target(own: &str, added: &str) -> String {
    if added.is_empty() {
        return own.to_owned();
    }
    let (path, query) = own.split_once('?').unwrap_or((own, ""));
    let path = if added.starts_with('/') { path.trim_end_matches('/') } else { path };
    let joint = match (query.is_empty(), added.contains('?')) {
        (true, _) => "",
        (false, false) => "?",
        (false, true) => "&",
    };
    format!("{path}{added}{joint}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_request_goes_between_path_and_query_of_the_endpoint() {
        for (own, added, wanted) in [
            ("/", "", "/"),
            ("/v3/KEY?a=1", "", "/v3/KEY?a=1"),
            ("/", "/api/v2/alerts", "/api/v2/alerts"),
            ("/am/", "/api/v2/alerts", "/am/api/v2/alerts"),
            ("/am?key=1", "/status", "/am/status?key=1"),
            ("/?key=1", "/status?full=true", "/status?full=true&key=1"),
            ("/am", "?x=1", "/am?x=1"),
        ] {
            assert_eq!(target(own, added), wanted);
        }
    }

    #[test]
    fn a_client_shows_no_secrets() {
        let mut secret = HeaderMap::new();
        let mut value = HeaderValue::from_static("Bearer SECRET");
        value.set_sensitive(true);
        secret.insert(AUTHORIZATION, value);
        let endpoint = Endpoint::parse("http://node/SECRET", "http, https").unwrap().with_headers(secret);
        assert!(!format!("{:?}", Client::new(endpoint)).contains("SECRET"));
    }
}
