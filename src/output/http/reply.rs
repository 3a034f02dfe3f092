//! The answers every handler can give, with the headers that belong on all of them.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
        HeaderName, LOCATION, REFERRER_POLICY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
};

/// Nothing but our own style sheet is loaded, nothing runs, nobody frames us.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An answer on its way out.
#[derive(Debug)]
pub struct Reply(Response<Bytes>);

impl Reply {
    /// An answer with a body of the given type.
    #[must_use]
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        Self(response)
            .with(CONTENT_TYPE, content_type)
            .with(CACHE_CONTROL, "no-store")
            .with(X_CONTENT_TYPE_OPTIONS, "nosniff")
            .with(REFERRER_POLICY, "no-referrer")
            .with(CONTENT_SECURITY_POLICY, POLICY)
    }

    /// One line of text.
    #[must_use]
    pub fn text(status: StatusCode, line: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{line}\n"))
    }

    /// JSON.
    #[must_use]
    pub fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// A page.
    #[must_use]
    pub fn html(body: String) -> Self {
        Self::new(StatusCode::OK, "text/html; charset=utf-8", body)
    }

    /// The method is none of those allowed here.
    #[must_use]
    pub fn wrong_method(allowed: &'static str) -> Self {
        Self::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").with(ALLOW, allowed)
    }

    /// Name and password are missing or wrong.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::text(StatusCode::UNAUTHORIZED, "unauthorized").with(WWW_AUTHENTICATE, "Basic realm=\"haltwatch\"")
    }

    /// What is wanted is at `path`.
    #[must_use]
    pub fn beside(path: &str) -> Self {
        let mut reply = Self::text(StatusCode::FOUND, "found elsewhere");
        if let Ok(location) = HeaderValue::try_from(path) {
            reply.0.headers_mut().insert(LOCATION, location);
        }
        reply
    }

    /// The same answer, depending on what the client accepts, compressed or not.
    #[must_use]
    pub fn negotiated(self, gzip: bool) -> Self {
        let reply = self.with(VARY, "accept, accept-encoding");
        if gzip { reply.with(CONTENT_ENCODING, "gzip") } else { reply }
    }

    /// The same answer, after which the connection ends.
    #[must_use]
    pub fn and_close(self) -> Self {
        self.with(CONNECTION, "close")
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// What goes to the client.
    #[must_use]
    pub fn into_response(mut self) -> Response<Bytes> {
        // Said explicitly so that the answer to HEAD, which has no body, says it too.
        let length = HeaderValue::from(self.0.body().len());
        self.0.headers_mut().insert(CONTENT_LENGTH, length);
        self.0
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.headers_mut().insert(name, HeaderValue::from_static(value));
        self
    }
}
