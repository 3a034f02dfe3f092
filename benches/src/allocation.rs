//! Counts allocations, if this was built with the feature `allocations`.

/// What was asked of the allocator.
#[derive(Debug, Clone, Copy)]
pub struct Allocations {
    /// New blocks and blocks that grew.
    pub count: usize,
    /// Bytes in them.
    pub bytes: usize,
}

#[cfg(feature = "allocations")]
mod meter {
    use std::alloc::System;

    use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

    use super::Allocations;

    #[global_allocator]
    static METER: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    /// The allocations made while `work` runs.
    pub fn during(work: impl FnOnce()) -> Option<Allocations> {
        let region = Region::new(METER);
        work();
        let change = region.change();
        Some(Allocations { count: change.allocations + change.reallocations, bytes: change.bytes_allocated })
    }
}

#[cfg(not(feature = "allocations"))]
mod meter {
    use super::Allocations;

    /// Nothing is counted, and `work` does not run.
    pub fn during(_work: impl FnOnce()) -> Option<Allocations> {
        None
    }
}

pub use meter::during;
