//! A polling client in a process of its own: polls for a while, measures itself, prints one sample.

use std::{net::SocketAddr, rc::Rc, time::Duration};

use clap::ValueEnum;
use tokio::time::Instant;

use super::{
    haltwatch, hyper, jsonrpsee,
    meter::{Meter, Sample},
    question::{self, Question},
};
use crate::{fleet::INTERVAL, process};

/// The ticks of the peer that wakes for all due nodes together.
const TICK: Duration = Duration::from_millis(10);

/// Files that are open beside the connections.
const OTHER_FILES: u64 = 64;

/// Time given to a client to set itself up before the first poll is due.
const HEAD_START: Duration = Duration::from_millis(200);

/// Who polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Client {
    /// Pollers, engine and snapshots of haltwatch, as its decision loop drives them.
    Haltwatch,
    /// Only the pollers of haltwatch; what they observe is dropped.
    Pollers,
    /// The whole daemon, on as many threads as it takes.
    Daemon,
    /// A hyper connection per node and a timer per node.
    Hyper,
    /// The same, with due polls fired together.
    HyperTicked,
    /// A jsonrpsee HTTP client per node.
    Jsonrpsee,
}

impl Client {
    /// Everybody.
    pub const ALL: [Self; 6] =
        [Self::Haltwatch, Self::Pollers, Self::Daemon, Self::Hyper, Self::HyperTicked, Self::Jsonrpsee];

    /// The name in figures.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Haltwatch => "haltwatch",
            Self::Pollers => "haltwatch pollers only",
            Self::Daemon => "haltwatch daemon",
            Self::Hyper => "hyper",
            Self::HyperTicked => "hyper ticked",
            Self::Jsonrpsee => "jsonrpsee",
        }
    }
}

/// What a client is told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Who polls.
    #[arg(long, value_enum)]
    pub client: Client,
    /// Where the fake node listens.
    #[arg(long)]
    pub port: u16,
    /// How many nodes are polled.
    #[arg(long)]
    pub nodes: usize,
    /// Time before the measurement begins.
    #[arg(long)]
    pub warm_ms: u64,
    /// Time that is measured.
    #[arg(long)]
    pub measured_ms: u64,
    /// What is asked, as a JSON array of methods and parameters.
    #[arg(long)]
    pub calls: String,
}

impl Options {
    /// The same as command-line arguments.
    pub fn arguments(&self) -> Vec<String> {
        let client = self.client.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        vec![
            "poll-nodes".to_owned(),
            format!("--client={client}"),
            format!("--port={}", self.port),
            format!("--nodes={}", self.nodes),
            format!("--warm-ms={}", self.warm_ms),
            format!("--measured-ms={}", self.measured_ms),
            format!("--calls={}", self.calls),
        ]
    }
}

/// What every peer needs to poll.
#[derive(Debug, Clone)]
pub struct Beat {
    /// The fake node.
    pub server: SocketAddr,
    /// How many nodes.
    pub nodes: usize,
    /// Due times are multiples of this; zero = evenly spread.
    pub tick: Duration,
    /// When the first poll of the first node is due.
    start: Instant,
}

impl Beat {
    /// The poll times of node `index`.
    pub fn interval(&self, index: usize) -> tokio::time::Interval {
        let mut offset = INTERVAL.mul_f64(index as f64 / self.nodes as f64);
        if !self.tick.is_zero() {
            let ticks = offset.as_micros() / self.tick.as_micros();
            offset = self.tick * u32::try_from(ticks).unwrap_or(u32::MAX);
        }
        tokio::time::interval_at(self.start + offset, INTERVAL)
    }
}

/// Polls, measures and prints the sample.
pub fn run(options: &Options) -> anyhow::Result<()> {
    process::raise_file_limit(options.nodes as u64 + OTHER_FILES)?;
    let sample = if options.client == Client::Daemon { measure_daemon(options) } else { measure(options) }?;
    println!("{}", serde_json::to_string(&sample)?);
    // Tearing ten thousand connections down measures nothing.
    std::process::exit(0);
}

/// Every client but the daemon runs on one thread.
fn measure(options: &Options) -> anyhow::Result<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let meter = Rc::new(Meter::default());
        start(options, &meter)?;
        tokio::time::sleep(Duration::from_millis(options.warm_ms)).await;
        let running = meter.begin();
        tokio::time::sleep(Duration::from_millis(options.measured_ms)).await;
        anyhow::Ok(meter.end(&running))
    })
}

fn measure_daemon(options: &Options) -> anyhow::Result<Sample> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let daemon = haltwatch::start_daemon(options.nodes, options.port)?;
        tokio::time::sleep(Duration::from_millis(options.warm_ms)).await;
        let meter = Meter::default();
        let before = haltwatch::polls_of(&daemon);
        let running = meter.begin();
        tokio::time::sleep(Duration::from_millis(options.measured_ms)).await;
        let after = haltwatch::polls_of(&daemon);
        meter.counted(after.0 - before.0, after.1 - before.1);
        let sample = meter.end(&running);
        // It is not stopped but left behind: the process ends now.
        std::mem::forget(daemon);
        anyhow::Ok(sample)
    })
}

fn start(options: &Options, meter: &Rc<Meter>) -> anyhow::Result<()> {
    let server = SocketAddr::from(([127, 0, 0, 1], options.port));
    let questions: Rc<[Question]> = question::parse(&options.calls)?.into();
    let tick = if options.client == Client::HyperTicked { TICK } else { Duration::ZERO };
    let beat = Beat { server, nodes: options.nodes, tick, start: Instant::now() + HEAD_START };
    match options.client {
        Client::Haltwatch => haltwatch::spawn(&beat, meter, haltwatch::Depth::Decisions),
        Client::Pollers => haltwatch::spawn(&beat, meter, haltwatch::Depth::Polls),
        Client::Daemon => anyhow::bail!("the daemon has a runtime of its own"),
        Client::Hyper | Client::HyperTicked => {
            hyper::spawn(&beat, &questions, meter);
            Ok(())
        }
        Client::Jsonrpsee => {
            jsonrpsee::spawn(&beat, &questions, meter);
            Ok(())
        }
    }
}
