//! The daemon under test: a real process with a real configuration file, asked over HTTP as its users ask it.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;

use crate::harness::{
    http,
    metrics::Scrape,
    port,
    process::{self, Process},
    wait,
};

/// Time between two polls of a node in every scenario.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The gap after which blocks count as missing in every scenario: ten blocks of one second.
pub const THRESHOLD: Duration = Duration::from_secs(10);

/// What is granted beyond the threshold and one poll.
pub const GRACE: Duration = Duration::from_millis(200);

/// Time between two looks at the daemon where its speed is measured.
const GLANCE: Duration = Duration::from_millis(10);

const PATIENCE: Duration = Duration::from_secs(20);

/// The configuration of one run.
#[derive(Debug, Default)]
pub struct Config {
    monitor: String,
    web: String,
    rest: String,
}

/// A node as the configuration names it.
#[derive(Debug)]
pub struct Node<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it answers.
    pub rpc: SocketAddr,
    /// Its role.
    pub role: &'a str,
    /// More keys, one a line.
    pub more: String,
}

impl<'a> Node<'a> {
    /// A validator.
    pub fn validator(name: &'a str, rpc: SocketAddr) -> Self {
        Self { name, rpc, role: "validator", more: String::new() }
    }

    /// A node that only serves requests.
    pub fn rpc(name: &'a str, rpc: SocketAddr) -> Self {
        Self { name, rpc, role: "rpc", more: String::new() }
    }

    /// The same with more keys.
    pub fn with(self, more: &str) -> Self {
        Self { more: more.to_owned(), ..self }
    }
}

impl Config {
    /// Pushes alerts to `address`.
    pub fn alertmanager(mut self, address: SocketAddr) -> Self {
        // Writing into a string cannot fail; so below.
        let _ = write!(self.rest, "\n[alertmanager]\nurls = [\"http://{address}\"]\n");
        self
    }

    /// More keys for `[monitor]`.
    pub fn monitor(mut self, keys: &str) -> Self {
        self.monitor.push_str(keys);
        self.monitor.push('\n');
        self
    }

    /// Any section of its own.
    pub fn section(mut self, text: &str) -> Self {
        let _ = write!(self.rest, "\n{text}\n");
        self
    }

    /// A source of nodes.
    pub fn discovery(mut self, keys: &str) -> Self {
        let _ = write!(self.rest, "\n[[discovery]]\n{keys}\n");
        self
    }

    /// More keys for `[web]`.
    pub fn web(mut self, keys: &str) -> Self {
        self.web.push_str(keys);
        self.web.push('\n');
        self
    }

