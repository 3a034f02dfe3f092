//! An execution client whose batch is answered by anything, and whose calls all give the same.
#![no_main]

use bytes::Bytes;
use haltwatch::{
    chain::{Family, Particulars, rehearsal::Rehearsal},
    model::{Height, Timestamp},
};
use haltwatch_fuzz::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut rehearsal = Rehearsal::new(Family::Evm, &Particulars::default());
    check(&rehearsal.batch(Timestamp(0), (200, Bytes::copy_from_slice(text.as_bytes()))));
    let result = |id| format!(r#"{{"id":{id},"result":{text}}}"#);
    check(&rehearsal.poll(Timestamp(1), |_, id| (200, result(id).into())));
    let _ = rehearsal.block(Height(7), text);
});
