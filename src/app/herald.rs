//! Announces what the engine decided, and remembers under which labels: an alert must end under the very labels it was
//! announced with, or the one announced would go on for ever. A reload can change labels in the middle of an alert's
//! life, and an alert that gets louder changes its own.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::mpsc;

use super::journal;
use crate::{
    engine::{
        finding::Finding,
        settings::Settings,
        snapshot::{Alert, Effect, QuietChange, Snapshot, Subject},
    },
    model::{AlertName, Labels, NetworkIndex, Now},
    output::{
        alertmanager::Notification,
        own::{OwnMetrics, Queue},
    },
};

/// What makes an alert the same before and after a reload: its name and that of its network and node, if it has them.
type Identity = (AlertName, Option<Arc<str>>, Option<Arc<str>>);

/// The way to the notifier.
#[derive(Debug)]
pub(super) struct Herald {
    queue: mpsc::Sender<Notification>,
    /// Labels on every announcement that does not have them itself.
    external_labels: Labels,
    /// Everything announced that is not over.
    told: BTreeMap<Identity, Notification>,
}

impl Herald {
    pub(super) fn new(queue: mpsc::Sender<Notification>, external_labels: Labels) -> Self {
        Self { queue, external_labels, told: BTreeMap::new() }
    }

    /// Remembers what was announced before this start, and tells nobody.
    pub(super) fn remember(&mut self, snapshot: &Snapshot) {
        for alert in snapshot.alerts.iter().filter(|alert| alert.finding == Finding::Resumed) {
            let told = self.notification(&snapshot.settings, alert);
            self.told.insert(identity(&snapshot.settings, alert), told);
        }
    }

    /// Announces once more what was announced before this start and has not been judged yet: whoever was told of it is
    /// told that it goes on.
    pub(super) async fn resume(&mut self, snapshot: &Snapshot, now: Now) {
        let unjudged = |alert: &&Alert| alert.finding == Finding::Resumed && alert.clear_since.is_none();
        for alert in snapshot.alerts.iter().filter(unjudged) {
            self.announce(&snapshot.settings, &Effect::Fired(alert.clone()), now).await;
        }
    }

    /// Announces an effect, told under `settings`, if it is to be announced.
    pub(super) async fn announce(&mut self, settings: &Settings, effect: &Effect, now: Now) {
        let Some(alert) = about(effect) else { return };
        let mut notification = self.notification(settings, alert);
        let identity = identity(settings, alert);
        if notification.ends_at.is_none() {
            let quieter = self.told.insert(identity, notification.clone());
            let quieter = quieter.filter(|told| told.labels != notification.labels);
            // The louder one goes first: at no time is nothing told.
            self.send(notification).await;
            if let Some(quieter) = quieter {
                self.send(Notification { ends_at: Some(now.wall), ..quieter }).await;
            }
            return;
        }
        if let Some(told) = self.told.remove(&identity) {
            notification.labels = told.labels;
        }
        self.send(notification).await;
    }

    /// Ends the alerts that go on under other labels than they were announced with, and announces them under these.
    /// `external_labels` replace those that were in force, if given.
    pub(super) async fn relabel(&mut self, external_labels: Option<Labels>, snapshot: &Snapshot, now: Now) {
        self.external_labels = external_labels.unwrap_or(std::mem::take(&mut self.external_labels));
        for alert in &snapshot.alerts {
            let identity = identity(&snapshot.settings, alert);
            let Some(told) = self.told.get(&identity) else { continue };
            let announced = self.notification(&snapshot.settings, alert);
            if announced.labels == told.labels {
                continue;
            }
            let before = self.told.insert(identity, announced.clone());
            if let Some(before) = before {
                self.send(Notification { ends_at: Some(now.wall), ..before }).await;
            }
            self.send(announced).await;
        }
    }

    /// Shows how full the queue is.
    pub(super) fn show(&self, own: &OwnMetrics) {
        own.queue_holds(Queue::Notifications, self.queue.max_capacity() - self.queue.capacity());
    }

    fn notification(&self, settings: &Settings, alert: &Alert) -> Notification {
        journal::notification(settings, alert).with_labels(&self.external_labels)
    }

    async fn send(&self, notification: Notification) {
        if self.queue.send(notification).await.is_err() {
            tracing::error!("the notifier is gone, an announcement is lost");
        }
    }
}

/// The alert an effect tells of, or whose text it renews.
fn about(effect: &Effect) -> Option<&Alert> {
    match effect {
        Effect::Fired(alert)
        | Effect::Raised(alert)
        | Effect::Resolved(alert)
        | Effect::Quiet(alert, QuietChange::FoundAgain) => Some(alert),
        Effect::Quiet(..) | Effect::NodeState { .. } => None,
    }
}

fn identity(settings: &Settings, alert: &Alert) -> Identity {
    let network = |index: NetworkIndex| Some(Arc::clone(&settings.networks[index.index()].name));
    match alert.key.subject {
        Subject::Monitor => (alert.key.name, None, None),
        // Networks have other alerts than vantages: their names do not meet.
        Subject::Vantage(vantage) => (alert.key.name, settings.vantages.get(vantage.index()).cloned(), None),
        Subject::Network(index) => (alert.key.name, network(index), None),
        Subject::Node(index) => {
            let node = &settings.nodes[index.index()];
            (alert.key.name, network(node.network), Some(Arc::clone(&node.name)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{
            Engine,
            resume::{About, Announced},
        },
        model::{Level, UnixTime},
    };

    #[tokio::test]
    async fn an_alert_from_before_is_told_again_only_if_nobody_knows_yet_whether_it_is_over() {
        let began = UnixTime::from_millis(1_795_000_000_000);
        let now = Now { wall: UnixTime::from_millis(1_795_000_060_000), ..Now::default() };
        let known = Announced {
            name: "MonitorClockJump".into(),
            about: About::Monitor,
            level: Level::L3,
            active_at: began,
            fired_at: began,
        };
        let mut engine = Engine::new(Arc::default(), now);
        assert_eq!(engine.resume(&[known], now), []);
        let mut picture = engine.snapshot(now);
        let (queue, mut told) = mpsc::channel(4);
        let mut herald = Herald::new(queue, Labels::new());
        herald.remember(&picture);
        assert!(told.try_recv().is_err());
        picture.alerts[0].clear_since = Some(now.wall);
        herald.resume(&picture, now).await;
        assert!(told.try_recv().is_err(), "nobody is called once more for what has cleared");
        picture.alerts[0].clear_since = None;
        herald.resume(&picture, now).await;
        assert_eq!(told.try_recv().unwrap().starts_at, began);

        let louder = Alert { level: Level::L2, ..picture.alerts[0].clone() };
        herald.announce(&picture.settings, &Effect::Raised(louder), now).await;
        let ends: Vec<_> = [told.try_recv().unwrap(), told.try_recv().unwrap()].map(|it| it.ends_at).into();
        assert_eq!(ends, [None, Some(now.wall)], "the quieter one ends");
    }
}
