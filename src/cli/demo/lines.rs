//! The demo without a terminal: one line per event, with the time first.

use super::{
    paint::{Line, Paint},
    view::place,
};
use crate::{
    engine::{
        settings::Settings,
        snapshot::{Alert, Effect, QuietChange},
    },
    model::{AlertName, UnixTime},
    output::label::lasted,
};

/// What the narrator says.
#[must_use]
pub fn narrator(at: UnixTime, text: &str) -> Line {
    line(at, "story", Paint::Strong).with(Paint::Strong, text)
}

/// Something that can be opened.
#[must_use]
pub fn address(at: UnixTime, what: &str, url: &str) -> Line {
    line(at, what, Paint::Faint).with(Paint::Plain, url)
}

/// What the daemon decided; `None` for what is of no interest here.
#[must_use]
pub fn effect(at: UnixTime, settings: &Settings, effect: &Effect) -> Option<Line> {
    let (word, paint, alert) = match effect {
        Effect::Fired(alert) => ("fired", Paint::Bad, alert),
        Effect::Raised(alert) => ("louder", Paint::Bad, alert),
        Effect::Resolved(alert) => ("resolved", Paint::Good, alert),
        Effect::Quiet(alert, QuietChange::FiredMuted) => ("muted", Paint::Faint, alert),
        Effect::NodeState { node, from, to, .. } => {
            let place = place(settings, crate::engine::snapshot::Subject::Node(*node));
            let text = format!("{place}: {} -> {}", from.as_str(), to.as_str());
            return Some(line(at, "node", Paint::Faint).with(Paint::Plain, text));
        }
        Effect::Quiet(..) => return None,
    };
    (alert.key.name != AlertName::Watchdog).then(|| line(at, word, paint).with(Paint::Plain, text(settings, alert)))
}

fn text(settings: &Settings, alert: &Alert) -> String {
    let place = place(settings, alert.key.subject);
    let (name, level) = (alert.key.name.as_str(), alert.level.as_str());
    match lasted(alert) {
        None => format!("{name} {place} ({level}): {}", alert.finding),
        Some(lasted) => format!("{name} {place} ({level}) after {lasted}"),
    }
}

fn line(at: UnixTime, word: &str, paint: Paint) -> Line {
    Line::of(Paint::Faint, format!("{at} ")).with(paint, format!("{word:<9}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_its_time_and_kind() {
        let at = UnixTime::from_millis(1_795_300_000_000);
        expect_test::expect!["2026-11-21T22:26:40.000Z story    Validator v4 stops."]
            .assert_eq(&narrator(at, "Validator v4 stops.").write(usize::MAX, false));
        expect_test::expect!["2026-11-21T22:26:40.000Z page     http://127.0.0.1:1/"]
            .assert_eq(&address(at, "page", "http://127.0.0.1:1/").write(usize::MAX, false));
    }
}
