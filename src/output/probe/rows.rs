//! A report as rows of a label and a value, for people. Every state is a word; nothing is said by colour.

use std::time::Duration;

use super::{Thresholds, certificate_end, chain_name, clock_skew_seconds, head_age_seconds};
use crate::observation::{
    Facts, Finality, Syncing,
    probe::{Access, Method, Report},
};

/// Narrower than this no value is broken into lines.
const NARROWEST: usize = 20;

/// A label and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub label: &'static str,
    /// What was found.
    pub value: String,
}

/// Everything a report says, in the order in which people ask for it.
#[must_use]
pub fn rows(report: &Report, thresholds: Option<&Thresholds>) -> Vec<Row> {
    let mut rows = vec![row("endpoint", report.endpoint.clone()), row("result", result(report))];
    if let Some(failure) = &report.failure {
        rows.extend(some("detail", Some(failure.detail.to_string()).filter(|detail| !detail.is_empty())));
        rows.push(row("what to do", failure.reason.advice().to_owned()));
    }
    if let Some(facts) = report.facts.as_deref() {
        rows.extend(identity(report, facts));
        rows.extend(standing(report, facts));
    }
    rows.extend(service(report));
    if let Some(block_time) = report.block_time {
        let mean = humane(block_time.mean);
        rows.push(row("block time", format!("{mean}, observed over {} blocks", block_time.blocks)));
    }
    if let Some(Thresholds { halt_after, on_demand, lag_after, offline_after }) = thresholds {
        let (halt, lag, offline) = (humane(*halt_after), humane(*lag_after), humane(*offline_after));
        let block = if *on_demand { "a block for work that waits" } else { "a block" };
        let value = format!("halted after {halt} without {block}, lagging from {lag} behind, offline after {offline}");
        rows.push(row("thresholds", value));
    }
    rows
}

/// The rows as lines at most `width` columns wide, the values aligned and broken at spaces.
#[must_use]
pub fn lines(rows: &[Row], width: usize) -> Vec<String> {
    let margin = rows.iter().map(|row| row.label.len()).max().unwrap_or(0) + 2;
    let room = width.saturating_sub(margin).max(NARROWEST);
    let of_row = |row: &Row| {
        let pieces = broken(&row.value, room).into_iter().enumerate();
        let label = row.label;
        pieces.map(|(n, piece)| format!("{:margin$}{piece}", if n == 0 { label } else { "" })).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of_row).collect()
}

/// `text` in pieces of at most `room` characters, broken at spaces where there are any.
fn broken(text: &str, room: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in text.split(' ') {
        let last = pieces.last().map_or(0, |piece| piece.chars().count());
        if last != 0 && room < last + 1 + word.chars().count() {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            if !piece.is_empty() {
                piece.push(' ');
            }
            piece.push_str(word);
        }
    }
    pieces
}

fn result(report: &Report) -> String {
    let took = humane(report.elapsed);
    match &report.failure {
        None => format!("answers as a node ({took})"),
        Some(failure) => format!("{}: {} ({took})", failure.reason.as_str(), failure.reason.says()),
    }
}

fn identity(report: &Report, facts: &Facts) -> Vec<Row> {
    let family = report.family.unwrap_or_default();
    let chain = facts.chain_id.as_deref().map(|id| match chain_name(family, id) {
        Some(name) => format!("{id} ({name})"),
        None => id.to_owned(),
    });
    let rows = [
        Some(row("family", family.to_owned())),
        some("variant", report.kind.variant.map(str::to_owned)),
        some("groups", Some(report.kind.groups.join(", ")).filter(|groups| !groups.is_empty())),
        some("cadence", report.kind.on_demand.then(|| "blocks come only when there is work".to_owned())),
        some("chain id", chain.or_else(|| Some("not told".to_owned()))),
        some("genesis", facts.genesis.map(|hash| hash.to_string())),
        some("client", facts.version.as_deref().map(str::to_owned)),
        some("identity", facts.identity.as_deref().map(str::to_owned)),
    ];
    rows.into_iter().flatten().collect()
}

