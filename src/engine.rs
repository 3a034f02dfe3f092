//! The pure decision engine: observations and time in, effects and a wake-up time out. No I/O, no clock, no async, no
//! log: whoever calls it owns those.

pub mod finding;
pub mod settings;
pub mod snapshot;

use std::sync::Arc;

use self::{
    settings::Settings,
    snapshot::{NetworkView, NodeView, Outcome, Snapshot},
};
use crate::{model::Now, observation::Observation};

/// Everything remembered between steps.
#[derive(Debug)]
pub struct Engine {
    settings: Arc<Settings>,
}

impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>, _now: Now) -> Self {
        Self { settings }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The same engine under new settings: whatever kept its name keeps its memory, what is gone is forgotten and its
    /// alerts resolve.
    #[must_use]
    pub fn reconfigured(self, settings: Arc<Settings>, now: Now) -> (Self, Outcome) {
        (Self::new(settings, now), Outcome::default())
    }

    /// Takes in what was observed up to `now` and decides. Calling it too often, or with nothing new, is harmless.
    pub fn step(&mut self, _now: Now, _observations: &[Observation]) -> Outcome {
        Outcome::default()
    }

    /// The picture at `now`, the time of the last step.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> Snapshot {
        Snapshot {
            taken: now,
            settings: Arc::clone(&self.settings),
            networks: vec![NetworkView::default(); self.settings.networks.len()],
            nodes: vec![NodeView::default(); self.settings.nodes.len()],
            canaries: vec![None; self.settings.canaries.len()],
            isolated_since: None,
            alerts: Vec::new(),
        }
    }
}
