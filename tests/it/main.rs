//! The tests through the door: the crate as its users see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alertmanager;
mod log;
mod scripted_node;
mod systemd;
mod tidy;
