//! What an engine remembers: the memory of a process that holds one, after an hour of polls.

use super::feed;
use crate::{
    Scale,
    fleet::{Fleet, at_round},
    process,
    report::Report,
};
use haltwatch::engine::Engine;

/// Which engine is held.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How many nodes it watches.
    #[arg(long)]
    nodes: usize,
    /// How many simulated seconds it has watched them.
    #[arg(long)]
    seconds: u64,
}

/// Notes what each node more costs the engine in memory.
pub fn run(scale: Scale, report: &mut Report) -> anyhow::Result<()> {
    let (small, large) = scale.pick((500, 2000), (50, 100));
    let seconds = scale.pick(3600, 10);
    let resident = |nodes: usize| -> anyhow::Result<f64> {
        process::ask(&["hold-engine".to_owned(), format!("--nodes={nodes}"), format!("--seconds={seconds}")])
    };
    let per_node = (resident(large)? - resident(small)?) / (large - small) as f64;
    report.figure("step", format!("engine memory per added node after {seconds} s of polls"), per_node / 1000.0, "kB");
    Ok(())
}

/// Feeds an engine and prints how many bytes of memory this process then holds.
pub fn hold(options: &Options) {
    let fleet = Fleet::in_hundreds(options.nodes);
    let mut engine = Engine::new(fleet.engine_settings(), at_round(0));
    for round in 0..options.seconds {
        feed(&mut engine, &fleet.round(round), 100);
    }
    println!("{}", process::resident());
    drop(engine);
}
