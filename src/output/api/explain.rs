//! `/api/v1/explain`: why.

use super::{Error, success};
use crate::{engine::snapshot::Snapshot, output::http::query::Query};

/// Why the verdicts are what they are.
pub fn explain(_snapshot: &Snapshot, _query: &Query) -> Result<Vec<u8>, Error> {
    Ok(success(Vec::<u8>::new()))
}
