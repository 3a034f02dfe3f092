//! What a node told when it was last asked, for what is asked at a slower pace than polls are made. It is believed for
//! three of its paces, so that one answer that is lost changes nothing, and is unknown again after that: a value whose
//! source has fallen silent never stands for the present.

use std::time::Duration;

use crate::model::Timestamp;

/// What is asked for rarely is believed for so many of its paces.
const BELIEVED: u32 = 3;

/// The last answer to what is asked for rarely, and when it came.
#[derive(Debug, Clone)]
pub(super) struct Remembered<T>(Option<(Timestamp, T)>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Remembered<T> {
    /// Takes over what was told at `now`; silence changes nothing.
    pub(super) fn keep(&mut self, now: Timestamp, told: Option<T>) {
        if let Some(told) = told {
            self.0 = Some((now, told));
        }
    }

    /// What was told last, if that is believed of something that is asked for every `pace`.
    pub(super) fn at(&self, now: Timestamp, pace: Duration) -> Option<&T> {
        self.within(now, pace.saturating_mul(BELIEVED))
    }

    /// What was told last, if that was no longer ago than `age`.
    pub(super) fn within(&self, now: Timestamp, age: Duration) -> Option<&T> {
        self.0.as_ref().filter(|(at, _)| now.since(*at) <= age).map(|(_, told)| told)
    }

    /// Whether anything was told so far, however long ago.
    pub(super) fn is_known(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn what_is_asked_rarely_is_believed_for_three_paces() {
        let mut remembered = Remembered::default();
        assert_eq!(remembered.at(at(0), PACE), None);
        remembered.keep(at(0), Some(7));
        assert_eq!([at(0), at(180), at(181)].map(|now| remembered.at(now, PACE)), [Some(&7), Some(&7), None]);
    }

    #[test]
    fn silence_changes_nothing_and_an_answer_begins_anew() {
        let mut remembered = Remembered::default();
        remembered.keep(at(0), Some(7));
        remembered.keep(at(120), None);
        assert_eq!([at(180), at(181)].map(|now| remembered.at(now, PACE)), [Some(&7), None]);
        remembered.keep(at(240), Some(8));
        assert_eq!([at(420), at(421)].map(|now| remembered.at(now, PACE)), [Some(&8), None]);
    }

    #[test]
    fn what_has_no_pace_of_its_own_is_a_matter_of_one_poll() {
        let mut remembered = Remembered::default();
        remembered.keep(at(5), Some(7));
        assert_eq!([at(5), at(6)].map(|now| remembered.at(now, Duration::ZERO)), [Some(&7), None]);
        assert!(remembered.is_known(), "it was told, though that no longer counts");
    }

    #[test]
    fn no_pace_is_too_long_to_be_multiplied() {
        let mut remembered = Remembered::default();
        remembered.keep(Timestamp(i64::MIN), Some(7));
        assert_eq!(remembered.at(Timestamp(i64::MAX), Duration::MAX), Some(&7));
        remembered.keep(Timestamp(i64::MAX), Some(8));
        assert_eq!(remembered.at(Timestamp(i64::MIN), PACE), Some(&8), "a clock that goes back ages nothing");
    }
}
