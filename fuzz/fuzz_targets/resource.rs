//! Resources of REST interfaces under every status: what is taken for one is JSON.
#![no_main]

use bytes::Bytes;
use haltwatch::chain::rehearsal::resource;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|said: (u16, &[u8])| {
    let status = 200 + said.0 % 400;
    let told = resource((status, Bytes::copy_from_slice(said.1)));
    if let Some(told) = told.filter(|_| status < 300) {
        assert!(serde_json::from_str::<&RawValue>(&told).is_ok());
    }
});
