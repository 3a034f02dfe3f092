//! Series in short: what a node says poll after poll. `100+1x120 220x60` counts from 100 to 219 and then says 220 sixty
//! times; `ok x30 timeout x20` is thirty good answers and twenty failures. A count may be a time: `x2m`. What is said
//! last goes on.

use std::time::Duration;

/// Pieces of one series.
const MAX_PIECES: usize = 10_000;

/// Longest piece.
const MAX_COUNT: u64 = 1_000_000;

/// Numbers, poll after poll.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers(Vec<Piece<Option<Run>>>);

/// Words with a meaning, poll after poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<T>(Vec<Piece<T>>);

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece<T> {
    what: T,
    count: u64,
}

/// Numbers that grow or shrink evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    start: i128,
    step: i128,
}

impl Numbers {
    /// Reads a series with a value `every` so often.
    ///
    /// # Errors
    /// Which part cannot be read, for people.
    pub fn parse(text: &str, every: Duration) -> Result<Self, String> {
        check_steps(text)?;
        let glued = text.split_whitespace().map(|word| match word.split_once('x') {
            Some(("", _)) | None => (word, None),
            Some((value, count)) => (value, Some(count)),
        });
        pieces(glued, every, |word| if word == "_" { Some(None) } else { run(word).map(Some) }).map(Self)
    }

    /// The value of the poll at `tick`; `None` where the series says nothing.
    #[must_use]
    pub fn at(&self, tick: u64) -> Option<i128> {
        let (piece, within) = place(&self.0, tick)?;
        piece.what.map(|run| run.start.saturating_add(run.step.saturating_mul(i128::from(within))))
    }

    /// Whether it says nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Words<T> {
    /// Reads a series with a word `every` so often; `meaning` is `None` for a word that is not known.
    ///
    /// # Errors
    /// Which part cannot be read, for people.
    pub fn parse(text: &str, every: Duration, meaning: impl Fn(&str) -> Option<T>) -> Result<Self, String> {
        pieces(text.split_whitespace().map(|word| (word, None)), every, meaning).map(Self)
    }

    /// The word of the poll at `tick`.
    #[must_use]
    pub fn at(&self, tick: u64) -> Option<&T> {
        place(&self.0, tick).map(|(piece, _)| &piece.what)
    }

    /// Every word there is.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|piece| &piece.what)
    }
}

/// Reads values with their counts, which may stand apart: `ok x30`.
fn pieces<'t, T>(
    words: impl Iterator<Item = (&'t str, Option<&'t str>)>,
    every: Duration,
    meaning: impl Fn(&str) -> Option<T>,
) -> Result<Vec<Piece<T>>, String> {
    let mut pieces: Vec<Piece<T>> = Vec::new();
    for (word, glued) in words {
        let apart = word.strip_prefix('x').filter(|count| count.starts_with(|c: char| c.is_ascii_digit()));
        if let (Some(text), Some(last)) = (apart, pieces.last_mut()) {
            last.count = count(text, every)?;
            continue;
        }
        let what = meaning(word).ok_or_else(|| format!("`{}` is not understood", shortened(word)))?;
        pieces.push(Piece { what, count: glued.map_or(Ok(1), |text| count(text, every))? });
        if MAX_PIECES < pieces.len() {
            return Err(format!("more than {MAX_PIECES} pieces"));
        }
    }
    Ok(pieces)
}

/// Refuses a step that is never made: `100+1` alone says 100 for ever, and nobody means that.
fn check_steps(text: &str) -> Result<(), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_counted = |at: usize| words[at].contains('x') || words.get(at + 1).is_some_and(|next| next.starts_with('x'));
    let steps = |word: &str| run(word).is_some_and(|run| run.step != 0);
    match (0..words.len()).find(|at| steps(words[*at]) && !is_counted(*at)) {
        Some(at) => {
            let word = shortened(words[at]);
            Err(format!("`{word}` does not say for how long, like {word}x30 or {word}x2m"))
        }
        None => Ok(()),
    }
}

/// How often a value is said: a number, or a time in which it is.
fn count(text: &str, every: Duration) -> Result<u64, String> {
    let wrong = || format!("`x{}` is no count, like x30 or x2m", shortened(text));
    let count = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| wrong())?
    } else {
        let time = humantime::parse_duration(text).map_err(|_| wrong())?;
        u64::try_from(time.as_millis().div_ceil(every.as_millis().max(1))).map_err(|_| wrong())?
    };
    if (1..=MAX_COUNT).contains(&count) { Ok(count) } else { Err(wrong()) }
}

/// `100`, `100+1` or `100-1`.
fn run(text: &str) -> Option<Run> {
    let sign = text.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at);
    let (start, step) = text.split_at(sign.unwrap_or(text.len()));
    Some(Run { start: start.parse().ok()?, step: if step.is_empty() { 0 } else { step.parse().ok()? } })
}

/// The piece in which a tick lies, and where in it; beyond the end the last value of the last piece.
fn place<T>(pieces: &[Piece<T>], tick: u64) -> Option<(&Piece<T>, u64)> {
    let mut left = tick;
    for piece in pieces {
        if left < piece.count {
            return Some((piece, left));
        }
        left -= piece.count;
    }
    pieces.last().map(|piece| (piece, piece.count - 1))
}

fn shortened(word: &str) -> String {
    word.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    fn numbers(text: &str, ticks: u64) -> String {
        let series = Numbers::parse(text, EVERY).unwrap();
        let shown = |tick| series.at(tick).map_or_else(|| "_".to_owned(), |it| it.to_string());
        (0..ticks).map(shown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn numbers_count_repeat_and_go_on() {
        for (text, said) in [
            ("7", "7 7 7 7 7 7"),
            ("1+2x3 9", "1 3 5 9 9 9"),
            ("1+2x3", "1 3 5 5 5 5"),
            ("9-4 x3 0 x2 -3", "9 5 1 0 0 -3"),
            ("_x2 4x10s 8", "_ _ 4 4 8 8"),
            ("1+1x11s _", "1 2 3 _ _ _"),
            ("", "_ _ _ _ _ _"),
        ] {
            assert_eq!(numbers(text, 6), said, "{text}");
        }
    }

    #[test]
    fn words_repeat_and_go_on() {
        let known = |word: &str| ["ok", "no"].iter().position(|it| *it == word);
        let series = Words::parse("ok x3 no ok x5s", EVERY, known).unwrap();
        let said: Vec<_> = (0..7).map(|tick| *series.at(tick).unwrap()).collect();
        assert_eq!(said, [0, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, why) in [
            ("1 2y 3", "`2y` is not understood"),
            ("1x0", "`x0` is no count, like x30 or x2m"),
            ("1xmany", "`xmany` is no count, like x30 or x2m"),
            ("x5", "`x5` is not understood"),
            ("1+", "`1+` is not understood"),
            ("5 1+2", "`1+2` does not say for how long, like 1+2x30 or 1+2x2m"),
            ("1x99999999999999999999", "`x99999999999999999999` is no count, like x30 or x2m"),
        ] {
            assert_eq!(Numbers::parse(text, EVERY).unwrap_err(), why);
        }
        assert_eq!(Numbers::parse(&"1 ".repeat(20_000), EVERY).unwrap_err(), "more than 10000 pieces");
    }
}
