//! haltwatch watches blockchain nodes and decides whether a network has halted, a node is in trouble, or the monitor
//! itself is blind.
//!
//! The modules stand in the order in which data flows: configuration becomes the settings of components, pollers turn
//! node answers into observations, the pure engine turns observations into verdicts, outputs tell them.

pub mod model;
pub mod observation;

pub mod clock;
pub mod storage;
pub mod supervisor;

pub mod chain;
pub mod config;
pub mod discovery;
pub mod engine;
pub mod output;
pub mod recorder;
pub mod replay;
pub mod ruletest;
pub mod sim;
pub mod transport;

pub mod app;
pub mod cli;
