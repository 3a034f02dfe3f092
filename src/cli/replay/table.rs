//! Announcements for people: aligned columns, and a summary of them all.

use std::{
    fmt,
    io::{self, Write},
    time::Duration,
};

use crate::{
    cli::demo::paint::{Line, Paint},
    engine::settings::Settings,
    model::{AlertName, Level, UnixTime},
    output::label::subject_name,
    replay::{Change, Told},
};

/// Subjects with longer names stick out of their column.
const SUBJECT_WIDTH: usize = 40;

/// No line is cut: whoever wants less pipes it through something.
const UNCUT: usize = usize::MAX;

/// The table, written line by line as things are told.
pub(super) struct Table {
    coloured: bool,
    subject_width: Option<usize>,
}

impl Table {
    pub(super) fn new(coloured: bool) -> Self {
        Self { coloured, subject_width: None }
    }

    /// Writes one announcement, below a header if it is the first.
    pub(super) fn write(&mut self, out: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
        if self.subject_width.is_none() {
            let (width, name) = (subject_width(told.settings), name_width());
            let header = format!(
                "{:>14}  {:24}  {:7}  level  {:name$}  {:width$}  what",
                "offset", "wall time", "", "alert", "subject"
            );
            writeln!(out, "{}", Line::of(Paint::Faint, header).write(UNCUT, self.coloured))?;
            self.subject_width = Some(width);
        }
        let width = self.subject_width.unwrap_or_default();
        writeln!(out, "{}", line(told, width).write(UNCUT, self.coloured))
    }
}

fn line(told: &Told<'_>, width: usize) -> Line {
    let alert = told.alert;
    let (verb, paint) = match (told.change, alert.level) {
        (Change::Resolved, _) => ("resolve", Paint::Good),
        (Change::Fired, Level::L1 | Level::L2) => ("fire", Paint::Bad),
        (Change::Fired, _) => ("fire", Paint::Doubtful),
    };
    let name = name_width();
    let subject = subject_name(told.settings, alert.key.subject);
    Line::of(Paint::Faint, format!("{:>14}  {:24}  ", offset(told.now.at.0), told.now.wall.to_string()))
        .with(paint, format!("{verb:7}  {:5}  {:name$}", alert.level.as_str(), alert.key.name.as_str()))
        .with(Paint::Plain, format!("  {subject:width$}  {}", alert.finding))
}

fn name_width() -> usize {
    AlertName::ALL.iter().map(|name| name.as_str().len()).max().unwrap_or_default()
}

fn subject_width(settings: &Settings) -> usize {
    let networks = settings.networks.iter().map(|network| network.name.chars().count());
    let nodes = settings.nodes.iter().map(|node| {
        let network = settings.networks.get(node.network.index()).map_or(0, |it| it.name.chars().count());
        network + 1 + node.name.chars().count()
    });
    networks.chain(nodes).max().unwrap_or_default().clamp("subject".len(), SUBJECT_WIDTH)
}

/// `1:02:03.456`: hours, minutes and seconds since the stream began.
fn offset(ms: i64) -> String {
    let ms = ms.max(0);
    format!("{}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// What a replay told in all.
#[derive(Debug, Default)]
pub(super) struct Summary {
    fired: u64,
    by_level: [u64; Level::ALL.len()],
    first_halt: Option<(String, i64, UnixTime)>,
}

impl Summary {
    pub(super) fn count(&mut self, told: &Told<'_>) {
        if told.change != Change::Fired {
            return;
        }
        self.fired += 1;
        if let Some(position) = Level::ALL.iter().position(|level| *level == told.alert.level) {
            self.by_level[position] += 1;
        }
        if told.alert.key.name == AlertName::NetworkHalted && self.first_halt.is_none() {
            let network = subject_name(told.settings, told.alert.key.subject);
            self.first_halt = Some((network, told.now.at.0, told.now.wall));
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [critical, error, warning, info] = self.by_level;
        let noun = if self.fired == 1 { "alert" } else { "alerts" };
        write!(f, "{} {noun} (L1 {critical}, L2 {error}, L3 {warning}, L4 {info}); ", self.fired)?;
        match &self.first_halt {
            None => f.write_str("no halt"),
            Some((network, ms, wall)) => {
                let after = humantime::format_duration(Duration::from_secs(u64::try_from(ms / 1000).unwrap_or(0)));
                write!(f, "first halt: {network} after {after}, at {wall}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_read_like_a_stopwatch() {
        assert_eq!(offset(3_723_456), "1:02:03.456");
        assert_eq!(offset(-5), "0:00:00.000");
    }
}
