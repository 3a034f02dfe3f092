//! `/api/v2/silences` and `/api/v2/silence/{id}`: silences in the shape of Alertmanager's API, so that its own tools work
//! with ours: `amtool silence add --alertmanager.url=http://127.0.0.1:10019 …`. The same shape is kept over restarts.

use std::{sync::Arc, time::UNIX_EPOCH};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Time, to_json};
use crate::{
    engine::silence::{Matcher, Silence, Span, only_watchdog},
    model::{Now, UnixTime},
    observation::clean_text,
    output::http::query::Query,
};

/// Matchers of one silence.
const MAX_MATCHERS: usize = 32;

/// Longest comment, in bytes.
const MAX_COMMENT: usize = 1024;

/// Longest name of whoever made a silence, in bytes.
const MAX_AUTHOR: usize = 128;

/// The end of a silence that has none: the last second that is understood everywhere.
const NEVER_MS: i64 = 253_402_300_799_000;

/// What somebody wants of the silences of people.
#[derive(Debug)]
pub enum Order {
    /// All of them.
    List,
    /// A new one, or another one in the place of the one with this id.
    Set(Option<String>, Draft),
    /// An end now.
    Expire(String),
}

/// An order; the sender waits for the silences it concerns.
#[derive(Debug)]
pub struct SilenceRequest {
    /// What is wanted.
    pub order: Order,
    /// The silences asked for, or the one that was made or ended.
    pub answer: oneshot::Sender<Result<Vec<Silence>, SilenceRefusal>>,
}

/// A silence as somebody wants it, checked for everything but the time.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it matches.
    pub matchers: Vec<Matcher>,
    /// When it begins.
    pub from: UnixTime,
    /// When it ends.
    pub until: UnixTime,
    /// Who wants it.
    pub created_by: Arc<str>,
    /// Why.
    pub comment: Arc<str>,
}

/// Why an order is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceRefusal {
    /// It is wrong.
    #[error("{0}")]
    Wrong(String),
    /// There is no such silence.
    #[error("no such silence")]
    Unknown,
    /// There are too many.
    #[error("at most 1000 silences; expire some")]
    TooMany,
    /// It could not be written down, so it would not survive.
    #[error("the silence cannot be stored: {0}")]
    NotStored(String),
    /// haltwatch is stopping.
    #[error("haltwatch is stopping")]
    Stopping,
}

impl SilenceRefusal {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Wrong(_) | Self::TooMany => StatusCode::BAD_REQUEST,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::NotStored(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The body: a text in JSON, as Alertmanager answers.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        to_json(&self.to_string())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    #[serde(default)]
    id: Option<String>,
    matchers: Vec<PostedMatcher>,
    starts_at: String,
    ends_at: String,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
    /// Only in what is kept.
    #[serde(default)]
    updated_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedMatcher {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'s> {
    id: &'s str,
    status: Status,
    updated_at: Time,
    comment: &'s str,
    created_by: &'s str,
    ends_at: Time,
    starts_at: Time,
    matchers: Vec<ShownMatcher<'s>>,
}

#[derive(Serialize)]
struct Status {
    state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownMatcher<'s> {
    name: &'s str,
    value: &'s str,
    is_regex: bool,
    is_equal: bool,
}

impl<'s> Shown<'s> {
    fn of(silence: &'s Silence, now: UnixTime) -> Self {
        let matcher = |matcher: &'s Matcher| ShownMatcher {
            name: &matcher.name,
            value: matcher.value(),
            is_regex: matcher.is_regex(),
            is_equal: matcher.is_equal,
        };
        let (from, until) = (silence.span.from.unwrap_or_default(), silence.span.until);
        Self {
            id: &silence.id,
            status: Status { state: state(silence, now) },
            updated_at: Time(silence.updated_at.unwrap_or(from)),
            comment: &silence.comment,
            created_by: &silence.created_by,
            ends_at: Time(until.unwrap_or(UnixTime::from_millis(NEVER_MS))),
            starts_at: Time(from),
            matchers: silence.matchers.iter().map(matcher).collect(),
        }
    }
}

/// `active`, `pending` or `expired`.
fn state(silence: &Silence, now: UnixTime) -> &'static str {
    match () {
        () if silence.span.is_over(now) => "expired",
        () if silence.span.contains(now) => "active",
        () => "pending",
    }
}

