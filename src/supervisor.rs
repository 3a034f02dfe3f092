//! The only spawner of tasks: none dies unseen, all stop together.

use std::{panic::AssertUnwindSafe, time::Duration};

use prometheus::IntCounter;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

/// How long a task that panicked rests before it is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// How long a task that was cut off may take to end. One that does not even reach an await is given up.
const CUT_OFF: Duration = Duration::from_millis(500);

/// Tells tasks to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Completes when the shutdown has begun, at once if it already has.
    pub async fn begun(&mut self) {
        // A dropped sender means that nobody is left to say so: that is a shutdown too.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }

    /// Whether the shutdown has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }
}

/// Ties tasks together that end before the rest: they are told to stop when it is dropped.
#[derive(Debug)]
pub struct Tether(watch::Sender<bool>);

impl Default for Tether {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Tether {
    /// The signal to hand to a task on this tether.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(self.0.subscribe())
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Owns every task of the process.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    failed: watch::Sender<bool>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), stop: watch::Sender::new(false), failed: watch::Sender::new(false) }
    }
}

impl Supervisor {
    /// The signal to hand to a task.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(self.stop.subscribe())
    }

    /// Runs the task that `make` makes until it returns. A panic is logged and counted by `on_panic`, and the task is
    /// made anew after a pause, unless the shutdown has begun.
    pub fn spawn<F, T>(&mut self, name: &'static str, on_panic: PanicCounter, make: F)
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        self.spawn_until(self.shutdown(), name, on_panic, make);
    }

    /// The same for a task that listens to another `shutdown`, such as that of a [`Tether`].
    pub fn spawn_until<F, T>(&mut self, mut shutdown: Shutdown, name: &'static str, on_panic: PanicCounter, mut make: F)
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        // Tasks come and go as long as the process lives: those that have ended must not pile up.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(async move {
            loop {
                // Making it is part of the work: what panics there must not end the task unseen.
                let panicked = CatchPanic(Box::pin(async { make().await })).await;
                if !panicked || shutdown.has_begun() {
                    return;
                }
                on_panic.0.inc();
                tracing::error!(task = name, "task {name} panicked and is started again; please report this");
                tokio::select! {
                    () = tokio::time::sleep(RESTART_PAUSE) => {}
                    () = shutdown.begun() => return,
                }
            }
        });
    }

    /// Runs a task without which the process is useless. If it panics, [`Self::failure`] completes.
    pub fn spawn_essential(
        &mut self,
        name: &'static str,
        on_panic: PanicCounter,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let failed = self.failed.clone();
        self.tasks.spawn(async move {
            if CatchPanic(Box::pin(task)).await {
                on_panic.0.inc();
                tracing::error!(task = name, "task {name} panicked and cannot be replaced; please report this");
                failed.send_replace(true);
            }
        });
    }

    /// Completes when an essential task has panicked.
    pub fn failure(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut failed = self.failed.subscribe();
        async move {
            if failed.wait_for(|failed| *failed).await.is_err() {
                // The supervisor itself is gone: nothing is left that could fail.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tells every task to stop and waits for them, at most for `limit`; what still runs then is cut off.
    ///
    /// Returns whether all of them stopped by themselves.
    pub async fn stop(mut self, limit: Duration) -> bool {
        self.stop.send_replace(true);
        if tokio::time::timeout(limit, all_ended(&mut self.tasks)).await.is_ok() {
            return true;
        }
        // A task that is cut off goes on to its next await: whoever stops it relies on its being gone.
        self.tasks.abort_all();
        let _ = tokio::time::timeout(CUT_OFF, all_ended(&mut self.tasks)).await;
        false
    }
}

async fn all_ended(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Counts panics of tasks: the counter behind `haltwatch_task_panics_total`.
#[derive(Debug, Clone)]
pub struct PanicCounter(IntCounter);

impl PanicCounter {
    /// Panics so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    /// Logs and counts a panic in work of the task called `name` that is not started again.
    pub fn note(&self, name: &'static str, error: &JoinError) {
        if error.is_panic() {
            self.0.inc();
            tracing::error!(task = name, "work of task {name} panicked; please report this");
        }
    }
}

impl From<IntCounter> for PanicCounter {
    fn from(counter: IntCounter) -> Self {
        Self(counter)
    }
}

impl Default for PanicCounter {
    /// A counter that nobody exports, for tests.
    fn default() -> Self {
        Self(IntCounter::new("task_panics", "Panics of tasks.").expect("the name is constant and valid"))
    }
}

/// Runs a future to its end and tells whether it panicked.
struct CatchPanic<T>(std::pin::Pin<Box<T>>);

impl<T: Future<Output = ()>> Future for CatchPanic<T> {
    type Output = bool;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<bool> {
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(poll) => poll.map(|()| false),
            Err(_) => std::task::Poll::Ready(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_counted_and_started_again() {
        let mut supervisor = Supervisor::default();
        let panics = PanicCounter::default();
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        supervisor.spawn("test", panics.clone(), move || {
            let run = seen.fetch_add(1, Ordering::Relaxed);
            async move { assert!(run != 0, "the first run panics") }
        });
        tokio::time::sleep(RESTART_PAUSE * 2).await;
        assert_eq!((runs.load(Ordering::Relaxed), panics.get()), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_while_it_is_made_is_made_again_too() {
        let mut supervisor = Supervisor::default();
        let panics = PanicCounter::default();
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        supervisor.spawn("test", panics.clone(), move || {
            assert!(seen.fetch_add(1, Ordering::Relaxed) != 0, "the first making panics");
            std::future::ready(())
        });
        tokio::time::sleep(RESTART_PAUSE * 2).await;
        assert_eq!((runs.load(Ordering::Relaxed), panics.get()), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_cut_off_is_gone_when_the_stop_returns() {
        let mut supervisor = Supervisor::default();
        let held = Arc::new(());
        let hold = Arc::clone(&held);
        supervisor.spawn_essential("deaf", PanicCounter::default(), async move {
            std::future::pending::<()>().await;
            drop(hold);
        });
        assert!(!supervisor.stop(Duration::from_secs(1)).await);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_panic_of_an_essential_task_is_a_failure_of_the_whole() {
        let mut supervisor = Supervisor::default();
        let failure = supervisor.failure();
        supervisor.spawn_essential("test", PanicCounter::default(), async { panic!("on purpose") });
        tokio::time::timeout(Duration::from_secs(1), failure).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_of_work_that_is_not_started_again_is_counted_and_a_cut_off_is_none() {
        let panics = PanicCounter::default();
        let mut work = JoinSet::new();
        work.spawn(async { panic!("on purpose") });
        work.spawn(std::future::pending()).abort();
        while let Some(ended) = work.join_next().await {
            panics.note("test", &ended.unwrap_err());
        }
        assert_eq!(panics.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_those_who_listen_and_cuts_off_those_who_do_not() {
        let mut polite = Supervisor::default();
        let shutdown = polite.shutdown();
        polite.spawn("polite", PanicCounter::default(), move || {
            let mut shutdown = shutdown.clone();
            async move { shutdown.begun().await }
        });
        assert!(polite.stop(Duration::from_secs(1)).await);

        let mut deaf = Supervisor::default();
        deaf.spawn("deaf", PanicCounter::default(), std::future::pending);
        assert!(!deaf.stop(Duration::from_secs(1)).await);
    }
}
