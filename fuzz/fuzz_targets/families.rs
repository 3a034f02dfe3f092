//! The adapter of every family: the first byte chooses it, every line after it is the answer to one call, over and over,
//! for three polls.
#![no_main]

use bytes::Bytes;
use haltwatch::{
    chain::{Family, Particulars, Profile, adapter::Question, rehearsal::Rehearsal},
    model::{Height, Timestamp},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|said: (u8, u8, &str)| {
    let (family, variant, text) = said;
    let family = Family::ALL[usize::from(family) % Family::ALL.len()];
    let variants: Vec<_> = Profile::variants(family).collect();
    let variant = variants.get(usize::from(variant) % (variants.len() + 1)).copied();
    let particulars = Particulars { variant, group: Some("1".into()), ..Particulars::default() };
    let mut rehearsal = Rehearsal::new(family, &particulars);
    let mut lines = text.lines().cycle();
    for poll in 0..3 {
        let _ = rehearsal.poll(Timestamp(poll * 3_600_000), |question, id| {
            let line = lines.next().unwrap_or_default();
            let body = match question {
                Question::Rpc { .. } => format!(r#"{{"id":{id},"result":{line}}}"#),
                Question::Get { .. } => line.to_owned(),
            };
            (200, Bytes::from(body))
        });
        let _ = rehearsal.block(Height(7), lines.next().unwrap_or_default());
    }
});
