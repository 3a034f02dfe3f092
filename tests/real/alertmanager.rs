//! A real Alertmanager that takes alerts and sends them nowhere.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    harness::{http, namespace, port, process, process::Process},
    install::Tools,
};

const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = "route:\n  receiver: nobody\n  group_wait: 0s\nreceivers:\n  - name: nobody\n";

/// Below `/usr/share`: where Debian's build looks for its templates.
const TEMPLATES: &str = "prometheus/alertmanager/default.tmpl";

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    /// Where it answers.
    pub address: SocketAddr,
    tools: Tools,
    process: Process,
}

/// An alert as it lists it: only those that are active.
#[derive(Debug, Clone, Deserialize)]
pub struct Listed {
    /// Its identity.
    pub labels: BTreeMap<String, String>,
    /// When it began.
    #[serde(rename = "startsAt")]
    pub starts_at: String,
    /// When it was last told of it.
    #[serde(rename = "updatedAt")]
    pub updated_at: String,
    /// What makes it the same alert to Alertmanager.
    pub fingerprint: String,
}

impl Listed {
    /// The value of a label, empty if it has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl Alertmanager {
    /// Starts one with nothing in it, in `folder`.
    pub fn start(tools: &Tools, folder: &Path, log: &Path) -> Result<Self> {
        Self::start_with(tools, folder, log, |_| Ok(CONFIG.to_owned()))
    }

    /// Starts one with the configuration that `config` makes for `folder`.
    pub fn start_with(
        tools: &Tools,
        folder: &Path,
        log: &Path,
        config: impl FnOnce(&Path) -> Result<String>,
    ) -> Result<Self> {
        let address = port::free();
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let text = config(folder)?;
        let config = folder.join("alertmanager.yml");
        fs::write(&config, text)?;
        let mut command = command(&tools.alertmanager);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", folder.join("data").display()));
        // Without the empty cluster address it would listen on every interface.
        command.args([
            format!("--web.listen-address={address}").as_str(),
            "--cluster.listen-address=",
            "--log.level=debug",
        ]);
        let mut process = Process::start(&mut command, log)?;
        process.ready(PATIENCE, || http::get(address, "/-/ready", &[])?.ok())?;
        Ok(Self { address, tools: tools.clone(), process })
    }

    /// All alerts with their status, muted ones included, as it lists them.
    pub fn with_inhibited(&self) -> Result<Vec<serde_json::Value>> {
        let list = http::get_json(self.address, "/api/v2/alerts?inhibited=true")?;
        serde_json::from_value(list).context("the list of Alertmanager")
    }

    /// Pushes `alerts` as a monitor does.
    pub fn push(&self, alerts: &serde_json::Value) -> Result<()> {
        http::post(self.address, "/api/v2/alerts", alerts)?.ok().map(drop)
    }

    /// Adds an alert by hand: its name, then its labels.
    pub fn amtool_add(&self, words: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.tools.amtool);
        command.arg(format!("--alertmanager.url=http://{}", self.address)).args(["alert", "add"]).args(words);
        process::output(&mut command, &self.process.log().with_extension("amtool.log"), PATIENCE).map(drop)
    }

    /// The active alerts.
    pub fn alerts(&self) -> Result<Vec<Listed>> {
        let list = http::get_json(self.address, "/api/v2/alerts")?;
        serde_json::from_value(list).context("the list of Alertmanager")
    }

    /// The active alerts called `name`.
    pub fn named(&self, name: &str) -> Result<Vec<Listed>> {
        Ok(self.alerts()?.into_iter().filter(|alert| alert.label("alertname") == name).collect())
    }

    /// The names of all active alerts, as its own command line client tells them.
    pub fn amtool_query(&self) -> Result<Vec<String>> {
        let mut command = Command::new(&self.tools.amtool);
        command.arg(format!("--alertmanager.url=http://{}", self.address)).args(["alert", "query", "-o", "json"]);
        let log = self.process.log().with_extension("amtool.log");
        let text = process::output(&mut command, &log, PATIENCE)?;
        let list: Vec<Listed> = serde_json::from_str(&text).context("the list of amtool")?;
        Ok(list.iter().map(|alert| alert.label("alertname").to_owned()).collect())
    }
}

/// Debian's package is unpacked and not installed where the machine has none: its files lie beside the program then.
fn command(program: &Path) -> Command {
    let unpacked = program.parent().and_then(Path::parent).map(|usr| usr.join("share"));
    let lacking = !Path::new("/usr/share").join(TEMPLATES).exists();
    match unpacked.filter(|share| lacking && share.join(TEMPLATES).exists()) {
        Some(share) => namespace::with_share(&share, program),
        None => Command::new(program),
    }
}
