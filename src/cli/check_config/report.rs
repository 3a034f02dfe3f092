//! The outcome of a check in the forms people and machines read: text, one JSON object, annotations of GitHub Actions.
//! None of them holds more than the problems themselves, which never hold a secret.

use std::fmt::Write as _;

use serde::Serialize;

use super::online::Online;
use crate::config::{Problem, Problems, Severity};

/// The outcome of a check.
#[derive(Debug)]
pub struct Report<'c> {
    /// What was found: errors, or warnings of a configuration that can be used.
    pub problems: &'c Problems,
    /// How many networks and nodes there are; `None` if the configuration cannot be used.
    pub counts: Option<(usize, usize)>,
    /// What was found by dialing, if that was asked for.
    pub online: Option<&'c Online>,
}

/// The outcome as JSON. Fields may be added, never renamed or removed.
#[derive(Serialize)]
struct Outcome<'c> {
    file: &'c str,
    valid: bool,
    errors: usize,
    warnings: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<usize>,
    problems: Vec<Line<'c>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<&'c Online>,
}

/// One problem as JSON. What is unknown is `null`; the position of the whole file is.
#[derive(Serialize)]
struct Line<'c> {
    severity: &'static str,
    code: &'static str,
    line: Option<usize>,
    column: Option<usize>,
    end_column: Option<usize>,
    message: &'c str,
    help: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excerpt: Option<&'c str>,
}

impl<'c> Line<'c> {
    fn of(problem: &'c Problem) -> Self {
        let known = |number: usize| (0 < number).then_some(number);
        Self {
            severity: problem.severity().as_str(),
            code: problem.code.as_str(),
            line: known(problem.line),
            column: known(problem.column),
            end_column: problem.end_column,
            message: &problem.message,
            help: problem.help.as_deref(),
            excerpt: problem.excerpt.as_ref().map(|excerpt| excerpt.line.as_str()),
        }
    }
}

impl Report<'_> {
    /// Every problem with its place, coloured or not; empty if there is none.
    #[must_use]
    pub fn text(&self, coloured: bool) -> String {
        if coloured { format!("{:#}", self.problems) } else { self.problems.to_string() }
    }

    /// The last line: `config.toml: good; networks: 1, nodes: 2`.
    #[must_use]
    pub fn summary(&self) -> String {
        let number = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let file = &self.problems.source;
        match self.counts {
            None => format!("{file}: cannot be used; {}", number(errors, "error")),
            Some((networks, nodes)) if warnings == 0 => format!("{file}: good; networks: {networks}, nodes: {nodes}"),
            Some((networks, nodes)) => {
                format!("{file}: good, with {}; networks: {networks}, nodes: {nodes}", number(warnings, "warning"))
            }
        }
    }

    /// One object on one line.
    #[must_use]
    pub fn json(&self) -> String {
        let outcome = Outcome {
            file: &self.problems.source,
            valid: self.counts.is_some(),
            errors: self.count(Severity::Error),
            warnings: self.count(Severity::Warning),
            networks: self.counts.map(|(networks, _)| networks),
            nodes: self.counts.map(|(_, nodes)| nodes),
            problems: self.problems.list.iter().map(Line::of).collect(),
            online: self.online,
        };
        serde_json::to_string(&outcome).expect("numbers and texts always serialize")
    }

    /// One workflow command per problem, each on its line.
    #[must_use]
    pub fn github(&self) -> String {
        let file = &self.problems.source;
        let annotations = self.problems.list.iter().map(|problem| annotation(file, problem));
        let found = self.online.into_iter().flat_map(Online::problems);
        let found = found
            .map(|(severity, text)| format!("::{severity} file={},title=online::{}\n", property(file), data(&text)));
        let summary = format!("{}\n", data(&self.summary()));
        let online = self.online.map(|online| online.summary() + "\n");
        annotations.chain(found).chain([summary]).chain(online).collect()
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems.count(severity)
    }
}

/// `::error file=config.toml,line=5,col=3,title=E005::message`, the help on a line of its own.
fn annotation(file: &str, problem: &Problem) -> String {
    let mut place = format!("file={}", property(file));
    if 0 < problem.line {
        let _ = write!(place, ",line={},col={}", problem.line, problem.column);
    }
    if let Some(end) = problem.end_column {
        let _ = write!(place, ",endColumn={end}");
    }
    let help = problem.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    let (severity, message) = (problem.severity().as_str(), data(&format!("{}{help}", problem.message)));
    format!("::{severity} {place},title={}::{message}\n", problem.code)
}

/// The text of a workflow command: it ends at the line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command: it ends at a comma or a colon too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
