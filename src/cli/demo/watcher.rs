//! The real daemon, as the demo runs it.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::mpsc;

use crate::engine::snapshot::{Effect, Snapshot};

/// The running daemon.
pub struct Watcher {
    effects: mpsc::Receiver<Effect>,
}

impl Watcher {
    /// Starts the daemon with the configuration `text`, listening on `listen`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start(text: String, listen: SocketAddr) -> anyhow::Result<Self> {
        anyhow::bail!("the daemon is not joined yet: {} {listen}", text.len())
    }

    /// Where the daemon serves HTTP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        None
    }

    /// Its latest picture.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Option<Snapshot>> {
        Arc::default()
    }

    /// The next effect; `None` once the daemon has ended.
    pub async fn effect(&mut self) -> Option<Effect> {
        self.effects.recv().await
    }

    /// Stops the daemon.
    pub async fn stop(self) {}
}
