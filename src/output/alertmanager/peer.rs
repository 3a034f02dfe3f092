//! One Alertmanager as a state machine without I/O: it is given notifications, answers and the time, and says what to do
//! next. State is kept per alert, not per event, so an outage of any length costs one entry an alert.
//!
//! - A firing alert is re-sent all the time; an ending is sent until it is accepted and then repeated for a while.
//! - A peer that missed a firing hears of it before it hears of the end, and so does a peer that was restarted in
//!   between: it would otherwise never announce the end (see [`HOLD`](super::tracked::HOLD)). What an earlier run of ours
//!   told and this one did not simply ends.
//! - A refused batch is halved until the alert that spoils it stands alone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    announcement::{Announcement, Identity},
    answer::{Incarnation, Outcome},
    note::{Backlog, Fault, Note},
    policy::Policy,
    tracked::{Form, Tracked},
    wire,
};
use crate::model::{Now, Timestamp, UnixTime};

/// Alerts in one request at the most.
pub const MAX_BATCH: usize = 256;
/// Bytes in one request at the most, unless a single alert is larger.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Pause after the first failure, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The part of `resend` by which a resend may come early to share a request.
const EARLY_PART: u32 = 10;
/// Time between two tries with an alert that is refused.
const SECOND_CHANCE: Duration = Duration::from_mins(5);
/// Shortest time between two questions that nothing but a closed connection calls for: some peers close every one.
const ASK_PAUSE: Duration = Duration::from_secs(10);
/// How far ahead a peer's clock is followed.
const MAX_SKEW: Duration = Duration::from_hours(1);
/// The skew that is worth a warning.
const SKEW_WARNING: Duration = Duration::from_secs(30);
/// How long to rest when there is nothing to do; whoever has something to say wakes the peer.
const IDLE: Duration = Duration::from_mins(1);

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
    /// What the failures were last about.
    fault: Option<Fault>,
    not_before: Timestamp,
    incarnation: Option<Arc<str>>,
    /// The peer has just told its age: the next push may say that an alert is over.
    asked: bool,
    /// The peer may have been restarted since it was last asked.
    ask_wanted: bool,
    /// When it last answered the question.
    told_at: Timestamp,
    /// When one of the parked alerts is tried again, and how often that was done.
    second_chance: (Timestamp, usize),
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
            fault: None,
            not_before: Timestamp(i64::MIN),
            incarnation: None,
            asked: false,
            ask_wanted: true,
            told_at: Timestamp(i64::MIN),
            second_chance: (Timestamp(i64::MIN), 0),
            skew_ms: 0,
        }
    }

    /// Goes on under another policy.
    pub fn adapt(&mut self, policy: Policy, now: Timestamp) {
        let latest = now.after(policy.resend);
        self.alerts.values_mut().for_each(|tracked| tracked.hasten(latest));
        self.policy = policy;
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
        self.give_a_second_chance(now.at);
        let batch = self.batch(now.at);
        if batch.is_empty() {
            let may_ask = self.told_at.after(ASK_PAUSE);
            return match self.ask_wanted && !self.alerts.is_empty() {
                true if may_ask <= now.at => Action::Ask,
                true => self.wait(now.at, may_ask),
                false => self.wait(now.at, Timestamp(i64::MAX)),
            };
        }
        let tells_an_end = batch.iter().any(|sent| sent.form == Form::Resolved);
        if tells_an_end && !self.asked {
            return Action::Ask;
        }
        self.push(batch, now.wall)
    }

    fn wait(&mut self, now: Timestamp, at_most: Timestamp) -> Action {
        self.asked = false;
        Action::Wait(self.next_due(now).min(at_most))
    }

    /// The push of the last [`Action::Push`] ended so. `jitter` is a random number from 0 to 1.
    pub fn pushed(&mut self, now: Now, outcome: Outcome, jitter: f64) -> Vec<Note> {
        let sent = std::mem::take(&mut self.in_flight);
        self.asked = false;
        match outcome {
            Outcome::Accepted => self.accepted(&sent, now.at),
            Outcome::Refused(why) => self.refused(sent, why, now.at),
            Outcome::TooLarge(why) => self.too_large(sent, why, now.at),
            Outcome::Unauthorized(why) => vec![self.back_off(Fault::Unauthorized, why, now.at, jitter)],
            Outcome::Failed(why) => vec![self.back_off(Fault::Unanswered, why, now.at, jitter)],
        }
    }

    /// The question of the last [`Action::Ask`] was answered so. `jitter` is a random number from 0 to 1.
    pub fn told(&mut self, now: Now, incarnation: Incarnation, jitter: f64) -> Vec<Note> {
        let known = match incarnation {
            Incarnation::Failed(why) => return vec![self.back_off(Fault::Unanswered, why, now.at, jitter)],
            Incarnation::Known(known) => Some(known),
            Incarnation::Untold => None,
        };
        let mut notes = self.answered();
        self.asked = true;
        self.ask_wanted = false;
        self.told_at = now.at;
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
        self.asked = false;
    }

    /// No more patience with what failed before: the shutdown has begun, or what made it fail may be mended.
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
            let (starts_at, ends_at) = tracked.span(sent.form, now, self.policy.window(), self.ahead());
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

    fn ahead(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.skew_ms).unwrap_or(0)).min(MAX_SKEW)
    }

    fn accepted(&mut self, sent: &[Sent], now: Timestamp) -> Vec<Note> {
        let mut is_forgiven = false;
        for sent in sent {
            if let Some(tracked) = self.alerts.get_mut(&sent.identity) {
                is_forgiven |= tracked.accept(sent.form, sent.version, now, self.policy.resend);
            }
        }
        if is_forgiven {
            self.alerts.values_mut().for_each(|tracked| tracked.release(now));
        }
        // One of the suspects is wrong, and it is not one of these.
        self.suspects.retain(|suspect| !sent.iter().any(|sent| sent.identity == *suspect));
        let mut notes = self.answered();
        notes.push(Note::Accepted(sent.len()));
        notes
    }

    /// One of `sent` is wrong. Those of the suspects that were not sent are acquitted: they simply go on being due.
    fn refused(&mut self, sent: Vec<Sent>, why: String, now: Timestamp) -> Vec<Note> {
        let mut notes = self.answered();
        notes.push(Note::Refused(why.clone()));
        self.suspects = sent.into_iter().map(|sent| sent.identity).collect();
        if self.suspects.len() == 1 {
            notes.extend(self.suspects.pop().and_then(|alone| self.park(alone, why, now)));
        }
        notes
    }

    /// None of `sent` need be wrong, unless it is alone.
    fn too_large(&mut self, sent: Vec<Sent>, why: String, now: Timestamp) -> Vec<Note> {
        let mut notes = self.answered();
        notes.push(Note::Refused(why.clone()));
        self.suspects.clear();
        self.batch_limit = (sent.len() / 2).max(1);
        if sent.len() == 1 {
            notes.extend(sent.into_iter().next().and_then(|alone| self.park(alone.identity, why, now)));
        }
        notes
    }

    /// Sends nothing more of an alert; worth a note the first time.
    fn park(&mut self, identity: Identity, why: String, now: Timestamp) -> Option<Note> {
        if self.second_chance.0 <= now {
            self.second_chance.0 = now.after(SECOND_CHANCE);
        }
        let is_first = self.alerts.get_mut(&identity)?.park();
        is_first.then_some(Note::Parked { identity, why })
    }

    /// Lets one parked alert go, another each time; should it be accepted, all are let go. It was then not the alerts
    /// that were wrong but the peer, or something in front of it.
    fn give_a_second_chance(&mut self, now: Timestamp) {
        let (at, tries) = self.second_chance;
        if now < at || !self.suspects.is_empty() {
            return;
        }
        let mut parked: Vec<_> = self.alerts.iter_mut().filter(|(_, tracked)| tracked.is_parked()).collect();
        if parked.is_empty() {
            return;
        }
        let (identity, tracked) = parked.swap_remove(tries % parked.len());
        tracked.release(now);
        self.suspects = vec![Arc::clone(identity)];
        self.second_chance = (now.after(SECOND_CHANCE), tries.wrapping_add(1));
    }

    /// The peer is there and deals with us.
    fn answered(&mut self) -> Vec<Note> {
        self.failures = 0;
        if self.fault.take().is_some() { vec![Note::Recovered] } else { Vec::new() }
    }

    fn back_off(&mut self, fault: Fault, why: String, now: Timestamp, jitter: f64) -> Note {
        let (shortest, longest) = BACKOFF;
        let full = shortest.saturating_mul(1 << self.failures.min(8)).min(longest);
        let pause = full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0).max(shortest);
        self.not_before = now.after(pause);
        self.failures = self.failures.saturating_add(1);
        // Whatever made it fail may have been a restart.
        self.disturbed();
        Note::Failed { fault, why, is_new: self.fault.replace(fault) != Some(fault) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        super::{policy::CAPACITY, tracked::HOLD},
        *,
    };
    use crate::output::{alertmanager::Notification, runbook::Runbooks};

    const RESEND: Duration = Duration::from_mins(1);
    const WALL: i64 = 1_795_289_659_000;

    /// A peer, the time, and what a strict Alertmanager would make of its requests.
    struct Bench {
        peer: Peer,
        ms: i64,
        life: u32,
        /// A batch with one of these is refused as a whole, with this status.
        poison: BTreeSet<String>,
        too_many: usize,
        /// `fire a`, `late a`, `end a` in the order of acceptance.
        taken: Vec<String>,
        requests: usize,
        notes: Vec<Note>,
    }

    fn policy() -> Policy {
        Policy { resend: RESEND, generator_url: Some("http://mon:10019/".into()), capacity: CAPACITY }
    }

    impl Bench {
        fn new() -> Self {
            Self {
                peer: Peer::new(policy()),
                ms: 0,
                life: 1,
                poison: BTreeSet::new(),
                too_many: usize::MAX,
                taken: Vec::new(),
                requests: 0,
                notes: Vec::new(),
            }
        }

        fn now(&self) -> Now {
            Now { at: Timestamp(self.ms), wall: UnixTime::from_millis(WALL + self.ms) }
        }

        fn pass(&mut self, time: Duration) {
            self.ms += i64::try_from(time.as_millis()).unwrap();
        }

        fn say(&mut self, name: &str, starts_at: i64, ends_at: Option<i64>) {
            let notification = Notification {
                labels: vec![("alertname".into(), name.into())],
                annotations: vec![("summary", format!("{name} is in trouble."))],
                starts_at: UnixTime::from_millis(WALL + starts_at),
                ends_at: ends_at.map(|ms| UnixTime::from_millis(WALL + ms)),
            };
            let note = self.peer.notify(Announcement::new(notification, &Runbooks::default()), self.now());
            self.notes.extend(note);
        }

        fn fire(&mut self, name: &str) {
            self.say(name, self.ms, None);
        }

        fn end(&mut self, name: &str) {
            self.say(name, 0, Some(self.ms));
        }

        /// The names in a body, and how each alert is told.
        fn read(&self, body: &Bytes) -> Vec<(String, String)> {
            let alerts: Vec<serde_json::Value> = serde_json::from_slice(body).unwrap();
            let read = |alert: &serde_json::Value| {
                let ends_at = humantime::parse_rfc3339(alert["endsAt"].as_str().unwrap()).unwrap();
                let unix = i64::try_from(ends_at.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
                let form = match unix - WALL - self.ms {
                    ..=0 => "end",
                    1..=60_000 => "late",
                    _ => "fire",
                };
                (alert["labels"]["alertname"].as_str().unwrap().to_owned(), form.to_owned())
            };
            alerts.iter().map(read).collect()
        }

        /// Lets the peer work against a healthy Alertmanager until it waits. Returns what was accepted.
        fn deliver(&mut self) -> Vec<String> {
            let before = self.taken.len();
            for _ in 0..10_000 {
                let notes = match self.peer.next(self.now()) {
                    Action::Wait(_) => return self.taken[before..].to_vec(),
                    Action::Ask => {
                        let told = Incarnation::Known(format!("life {}", self.life).into());
                        self.peer.told(self.now(), told, 0.0)
                    }
                    Action::Push(body, count) => self.answer(&body, count),
                };
                self.notes.extend(notes);
            }
            panic!("the peer never rests");
        }

        fn answer(&mut self, body: &Bytes, count: usize) -> Vec<Note> {
            self.requests += 1;
            let alerts = self.read(body);
            assert_eq!(alerts.len(), count);
            let outcome = if self.too_many < count {
                Outcome::TooLarge("too large".into())
            } else if alerts.iter().any(|(name, _)| self.poison.contains(name)) {
                Outcome::Refused("bad".into())
            } else {
                self.taken.extend(alerts.into_iter().map(|(name, form)| format!("{form} {name}")));
                Outcome::Accepted
            };
            self.peer.pushed(self.now(), outcome, 0.0)
        }

        /// One exchange with an Alertmanager that is down. Returns whether there was one.
        fn fail(&mut self) -> bool {
            let notes = match self.peer.next(self.now()) {
                Action::Wait(_) => return false,
                Action::Ask => self.peer.told(self.now(), Incarnation::Failed("refused".into()), 0.0),
                Action::Push(..) => self.peer.pushed(self.now(), Outcome::Failed("refused".into()), 0.0),
            };
            self.notes.extend(notes);
            true
        }

        fn parked(&self) -> Vec<String> {
            let parked = self.notes.iter().filter_map(|note| match note {
                Note::Parked { identity, .. } => Some(identity[0].1.to_string()),
                _ => None,
            });
            parked.collect()
        }
    }

    #[test]
    fn an_alert_is_told_at_once_repeated_while_it_fires_and_ended_at_once() {
        let mut bench = Bench::new();
        bench.fire("a");
        assert_eq!(bench.deliver(), ["fire a"]);
        bench.pass(RESEND / 2);
        assert_eq!(bench.deliver(), [""; 0]);
        bench.pass(RESEND / 2);
        assert_eq!(bench.deliver(), ["fire a"]);
        bench.pass(Duration::from_secs(1));
        bench.end("a");
        assert_eq!(bench.deliver(), ["end a"]);
    }

    #[test]
    fn an_ending_is_repeated_for_five_minutes_and_then_forgotten() {
        let mut bench = Bench::new();
        bench.fire("a");
        bench.deliver();
        bench.end("a");
        let mut told = bench.deliver().len();
        for _ in 0..10 {
            bench.pass(RESEND);
            told += bench.deliver().len();
        }
        assert_eq!(told, 5);
        assert!(bench.peer.alerts.is_empty());
    }

    #[test]
    fn the_end_of_an_alert_lies_far_enough_ahead_to_lose_three_resends() {
        let mut bench = Bench::new();
        bench.fire("a");
        let Action::Push(body, 1) = bench.peer.next(bench.now()) else { panic!() };
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            text.contains(r#""startsAt":"2026-11-21T19:34:19.000Z","endsAt":"2026-11-21T19:39:19.000Z""#),
            "{text}"
        );
        bench.peer.policy.resend = RESEND * 2;
        let Action::Push(body, 1) = bench.peer.next(bench.now()) else { panic!() };
        assert!(String::from_utf8(body.to_vec()).unwrap().contains(r#""endsAt":"2026-11-21T19:42:19.000Z""#));
    }

    #[test]
    fn what_began_and_ended_during_an_outage_is_told_as_fired_then_ended() {
        let mut bench = Bench::new();
        bench.fire("a");
        bench.fail();
        bench.pass(Duration::from_secs(20));
        bench.end("a");
        for _ in 0..100 {
            bench.fail();
            bench.pass(Duration::from_secs(36));
        }
        assert_eq!(bench.deliver(), ["late a"]);
        bench.pass(HOLD / 2);
        assert_eq!(bench.deliver(), [""; 0]);
        bench.pass(HOLD / 2);
        assert_eq!(bench.deliver(), ["end a"]);
        assert_eq!(bench.peer.backlog(), Backlog::default());
    }

    #[test]
    fn an_ending_that_is_corrected_during_its_hold_does_not_keep_the_peer_busy() {
        let mut bench = Bench::new();
        bench.say("a", 0, None);
        bench.say("a", 0, Some(1));
        assert_eq!(bench.deliver(), ["late a"]);
        bench.pass(HOLD / 2);
        bench.say("a", 0, Some(2));
        let Action::Wait(until) = bench.peer.next(bench.now()) else { panic!() };
        assert_eq!(until, Timestamp(0).after(HOLD));
        bench.ms = until.0;
        assert_eq!(bench.deliver(), ["end a"]);
    }

    #[test]
    fn the_end_of_what_only_an_earlier_run_told_calls_nobody_again() {
        let mut bench = Bench::new();
        bench.pass(RESEND);
        bench.end("a");
        assert_eq!(bench.deliver(), ["end a"]);
    }

    #[test]
    fn an_outage_costs_one_entry_an_alert_and_the_newest_state_wins() {
        let mut bench = Bench::new();
        bench.fail();
        for _ in 0..50 {
            bench.pass(Duration::from_secs(30));
            bench.fire("a");
            bench.fail();
            bench.end("a");
        }
        bench.fire("a");
        bench.pass(Duration::from_secs(30));
        assert_eq!(bench.deliver(), ["fire a"]);
    }

    #[test]
    fn a_second_halt_fires_again_after_an_accepted_end() {
        let mut bench = Bench::new();
        bench.fire("a");
        bench.deliver();
        bench.end("a");
        bench.deliver();
        bench.pass(Duration::from_secs(10));
        bench.fire("a");
        assert_eq!(bench.deliver(), ["fire a"]);
        bench.end("a");
        assert_eq!(bench.deliver(), ["end a"]);
    }

    #[test]
    fn a_peer_that_was_restarted_hears_of_the_firing_before_it_hears_of_the_end() {
        let mut bench = Bench::new();
        bench.fire("a");
        bench.fire("b");
        bench.deliver();
        bench.life = 2;
        bench.pass(Duration::from_secs(10));
        bench.end("a");
        let told = bench.deliver();
        assert_eq!(BTreeSet::from_iter(told), BTreeSet::from(["late a".to_owned(), "fire b".to_owned()]));
        assert!(bench.notes.contains(&Note::Restarted));
        bench.pass(HOLD);
        assert!(bench.deliver().contains(&"end a".to_owned()));
    }

    #[test]
    fn a_peer_that_was_restarted_after_an_accepted_end_is_not_made_to_page_again() {
        let mut bench = Bench::new();
        bench.fire("a");
        bench.deliver();
        bench.end("a");
        bench.deliver();
        bench.life = 2;
        bench.peer.disturbed();
        bench.pass(RESEND);
        assert_eq!(bench.deliver(), ["end a"]);
    }

    #[test]
    fn a_peer_that_closes_every_connection_is_not_asked_without_end() {
        let mut bench = Bench::new();
        bench.fire("a");
        bench.deliver();
        bench.peer.disturbed();
        let Action::Wait(until) = bench.peer.next(bench.now()) else { panic!("it was asked just now") };
        assert_eq!(until, Timestamp(0).after(ASK_PAUSE));
        bench.pass(Duration::from_secs(1));
        bench.end("a");
        assert_eq!(bench.deliver(), ["end a"], "what is to be told does not wait");
        bench.peer.disturbed();
        bench.pass(ASK_PAUSE);
        assert_eq!(bench.peer.next(bench.now()), Action::Ask);
    }

    #[test]
    fn a_word_that_comes_while_the_one_before_is_under_way_is_not_lost() {
        let mut bench = Bench::new();
        bench.fire("a");
        let Action::Push(..) = bench.peer.next(bench.now()) else { panic!() };
        bench.pass(Duration::from_secs(1));
        bench.end("a");
        bench.peer.pushed(bench.now(), Outcome::Accepted, 0.0);
        assert_eq!(bench.deliver(), ["end a"]);
        bench.pass(RESEND);
        let Action::Ask = bench.peer.next(bench.now()) else { panic!() };
        bench.peer.told(bench.now(), Incarnation::Untold, 0.0);
        let Action::Push(..) = bench.peer.next(bench.now()) else { panic!() };
        bench.fire("a");
        bench.peer.pushed(bench.now(), Outcome::Accepted, 0.0);
        assert_eq!(bench.deliver(), ["fire a"]);
    }

    #[test]
    fn an_episode_that_passes_while_the_end_of_the_one_before_is_under_way_is_told_too() {
        let mut bench = Bench::new();
        bench.fire("a");
        bench.deliver();
        bench.pass(Duration::from_secs(1));
        bench.end("a");
        let Action::Ask = bench.peer.next(bench.now()) else { panic!() };
        bench.peer.told(bench.now(), Incarnation::Untold, 0.0);
        let Action::Push(..) = bench.peer.next(bench.now()) else { panic!() };
        bench.fire("a");
        bench.pass(Duration::from_secs(1));
        bench.end("a");
        bench.peer.pushed(bench.now(), Outcome::Accepted, 0.0);
        assert_eq!(bench.deliver(), ["late a"]);
        bench.pass(HOLD);
        assert_eq!(bench.deliver(), ["end a"]);
    }

    #[test]
    fn refused_credentials_are_told_even_in_the_middle_of_an_outage() {
        let mut bench = Bench::new();
        bench.fire("a");
        bench.fail();
        bench.pass(Duration::from_secs(1));
        let Action::Push(..) = bench.peer.next(bench.now()) else { panic!() };
        let notes = bench.peer.pushed(bench.now(), Outcome::Unauthorized("401".into()), 0.0);
        assert_eq!(notes, [Note::Failed { fault: Fault::Unauthorized, why: "401".into(), is_new: true }]);
    }

    #[test]
    fn one_bad_alert_of_a_batch_is_found_and_costs_none_of_the_others() {
        for bad in [0, 1, 2, 3, 127, 128, 170, 254, 255] {
            let mut bench = Bench::new();
            let name = |n: usize| format!("a{n:03}");
            (0..MAX_BATCH).for_each(|n| bench.fire(&name(n)));
            bench.poison.insert(name(bad));
            bench.deliver();
            let taken = BTreeSet::from_iter(bench.taken.clone());
            assert_eq!((taken.len(), bench.taken.len()), (MAX_BATCH - 1, MAX_BATCH - 1), "{bad}");
            assert_eq!(bench.parked(), [name(bad)]);
            // One that is refused, eight that halve, one that convicts and one that brings what was left out.
            assert!(bench.requests <= 11, "{bad}: {}", bench.requests);
        }
    }

    #[test]
    fn several_bad_alerts_cost_none_of_the_others_either() {
        let mut bench = Bench::new();
        (0..100).for_each(|n| bench.fire(&format!("a{n:02}")));
        bench.poison.extend(["a00", "a01", "a49", "a50", "a99"].map(str::to_owned));
        bench.deliver();
        assert_eq!(BTreeSet::from_iter(bench.taken.clone()).len(), 95);
        assert_eq!(BTreeSet::from_iter(bench.parked()), bench.poison);
        bench.pass(RESEND);
        let requests = bench.requests;
        bench.deliver();
        assert_eq!(bench.requests, requests + 1, "what is refused is not sent with the others again");
    }

    #[test]
    fn a_peer_that_refused_everything_gets_everything_once_it_has_come_to_its_senses() {
        let mut bench = Bench::new();
        for name in ["a", "b", "c"] {
            bench.fire(name);
            bench.poison.insert(name.to_owned());
        }
        bench.deliver();
        assert_eq!(bench.parked().len(), 3);
        for _ in 0..20 {
            bench.pass(RESEND);
            bench.deliver();
        }
        assert_eq!(bench.parked().len(), 3, "a refusal is told once");
        bench.poison.clear();
        bench.pass(SECOND_CHANCE);
        assert_eq!(BTreeSet::from_iter(bench.deliver()).len(), 3);
    }

    #[test]
    fn a_batch_too_large_for_the_peer_is_made_smaller_and_nobody_is_blamed() {
        let mut bench = Bench::new();
        bench.too_many = 10;
        (0..100).for_each(|n| bench.fire(&format!("a{n:02}")));
        assert_eq!(bench.deliver().len(), 100);
        assert_eq!(bench.parked(), [""; 0]);
    }

    #[test]
    fn no_request_is_larger_than_its_bounds() {
        for (alerts, texts) in [(60, 9), (600, 0)] {
            let mut bench = Bench::new();
            for n in 0..alerts {
                let notification = Notification {
                    labels: vec![("alertname".into(), format!("a{n}").into())],
                    annotations: (0..texts).map(|_| ("description", "x".repeat(4000))).collect(),
                    starts_at: UnixTime::default(),
                    ends_at: None,
                };
                bench.peer.notify(Announcement::new(notification, &Runbooks::default()), bench.now());
            }
            let mut sent = 0;
            while let Action::Push(body, count) = bench.peer.next(bench.now()) {
                assert!(body.len() <= MAX_BODY_BYTES && count <= MAX_BATCH, "{} bytes, {count} alerts", body.len());
                sent += count;
                bench.peer.pushed(bench.now(), Outcome::Accepted, 0.0);
            }
            assert_eq!(sent, alerts);
        }
    }

    #[test]
    fn failures_are_retried_more_and_more_slowly_and_told_once() {
        let mut bench = Bench::new();
        bench.fire("a");
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert!(bench.fail());
            let Action::Wait(until) = bench.peer.next(bench.now()) else { panic!() };
            pauses.push(until.0 - bench.ms);
            bench.ms = until.0;
        }
        assert_eq!(pauses, [1000, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
        let told = bench.notes.iter().filter(|note| matches!(note, Note::Failed { is_new: true, .. })).count();
        assert_eq!(told, 1);
        assert_eq!(bench.deliver(), ["fire a"]);
        assert!(bench.notes.contains(&Note::Recovered));
    }

    #[test]
    fn a_full_peer_gives_up_what_matters_least() {
        let mut bench = Bench::new();
        bench.peer.policy.capacity = 3;
        bench.fire("settled");
        bench.deliver();
        bench.end("settled");
        bench.deliver();
        bench.fire("a");
        bench.fire("b");
        bench.end("b");
        bench.fire("c");
        assert_eq!(bench.notes.iter().filter(|note| matches!(note, Note::Evicted(_))).count(), 0);
        bench.fire("d");
        bench.fire("e");
        let evicted = bench.notes.iter().filter_map(|note| match note {
            Note::Evicted(identity) => Some(identity[0].1.to_string()),
            _ => None,
        });
        assert_eq!(evicted.collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(bench.peer.backlog().waiting, 3);
    }

    #[test]
    fn a_full_peer_does_not_give_up_the_dead_mans_switch() {
        let mut bench = Bench::new();
        bench.peer.policy.capacity = 2;
        bench.fire("Watchdog");
        for name in ["a", "b", "c"] {
            bench.fire(name);
        }
        assert_eq!(bench.deliver(), ["fire Watchdog", "fire c"]);
    }

    #[test]
    fn a_peer_whose_clock_is_ahead_does_not_take_a_firing_alert_for_over() {
        let mut bench = Bench::new();
        assert_eq!(bench.peer.clock_seen(600_000), Some(Note::Skewed(600_000)));
        assert_eq!(bench.peer.clock_seen(600_100), None);
        bench.peer.clock_seen(600_000);
        bench.fire("a");
        let Action::Push(body, 1) = bench.peer.next(bench.now()) else { panic!() };
        assert!(String::from_utf8(body.to_vec()).unwrap().contains(r#""endsAt":"2026-11-21T19:49:19.000Z""#));
        bench.peer.clock_seen(i64::MAX);
        let Action::Push(body, 1) = bench.peer.next(bench.now()) else { panic!() };
        assert!(String::from_utf8(body.to_vec()).unwrap().contains(r#""endsAt":"2026-11-21T20:39:19.000Z""#));
    }

    #[test]
    fn an_alert_never_starts_in_the_future_nor_ends_before_it_starts() {
        let mut bench = Bench::new();
        bench.say("a", 90_000, None);
        let Action::Push(body, 1) = bench.peer.next(bench.now()) else { panic!() };
        assert!(String::from_utf8(body.to_vec()).unwrap().contains(r#""startsAt":"2026-11-21T19:34:19.000Z""#));
        bench.peer.pushed(bench.now(), Outcome::Accepted, 0.0);
        bench.peer.told(bench.now(), Incarnation::Untold, 0.0);
        bench.say("a", 0, Some(-5000));
        let Action::Push(body, 1) = bench.peer.next(bench.now()) else { panic!() };
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            text.contains(r#""startsAt":"2026-11-21T19:34:19.000Z","endsAt":"2026-11-21T19:34:19.001Z""#),
            "{text}"
        );
    }
}
