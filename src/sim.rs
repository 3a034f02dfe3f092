//! Simulated networks: a pure model of chains and their misfortunes, and a shell that lets every node of the model
//! answer real JSON-RPC on the loopback. The demo, drills and tests drive the same model; only those that need sockets
//! use the shell.
//!
//! Time in the model is the time since the simulation began; it is always an argument. The shell alone knows clocks.

pub mod draw;

pub mod plan;

pub mod block;
pub mod chain;
pub mod view;

pub mod fault;
pub mod script;
pub mod world;

pub mod beacon;
pub mod bitcoin;
pub mod cometbft;
pub mod fisco_bcos;
mod op_node;
pub mod rpc;
mod sealers;
pub mod substrate;
pub mod tongue;
pub mod websocket;

pub mod devnet;
mod heads;
mod node;
mod turns;

pub use block::Block;
pub use chain::{Chain, Process};
pub use devnet::{Devnet, Pace};
pub use fault::{Fault, Manner};
pub use plan::{Cadence, Member, Plan, Quorum};
pub use script::{Script, Step};
pub use tongue::Tongue;
pub use view::View;
pub use world::World;
