//! The small language in which a configuration says what an answer means:
//!
//! ```text
//! value      = term { ("+" | "-") term } [ "as" form ]
//! condition  = [ "not" ] path | path "==" json | path "!=" json | path "in" json-array
//! term       = path | whole number
//! path       = pointer { "|" pointer }
//! ```
//!
//! Words stand apart by spaces. `/height - 1` turns a count into a height, `/in + /out` adds peers up, `/blockNumber |
//! /number` reads a text that is JSON itself, `/time as ms` says the unit.

use std::{borrow::Cow, fmt, str::SplitAsciiWhitespace};

use serde_json::Value as Json;

use super::{
    path::Path,
    spec::Kind,
    value::{self, Form},
};
use crate::{
    model::{BlockHash, UnixTime},
    observation::clean_text,
};

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 1024;

/// Terms of one value at the most.
const MAX_TERMS: usize = 8;

/// Values that a condition compares with at the most.
const MAX_VALUES: usize = 32;

/// Longest answer that is compared, in bytes: what is longer is equal to nothing.
const MAX_COMPARED: usize = 1024;

/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 128;

/// Why something is no expression, without any part of it: keys may have been written in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self(clean_text(text.as_ref(), 160))
    }
}

/// A value made from an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Expression {
    /// As it was written, each word apart by one space.
    written: String,
    terms: Vec<(Sign, Term)>,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Path(Path),
    Number(u32),
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Expression {
    /// Reads an expression for a value of this kind.
    ///
    /// # Errors
    /// With what is wrong, in words.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, Fault> {
        let expression = Self::of_any_kind(text)?;
        if kind != Kind::Number && !matches!(expression.terms[..], [(_, Term::Path(_))]) {
            return Err(Fault::new("only numbers are added and subtracted"));
        }
        if !expression.form.fits(kind) {
            return Err(Fault::new("what stands after as does not fit what is told here"));
        }
        Ok(expression)
    }

    fn of_any_kind(text: &str) -> Result<Self, Fault> {
        let mut words = Words::of(text)?;
        let written = written(text);
        let mut terms = vec![(Sign::Plus, words.term()?)];
        loop {
            let sign = match words.next() {
                Some("+") => Sign::Plus,
                Some("-") => Sign::Minus,
                Some("as") => {
                    let form = words.form()?;
                    return words.end().map(|()| Self { written, terms, form });
                }
                Some(_) => return Err(Fault::new("after a term may stand +, -, | or as")),
                None => return Ok(Self { written, terms, form: Form::Any }),
            };
            if terms.len() == MAX_TERMS {
                return Err(Fault::new(format!("more than {MAX_TERMS} terms")));
            }
            terms.push((sign, words.term()?));
        }
    }

    /// As it was written.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// Whether the answer says null where it looks.
    pub(super) fn is_null(&self, json: &str) -> bool {
        let null = |term: &Term| matches!(term, Term::Path(path) if path.find(json).as_deref() == Some("null"));
        self.terms.iter().any(|(_, term)| null(term))
    }

    /// The sum of its terms; `None` if one of them is missing or no number.
    pub(super) fn number(&self, json: &str) -> Option<i128> {
        self.terms.iter().try_fold(0_i128, |sum, (sign, term)| {
            let number = match term {
                Term::Number(number) => i128::from(*number),
                Term::Path(path) => i128::from(value::number(&path.find(json)?, self.form)?),
            };
            Some(match sign {
                Sign::Plus => sum.saturating_add(number),
                Sign::Minus => sum.saturating_sub(number),
            })
        })
    }

    /// The point in time.
    pub(super) fn time(&self, json: &str) -> Option<UnixTime> {
        value::time(&self.only(json)?, self.form)
    }

    /// The hash of 32 bytes.
    pub(super) fn hash(&self, json: &str) -> Option<BlockHash> {
        value::hash(&self.only(json)?, self.form)
    }

    /// The text, bounded and cleaned; a number as it is written.
    pub(super) fn text(&self, json: &str) -> Option<String> {
        let found = self.only(json)?;
        let text = value::text(&found)?;
        Some(clean_text(&text, MAX_TEXT)).filter(|text| !text.trim().is_empty())
    }

    fn only<'a>(&self, json: &'a str) -> Option<Cow<'a, str>> {
        match &self.terms[..] {
            [(Sign::Plus, Term::Path(path))] => path.find(json),
            _ => None,
        }
    }
}

