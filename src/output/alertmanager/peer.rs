//! One Alertmanager as a state machine without I/O: it is given notifications, answers and the time, and says what to do
//! next. State is kept per alert, not per event, so an outage of any length costs one entry an alert.
//!
//! - A firing alert is re-sent all the time; an ending is sent until it is accepted and then repeated for a while.
//! - A peer that missed a firing hears of it before it hears of the end, and so does a peer that was restarted in
//!   between: it would otherwise never announce the end (see [`HOLD`](super::tracked::HOLD)).
//! - A refused batch is halved until the alert that spoils it stands alone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    announcement::{Announcement, Identity},
    answer::{Incarnation, Outcome},
    tracked::{Form, Tracked},
    wire,
};
use crate::model::{Now, Timestamp, UnixTime};

/// Alerts tracked for one peer at the most.
pub const CAPACITY: usize = 10_000;
/// Alerts in one request at the most.
pub const MAX_BATCH: usize = 256;
/// Bytes in one request at the most, unless a single alert is larger.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Pause after the first failure, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How recently the peer must have told its age before it is told that an alert is over.
const FRESH: Duration = Duration::from_secs(1);
/// Shortest validity of a firing alert.
const MIN_WINDOW: Duration = Duration::from_mins(5);
/// Validity of a firing alert in resends: three may be lost.
const WINDOW_RESENDS: u32 = 4;
/// The part of `resend` by which a resend may come early to share a request.
const EARLY_PART: u32 = 10;
/// How far ahead a peer's clock is followed.
const MAX_SKEW: Duration = Duration::from_hours(1);
/// The skew that is worth a warning.
const SKEW_WARNING: Duration = Duration::from_secs(30);
/// How long to rest when there is nothing to do; whoever has something to say wakes the peer.
const IDLE: Duration = Duration::from_mins(1);

/// What is the same for every peer.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Time between two sendings of an alert that goes on.
    pub resend: Duration,
    /// The absolute URI under which a reader of an alert finds us.
    pub generator_url: Option<String>,
    /// Alerts tracked at the most: [`CAPACITY`].
    pub capacity: usize,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Post this body with so many alerts and report with [`Peer::pushed`].
    Push(Bytes, usize),
    /// Ask for the peer's start time and report with [`Peer::told`].
    Ask,
    /// Nothing before this point unless a notification comes.
    Wait(Timestamp),
}

/// What is worth a log line or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// This many alerts were accepted.
    Accepted(usize),
    /// An exchange failed; `first` of an outage.
    Failed {
        /// Why.
        why: String,
        /// Whether the exchange before it was a success.
        first: bool,
    },
    /// The peer refuses our credentials; `first` as above.
    Unauthorized {
        /// What it says.
        why: String,
        /// Whether the exchange before it was a success.
        first: bool,
    },
    /// A batch was refused and is being searched.
    Refused(String),
    /// The first success after failures.
    Recovered,
    /// The peer was restarted and has forgotten what it knew.
    Restarted,
    /// One alert is refused for good.
    Parked {
        /// Which.
        identity: Identity,
        /// What the peer says about it.
        why: String,
    },
    /// The peer's clock is off by more than is good, in milliseconds; positive if it is ahead.
    Skewed(i64),
    /// There was no room: this alert was given up.
    Evicted(Identity),
}

/// What waits for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Alerts whose newest state the peer has not accepted.
    pub waiting: usize,
    /// Since when the oldest of them waits.
    pub oldest: Option<UnixTime>,
}

#[derive(Debug)]
struct Sent {
    identity: Identity,
    form: Form,
    version: u64,
}

/// The state of one peer.
#[derive(Debug)]
pub struct Peer {
    policy: Policy,
    alerts: BTreeMap<Identity, Tracked>,
    versions: u64,
    in_flight: Vec<Sent>,
    /// A refused batch, or what is left of it: at least one of them is wrong. Empty if no search is on.
    suspects: Vec<Identity>,
    batch_limit: usize,
    failures: u32,
    not_before: Timestamp,
    incarnation: Option<Arc<str>>,
    /// When the peer last answered the question for its age.
    asked: Option<Timestamp>,
    /// The peer may have been restarted since it was last asked.
    ask_wanted: bool,
    skew_ms: i64,
}

