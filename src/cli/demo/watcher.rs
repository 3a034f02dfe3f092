//! The real daemon, as the demo runs it: configured by a text, with nothing left out.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::mpsc;

use crate::{
    app::{Daemon, Options, RELOAD_PAUSE},
    config::Source,
    engine::snapshot::{Effect, Snapshot},
    output::{http, own::OwnMetrics, systemd::Systemd},
};

/// The running daemon and what it tells.
pub struct Watcher {
    daemon: Daemon,
    effects: mpsc::Receiver<Effect>,
}

impl Watcher {
    /// Starts the daemon with the configuration `text`, listening on `listen`.
    ///
    /// # Errors
    /// If it cannot listen there; the configuration is our own and good.
    pub fn start(text: String, listen: SocketAddr) -> anyhow::Result<Self> {
        let options = Options {
            source: Source::Text(text),
            web: http::Overrides { listen: vec![listen], ..http::Overrides::default() },
            own: OwnMetrics::new(),
            storage: None,
            reload_pause: RELOAD_PAUSE,
            systemd: Systemd::default(),
        };
        let mut daemon = Daemon::start(options)?;
        let effects = daemon.effects();
        Ok(Self { daemon, effects })
    }

    /// Where the daemon serves HTTP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.daemon.addresses().first().copied()
    }

    /// Its latest picture.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Option<Snapshot>> {
        self.daemon.snapshot()
    }

    /// The next effect; `None` once the daemon has ended.
    pub async fn effect(&mut self) -> Option<Effect> {
        self.effects.recv().await
    }

    /// Stops the daemon.
    pub async fn stop(self) {
        self.daemon.stop().await;
    }
}
