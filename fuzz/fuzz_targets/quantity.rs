//! Numbers and hashes: what is taken for one is the same when it is written in the usual way.
#![no_main]

use haltwatch::chain::rehearsal::{Hash, Quantity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Ok(quantity) = serde_json::from_slice::<Quantity>(json) {
        let written = format!("\"{:#x}\"", quantity.0);
        assert_eq!(serde_json::from_str::<Quantity>(&written).ok(), Some(quantity));
    }
    if let Ok(hash) = serde_json::from_slice::<Hash>(json) {
        let written = format!("\"{}\"", hash.0);
        assert_eq!(serde_json::from_str::<Hash>(&written).ok(), Some(hash));
    }
});
