//! The task of one peer: does what the state machine says, over one connection, and tells log and metrics.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::{
    announcement::{Announcement, Identity},
    answer::{Incarnation, Outcome, clock_skew_ms},
    note::{Fault, Note},
    numbers::Numbers,
    peer::{Action, Peer},
    policy::Policy,
    wire,
};
use crate::{
    clock::Clock,
    model::{Endpoint, Timestamp},
    observation::PollError,
    supervisor::Shutdown,
    transport::{Client, Limits, Request, Response},
};

/// How long the shutdown waits for a peer to accept what it has not accepted yet.
pub const DRAIN: Duration = Duration::from_secs(5);
/// Largest answer read, in bytes: a status with many cluster peers is some kilobytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Longest sleep: timers stand still while the machine is suspended, the clock does not.
const MAX_SLEEP: Duration = Duration::from_secs(5);

/// How a peer is reached: what can change while it stays the same peer.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Where it is, and the headers that authenticate us there.
    pub endpoint: Endpoint,
    /// Deadline of one exchange.
    pub timeout: Duration,
}

/// One peer with everything needed to reach it.
#[derive(Debug)]
pub struct Courier {
    shown: String,
    peer: Mutex<Peer>,
    terms: Mutex<Terms>,
    /// Held by the one task that talks to the peer.
    client: AsyncMutex<Client>,
    news: Notify,
    numbers: Numbers,
    clock: Clock,
}

impl Courier {
    /// A courier that has not set out yet, to the peer that is shown as `shown`.
    #[must_use]
    pub fn new(shown: String, terms: Terms, peer: Peer, numbers: Numbers, clock: Clock) -> Self {
        Self {
            shown,
            peer: Mutex::new(peer),
            client: AsyncMutex::new(Client::new(terms.endpoint.clone())),
            terms: Mutex::new(terms),
            news: Notify::new(),
            numbers,
            clock,
        }
    }

    /// Goes on with the same peer under another policy and other terms, from the next exchange on. Whoever gave us other
    /// credentials need not wait until the failures with those of before are forgotten.
    pub fn adapt(&self, policy: Policy, terms: Terms) {
        let now = self.clock.now().at;
        let is_reached_otherwise = self.terms().endpoint != terms.endpoint;
        *self.terms() = terms;
        self.peer().adapt(policy, now);
        if is_reached_otherwise {
            self.peer().hurry(now);
        }
        self.news.notify_one();
    }

    /// Takes the newest word on an alert; never waits. [`Courier::set_out`] must follow.
    pub fn notify(&self, announcement: Announcement) {
        let note = self.peer().notify(announcement, self.clock.now());
        self.tell_all(note.as_slice());
    }

    /// Sets out with what came by [`Courier::notify`].
    pub fn set_out(&self) {
        self.numbers.show(self.peer().backlog());
        self.news.notify_one();
    }

    /// Delivers until the shutdown, which comes after the last notification, and nothing is left to deliver, at most
    /// [`DRAIN`] longer.
    pub async fn run(&self, mut shutdown: Shutdown) {
        let deliver = self.deliver(shutdown.clone());
        let patience = async {
            shutdown.begun().await;
            self.peer().hurry(self.clock.now().at);
            self.news.notify_one();
            tokio::time::sleep(DRAIN).await;
        };
        tokio::pin!(deliver, patience);
        tokio::select! {
            () = &mut deliver => {}
            () = &mut patience => {
                let left = self.peer().backlog().waiting;
                if left != 0 {
                    tracing::warn!(alertmanager = self.shown, left, "stopping with {left} alerts undelivered to {}", self.shown);
                }
            }
        }
    }

    async fn deliver(&self, shutdown: Shutdown) {
        let mut client = self.client.lock().await;
        loop {
            if let Some(moved) = self.moved(client.endpoint()) {
                *client = Client::new(moved);
            }
            let action = self.peer().next(self.clock.now());
            self.numbers.show(self.peer().backlog());
            match action {
                Action::Push(body, _) => self.push(&mut client, body).await,
                Action::Ask => self.ask(&mut client).await,
                Action::Wait(until) => {
                    if shutdown.has_begun() && self.peer().is_drained(self.clock.now().at) {
                        return;
                    }
                    self.rest(&mut client, until).await;
                }
            }
        }
    }

