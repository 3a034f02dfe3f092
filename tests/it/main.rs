//! The tests through the door: the crate as its users see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod metrics;
mod sample;
mod tidy;
mod web;
