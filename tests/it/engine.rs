//! The decision engine through its door: simulated chains, polls and clocks in, alerts out. Time is simulated; a test
//! of a day takes milliseconds.

mod branches;
mod cadences;
mod chaos;
mod clocks;
mod consensus;
mod custom;
mod double_sign;
mod evidence;
mod figures;
mod finality;
mod flaps;
mod halts;
mod heights;
mod identities;
mod learning;
mod life;
mod nodes;
mod pace;
mod plans;
mod power;
mod quorum;
mod reorgs;
mod restarts;
mod resumed;
mod sight;
mod silences;
mod traffic;
mod vantages;
mod wake;
pub mod world;
