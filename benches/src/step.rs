//! What a decision costs: steps of the engine over fleets of healthy nodes, on simulated time.

pub mod memory;

use std::hint::black_box;

use haltwatch::{
    engine::Engine,
    model::{Now, Timestamp},
    observation::Observation,
};

use crate::{
    Scale,
    fleet::{Fleet, at_round, time_of},
    process,
    report::{Goal, Report, median},
};

/// Rules that judge every node: the alerts about nodes.
const NODE_RULES: usize = 13;

/// Simulated seconds before anything is measured: windows are filled, block times known.
const WARM_ROUNDS: u64 = 60;

/// Simulated seconds that are measured.
const ROUNDS: u64 = 5;

/// Steps with nothing new that are timed, a millisecond apart.
const EMPTY_TICKS: i64 = 200;

/// Steps that are timed in each of them; the rest of a round goes in at once, so that no node falls silent.
const TIMED_STEPS: usize = 50;

/// Measures fleets of several shapes and sizes.
pub fn run(scale: Scale, report: &mut Report) -> anyhow::Result<()> {
    let large = scale.pick(10_000, 100);
    println!("step: fleets of {large} nodes");
    for (shape, fleet) in
        [("networks of 100", Fleet::in_hundreds(large)), ("one network", Fleet::in_one_network(large))]
    {
        shape_figures(shape, fleet, scale, report);
    }
    let sizes = scale.pick([1_000, 10_000, 100_000], [100, 200, 400]);
    let costs = sizes.map(|nodes| {
        let cost = per_observation(Fleet::in_hundreds(nodes), 100, scale);
        report.figure("step", format!("{nodes} nodes, networks of 100: observation in batches of 100"), cost, "ns");
        cost
    });
    let [small, _, huge] = costs;
    let name = format!("cost of an observation, {} / {} nodes", sizes[2], sizes[0]);
    report.goal("step", name, (huge / small, "x"), Goal::AtMost(2.0));
    memory::run(scale, report)
}

fn shape_figures(shape: &str, fleet: Fleet, scale: Scale, report: &mut Report) {
    let nodes = fleet.nodes();
    for batch in [1, 100] {
        let cost = per_observation(fleet, batch, scale);
        report.figure("step", format!("{nodes} nodes, {shape}: observation in batches of {batch}"), cost, "ns");
    }
    let whole = per_observation(fleet, nodes, scale);
    report.goal(
        "step",
        format!("{nodes} nodes, {shape}: whole round in one step, per built-in rule and node"),
        (whole / NODE_RULES as f64, "ns"),
        Goal::AtMost(15.0),
    );
    let (mut engine, now) = warm(fleet, scale);
    let empty = nanos(|| {
        for tick in 1..=EMPTY_TICKS {
            let now = Now { at: Timestamp(now.at.0 + tick), ..now };
            black_box(engine.step(now, &[]));
        }
    });
    report.figure("step", format!("{nodes} nodes, {shape}: empty tick"), empty / EMPTY_TICKS as f64, "ns");
    let snapshot = median((0..20).map(|_| nanos(|| drop(black_box(engine.snapshot(now))))));
    report.figure("step", format!("{nodes} nodes, {shape}: snapshot, per node"), snapshot / nodes as f64, "ns");
}

/// Median time of a step per observation in it, when `batch` observations come at a time.
fn per_observation(fleet: Fleet, batch: usize, scale: Scale) -> f64 {
    let (mut engine, _) = warm(fleet, scale);
    let first = warm_rounds(scale);
    let rounds = scale.pick(ROUNDS, 1) * scale.repetitions as u64;
    median((first..first + rounds).map(|round| {
        let observations = fleet.round(round);
        let (timed, rest) = observations.split_at(observations.len().min(batch * TIMED_STEPS));
        let spent = nanos(|| feed(&mut engine, timed, batch)) / timed.len() as f64;
        feed(&mut engine, rest, fleet.nodes());
        spent
    }))
}

/// An engine that has seen healthy rounds, and the time of the last.
fn warm(fleet: Fleet, scale: Scale) -> (Engine, Now) {
    let mut engine = Engine::new(fleet.engine_settings(), at_round(0));
    for round in 0..warm_rounds(scale) {
        feed(&mut engine, &fleet.round(round), fleet.nodes());
    }
    (engine, at_round(warm_rounds(scale)))
}

fn warm_rounds(scale: Scale) -> u64 {
    scale.pick(WARM_ROUNDS, 3)
}

fn feed(engine: &mut Engine, observations: &[Observation], batch: usize) {
    for batch in observations.chunks(batch) {
        let now = batch.last().map(time_of).unwrap_or_default();
        black_box(engine.step(now, batch));
    }
}

/// CPU time of `work`: what others do to the machine meanwhile does not count.
fn nanos(work: impl FnOnce()) -> f64 {
    let began = process::cpu();
    work();
    process::cpu().saturating_sub(began).as_secs_f64() * 1e9
}
