//! The body of `POST /api/v2/alerts`, as Alertmanager describes its API v2.

use serde::{Serialize, Serializer};

use super::announcement::Announcement;
use crate::model::UnixTime;

/// The path below the peer's own.
pub const ALERTS_PATH: &str = "/api/v2/alerts";
/// Where the peer tells since when it runs.
pub const STATUS_PATH: &str = "/api/v2/status";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostableAlert<'a> {
    #[serde(serialize_with = "as_object")]
    labels: &'a [(std::sync::Arc<str>, std::sync::Arc<str>)],
    #[serde(serialize_with = "as_object")]
    annotations: &'a [(&'static str, String)],
    #[serde(serialize_with = "as_rfc_3339")]
    starts_at: UnixTime,
    #[serde(serialize_with = "as_rfc_3339")]
    ends_at: UnixTime,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<&'a str>,
}

/// One element of the body: the alert from `starts_at` to `ends_at`.
#[must_use]
pub fn encode(
    announcement: &Announcement,
    starts_at: UnixTime,
    ends_at: UnixTime,
    generator_url: Option<&str>,
) -> Vec<u8> {
    let alert = PostableAlert {
        labels: &announcement.identity,
        annotations: &announcement.annotations,
        starts_at,
        ends_at,
        generator_url,
    };
    serde_json::to_vec(&alert).expect("strings under string keys always serialise")
}

fn as_object<N, V, S>(pairs: &&[(N, V)], serializer: S) -> Result<S::Ok, S::Error>
where
    N: AsRef<str>,
    V: AsRef<str>,
    S: Serializer,
{
    serializer.collect_map(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn as_rfc_3339<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// `url` if it is an absolute URI: Alertmanager refuses a whole batch for one that is not.
#[must_use]
pub fn absolute(url: &str) -> Option<String> {
    let uri: http::Uri = url.trim().parse().ok()?;
    (uri.scheme().is_some() && uri.authority().is_some()).then(|| url.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_alert_is_written_as_the_api_wants_it() {
        let announcement = Announcement {
            identity: Arc::new(vec![("alertname".into(), "NodeOffline".into()), ("node".into(), "val\n\"1\"".into())]),
            annotations: [("summary", "The node gives no good answer.".to_owned())].into(),
            starts_at: UnixTime::default(),
            ends_at: None,
        };
        let starts = UnixTime::from_millis(1_795_289_659_123);
        let body = encode(&announcement, starts, starts.after(std::time::Duration::from_secs(300)), Some("http://m/"));
        let wanted = concat!(
            r#"{"labels":{"alertname":"NodeOffline","node":"val\n\"1\""},"#,
            r#""annotations":{"summary":"The node gives no good answer."},"#,
            r#""startsAt":"2026-11-21T19:34:19.123Z","endsAt":"2026-11-21T19:39:19.123Z","generatorURL":"http://m/"}"#,
        );
        assert_eq!(String::from_utf8(body).unwrap(), wanted);
    }

    #[test]
    fn a_relative_generator_url_is_left_out_because_it_would_cost_the_batch() {
        assert_eq!(absolute(" http://mon:10019/x "), Some("http://mon:10019/x".to_owned()));
        for bad in ["", "/alerts", "mon", "http://a b/", "http://"] {
            assert_eq!(absolute(bad), None, "{bad}");
        }
    }
}
