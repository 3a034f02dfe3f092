//! Keeps what has been announced over restarts, however the process ends: an alert that fires goes on after the next start
//! with the beginning it had, and one that has cleared meanwhile ends.
//!
//! It is written behind the decision loop, which waits for no disk: what is written is always the newest state, and after
//! the announcements. Whoever dies in between announces once more what was announced already, and an Alertmanager makes
//! one alert of that, for its labels are the same; or goes on with what has ended already, and ends it again. An end that was
//! told to no Alertmanager before we died, because none answered, is not told again: the alert lapses there by its `endsAt`.

mod file;

use std::{path::Path, sync::Arc, time::Duration};

use tokio::sync::watch;

use self::file::AlertFile;
use crate::{
    engine::{
        Engine,
        resume::{About, Announced},
        snapshot::Effect,
    },
    model::Now,
    supervisor::{PanicCounter, Supervisor},
};

/// What could not be written is tried again after this.
const RETRY: Duration = Duration::from_secs(10);

/// Alerts that are told one by one when nothing is left that they are about.
const MAX_TOLD: usize = 20;

/// What is announced and not over.
type Known = Arc<[Announced]>;

/// Where the decision loop says what is announced; without storage nobody listens.
#[derive(Debug)]
pub(super) struct Memory(watch::Sender<Known>);

impl Default for Memory {
    /// A memory that forgets.
    fn default() -> Self {
        Self(watch::Sender::new(Known::default()))
    }
}

/// Starts the keeper of what `storage` holds: where the decision loop says what is announced, and what was when an earlier
/// run ended.
pub(super) fn spawn(
    supervisor: &mut Supervisor,
    storage: Option<&Path>,
    panics: &PanicCounter,
) -> (Memory, Vec<Announced>) {
    let Some(file) = storage.map(AlertFile::inside) else { return <(Memory, Vec<Announced>)>::default() };
    let known = file.read();
    let (sender, mut receiver) = watch::channel(Known::from(known.as_slice()));
    // Written at once: whoever cannot write must hear of it now, not in the first night.
    receiver.mark_changed();
    supervisor.spawn_essential("memory", panics.clone(), keep(file, receiver, panics.clone()));
    (Memory(sender), known)
}

/// Writes the newest state whenever there is one, until the decision loop has ended and its last state is written.
async fn keep(file: AlertFile, mut known: watch::Receiver<Known>, panics: PanicCounter) {
    let mut unwritten = false;
    loop {
        if unwritten {
            // A new state is written at once; else what failed is tried again.
            if let Ok(Err(_)) = tokio::time::timeout(RETRY, known.changed()).await {
                return;
            }
        } else if known.changed().await.is_err() {
            return;
        }
        let newest = Arc::clone(&known.borrow_and_update());
        let written = tokio::task::spawn_blocking({
            let file = file.clone();
            move || file.write(&newest)
        });
        let failure = match written.await {
            Ok(outcome) => outcome.err().map(|error| error.to_string()),
            Err(error) => {
                panics.note("memory", &error);
                Some("writing it failed".to_owned())
            }
        };
        if let Some(why) = failure.as_deref().filter(|_| !unwritten) {
            let path = file.path().display().to_string();
            tracing::warn!(path, "what is announced cannot be kept in {path}, after a restart it is told anew: {why}");
        }
        unwritten = failure.is_some();
    }
}

impl Memory {
    /// Takes note of what `effects` have changed. It never waits.
    pub(super) fn note(&self, engine: &Engine, effects: &[Effect]) {
        let tells = |effect: &Effect| matches!(effect, Effect::Fired(_) | Effect::Raised(_) | Effect::Resolved(_));
        if 0 < self.0.receiver_count() && effects.iter().any(tells) {
            self.keep(engine);
        }
    }

    /// Takes note of what is announced now, if it is something else than before.
    pub(super) fn keep(&self, engine: &Engine) {
        let now = Known::from(engine.announced());
        self.0.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
    }
}

/// A new engine that goes on with what was `known`; says so.
///
/// Nodes that sources have listed are among its settings already: what they listed last was kept beside this.
pub(super) fn resumed(mut engine: Engine, known: &[Announced], now: Now) -> Engine {
    if known.is_empty() {
        return engine;
    }
    let lost = engine.resume(known, now);
    let alerts = engine.announced().len();
    tracing::info!(alerts, lost = lost.len(), "alerts announced before this start that go on: {alerts}");
    for alert in lost.iter().take(MAX_TOLD) {
        let (name, subject) = (&*alert.name, called(&alert.about));
        tracing::warn!(
            alertname = name,
            subject,
            "{name} of {subject} was announced before this start and is about nothing in the configuration: \
             it ends at the Alertmanager when it is told of it no more"
        );
    }
    if MAX_TOLD < lost.len() {
        tracing::warn!("so do {} more", lost.len() - MAX_TOLD);
    }
    engine
}

fn called(about: &About) -> String {
    match about {
        About::Monitor => "the monitor".to_owned(),
        About::Vantage(name) | About::Network(name) => name.to_string(),
        About::Node(network, node) => format!("{network}/{node}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::settings::Settings,
        model::{Level, UnixTime},
        storage::tests::Directory,
    };

    fn known(names: &[&str]) -> Known {
        let announced = |name: &&str| Announced {
            name: Arc::from(*name),
            about: About::Monitor,
            level: Level::L3,
            active_at: UnixTime::from_millis(1),
            fired_at: UnixTime::from_millis(2),
        };
        names.iter().map(announced).collect()
    }

    #[tokio::test]
    async fn the_newest_state_is_written_and_the_last_one_before_the_end() {
        let directory = Directory::new("memory-newest");
        let mut supervisor = Supervisor::default();
        let (memory, before) = spawn(&mut supervisor, Some(&directory.0), &PanicCounter::default());
        assert_eq!(before, []);
        memory.0.send_replace(known(&["A"]));
        memory.0.send_replace(known(&["A", "B"]));
        memory.0.send_replace(known(&["B"]));
        drop(memory);
        assert!(supervisor.stop(Duration::from_secs(5)).await);
        assert_eq!(AlertFile::inside(&directory.0).read(), *known(&["B"]));
    }

    #[tokio::test]
    async fn without_storage_nothing_is_kept_and_nobody_is_disturbed() {
        let (memory, before) = spawn(&mut Supervisor::default(), None, &PanicCounter::default());
        let engine = Engine::new(Arc::new(Settings::default()), Now::default());
        memory.keep(&engine);
        memory.note(&engine, &[]);
        assert_eq!(before, []);
    }
}
