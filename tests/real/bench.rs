//! What a scenario works with: the installed programs, folders for logs and data, and the validators, which are started
//! once and lent to one scenario after the other, each time whole.

use std::{
    fs,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, anyhow};

use crate::{
    alertmanager::Alertmanager,
    anvil::Anvil,
    bitcoind::Bitcoind,
    haltwatch::{Config, Haltwatch},
    harness::port,
    injective::Injective,
    install::{Installer, Tools},
    monerod::Monerod,
    prometheus::Prometheus,
    scenarios::{Run, Scenario},
};

/// Everything the scenarios share.
#[derive(Debug)]
pub struct Bench {
    /// The programs.
    pub tools: Tools,
    root: PathBuf,
    place: &'static str,
    scenario: &'static str,
    injective: Option<Injective>,
}

impl Bench {
    /// A bench on which nothing runs yet. What its programs keep lies in a `place` of its own, for another may be in use
    /// beside it.
    pub fn new(tools: Tools, root: PathBuf, place: &'static str) -> Self {
        Self { tools, root, place, scenario: "none", injective: None }
    }

    /// Runs one scenario, prints its line and returns whether it passed.
    pub fn run(&mut self, scenario: &Scenario) -> bool {
        let begin = Instant::now();
        self.scenario = scenario.name;
        let outcome = match catch_unwind(AssertUnwindSafe(|| self.play(scenario))) {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow!("panicked")),
        };
        let seconds = begin.elapsed().as_secs_f32();
        match &outcome {
            Ok(measured) => println!("PASS {} ({seconds:.1} s)\n     {measured}", scenario.name),
            Err(error) => println!(
                "FAIL {} ({seconds:.1} s)\n     {error:#}\n     logs: {}",
                scenario.name,
                self.logs().display()
            ),
        }
        outcome.is_ok()
    }

    fn play(&mut self, scenario: &Scenario) -> Result<String> {
        let logs = self.logs();
        if logs.exists() {
            fs::remove_dir_all(&logs)?;
        }
        fs::create_dir_all(&logs)?;
        match scenario.run {
            Run::Alone(run) => run(self),
            Run::WithValidators(run) => {
                // Taken out and put back, so that a scenario can use both. One that panics loses it: it starts anew.
                let mut validators = self.whole_network()?;
                let outcome = run(self, &mut validators);
                self.injective = Some(validators);
                outcome
            }
        }
    }

    fn whole_network(&mut self) -> Result<Injective> {
        if let Some(mut network) = self.injective.take()
            && network.heal().is_ok()
        {
            return Ok(network);
        }
        let folder = self.folder("injective");
        Injective::start(&self.tools, &self.root, &folder, &self.root.join("logs/injective")).context("the validators")
    }

    /// Four validators of the scenario's own, whose chain it may spoil.
    pub fn own_validators(&self) -> Result<Injective> {
        Injective::start(&self.tools, &self.root, &self.folder("own-validators"), &self.logs())
    }

    fn logs(&self) -> PathBuf {
        self.root.join("logs").join(self.scenario)
    }

    /// The folder that keeps everything between runs.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The log file of `program` in this scenario.
    pub fn log(&self, program: &str) -> PathBuf {
        self.logs().join(format!("{program}.log"))
    }

    /// A folder for the data of `program` in this scenario.
    pub fn folder(&self, program: &str) -> PathBuf {
        self.root.join("run").join(self.place).join(program)
    }

    /// A new Alertmanager.
    pub fn alertmanager(&self) -> Result<Alertmanager> {
        Alertmanager::start(&self.tools, &self.folder("alertmanager"), &self.log("alertmanager"))
    }

    /// A new Alertmanager with the configuration that `config` makes for its folder.
    pub fn alertmanager_with(&self, config: impl FnOnce(&Path) -> Result<String>) -> Result<Alertmanager> {
        Alertmanager::start_with(&self.tools, &self.folder("alertmanager"), &self.log("alertmanager"), config)
    }

    /// A new Prometheus with one job for each of `targets`.
    pub fn prometheus(&self, targets: &[(&str, SocketAddr)]) -> Result<Prometheus> {
        Prometheus::start(&self.tools, targets, &self.folder("prometheus"), &self.log("prometheus"))
    }

    /// A new Prometheus with this configuration.
    pub fn prometheus_with(&self, config: &str) -> Result<Prometheus> {
        Prometheus::start_with(&self.tools, config, &self.folder("prometheus"), &self.log("prometheus"))
    }

    /// A new Anvil on a free port of 127.0.0.1.
    pub fn anvil(&self, name: &str, chain_id: u64) -> Result<Anvil> {
        self.anvil_on(name, port::free(), chain_id)
    }

    /// A new Anvil at `address`.
    pub fn anvil_on(&self, name: &str, address: SocketAddr, chain_id: u64) -> Result<Anvil> {
        Anvil::start(&self.tools, address, chain_id, 0, &self.log(name))
    }

    /// A new Anvil whose first block has the number `genesis`.
    pub fn anvil_from(&self, name: &str, chain_id: u64, genesis: u64) -> Result<Anvil> {
        Anvil::start(&self.tools, port::free(), chain_id, genesis, &self.log(name))
    }

    /// A new Anvil on a free port of 127.0.0.1, told by `arguments` when to make blocks.
    pub fn anvil_with(&self, name: &str, chain_id: u64, arguments: &[&str]) -> Result<Anvil> {
        Anvil::start_with(&self.tools, port::free(), chain_id, arguments, &self.log(name))
    }

    /// A new node of a proof-of-work chain, with an empty chain.
    pub fn bitcoind(&self, name: &str) -> Result<Bitcoind> {
        Bitcoind::start(&self.tools, &self.folder("bitcoind").join(name), &self.log(name))
    }

    /// Two new nodes of Monero with empty chains, peers of each other.
    pub fn monero(&self) -> Result<[Monerod; 2]> {
        let program = Installer::at(&self.root).monero()?;
        Monerod::pair(&program, &self.folder("monero"), |name| self.log(name))
    }

    /// A new haltwatch with this configuration, that knows nothing from before.
    pub fn haltwatch(&self, config: &Config) -> Result<Haltwatch> {
        Haltwatch::start(config, &self.log("haltwatch"))
    }
}