    /// A network whose blocks come every second, with `keys` of its own.
    pub fn network(self, name: &str, chain_id: Option<u64>, keys: &str, nodes: &[Node<'_>]) -> Self {
        let chain_id = chain_id.map_or_else(String::new, |id| format!("chain_id = {id}\n"));
        let keys = format!(
            "family = \"evm\"\n{chain_id}block_time = \"1s\"\nmissing_blocks = 10\nhalt_floor = \"10s\"\n{keys}"
        );
        self.chain(name, &keys, nodes)
    }

    /// A network with nothing but these `keys`.
    pub fn chain(mut self, name: &str, keys: &str, nodes: &[Node<'_>]) -> Self {
        let _ = write!(self.rest, "\n[[network]]\nname = \"{name}\"\n{keys}\n");
        for node in nodes {
            let _ = write!(
                self.rest,
                "\n[[network.node]]\nname = \"{}\"\nurl = \"http://{}\"\nrole = \"{}\"\n{}\n",
                node.name, node.rpc, node.role, node.more
            );
        }
        self
    }

    /// The whole text, for a daemon that listens on `listen`.
    pub fn text(&self, listen: SocketAddr) -> String {
        format!(
            "[monitor]\nname = \"real\"\n{}\n[web]\nlisten = [\"{listen}\"]\n{}\n[defaults]\ninterval = \"{}ms\"\n\
             timeout = \"3s\"\noffline_after = \"12s\"\nflap_window = \"1s\"\n{}",
            self.monitor,
            self.web,
            INTERVAL.as_millis(),
            self.rest
        )
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Haltwatch {
    /// Where it listens.
    pub address: SocketAddr,
    file: PathBuf,
    state: PathBuf,
    process: Process,
}

/// An alert as the API lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Alert {
    /// Its identity.
    pub labels: BTreeMap<String, String>,
    /// Its texts.
    pub annotations: BTreeMap<String, String>,
    /// `pending` or `firing`.
    pub state: String,
    /// When its trouble began.
    #[serde(rename = "activeAt")]
    pub active_at: String,
}

impl Alert {
    /// The value of a label, empty if it has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Whether it fires and no other alert mutes it.
    pub fn is_announced(&self) -> bool {
        self.state == "firing" && !self.annotations.contains_key("muted_by")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.label("alertname")
    }
}

impl Haltwatch {
    /// Starts one and waits until it is ready.
    pub fn start(config: &Config, log: &Path) -> Result<Self> {
        let mut daemon = Self::launch(config, log)?;
        daemon.process.ready(PATIENCE, || http::get(daemon.address, "/-/ready", &[])?.ok())?;
        Ok(daemon)
    }

    /// Starts one and does not wait.
    pub fn launch(config: &Config, log: &Path) -> Result<Self> {
        let address = port::free();
        let file = log.with_extension("toml");
        fs::write(&file, config.text(address))?;
        let state = log.with_extension("state");
        let process = run(&file, &state, log)?;
        Ok(Self { address, file, state, process })
    }

    /// Starts the one that has ended again, with its configuration and with what it has kept, and waits until it is ready.
    pub fn start_again(&mut self) -> Result<()> {
        let log = self.process.log().with_extension("again.log");
        self.process = run(&self.file, &self.state, &log)?;
        let address = self.address;
        self.process.ready(PATIENCE, || http::get(address, "/-/ready", &[])?.ok())?;
        Ok(())
    }

    /// Waits until it says that it listens.
    pub fn listens(&mut self) -> Result<()> {
        let log = self.process.log().to_owned();
        self.process.ready(PATIENCE, || {
            ensure!(fs::read_to_string(&log)?.contains("Listening on"), "it does not listen yet");
            Ok(())
        })
    }

    /// The alerts it lists now, except those called `Watchdog`.
    pub fn alerts(&self) -> Result<Vec<Alert>> {
        let mut alerts = self.all_alerts()?;
        alerts.retain(|alert| alert.name() != "Watchdog");
        Ok(alerts)
    }

    /// When the trouble of the only alert called `name` began, as it lists it.
    pub fn active_at(&self, name: &str) -> Result<String> {
        let mut alerts = self.alerts()?;
        alerts.retain(|alert| alert.name() == name);
        ensure!(alerts.len() == 1, "{}", describe(&alerts));
        Ok(alerts.remove(0).active_at)
    }

    /// The alerts it lists now.
    pub fn all_alerts(&self) -> Result<Vec<Alert>> {
        let mut answer = self.json("/api/v1/alerts")?;
        serde_json::from_value(answer["data"]["alerts"].take()).context("the list of alerts")
    }

    /// Waits until an alert called `name` fires and returns when it was first seen to.
    pub fn fires(&self, name: &str, limit: Duration) -> Result<Instant> {
        self.watch(limit, |alerts| alerts.iter().any(|alert| alert.name() == name && alert.is_announced()))
            .with_context(|| format!("{name} fires"))
    }

    /// Waits until no alert called `name` is listed any more and returns when that was first seen.
    pub fn clears(&self, name: &str, limit: Duration) -> Result<Instant> {
        self.watch(limit, |alerts| alerts.iter().all(|alert| alert.name() != name))
            .with_context(|| format!("{name} clears"))
    }

    fn watch(&self, limit: Duration, mut wanted: impl FnMut(&[Alert]) -> bool) -> Result<Instant> {
        let mut last = Ok(Vec::new());
        wait::until(limit, GLANCE, || {
            last = self.alerts();
            last.as_ref().is_ok_and(|alerts| wanted(alerts)).then(Instant::now)
        })
        .with_context(|| match &last {
            Ok(alerts) => format!("not within {limit:?}; alerts: {}", describe(alerts)),
            Err(error) => format!("not within {limit:?}; last failure: {error:#}"),
        })
    }

    /// Its metrics in the text format.
    pub fn scrape(&self) -> Result<Scrape> {
        Scrape::parse(http::get(self.address, "/metrics", &[])?.ok()?.text()?)
    }

    /// One answer of its API, which must be a success of the Prometheus shape.
    pub fn json(&self, path: &str) -> Result<Value> {
        let answer = http::get_json(self.address, path)?;
        ensure!(answer["status"] == "success", "GET {path}: status {}", answer["status"]);
        Ok(answer)
    }

    /// Its configuration file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Replaces its configuration file in one go; it reads it when it is told to.
    pub fn rewrite(&self, config: &Config) -> Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, config.text(self.address))?;
        fs::rename(&new, &self.file).context("replacing the configuration")
    }

    /// Asks it to read its configuration again.
    pub fn hang_up(&self) -> Result<()> {
        self.process.signal(Signal::HUP)
    }

    /// How many descriptors it holds open.
    pub fn open_files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.process.pid()))?.count())
    }

    /// How many threads it has.
    pub fn threads(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/task", self.process.pid()))?.count())
    }

    /// The memory it holds now, in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        line.trim().trim_end_matches(" kB").parse().with_context(|| format!("VmRSS:{line}"))
    }

    /// Ends it as a machine does that runs out of memory.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Asks it to end, as systemd does, and returns how and how fast it did.
    pub fn terminate(&mut self, limit: Duration) -> Result<(ExitStatus, Duration)> {
        let begin = Instant::now();
        self.process.signal(Signal::TERM)?;
        let status = self.process.exit_within(limit)?.with_context(|| format!("still running after {limit:?}"))?;
        Ok((status, begin.elapsed()))
    }
}

