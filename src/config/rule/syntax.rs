//! Has the library read the text of an expression. It recurses with the text, so what is too large is refused before.

use std::{ops::Range, thread};

use cel::{IdedExpr, common::ast::SourceInfo, parser::Parser};

use super::{expression::MAX_DEPTH, fault::Fault};
use crate::config::code::Code;

/// How deep the library may go, which counts some levels twice.
const PARSER_DEPTH: u16 = 64;

/// Operators, dots, commas and brackets of one expression at the most.
const MAX_SIGNS: usize = 400;

/// The stack on which an expression is read, several times what the largest needs.
const STACK_BYTES: usize = 32 * 1024 * 1024;

/// Longest part of the reader's own words that is told, in characters.
const MAX_TOLD: usize = 120;

/// Has the library read the text, on a stack of its own: it recurses, and whoever calls us may have a small one.
pub(super) fn parsed(text: &str) -> Result<(IdedExpr, SourceInfo), Fault> {
    check_signs(text)?;
    let read = || {
        let parser = Parser::new().max_recursion_depth(PARSER_DEPTH).error_recovery_limit(1);
        parser.parse_with_source_info(text).map_err(|errors| {
            let first = errors.errors.first();
            (first.map_or(0, |error| offset(text, error.pos)), first.map_or_else(String::new, |error| told(&error.msg)))
        })
    };
    let read = thread::scope(|scope| {
        let reader = thread::Builder::new().name("expression".to_owned()).stack_size(STACK_BYTES);
        let reader = reader.spawn_scoped(scope, read).ok()?;
        reader.join().ok()
    });
    let failed = || Err((0, "it could not be read".to_owned()));
    read.unwrap_or_else(failed).map_err(|(at, told)| {
        let help = meant(text.get(at..).unwrap_or_default()).map_or(told, |operator| format!("write {operator}"));
        Fault::new(Code::BadExpression, at..(at + 1).min(text.len()), "this is not an expression of CEL", help)
    })
}

/// What is meant by the operator of another language that stands at the beginning.
fn meant(rest: &str) -> Option<&'static str> {
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    match &rest[..end].to_ascii_lowercase()[..] {
        "and" => Some("&&"),
        "or" => Some("||"),
        "not" => Some("!"),
        "" if rest.starts_with('=') && !rest.starts_with("==") => Some("=="),
        _ => None,
    }
}

/// The library recurses with every bracket and every sign: so many are refused before it sees them. Those within texts
/// count too, for where a text ends only the library knows.
fn check_signs(text: &str) -> Result<(), Fault> {
    let (mut depth, mut signs) = (0_usize, 0_usize);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '[' | '{' | '?' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        signs += usize::from(letter.is_ascii_punctuation() && letter != '_');
        if MAX_DEPTH < depth || MAX_SIGNS < signs {
            return Err(too_deep(at..at + letter.len_utf8()));
        }
    }
    Ok(())
}

/// The fault of what is nested too deeply.
pub(super) fn too_deep(at: Range<usize>) -> Fault {
    Fault::new(
        Code::BadExpression,
        at,
        "the expression is too large, or nested too deeply",
        "at most 32 levels and 400 signs; make two rules of it",
    )
}

/// The byte at a line and a column, both counted from 1.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1) - 1;
    let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let letters = text.get(start..).unwrap_or_default().char_indices();
    letters
        .map(|(at, _)| start + at)
        .chain([text.len()])
        .nth(column)
        .unwrap_or(text.len())
        .min(text.len().saturating_sub(1))
}

fn told(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split(" expecting ").next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect()
}
