//! What a poll costs: haltwatch beside bare hyper and jsonrpsee, each in a process of its own, all asking the same calls
//! of the same fake node, every node once a second.

pub mod client;
mod haltwatch;
mod hyper;
mod jsonrpsee;
mod meter;
mod question;

use std::time::Duration;

use self::{
    client::{Client, Options},
    meter::Sample,
};
use crate::{
    Scale,
    process::{self, Service, load_average},
    report::{Goal, Report, median},
    server::Count,
};

/// What is measured: who, how many nodes, how many transaction hashes in each block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Case {
    client: Client,
    nodes: usize,
    transactions: usize,
}

/// All samples of one case.
struct Measured {
    case: Case,
    samples: Vec<Sample>,
}

/// How large a fleet is measured.
struct Sizes {
    small: usize,
    large: usize,
    transactions: usize,
}

/// Measures every case, interleaved, and notes the figures and ratios.
pub fn run(scale: Scale, report: &mut Report) -> anyhow::Result<()> {
    let sizes = Sizes { small: scale.pick(1000, 20), large: scale.pick(10_000, 60), transactions: 200 };
    let calls = learn_calls(scale)?;
    println!("poll: every client asks {}", question::methods(&calls));
    let mut measured: Vec<_> = cases(&sizes).into_iter().map(|case| Measured { case, samples: Vec::new() }).collect();
    for repetition in 0..scale.repetitions {
        // Each repetition begins elsewhere, so that nobody always runs first.
        let turns = measured.len();
        for turn in 0..turns {
            let one = &mut measured[(turn + repetition) % turns];
            let sample = measure(one.case, &calls, scale)?;
            println!("poll: {:?} load {:.2}: {sample}", one.case, load_average());
            one.samples.push(sample);
        }
    }
    for one in &measured {
        note(one, report);
    }
    ratios(&measured, &sizes, report);
    Ok(())
}

fn cases(sizes: &Sizes) -> Vec<Case> {
    let mut cases = Vec::new();
    for nodes in [sizes.small, sizes.large] {
        cases.extend(Client::ALL.map(|client| Case { client, nodes, transactions: 0 }));
    }
    for client in [Client::Haltwatch, Client::Hyper] {
        cases.push(Case { client, nodes: sizes.large, transactions: sizes.transactions });
    }
    cases
}

/// The calls haltwatch makes in an ordinary poll, heard by a fake node: everybody else asks the same.
fn learn_calls(scale: Scale) -> anyhow::Result<String> {
    let mut node = Service::start(&["serve-node".to_owned()])?;
    node.tell("record")?;
    let options = Options {
        client: Client::Haltwatch,
        port: node.greeting.parse()?,
        nodes: 10,
        warm_ms: 1000,
        measured_ms: scale.pick(8000, 3000),
        calls: question::DEFAULT.to_owned(),
    };
    process::ask::<Sample>(&options.arguments())?;
    let calls = node.tell("calls")?;
    Ok(if calls.is_empty() { question::DEFAULT.to_owned() } else { calls })
}

fn measure(case: Case, calls: &str, scale: Scale) -> anyhow::Result<Sample> {
    let mut node = Service::start(&["serve-node".to_owned(), format!("--transactions={}", case.transactions)])?;
    let options = Options {
        client: case.client,
        port: node.greeting.parse()?,
        nodes: case.nodes,
        // Long enough for every node to be dialed and polled a few times.
        warm_ms: scale.pick(5000, 1500),
        measured_ms: scale.pick(8000, 1000),
        calls: calls.to_owned(),
    };
    let sample: Sample = process::ask(&options.arguments())?;
    let count: Count = serde_json::from_str(&node.tell("count")?)?;
    let busy = Duration::from_micros(u64::try_from(count.cpu_micros)?).as_secs_f64()
        / Duration::from_millis(options.warm_ms + options.measured_ms).as_secs_f64();
    Ok(Sample { server_busy: busy, ..sample })
}

