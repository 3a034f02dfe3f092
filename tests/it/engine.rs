//! The decision engine through its door: simulated chains, polls and clocks in, alerts out. Time is simulated; a test
//! of a day takes milliseconds.

mod cadences;
mod chaos;
mod clocks;
mod evidence;
mod flaps;
mod halts;
mod identities;
mod life;
mod nodes;
mod plans;
mod quorum;
mod sight;
mod vantages;
mod wake;
mod world;
