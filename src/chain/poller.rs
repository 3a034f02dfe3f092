//! One node's poller: on its beat, or earlier when something calls for it, it makes a round of calls and hands what came
//! of it to the queue. It never makes two polls at once and never loses an outcome: a full queue makes it wait.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{
    NodeTarget,
    adapter::Adapter,
    beat::{Beat, Ending},
    gate::Gate,
    pulse::Pulse,
    rpc::{Failure, Round, Session},
};
use crate::{
    clock::Clock,
    model::{Timestamp, VantageIndex},
    observation::{NodeObservation, Observation, Sighting, Source},
    supervisor::Shutdown,
    transport::{Client, Limits},
};

/// A poll waits for leave from the gate of its host for this long, or for its interval if that is longer; then it is
/// given up. A poller has one place in the queue at most, so where the limit is too low for the nodes behind it, all of
/// them are polled more rarely, in turn; leaving the queue sooner would let some of them starve.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Everything a poller is given.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// The clock.
    pub clock: Clock,
    /// Who is polling.
    pub source: Source,
    /// Where observations go.
    pub sightings: mpsc::Sender<Sighting>,
    /// Says when to stop.
    pub shutdown: Shutdown,
    /// The limit of the node's host.
    pub gate: Arc<Gate>,
    /// The link to the node's subscription.
    pub pulse: Pulse,
    /// The node's share of the interval, 0 to 1: where in it this node is polled.
    pub share: f64,
}

/// One node's poller.
pub struct Poller {
    name: Arc<str>,
    interval: Duration,
    session: Session,
    adapter: Box<dyn Adapter>,
    beat: Beat,
    idleness: Idleness,
    dials: u64,
    wiring: Wiring,
}

/// Why a poll is made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Due,
    Called,
    Closed,
    Shutdown,
}

impl Poller {
    /// A poller of `target` that has not asked yet.
    #[must_use]
    pub fn new(target: &NodeTarget, wiring: Wiring) -> Self {
        let limits = Limits { deadline: target.timeout, body: target.body_limit };
        Self {
            name: Arc::clone(&target.name),
            interval: target.interval,
            session: Session::new(Client::new(target.rpc.clone()), limits, Arc::clone(&wiring.gate)),
            adapter: target.family.adapter(&target.particulars),
            beat: Beat::new(target.interval, wiring.clock.now().at, wiring.share),
            idleness: Idleness::default(),
            dials: 0,
            wiring,
        }
    }

    /// Polls until the shutdown.
    pub async fn run(mut self) {
        loop {
            let cause = self.wait().await;
            if cause == Cause::Shutdown || !self.poll(cause).await {
                return;
            }
        }
    }

    /// Waits until a poll is due, or until something calls for an early one.
    async fn wait(&mut self) -> Cause {
        let Wiring { clock, pulse, shutdown, .. } = &mut self.wiring;
        let cause = tokio::select! {
            biased;
            () = shutdown.begun() => return Cause::Shutdown,
            () = clock.sleep_until(self.beat.next()) => return Cause::Due,
            () = pulse.called() => Cause::Called,
            () = self.session.closed() => Cause::Closed,
        };
        let now = clock.now().at;
        let expected = cause == Cause::Closed && self.idleness.is_expected(now);
        let at = if expected { self.beat.next() } else { self.beat.early() };
        tokio::select! {
            biased;
            () = shutdown.begun() => Cause::Shutdown,
            () = clock.sleep_until(at) => if expected { Cause::Due } else { cause },
        }
    }

    /// Makes one poll; false if the shutdown cut it off or nobody listens any more.
    async fn poll(&mut self, cause: Cause) -> bool {
        let mut shutdown = self.wiring.shutdown.clone();
        // Boxed, so that between polls a node holds no room for the state of one.
        let poll = Box::pin(self.observe(cause));
        let observation = tokio::select! {
            biased;
            () = shutdown.begun() => return false,
            observation = poll => observation,
        };
        let Some(observation) = observation else { return true };
        tokio::select! {
            biased;
            () = shutdown.begun() => false,
            sent = self.wiring.sightings.send(Observation::Node(observation)) => sent.is_ok(),
        }
    }

