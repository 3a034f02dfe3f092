//! One alert as one peer knows it: what we want the peer to believe, and what it has accepted so far.

use std::time::Duration;

use super::announcement::Announcement;
use crate::model::{AlertName, Now, Timestamp, UnixTime};

/// How long a peer must believe that an alert fires before it hears that it is over, if it missed the firing itself.
/// Alertmanager announces nothing that was over when its `group_wait` (30 s by default) ended.
pub const HOLD: Duration = Duration::from_secs(40);
/// The validity of such a late firing. Should we die meanwhile, the alert ends by itself soon after the hold.
pub const LATE_WINDOW: Duration = Duration::from_secs(60);
/// How long an accepted ending is repeated, for a peer that forgets it in a restart.
pub const KEEP_RESOLVED: Duration = Duration::from_secs(300);

/// What the peer believes about the present episode of the alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// It has not accepted the firing.
    Nothing,
    /// It accepted the firing while the alert fired.
    Firing,
    /// It accepted the firing after the end, and must not hear of the end before this point.
    LateFiring(Timestamp),
}

/// How an alert is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// It fires.
    Firing,
    /// It is over, but the peer must first learn that it fired.
    LateFiring,
    /// It is over.
    Resolved,
}

/// The delivery state of one alert at one peer.
#[derive(Debug)]
pub struct Tracked {
    announcement: Announcement,
    /// Grows with every change of the wanted state, over all alerts of the peer: identity of the state and its age.
    version: u64,
    /// The version in which the present, or last, episode began.
    episode: u64,
    heard: Heard,
    /// When it is to be sent next.
    due: Timestamp,
    /// When the peer accepted the wanted state.
    accepted: Option<Timestamp>,
    /// Since when the peer lags behind what we want it to believe.
    waiting_since: UnixTime,
    /// The peer refuses it: nothing is sent until the state changes or it gets a second chance.
    parked: bool,
    /// The peer has refused it and not accepted it since.
    was_refused: bool,
}

impl Tracked {
    /// An alert of which the peer knows nothing. The end of one that we never announced is that of an alert an earlier run
    /// told: the peer knows it, or has ended it by itself and must not call anybody again.
    #[must_use]
    pub fn new(announcement: Announcement, version: u64, now: Now) -> Self {
        let heard = if announcement.ends_at.is_some() { Heard::Firing } else { Heard::Nothing };
        Self {
            announcement,
            version,
            episode: version,
            heard,
            due: now.at,
            accepted: None,
            waiting_since: now.wall,
            parked: false,
            was_refused: false,
        }
    }

    /// Takes the newest word. A new text alone waits for the next resend, an ending that was delivered stays as it is.
    pub fn update(&mut self, newest: Announcement, version: u64, now: Now) {
        if newest == self.announcement || (self.is_settled() && newest.ends_at.is_some()) {
            return;
        }
        let is_new_text_only = newest.ends_at.is_none() && self.is_firing() && newest.starts_at == self.starts_at();
        if is_new_text_only {
            self.announcement = newest;
            return;
        }
        if self.is_settled() {
            self.heard = Heard::Nothing;
        }
        self.announcement = newest;
        self.version = version;
        if self.is_firing() {
            self.episode = version;
        }
        self.expect_acceptance(now);
    }

    /// The peer has forgotten everything it was told, except the endings it has dealt with.
    pub fn forget(&mut self, now: Now) {
        if !self.is_settled() {
            self.heard = Heard::Nothing;
            self.expect_acceptance(now);
        }
    }

    fn expect_acceptance(&mut self, now: Now) {
        if self.accepted.take().is_some() {
            self.waiting_since = now.wall;
        }
        self.parked = false;
        self.due = now.at;
    }

    /// What to tell now if anything, whether or not it is due.
    #[must_use]
    pub fn form(&self, now: Timestamp) -> Option<Form> {
        match (self.parked, self.is_firing(), self.heard) {
            (true, _, _) => None,
            (false, true, _) => Some(Form::Firing),
            (false, false, Heard::Nothing) => Some(Form::LateFiring),
            (false, false, Heard::LateFiring(until)) if now < until => None,
            (false, false, _) => Some(Form::Resolved),
        }
    }

