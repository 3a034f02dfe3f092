//! When a silence is in force: once, or on some days of the week at some times, always in UTC.

use crate::model::UnixTime;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// The first of January 1970 was a Thursday: the fourth day, counted from Monday as 0 it is 3.
const FIRST_WEEKDAY: i64 = 3;

/// The changes of any week are found within as many days.
const DAYS: i64 = 8;

/// When a silence is in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// From then on; `None` = since ever.
    pub from: Option<UnixTime>,
    /// Until then; `None` = for ever.
    pub until: Option<UnixTime>,
    /// Within that, only at these times; `None` = at any.
    pub times: Option<Times>,
}

/// Times that come again every week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// The days on which they begin, Monday first.
    pub weekdays: [bool; 7],
    /// Begin and end in minutes of the day, the end after the begin; one beyond midnight ends on the next day.
    pub minutes: Vec<(u16, u16)>,
}

impl Span {
    /// Whether it is in force.
    #[must_use]
    pub fn contains(&self, now: UnixTime) -> bool {
        let is_within = self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until);
        let is_time = |times: &Times| times.around(now).any(|(begin, end)| begin <= now.millis() && now.millis() < end);
        is_within && self.times.as_ref().is_none_or(is_time)
    }

    /// Whether it will never be in force again.
    #[must_use]
    pub fn is_over(&self, now: UnixTime) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// The next time at which it may come into force or go out of it.
    #[must_use]
    pub fn next_change(&self, now: UnixTime) -> Option<UnixTime> {
        if self.is_over(now) {
            return None;
        }
        let bounds = self.from.into_iter().chain(self.until);
        let times = self.times.iter().flat_map(|times| times.around(now)).flat_map(|(begin, end)| [begin, end]);
        bounds.chain(times.map(UnixTime::from_millis)).filter(|change| now < *change).min()
    }
}

impl Times {
    /// Those of yesterday and of the days to come until all weekdays have been, in milliseconds since the epoch.
    fn around(&self, now: UnixTime) -> impl Iterator<Item = (i64, i64)> + '_ {
        let today = now.millis().div_euclid(DAY_MS);
        let days = (today - 1..today + DAYS).filter(|day| {
            let weekday = usize::try_from((day + FIRST_WEEKDAY).rem_euclid(7)).unwrap_or(0);
            self.weekdays[weekday]
        });
        days.flat_map(move |day| {
            let at = move |minute: u16| day * DAY_MS + i64::from(minute) * MINUTE_MS;
            self.minutes.iter().map(move |(begin, end)| (at(*begin), at(*end)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wall time from day (0 = Thursday, 1970-01-01), hour, minute.
    fn at(day: i64, hour: i64, minute: i64) -> UnixTime {
        UnixTime::from_millis(day * DAY_MS + (hour * 60 + minute) * MINUTE_MS)
    }

    #[test]
    fn a_single_span_begins_with_its_first_instant_and_ends_before_its_last() {
        let span = Span { from: Some(at(1, 0, 0)), until: Some(at(2, 0, 0)), times: None };
        assert!(!span.contains(at(0, 23, 59)) && span.contains(at(1, 0, 0)) && !span.contains(at(2, 0, 0)));
        assert_eq!(span.next_change(at(0, 0, 0)), Some(at(1, 0, 0)));
        assert_eq!(span.next_change(at(1, 0, 0)), Some(at(2, 0, 0)));
        assert_eq!(span.next_change(at(2, 0, 0)), None);
        assert!(span.is_over(at(2, 0, 0)) && !span.is_over(at(1, 23, 59)));
    }

    #[test]
    fn a_night_that_begins_on_friday_ends_on_saturday() {
        let weekdays = [false, false, false, false, true, false, false];
        let span = Span { times: Some(Times { weekdays, minutes: vec![(22 * 60, 30 * 60)] }), ..Span::default() };
        // Friday is day 1.
        for (now, inside, next) in [
            (at(1, 21, 59), false, at(1, 22, 0)),
            (at(1, 22, 0), true, at(2, 6, 0)),
            (at(2, 5, 59), true, at(2, 6, 0)),
            (at(2, 6, 0), false, at(8, 22, 0)),
            (at(7, 23, 0), false, at(8, 22, 0)),
        ] {
            assert_eq!((span.contains(now), span.next_change(now)), (inside, Some(next)), "{now}");
        }
    }

    #[test]
    fn times_count_only_between_the_outer_bounds() {
        let times = Some(Times { weekdays: [true; 7], minutes: vec![(60, 120)] });
        let span = Span { from: Some(at(3, 1, 30)), until: Some(at(4, 1, 30)), times };
        assert!(!span.contains(at(3, 1, 15)) && span.contains(at(3, 1, 45)) && span.contains(at(4, 1, 15)));
        assert!(!span.contains(at(4, 1, 45)));
        assert_eq!(span.next_change(at(3, 1, 15)), Some(at(3, 1, 30)));
    }
}
