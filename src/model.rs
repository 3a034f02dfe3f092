//! The words every other module speaks: time, networks, nodes, blocks, alerts. Plain data, no behaviour beyond naming.

pub mod alert;
pub mod block;
pub mod consensus;
pub mod endpoint;
pub mod metrics_url;
pub mod node;
pub mod planned;
pub mod time;
pub mod trust;

pub use alert::{AlertName, Level, RuleName};
pub use block::{BlockHash, Height};
pub use consensus::{Cadence, FaultTolerance};
pub use endpoint::{Endpoint, EndpointError};
pub use metrics_url::{MetricsUrl, MetricsUrlError};
pub use node::{CanaryIndex, Labels, NetworkIndex, NodeIndex, NodeState, Role, VantageIndex};
pub use planned::{Instant, PlannedHalt};
pub use time::{Now, Timestamp, UnixTime};
pub use trust::Trust;
