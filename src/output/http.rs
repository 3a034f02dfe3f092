//! The HTTP server: metrics, API, health and the landing page, all from the latest snapshot.

pub mod negotiate;
pub mod query;
mod reply;
mod route;
mod scrape;
mod seat;
mod server;

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

pub use self::server::{Server, bind};
use super::{own::OwnMetrics, runbook::Runbooks};
use crate::engine::snapshot::Snapshot;

/// What the server needs to know; validated by `config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Whether `POST /-/reload` is allowed.
    pub lifecycle: bool,
    /// Open connections at the most.
    pub max_connections: usize,
}

/// What every handler reads.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The latest picture; `None` inside until the engine has made its first step.
    pub snapshot: Arc<ArcSwap<Option<Snapshot>>>,
    /// The daemon's own numbers.
    pub own: OwnMetrics,
    /// Asks for a reload and waits for its outcome (`Err` = the text for the caller).
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Where the runbooks of alerts are read.
    pub runbooks: Runbooks,
}

/// A request to re-read the configuration; the sender waits for the outcome.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;
