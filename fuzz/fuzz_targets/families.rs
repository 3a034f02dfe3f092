//! The adapter of every family over four polls. Three bytes choose the family, its variant and the time between two polls,
//! counted from the digit `0` so that they can be written by hand; the rest is text, the answers of the node. Its lines
//! answer the calls in the order of the adapter's table, and a line `---` parts what is said in one poll from what is said
//! in the next. A line that begins with `!` is an error of the node.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use haltwatch::{
    chain::{
        Family, Particulars, Profile,
        adapter::{MAX_CALLS, Question},
        rehearsal::{Line, Rehearsal},
    },
    model::{Height, Timestamp},
};
use haltwatch_fuzz::check;
use libfuzzer_sys::fuzz_target;

const POLLS: usize = 4;

/// Times between two polls, in seconds: within every pace, between them, and beyond them all.
const STEPS: [u64; 5] = [1, 12, 65, 601, 90_000];

fuzz_target!(|said: &[u8]| {
    let [family, variant, step, text @ ..] = said else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let family = Family::ALL[place(*family, Family::ALL.len())];
    let variants: Vec<_> = Profile::variants(family).collect();
    let variant = place(*variant, variants.len() + 1).checked_sub(1).map(|position| variants[position]);
    let step = Duration::from_secs(STEPS[place(*step, STEPS.len())]);
    let particulars = Particulars { variant, group: Some("1".into()), ..Particulars::default() };
    let mut rehearsal = Rehearsal::new(family, &particulars);
    let mut now = Timestamp(0);
    let parts = text.strip_prefix('\n').unwrap_or(text).split("---\n");
    for part in parts.cycle().take(POLLS) {
        let lines: Vec<_> = part.lines().take(MAX_CALLS).collect();
        let outcome =
            rehearsal.poll(now, |question, id| answer(question, id, lines.get(id - 1).copied().unwrap_or_default()));
        check(&outcome);
        for line in lines {
            let _ = rehearsal.block(Height(7), line);
        }
        now = now.after(step);
    }
});

fn place(byte: u8, places: usize) -> usize {
    usize::from(byte.wrapping_sub(b'0')) % places
}

fn answer(question: &Question, id: usize, line: &str) -> Line {
    let (status, body) = match (question, line.strip_prefix('!')) {
        (Question::Rpc { .. }, None) => (200, format!(r#"{{"id":{id},"result":{line}}}"#)),
        (Question::Rpc { .. }, Some(error)) => (200, format!(r#"{{"id":{id},"error":{error}}}"#)),
        (Question::Get { .. }, None) => (200, line.to_owned()),
        (Question::Get { .. }, Some(error)) => (503, error.to_owned()),
    };
    (status, Bytes::from(body))
}