impl Peer {
    /// A peer that has been told nothing.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            alerts: BTreeMap::new(),
            versions: 0,
            in_flight: Vec::new(),
            suspects: Vec::new(),
            batch_limit: MAX_BATCH,
            failures: 0,
            not_before: Timestamp(i64::MIN),
            incarnation: None,
            asked: None,
            ask_wanted: true,
            skew_ms: 0,
        }
    }

    /// Takes the newest word on an alert.
    pub fn notify(&mut self, announcement: Announcement, now: Now) -> Option<Note> {
        self.versions += 1;
        if let Some(tracked) = self.alerts.get_mut(&announcement.identity) {
            tracked.update(announcement, self.versions, now);
            return None;
        }
        let evicted = if self.policy.capacity <= self.alerts.len() { self.evict() } else { None };
        let identity = Arc::clone(&announcement.identity);
        self.alerts.insert(identity, Tracked::new(announcement, self.versions, now));
        evicted.map(Note::Evicted)
    }

    /// What to do now. Asking twice without an answer in between is harmless: the same is to be done.
    pub fn next(&mut self, now: Now) -> Action {
        self.alerts.retain(|_, tracked| !tracked.is_over(now.at));
        self.in_flight.clear();
        if now.at < self.not_before {
            return Action::Wait(self.not_before);
        }
        let batch = self.batch(now.at);
        if batch.is_empty() {
            let worth_asking = self.ask_wanted && !self.alerts.is_empty();
            return if worth_asking { Action::Ask } else { Action::Wait(self.next_due(now.at)) };
        }
        let tells_an_end = batch.iter().any(|sent| sent.form == Form::Resolved);
        if tells_an_end && !self.asked.is_some_and(|asked| now.at.since(asked) < FRESH) {
            return Action::Ask;
        }
        self.push(batch, now.wall)
    }

    /// The push of the last [`Action::Push`] ended so. `jitter` is a random number from 0 to 1.
    pub fn pushed(&mut self, now: Now, outcome: Outcome, jitter: f64) -> Vec<Note> {
        let sent = std::mem::take(&mut self.in_flight);
        match outcome {
            Outcome::Accepted => self.accepted(&sent, now.at),
            Outcome::Refused(why) => {
                let mut notes = self.answered();
                notes.push(Note::Refused(why.clone()));
                notes.extend(self.refused(sent, why));
                notes
            }
            Outcome::TooLarge(why) => {
                let mut notes = self.answered();
                notes.push(Note::Refused(why.clone()));
                notes.extend(self.too_large(&sent, why));
                notes
            }
            Outcome::Unauthorized(why) => {
                let first = self.back_off(now.at, jitter);
                vec![Note::Unauthorized { why, first }]
            }
            Outcome::Failed(why) => {
                let first = self.back_off(now.at, jitter);
                vec![Note::Failed { why, first }]
            }
        }
    }

    /// The question of the last [`Action::Ask`] was answered so. `jitter` is a random number from 0 to 1.
    pub fn told(&mut self, now: Now, incarnation: Incarnation, jitter: f64) -> Vec<Note> {
        let known = match incarnation {
            Incarnation::Failed(why) => {
                let first = self.back_off(now.at, jitter);
                return vec![Note::Failed { why, first }];
            }
            Incarnation::Known(known) => Some(known),
            Incarnation::Untold => None,
        };
        let mut notes = self.answered();
        self.asked = Some(now.at);
        self.ask_wanted = false;
        let is_another = known.is_some() && self.incarnation.is_some() && known != self.incarnation;
        if is_another {
            self.alerts.values_mut().for_each(|tracked| tracked.forget(now));
            self.batch_limit = MAX_BATCH;
            notes.push(Note::Restarted);
        }
        self.incarnation = known.or(self.incarnation.take());
        notes
    }

    /// The peer's clock was seen to be ahead by so many milliseconds.
    pub fn clock_seen(&mut self, skew_ms: i64) -> Option<Note> {
        let is_off = |skew: i64| SKEW_WARNING.as_millis() < u128::from(skew.unsigned_abs());
        let was_off = is_off(self.skew_ms);
        self.skew_ms = skew_ms;
        (is_off(skew_ms) && !was_off).then_some(Note::Skewed(skew_ms))
    }

    /// The peer closed the connection: it may have gone down.
    pub fn disturbed(&mut self) {
        self.ask_wanted = true;
        self.asked = None;
    }

    /// The shutdown has begun: no more patience with what failed before.
    pub fn hurry(&mut self, now: Timestamp) {
        self.not_before = self.not_before.min(now);
    }

    /// What the peer has not accepted yet.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let waiting = || self.alerts.values().filter_map(Tracked::waiting_since);
        Backlog { waiting: waiting().count(), oldest: waiting().min() }
    }

    /// Nothing can be done for the peer now: what it has not accepted is on hold or refused.
    #[must_use]
    pub fn is_drained(&self, now: Timestamp) -> bool {
        self.alerts.values().all(|tracked| tracked.waiting_since().is_none() || tracked.form(now).is_none())
    }

    /// Gives up the least valuable alert; names it if the peer has not accepted its ending.
    fn evict(&mut self) -> Option<Identity> {
        let least = self.alerts.iter().min_by_key(|(_, tracked)| tracked.value())?;
        let identity = Arc::clone(least.0);
        let tracked = self.alerts.remove(&identity)?;
        (!tracked.is_settled()).then_some(identity)
    }

    /// What to send now: half of the suspects while a search is on, else what is due, in one form of address, the
    /// unheard before the repeated, the older before the newer.
    fn batch(&mut self, now: Timestamp) -> Vec<Sent> {
        let mut suspects = std::mem::take(&mut self.suspects);
        suspects.retain(|identity| self.form(identity, now).is_some());
        self.suspects = suspects;
        if !self.suspects.is_empty() {
            let half = self.suspects.len().div_ceil(2);
            let probe = if self.suspects.len() == 1 { 1 } else { half };
            return self.suspects[..probe].iter().filter_map(|identity| self.sent(identity, now)).collect();
        }
        let mut due = self.due(now);
        due.sort_unstable_by_key(|(tracked, form, _)| {
            (*form == Form::Resolved, tracked.waiting_since().is_none(), tracked.version())
        });
        let first_is_end = due.first().is_some_and(|(_, form, _)| *form == Form::Resolved);
        due.into_iter()
            .take_while(|(_, form, _)| (*form == Form::Resolved) == first_is_end)
            .take(self.batch_limit)
            .map(|(tracked, form, identity)| Sent { identity: Arc::clone(identity), form, version: tracked.version() })
            .collect()
    }

    /// The alerts that are due, and with them those that are nearly due.
    fn due(&self, now: Timestamp) -> Vec<(&Tracked, Form, &Identity)> {
        let sendable =
            || self.alerts.iter().filter_map(|(identity, tracked)| Some((tracked, tracked.form(now)?, identity)));
        if !sendable().any(|(tracked, _, _)| tracked.due() <= now) {
            return Vec::new();
        }
        let horizon = now.after(self.policy.resend / EARLY_PART);
        sendable().filter(|(tracked, _, _)| tracked.due() <= horizon).collect()
    }

    fn next_due(&self, now: Timestamp) -> Timestamp {
        let due = self.alerts.values().filter(|tracked| !tracked.is_parked()).map(Tracked::due).min();
        due.unwrap_or(now.after(IDLE)).max(now).min(now.after(IDLE))
    }

    fn form(&self, identity: &Identity, now: Timestamp) -> Option<Form> {
        self.alerts.get(identity)?.form(now)
    }

    fn sent(&self, identity: &Identity, now: Timestamp) -> Option<Sent> {
        let tracked = self.alerts.get(identity)?;
        Some(Sent { identity: Arc::clone(identity), form: tracked.form(now)?, version: tracked.version() })
    }

    /// Writes as much of `batch` as fits one body.
    fn push(&mut self, batch: Vec<Sent>, now: UnixTime) -> Action {
        let mut body = vec![b'['];
        for sent in batch {
            let Some(tracked) = self.alerts.get(&sent.identity) else { continue };
            let (starts_at, ends_at) = tracked.span(sent.form, now, self.window(), self.ahead());
            let alert = wire::encode(tracked.announcement(), starts_at, ends_at, self.policy.generator_url.as_deref());
            if !self.in_flight.is_empty() {
                if MAX_BODY_BYTES < body.len() + alert.len() + 2 {
                    break;
                }
                body.push(b',');
            }
            body.extend(alert);
            self.in_flight.push(sent);
        }
        body.push(b']');
        Action::Push(body.into(), self.in_flight.len())
    }

    fn window(&self) -> Duration {
        self.policy.resend.saturating_mul(WINDOW_RESENDS).max(MIN_WINDOW)
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.skew_ms).unwrap_or(0)).min(MAX_SKEW)
    }

    fn accepted(&mut self, sent: &[Sent], now: Timestamp) -> Vec<Note> {
        for sent in sent {
            if let Some(tracked) = self.alerts.get_mut(&sent.identity) {
                tracked.accept(sent.form, sent.version, now, self.policy.resend);
            }
        }
        // One of the suspects is wrong, and it is not one of these.
        self.suspects.retain(|suspect| !sent.iter().any(|sent| sent.identity == *suspect));
        let mut notes = self.answered();
        notes.push(Note::Accepted(sent.len()));
        notes
    }

    /// One of `sent` is wrong. Those of the suspects that were not sent are acquitted: they simply go on being due.
    fn refused(&mut self, sent: Vec<Sent>, why: String) -> Option<Note> {
        self.suspects = sent.into_iter().map(|sent| sent.identity).collect();
        if self.suspects.len() != 1 {
            return None;
        }
        let identity = self.suspects.pop()?;
        self.alerts.get_mut(&identity)?.park();
        Some(Note::Parked { identity, why })
    }

    /// None of `sent` need be wrong, unless it is alone.
    fn too_large(&mut self, sent: &[Sent], why: String) -> Option<Note> {
        self.suspects.clear();
        self.batch_limit = (sent.len() / 2).max(1);
        let [alone] = sent else { return None };
        self.alerts.get_mut(&alone.identity)?.park();
        Some(Note::Parked { identity: Arc::clone(&alone.identity), why })
    }

    /// The peer is there and deals with us.
    fn answered(&mut self) -> Vec<Note> {
        let had_failed = std::mem::take(&mut self.failures) != 0;
        if had_failed { vec![Note::Recovered] } else { Vec::new() }
    }

    /// Returns whether this is the first failure of an outage.
    fn back_off(&mut self, now: Timestamp, jitter: f64) -> bool {
        let (shortest, longest) = BACKOFF;
        let full = shortest.saturating_mul(1 << self.failures.min(8)).min(longest);
        let pause = full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0).max(shortest);
        self.not_before = now.after(pause);
        self.failures = self.failures.saturating_add(1);
        // Whatever made it fail may have been a restart.
        self.disturbed();
        self.failures == 1
    }
}
