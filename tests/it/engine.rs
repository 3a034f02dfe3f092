//! The decision engine through its door: simulated chains, polls and clocks in, alerts out. Time is simulated; a test
//! of a day takes milliseconds.

mod chaos;
mod evidence;
mod figures;
mod halts;
mod life;
mod nodes;
mod sight;
mod wake;
mod world;
