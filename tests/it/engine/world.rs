//! A small world to watch: chains that make blocks, nodes that tell about them, and a monitor that polls and steps
//! exactly when the engine asks for it. What a node says is a function of the moment, so every fault is one closure.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    engine::{
        Engine,
        settings::{
            Cadence, CanarySettings, FaultTolerance, NetworkLimits, NetworkSettings, NodeLimits, NodeSettings, Settings,
        },
        snapshot::{Alert, AlertKey, Effect, Outcome, Snapshot, Subject},
    },
    model::{
        AlertName, BlockHash, CanaryIndex, Height, NetworkIndex, NodeIndex, Now, PlannedHalt, Role, Timestamp,
        UnixTime, VantageIndex,
    },
    observation::{CanaryObservation, ErrorKind, Facts, NodeObservation, Notice, Observation, PollError, Syncing},
};

/// Wall time at second 0.
pub const WALL: i64 = 1_795_000_000_000;

/// What a node answers to one poll.
pub type Answer = Result<Facts, ErrorKind>;

/// What there is to know about a chain at the moment of a poll.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Seconds since the start.
    pub second: i64,
    /// The chain's height.
    pub height: u64,
    /// Wall time of its last block.
    pub head_time: UnixTime,
    /// Transactions that wait.
    pub pending: u64,
    /// The chain's name, which is its chain id.
    pub chain: Arc<str>,
}

impl Moment {
    /// What an honest node in sync says.
    pub fn truth(&self) -> Answer {
        self.at(self.height)
    }

    #[expect(clippy::unnecessary_wraps, reason = "an answer like any other")]
    /// What an honest node says that has got as far as `height`.
    pub fn at(&self, height: u64) -> Answer {
        let mut facts = Facts::at_height(Height(height));
        facts.chain_id = Some(Arc::clone(&self.chain));
        facts.head.hash = Some(block(0, height));
        facts.head.parent = Some(block(0, height.saturating_sub(1)));
        facts.head.time = Some(self.head_time);
        facts.pending = Some(self.pending);
        facts.syncing = Syncing::No;
        facts.peers = Some(5);
        Ok(facts)
    }

    /// The truth with something changed.
    pub fn but(&self, change: impl FnOnce(&mut Facts)) -> Answer {
        let mut facts = self.truth()?;
        change(&mut facts);
        Ok(facts)
    }
}

/// The hash of a block on a branch.
pub fn block(branch: u8, height: u64) -> BlockHash {
    let mut hash = [branch; 32];
    hash[..8].copy_from_slice(&height.to_be_bytes());
    BlockHash(hash)
}

struct Chain {
    name: Arc<str>,
    height: u64,
    running: bool,
    block_ms: i64,
    next_block: i64,
    head_ms: i64,
    pending: u64,
}

type Says = Box<dyn Fn(&Moment) -> Answer>;

/// The world.
pub struct World {
    pub engine: Engine,
    pub settings: Settings,
    pub ms: i64,
    /// How far the monitor's wall clock is off.
    pub wall_off: i64,
    /// Steps at least this often, in milliseconds, though nobody asked for it.
    pub restless: i64,
    chains: Vec<Chain>,
    says: Vec<Says>,
    next_poll: Vec<i64>,
    canaries_answer: bool,
    next_probe: i64,
    cut: Vec<bool>,
    /// Where nodes cannot be reached from, and from where they answer slowly: vantage and node.
    pub blocked: Vec<(u16, usize)>,
    pub slow: Vec<(u16, usize)>,
    pub wake_at: Option<Timestamp>,
    effects: Vec<(i64, Effect)>,
    /// What the monitor took in, step by step, if anybody wants to know.
    pub taken: Option<Vec<(Now, Vec<Observation>)>>,
}

/// A network to be: one block a second. Alerts about it may flap: what damps them has stories of its own.
pub fn network(name: &str) -> NetworkSettings {
    NetworkSettings {
        name: name.into(),
        family: "evm".into(),
        chain_id: None,
        genesis: None,
        cadence: Cadence::Interval,
        block_time: Some(Duration::from_secs(1)),
        tolerance: FaultTolerance::Bft,
        core_total: None,
        finality_lag: None,
        planned: Vec::new(),
        limits: NetworkLimits { flap_window: Duration::ZERO, ..NetworkLimits::default() },
        labels: Vec::new(),
        depends_on: Vec::new(),
    }
}

