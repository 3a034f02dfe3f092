//! `[[network.planned_halt]]`: halts that are announced, so that nobody is woken up by what was decided in daylight.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use toml::{
    de::DeValue,
    value::{Datetime, Offset},
};

use super::{
    code::Code,
    kind::{count, name},
    place::Place,
    section::{Item, Section},
    shape::Shape,
};
use crate::model::{Height, Instant, PlannedHalt, UnixTime};

/// Halts that are announced of one network.
const MAX_HALTS: usize = 64;

/// Heights that TOML can write.
const HEIGHTS: RangeInclusive<u64> = 1..=i64::MAX.unsigned_abs();

/// What a halt is for, where nobody says.
const USUAL_KIND: &str = "maintenance";

const TIME: &str = "time of RFC 3339 with its zone, like \"2027-03-01T02:00:00Z\"";
const TIME_HELP: &str = "write \"2027-03-01T02:00:00Z\" or \"2027-03-01T10:00:00+08:00\"";

/// A halt with where it stands.
pub(super) struct PlannedSite<'a> {
    pub place: Place<'a>,
    pub from: Option<(UnixTime, Item<'a>)>,
    pub until: Option<(UnixTime, Item<'a>)>,
    /// Whether it may also begin at a height.
    pub has_height: bool,
}

/// Reads the announced halts of a network.
pub(super) fn read_all<'a>(network: &mut Section<'a>) -> (Vec<PlannedHalt>, Vec<PlannedSite<'a>>) {
    let sections = network.any_sections("planned_halt", "network.planned_halt");
    if let Some(first) = sections.get(MAX_HALTS) {
        let message = format!("{} planned halts are too many", sections.len());
        first.place().note(Code::OutOfRange, message, "at most 64 for one network; remove those that are over");
        return (Vec::new(), Vec::new());
    }
    sections.into_iter().map(read).unzip()
}

fn read(mut section: Section<'_>) -> (PlannedHalt, PlannedSite<'_>) {
    let kind = section.optional("kind", name).unwrap_or_else(|| Arc::from(USUAL_KIND));
    let (from_item, until_item) = (section.item("from"), section.item("until"));
    let height_item = section.item("at_height");
    if from_item.is_none() && height_item.is_none() {
        section.lacks("a planned halt needs `from` or `at_height`".to_owned(), "say when it begins, or at which block");
    }
    let at_height = height_item.as_ref().and_then(count(HEIGHTS)).map(Height);
    let from = from_item.and_then(|item| Some((moment(&item)?, item.harmless())));
    let until = until_item.and_then(|item| Some((moment(&item)?, item.harmless())));
    let site = PlannedSite { place: section.place(), from, until, has_height: height_item.is_some() };
    section.finish();
    note_order(&site);
    let wall = |at: &Option<(UnixTime, Item<'_>)>| at.as_ref().map(|(at, _)| Instant::Wall(*at));
    (PlannedHalt { kind, from: wall(&site.from), until: wall(&site.until), at_height }, site)
}

fn note_order(site: &PlannedSite<'_>) {
    if let (Some((from, _)), Some((until, item))) = (&site.from, &site.until)
        && until <= from
    {
        item.note_as(Code::BadValue, "it is over before it begins", "write a time for `until` that is after `from`");
    }
}

/// A point in time that everybody understands alike: with its zone.
fn moment(item: &Item<'_>) -> Option<UnixTime> {
    item.describe(|| Shape::Parsed(TIME));
    let item = item.harmless();
    let written = match item.value.get_ref() {
        DeValue::Datetime(written) => Some(*written),
        _ => item.text("a time", TIME_HELP)?.parse::<Datetime>().ok(),
    };
    match written {
        Some(Datetime { date: Some(_), time: Some(_), offset: None }) => {
            item.wrong(format!("`{}` has no zone", item.key), TIME_HELP)
        }
        Some(written) => unix_time(&written).or_else(|| item.wrong(format!("`{}` is not a time", item.key), TIME_HELP)),
        None => item.wrong(format!("`{}` is not a time", item.key), TIME_HELP),
    }
}

fn unix_time(written: &Datetime) -> Option<UnixTime> {
    let (date, time) = (written.date?, written.time?);
    let ahead = match written.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes) * 60_000,
    };
    let seconds = time.second.unwrap_or(0);
    let utc = format!("{date}T{:02}:{:02}:{seconds:02}Z", time.hour, time.minute);
    let since_epoch = humantime::parse_rfc3339(&utc).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let millis = i64::try_from(since_epoch.as_millis()).ok()?.checked_sub(ahead)?;
    let fraction = Duration::from_nanos(u64::from(time.nanosecond.unwrap_or(0)));
    (0 <= millis).then(|| UnixTime::from_millis(millis).after(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_same_in_every_zone() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2027-03-01T02:00:00Z", Some(1_803_866_400_000)),
            ("2027-03-01T10:00:00+08:00", Some(1_803_866_400_000)),
            ("2027-02-28 21:30:00.250-04:30", Some(1_803_866_400_250)),
            ("1970-01-01T00:00:00+01:00", None),
            ("2027-03-01T02:00:00", None),
            ("2027-03-01", None),
        ] {
            assert_eq!(unix_time(&text.parse().unwrap()).map(UnixTime::millis), wanted, "{text}");
        }
    }
}
