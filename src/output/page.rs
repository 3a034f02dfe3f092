//! The landing page.

use crate::engine::snapshot::Snapshot;

/// The style sheet.
pub const STYLE: &str = "";

/// The page.
#[must_use]
pub fn render(_snapshot: Option<&Snapshot>) -> String {
    String::new()
}
