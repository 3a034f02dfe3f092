//! Waiting for things that other processes do.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// Time between two looks where nothing is measured.
const LOOK: Duration = Duration::from_millis(50);

/// Asks `question` every `pause` until it has an answer, at most for `limit`; asks at least once.
pub fn until<T>(limit: Duration, pause: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = question() {
            return Some(answer);
        }
        if end <= Instant::now() {
            return None;
        }
        thread::sleep(pause);
    }
}

/// Waits until `question` is answered with a value, and fails with `what` and the last failure when it never is.
pub fn eventually<T>(what: &str, limit: Duration, mut question: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let mut last = None;
    let answer = until(limit, LOOK, || match question() {
        Ok(answer) => answer,
        Err(error) => {
            last = Some(error);
            None
        }
    });
    let reason = || last.map_or_else(String::new, |error| format!(" (last failure: {error:#})"));
    answer.with_context(|| format!("{what}: not within {limit:?}{}", reason()))
}

/// Lets time pass.
pub fn pass(time: Duration) {
    thread::sleep(time);
}
