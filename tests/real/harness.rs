//! What the scenarios stand on: processes that cannot outlive the run, a small HTTP client, a reader of metrics, and
//! clocks to measure with. Nothing in here knows haltwatch.

pub mod guard;
pub mod http;
pub mod metrics;
pub mod namespace;
pub mod port;
pub mod process;
pub mod recorder;
pub mod relay;
pub mod wait;
pub mod watcher;