/// An order to make a silence, from the body of a request.
///
/// # Errors
/// What is wrong with it.
pub fn posted(body: &[u8]) -> Result<Order, SilenceRefusal> {
    let posted: Posted = serde_json::from_slice(body)
        .map_err(|error| SilenceRefusal::Wrong(format!("not a silence: {}", clean_text(&error.to_string(), 200))))?;
    let id = posted.id.clone().filter(|id| !id.is_empty());
    Ok(Order::Set(id, posted.draft()?))
}

impl Posted {
    fn draft(self) -> Result<Draft, SilenceRefusal> {
        let wrong = |text: &str| SilenceRefusal::Wrong(text.to_owned());
        if !(1..=MAX_MATCHERS).contains(&self.matchers.len()) {
            return Err(wrong("a silence has 1 to 32 matchers"));
        }
        let matcher = |it: PostedMatcher| {
            Matcher::new(&it.name, &it.value, it.is_regex, it.is_equal)
                .map_err(|error| SilenceRefusal::Wrong(format!("a matcher cannot be used: {error}")))
        };
        let matchers = self.matchers.into_iter().map(matcher).collect::<Result<Vec<_>, _>>()?;
        if matchers.iter().all(|matcher| matcher.matches("")) {
            return Err(wrong("at least one matcher must not match the empty text"));
        }
        if only_watchdog(&matchers) {
            return Err(wrong("Watchdog is never silenced: it tells that haltwatch lives"));
        }
        let (from, until) = instant(&self.starts_at)
            .zip(instant(&self.ends_at))
            .ok_or_else(|| wrong("startsAt and endsAt are times like 2026-12-01T22:00:00Z"))?;
        if until <= from {
            return Err(wrong("endsAt must be after startsAt"));
        }
        if MAX_COMMENT < self.comment.len() || MAX_AUTHOR < self.created_by.len() {
            return Err(wrong("at most 1024 bytes of comment and 128 of createdBy"));
        }
        let text = |text: &str, limit| Arc::from(clean_text(text, limit));
        let (created_by, comment) = (text(&self.created_by, MAX_AUTHOR), text(&self.comment, MAX_COMMENT));
        Ok(Draft { matchers, from, until, created_by, comment })
    }
}

/// RFC 3339 with `Z` or an offset.
fn instant(text: &str) -> Option<UnixTime> {
    let (local, offset_ms) = match text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) {
        Some((local, zone)) if zone.starts_with(['+', '-']) => (format!("{local}Z"), offset(zone)?),
        _ => (text.to_owned(), 0),
    };
    let since = humantime::parse_rfc3339(&local).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(UnixTime::from_millis(i64::try_from(since.as_millis()).ok()?.checked_sub(offset_ms)?))
}

/// `+01:00` in milliseconds.
fn offset(zone: &str) -> Option<i64> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number = |digits: &str| digits.parse::<u8>().ok().filter(|number| *number < 60).map(i64::from);
    Some(sign * (number(hours)? * 60 + number(minutes)?) * 60_000)
}

/// The list, filtered by any number of `filter` matchers.
///
/// # Errors
/// A filter that is no matcher.
pub fn listed<'s>(
    silences: impl Iterator<Item = &'s Silence>,
    now: UnixTime,
    query: &Query,
) -> Result<Vec<u8>, SilenceRefusal> {
    let filters = query.all("filter").map(Matcher::parse).collect::<Result<Vec<_>, _>>();
    let filters = filters.map_err(|error| SilenceRefusal::Wrong(format!("filter: {error}")))?;
    let wanted = |silence: &&Silence| filters.iter().all(|filter| filter.matches(value_of(silence, &filter.name)));
    let shown: Vec<_> = silences.filter(wanted).map(|silence| Shown::of(silence, now)).collect();
    Ok(to_json(&shown))
}

/// What a silence compares a label with; empty if it does not.
fn value_of<'s>(silence: &'s Silence, name: &str) -> &'s str {
    silence.matchers.iter().find(|matcher| *matcher.name == *name).map_or("", Matcher::value)
}

