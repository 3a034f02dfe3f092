//! Text to tree. The parser goes on after most errors, but not after a key without a value: such a line is blanked and
//! the rest parsed again, so that a stray word does not hide what is wrong below it.

use toml::de::{DeTable, Error};

/// Stray words that are blanked; what stands below more of them stays unread.
const MAX_ROUNDS: usize = 16;

/// What the parser says of a key without a value.
const STRAY: &str = "key with no value";

/// `text` without lines that stop the parser, every byte in its place, and the errors of all rounds.
pub(super) fn without_stray_words(text: &str) -> (String, Vec<Error>) {
    let mut text = text.to_owned();
    let mut told = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let errors = DeTable::parse_recoverable(&text).1;
        let stray = errors.iter().find(|error| error.message().starts_with(STRAY)).and_then(Error::span);
        told.extend(errors);
        let Some(span) = stray else { break };
        blank_line(&mut text, span.start);
    }
    (text, told)
}

/// Turns every byte of the line around `at` into a space.
fn blank_line(text: &mut String, at: usize) {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    text.replace_range(start..end, &" ".repeat(end - start));
}
