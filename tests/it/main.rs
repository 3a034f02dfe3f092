//! The tests through the door: the crate as its users see it.

mod tidy;
