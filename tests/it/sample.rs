//! A small snapshot with everything in it: a halted network, an idle one, nodes in several states, alerts of each kind.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    engine::{
        finding::Finding,
        settings::{
            Cadence, CanarySettings, FaultTolerance, NetworkLimits, NetworkSettings, NodeLimits, NodeSettings, Settings,
        },
        snapshot::{
            Alert, AlertKey, AlertState, BLOCK_BUCKETS, BlockTime, NetworkPhase, NetworkView, NodeView, POLL_BUCKETS,
            Snapshot, Subject, Tip, Vote,
        },
    },
    model::{
        AlertName, BlockHash, Height, Level, NetworkIndex, NodeIndex, NodeState, Now, Role, Timestamp, UnixTime,
        VantageIndex,
    },
    observation::{ErrorKind, Facts, Finality, Syncing, Upgrade},
};

/// The time of the snapshot: 2026-11-21T19:34:19.500Z, 1000 s on the monotonic clock.
pub fn now() -> Now {
    Now { at: Timestamp(1_000_000), wall: UnixTime::from_millis(1_795_289_659_500) }
}

pub fn network(name: &str, cadence: Cadence) -> NetworkSettings {
    NetworkSettings {
        name: name.into(),
        family: "evm".into(),
        chain_id: Some("1776".into()),
        genesis: None,
        cadence,
        block_time: None,
        tolerance: FaultTolerance::Bft,
        core_total: None,
        finality_lag: None,
        planned: Vec::new(),
        limits: NetworkLimits::default(),
        labels: vec![("team".into(), "chain \"core\"".into())],
        depends_on: Vec::new(),
    }
}

pub fn node(name: &str, network: u32, role: Role) -> NodeSettings {
    NodeSettings {
        name: name.into(),
        network: NetworkIndex(network),
        role,
        core: role.is_core(),
        weight: 1,
        labels: vec![("rack".into(), "b\\4".into()), ("team".into(), "chain \"core\"".into())],
        metrics: None,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        limits: NodeLimits::default(),
    }
}

pub fn settings() -> Settings {
    Settings {
        monitor: "watch-1".into(),
        networks: vec![network("main", Cadence::Interval), network("ledger", Cadence::OnDemand)],
        nodes: vec![
            node("val-1", 0, Role::Validator),
            node("val-2", 0, Role::Validator),
            node("rpc-1", 0, Role::Rpc),
            node("seal-1", 1, Role::Sealer),
        ],
        vantages: Vec::new(),
        canaries: vec![
            CanarySettings {
                vantage: VantageIndex::default(),
                name: "10.0.0.1:53".into(),
                interval: Duration::from_secs(5),
            },
            CanarySettings {
                vantage: VantageIndex::default(),
                name: "10.0.0.2:53".into(),
                interval: Duration::from_secs(5),
            },
        ],
        isolated_after: Duration::from_secs(60),
        ..Settings::default()
    }
}

pub fn facts(height: u64, version: &str) -> Facts {
    let mut facts = Facts::at_height(Height(height));
    facts.chain_id = Some("1776".into());
    facts.version = Some(version.into());
    facts.head.hash = Some(BlockHash([0xab; 32]));
    facts.head.time = UnixTime::from_seconds(1_795_289_600);
    facts.finality = Finality::Known { height: Height(height - 2), hash: None, time: None };
    facts.syncing = Syncing::No;
    facts.peers = Some(3);
    facts.pending = Some(17);
    facts.round = Some(4);
    facts.participation = Some(985);
    facts.identity = Some("16Uiu2HAm".into());
    facts.validators = Some(4);
    facts.upgrade = Some(Upgrade { name: "v2".into(), height: Height(500) });
    facts
}

/// A node that answers.
pub fn live(state: NodeState, facts: Facts) -> NodeView {
    let mut view = NodeView {
        state,
        state_since: Some(Timestamp(900_000)),
        last_poll: Some(Timestamp(999_250)),
        last_success: Some(Timestamp(999_250)),
        up: Some(true),
        lag_blocks: Some(100_u64.saturating_sub(facts.head.height.0)),
        clock_skew_ms: Some(-1500),
        facts: Some(Arc::new(facts)),
        reorgs: 1,
        ..NodeView::default()
    };
    view.polls[0] = 2;
    for ms in [3, 120] {
        view.poll_duration.observe(&POLL_BUCKETS, Duration::from_millis(ms));
    }
    view
}

/// A node that does not.
pub fn dead() -> NodeView {
    let mut view = NodeView {
        state: NodeState::Offline,
        state_since: Some(Timestamp(800_000)),
        last_poll: Some(Timestamp(999_500)),
        last_success: Some(Timestamp(700_000)),
        up: Some(false),
        error: Some((ErrorKind::Timeout, "no answer within 5 s".into())),
        ..NodeView::default()
    };
    view.polls[1 + ErrorKind::ALL.iter().position(|kind| *kind == ErrorKind::Timeout).unwrap()] = 7;
    view.poll_duration.observe(&POLL_BUCKETS, Duration::from_secs(9));
    view
}

