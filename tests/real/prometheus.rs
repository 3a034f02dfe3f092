//! A real Prometheus that scrapes haltwatch every second.

use std::{collections::BTreeMap, fmt::Write, fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    harness::{http, port, process::Process},
    install::Tools,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    process: Process,
}

impl Prometheus {
    /// Starts one in `folder` with one job for each of `targets`.
    pub fn start(tools: &Tools, targets: &[(&str, SocketAddr)], folder: &Path, log: &Path) -> Result<Self> {
        Self::configured(tools, &config(targets)?, folder, log)
    }

    /// Starts one in `folder` with this configuration.
    pub fn configured(tools: &Tools, config: &str, folder: &Path, log: &Path) -> Result<Self> {
        let address = port::free();
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let file = folder.join("prometheus.yml");
        fs::write(&file, config)?;
        let mut command = Command::new(&tools.prometheus);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.args([format!("--web.listen-address={address}").as_str(), "--log.level=debug"]);
        let mut process = Process::start(&mut command, log)?;
        process.ready(PATIENCE, || http::get(address, "/-/ready", &[])?.ok())?;
        Ok(Self { address, process })
    }

    /// Its active targets by job: health and last error.
    pub fn targets(&self) -> Result<BTreeMap<String, (String, String)>> {
        let answer = http::get_json(self.address, "/api/v1/targets?state=active")?;
        let targets = answer["data"]["activeTargets"].as_array().context("no targets")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let entry = |t: &Value| (text(&t["labels"]["job"]), (text(&t["health"]), text(&t["lastError"])));
        Ok(targets.iter().map(entry).collect())
    }

    /// An instant query: labels and value of each series.
    pub fn query(&self, query: &str) -> Result<Vec<(BTreeMap<String, String>, f64)>> {
        let answer = http::get_json(self.address, &format!("/api/v1/query?query={}", encode(query)))?;
        let result = answer["data"]["result"].as_array().context("no result")?;
        result.iter().map(series).collect()
    }

    /// The lines of its log that warn or complain.
    pub fn complaints(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(self.process.log())?;
        let loud = |line: &&str| {
            ["level=warn", "level=error", "out of order", "duplicate", "append failed"].iter().any(|w| line.contains(w))
        };
        Ok(log.lines().filter(loud).map(str::to_owned).collect())
    }
}

fn series(result: &Value) -> Result<(BTreeMap<String, String>, f64)> {
    let labels = serde_json::from_value(result["metric"].clone())?;
    let value = result["value"][1].as_str().context("no value")?.parse()?;
    Ok((labels, value))
}

fn config(targets: &[(&str, SocketAddr)]) -> Result<String> {
    let mut config = "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n".to_owned();
    for (job, target) in targets {
        writeln!(config, "  - job_name: {job}\n    static_configs:\n      - targets: ['{target}']")?;
    }
    Ok(config)
}

fn encode(query: &str) -> String {
    query.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
