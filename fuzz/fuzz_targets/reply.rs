//! The envelope of JSON-RPC, single and batched: whatever comes, at most the calls that can be made are answered.
#![no_main]

use haltwatch::chain::{adapter::MAX_CALLS, rehearsal::answered};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    assert!(answered(body).is_none_or(|calls| calls <= MAX_CALLS));
});
