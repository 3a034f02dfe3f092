//! Resources of REST interfaces under every status: what is taken for one is JSON. The first byte chooses the status, counted
//! from the digit `0` so that it can be written by hand; the rest is the body.
#![no_main]

use bytes::Bytes;
use haltwatch::chain::rehearsal::resource;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

const STATUSES: [u16; 10] = [200, 206, 302, 400, 401, 404, 429, 500, 503, 599];

fuzz_target!(|said: &[u8]| {
    let Some((status, body)) = said.split_first() else { return };
    let status = STATUSES[usize::from(status.wrapping_sub(b'0')) % STATUSES.len()];
    let told = resource((status, Bytes::copy_from_slice(body)));
    if let Some(told) = told.filter(|_| status < 300) {
        assert!(serde_json::from_str::<&RawValue>(&told).is_ok());
    }
});
