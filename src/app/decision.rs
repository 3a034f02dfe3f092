//! The decision loop: takes all observations that are ready, steps the engine, announces what changed and publishes the
//! picture. It sleeps until the next observation or the engine's own deadline, whichever comes first.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use super::{herald::Herald, journal, memory::Memory, recording::Tap, silences::Silences};
use crate::{
    chain::LONGEST_REST,
    clock::Clock,
    engine::{
        Engine,
        settings::Settings,
        snapshot::{Effect, Outcome, Snapshot},
    },
    model::{Labels, Now, Timestamp},
    observation::{Meaning, Observation, Roster, Sighting},
    output::{
        own::{OwnMetrics, Queue},
        systemd::Heartbeat,
    },
    supervisor::Shutdown,
};

/// Observations taken into one step at the most.
const STEP_LIMIT: usize = 4096;

/// A picture without any effect is published at most this often; one with effects at once.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// After a step the loop rests this many times as long as the step took: what arrives meanwhile goes into one step, so
/// that deciding takes a small share of a processor however many nodes there are. A step of a small fleet takes some
/// microseconds and is followed by no rest that the clock could measure.
const REST_FACTOR: u32 = 24;

/// However long a step took, the next one waits no longer than this.
const MAX_REST: Duration = Duration::from_millis(100);

/// An alert from before this start is told of once it is judged: if it is over, nobody must be called once more. One that
/// cannot be judged within this time is told of as it is, before Alertmanager forgets it.
const JUDGED_WITHIN: Duration = Duration::from_secs(60);

/// The loop turns at least this often, to show that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// New settings for the engine and what goes with them; `done` is told once they are in force.
#[derive(Debug)]
pub(super) struct Reconfiguration {
    pub(super) settings: Arc<Settings>,
    /// Where in these settings stands what each source watches.
    pub(super) roster: Roster,
    /// Labels on every announcement; `None` leaves them as they are.
    pub(super) external_labels: Option<Labels>,
    pub(super) done: oneshot::Sender<()>,
}

/// The engine and everything it speaks to.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) engine: Engine,
    /// Belongs to the engine's settings: both change in one go.
    pub(super) roster: Roster,
    pub(super) clock: Clock,
    pub(super) own: OwnMetrics,
    pub(super) snapshot: Arc<ArcSwap<Option<Snapshot>>>,
    pub(super) heartbeat: Heartbeat,
    pub(super) herald: Herald,
    pub(super) follow: mpsc::Sender<Effect>,
    /// Where what was observed is written down, if anywhere.
    pub(super) tap: Tap,
    /// Where it is kept what is announced.
    pub(super) memory: Memory,
}

/// When the loop must turn again, and when it last published.
#[derive(Debug, Default)]
struct Beat {
    wake_at: Option<Timestamp>,
    published: Option<Timestamp>,
    unpublished: bool,
    rested: Option<Timestamp>,
}

impl Beat {
    /// The next time at which the loop has something to do of its own accord.
    fn next(&self, now: Now) -> Timestamp {
        let publish = match self.published {
            None => now.at,
            Some(published) if self.unpublished => published.after(PUBLISH_EVERY),
            Some(_) => now.at.after(HEARTBEAT),
        };
        self.wake_at.map_or(publish, |wake| wake.min(publish)).min(now.at.after(HEARTBEAT))
    }
}

