//! Text to tree. The parser goes on after most errors, but not after a key without a value: such a line is blanked and
//! the rest parsed again, so that a stray word does not hide what is wrong below it.

use toml::de::{DeTable, Error};

/// Stray words that are blanked; what stands below more of them stays unread.
const MAX_ROUNDS: usize = 16;

/// So many errors are enough to mend: who reads them will check again.
const ENOUGH: usize = 1000;

/// What the parser says of a key without a value.
const STRAY: &str = "key with no value";

/// What the parser says where an array is not closed, and again on every line that follows.
const COMMA: &str = "missing comma between array elements";

/// Whether an error only follows from one before it.
pub(super) fn is_echo(error: &Error, before: &[Error]) -> bool {
    error.message().starts_with(COMMA) && before.iter().any(|before| before.message().starts_with(COMMA))
}

/// What the parser says, in words for people who have never read the grammar, and what would be right.
pub(super) fn told(message: &str) -> (&str, Option<&'static str>) {
    let known = [
        (
            "string values must be quoted",
            "a value is missing, or a text without quotes",
            "write it in straight quotes, like \"text\"",
        ),
        ("missing escaped value", "this is no escape after a backslash", "write \\ as \\\\, or take 'single quotes'"),
        ("invalid key-value pair", "a key must stand here", "write key = value; this is TOML, neither JSON nor YAML"),
        (COMMA, "a comma or the end of the array is missing", "write [\"…\", \"…\"]"),
        ("unclosed table", "the header is not closed", "write [name] or [[name]]"),
        ("unexpected leading zero", "a number does not begin with 0", "leave out the zero, or write it in quotes"),
        ("invalid literal string", "the quote ' is not closed", "write it in straight quotes, like \"text\""),
        ("invalid basic string", "the text in quotes is not right", "close the quote, and write \\ as \\\\"),
        (STRAY, "this is no key with a value", "write key = value, or # before a comment"),
        (
            "duplicate key",
            "this stands here for the second time",
            "remove one; tables of which there are many are written [[network]], above what belongs to them",
        ),
    ];
    let found = known.into_iter().find(|(begins, ..)| message.starts_with(begins));
    found.map_or((message, None), |(_, plain, help)| (plain, Some(help)))
}

/// `text` without lines that stop the parser, every byte in its place, and the errors of all rounds.
pub(super) fn without_stray_words(text: &str) -> (String, Vec<Error>) {
    let mut text = text.to_owned();
    let mut told = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let errors = DeTable::parse_recoverable(&text).1;
        let stray = errors.iter().find(|error| error.message().starts_with(STRAY)).and_then(Error::span);
        told.extend(errors);
        let Some(span) = stray.filter(|_| told.len() < ENOUGH) else { break };
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
