//! Tells what the engine decided: metrics, API and page from a snapshot, pushes to Alertmanager and log lines from
//! effects.

pub mod alertmanager;
pub mod api;
pub mod build;
pub mod http;
pub mod label;
pub mod log;
pub mod metrics;
pub mod own;
pub mod page;
pub mod probe;
pub mod runbook;
pub mod systemd;
