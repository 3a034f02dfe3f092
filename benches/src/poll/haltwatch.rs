//! haltwatch itself: its pollers with everything switched on, and the engine with its snapshots behind them, driven as
//! the daemon's decision loop drives it; or the whole daemon on its own runtime.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use haltwatch::{
    app::{Daemon, Options, RELOAD_PAUSE},
    chain,
    clock::Clock,
    config::{Config, Discovery, Hash, Problems, Source},
    engine::{Engine, snapshot::Snapshot},
    model::Timestamp,
    observation::{Observation, Roster, Sighting},
    output::{http, own::OwnMetrics, systemd::Systemd},
    supervisor::PanicCounter,
};
use tokio::sync::mpsc;

use super::{client::Beat, meter::Meter};
use crate::fleet::Fleet;

/// Observations waiting for the engine.
const QUEUE: usize = 16_384;

/// Observations taken into one step at the most.
const STEP_LIMIT: usize = 4096;

/// A picture is published at most this often.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// After a step the loop rests this many times as long as the step took ...
const REST_FACTOR: u32 = 24;

/// ... and no longer than this.
const MAX_REST: Duration = Duration::from_millis(100);

/// The loop turns at least this often.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How much of haltwatch runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Polls only.
    Polls,
    /// Polls, decisions and published snapshots.
    Decisions,
}

/// Starts the pollers of a fleet, and the loop that takes what they observe.
pub fn spawn(beat: &Beat, meter: &Rc<Meter>, depth: Depth) -> anyhow::Result<()> {
    let fleet = Fleet::in_hundreds(beat.nodes);
    let settings = fleet.chain_settings(beat.server.port())?;
    let (observations, observed) = mpsc::channel(QUEUE);
    let meter = Rc::clone(meter);
    tokio::task::spawn_local(async move {
        // The pollers live as long as the process.
        let mut pollers = chain::Fleet::new(Clock, observations, PanicCounter::default());
        let plan = pollers.plan(&settings);
        let roster = plan.roster();
        pollers.carry_out(plan);
        match depth {
            Depth::Polls => drop_all(observed, &roster, &meter).await,
            Depth::Decisions => decide(fleet, observed, &roster, &meter).await,
        }
        drop(pollers);
    });
    Ok(())
}

async fn drop_all(mut observed: mpsc::Receiver<Sighting>, roster: &Roster, meter: &Meter) {
    let mut batch = Vec::with_capacity(STEP_LIMIT);
    while observed.recv_many(&mut batch, STEP_LIMIT).await != 0 {
        count(&placed(&mut batch, roster), meter);
    }
}

async fn decide(fleet: Fleet, mut observed: mpsc::Receiver<Sighting>, roster: &Roster, meter: &Meter) {
    let now = Clock.now();
    let mut engine = Engine::new(fleet.engine_settings(), now);
    let picture: ArcSwap<Option<Snapshot>> = ArcSwap::from_pointee(None);
    let mut batch = Vec::with_capacity(STEP_LIMIT);
    let (mut wake_at, mut published, mut rested) = (now.at, now.at, now.at);
    loop {
        tokio::select! {
            taken = take_in(&mut observed, &mut batch, rested) => if taken == 0 { return },
            () = Clock.sleep_until(wake_at) => {}
        }
        let now = Clock.now();
        let batch = placed(&mut batch, roster);
        let stopwatch = Clock.stopwatch();
        let outcome = engine.step(now, &batch);
        let took = stopwatch.elapsed();
        rested = now.at.after(took + took.saturating_mul(REST_FACTOR).min(MAX_REST));
        count(&batch, meter);
        let stale = PUBLISH_EVERY <= now.at.since(published);
        if !outcome.effects.is_empty() || (stale && !batch.is_empty()) {
            picture.store(Arc::new(Some(engine.snapshot(now))));
            published = now.at;
        }
        wake_at = earlier(outcome.wake_at, now.at.after(HEARTBEAT));
    }
}

/// As the daemon does it: with the places of the settings in force.
fn placed(batch: &mut Vec<Sighting>, roster: &Roster) -> Vec<Observation> {
    batch.drain(..).filter_map(|sighting| roster.place(sighting)).collect()
}

async fn take_in(observed: &mut mpsc::Receiver<Sighting>, batch: &mut Vec<Sighting>, rested: Timestamp) -> usize {
    if Clock.now().at < rested {
        Clock.sleep_until(rested).await;
    }
    observed.recv_many(batch, STEP_LIMIT).await
}

fn earlier(wake_at: Option<Timestamp>, heartbeat: Timestamp) -> Timestamp {
    wake_at.map_or(heartbeat, |wake_at| wake_at.min(heartbeat))
}

fn count(batch: &[Observation], meter: &Meter) {
    for observation in batch {
        match observation {
            Observation::Node(poll) if poll.outcome.is_ok() => meter.good(poll.elapsed),
            Observation::Node(_) => meter.failed(),
            Observation::Canary(_) | Observation::Notice(_) => {}
        }
    }
}

/// Starts the whole daemon, HTTP server and all.
pub fn start_daemon(nodes: usize, port: u16) -> anyhow::Result<Daemon> {
    let fleet = Fleet::in_hundreds(nodes);
    let http = http::Settings {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        lifecycle: false,
        ..http::Settings::default()
    };
    let engine = fleet.engine_settings().as_ref().clone();
    let (discovery, hash) = (Discovery::default(), Hash::default());
    let (probe, warnings) = (chain::probe::Settings::default(), Problems::default());
    let chain = fleet.chain_settings(port)?;
    let config = Config { engine, chain, http, probe, alertmanager: None, record: None, discovery, hash, warnings };
    // Nobody asks for a reload, so nothing is read from there.
    let source = Source::File("config.toml".into());
    let options = Options {
        source,
        web: http::Overrides::default(),
        own: OwnMetrics::new(),
        storage: None,
        reload_pause: RELOAD_PAUSE,
        systemd: Systemd::default(),
    };
    Daemon::start_with(options, config)
}

/// How many polls the daemon has finished, and how many of them failed.
pub fn polls_of(daemon: &Daemon) -> (u64, u64) {
    let picture = daemon.snapshot();
    let nodes = picture.as_ref().as_ref().map(|snapshot| snapshot.nodes.as_slice()).unwrap_or_default();
    let sum = |outcomes: std::ops::RangeFrom<usize>| nodes.iter().flat_map(|node| &node.polls[outcomes.clone()]).sum();
    (sum(0..), sum(1..))
}