impl Decision {
    /// Runs until the shutdown begins.
    pub(super) async fn run(
        mut self,
        mut observed: mpsc::Receiver<Sighting>,
        (mut reconfigurations, mut silences): (mpsc::Receiver<Reconfiguration>, watch::Receiver<Silences>),
        mut shutdown: Shutdown,
    ) {
        let mut batch = Vec::with_capacity(STEP_LIMIT);
        let mut beat = Beat::default();
        self.engine.set_silences(Arc::clone(&silences.borrow_and_update()));
        self.memory.keep(&self.engine);
        let mut unjudged = Some(self.clock.now().at.after(JUDGED_WITHIN));
        self.go_on_from_before();
        loop {
            let now = self.clock.now();
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                Some(request) = reconfigurations.recv() => {
                    self.step_with_all(&mut observed, &mut batch, &mut beat).await;
                    self = self.reconfigure(request, &mut beat).await;
                }
                Ok(()) = silences.changed() => {
                    self.engine.set_silences(Arc::clone(&silences.borrow_and_update()));
                    // Whoever asked for a silence looks whether it is shown.
                    (beat.unpublished, beat.published) = (true, None);
                    self.step_with_all(&mut observed, &mut batch, &mut beat).await;
                }
                taken = self.take_in(&mut observed, &mut batch, beat.rested) => {
                    // Every poller has gone for good only in a shutdown; until it is announced there is only time.
                    if taken == 0 {
                        self.clock.sleep_until(beat.next(now)).await;
                    }
                    self.step(&mut batch, &mut beat).await;
                }
                () = self.clock.sleep_until(beat.next(now)) => {
                    self.step_with_all(&mut observed, &mut batch, &mut beat).await;
                }
            }
            self.own.queue_holds(Queue::Observations, observed.len());
            let now = self.clock.now();
            if unjudged.take_if(|until| *until <= now.at).is_some() {
                self.herald.resume(&self.engine.snapshot(now), now).await;
            }
        }
    }

    /// Waits for observations, and for the end of the rest. Losing the race to another event loses none of them.
    async fn take_in(
        &self,
        observed: &mut mpsc::Receiver<Sighting>,
        batch: &mut Vec<Sighting>,
        rested: Option<Timestamp>,
    ) -> usize {
        // A sleep that is over before it begins would still last until the next tick of the timer.
        if let Some(rested) = rested.filter(|rested| self.clock.now().at < *rested) {
            self.clock.sleep_until(rested).await;
        }
        observed.recv_many(batch, STEP_LIMIT).await
    }

    async fn step(&mut self, batch: &mut Vec<Sighting>, beat: &mut Beat) {
        let now = self.clock.now();
        // What a source sent that watches for us no more is of no interest.
        let batch: Vec<_> = batch.drain(..).filter_map(|sighting| self.roster.place(sighting)).collect();
        let due = due_since(&batch, beat.wake_at, now);
        let stopwatch = self.clock.stopwatch();
        let outcome = self.engine.step(now, &batch);
        let took = stopwatch.elapsed();
        self.own.step_duration.observe(took.as_secs_f64());
        beat.rested = Some(now.at.after(took + rest_after(took)));
        self.note_polls(&batch, now.at);
        self.heartbeat.stepped(now.at);
        let told = outcome.effects.iter().filter(|effect| matches!(effect, Effect::Fired(_))).count();
        for _ in 0..told {
            self.own.detection_delay.observe(now.at.since(due).as_secs_f64());
        }
        beat.unpublished |= !batch.is_empty() || beat.published.is_none();
        let settings = Arc::clone(self.engine.settings());
        self.tap.offer(&settings, now, batch);
        self.finish(outcome, &settings, now, beat).await;
    }

    fn note_polls(&self, batch: &[Observation], now: Timestamp) {
        for observation in batch {
            let Observation::Node(poll) = observation else { continue };
            let meaning = poll.outcome.as_ref().err().map(|error| error.kind.meaning());
            if matches!(meaning, Some(Meaning::Limited | Meaning::Refused)) {
                self.heartbeat.resting(now.after(LONGEST_REST));
            }
            self.heartbeat.polled(now);
        }
    }

    /// Shows and remembers what goes on from before, before anything is judged.
    fn go_on_from_before(&mut self) {
        let picture = self.engine.snapshot(self.clock.now());
        if !picture.alerts.is_empty() {
            self.herald.remember(&picture);
            self.snapshot.store(Arc::new(Some(picture)));
        }
    }

    /// Announces the effects, told under `settings`, and publishes the picture when it is time.
    async fn finish(&mut self, outcome: Outcome, settings: &Settings, now: Now, beat: &mut Beat) {
        beat.wake_at = outcome.wake_at;
        let changed = !outcome.effects.is_empty();
        let overdue = beat.published.is_none_or(|published| PUBLISH_EVERY <= now.at.since(published));
        // The picture goes first: whoever is told of an alert finds it there.
        if changed || (beat.unpublished && overdue) {
            self.snapshot.store(Arc::new(Some(self.engine.snapshot(now))));
            beat.published = Some(now.at);
            beat.unpublished = false;
        }
        for effect in &outcome.effects {
            journal::log(settings, effect);
            self.herald.announce(settings, effect, now).await;
        }
        self.memory.note(&self.engine, &outcome.effects);
        for effect in outcome.effects {
            // Nobody need follow, and a slow follower loses what it does not take.
            let _ = self.follow.try_send(effect);
        }
        self.herald.show(&self.own);
    }

    /// A deadline is judged with everything that has arrived, also during a rest: the block that came in time must not
    /// lie in the queue while its network is called halted.
    async fn step_with_all(
        &mut self,
        observed: &mut mpsc::Receiver<Sighting>,
        batch: &mut Vec<Sighting>,
        beat: &mut Beat,
    ) {
        while let Ok(sighting) = observed.try_recv() {
            batch.push(sighting);
        }
        self.step(batch, beat).await;
    }

    async fn reconfigure(mut self, request: Reconfiguration, beat: &mut Beat) -> Self {
        let now = self.clock.now();
        let old = Arc::clone(self.engine.settings());
        let (engine, outcome) = self.engine.reconfigured(request.settings, now);
        self.engine = engine;
        self.roster = request.roster;
        beat.unpublished = true;
        beat.published = None;
        self.finish(outcome, &old, now, beat).await;
        self.herald.relabel(request.external_labels, &self.engine.snapshot(now), now).await;
        // The conductor stopped waiting only if the daemon is stopping.
        let _ = request.done.send(());
        self
    }
}