    /// Waits for the time, for news, or for the peer to go away.
    async fn rest(&self, client: &mut Client, until: Timestamp) {
        let pause = until.since(self.clock.now().at).min(MAX_SLEEP);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.news.notified() => {}
            () = client.closed() => self.peer().disturbed(),
        }
    }

    async fn push(&self, client: &mut Client, body: Bytes) {
        self.numbers.attempts.inc();
        let watch = self.clock.stopwatch();
        let answer = self.exchange(client, Method::POST, wire::ALERTS_PATH, body).await;
        self.numbers.latency.observe(watch.elapsed().as_secs_f64());
        let outcome = Outcome::of(&answer).without_secrets(client.endpoint());
        let notes = self.peer().pushed(self.clock.now(), outcome, fastrand::f64());
        self.tell_all(&notes);
    }

    async fn ask(&self, client: &mut Client) {
        let answer = self.exchange(client, Method::GET, wire::STATUS_PATH, Bytes::new()).await;
        let incarnation = Incarnation::of(&answer).without_secrets(client.endpoint());
        let notes = self.peer().told(self.clock.now(), incarnation, fastrand::f64());
        self.tell_all(&notes);
    }

    async fn exchange(
        &self,
        client: &mut Client,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response, PollError> {
        let limits = Limits { deadline: self.terms().timeout, body: MAX_ANSWER_BYTES };
        let answer = client.exchange(Request { method, path: path.to_owned(), body }, limits).await;
        if let Ok(response) = &answer {
            self.look_at_the_clock(response);
        }
        answer
    }

    fn look_at_the_clock(&self, response: &Response) {
        let now = self.clock.now().wall;
        let Some(skew_ms) = clock_skew_ms(&response.headers, now, response.elapsed) else { return };
        self.numbers.show_skew(skew_ms);
        let note = self.peer().clock_seen(skew_ms);
        self.tell_all(note.as_slice());
    }

    fn terms(&self) -> MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the peer is to be reached, if not as `before`.
    fn moved(&self, before: &Endpoint) -> Option<Endpoint> {
        let terms = self.terms();
        (terms.endpoint != *before).then(|| terms.endpoint.clone())
    }

    /// The state stays whole even if its task panicked: every change is made in one go.
    fn peer(&self) -> MutexGuard<'_, Peer> {
        self.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_all(&self, notes: &[Note]) {
        for note in notes {
            self.tell(note);
        }
    }

    fn tell(&self, note: &Note) {
        let name = self.shown.as_str();
        match note {
            Note::Accepted(alerts) => self.numbers.sent.inc_by(u64::try_from(*alerts).unwrap_or(u64::MAX)),
            Note::Failed { fault, why, is_new } => {
                self.numbers.errors.inc();
                match fault {
                    _ if !is_new => {}
                    Fault::Unauthorized => {
                        tracing::error!(alertmanager = name, why, "{name} refuses our credentials, check them: {why}");
                    }
                    Fault::Unanswered => {
                        tracing::warn!(alertmanager = name, why, "cannot deliver alerts to {name}, trying on: {why}");
                    }
                }
            }
            Note::Refused(why) => {
                self.numbers.errors.inc();
                tracing::debug!(alertmanager = name, why, "{name} refuses a batch of alerts: {why}");
            }
            Note::Recovered => tracing::info!(alertmanager = name, "{name} answers again"),
            Note::Restarted => {
                tracing::info!(alertmanager = name, "{name} was restarted and is told again what is firing");
            }
            Note::Parked { identity, why } => {
                self.numbers.dropped.inc();
                let alert = describe(identity);
                tracing::error!(
                    alertmanager = name,
                    alert,
                    why,
                    "{name} refuses the alert {alert}, which stays undelivered: {why}"
                );
            }
            Note::Skewed(ms) => {
                tracing::warn!(alertmanager = name, skew_ms = ms, "the clock of {name} is off by {ms} ms against ours");
            }
            Note::Evicted(identity) => {
                self.numbers.dropped.inc();
                let alert = describe(identity);
                tracing::error!(alertmanager = name, alert, "too many alerts for {name}: gave up {alert}");
            }
        }
    }
}

/// `{name="value", …}`
fn describe(identity: &Identity) -> String {
    let pairs: Vec<String> = identity.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
