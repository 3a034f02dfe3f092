//! What a scrape costs: haltwatch's exposition writer beside the libraries, which are given the very same series, and
//! beside copying the ready text.

pub mod door;
mod peers;

use std::hint::black_box;

use haltwatch::{
    engine::{Engine, snapshot::Snapshot},
    output::{
        metrics::{Exposition, Format},
        own::OwnMetrics,
    },
};

use crate::{
    Scale, allocation,
    fleet::{Fleet, at_round},
    process,
    report::{Goal, Report, median},
};

/// Simulated seconds before the snapshot is taken.
const WARM_ROUNDS: u64 = 30;

/// Writers of the same series, timed in turns.
struct Contest {
    series: usize,
    runs: Vec<(&'static str, Vec<f64>)>,
}

/// Measures the writers at two sizes, then the door.
pub fn run(scale: Scale, report: &mut Report) -> anyhow::Result<()> {
    for series in scale.pick([100_000, 500_000], [2_000, 10_000]) {
        writers(series, scale, report)?;
    }
    door::run(scale, report)
}

/// What an engine knows of a healthy fleet.
pub fn picture(nodes: usize) -> Snapshot {
    let fleet = Fleet::in_hundreds(nodes);
    let mut engine = Engine::new(fleet.engine_settings(), at_round(0));
    for round in 0..WARM_ROUNDS {
        engine.step(at_round(round + 1), &fleet.round(round));
    }
    engine.snapshot(at_round(WARM_ROUNDS))
}

fn writers(wanted: usize, scale: Scale, report: &mut Report) -> anyhow::Result<()> {
    let own = OwnMetrics::new();
    let mut exposition = Exposition::default();
    let mut body = Vec::new();
    exposition.render(Some(&picture(100)), &own.registry, Format::Text, &mut body);
    let snapshot = picture((wanted * 100).div_ceil(series_in(&body)).next_multiple_of(100));
    let mut exposition = Exposition::default();
    body.clear();
    exposition.render(Some(&snapshot), &own.registry, Format::Text, &mut body);
    let series = series_in(&body);
    println!("scrape: {series} series, {} nodes, {:.1} MB", snapshot.nodes.len(), body.len() as f64 / 1e6);
    let text = String::from_utf8(body.clone())?;
    let library = peers::Prometheus::with_series_of(&text)?;
    let client = peers::PrometheusClient::with_series_of(&text);
    let mut copy = body.clone();

    let mut contest = Contest { series, runs: Vec::new() };
    for _ in 0..scale.pick(5, 1) * scale.repetitions {
        contest.time("memcpy", || black_box(&mut copy).copy_from_slice(black_box(&text).as_bytes()));
        contest.time("haltwatch", || {
            body.clear();
            exposition.render(Some(black_box(&snapshot)), &own.registry, Format::Text, &mut body);
        });
        contest.time("prometheus-client", || drop(black_box(client.encode())));
    }
    for _ in 0..scale.repetitions {
        contest.time("prometheus", || drop(black_box(library.encode())));
    }
    contest.note(report);
    count_allocations(series, report, || {
        body.clear();
        exposition.render(Some(&snapshot), &own.registry, Format::Text, &mut body);
    });
    Ok(())
}

fn count_allocations(series: usize, report: &mut Report, render: impl FnOnce()) {
    if let Some(made) = allocation::during(render) {
        let name = format!("{series} series: haltwatch allocations per scrape");
        report.figure("scrape", name, made.count as f64, "");
        let name = format!("{series} series: haltwatch bytes allocated per scrape");
        report.figure("scrape", name, made.bytes as f64 / 1000.0, "kB");
    }
}

impl Contest {
    fn time(&mut self, who: &'static str, work: impl FnOnce()) {
        let began = process::cpu();
        work();
        let used = process::cpu().saturating_sub(began);
        let per_series = used.as_secs_f64() * 1e9 / self.series as f64;
        match self.runs.iter_mut().find(|(name, _)| *name == who) {
            Some((_, runs)) => runs.push(per_series),
            None => self.runs.push((who, vec![per_series])),
        }
    }

    fn of(&self, who: &str) -> f64 {
        let runs = self.runs.iter().find(|(name, _)| *name == who);
        median(runs.into_iter().flat_map(|(_, runs)| runs.iter().copied()))
    }

    fn note(&self, report: &mut Report) {
        let series = self.series;
        for (who, _) in &self.runs {
            report.figure("scrape", format!("{series} series: {who}"), self.of(who), "ns/series");
        }
        let ours = self.of("haltwatch");
        let name = format!("{series} series: haltwatch / memcpy");
        report.goal("scrape", name, (ours / self.of("memcpy"), "x"), Goal::AtMost(2.0));
        let name = format!("{series} series: prometheus / haltwatch");
        report.goal("scrape", name, (self.of("prometheus") / ours, "x"), Goal::AtLeast(80.0));
        let name = format!("{series} series: prometheus-client / haltwatch");
        report.figure("scrape", name, self.of("prometheus-client") / ours, "x");
    }
}

/// Lines that are no comments.
fn series_in(body: &[u8]) -> usize {
    body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count()
}