/// How long to rest after a step that took so long.
fn rest_after(took: Duration) -> Duration {
    took.saturating_mul(REST_FACTOR).min(MAX_REST)
}

/// The instant at which what this step will decide became due: the engine's own deadline, or the arrival of the
/// earliest new evidence.
fn due_since(batch: &[Observation], wake_at: Option<Timestamp>, now: Now) -> Timestamp {
    let arrivals = batch.iter().map(|observation| match observation {
        Observation::Node(poll) => poll.at,
        Observation::Canary(probe) => probe.at,
        Observation::Notice(_) => now.at,
    });
    arrivals.chain(wake_at).min().unwrap_or(now.at).min(now.at)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{
        config,
        model::{CanaryIndex, Height, NodeIndex, VantageIndex},
        observation::{CanaryObservation, Facts, NodeObservation, Source},
    };

    #[test]
    fn the_loop_turns_at_the_engines_deadline_and_never_later_than_the_heartbeat() {
        let now = Now { at: Timestamp(10_000), ..Now::default() };
        let beat = |wake: Option<i64>, published: Option<i64>, unpublished| {
            Beat { wake_at: wake.map(Timestamp), published: published.map(Timestamp), unpublished, rested: None }
                .next(now)
                .0
        };
        assert_eq!(beat(None, None, false), 10_000, "the first picture is due at once");
        assert_eq!(beat(Some(10_300), Some(9_900), false), 10_300);
        assert_eq!(beat(Some(99_000), Some(9_900), false), 11_000);
        assert_eq!(beat(None, Some(9_900), true), 10_100);
        assert_eq!(beat(None, Some(9_900), false), 11_000);
    }

    #[test]
    fn a_verdict_is_due_at_the_deadline_or_at_the_first_new_evidence() {
        let now = Now { at: Timestamp(500), ..Now::default() };
        let probe =
            |at| Observation::Canary(CanaryObservation { canary: CanaryIndex(0), at: Timestamp(at), reachable: true });
        assert_eq!(due_since(&[], Some(Timestamp(450)), now), Timestamp(450));
        assert_eq!(due_since(&[probe(480), probe(470)], Some(Timestamp(900)), now), Timestamp(470));
        assert_eq!(due_since(&[], Some(Timestamp(900)), now), Timestamp(500));
    }

    #[test]
    fn deciding_takes_a_small_share_of_a_processor_and_is_never_put_off_for_long() {
        assert!(rest_after(Duration::from_micros(40)) < Duration::from_millis(1), "a small fleet is judged at once");
        assert_eq!(rest_after(Duration::from_millis(1)), Duration::from_millis(24));
        assert_eq!(rest_after(Duration::from_secs(1)), MAX_REST);
    }

    const ONE_NODE: &str = "[[network]]\nname = \"main\"\nfamily = \"evm\"\nblock_time = \"1s\"\n\
                            [[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n";

    #[tokio::test]
    async fn a_deadline_is_judged_with_what_waits_in_the_queue_even_during_a_rest() {
        let settings = config::load(&config::Source::Text(ONE_NODE.to_owned())).unwrap().engine;
        let clock = Clock;
        let mut decision = Decision {
            engine: Engine::new(Arc::new(settings), clock.now()),
            roster: Roster { nodes: [(Source(5), NodeIndex(0))].into(), canaries: HashMap::new() },
            clock,
            own: OwnMetrics::new(),
            snapshot: Arc::new(ArcSwap::from_pointee(None)),
            heartbeat: Heartbeat::starting(clock.now().at),
            herald: Herald::new(mpsc::channel(1).0, Labels::new()),
            follow: mpsc::channel(1).0,
            tap: Tap::default(),
            memory: Memory::default(),
        };
        let (sender, mut observed) = mpsc::channel(1);
        let poll = NodeObservation {
            node: Source(5),
            vantage: VantageIndex::default(),
            at: clock.now().at,
            elapsed: Duration::ZERO,
            outcome: Ok(Arc::new(Facts::at_height(Height(7)))),
        };
        sender.send(Observation::Node(poll)).await.unwrap();
        let mut beat = Beat { rested: Some(clock.now().at.after(HEARTBEAT)), ..Beat::default() };
        decision.step_with_all(&mut observed, &mut Vec::new(), &mut beat).await;
        let picture = decision.snapshot.load_full();
        let facts = picture.as_ref().as_ref().unwrap().nodes[0].facts.clone();
        assert_eq!(facts.unwrap().head.height, Height(7));
    }
}