fn run(file: &Path, state: &Path, log: &Path) -> Result<Process> {
    let mut command = command(file);
    command.env("STATE_DIRECTORY", state);
    Process::start(&mut command, log)
}

/// Runs the daemon with the file `config`, which it is expected to refuse; returns its exit code and all it said.
pub fn refuse(config: &Path, log: &Path) -> Result<(Option<i32>, String)> {
    let mut process = Process::start(&mut command(config), log)?;
    let status = process.exit_within(PATIENCE)?.context("it runs with this configuration")?;
    Ok((status.code(), fs::read_to_string(log)?))
}

/// The tail of a log, for the text of a failure.
pub fn said(log: &Path) -> String {
    process::tail(log)
}

/// The binary under test: `HALTWATCH_BIN`, counted from the root of the project, or the one built with this suite.
pub fn binary() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    env::var_os("HALTWATCH_BIN").map_or_else(|| env!("CARGO_BIN_EXE_haltwatch").into(), |given| root.join(given))
}

fn command(config: &Path) -> Command {
    let mut command = Command::new(binary());
    command.arg("run").arg(format!("--config.file={}", config.display()));
    command
}

/// Names, states and subjects of alerts in one line.
pub fn describe(alerts: &[Alert]) -> String {
    let muted = |a: &Alert| a.annotations.get("muted_by").map(|by| format!(" (muted by {by})")).unwrap_or_default();
    let one = |a: &Alert| format!("{} {} {}/{}{}", a.name(), a.state, a.label("network"), a.label("node"), muted(a));
    alerts.iter().map(one).collect::<Vec<_>>().join("; ")
}
