//! Under which paths the site is served: behind a prefix, with metrics where the scraper expects them.

use http::{Uri, uri::PathAndQuery};

use super::Settings;

/// Where the metrics are, whatever else they are called.
const METRICS: &str = "/metrics";

/// Longest path that can be configured.
const MAX_PATH: usize = 256;

/// The paths of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `/haltwatch`, or nothing.
    prefix: String,
    telemetry: String,
}

/// Where a request leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// To this address within the site.
    Site(Uri),
    /// Nowhere, but there is something at this path.
    Beside(String),
    /// Nowhere.
    Nowhere,
}

impl Paths {
    /// The prefix is that of the settings, or else the path of the external URL.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let external = settings.external_url.as_deref().and_then(|url| url.parse::<Uri>().ok());
        let external = external.as_ref().map(Uri::path);
        let prefix = settings.route_prefix.as_deref().or(external).unwrap_or_default();
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Self { prefix, telemetry: settings.telemetry_path.clone() }
    }

    /// Where a request for `uri` leads.
    #[must_use]
    pub fn place(&self, uri: &Uri) -> Place {
        let path = uri.path();
        let Some(inner) = path.strip_prefix(&*self.prefix) else {
            return if path == "/" { Place::Beside(format!("{}/", self.prefix)) } else { Place::Nowhere };
        };
        if inner.is_empty() && !self.prefix.is_empty() {
            return Place::Beside(format!("{}/", self.prefix));
        }
        let inner = if inner == self.telemetry { METRICS } else { inner };
        if inner == path {
            return Place::Site(uri.clone());
        }
        if !inner.starts_with('/') {
            return Place::Nowhere;
        }
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        let target = PathAndQuery::try_from(format!("{inner}{query}"));
        target.map_or(Place::Nowhere, |target| Place::Site(Uri::from(target)))
    }
}

/// A path that can be configured, such as `/metrics`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_path(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    if text.len() <= MAX_PATH && text.starts_with('/') && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("a path begins with / and has letters, digits and -_.~/ in it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: &Settings, expected: &[(&str, &str)]) {
        let paths = Paths::of(settings);
        for (uri, wanted) in expected {
            let found = match paths.place(&uri.parse().unwrap()) {
                Place::Site(uri) => uri.to_string(),
                Place::Beside(path) => format!("-> {path}"),
                Place::Nowhere => "nowhere".to_owned(),
            };
            assert_eq!(&found, wanted, "{uri}");
        }
    }

    #[test]
    fn without_a_prefix_every_path_is_its_own() {
        check(&Settings::default(), &[("/", "/"), ("/metrics?a=b", "/metrics?a=b"), ("/x", "/x")]);
        let external = Settings { external_url: Some("https://example.org".to_owned()), ..Settings::default() };
        check(&external, &[("/", "/"), ("/metrics", "/metrics")]);
    }

    #[test]
    fn behind_a_prefix_nothing_else_is_served() {
        let expected = [
            ("/hw/", "/"),
            ("/hw", "-> /hw/"),
            ("/", "-> /hw/"),
            ("/hw/api/v1/rules?type=alert", "/api/v1/rules?type=alert"),
            ("/hwx/metrics", "nowhere"),
            ("/metrics", "nowhere"),
        ];
        let prefix = Settings { route_prefix: Some("/hw/".to_owned()), ..Settings::default() };
        check(&prefix, &expected);
        let external = Settings { external_url: Some("https://example.org/hw".to_owned()), ..Settings::default() };
        check(&external, &expected);
        let stripped = Settings { route_prefix: Some("/".to_owned()), ..external };
        check(&stripped, &[("/metrics", "/metrics")]);
    }

    #[test]
    fn metrics_have_the_path_that_was_asked_for() {
        let settings = Settings { telemetry_path: "/probe/telemetry".to_owned(), ..Settings::default() };
        check(&settings, &[("/probe/telemetry?x=1", "/metrics?x=1"), ("/probe", "/probe")]);
        assert!(parse_path("/a/b-c").is_ok());
        for wrong in ["", "metrics", "/a?b", "/a b", "/é", "/a#b", "https://example.org/"] {
            assert!(parse_path(wrong).is_err(), "{wrong}");
        }
    }
}
