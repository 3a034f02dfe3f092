//! Thousands of small invented stories: networks, nodes and a monitor, to which things happen. Each follows from one
//! number, the seed, so that what failed once can be watched again.
//!
//! `cargo test --test simulation` plays some, `.ci/stories 20000` many, and `cargo test --test simulation -- --seed 7` one,
//! which it tells.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "it measures how long the stories take")]
#![allow(clippy::print_stdout, reason = "a test suite prints what it found")]

mod fault;
mod laws;
mod play;
mod story;
mod truth;

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use self::story::Story;

/// Stories played when nobody says how many: they take a second or two without optimization.
const SEEDS: u64 = 100;

/// Failures shown before it is enough.
const SHOWN: usize = 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(seed) = number_after(&arguments, "--seed") {
        return tell(seed);
    }
    let first = number_after(&arguments, "--first").unwrap_or(0);
    play_many(first, number_after(&arguments, "--seeds").unwrap_or(SEEDS))
}

/// Other arguments are those of test runners and mean nothing here.
fn number_after(arguments: &[String], name: &str) -> Option<u64> {
    let position = arguments.iter().position(|argument| argument == name)?;
    arguments.get(position + 1)?.parse().ok()
}

/// Plays one story and prints all that happens in it.
fn tell(seed: u64) -> ExitCode {
    let story = Story::of(seed);
    print!("{story}");
    let played = play::play(&story, play::Manner::Plain);
    for told in &played.told {
        println!("{told}");
    }
    let broken = laws::broken(&story, &played);
    for law in &broken {
        println!("BROKEN: {law}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play_many(first: u64, count: u64) -> ExitCode {
    let begin = Instant::now();
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let (simulated, told) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if first.saturating_add(count) <= seed || SHOWN <= failures.lock().unwrap().len() {
            return;
        }
        let story = Story::of(seed);
        let played = play::play(&story, play::Manner::Plain);
        simulated.fetch_add(story.seconds().unsigned_abs(), Ordering::Relaxed);
        told.fetch_add(played.told.len() as u64, Ordering::Relaxed);
        let broken = laws::broken(&story, &played);
        if !broken.is_empty() {
            failures.lock().unwrap().push((seed, broken));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(work);
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    for (seed, broken) in &failures {
        println!("seed {seed}: {}", broken.join("; "));
        println!("  again with: cargo test --test simulation -- --seed {seed}");
    }
    let days = simulated.into_inner() / 86_400;
    println!(
        "{count} stories, {days} simulated days of monitoring, {} announcements, {} failed, {:.1?}",
        told.into_inner(),
        failures.len(),
        begin.elapsed()
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
