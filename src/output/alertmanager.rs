//! Pushes alerts to every Alertmanager: each has its own bounded state, its own task, its own retries and its own
//! numbers, so that a dead, hanging or slow one never delays another.
//!
//! What is sent and when is decided by a state machine without I/O ([`peer`]); [`courier`] does as it says.

pub mod announcement;
pub mod answer;
pub mod courier;
pub mod note;
pub mod numbers;
pub mod peer;
pub mod tracked;
pub mod wire;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, mpsc, watch};

use self::{
    announcement::Announcement,
    courier::Courier,
    numbers::Numbers,
    peer::{CAPACITY, MAX_BATCH, Peer, Policy},
};
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
    /// Labels added to every alert that does not have them.
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
    /// Identity, without the external labels; sorted by name.
    pub labels: Labels,
    /// Texts.
    pub annotations: Vec<(&'static str, String)>,
    /// Wall time at which it began.
    pub starts_at: UnixTime,
    /// Wall time at which it ended.
    pub ends_at: Option<UnixTime>,
}

/// How long the end of the notifications is waited for once the shutdown has begun.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Starts the notifier. What it is sent it delivers to every peer, and re-sends while it fires. On shutdown it delivers
/// what is pending, at most for [`courier::DRAIN`]; what fires then goes on firing.
///
/// The sender should be dropped when the shutdown begins: the end of the notifications is waited for, but not for long.
pub fn spawn(
    supervisor: &mut Supervisor,
    settings: Settings,
    clock: Clock,
    notifications: mpsc::Receiver<Notification>,
    own: &OwnMetrics,
    panics: &PanicCounter,
) {
    let inputs_ended = watch::Sender::new(false);
    let policy = Policy {
        resend: settings.resend,
        generator_url: settings.external_url.as_deref().and_then(wire::absolute),
        capacity: CAPACITY,
    };
    let make = |endpoint: &Endpoint| {
        let numbers = Numbers::new(own, endpoint.shown(), policy.capacity);
        Arc::new(Courier::new(endpoint.clone(), Peer::new(policy.clone()), numbers, settings.timeout, clock))
    };
    let couriers: Arc<[Arc<Courier>]> = settings.peers.iter().map(make).collect();
    for courier in couriers.iter() {
        let (courier, shutdown, ended) = (Arc::clone(courier), supervisor.shutdown(), inputs_ended.subscribe());
        supervisor.spawn("alertmanager", panics.clone(), move || {
            let (courier, shutdown, ended) = (Arc::clone(&courier), shutdown.clone(), ended.clone());
            async move { courier.run(shutdown, ended).await }
        });
    }
    let desk = Arc::new(Desk {
        couriers,
        external_labels: settings.external_labels,
        runbooks: settings.runbooks,
        inputs_ended,
    });
    let (notifications, shutdown) = (Arc::new(Mutex::new(notifications)), supervisor.shutdown());
    supervisor.spawn("notifications", panics.clone(), move || {
        let (desk, notifications, mut shutdown) = (Arc::clone(&desk), Arc::clone(&notifications), shutdown.clone());
        async move {
            let mut notifications = notifications.lock().await;
            tokio::select! {
                () = desk.hand_out(&mut notifications) => {}
                () = async { shutdown.begun().await; tokio::time::sleep(LAST_WORDS).await } => {}
            }
            desk.inputs_ended.send_replace(true);
        }
    });
}

/// Hands every notification to every courier, which never makes it wait.
#[derive(Debug)]
struct Desk {
    couriers: Arc<[Arc<Courier>]>,
    external_labels: Labels,
    runbooks: Runbooks,
    inputs_ended: watch::Sender<bool>,
}

impl Desk {
    async fn hand_out(&self, notifications: &mut mpsc::Receiver<Notification>) {
        let mut arrived = Vec::with_capacity(MAX_BATCH);
        while notifications.recv_many(&mut arrived, MAX_BATCH).await != 0 {
            for notification in arrived.drain(..) {
                let announcement = Announcement::new(notification, &self.external_labels, &self.runbooks);
                self.couriers.iter().for_each(|courier| courier.notify(announcement.clone()));
            }
            self.couriers.iter().for_each(|courier| courier.set_out());
        }
    }
}