fn node(name: &str, network: u32, core: bool) -> NodeSettings {
    NodeSettings {
        name: name.into(),
        network: NetworkIndex(network),
        role: if core { Role::Validator } else { Role::Rpc },
        core,
        weight: 1,
        labels: Vec::new(),
        metrics: None,
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(2),
        limits: NodeLimits { min_peers: Some(1), ..NodeLimits::default() },
    }
}

/// Settings of networks with their nodes; names in capitals are core nodes.
pub fn settings(networks: &[(NetworkSettings, &str)]) -> Settings {
    let mut settings =
        Settings { isolated_after: Duration::from_secs(60), monitor: "m1".into(), ..Settings::default() };
    for ((network, nodes), index) in networks.iter().zip(0..) {
        settings.networks.push(network.clone());
        for name in nodes.split(' ').filter(|name| !name.is_empty()) {
            settings.nodes.push(node(name, index, name.chars().all(|c| c.is_uppercase() || c.is_numeric())));
        }
    }
    settings
}

pub fn canary(name: &str) -> CanarySettings {
    CanarySettings { vantage: VantageIndex::default(), name: name.into(), interval: Duration::from_secs(5) }
}

impl World {
    /// One network called `main` with these nodes.
    pub fn of(nodes: &str) -> Self {
        Self::new(settings(&[(network("main"), nodes)]))
    }

    /// A world whose chains all run and whose nodes are all honest.
    pub fn new(settings: Settings) -> Self {
        let now = Now { at: Timestamp(0), wall: UnixTime::from_millis(WALL) };
        let chain = |network: &NetworkSettings| Chain {
            name: Arc::clone(&network.name),
            height: 1000,
            running: true,
            block_ms: network.block_time.map_or(1000, |b| i64::try_from(b.as_millis()).unwrap()),
            next_block: 100,
            head_ms: 0,
            pending: 0,
        };
        Self {
            engine: Engine::new(Arc::new(settings.clone()), now),
            ms: 0,
            wall_off: 0,
            restless: i64::MAX,
            chains: settings.networks.iter().map(chain).collect(),
            says: settings.nodes.iter().map(|_| -> Says { Box::new(Moment::truth) }).collect(),
            next_poll: (0..settings.nodes.len()).map(|i| 300 + i64::try_from(i).unwrap() * 370 % 2000).collect(),
            canaries_answer: true,
            next_probe: 50,
            cut: vec![false; settings.vantages.len().max(1)],
            blocked: Vec::new(),
            slow: Vec::new(),
            wake_at: None,
            effects: Vec::new(),
            taken: None,
            settings,
        }
    }

    fn chain(&mut self, name: &str) -> &mut Chain {
        self.chains.iter_mut().find(|chain| &*chain.name == name).unwrap()
    }

    /// The chain makes no more blocks.
    pub fn stop(&mut self, chain: &str) {
        self.chain(chain).running = false;
    }

    /// The chain makes blocks again.
    pub fn go(&mut self, chain: &str) {
        let next = self.ms + 100;
        let chain = self.chain(chain);
        (chain.running, chain.next_block) = (true, next);
    }

    /// The chain makes a block every so many milliseconds from now on.
    pub fn beat(&mut self, chain: &str, block_ms: i64) {
        let next = self.ms + block_ms;
        let chain = self.chain(chain);
        (chain.block_ms, chain.next_block) = (block_ms, next);
    }

    /// From now on every node says this.
    pub fn let_all_say(&mut self, says: impl Fn(&Moment) -> Answer + Copy + 'static) {
        self.says.iter_mut().for_each(|slot| *slot = Box::new(says));
    }

    /// The chain's last block is so many seconds old, and no new one comes.
    pub fn stopped_before(&mut self, chain: &str, seconds: i64) {
        let head = self.ms - seconds * 1000;
        let chain = self.chain(chain);
        (chain.running, chain.head_ms) = (false, head);
    }

    /// The chain goes back by so many blocks.
    pub fn roll_back(&mut self, chain: &str, blocks: u64) {
        self.chain(chain).height -= blocks;
    }

