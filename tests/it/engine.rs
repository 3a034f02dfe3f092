//! The decision engine through its door: simulated chains, polls and clocks in, alerts out. Time is simulated; a test
//! of a day takes milliseconds.

mod chaos;
mod consensus;
mod double_sign;
mod evidence;
mod finality;
mod halts;
mod learning;
mod life;
mod nodes;
mod pace;
mod sight;
mod traffic;
mod wake;
mod world;
