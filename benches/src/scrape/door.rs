//! A thousand scrapes at once through the real HTTP server, which runs in a process of its own.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use arc_swap::ArcSwap;
use haltwatch::{
    output::{
        http::{Settings, Shared, bind},
        own::OwnMetrics,
    },
    supervisor::{PanicCounter, Supervisor},
};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};

use super::picture;
use crate::{Scale, process, process::Service, report::Goal, report::Report, report::median};

/// A scrape that takes longer counts as failed: the default of Prometheus.
const PATIENCE: Duration = Duration::from_secs(10);

/// Files that are open beside the connections.
const OTHER_FILES: u64 = 64;

/// How the server is started.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Nodes in the snapshot it serves.
    #[arg(long)]
    nodes: usize,
    /// Open connections at the most.
    #[arg(long)]
    connections: usize,
}

/// How a storm went.
struct Storm {
    good: usize,
    millis: Vec<f64>,
    bytes: usize,
}

/// Lets a thousand scrapes fall on the server at once, several times, plain and compressed.
pub fn run(scale: Scale, report: &mut Report) -> anyhow::Result<()> {
    let (scrapes, nodes) = scale.pick((1000, 200), (50, 20));
    process::raise_file_limit(scrapes as u64 + OTHER_FILES)?;
    let arguments = ["serve-metrics".to_owned(), format!("--nodes={nodes}"), format!("--connections={}", scrapes + 1)];
    let server = Service::start(&arguments)?;
    let address: SocketAddr = server.greeting.parse().context("the server says where it listens")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for encoding in ["identity", "gzip"] {
        let mut slowest = Vec::new();
        let (mut good, mut bytes) = (usize::MAX, 0);
        for _ in 0..scale.repetitions {
            let storm = runtime.block_on(storm(address, scrapes, encoding));
            good = good.min(storm.good);
            bytes = storm.bytes;
            slowest.push(quantile(storm.millis, 99));
        }
        let name = format!("{scrapes} scrapes at once, {encoding}, {:.2} MB each", bytes as f64 / 1e6);
        let all = Goal::AtLeast(scrapes as f64);
        report.goal("scrape", format!("{name}: answered 200 within 10 s"), (good as f64, ""), all);
        report.figure("scrape", format!("{name}: p99"), median(slowest), "ms");
    }
    Ok(())
}

async fn storm(server: SocketAddr, scrapes: usize, encoding: &'static str) -> Storm {
    let mut tasks = JoinSet::new();
    for _ in 0..scrapes {
        tasks.spawn(async move {
            let began = Instant::now();
            let scraped = tokio::time::timeout(PATIENCE, scrape(server, encoding)).await;
            (scraped.ok().and_then(Result::ok), began.elapsed())
        });
    }
    let mut storm = Storm { good: 0, millis: Vec::new(), bytes: 0 };
    for (scraped, elapsed) in tasks.join_all().await {
        storm.millis.push(elapsed.as_secs_f64() * 1000.0);
        if let Some(bytes) = scraped {
            storm.good += 1;
            storm.bytes = bytes;
        }
    }
    storm
}

/// One scrape on a connection of its own; the size of what came.
async fn scrape(server: SocketAddr, encoding: &'static str) -> anyhow::Result<usize> {
    let stream = TcpStream::connect(server).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = http::Request::get("/metrics")
        .header(http::header::HOST, server.to_string())
        .header(http::header::ACCEPT_ENCODING, encoding)
        .body(Empty::<bytes::Bytes>::new())?;
    let reply = sender.send_request(request).await?;
    anyhow::ensure!(reply.status() == http::StatusCode::OK, "{}", reply.status());
    Ok(reply.into_body().collect().await?.to_bytes().len())
}

fn quantile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * percent / 100).copied().unwrap_or_default()
}

/// Serves until the standard input ends. Prints where it listens.
pub fn serve(options: &Options) -> anyhow::Result<()> {
    process::raise_file_limit(options.connections as u64 + OTHER_FILES)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let settings = Settings {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            lifecycle: false,
            max_connections: options.connections,
            ..Settings::default()
        };
        let server = bind(&settings)?;
        let (reload, _) = mpsc::channel(1);
        let snapshot = Arc::new(ArcSwap::from_pointee(Some(picture(options.nodes))));
        let (probe, _) = mpsc::channel(1);
        let shared = Shared {
            snapshot,
            own: OwnMetrics::new(),
            reload,
            probe,
            silences: mpsc::channel(1).0,
            runbooks: Arc::default(),
        };
        let addresses = server.addresses();
        let mut supervisor = Supervisor::default();
        let shutdown = supervisor.shutdown();
        supervisor.spawn_essential("http", PanicCounter::default(), server.run(shared, shutdown));
        println!("{}", addresses.first().context("it listens nowhere")?);
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
        anyhow::Ok(())
    })?;
    std::process::exit(0);
}