    /// The chain makes its next blocks, and stops after the one at this height.
    pub fn run_up_to(&mut self, chain: &str, height: u64) {
        self.go(chain);
        while self.chain(chain).height < height {
            self.run(1);
        }
        self.stop(chain);
    }

    /// A halt of the first network is announced.
    pub fn announce(&mut self, planned: PlannedHalt) {
        self.step(&[Observation::Notice(Notice { network: NetworkIndex(0), planned })]);
    }

    pub fn height(&self) -> u64 {
        self.chains[0].height
    }

    pub fn pending(&mut self, chain: &str, transactions: u64) {
        self.chain(chain).pending = transactions;
    }

    /// From now on the node says this.
    pub fn let_say(&mut self, node: &str, says: impl Fn(&Moment) -> Answer + 'static) {
        let index = self.node(node);
        self.says[index] = Box::new(says);
    }

    /// From now on every poll of these nodes fails.
    pub fn kill(&mut self, nodes: &str) {
        for node in nodes.split(' ') {
            self.let_say(node, |_| Err(ErrorKind::Refused));
        }
    }

    /// From now on these nodes are honest.
    pub fn revive(&mut self, nodes: &str) {
        for node in nodes.split(' ') {
            self.let_say(node, Moment::truth);
        }
    }

    /// Our own uplink is cut, or mended: every poll and every probe times out.
    pub fn cut(&mut self, cut: bool) {
        self.cut.fill(cut);
    }

    /// The same for one vantage only.
    pub fn cut_from(&mut self, vantage: usize, cut: bool) {
        self.cut[vantage] = cut;
    }

    pub fn canaries_answer(&mut self, answer: bool) {
        self.canaries_answer = answer;
    }

    pub fn node(&self, name: &str) -> usize {
        self.settings.nodes.iter().position(|node| &*node.name == name).unwrap()
    }

    /// The first polls of the nodes are at these milliseconds.
    pub fn first_polls(&mut self, at: &[i64]) {
        self.next_poll = at.to_vec();
    }

    /// Nobody polls this node any more.
    pub fn never_poll(&mut self, name: &str) {
        let index = self.node(name);
        self.next_poll[index] = i64::MAX;
    }

    /// The last node of the world is no longer in the configuration.
    pub fn forget_last_node(&mut self) {
        self.says.pop();
        self.next_poll.pop();
    }

    pub fn now(&self) -> Now {
        Now { at: Timestamp(self.ms), wall: UnixTime::from_millis(WALL + self.ms + self.wall_off) }
    }

    /// Polls and steps for so many seconds.
    pub fn run(&mut self, seconds: i64) {
        self.run_ms(seconds * 1000);
    }

    /// Polls and steps for so many milliseconds.
    pub fn run_ms(&mut self, time: i64) {
        let end = self.ms + time;
        loop {
            let wake = self.wake_at.map_or(i64::MAX, |at| at.0);
            let next = self.next_poll.iter().copied().min().unwrap_or(i64::MAX).min(self.next_probe).min(wake);
            let next = next.min(self.ms.saturating_add(self.restless));
            if end < next {
                break;
            }
            self.ms = next;
            self.make_blocks();
            let mut observations = self.poll_nodes();
            observations.extend(self.probe_canaries());
            self.step(&observations);
        }
        self.ms = end;
        self.make_blocks();
    }

    /// Time passes and nobody runs the monitor.
    pub fn sleep(&mut self, seconds: i64) {
        self.ms += seconds * 1000;
        self.wake_at = self.wake_at.map(|at| at.max(Timestamp(self.ms)));
        for next in &mut self.next_poll {
            *next = (*next).max(self.ms + *next % 400);
        }
        self.next_probe = self.ms;
    }

    fn make_blocks(&mut self) {
        for chain in &mut self.chains {
            while chain.running && chain.next_block <= self.ms {
                (chain.height, chain.head_ms) = (chain.height + 1, chain.next_block);
                chain.next_block += chain.block_ms;
            }
        }
    }

