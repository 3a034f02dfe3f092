//! The HTTP server: metrics, API, health and the landing page, all from the latest snapshot.

mod door;
mod guard;
mod listen;
pub mod negotiate;
mod paths;
mod probe;
pub mod query;
mod reply;
mod route;
mod scrape;
mod sd;
mod seat;
mod server;
mod settings;
mod silence;
pub mod web_config;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

pub use self::{
    listen::parse_address,
    paths::parse_path,
    probe::{ProbeRefusal, ProbeRequest},
    server::{Server, bind},
    settings::{Overrides, Settings},
};
use super::{api::silences::SilenceRequest, own::OwnMetrics, runbook::Runbooks};
use crate::engine::snapshot::Snapshot;

/// What every handler reads.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The latest picture; `None` inside until the engine has made its first step.
    pub snapshot: Arc<ArcSwap<Option<Snapshot>>>,
    /// The daemon's own numbers.
    pub own: OwnMetrics,
    /// Asks for a reload and waits for its outcome (`Err` = the text for the caller).
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Asks for a probe of a node and waits for its report.
    pub probe: mpsc::Sender<ProbeRequest>,
    /// Asks for silences of people, or for a change of them.
    pub silences: mpsc::Sender<SilenceRequest>,
    /// Where the runbooks of alerts are read.
    pub runbooks: Arc<ArcSwap<Runbooks>>,
}

/// A request to re-read the configuration; the sender waits for the outcome.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;