fn standing(report: &Report, facts: &Facts) -> Vec<Row> {
    let head = facts.head;
    let time = head.time.map(|time| match head_age_seconds(report) {
        Some(age) if age < 0.0 => format!("{time}, {} in the future", humane(Duration::from_secs_f64(-age))),
        Some(age) => format!("{time}, {} ago", humane(Duration::from_secs_f64(age))),
        None => time.to_string(),
    });
    let finalized = match facts.finality {
        Finality::Known { height, .. } => format!("{height} ({} blocks below the head)", head.height.above(height)),
        Finality::Unknown => "not told".to_owned(),
    };
    let syncing = match facts.syncing {
        Syncing::Unknown => "not told".to_owned(),
        Syncing::No => "no".to_owned(),
        Syncing::Starting => "starting".to_owned(),
        Syncing::Yes { behind: Some(behind) } => format!("yes, {behind} blocks to go"),
        Syncing::Yes { behind: None } => "yes".to_owned(),
    };
    let skew = clock_skew_seconds(report).map(|(skew, doubt)| format!("{skew:+.1} s (to within {doubt:.1} s)"));
    let rows = [
        Some(row("height", head.height.to_string())),
        some("head hash", head.hash.map(|hash| hash.to_string())),
        some("head time", time),
        Some(row("finalized", finalized)),
        some("safe", facts.safe.map(|height| height.to_string())),
        Some(row("syncing", syncing)),
        some("peers", facts.peers.map(|peers| peers.to_string())),
        some("pending", facts.pending.map(|pending| format!("{pending} transactions"))),
        some("round", facts.round.map(|round| round.to_string())),
        some("participation", facts.participation.map(|it| format!("{}.{} % of the weight", it / 10, it % 10))),
        some("validators", facts.validators.map(|weight| format!("weight {weight} in all"))),
        some("upgrade", facts.upgrade.as_ref().map(|it| format!("{} planned for height {}", it.name, it.height))),
        some("double signs", Some(facts.equivocations.len()).filter(|it| 0 < *it).map(|it| format!("{it} reported"))),
        some("clock skew", skew),
    ];
    rows.into_iter().flatten().collect()
}

fn service(report: &Report) -> Vec<Row> {
    let latency = report.latency.map(|latency| {
        let [first, best, median] = [latency.first, latency.best, latency.median].map(humane);
        format!("best {best}, median {median}; {first} with connecting")
    });
    let tls = report.connection.and_then(|connection| connection.tls).map(|tls| tls.version.replace('_', "."));
    let certificate = certificate_end(report).map(|(end, days)| match days {
        ..0 => format!("ended {end}, {} days ago", days.unsigned_abs()),
        _ => format!("ends {end}, {days} days left"),
    });
    let batch = report.batch.map(|taken| if taken { "accepted" } else { "refused" }.to_owned());
    let heads = report.new_heads.map(|open| if open { "can be subscribed to" } else { "no subscription" }.to_owned());
    let mut rows = vec![some("latency", latency), some("TLS", tls), some("certificate", certificate)];
    rows.extend([some("batches", batch), some("new heads", heads)]);
    for (label, access) in [
        ("open", &[Access::Open, Access::Empty][..]),
        ("refused", &[Access::Refused]),
        ("missing", &[Access::Missing]),
        ("unanswered", &[Access::Unanswered]),
    ] {
        rows.push(some(label, methods(&report.methods, access)));
    }
    rows.extend(report.untold.iter().map(|untold| Some(row("untold", untold.clone()))));
    rows.into_iter().flatten().collect()
}

/// The methods with one of these outcomes, separated by commas.
fn methods(all: &[Method], access: &[Access]) -> Option<String> {
    let word = |method: &Method| match method.access {
        Access::Empty => format!("{} (nothing yet)", method.name),
        _ => method.name.clone(),
    };
    let names: Vec<String> = all.iter().filter(|method| access.contains(&method.access)).map(word).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn row(label: &'static str, value: String) -> Row {
    Row { label, value }
}

fn some(label: &'static str, value: Option<String>) -> Option<Row> {
    value.map(|value| row(label, value))
}

/// `12 ms`, `3.4 s`, `5m 20s`.
pub(super) fn humane(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => format!("{} µs", duration.as_micros()),
        1..1000 => format!("{ms} ms"),
        1000..120_000 if ms % 1000 < 50 => format!("{} s", ms / 1000),
        1000..120_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_aligned_and_broken_at_spaces() {
        let rows = [row("a", "one two three four five six".to_owned()), row("label", "x".repeat(30))];
        assert_eq!(
            lines(&rows, 27),
            ["a      one two three four", "       five six", &format!("label  {}", "x".repeat(30))]
        );
        assert_eq!(lines(&rows, 200)[0], "a      one two three four five six");
    }

    #[test]
    fn durations_are_short() {
        for (us, wanted) in
            [(250, "250 µs"), (12_300, "12 ms"), (3_000_000, "3 s"), (3_400_000, "3.4 s"), (320_000_000, "5m 20s")]
        {
            assert_eq!(humane(Duration::from_micros(us)), wanted);
        }
    }
}