    fn poll_nodes(&mut self) -> Vec<Observation> {
        let mut observations = Vec::new();
        for (i, node) in self.settings.nodes.iter().enumerate() {
            if self.next_poll[i] != self.ms {
                continue;
            }
            self.next_poll[i] += i64::try_from(node.interval.as_millis()).unwrap();
            let chain = &self.chains[node.network.index()];
            let moment = Moment {
                second: self.ms / 1000,
                height: chain.height,
                head_time: UnixTime::from_millis(WALL + chain.head_ms),
                pending: chain.pending,
                chain: Arc::clone(&chain.name),
            };
            for (vantage, cut) in (0..).zip(&self.cut) {
                let lost = *cut || self.blocked.contains(&(vantage, i));
                let answer = if lost { Err(ErrorKind::Timeout) } else { (self.says[i])(&moment) };
                let slow = self.slow.contains(&(vantage, i));
                observations.push(Observation::Node(NodeObservation {
                    node: NodeIndex(u32::try_from(i).unwrap()),
                    vantage: VantageIndex(vantage),
                    at: Timestamp(self.ms),
                    elapsed: Duration::from_millis(if slow { 1500 } else { 20 }),
                    outcome: answer.map(Arc::new).map_err(|kind| PollError::new(kind, "")),
                }));
            }
        }
        observations
    }

    fn probe_canaries(&mut self) -> Vec<Observation> {
        if self.next_probe != self.ms {
            return Vec::new();
        }
        self.next_probe += 5000;
        let probe = |(place, canary): (u32, &CanarySettings)| {
            let reachable = self.canaries_answer && !self.cut[canary.vantage.index()];
            Observation::Canary(CanaryObservation { canary: CanaryIndex(place), at: Timestamp(self.ms), reachable })
        };
        (0..).zip(&self.settings.canaries).map(probe).collect()
    }

    /// One step of the engine at the present moment.
    pub fn step(&mut self, observations: &[Observation]) -> Outcome {
        let outcome = self.engine.step(self.now(), observations);
        let now = self.now();
        self.taken.iter_mut().for_each(|taken| taken.push((now, observations.to_vec())));
        assert!(outcome.wake_at.is_none_or(|at| self.ms < at.0), "woken for the past: a busy loop");
        self.wake_at = outcome.wake_at;
        self.effects.extend(outcome.effects.iter().map(|effect| (self.ms, effect.clone())));
        outcome
    }

    /// Everything announced so far, but the dead man's switch: `30 fire NetworkHalted main`.
    pub fn told(&self) -> Vec<String> {
        let line = |ms: &i64, verb: &str, alert: &Alert| format!("{} {verb} {}", ms / 1000, self.title(alert.key));
        self.effects
            .iter()
            .filter_map(|(ms, effect)| match effect {
                Effect::Fired(alert) if alert.key.name != AlertName::Watchdog => Some(line(ms, "fire", alert)),
                Effect::Raised(alert) => Some(line(ms, "raise", alert)),
                Effect::Resolved(alert) => Some(line(ms, "resolve", alert)),
                _ => None,
            })
            .collect()
    }

    /// The same without times.
    pub fn told_names(&self) -> Vec<String> {
        self.told().iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    /// The first announcement of that name: its millisecond and the alert.
    pub fn fired(&self, name: AlertName) -> Option<(i64, Alert)> {
        self.effects.iter().find_map(|(ms, effect)| match effect {
            Effect::Fired(alert) if alert.key.name == name => Some((*ms, alert.clone())),
            _ => None,
        })
    }

    pub fn effects(&self) -> &[(i64, Effect)] {
        &self.effects
    }

    pub fn title(&self, key: AlertKey) -> String {
        let subject = match key.subject {
            Subject::Monitor => self.settings.monitor.to_string(),
            Subject::Vantage(vantage) => self.settings.vantages[vantage.index()].to_string(),
            Subject::Network(network) => self.settings.networks[network.index()].name.to_string(),
            Subject::Node(node) => self.settings.nodes[node.index()].name.to_string(),
        };
        format!("{} {subject}", key.name.as_str())
    }

    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now())
    }

    /// The reload of a configuration.
    pub fn reconfigure(&mut self, settings: Settings) -> Vec<Effect> {
        let now = self.now();
        let empty = Engine::new(Arc::default(), now);
        let engine = std::mem::replace(&mut self.engine, empty);
        let (engine, outcome) = engine.reconfigured(Arc::new(settings), now);
        (self.engine, self.wake_at) = (engine, None);
        outcome.effects
    }
}
