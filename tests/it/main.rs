//! The tests through the door: the crate as its users see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests play the world: they run servers and read its clock")]

mod alertmanager;
mod api;
mod beacon;
mod config;
mod config_command;
mod config_corpus;
mod config_docs;
mod config_schema;
mod config_secrets;
mod custom_rules;
mod daemon;
mod dashboards;
mod demo;
mod discovery;
mod documents;
mod engine;
mod evm;
mod log;
mod metrics;
mod openapi;
mod package;
mod poller;
mod probe;
mod record;
mod reload;
mod replay;
mod rule_tests;
mod runbooks;
mod sample;
mod scripted_node;
mod silences;
mod sim;
mod systemd;
mod tidy;
mod transport;
mod web;
mod web_config;
mod web_guard;
mod web_process;
