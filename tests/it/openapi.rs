//! The API is what its description says.