fn vote(node: u32, counts: bool, state: NodeState, height: Option<u64>, heard: Option<i64>) -> Vote {
    Vote { node: NodeIndex(node), counts, state, height: height.map(Height), heard: heard.map(Timestamp) }
}

fn halted() -> NetworkView {
    let mut view = NetworkView {
        phase: NetworkPhase::Halted,
        tip: Some(Tip {
            height: Height(100),
            hash: Some(BlockHash([0xab; 32])),
            time: UnixTime::from_seconds(1_795_289_600),
            confirmed_by: 2,
        }),
        finalized: Some(Height(98)),
        finality_lag: Some(Duration::from_millis(2500)),
        round: Some(4),
        participation: Some(985),
        progress_at: Some(Timestamp(940_500)),
        halt_threshold: Some(Duration::from_secs(30)),
        halt_ratio: Some(59.5 / 30.0),
        block_time: Some(BlockTime { value: Duration::from_millis(1250), samples: Some(64) }),
        voters: 2,
        voters_expected: 3,
        quorum_margin: Some(-1),
        quorum_tolerated: Some(0),
        wake_at: Some(Timestamp(1_004_000)),
        votes: vec![
            vote(0, true, NodeState::Live, Some(100), Some(999_250)),
            vote(1, false, NodeState::Offline, None, Some(700_000)),
            vote(2, true, NodeState::Live, Some(100), Some(999_250)),
        ],
        incidents: [1, 2, 0, 0],
        ..NetworkView::default()
    };
    for ms in [1200, 1300] {
        view.block_interval.observe(&BLOCK_BUCKETS, Duration::from_millis(ms));
    }
    view
}

fn idle() -> NetworkView {
    NetworkView {
        phase: NetworkPhase::Idle,
        tip: Some(Tip { height: Height(7), hash: None, time: None, confirmed_by: 1 }),
        progress_at: Some(Timestamp(-200_000)),
        halt_ratio: Some(0.0),
        voters: 1,
        voters_expected: 1,
        votes: vec![vote(3, true, NodeState::Live, Some(7), Some(999_250))],
        ..NetworkView::default()
    }
}

pub fn alert(name: AlertName, subject: Subject, level: Level, state: AlertState, finding: Finding) -> Alert {
    Alert {
        key: AlertKey { name, subject },
        level,
        state,
        active_at: UnixTime::from_millis(1_795_289_630_000),
        fired_at: (state == AlertState::Firing).then(|| UnixTime::from_millis(1_795_289_630_000)),
        clear_since: None,
        resolved_at: None,
        inhibited_by: None,
        silenced_by: None,
        finding,
    }
}

fn alerts() -> Vec<Alert> {
    let main = Subject::Network(NetworkIndex(0));
    let missing = Finding::BlocksMissing {
        tip: Height(100),
        gap: Duration::from_millis(59_500),
        threshold: Duration::from_secs(30),
        pending: None,
        overrun: None,
        voters: 2,
    };
    let silent = Finding::NoAnswer { silence: Duration::from_secs(300), attempts: 7, kind: ErrorKind::Timeout };
    let offline = alert(AlertName::NodeOffline, Subject::Node(NodeIndex(1)), Level::L2, AlertState::Firing, silent);
    let muted_by = Some(AlertKey { name: AlertName::NetworkHalted, subject: main });
    vec![
        alert(AlertName::NetworkHalted, main, Level::L1, AlertState::Firing, missing),
        Alert { inhibited_by: muted_by, ..offline },
        alert(
            AlertName::NodeLowPeers,
            Subject::Node(NodeIndex(2)),
            Level::L3,
            AlertState::Pending,
            Finding::FewPeers { peers: 3, wanted: 5 },
        ),
        alert(AlertName::Watchdog, Subject::Monitor, Level::None, AlertState::Firing, Finding::Alive),
    ]
}

/// The whole picture.
pub fn snapshot() -> Snapshot {
    Snapshot {
        taken: now(),
        settings: Arc::new(settings()),
        networks: vec![halted(), idle()],
        nodes: vec![
            live(NodeState::Live, facts(100, "Geth/v1.13.5-stable/linux-amd64/go1.21.4")),
            dead(),
            live(NodeState::Live, facts(100, "anvil")),
            live(NodeState::Live, facts(7, "erigon/our own/2.60.0/linux")),
        ],
        canaries: vec![Some(true), None],
        isolated_since: None,
        wake_at: Some(Timestamp(1_001_000)),
        alerts: alerts(),
        silences: Arc::default(),
    }
}
