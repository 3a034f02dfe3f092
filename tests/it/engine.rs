//! The decision engine through its door: simulated chains, polls and clocks in, alerts out. Time is simulated; a test
//! of a day takes milliseconds.

mod branches;
mod chaos;
mod evidence;
mod halts;
mod heights;
mod life;
mod nodes;
mod reorgs;
mod sight;
mod wake;
mod world;
