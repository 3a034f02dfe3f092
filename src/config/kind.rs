//! The kinds of values a key can take. A kind turns an item into a value or notes what is wrong with it. Kinds that
//! never hold a secret say so with `harmless`; the others are never quoted.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, sync::Arc, time::Duration};

use toml::de::DeValue;

use super::{
    code::Code,
    secret::lacks_braces,
    section::Item,
    shape::{Shape, written_duration, written_size},
    suggest::nearest,
    suspect::holds_a_key,
};
use crate::model::{BlockHash, Endpoint, MetricsUrl};

/// Longest name of a monitor, network or node, in characters.
const MAX_NAME: usize = 64;

/// Longest duration understood at all.
const MAX_DURATION_TEXT: usize = 64;

const DURATION_HELP: &str = "write a number with its unit, like \"500ms\", \"5s\", \"5m\" or \"1h30m\"";
const SIZE_HELP: &str = "write bytes, or a size like \"64KiB\" or \"4MiB\"";

/// `true` or `false`.
pub(super) fn flag(item: &Item<'_>) -> Option<bool> {
    item.describe(|| Shape::Flag);
    let item = item.harmless();
    match item.value.get_ref() {
        DeValue::Boolean(flag) => Some(*flag),
        _ => item.is_not("true or false", "write it without quotes"),
    }
}

/// A duration within `range`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Item<'_>) -> Option<Duration> {
    move |item| {
        item.describe(|| Shape::Duration { least: *range.start(), most: *range.end() });
        let item = item.harmless();
        let text = item.text("a duration", DURATION_HELP)?;
        let parsed = Some(&text).filter(|text| text.len() <= MAX_DURATION_TEXT && text.trim() == **text);
        let parsed = parsed.and_then(|text| humantime::parse_duration(text).ok());
        let Some(duration) = parsed else {
            return item.wrong(format!("{} is not a duration", item.quoted()), DURATION_HELP);
        };
        within(&item, duration, &range, written_duration)
    }
}

/// A whole number within `range`.
pub(super) fn count<N>(range: RangeInclusive<N>) -> impl Fn(&Item<'_>) -> Option<N>
where
    N: TryFrom<i128> + TryInto<i128> + PartialOrd + Display + Copy,
{
    move |item| {
        let bound = |bound: &N| (*bound).try_into().unwrap_or(i128::MAX);
        item.describe(|| Shape::Count { least: bound(range.start()), most: bound(range.end()) });
        let item = item.harmless();
        let Some(number) = integer(&item) else { return item.is_not("a whole number", "write it without quotes") };
        match N::try_from(number).ok().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => out_of(&item, &range.start().to_string(), &range.end().to_string()),
        }
    }
}

/// A number within `range`, whole or not.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&Item<'_>) -> Option<f64> {
    move |item| {
        item.describe(|| Shape::Number { least: *range.start(), most: *range.end() });
        let item = item.harmless();
        let parsed = match item.value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => integer(&item).and_then(|number| number.to_string().parse().ok()),
        };
        let Some(number) = parsed else { return item.is_not("a number", "write it without quotes") };
        within(&item, number, &range, f64::to_string)
    }
}

/// A size in bytes within `range`: a whole number, or a string with a binary unit.
pub(super) fn size(range: RangeInclusive<usize>) -> impl Fn(&Item<'_>) -> Option<usize> {
    move |item| {
        item.describe(|| Shape::Size { least: *range.start(), most: *range.end() });
        let item = item.harmless();
        let bytes = match integer(&item) {
            Some(number) => usize::try_from(number).ok(),
            None => parse_size(&item.text("a size", SIZE_HELP)?),
        };
        let Some(bytes) = bytes else { return item.wrong(format!("{} is not a size", item.quoted()), SIZE_HELP) };
        within(&item, bytes, &range, |bytes| written_size(*bytes))
    }
}

/// One of the known words.
pub(super) fn word<T: Copy>(what: &str, known: &[T], name: fn(T) -> &'static str) -> impl Fn(&Item<'_>) -> Option<T> {
    move |item| {
        let names = || known.iter().map(|one| name(*one));
        item.describe(|| Shape::Word(names().collect()));
        let item = item.harmless();
        let help = format!("one of {}", names().collect::<Vec<_>>().join(", "));
        let text = item.text("a string", &help)?;
        if let Some(found) = known.iter().find(|one| name(**one) == text) {
            return Some(*found);
        }
        // Of words that differ in one sign, like L1 and L2, none is the likelier.
        let guess = nearest(&text, names()).filter(|_| names().any(|name| 2 < name.len()));
        let help = guess.map_or(help, |word| format!("did you mean \"{word}\"?"));
        item.note_as(Code::UnknownWord, format!("{} is not a known {what}", item.quoted()), &help);
        None
    }
}

/// A name: 1 to 64 characters that can be printed.
pub(super) fn name(item: &Item<'_>) -> Option<Arc<str>> {
    item.describe(|| Shape::Name);
    let item = item.harmless();
    let text = item.text("a string", "write it in quotes")?;
    if !is_usable_name(&text) {
        let help = format!("1 to {MAX_NAME} characters, no control characters, no spaces around it");
        return item.wrong(format!("`{}` is not a usable name", item.key), &help);
    }
    Some(Arc::from(text))
}

/// Whether something may be called so.
pub(super) fn is_usable_name(text: &str) -> bool {
    let length = text.chars().take(MAX_NAME + 1).count();
    (1..=MAX_NAME).contains(&length) && text.trim() == text && !text.chars().any(char::is_control)
}

