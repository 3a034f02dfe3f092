//! The only spawner of tasks: none dies unseen, all stop together.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

/// How long a task that panicked rests before it is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

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

/// Owns every task of the process.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), stop: watch::Sender::new(false) }
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
    pub fn spawn<F, T>(&mut self, name: &'static str, on_panic: PanicCounter, mut make: F)
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let mut shutdown = self.shutdown();
        self.tasks.spawn(async move {
            loop {
                let panicked = CatchPanic(Box::pin(make())).await;
                if !panicked || shutdown.has_begun() {
                    return;
                }
                on_panic.count();
                tracing::error!(task = name, "task {name} panicked and is started again; please report this");
                tokio::select! {
                    () = tokio::time::sleep(RESTART_PAUSE) => {}
                    () = shutdown.begun() => return,
                }
            }
        });
    }

    /// Tells every task to stop and waits for them, at most for `limit`; what still runs then is cut off.
    ///
    /// Returns whether all of them stopped by themselves.
    pub async fn stop(mut self, limit: Duration) -> bool {
        self.stop.send_replace(true);
        let all_stopped = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(limit, all_stopped).await.is_ok()
    }
}

/// Counts panics of tasks, for the metric `haltwatch_task_panics_total`.
#[derive(Debug, Clone, Default)]
pub struct PanicCounter(Arc<std::sync::atomic::AtomicU64>);

impl PanicCounter {
    fn count(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// Panics so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
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
    use std::sync::atomic::{AtomicU32, Ordering};

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