/// One silence.
#[must_use]
pub fn one(silence: &Silence, now: UnixTime) -> Vec<u8> {
    to_json(&Shown::of(silence, now))
}

/// What is answered when a silence was made.
#[must_use]
pub fn made(silence: &Silence) -> Vec<u8> {
    #[derive(Serialize)]
    struct Made<'s> {
        #[serde(rename = "silenceID")]
        id: &'s str,
    }
    to_json(&Made { id: &silence.id })
}

/// Silences as they are kept.
#[must_use]
pub fn written(silences: &[Silence], now: Now) -> Vec<u8> {
    to_json(&silences.iter().map(|silence| Shown::of(silence, now.wall)).collect::<Vec<_>>())
}

/// Silences that were kept; `None` if that is not what we write.
#[must_use]
pub fn read(kept: &[u8]) -> Option<Vec<Silence>> {
    let kept: Vec<Posted> = serde_json::from_slice(kept).ok()?;
    kept.into_iter().map(kept_silence).collect()
}

fn kept_silence(posted: Posted) -> Option<Silence> {
    let (id, updated_at) = (Arc::from(posted.id.clone()?), posted.updated_at.as_deref().and_then(instant));
    // One that was ended before it began has an empty span, which nobody may ask for.
    let (from, until) = (instant(&posted.starts_at)?, instant(&posted.ends_at)?);
    let ends_at = UnixTime::from_millis(until.millis().max(from.millis() + 1)).to_string();
    let Draft { matchers, created_by, comment, .. } = Posted { ends_at, ..posted }.draft().ok()?;
    let span = Span { from: Some(from), until: Some(until), times: None };
    Some(Silence { id, matchers, span, created_by, comment, updated_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"matchers":[{"name":"network","value":"main|test","isRegex":true}],
        "startsAt":"2026-12-01T22:00:00.000Z","endsAt":"2026-12-02T00:00:00+01:00","createdBy":"ann","comment":"work"}"#;

    #[test]
    fn a_silence_is_read_as_alertmanagers_tools_write_it() {
        let Order::Set(None, draft) = posted(BODY.as_bytes()).unwrap() else { panic!() };
        assert_eq!(draft.matchers[0].to_string(), "network=~\"main|test\"");
        assert_eq!(draft.from.to_string(), "2026-12-01T22:00:00.000Z");
        assert_eq!(draft.until.to_string(), "2026-12-01T23:00:00.000Z");
        assert_eq!((&*draft.created_by, &*draft.comment), ("ann", "work"));
    }

    #[test]
    fn what_is_no_silence_is_refused_with_a_reason() {
        for (from, to, said) in [
            ("{\"matchers\"", "{\"x\"", "not a silence: missing field"),
            ("\"value\":\"main|test\"", "\"value\":\"[a]\"", "a matcher cannot be used: patterns are"),
            ("\"value\":\"main|test\"", "\"value\":\".*\"", "at least one matcher must not match the empty text"),
            ("T22:00:00.000Z", "", "startsAt and endsAt are times"),
            ("2026-12-02", "2026-12-01", "endsAt must be after startsAt"),
            (
                "\"network\",\"value\":\"main|test\"",
                "\"alertname\",\"value\":\"Watch.*\"",
                "Watchdog is never silenced",
            ),
        ] {
            let refusal = posted(BODY.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
            assert!(refusal.starts_with(said), "{refusal}");
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let Order::Set(_, draft) = posted(BODY.as_bytes()).unwrap() else { panic!() };
        let silence = Silence {
            id: "7".into(),
            matchers: draft.matchers,
            span: Span { from: Some(draft.from), until: Some(draft.until), times: None },
            created_by: draft.created_by,
            comment: draft.comment,
            updated_at: Some(draft.from),
        };
        let ended = Silence { span: Span { until: silence.span.from, ..silence.span.clone() }, ..silence.clone() };
        let list = [silence, ended];
        assert_eq!(read(&written(&list, Now::default())).as_deref(), Some(&list[..]));
        assert_eq!(read(b"[{}]"), None);
    }
}
