//! Pushes alerts to every Alertmanager: each has its own bounded state, its own task, its own retries and its own
//! numbers, so that a dead, hanging or slow one never delays another.
//!
//! What is sent and when is decided by a state machine without I/O ([`peer`]); [`courier`] does as it says.

pub mod announcement;
pub mod answer;
pub mod courier;
pub mod desk;
pub mod note;
pub mod numbers;
pub mod peer;
pub mod policy;
pub mod tracked;
pub mod wire;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, mpsc, oneshot};

use self::desk::{Desk, Order};
use super::{own::OwnMetrics, runbook::Runbooks};
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
    /// Labels that whoever makes the notifications adds to them: [`Notification::with_labels`].
    pub external_labels: Labels,
    /// Deadline of one push.
    pub timeout: Duration,
    /// Time between two sendings of an alert that goes on firing.
    pub resend: Duration,
    /// Where a reader of the alert finds us (`generatorURL`).
    pub external_url: Option<String>,
    /// Where the runbooks of alerts are read.
    pub runbooks: Runbooks,
}

/// One announcement: an alert that fires (`ends_at` is `None`) or is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Identity.
    pub labels: Labels,
    /// Texts.
    pub annotations: Vec<(&'static str, String)>,
    /// Wall time at which it began.
    pub starts_at: UnixTime,
    /// Wall time at which it ended.
    pub ends_at: Option<UnixTime>,
}

impl Notification {
    /// The same with the labels of `more` that it does not have itself.
    #[must_use]
    pub fn with_labels(mut self, more: &Labels) -> Self {
        for (name, value) in more {
            if !self.labels.iter().any(|(taken, _)| taken == name) {
                self.labels.push((Arc::clone(name), Arc::clone(value)));
            }
        }
        self
    }
}

/// The way to the running notifier.
#[derive(Debug, Clone)]
pub struct Notifier {
    orders: mpsc::Sender<Order>,
}

impl Notifier {
    /// Puts new settings in force, `None` = no Alertmanager. An Alertmanager that stays keeps its state, one that is new
    /// is told what fires, one that is gone gets a last chance to take what waits for it.
    pub async fn reconfigure(&self, settings: Option<Settings>) {
        let (done, applied) = oneshot::channel();
        if self.orders.send(Order { settings, done }).await.is_ok() {
            // The notifier is gone only in a shutdown.
            let _ = applied.await;
        }
    }
}

/// Starts the notifier. What it is sent it delivers to every peer, and re-sends while it fires. On shutdown it delivers
/// what is pending, at most for [`courier::DRAIN`]; what fires then goes on firing.
///
/// The sender should be dropped when the shutdown begins: the end of the notifications is waited for, but not for long.
pub fn spawn(
    supervisor: &mut Supervisor,
    settings: impl Into<Option<Settings>>,
    clock: Clock,
    notifications: mpsc::Receiver<Notification>,
    own: &OwnMetrics,
    panics: &PanicCounter,
) -> Notifier {
    let (orders, ordered) = mpsc::channel(1);
    let mut desk = Desk::new(notifications, ordered, clock, own.clone(), panics.clone());
    desk.apply(settings.into());
    let (desk, shutdown) = (Arc::new(Mutex::new(desk)), supervisor.shutdown());
    supervisor.spawn("notifications", panics.clone(), move || Desk::run(Arc::clone(&desk), shutdown.clone()));
    Notifier { orders }
}
