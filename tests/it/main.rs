//! The tests through the door: the crate as its users see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests play the world: they run servers and read its clock")]

mod alertmanager;
mod config;
mod demo;
mod log;
mod api;
mod metrics;
mod sample;
mod scripted_node;
mod systemd;
mod evm;
mod log;
mod poller;
mod scripted_node;
mod sim;
mod systemd;
mod engine;
mod systemd;
mod tidy;
mod transport;
mod web;
