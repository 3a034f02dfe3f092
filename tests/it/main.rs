//! The tests through the door: the crate as its users see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests play the world: they run servers and read its clock")]

mod alertmanager;
mod api;
mod config;
mod daemon;
mod demo;
mod engine;
mod evm;
mod log;
mod metrics;
mod package;
mod poller;
mod sample;
mod scripted_node;
mod sim;
mod systemd;
mod tidy;
mod transport;
mod web;
