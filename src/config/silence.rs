//! `[[silence]]`: what is not to be announced, once or every week.

use std::sync::Arc;

use super::{
    code::Code,
    kind::{list, word},
    section::{Item, Section},
    shape::Shape,
};
use crate::{
    engine::silence::{Matcher, Silence, Span, Times, only_watchdog},
    model::UnixTime,
};

/// Silences of one configuration.
const MAX_SILENCES: usize = 1000;

/// Matchers of one silence.
const MAX_MATCHERS: usize = 32;

/// Times of one silence.
const MAX_TIMES: usize = 16;

/// Longest comment, in bytes.
const MAX_COMMENT: usize = 1024;

/// Who made the silences of the configuration.
const AUTHOR: &str = "configuration";

const MINUTES_OF_A_DAY: u16 = 24 * 60;

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Reads every silence. They are called `config-1`, `config-2` and so on.
pub(super) fn read_all(root: &mut Section<'_>) -> Vec<Silence> {
    let sections = root.any_sections("silence", "silence");
    if let Some(first) = sections.get(MAX_SILENCES) {
        let message = format!("{} silences are too many", sections.len());
        first.place().note(Code::OutOfRange, message, "at most 1000 for one haltwatch");
    }
    let numbered = sections.into_iter().take(MAX_SILENCES).zip(1..);
    numbered.filter_map(|(section, number)| read(section, number)).collect()
}

fn read(mut section: Section<'_>, number: usize) -> Option<Silence> {
    let matchers_item = section.item("matchers");
    let matchers = section.required("matchers", list(matcher, 1..=MAX_MATCHERS));
    let from = section.optional("from", instant);
    let until_item = section.item("until");
    let until = section.optional("until", instant);
    let days_item = section.item("weekdays");
    let days = section.optional("weekdays", list(word("day", &WEEKDAYS, |day| day), 1..=7));
    let times_item = section.item("times");
    let times = section.optional("times", list(minutes, 1..=MAX_TIMES));
    section.optional("time_zone", word("time zone", &["UTC"], |zone| zone));
    let comment = section.required("comment", comment);
    let recurs = days_item.is_some() || times_item.is_some();
    if until_item.is_none() && !recurs {
        section.lacks("`until` is missing in silence".to_owned(), "write until, or weekdays and times");
    }
    section.finish();
    let matchers: Vec<Matcher> = matchers?.into_iter().map(|(matcher, _)| matcher).collect();
    if let Some(item) = matchers_item.filter(|_| only_watchdog(&matchers)) {
        let help = "it tells that haltwatch lives; name another alert";
        item.harmless().note_as(Code::BadMatcher, "Watchdog is never silenced", help);
        return None;
    }
    if let (Some(from), Some(until), Some(item)) = (from, until, until_item)
        && until <= from
    {
        return item.harmless().wrong("`until` is not after `from`".to_owned(), "write the later time here");
    }
    let weekdays = |days: &[(&str, Item<'_>)]| WEEKDAYS.map(|day| days.iter().any(|(given, _)| *given == day));
    let times = recurs.then(|| Times {
        weekdays: days.as_deref().map_or([true; 7], weekdays),
        minutes: times.map_or_else(
            || vec![(0, MINUTES_OF_A_DAY)],
            |times| times.into_iter().map(|(minutes, _)| minutes).collect(),
        ),
    });
    Some(Silence {
        id: Arc::from(format!("config-{number}")),
        matchers,
        span: Span { from, until, times },
        created_by: Arc::from(AUTHOR),
        comment: comment?,
        updated_at: None,
    })
}

fn matcher(item: &Item<'_>) -> Option<Matcher> {
    item.describe(|| Shape::Parsed("matcher, like network=main"));
    let item = item.harmless();
    let text = item.text("a string", "write it like \"network=main\"")?;
    match Matcher::parse(&text) {
        Ok(matcher) => Some(matcher),
        Err(error) => {
            item.note_as(Code::BadMatcher, format!("{} is not a matcher", item.quoted()), &error.to_string());
            None
        }
    }
}

fn instant(item: &Item<'_>) -> Option<UnixTime> {
    item.describe(|| Shape::Parsed("time, like 2026-12-01T22:00:00Z"));
    let help = "write it in quotes with its Z, like \"2026-12-01T22:00:00Z\"";
    let item = item.harmless();
    let text = item.text("a time in quotes", help)?;
    let since_epoch =
        humantime::parse_rfc3339(&text).ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let millis = since_epoch.and_then(|since| i64::try_from(since.as_millis()).ok());
    let Some(millis) = millis else { return item.wrong(format!("{} is not a time", item.quoted()), help) };
    Some(UnixTime::from_millis(millis))
}

/// `22:00-06:00`: an end that is not after the begin is on the next day.
fn minutes(item: &Item<'_>) -> Option<(u16, u16)> {
    item.describe(|| Shape::Parsed("times of day, like 22:00-06:00"));
    let help = "write it like \"22:00-06:00\", in UTC; \"00:00-24:00\" is all day";
    let item = item.harmless();
    let text = item.text("a string", help)?;
    let parsed = text.split_once('-').and_then(|(begin, end)| Some((minute(begin)?, minute(end)?)));
    match parsed.filter(|(begin, end)| begin != end && *begin < MINUTES_OF_A_DAY) {
        Some((begin, end)) if begin < end => Some((begin, end)),
        Some((begin, end)) => Some((begin, end + MINUTES_OF_A_DAY)),
        None => item.wrong(format!("{} is not a time of day", item.quoted()), help),
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |digits: &str, most: u16| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|number| is_number && *number <= most)
    };
    let minutes = number(hour, 24)? * 60 + number(minute, 59)?;
    (minutes <= MINUTES_OF_A_DAY).then_some(minutes)
}

fn comment(item: &Item<'_>) -> Option<Arc<str>> {
    item.describe(|| Shape::Parsed("text, 1 to 1024 bytes"));
    let help = "say in 1 to 1024 bytes why, without control characters";
    let item = item.harmless();
    let text = item.text("a string", help)?;
    if text.trim().is_empty() || MAX_COMMENT < text.len() || text.chars().any(char::is_control) {
        return item.wrong("`comment` is not a usable text".to_owned(), help);
    }
    Some(Arc::from(text))
}
