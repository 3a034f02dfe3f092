//! What a node's poller and its subscription tell each other: that a poll is worth making now, and the last height.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

use crate::model::Height;

/// The link between one node's poller and its subscription. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    call: Notify,
    height: AtomicU64,
}

impl Pulse {
    /// Asks for an early poll. Calls that come before it is made are one call.
    pub fn call(&self) {
        self.0.call.notify_one();
    }

    /// Completes at the next call, at once if there was one already.
    pub async fn called(&self) {
        self.0.call.notified().await;
    }

    /// Notes the height that a poll has found.
    pub fn saw(&self, height: Height) {
        self.0.height.store(height.0, Ordering::Relaxed);
    }

    /// The height that the last good poll has found; 0 before that.
    #[must_use]
    pub fn height(&self) -> Height {
        Height(self.0.height.load(Ordering::Relaxed))
    }
}