    /// `None` if there was no leave to make the poll.
    async fn observe(&mut self, cause: Cause) -> Option<NodeObservation<Source>> {
        let clock = self.wiring.clock;
        if tokio::time::timeout(self.interval.max(LONGEST_WAIT), self.wiring.gate.leave()).await.is_err() {
            tracing::debug!(node = %self.name, "the rate limit of the host leaves no room for a poll of {}", self.name);
            self.beat.skipped(clock.now().at);
            return None;
        }
        let started = clock.now().at;
        let stopwatch = clock.stopwatch();
        let outcome = self.session.round(self.adapter.as_mut(), started).await;
        let now = clock.now().at;
        let elapsed = outcome.as_ref().map_or_else(|_| stopwatch.elapsed(), |round| round.elapsed);
        self.note(cause, started, now, &outcome);
        let outcome = outcome.map(|round| round.facts).map_err(|failure| failure.error);
        Some(NodeObservation { node: self.wiring.source, vantage: VantageIndex::default(), at: now, elapsed, outcome })
    }

    fn note(&mut self, cause: Cause, started: Timestamp, now: Timestamp, outcome: &Result<Round, Failure>) {
        let dials = std::mem::replace(&mut self.dials, self.session.dials());
        if outcome.is_err() || (dials != 0 && dials != self.dials) {
            self.adapter.doubt_identity();
            self.session.doubt(now);
        }
        let ending = match outcome {
            Ok(round) => {
                self.wiring.pulse.saw(round.facts.head.height);
                Ending::Good
            }
            Err(Failure { error, retry_after }) => Ending::Failed { kind: error.kind, retry_after: *retry_after },
        };
        self.idleness.polled(now, cause == Cause::Closed && ending == Ending::Good);
        self.beat.polled(started, now, ending, fastrand::f64());
    }
}

/// Tells the closing of an idle connection that means a death from the one that means a server's thrift. Many servers
/// close connections that were idle for some seconds; the first time it happens an early poll finds the node alive,
/// and from then on a close at that age calls for nothing.
#[derive(Debug, Default)]
struct Idleness {
    since: Option<Timestamp>,
    closed_at: Option<Timestamp>,
    /// The shortest time of idleness after which the server has closed a connection and was alive.
    tolerated: Option<Duration>,
}

impl Idleness {
    /// Notes a close at `now` and says whether it was to be expected.
    fn is_expected(&mut self, now: Timestamp) -> bool {
        self.closed_at = Some(now);
        let idle = self.since.map(|since| now.since(since)).unwrap_or_default();
        // The server counts from its own last byte, so the age wavers a little.
        self.tolerated.is_some_and(|tolerated| tolerated.mul_f64(0.9) <= idle)
    }

    /// Notes the end of a poll; `alive` if it was made because of a close and found the node alive.
    fn polled(&mut self, now: Timestamp, alive: bool) {
        if let (true, Some(since), Some(closed)) = (alive, self.since, self.closed_at) {
            let idle = closed.since(since);
            self.tolerated = Some(self.tolerated.map_or(idle, |tolerated| tolerated.min(idle)));
        }
        self.since = Some(now);
        self.closed_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_closes_idle_connections_is_not_taken_for_dying_twice() {
        let at = |ms| Timestamp(ms);
        let mut idleness = Idleness::default();
        idleness.polled(at(0), false);
        assert!(!idleness.is_expected(at(5000)), "the first time it may be a death");
        idleness.polled(at(5010), true);
        assert!(idleness.is_expected(at(10_000)), "the same age again");
        idleness.polled(at(12_000), false);
        assert!(!idleness.is_expected(at(12_300)), "much earlier than ever before");
    }

    #[test]
    fn a_close_that_was_a_death_teaches_nothing() {
        let mut idleness = Idleness::default();
        idleness.polled(Timestamp(0), false);
        idleness.is_expected(Timestamp(300));
        idleness.polled(Timestamp(310), false);
        assert!(!idleness.is_expected(Timestamp(5000)));
    }
}
