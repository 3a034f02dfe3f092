//! haltwatch beside its peers, in one run: what a poll, a scrape and a decision cost, and the ratios between them. Only
//! the ratios are meant to be reproduced on another machine.
//!
//! `poll` measures each client in a process of its own against a fake node in another; this binary starts itself again
//! under hidden commands to make them.

#![expect(clippy::print_stdout, reason = "this is a program that prints figures")]

mod allocation;
mod fleet;
mod poll;
mod process;
mod report;
mod scrape;
mod server;
mod step;

use clap::{Parser, Subcommand};

use self::report::Report;

/// Measures haltwatch beside its peers and prints the ratios.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Runs everything tiny, only to see that it runs; the figures mean nothing.
    #[arg(long, global = true)]
    smoke: bool,
    /// How often each measurement is repeated; the median counts.
    #[arg(long, global = true, default_value_t = 3)]
    repetitions: usize,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// CPU, memory and latency of polling, beside bare hyper and jsonrpsee.
    Poll,
    /// CPU and allocations of a scrape, beside the exposition libraries and memcpy; a thousand scrapes at once.
    Scrape,
    /// Cost of the engine's steps at different sizes.
    Step,
    /// A fake node that answers until its standard input ends.
    #[command(hide = true)]
    ServeNode(server::Options),
    /// One polling client, measured.
    #[command(hide = true)]
    PollNodes(poll::client::Options),
    /// The product's own HTTP server, until its standard input ends.
    #[command(hide = true)]
    ServeMetrics(scrape::door::Options),
    /// Memory of an engine.
    #[command(hide = true)]
    HoldEngine(step::memory::Options),
}

/// How large and how often to measure.
#[derive(Debug, Clone, Copy)]
struct Scale {
    smoke: bool,
    repetitions: usize,
}

impl Scale {
    /// `full`, or `tiny` if this is only a check that all of it runs.
    fn pick<T>(self, full: T, tiny: T) -> T {
        if self.smoke { tiny } else { full }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let scale =
        Scale { smoke: arguments.smoke, repetitions: if arguments.smoke { 1 } else { arguments.repetitions.max(1) } };
    let mut report = Report::starting();
    match arguments.command {
        Some(Command::ServeNode(options)) => return server::run(&options),
        Some(Command::PollNodes(options)) => return poll::client::run(&options),
        Some(Command::ServeMetrics(options)) => return scrape::door::serve(&options),
        Some(Command::HoldEngine(options)) => {
            step::memory::hold(&options);
            return Ok(());
        }
        Some(Command::Poll) => poll::run(scale, &mut report)?,
        Some(Command::Scrape) => scrape::run(scale, &mut report)?,
        Some(Command::Step) => step::run(scale, &mut report)?,
        None => {
            step::run(scale, &mut report)?;
            scrape::run(scale, &mut report)?;
            poll::run(scale, &mut report)?;
        }
    }
    report.print();
    Ok(())
}
