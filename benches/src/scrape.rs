//! What a scrape costs: haltwatch's exposition writer beside the libraries and beside copying the ready text.

pub mod door;
mod peers;

use crate::{Scale, report::Report};

/// Measures the writers, then the door.
pub fn run(scale: Scale, report: &mut Report) -> anyhow::Result<()> {
    let _ = (scale, report);
    Ok(())
}
