//! The metrics in front of a real Prometheus and its linter, in both formats.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{DEVNET, DEVNET_CHAIN_ID};
use crate::{
    bench::Bench,
    haltwatch::{Config, Haltwatch, Node},
    harness::{
        http,
        metrics::{Scrape, whole},
        process, wait,
    },
    prometheus::Prometheus,
    scripted::{Manners, Scripted},
};

/// What Prometheus 2.42 asks for.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// The jobs: one scrapes haltwatch itself and negotiates `OpenMetrics`, the other goes through a server that asks for
/// plain text.
const JOBS: [&str; 2] = ["negotiated", "text"];

/// Both targets are up without an error or a warning, hold the same series, and the values are the node's.
pub fn a_real_prometheus_takes_every_scrape_without_complaint(bench: &Bench) -> Result<String> {
    let anvil = bench.anvil("anvil", DEVNET_CHAIN_ID)?;
    let dead = crate::harness::port::free();
    let nodes = [Node::rpc("plain", anvil.address), Node::rpc("dead", dead)];
    let daemon = bench.haltwatch(&Config::default().network(DEVNET, Some(DEVNET_CHAIN_ID), "", &nodes))?;
    wait::pass(Duration::from_secs(3));
    linter_is_silent(bench, &daemon)?;
    let size = formats_agree(&daemon)?;
    let text = Scripted::start(daemon.address, Manners::TextOnly)?;
    let prometheus = bench.prometheus(&[(JOBS[0], daemon.address), (JOBS[1], text.address())])?;
    wait::eventually("both targets are scraped three times", Duration::from_secs(20), || {
        let scrapes = prometheus.query("min(count_over_time(up[1m]))")?;
        Ok(scrapes.first().is_some_and(|(_, count)| 3.0 <= *count).then_some(()))
    })?;
    let targets = prometheus.targets()?;
    ensure!(
        targets.len() == 2 && targets.values().all(|(health, error)| health == "up" && error.is_empty()),
        "{targets:?}"
    );
    let samples = same_series(&prometheus)?;
    let shown = prometheus.query("haltwatch_node_height{node=\"plain\",job=\"negotiated\"}")?;
    let (now, shown) = (crate::harness::watcher::height(anvil.address)?, whole(shown.first().context("no height")?.1)?);
    ensure!(now.abs_diff(shown) <= 3, "Prometheus has height {shown}, the node is at {now}");
    let complaints = prometheus.complaints()?;
    ensure!(complaints.is_empty(), "Prometheus complains: {complaints:?}");
    Ok(format!("promtool silent; both targets up, {samples} series each, no warning; {size}"))
}

fn linter_is_silent(bench: &Bench, daemon: &Haltwatch) -> Result<()> {
    let file = bench.log("scrape").with_extension("txt");
    fs::write(&file, http::get(daemon.address, "/metrics", &[])?.ok()?.body)?;
    let shell = "exec \"$0\" check metrics < \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", shell]).arg(&bench.tools.promtool).arg(&file);
    let said = process::output(&mut command, &bench.log("promtool"), Duration::from_secs(20))?;
    ensure!(said.is_empty(), "promtool says: {said}");
    Ok(())
}

/// Text, `OpenMetrics` and gzip are negotiated and carry the same series.
fn formats_agree(daemon: &Haltwatch) -> Result<String> {
    let text = http::get(daemon.address, "/metrics", &[])?.ok()?;
    let open = http::get(daemon.address, "/metrics", &[("accept", ACCEPT)])?.ok()?;
    let kind = |answer: &http::Answer| answer.header("content-type").unwrap_or_default().to_owned();
    ensure!(kind(&text).starts_with("text/plain; version=0.0.4"), "the default is {}", kind(&text));
    ensure!(kind(&open).starts_with("application/openmetrics-text; version=1.0.0"), "{} is negotiated", kind(&open));
    ensure!(open.text()?.ends_with("# EOF\n"), "OpenMetrics without its end");
    let zipped = http::get(daemon.address, "/metrics", &[("accept-encoding", "gzip")])?.ok()?;
    ensure!(zipped.header("content-encoding") == Some("gzip"), "gzip is refused");
    let mut unzipped = String::new();
    flate2::read::GzDecoder::new(&zipped.body[..]).read_to_string(&mut unzipped)?;
    let wanted = names(&Scrape::parse(text.text()?)?);
    ensure!(wanted == names(&Scrape::parse(open.text()?)?), "OpenMetrics has other series than text");
    ensure!(wanted == names(&Scrape::parse(&unzipped)?), "gzip has other series than text");
    Ok(format!("{} bytes of text, {} zipped", text.body.len(), zipped.body.len()))
}

fn names(scrape: &Scrape) -> BTreeSet<(String, BTreeMap<String, String>)> {
    scrape.0.iter().map(|sample| (sample.name.clone(), sample.labels.clone())).collect()
}

/// Both jobs have the same series; returns how many.
fn same_series(prometheus: &Prometheus) -> Result<usize> {
    let series = |job: &str| -> Result<BTreeSet<BTreeMap<String, String>>> {
        let found = prometheus.query(&format!("{{job=\"{job}\",__name__=~\"haltwatch_.+|process_.+\"}}"))?;
        Ok(found.into_iter().map(|(labels, _)| strip(labels)).collect())
    };
    let (negotiated, text) = (series(JOBS[0])?, series(JOBS[1])?);
    let odd: Vec<_> = negotiated.symmetric_difference(&text).take(5).collect();
    ensure!(odd.is_empty(), "not in both: {odd:?}");
    for (labels, stored) in prometheus.query("scrape_samples_post_metric_relabeling")? {
        let (stored, wanted) = (whole(stored)?, text.len() as u64);
        ensure!(stored.abs_diff(wanted) <= 2, "{labels:?}: {stored} samples stored, {wanted} series known");
    }
    Ok(text.len())
}

fn strip(mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.remove("job");
    labels.remove("instance");
    labels
}
