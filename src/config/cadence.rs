//! `cadence`, and `idle_max`, which belongs to one cadence alone: a time that is required there and refused elsewhere, so
//! that nobody believes in a limit that is not in force.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    code::Code,
    kind::{duration, word},
    section::{Item, Section},
};
use crate::engine::settings::Cadence;

/// The cadences there are; the time of the one that has a time is read from a key of its own.
const CADENCES: [Cadence; 5] =
    [Cadence::Interval, Cadence::Slots, Cadence::Poisson, Cadence::IdleMax(Duration::ZERO), Cadence::OnDemand];

/// How long a network may be told to be idle at the most.
const IDLE_TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

/// When blocks of a network are due; `usual` is what is known of its family.
pub(super) fn read(section: &mut Section<'_>, usual: Cadence) -> Cadence {
    let (word_item, longest) = (section.item("cadence"), section.item("idle_max"));
    let known = word_item.as_ref().map_or(Some(usual), word("cadence", &CADENCES, Cadence::as_str));
    let time = longest.as_ref().and_then(duration(IDLE_TIMES));
    match (known, &longest) {
        (Some(Cadence::IdleMax(_)), None) => {
            if let Some(item) = word_item.filter(|item| !item.page.is_broken()) {
                let help = "say after which time a block comes at the latest: idle_max = \"60s\"";
                item.harmless().note_as(Code::Missing, "this cadence needs `idle_max`", help);
            }
        }
        (Some(Cadence::IdleMax(_)), Some(_)) => return Cadence::IdleMax(time.unwrap_or_default()),
        (Some(_), Some(item)) => refuse(item),
        (None, _) | (_, None) => {}
    }
    known.unwrap_or(usual)
}

fn refuse(item: &Item<'_>) {
    let help = "write cadence = \"idle_max\", or remove it";
    item.harmless().note_as(Code::BadValue, "`idle_max` says nothing about this cadence", help);
}
