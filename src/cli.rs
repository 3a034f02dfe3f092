//! cli: see ARCHITECTURE.md.
pub mod demo;
/// Exit codes.
pub mod exit {
    /// Something outside failed.
    pub const FAILURE: u8 = 1;
}