/// What is true of an answer or not.
#[derive(Clone, PartialEq, Eq)]
pub struct Condition {
    /// As it was written, each word apart by one space.
    written: String,
    path: Path,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// It is this flag.
    Is(bool),
    /// Whether it is among these is this.
    Among(Vec<Json>, bool),
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// With what is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut words = Words::of(text)?;
        let (wanted, path) = match words.next() {
            Some("not") => (false, words.path()?),
            Some(pointer) => (true, words.path_from(pointer)?),
            None => return Err(Fault::new("nothing is asked")),
        };
        let test = match words.next() {
            None => Test::Is(wanted),
            Some(_) if !wanted => return Err(Fault::new("after not stands a path alone; write != instead")),
            Some("==") => Test::Among(vec![words.json()?], true),
            Some("!=") => Test::Among(vec![words.json()?], false),
            Some("in") => Test::Among(words.array()?, true),
            Some(_) => return Err(Fault::new("after a path may stand |, ==, != or in")),
        };
        Ok(Self { written: written(text), path, test })
    }

    /// As it was written.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// Whether it is true; `None` if the answer does not tell.
    pub(super) fn holds(&self, json: &str) -> Option<bool> {
        let found = self.path.find(json)?;
        match &self.test {
            Test::Is(wanted) => value::flag(&found).map(|flag| flag == *wanted),
            Test::Among(values, wanted) => {
                let scalar = !found.starts_with(['{', '[']) && found.len() <= MAX_COMPARED;
                let told: Option<Json> = scalar.then(|| serde_json::from_str(&found).ok())?;
                Some(told.is_some_and(|told| values.contains(&told)) == *wanted)
            }
        }
    }

    /// What the answer says where the condition looks.
    pub(super) fn evidence(&self, json: &str) -> String {
        let told = self.path.find(json);
        format!("{} is {}", self.path, told.map_or_else(|| "missing".to_owned(), |told| clean_text(&told, 64)))
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn written(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of an expression.
struct Words<'t> {
    words: std::iter::Peekable<SplitAsciiWhitespace<'t>>,
}

impl<'t> Words<'t> {
    fn of(text: &'t str) -> Result<Self, Fault> {
        if MAX_LENGTH < text.len() {
            return Err(Fault::new(format!("longer than {MAX_LENGTH} bytes")));
        }
        Ok(Self { words: text.split_ascii_whitespace().peekable() })
    }

    fn next(&mut self) -> Option<&'t str> {
        self.words.next()
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.next().map_or(Ok(()), |_| Err(Fault::new("something stands behind the end")))
    }

    fn term(&mut self) -> Result<Term, Fault> {
        match self.words.peek().map(|word| word.parse()) {
            Some(Ok(number)) => {
                self.next();
                Ok(Term::Number(number))
            }
            _ => self.path().map(Term::Path),
        }
    }

    fn path(&mut self) -> Result<Path, Fault> {
        let pointer = self.next().ok_or_else(|| Fault::new("a pointer like /height is missing"))?;
        self.path_from(pointer)
    }

    fn path_from(&mut self, pointer: &str) -> Result<Path, Fault> {
        let mut path = Path::parse(pointer)?;
        while self.words.next_if_eq(&"|").is_some() {
            path = path.into_text(self.next().unwrap_or_default())?;
        }
        Ok(path)
    }

    fn form(&mut self) -> Result<Form, Fault> {
        let word = self.next().unwrap_or_default();
        Form::named(word).ok_or_else(|| Fault::new(format!("after as stands one of {}", Form::words())))
    }

    /// The rest as one JSON value without a structure.
    fn json(&mut self) -> Result<Json, Fault> {
        let rest: Vec<&str> = self.words.by_ref().collect();
        let value = serde_json::from_str(&rest.join(" ")).ok().filter(|it: &Json| !it.is_array() && !it.is_object());
        value.ok_or_else(|| Fault::new("what is compared with is a text in quotes, a number, true, false or null"))
    }

    fn array(&mut self) -> Result<Vec<Json>, Fault> {
        let rest: Vec<&str> = self.words.by_ref().collect();
        let values = serde_json::from_str(&rest.join(" ")).ok().filter(|it: &Vec<Json>| it.len() <= MAX_VALUES);
        values.ok_or_else(|| Fault::new("after in stands an array like [\"OK\", 0]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"height":"12","in":3,"out":"0x2","on":false,"status":"OK","raw":"0c",
        "inner":"{\"n\":7}","list":[1,2],"zero":0,"none":null}"#;

    #[test]
    fn values_are_sums_of_what_is_told() {
        for (text, wanted) in [
            ("/height", Some(12)),
            ("/height - 1", Some(11)),
            ("/in + /out", Some(5)),
            ("/zero - /in", Some(-3)),
            ("/inner | /n", Some(7)),
            ("/list as count", Some(2)),
            ("/raw as hex", Some(12)),
            ("/in + /missing", None),
            ("/status", None),
            ("/none", None),
        ] {
            assert_eq!(Expression::parse(text, Kind::Number).unwrap().number(ANSWER), wanted, "{text}");
        }
    }

    #[test]
    fn conditions_know_three_answers() {
        for (text, wanted) in [
            ("/on", Some(false)),
            ("not /on", Some(true)),
            (r#"/status == "OK""#, Some(true)),
            (r#"/status != "OK""#, Some(false)),
            (r#"/status in ["BUSY", "OK"]"#, Some(true)),
            ("/zero == 0", Some(true)),
            (r#"/zero == "0""#, Some(false)),
            ("/none == null", Some(true)),
            ("/list == 1", None),
            ("/missing == null", None),
            ("/status", None),
        ] {
            assert_eq!(Condition::parse(text).unwrap().holds(ANSWER), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_named() {
        let fault = |text: &str| Expression::parse(text, Kind::Number).unwrap_err().to_string();
        assert_eq!(fault(""), "a pointer like /height is missing");
        assert_eq!(fault("height"), "a pointer begins with /");
        assert_eq!(fault("/a /b"), "after a term may stand +, -, | or as");
        assert_eq!(fault("/a as weeks"), "after as stands one of count, hex, base64, s, ms, us, ns");
        assert_eq!(fault("/a as s as ms"), "something stands behind the end");
        assert_eq!(fault("/a as base64"), "what stands after as does not fit what is told here");
        let sum = Expression::parse("/a - 1", Kind::Hash).unwrap_err();
        assert_eq!(sum.to_string(), "only numbers are added and subtracted");
        let fault = |text: &str| Condition::parse(text).unwrap_err().to_string();
        assert_eq!(fault("/a is 1"), "after a path may stand |, ==, != or in");
        assert_eq!(fault("not /a == 1"), "after not stands a path alone; write != instead");
        assert_eq!(fault("/a == OK"), "what is compared with is a text in quotes, a number, true, false or null");
        assert_eq!(fault("/a in 1"), "after in stands an array like [\"OK\", 0]");
    }
}
