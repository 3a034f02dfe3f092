//! Hands every word to every courier, and knows what fires: an Alertmanager that is added while alerts fire is told of
//! them at once and not at the next change.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::{Mutex, mpsc, oneshot};

use super::{
    Notification, Settings,
    announcement::{Announcement, Identity},
    courier::{Courier, DRAIN, Terms},
    numbers::Numbers,
    peer::{MAX_BATCH, Peer},
    policy::{CAPACITY, Policy},
    wire,
};
use crate::{
    clock::Clock,
    model::Endpoint,
    output::{own::OwnMetrics, runbook::Runbooks},
    supervisor::{PanicCounter, Shutdown, Supervisor, Tether},
};

/// How long the end of the notifications is waited for once the shutdown has begun.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What couriers get beyond [`DRAIN`] to end by themselves.
const SLACK: Duration = Duration::from_millis(500);

/// New settings; `done` is told once they are in force.
#[derive(Debug)]
pub struct Order {
    /// `None` = no Alertmanager.
    pub settings: Option<Settings>,
    /// Told once the settings are in force.
    pub done: oneshot::Sender<()>,
}

/// Where notifications are handed to couriers. All state is here, so that a panic loses the one word in hand at most.
#[derive(Debug)]
pub struct Desk {
    inbox: mpsc::Receiver<Notification>,
    orders: mpsc::Receiver<Order>,
    /// The newest word on every alert that fires: as many as the rules can make fire for the nodes there are.
    firing: BTreeMap<Identity, Announcement>,
    posts: Vec<Post>,
    runbooks: Runbooks,
    couriers: Supervisor,
    clock: Clock,
    own: OwnMetrics,
    panics: PanicCounter,
}

/// One Alertmanager we push to; its courier ends when this is dropped, with a last attempt to deliver what waits.
#[derive(Debug)]
struct Post {
    url: Endpoint,
    /// The value of the label `alertmanager`.
    name: String,
    courier: Arc<Courier>,
    _tether: Tether,
}

impl Desk {
    /// A desk without any Alertmanager.
    #[must_use]
    pub fn new(
        inbox: mpsc::Receiver<Notification>,
        orders: mpsc::Receiver<Order>,
        clock: Clock,
        own: OwnMetrics,
        panics: PanicCounter,
    ) -> Self {
        let (firing, posts, couriers) = (BTreeMap::new(), Vec::new(), Supervisor::default());
        Self { inbox, orders, firing, posts, runbooks: Runbooks::default(), couriers, clock, own, panics }
    }

    /// Works until the shutdown; then hands out the last words and lets the couriers deliver them.
    pub async fn run(desk: Arc<Mutex<Self>>, mut shutdown: Shutdown) {
        let mut desk = desk.lock().await;
        tokio::select! {
            () = desk.work() => {}
            () = async { shutdown.begun().await; tokio::time::sleep(LAST_WORDS).await } => {}
        }
        desk.posts.clear();
        std::mem::take(&mut desk.couriers).stop(DRAIN + SLACK).await;
    }

    async fn work(&mut self) {
        loop {
            tokio::select! {
                biased;
                first = self.inbox.recv() => match first {
                    Some(first) => self.hand_out(first),
                    None => return,
                },
                // What was said before an order is handed out before it.
                Some(Order { settings, done }) = self.orders.recv() => {
                    self.apply(settings);
                    // Whoever gave the order need not wait.
                    let _ = done.send(());
                }
            }
        }
    }

    /// Hands `first` and what waits behind it to every courier, which never makes us wait.
    fn hand_out(&mut self, first: Notification) {
        self.tell_all(first);
        for _ in 1..MAX_BATCH {
            let Ok(next) = self.inbox.try_recv() else { break };
            self.tell_all(next);
        }
        self.posts.iter().for_each(|post| post.courier.set_out());
    }

    fn tell_all(&mut self, notification: Notification) {
        let announcement = Announcement::new(notification, &self.runbooks);
        self.posts.iter().for_each(|post| post.courier.notify(announcement.clone()));
        if announcement.ends_at.is_none() {
            self.firing.insert(Arc::clone(&announcement.identity), announcement);
        } else {
            self.firing.remove(&announcement.identity);
        }
    }

    /// Puts new settings in force: who stays keeps its state, who is new hears what fires, who is gone is forgotten.
    pub fn apply(&mut self, settings: Option<Settings>) {
        let mut before = std::mem::take(&mut self.posts);
        let mut new = Vec::new();
        let runbooks = settings.as_ref().map(|settings| settings.runbooks.clone()).unwrap_or_default();
        let (peers, policy, timeout) = terms(settings);
        for endpoint in peers {
            match before.iter().position(|post| post.url.url() == endpoint.url()) {
                Some(known) => {
                    let post = before.swap_remove(known);
                    post.courier.adapt(policy.clone(), Terms { endpoint, timeout });
                    self.posts.push(post);
                }
                None => new.push(endpoint),
            }
        }
        for gone in before {
            tracing::info!(alertmanager = gone.name, "{} is told no more alerts", gone.name);
            Numbers::forget(&self.own, &gone.name);
        }
        self.link(runbooks);
        for endpoint in new {
            let post = self.open(endpoint, policy.clone(), timeout);
            self.posts.push(post);
        }
    }

    /// What fires is told with the URLs of these runbooks from now on: those of before may open nothing any more.
    fn link(&mut self, runbooks: Runbooks) {
        if self.runbooks == runbooks {
            return;
        }
        for announcement in self.firing.values_mut() {
            *announcement = announcement.clone().linked(&runbooks);
            self.posts.iter().for_each(|post| post.courier.notify(announcement.clone()));
        }
        self.runbooks = runbooks;
    }

    fn open(&mut self, endpoint: Endpoint, policy: Policy, timeout: Duration) -> Post {
        let (name, tether, url) = (self.free_name(&endpoint), Tether::default(), endpoint.clone());
        let numbers = Numbers::new(&self.own, &name, policy.capacity);
        let terms = Terms { endpoint, timeout };
        let courier = Arc::new(Courier::new(name.clone(), terms, Peer::new(policy), numbers, self.clock));
        self.firing.values().for_each(|announcement| courier.notify(announcement.clone()));
        courier.set_out();
        let (runner, shutdown) = (Arc::clone(&courier), tether.shutdown());
        self.couriers.spawn_until(tether.shutdown(), "alertmanager", self.panics.clone(), move || {
            let (courier, shutdown) = (Arc::clone(&runner), shutdown.clone());
            async move { courier.run(shutdown).await }
        });
        Post { url, name, courier, _tether: tether }
    }

    /// What an Alertmanager is called in log and metrics. The path may hold a key and is not shown, so several on one
    /// host and port are numbered.
    fn free_name(&self, endpoint: &Endpoint) -> String {
        let is_free = |name: &String| self.posts.iter().all(|post| post.name != *name);
        let numbered = (2..).map(|number: u32| format!("{} ({number})", endpoint.shown()));
        let mut names = std::iter::once(endpoint.shown().to_owned()).chain(numbered);
        names.find(is_free).unwrap_or_default()
    }
}

fn terms(settings: Option<Settings>) -> (Vec<Endpoint>, Policy, Duration) {
    let (peers, resend, url, timeout) = match settings {
        Some(Settings { peers, resend, external_url, timeout, .. }) => (peers, resend, external_url, timeout),
        None => (Vec::new(), Duration::ZERO, None, Duration::ZERO),
    };
    (peers, Policy { resend, generator_url: url.as_deref().and_then(wire::absolute), capacity: CAPACITY }, timeout)
}