impl Measured {
    fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(of))
    }

    fn name(&self) -> String {
        let Case { client, nodes, transactions } = self.case;
        let blocks = if transactions == 0 { String::new() } else { format!(", {transactions} txs") };
        format!("{} {nodes} nodes{blocks}", client.shown())
    }
}

fn note(one: &Measured, report: &mut Report) {
    let name = one.name();
    report.figure("poll", format!("{name}: CPU"), one.median(|s| s.cpu_micros), "us/poll");
    report.figure("poll", format!("{name}: memory"), one.median(|s| s.resident as f64) / 1e6, "MB");
    if one.case.client != Client::Daemon {
        report.figure("poll", format!("{name}: p50 reply"), one.median(|s| f64::from(s.p50_micros)), "us");
        report.figure("poll", format!("{name}: p99 reply"), one.median(|s| f64::from(s.p99_micros)), "us");
    }
    report.figure("poll", format!("{name}: polls"), one.median(|s| s.polls_per_second), "/s");
    report.figure("poll", format!("{name}: errors"), one.median(|s| s.errors as f64), "");
    report.figure("poll", format!("{name}: server busy"), one.median(|s| s.server_busy), "cores");
}

fn ratios(measured: &[Measured], sizes: &Sizes, report: &mut Report) {
    let find = |client, nodes, transactions| {
        let wanted = Case { client, nodes, transactions };
        measured.iter().find(|one| one.case == wanted).expect("every case was measured")
    };
    let cpu = |client, nodes| find(client, nodes, 0).median(|s| s.cpu_micros);
    let resident = |client, nodes, transactions| find(client, nodes, transactions).median(|s| s.resident as f64);
    let (large, small) = (sizes.large, sizes.small);
    let ours = cpu(Client::Haltwatch, large);
    let mut ratio = |name: String, value: f64, goal: Option<Goal>| match goal {
        Some(goal) => report.goal("poll", name, (value, "x"), goal),
        None => report.figure("poll", name, value, "x"),
    };
    ratio(format!("CPU haltwatch / hyper, {large}"), ours / cpu(Client::Hyper, large), Some(Goal::AtMost(1.1)));
    ratio(
        format!("CPU haltwatch / jsonrpsee, {large}"),
        ours / cpu(Client::Jsonrpsee, large),
        Some(Goal::AtMost(0.65)),
    );
    ratio(format!("CPU pollers only / hyper, {large}"), cpu(Client::Pollers, large) / cpu(Client::Hyper, large), None);
    ratio(
        format!("CPU haltwatch daemon / hyper, {large}"),
        cpu(Client::Daemon, large) / cpu(Client::Hyper, large),
        None,
    );
    ratio(format!("CPU haltwatch / hyper ticked, {large}"), ours / cpu(Client::HyperTicked, large), None);
    let ours_small = cpu(Client::Haltwatch, small);
    // The pollers cannot be told to wake for each node, so the timer a node is that of hyper.
    ratio(
        format!("CPU haltwatch (ticks) / hyper (timer a node), {small}"),
        ours_small / cpu(Client::Hyper, small),
        Some(Goal::AtMost(0.5)),
    );
    ratio(
        format!("CPU hyper ticked / hyper, {small}"),
        cpu(Client::HyperTicked, small) / cpu(Client::Hyper, small),
        None,
    );
    ratio(format!("CPU per poll {small} / {large}, haltwatch"), ours_small / ours, None);
    for client in Client::ALL {
        let slope = (resident(client, large, 0) - resident(client, small, 0)) / (large - small) as f64 / 1000.0;
        let name = format!("memory per added node, {}", client.shown());
        match client {
            Client::Haltwatch => report.goal("poll", name, (slope, "kB"), Goal::AtMost(24.0)),
            _ => report.figure("poll", name, slope, "kB"),
        }
    }
    for client in [Client::Haltwatch, Client::Hyper] {
        let grown = resident(client, large, sizes.transactions) - resident(client, large, 0);
        let name = format!("memory added per node by {} tx hashes, {}", sizes.transactions, client.shown());
        report.figure("poll", name, grown / large as f64 / 1000.0, "kB");
    }
}
