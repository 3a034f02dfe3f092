//! Observations on their way to the recorder. Recording waits for disks and deciding must not: what the recorder cannot
//! take in time is dropped and counted.

use std::{future::Future, io, sync::Arc, time::Duration};

use anyhow::Context;
use prometheus::IntCounter;
use tokio::sync::mpsc;

use crate::{
    chain::Fleet,
    clock::Clock,
    config::Config,
    engine::settings::Settings,
    model::{Now, Timestamp},
    observation::{Observation, Roster, Sighting},
    output::own::OwnMetrics,
    recorder::{self, Recorder, Step},
    supervisor::{PanicCounter, Shutdown, Supervisor},
};

/// Steps that wait for the recorder.
const QUEUE: usize = 1024;

/// Steps written in one go.
const AT_ONCE: usize = 256;

/// Observations taken in one go where nothing is decided.
const SIGHTINGS: usize = 4096;

/// After each time the recorder writes it rests for so long: it writes few large pieces, and soon enough.
const REST: Duration = Duration::from_millis(250);

/// Pollers get this long to end their polls at the end.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// The decision loop's end of the way to the recorder.
#[derive(Debug, Default)]
pub(super) struct Tap(Option<(mpsc::Sender<Step>, IntCounter)>);

impl Tap {
    /// Hands on what was observed, if it is recorded and the recorder can take it. Never waits.
    pub(super) fn offer(&self, cast: &Arc<Settings>, now: Now, observations: Vec<Observation>) {
        let Some((queue, dropped)) = &self.0 else { return };
        if observations.is_empty() {
            return;
        }
        let count = observations.len();
        if queue.try_send(Step { cast: Arc::clone(cast), now, observations }).is_err() {
            dropped.inc_by(count as u64);
        }
    }
}

/// Starts the recorder that the configuration asks for, if it does.
///
/// # Errors
/// If the file cannot be had.
pub(super) fn start(
    supervisor: &mut Supervisor,
    settings: Option<&recorder::Settings>,
    clock: Clock,
    own: &OwnMetrics,
    panics: &PanicCounter,
) -> anyhow::Result<Tap> {
    let Some(settings) = settings else { return Ok(Tap::default()) };
    let recorder = open(settings, clock.now())?;
    let (queue, steps) = mpsc::channel(QUEUE);
    let dropped = own.record_dropped.clone();
    let shutdown = supervisor.shutdown();
    supervisor.spawn_essential("recorder", panics.clone(), run(Some(recorder), steps, dropped.clone(), shutdown));
    Ok(Tap(Some((queue, dropped))))
}

fn open(settings: &recorder::Settings, now: Now) -> anyhow::Result<Recorder> {
    Recorder::open(settings, now).with_context(|| format!("cannot record to {}", settings.file.display()))
}

/// Writes until the shutdown begins, and then what still waits.
async fn run(
    mut recorder: Option<Recorder>,
    mut steps: mpsc::Receiver<Step>,
    dropped: IntCounter,
    mut shutdown: Shutdown,
) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    let mut in_trouble = false;
    loop {
        let taken = tokio::select! {
            taken = steps.recv_many(&mut batch, AT_ONCE) => taken,
            () = shutdown.begun() => 0,
        };
        while batch.len() < AT_ONCE
            && let Ok(step) = steps.try_recv()
        {
            batch.push(step);
        }
        let count: usize = batch.iter().map(|step| step.observations.len()).sum();
        if let Err(error) = write(&mut recorder, &mut batch).await {
            dropped.inc_by(count as u64);
            if !in_trouble {
                tracing::error!(%error, "what is observed cannot be recorded: {error}");
            }
            in_trouble = true;
        } else if std::mem::take(&mut in_trouble) {
            tracing::info!("what is observed is recorded again");
        }
        if taken == 0 && steps.is_empty() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = shutdown.begun() => {}
        }
    }
}

/// Writes where waiting for a disk holds nobody up. Without a recorder there is none any more: its task died.
async fn write(recorder: &mut Option<Recorder>, steps: &mut Vec<Step>) -> io::Result<()> {
    let Some(mut taken) = recorder.take() else { return Err(io::Error::other("the recorder died")) };
    let steps = std::mem::take(steps);
    let done = tokio::task::spawn_blocking(move || {
        let written = taken.write(&steps);
        (taken, written)
    });
    let (back, written) = done.await.map_err(io::Error::other)?;
    *recorder = Some(back);
    written
}

/// Polls what `config` watches and writes it down until `stop` completes. Nothing is decided.
///
/// # Errors
/// What keeps it from being written.
pub async fn record(
    config: &Config,
    settings: &recorder::Settings,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let clock = Clock;
    let mut recorder = Some(open(settings, clock.now())?);
    let cast = Arc::new(config.engine.clone());
    let (sightings, mut sighted) = mpsc::channel(super::OBSERVATION_QUEUE);
    let mut fleet = Fleet::new(clock, sightings, PanicCounter::default());
    let plan = fleet.plan(&config.chain);
    let roster = plan.roster();
    fleet.carry_out(plan);
    tokio::pin!(stop);
    let mut batch = Vec::with_capacity(SIGHTINGS);
    let mut last = Timestamp(i64::MIN);
    let outcome = loop {
        let going_on = tokio::select! {
            taken = sighted.recv_many(&mut batch, SIGHTINGS) => 0 < taken,
            () = &mut stop => false,
        };
        let mut steps = one_by_one(&cast, &roster, clock.now(), &mut last, &mut batch);
        if let Err(error) = write(&mut recorder, &mut steps).await {
            break Err(error);
        }
        if !going_on {
            break Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = &mut stop => break Ok(()),
        }
    };
    fleet.stop(STOP_LIMIT).await;
    outcome.with_context(|| format!("cannot record to {}", settings.file.display()))
}

/// Each observation as a step of its own, at the time at which it was made: the daemon would have taken it in then.
fn one_by_one(
    cast: &Arc<Settings>,
    roster: &Roster,
    now: Now,
    last: &mut Timestamp,
    batch: &mut Vec<Sighting>,
) -> Vec<Step> {
    let mut observed: Vec<_> = batch.drain(..).filter_map(|sighting| roster.place(sighting)).collect();
    let when = |observation: &Observation| match observation {
        Observation::Node(poll) => poll.at,
        Observation::Canary(probe) => probe.at,
        Observation::Notice(_) => now.at,
    };
    observed.sort_by_key(when);
    let steps = observed.into_iter().map(|observation| {
        *last = when(&observation).min(now.at).max(*last);
        let now = Now { at: *last, wall: now.wall_at(*last) };
        Step { cast: Arc::clone(cast), now, observations: vec![observation] }
    });
    steps.collect()
}
