//! An address of something we talk to. The URL may hold an API key in any part, so it cannot be displayed; what may be
//! shown is scheme, host and port.

use std::fmt;

use http::{HeaderMap, Uri};
use secrecy::{ExposeSecret, SecretString};

/// What is wrong with a URL. The text never contains any part of the URL but its scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("not a URL; wanted something like https://host:port/path")]
    Malformed,
    /// The scheme is none of those accepted here.
    #[error("the scheme must be one of {0}")]
    Scheme(&'static str),
    /// There is no host.
    #[error("the URL has no host")]
    NoHost,
    /// The port is not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// `user:password@` in front of the host: it would be sent in the wrong form or not at all.
    #[error("credentials do not belong into the URL; use basic_auth or bearer_token")]
    UserInfo,
}

/// A parsed URL with the headers that authenticate us there. `Debug` and `Display` show `https://host:port/…` only.
#[derive(Clone)]
pub struct Endpoint {
    url: SecretString,
    uri: Uri,
    shown: String,
    headers: HeaderMap,
}

impl Endpoint {
    /// Parses `url`, whose scheme must be one of `schemes` (`"http, https"` or `"ws, wss"`).
    ///
    /// # Errors
    /// [`EndpointError`] without any part of the URL in its text.
    pub fn parse(url: &str, schemes: &'static str) -> Result<Self, EndpointError> {
        let uri: Uri = url.trim().parse().map_err(|_| EndpointError::Malformed)?;
        let scheme = uri.scheme_str().ok_or(EndpointError::Malformed)?.to_owned();
        if !schemes.split(", ").any(|allowed| allowed == scheme) {
            return Err(EndpointError::Scheme(schemes));
        }
        let authority = uri.authority().ok_or(EndpointError::NoHost)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(EndpointError::NoHost);
        }
        let has_port = authority.as_str().len() > host.len();
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(EndpointError::Port);
        }
        let port = authority.port_u16().unwrap_or(default_port(&scheme));
        let rest = if matches!(uri.path(), "" | "/") && uri.query().is_none() { "" } else { "/…" };
        let shown = format!("{scheme}://{host}:{port}{rest}");
        Ok(Self { url: SecretString::from(url.trim()), uri, shown, headers: HeaderMap::new() })
    }

    /// The same endpoint with the headers to send on every request; their values must be marked sensitive.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The whole URL, for the wire only.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.expose_secret()
    }

    /// Whether the connection is wrapped in TLS (`https`, `wss`).
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.uri.scheme_str(), Some("https" | "wss"))
    }

    /// The host name or address, without the brackets of an IPv6 literal.
    #[must_use]
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, given or implied by the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or_else(|| default_port(self.uri.scheme_str().unwrap_or_default()))
    }

    /// The value of the `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// Path and query, for the request line only: they may hold a key.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    /// Headers to send on every request.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// `https://host:port/…`: what may be shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

fn default_port(scheme: &str) -> u16 {
    if matches!(scheme, "https" | "wss") { 443 } else { 80 }
}

/// Two endpoints are the same if requests to them are: same URL, same headers.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.url() == other.url() && self.headers == other.headers
    }
}

impl Eq for Endpoint {}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_shows_no_more_than_scheme_host_and_port() {
        let endpoint = Endpoint::parse("https://rpc.example.org/v3/SECRET?key=SECRET", "http, https").unwrap();
        assert_eq!(format!("{endpoint} {endpoint:?}"), "https://rpc.example.org:443/… https://rpc.example.org:443/…");
        assert_eq!(endpoint.path_and_query(), "/v3/SECRET?key=SECRET");
    }

    #[test]
    fn ipv6_literals_lose_their_brackets_only_for_dialing() {
        let endpoint = Endpoint::parse("http://[::1]:8545", "http, https").unwrap();
        assert_eq!((endpoint.host(), endpoint.port(), endpoint.shown()), ("::1", 8545, "http://[::1]:8545"));
    }

    #[test]
    fn bad_urls_are_refused_without_being_quoted() {
        for (url, wanted) in [
            ("SECRET", EndpointError::Malformed),
            ("ftp://SECRET", EndpointError::Scheme("http, https")),
            ("https://user:SECRET@host", EndpointError::UserInfo),
            ("http://", EndpointError::Malformed),
            ("http://host:99999", EndpointError::Port),
            ("http://host:0", EndpointError::Port),
        ] {
            let error = Endpoint::parse(url, "http, https").unwrap_err();
            assert_eq!(error, wanted);
            assert!(!error.to_string().contains("SECRET"));
        }
    }
}
