//! An address of something we talk to. The URL may hold an API key in any part, so it cannot be displayed; what may be
//! shown is scheme, host and port.

use std::{fmt, path::Path, sync::Arc};

use http::{HeaderMap, Uri};
use secrecy::{ExposeSecret, SecretString};

use super::Trust;

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

/// Shorter parts of a URL or a header are words, not keys.
const SHORTEST_SECRET: usize = 8;

/// So much of a key may be left at the end of a text that was cut off there.
const SHORTEST_STUMP: usize = 4;

/// A parsed URL with the headers that authenticate us there. `Debug` and `Display` show `https://host:port/…` only.
#[derive(Clone)]
pub struct Endpoint {
    url: SecretString,
    uri: Uri,
    shown: Box<str>,
    headers: HeaderMap,
    cookie_file: Option<Arc<Path>>,
    trust: Option<Box<Trust>>,
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
        let url = SecretString::from(url.trim());
        Ok(Self { url, uri, shown: shown.into(), headers: HeaderMap::new(), cookie_file: None, trust: None })
    }

    /// The same endpoint with the headers to send on every request; their values must be marked sensitive.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The same endpoint with the file in which it keeps a cookie for those who may read it: `user:password`.
    #[must_use]
    pub fn with_cookie_file(mut self, path: Option<Arc<Path>>) -> Self {
        self.cookie_file = path;
        self
    }

    /// The same endpoint with certificates of its own.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = (!trust.is_ordinary()).then(|| Box::new(trust));
        self
    }

    /// Who vouches for it, and who we are there, where that is not as everywhere.
    #[must_use]
    pub fn trust(&self) -> Option<&Trust> {
        self.trust.as_deref()
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

    /// The file whose content authenticates us, if there is one.
    #[must_use]
    pub fn cookie_file(&self) -> Option<&Arc<Path>> {
        self.cookie_file.as_ref()
    }

    /// `text`, which came from the other side, with our own keys cut out of it: some servers quote the key they refuse,
    /// or the whole address. A key in the middle of which `text` was cut off goes as well.
    #[must_use]
    pub fn without_secrets(&self, text: &str) -> String {
        let url = self.path_and_query().split(['/', '?', '&', '=']);
        let headers = self.headers.values().filter_map(|value| value.to_str().ok()).flat_map(str::split_whitespace);
        without_secrets(text, url.chain(headers))
    }

    /// `https://host:port/…`: what may be shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// `text` with these `secrets` cut out of it, and with what is left of one in the middle of which it was cut off. What is
/// too short for a secret stays.
#[must_use]
pub fn without_secrets<'s>(text: &str, secrets: impl Iterator<Item = &'s str>) -> String {
    cut(text, secrets.filter(|part| SHORTEST_SECRET <= part.len()))
}

/// The same for what is known to be secret, be it short; in three letters nothing is hidden.
#[must_use]
pub fn cut<'s>(text: &str, secrets: impl Iterator<Item = &'s str>) -> String {
    let mut text = text.to_owned();
    for secret in secrets.filter(|secret| SHORTEST_STUMP <= secret.len()) {
        text = text.replace(secret, "…");
        let mut stumps = (SHORTEST_STUMP..secret.len()).rev().filter_map(|length| secret.get(..length));
        if let Some(rest) = stumps.find_map(|stump| text.strip_suffix(stump)) {
            text = format!("{rest}…");
        }
    }
    text
}

fn default_port(scheme: &str) -> u16 {
    if matches!(scheme, "https" | "wss") { 443 } else { 80 }
}

/// Two endpoints are the same if requests to them are: same URL, same headers, same cookie file, same certificates.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        (self.url(), &self.headers, &self.cookie_file, &self.trust)
            == (other.url(), &other.headers, &other.cookie_file, &other.trust)
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
    fn keys_that_the_other_side_quotes_are_cut_out_whole_or_not() {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::AUTHORIZATION, http::HeaderValue::from_static("Bearer fedcba9876543210"));
        let endpoint = Endpoint::parse("https://host/v3/0123456789abcdef?k=QUERYKEY", "https").unwrap();
        let endpoint = endpoint.with_headers(headers);
        for (text, wanted) in [
            ("invalid key 0123456789abcdef given", "invalid key … given"),
            ("no /v3/0123456789abcdef?k=QUERYKEY here", "no /v3/…?k=… here"),
            ("token fedcba9876543210", "token …"),
            ("cut off in 0123456789abcde", "cut off in …"),
            ("cut off in fedc", "cut off in …"),
            ("nothing of ours", "nothing of ours"),
        ] {
            assert_eq!(endpoint.without_secrets(text), wanted);
        }
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
