//! Where a node shows metrics of its own. Unlike an [`Endpoint`] this is published, to whoever scrapes those metrics, so
//! it may hold nothing that is secret.

use std::sync::Arc;

use super::{Endpoint, EndpointError};

/// The address of a node's own metrics: harmless, and split as Prometheus wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsUrl {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// `host:port`, an IPv6 address in brackets.
    pub address: Arc<str>,
    /// The path; `/` if the URL has none.
    pub path: Arc<str>,
}

/// Why a URL cannot be published. The text holds no part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricsUrlError {
    /// Not a URL of the right kind.
    #[error("{0}")]
    Url(#[from] EndpointError),
    /// Keys stand in queries, and Prometheus takes parameters elsewhere.
    #[error("the URL has a query, and everybody may read it")]
    Query,
}

impl MetricsUrl {
    /// Reads a URL of `http` or `https` without credentials and query.
    ///
    /// # Errors
    /// [`MetricsUrlError`].
    pub fn parse(url: &str) -> Result<Self, MetricsUrlError> {
        let endpoint = Endpoint::parse(url, "http, https")?;
        let path = endpoint.path_and_query();
        if path.contains('?') {
            return Err(MetricsUrlError::Query);
        }
        let (host, port) = (endpoint.host(), endpoint.port());
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let scheme = if endpoint.is_tls() { "https" } else { "http" };
        Ok(Self { scheme, address: Arc::from(address), path: Arc::from(path) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_url_has_scheme_address_and_path_and_nothing_else() {
        for (url, wanted) in [
            ("http://10.0.0.1:6060/debug/metrics/prometheus", ("http", "10.0.0.1:6060", "/debug/metrics/prometheus")),
            ("https://[::1]", ("https", "[::1]:443", "/")),
        ] {
            let MetricsUrl { scheme, address, path } = MetricsUrl::parse(url).unwrap();
            assert_eq!((scheme, &*address, &*path), wanted);
        }
        assert_eq!(MetricsUrl::parse("http://a/?key=SECRET"), Err(MetricsUrlError::Query));
        assert!(MetricsUrl::parse("http://user:SECRET@a/").is_err());
    }
}
