//! The figures: a table to read and one line of JSON for each, with the load of the machine at the time.

use serde::Serialize;

use crate::process::load_average;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Goal {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => limit <= value,
        }
    }
}

/// One number with its unit.
#[derive(Debug, Clone, Serialize)]
struct Figure {
    bench: &'static str,
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
    /// Mean number of processes that wanted to run in the minute before.
    load: f64,
}

/// All figures of a run.
#[derive(Debug)]
pub struct Report {
    load_before: f64,
    figures: Vec<Figure>,
}

impl Report {
    /// A report of a run that begins now.
    pub fn starting() -> Self {
        Self { load_before: load_average(), figures: Vec::new() }
    }

    /// Notes a figure.
    pub fn figure(&mut self, bench: &'static str, name: impl Into<String>, value: f64, unit: &'static str) {
        self.note(bench, name.into(), (value, unit), None);
    }

    /// Notes a figure that has a goal.
    pub fn goal(&mut self, bench: &'static str, name: impl Into<String>, value: (f64, &'static str), goal: Goal) {
        self.note(bench, name.into(), value, Some(goal));
    }

    fn note(&mut self, bench: &'static str, name: String, (value, unit): (f64, &'static str), goal: Option<Goal>) {
        let met = goal.map(|goal| goal.met(value));
        self.figures.push(Figure { bench, name, value, unit, goal, met, load: load_average() });
    }

    /// Prints the table, then the JSON lines.
    pub fn print(&self) {
        println!("\nload average {:.2} before, {:.2} after\n", self.load_before, load_average());
        let width = self.figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or_default();
        for figure in &self.figures {
            println!("{}", row(figure, width));
        }
        println!();
        for figure in &self.figures {
            match serde_json::to_string(figure) {
                Ok(line) => println!("{line}"),
                Err(error) => println!("{}: {error}", figure.name),
            }
        }
    }
}

fn row(figure: &Figure, width: usize) -> String {
    let verdict = match (figure.goal, figure.met) {
        (Some(Goal::AtMost(limit)), Some(true)) => format!("met     (goal <= {limit})"),
        (Some(Goal::AtMost(limit)), _) => format!("MISSED  (goal <= {limit})"),
        (Some(Goal::AtLeast(limit)), Some(true)) => format!("met     (goal >= {limit})"),
        (Some(Goal::AtLeast(limit)), _) => format!("MISSED  (goal >= {limit})"),
        (None, _) => String::new(),
    };
    let value = readable(figure.value);
    format!("{:<7} {:<width$} {value:>12} {:<16} {verdict}", figure.bench, figure.name, figure.unit)
        .trim_end()
        .to_owned()
}

/// Three significant digits below a hundred, whole numbers above.
fn readable(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude < 1.0 => format!("{value:.3}"),
        magnitude if magnitude < 10.0 => format!("{value:.2}"),
        magnitude if magnitude < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The middle value; of an even number of values the mean of the two middle ones. Zero of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = |position: usize| sorted.get(position).copied().unwrap_or_default();
    f64::midpoint(middle(sorted.len().saturating_sub(1) / 2), middle(sorted.len() / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_not_moved_by_one_outlier() {
        assert!((median([3.0, 1000.0, 2.0]) - 3.0).abs() < f64::EPSILON);
        assert!((median([4.0, 2.0]) - 3.0).abs() < f64::EPSILON, "nobody gets the better of two");
        assert!((median([]) - 0.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_missed_goal_is_said_loudly() {
        let mut report = Report::starting();
        report.goal("poll", "ratio", (1.2, "x"), Goal::AtMost(1.1));
        assert!(row(&report.figures[0], 5).contains("MISSED  (goal <= 1.1)"));
    }
}