    /// The peer accepted `form`, sent when the state was `version`. Returns whether it had refused the alert before.
    pub fn accept(&mut self, form: Form, version: u64, now: Timestamp, resend: Duration) -> bool {
        let is_current = version == self.version;
        match form {
            Form::Firing => self.heard = Heard::Firing,
            Form::LateFiring => self.heard = Heard::LateFiring(now.after(HOLD)),
            // Another episode began meanwhile: the peer has heard only of the one before.
            Form::Resolved if version < self.episode => self.heard = Heard::Nothing,
            Form::Resolved => {}
        }
        match form {
            Form::LateFiring if is_current => self.due = now.after(HOLD),
            Form::Firing | Form::Resolved if is_current => {
                self.accepted = self.accepted.or(Some(now));
                self.due = now.after(resend);
            }
            _ => self.due = now,
        }
        std::mem::take(&mut self.was_refused)
    }

    /// The peer refuses it. Returns whether that is new.
    pub fn park(&mut self) -> bool {
        self.parked = true;
        !std::mem::replace(&mut self.was_refused, true)
    }

    /// Sends it again at `latest`, if not before.
    pub fn hasten(&mut self, latest: Timestamp) {
        self.due = self.due.min(latest);
    }

    /// Tries it again if it was parked.
    pub fn release(&mut self, now: Timestamp) {
        if std::mem::take(&mut self.parked) {
            self.due = now;
        }
    }

    /// Whether the peer refuses it.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.parked
    }

    /// Start and end to tell in `form`: `window` is the validity of a firing, `ahead` what the peer's clock is ahead.
    #[must_use]
    pub fn span(&self, form: Form, now: UnixTime, window: Duration, ahead: Duration) -> (UnixTime, UnixTime) {
        let starts_at = self.starts_at().min(now);
        let ends_at = match form {
            Form::Firing => now.after(window).after(ahead),
            Form::LateFiring => now.after(LATE_WINDOW).after(ahead),
            // An end that is not after the start would be refused.
            Form::Resolved => {
                self.announcement.ends_at.unwrap_or(now).min(now).max(starts_at.after(Duration::from_millis(1)))
            }
        };
        (starts_at, ends_at)
    }

    /// Nothing is left to be told: the ending was accepted long enough ago.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        !self.is_firing() && self.accepted.is_some_and(|accepted| KEEP_RESOLVED <= now.since(accepted))
    }

    /// The peer has accepted the ending.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.is_firing() && self.accepted.is_some()
    }

    /// The wanted state waits for the peer to accept it, since this wall time.
    #[must_use]
    pub fn waiting_since(&self) -> Option<UnixTime> {
        (!self.parked && self.accepted.is_none()).then_some(self.waiting_since)
    }

    /// How gladly it is given up when there are too many, and its age: the smallest goes first.
    #[must_use]
    pub fn value(&self) -> (u8, u64) {
        let class = match (self.is_settled(), self.parked, self.is_firing()) {
            (true, _, _) => 0,
            (_, true, _) => 1,
            (_, _, false) => 2,
            // Always the oldest of all, and its silence is a page.
            (_, _, true) if self.is_dead_mans_switch() => 4,
            (_, _, true) => 3,
        };
        (class, self.version)
    }

    /// The newest word.
    #[must_use]
    pub fn announcement(&self) -> &Announcement {
        &self.announcement
    }

    /// The version of the wanted state.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it is to be sent next; an ending not before its hold is over.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        match self.heard {
            Heard::LateFiring(until) if !self.is_firing() => self.due.max(until),
            _ => self.due,
        }
    }

    /// Whether the alert fires.
    #[must_use]
    pub fn is_firing(&self) -> bool {
        self.announcement.ends_at.is_none()
    }

    fn is_dead_mans_switch(&self) -> bool {
        let name = AlertName::Watchdog.as_str();
        self.announcement.identity.iter().any(|(label, value)| &**label == "alertname" && &**value == name)
    }

    fn starts_at(&self) -> UnixTime {
        self.announcement.starts_at
    }
}
