//! Which format and encoding a client asked for. Parsed strictly: what is malformed or unknown is as if not said, and
//! whoever asks for nothing we have gets text 0.0.4, as Prometheus demands of exporters.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use crate::output::metrics::Format;

/// Elements of one header that are looked at.
const MAX_ELEMENTS: usize = 32;

/// The format to answer with.
#[must_use]
pub fn format(headers: &HeaderMap) -> Format {
    let mut best = (0_u16, Format::Text);
    for (range, quality) in elements(headers, &ACCEPT) {
        // The first of two equally good ones wins.
        if let Some(format) = range_format(range).filter(|_| best.0 < quality) {
            best = (quality, format);
        }
    }
    best.1
}

/// Whether the answer may be compressed with gzip.
#[must_use]
pub fn gzip(headers: &HeaderMap) -> bool {
    elements(headers, &ACCEPT_ENCODING)
        .any(|(coding, quality)| 0 < quality && coding.split(';').next().unwrap_or_default().trim() == "gzip")
}

/// The format of a media range; `None` if it is none of ours.
fn range_format(range: &str) -> Option<Format> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let version = parts.find_map(|parameter| parameter.strip_prefix("version=")).map(|text| text.trim_matches('"'));
    match (media.as_str(), version) {
        ("application/openmetrics-text", None | Some("1.0.0")) => Some(Format::OpenMetrics),
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", None) => Some(Format::Text),
        _ => None,
    }
}

/// The elements of a list header with their quality in thousandths; malformed ones are left out.
fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'h str, u16)> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).take(MAX_ELEMENTS).filter_map(|element| {
        let element = element.trim();
        let weight = element.split(';').skip(1).map(str::trim).find_map(|it| it.strip_prefix("q="));
        Some((element, weight.map_or(Some(1000), quality)?))
    })
}

/// A quality as RFC 9110 section 12.4.2 writes it (`0`, `0.5`, `1.000`), in thousandths.
fn quality(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if 3 < fraction.len() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match (whole, thousandths) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_format_follows_the_accept_header() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
            text/plain;version=0.0.4;q=0.2,/;q=0.1";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, wanted) in [
            (prometheus_2, Format::OpenMetrics),
            (prometheus_3, Format::OpenMetrics),
            (browser, Format::Text),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("garbage", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text;version=\"1.0.0\"", Format::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=2", Format::Text),
            ("application/openmetrics-text;q=0.1234", Format::Text),
            ("application/openmetrics-text;q=x", Format::Text),
            ("text/plain;q=0.6,application/openmetrics-text;q=0.5", Format::Text),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.6", Format::OpenMetrics),
            ("text/plain,application/openmetrics-text", Format::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
                Format::Text,
            ),
        ] {
            assert_eq!(format(&asked(ACCEPT, accept)), wanted, "{accept}");
        }
        assert_eq!(format(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn gzip_is_used_only_when_asked_for() {
        for (accept, wanted) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("identity", false),
            ("xgzip", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(gzip(&asked(ACCEPT_ENCODING, accept)), wanted, "{accept}");
        }
    }
}
