//! Numbers, hashes and addresses: what is taken for one is the same when it is written in the usual way.
#![no_main]

use std::fmt::Debug;

use haltwatch::chain::rehearsal::{Address, BareHash, Decimal, Hash, Quantity};
use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;

fuzz_target!(|json: &[u8]| {
    check::<Quantity>(json, |quantity| format!("{:#x}", quantity.0));
    check::<Decimal>(json, |decimal| decimal.0.to_string());
    check::<Hash>(json, |hash| hash.0.to_string());
    check::<BareHash>(json, |hash| hash.0.to_string().split_off(2));
    check::<Address>(json, |address| address.to_string());
});

fn check<T: DeserializeOwned + PartialEq + Debug>(json: &[u8], write: impl Fn(&T) -> String) {
    let Ok(read) = serde_json::from_slice::<T>(json) else { return };
    let written = format!("\"{}\"", write(&read));
    assert_eq!(serde_json::from_str::<T>(&written).ok(), Some(read));
}