/// A URL of the given schemes. It may hold a key anywhere, so it is never quoted.
pub(super) fn url(schemes: &'static str) -> impl Fn(&Item<'_>) -> Option<Endpoint> {
    move |item| {
        item.describe(|| Shape::Url(schemes));
        if let DeValue::String(text) = item.value.get_ref()
            && lacks_braces(text)
        {
            let message = format!("`{}`: a variable needs braces", item.key);
            item.note_as(Code::BadReference, message, "write ${NAME}; $ itself is %24 here");
            return None;
        }
        let text = item.text("a URL", "write it in quotes")?;
        Endpoint::parse(&text, schemes)
            .map_err(|error| {
                item.note_as(Code::BadAddress, format!("`{}`: {error}", item.key), "write scheme://host:port/path");
            })
            .ok()
    }
}

/// A URL that everybody may read.
pub(super) fn metrics_url(item: &Item<'_>) -> Option<MetricsUrl> {
    item.describe(|| Shape::Url("http, https"));
    let help = "write http://host:port/path without credentials and query; it is published";
    let text = item.text("a URL", "write it in quotes")?;
    MetricsUrl::parse(&text).map_err(|error| item.note(format!("`{}`: {error}", item.key), help)).ok()
}

/// A URL in which a key may stand; one that stands there openly is warned of.
pub(super) fn secret_url(schemes: &'static str) -> impl for<'a> Fn(&Item<'a>) -> Option<Endpoint> {
    let url = url(schemes);
    move |item| {
        let endpoint = url(item)?;
        if item.is_literal() && holds_a_key(endpoint.path_and_query()) {
            let message = format!("`{}`: a part of this URL looks like a key", item.key);
            item.note_as(Code::PlainKeyInUrl, message, "write it as ${NAME} or ${file:/path}");
        }
        Some(endpoint)
    }
}

/// A chain id: decimal, or hexadecimal after `0x`, or any other text that nodes of the family report.
pub(super) fn chain_id(item: &Item<'_>) -> Option<Arc<str>> {
    item.describe(|| Shape::ChainId);
    let item = item.harmless();
    if let Some(number) = integer(&item) {
        return u64::try_from(number).map_or_else(
            |_| item.wrong("a chain id is not negative and fits 64 bits".to_owned(), ""),
            |id| Some(Arc::from(id.to_string())),
        );
    }
    let text = name(&item)?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.map_or(text, |id| Arc::from(id.to_string())))
}

/// A hash of 32 bytes.
pub(super) fn hash(item: &Item<'_>) -> Option<BlockHash> {
    item.describe(|| Shape::Hash);
    let item = item.harmless();
    let help = "write 0x and 64 hexadecimal digits";
    let text = item.text("a string", help)?;
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 64 && digits.is_ascii());
    let mut hash = [0; 32];
    let bytes = digits.into_iter().flat_map(|digits| digits.as_bytes().chunks(2));
    let read = bytes.zip(&mut hash).try_for_each(|(pair, byte)| {
        *byte = pair.iter().try_fold(0, |high: u8, digit| Some(high << 4 | hex_digit(*digit)?))?;
        Some(())
    });
    match read.filter(|()| digits.is_some()) {
        Some(()) => Some(BlockHash(hash)),
        None => item.wrong(format!("`{}` is not a hash", item.key), help),
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Something with a syntax of its own, like a socket address.
pub(super) fn parsed<T: FromStr>(what: &'static str, help: &'static str) -> impl Fn(&Item<'_>) -> Option<T> {
    move |item| {
        item.describe(|| Shape::Parsed(what));
        let item = item.harmless();
        let text = item.text("a string", help)?;
        text.parse().map_err(|_| item.note(format!("{} is not {what}", item.quoted()), help)).ok()
    }
}

/// An array with as many elements as `lengths` allows, each of one kind, with its place. What is wrong with an element is
/// noted, and the element left out.
pub(super) fn list<'a, T>(
    kind: impl Fn(&Item<'a>) -> Option<T>,
    lengths: RangeInclusive<usize>,
) -> impl Fn(&Item<'a>) -> Option<Vec<(T, Item<'a>)>> {
    move |item| {
        item.describe_list(&kind, &lengths);
        let Some(elements) = item.elements() else {
            return item.is_not("an array", "write it as [\"…\", \"…\"]");
        };
        if !lengths.contains(&elements.len()) {
            let help = format!("{} to {} are allowed", lengths.start(), lengths.end());
            let message = format!("`{}` has {} elements", item.key, elements.len());
            item.note_as(Code::OutOfRange, message, &help);
            return None;
        }
        Some(elements.into_iter().filter_map(|item| Some((kind(&item)?, item))).collect())
    }
}

/// The integer that is the value. One that is larger than all of ours is still one, and out of every range.
fn integer(item: &Item<'_>) -> Option<i128> {
    let DeValue::Integer(integer) = item.value.get_ref() else { return None };
    let beyond = if integer.as_str().starts_with('-') { i128::MIN } else { i128::MAX };
    Some(i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(beyond))
}

fn within<T: PartialOrd>(
    item: &Item<'_>,
    value: T,
    range: &RangeInclusive<T>,
    shown: impl Fn(&T) -> String,
) -> Option<T> {
    if range.contains(&value) { Some(value) } else { out_of(item, &shown(range.start()), &shown(range.end())) }
}

fn out_of<T>(item: &Item<'_>, least: &str, most: &str) -> Option<T> {
    let help = format!("`{}` is {least} to {most}", item.key);
    item.note_as(Code::OutOfRange, format!("{} is out of range", item.quoted()), &help);
    None
}

/// A size with its binary unit, in bytes.
pub(crate) fn parse_size(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}
