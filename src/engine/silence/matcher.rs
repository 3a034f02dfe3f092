//! One condition on a label, as Alertmanager writes them: `network="main"`, `level!=L1`, `alertname=~"Node.*"`. Patterns
//! are a small part of regular expressions whose work is bounded: alternatives of texts in which `.` stands for any
//! character and `.*` for any number of them.

use std::{fmt, sync::Arc};

/// Longest text of a matcher, in bytes.
pub const MAX_PATTERN: usize = 1024;

/// Alternatives of one pattern.
const MAX_ALTERNATIVES: usize = 64;

/// One condition on a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// The label.
    pub name: Arc<str>,
    /// What its value must be like ...
    pub pattern: Pattern,
    /// ... or, if false, must not.
    pub is_equal: bool,
}

/// What a value can be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// This text.
    Text(Arc<str>),
    /// All of the value is like one of the alternatives.
    Regex(Regex),
}

/// A bounded regular expression, anchored on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regex {
    source: Arc<str>,
    alternatives: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Letter(char),
    Any,
    AnyNumber,
}

/// Why something is no matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// There is no operator in it.
    #[error("write it like network=main, level!=L1 or alertname=~Node.*")]
    NoOperator,
    /// The name is not that of a label.
    #[error("the name of a label is letters, digits and _, no digit first")]
    BadName,
    /// It is too long, or has too many alternatives.
    #[error("at most 1024 bytes and 64 alternatives")]
    TooLong,
    /// It uses more of regular expressions than is known here.
    #[error("patterns are texts with `.`, `.*` and `.+`, alternatives with `|`, and \\ before signs")]
    TooClever,
    /// A quote has no end, or something follows it.
    #[error("a quoted value ends with the quote it began with")]
    OpenQuote,
}

impl Matcher {
    /// Reads a matcher as Alertmanager writes it.
    ///
    /// # Errors
    /// [`MatcherError`].
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let at = text.find(['=', '!']).ok_or(MatcherError::NoOperator)?;
        let (name, rest) = text.split_at(at);
        let operators = [("=~", true, true), ("!~", true, false), ("!=", false, false), ("=", false, true)];
        let (operator, is_regex, is_equal) =
            operators.into_iter().find(|(sign, ..)| rest.starts_with(sign)).ok_or(MatcherError::NoOperator)?;
        Self::new(name.trim(), &unquoted(rest[operator.len()..].trim())?, is_regex, is_equal)
    }

    /// A matcher of its parts.
    ///
    /// # Errors
    /// [`MatcherError`].
    pub fn new(name: &str, value: &str, is_regex: bool, is_equal: bool) -> Result<Self, MatcherError> {
        if MAX_PATTERN < name.len() + value.len() {
            return Err(MatcherError::TooLong);
        }
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !is_name(name) {
            return Err(MatcherError::BadName);
        }
        let pattern = if is_regex { Pattern::Regex(Regex::parse(value)?) } else { Pattern::Text(Arc::from(value)) };
        Ok(Self { name: Arc::from(name), pattern, is_equal })
    }

    /// Whether a label with this value satisfies it; a label that is not there has an empty value.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let is_like = match &self.pattern {
            Pattern::Text(text) => **text == *value,
            Pattern::Regex(regex) => regex.matches(value),
        };
        is_like == self.is_equal
    }

    /// What the value is compared with, as it was written.
    #[must_use]
    pub fn value(&self) -> &str {
        match &self.pattern {
            Pattern::Text(text) => text,
            Pattern::Regex(regex) => &regex.source,
        }
    }

    /// Whether the value is a pattern.
    #[must_use]
    pub fn is_regex(&self) -> bool {
        matches!(self.pattern, Pattern::Regex(_))
    }
}

/// As Alertmanager writes it: `network=~"main|test"`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match (self.is_regex(), self.is_equal) {
            (false, true) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (true, false) => "!~",
        };
        write!(f, "{}{operator}{:?}", self.name, self.value())
    }
}

fn unquoted(value: &str) -> Result<String, MatcherError> {
    let Some(quoted) = value.strip_prefix('"') else { return Ok(value.to_owned()) };
    let mut text = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return if letters.as_str().is_empty() { Ok(text) } else { Err(MatcherError::OpenQuote) },
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some(sign @ ('"' | '\\')) => text.push(sign),
                Some(sign) => text.extend(['\\', sign]),
                None => return Err(MatcherError::OpenQuote),
            },
            letter => text.push(letter),
        }
    }
    Err(MatcherError::OpenQuote)
}

impl Regex {
    fn parse(source: &str) -> Result<Self, MatcherError> {
        // Whoever writes anchors or one pair of parentheses around all of it says what is so anyway.
        let inner = source.strip_prefix('^').unwrap_or(source);
        let inner = inner.strip_suffix('$').unwrap_or(inner);
        let inner = inner.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(inner);
        let mut alternatives = vec![Vec::new()];
        let mut letters = inner.chars().peekable();
        while let Some(letter) = letters.next() {
            let Some(pieces) = alternatives.last_mut() else { break };
            match letter {
                '|' => alternatives.push(Vec::new()),
                '.' if letters.next_if_eq(&'*').is_some() => pieces.push(Piece::AnyNumber),
                '.' if letters.next_if_eq(&'+').is_some() => pieces.extend([Piece::Any, Piece::AnyNumber]),
                '.' => pieces.push(Piece::Any),
                '\\' => match letters.next() {
                    Some(sign) if sign.is_ascii_punctuation() => pieces.push(Piece::Letter(sign)),
                    _ => return Err(MatcherError::TooClever),
                },
                '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return Err(MatcherError::TooClever),
                letter => pieces.push(Piece::Letter(letter)),
            }
        }
        if MAX_ALTERNATIVES < alternatives.len() {
            return Err(MatcherError::TooLong);
        }
        Ok(Self { source: Arc::from(source), alternatives })
    }

    fn matches(&self, value: &str) -> bool {
        self.alternatives.iter().any(|pieces| is_like(value, pieces))
    }
}

/// Compares from the left; where it fails, the last `.*` takes one more character. No more steps than the product of the
/// two lengths.
fn is_like(value: &str, pieces: &[Piece]) -> bool {
    let value: Vec<char> = value.chars().collect();
    let (mut at, mut piece) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < value.len() {
        match pieces.get(piece) {
            Some(Piece::AnyNumber) => {
                retry = Some((piece + 1, at));
                piece += 1;
            }
            Some(Piece::Any) => (at, piece) = (at + 1, piece + 1),
            Some(Piece::Letter(letter)) if value.get(at) == Some(letter) => (at, piece) = (at + 1, piece + 1),
            _ => match retry {
                Some((after, taken)) => {
                    retry = Some((after, taken + 1));
                    (at, piece) = (taken + 1, after);
                }
                None => return false,
            },
        }
    }
    pieces.iter().skip(piece).all(|piece| *piece == Piece::AnyNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_read_and_judge_like_those_of_alertmanager() {
        for (text, yes, no) in [
            ("network=main", &["main"][..], &["", "main2", "Main"][..]),
            ("network = \"a b\"", &["a b"], &["a", "\"a b\""]),
            ("level!=L1", &["L2", ""], &["L1"]),
            ("network=~main|test", &["main", "test"], &["maintest", "xmain", ""]),
            ("alertname=~\"Node.*\"", &["Node", "NodeOffline"], &["XNode"]),
            ("alertname!~\"(Node.+|Watchdog)\"", &["Node", "Net"], &["NodeSlow", "Watchdog"]),
            ("node=~a.c", &["abc", "a-c"], &["ac", "abbc"]),
            ("node=~.*-eu-.*-1", &["a-eu-b-1", "a-eu-eu-x-1-1"], &["a-eu-b-2", "-1"]),
            ("node=~a\\.b", &["a.b"], &["axb"]),
            ("rack=", &[""], &["a"]),
            ("rack=~.+", &["a"], &[""]),
        ] {
            let matcher = Matcher::parse(text).unwrap();
            for value in yes {
                assert!(matcher.matches(value), "{text} must match {value:?}");
            }
            for value in no {
                assert!(!matcher.matches(value), "{text} must not match {value:?}");
            }
            assert_eq!(Matcher::parse(&matcher.to_string()), Ok(matcher), "{text}");
        }
    }

    #[test]
    fn what_is_no_matcher_says_why() {
        for (text, error) in [
            ("network", MatcherError::NoOperator),
            ("network!main", MatcherError::NoOperator),
            ("=main", MatcherError::BadName),
            ("9a=main", MatcherError::BadName),
            ("a-b=main", MatcherError::BadName),
            ("a=\"b", MatcherError::OpenQuote),
            ("a=\"b\"c", MatcherError::OpenQuote),
            ("a=~[ab]", MatcherError::TooClever),
            ("a=~a+", MatcherError::TooClever),
            ("a=~\\d", MatcherError::TooClever),
            (&format!("a={}", "x".repeat(1024)), MatcherError::TooLong),
            (&format!("a=~{}", "|".repeat(64)), MatcherError::TooLong),
        ] {
            assert_eq!(Matcher::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_worst_pattern_costs_little() {
        let matcher = Matcher::new("a", &".*a".repeat(300), true, true).unwrap();
        assert!(!matcher.matches(&"a".repeat(128)));
        let matcher = Matcher::new("a", &format!("{}b", ".*a".repeat(300)), true, true).unwrap();
        assert!(!matcher.matches(&"a".repeat(100_000)));
    }
}
