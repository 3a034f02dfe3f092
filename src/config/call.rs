//! `[[network.call]]`: what the nodes of a generic chain are asked, and what their answers mean.

use std::{borrow::Cow, cmp::Reverse, ops::RangeInclusive, sync::Arc, time::Duration};

use serde_json::{Map, Number, Value};
use toml::{Spanned, de::DeValue};

use super::{
    code::Code,
    kind::{duration, flag},
    section::{Item, Section},
    shape::Shape,
    suspect::{is_named_like_a_secret, looks_like_a_secret},
};
use crate::chain::{
    Family,
    adapter::{Call, Question},
    generic::{
        Spec,
        expression::{Condition, Expression},
        spec::{Fact, Kind, MAX_CALLS, Meaning, get, rpc},
    },
};

/// How often a call can be made at a pace of its own.
const PACES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// Longest method, in bytes.
const MAX_METHOD: usize = 128;

/// Longest path, in bytes.
const MAX_PATH: usize = 1024;

/// Longest parameters, in bytes of JSON.
const MAX_PARAMS: usize = 4096;

/// How deep parameters may be.
const MAX_DEPTH: usize = 8;

const PARAMS_HELP: &str = "write params = [\"0x0\", false], a table, or JSON in quotes";

/// A call with where it stands.
struct Site<'a> {
    call: Call,
    /// The parts of it that may be keys.
    keys: Vec<String>,
    meaning: Meaning,
    section_call: Section<'a>,
    /// Where its facts stand.
    told: Vec<(Fact, Item<'a>)>,
    every: Option<Item<'a>>,
    optional: Option<Item<'a>>,
}

/// Reads the calls of a network; they belong to one family alone, which needs them.
pub(super) fn read_all(network: &mut Section<'_>, family: Family) -> Option<Arc<Spec>> {
    let item = network.item("call");
    let sections = network.any_sections("call", "network.call");
    if let (Some(item), false) = (&item, family == Family::Generic) {
        item.note_as(Code::BadValue, "calls are only written for the family generic", "remove them");
    }
    let is_empty = |item: &Item<'_>| item.elements().is_some_and(|elements| elements.is_empty());
    if family == Family::Generic && item.as_ref().is_none_or(is_empty) {
        let help = "add [[network.call]] with a method or a path, and height = \"/…\" in it";
        network.lacks("a generic network must say what its nodes are asked".to_owned(), help);
    }
    if let Some(first) = sections.get(MAX_CALLS) {
        let message = format!("{} calls are too many", sections.len());
        first.place().note(Code::OutOfRange, message, "at most 16 for one network");
        return None;
    }
    let is_given = !sections.is_empty();
    let sites: Vec<Site<'_>> = sections.into_iter().map(read).collect();
    check(&sites);
    if is_given && !sites.iter().any(|site| site.tells(Fact::Height)) {
        network.lacks("no call tells the height".to_owned(), "write height = \"/…\" into one of them");
    }
    let mut keys = Vec::new();
    let calls = sites.into_iter().map(|site| {
        site.section_call.finish();
        keys.extend(site.keys);
        (site.call, site.meaning)
    });
    let calls = calls.collect();
    Spec::new(calls).map(|spec| Arc::new(spec.with_keys(keys)))
}

fn read(mut section: Section<'_>) -> Site<'_> {
    let mut secrets = Vec::new();
    let question = question(&mut section, &mut secrets);
    let keys = keys(&question, &secrets);
    let (every_item, optional_item) = (section.item("every"), section.item("optional"));
    let every = every_item.as_ref().and_then(duration(PACES)).unwrap_or_default();
    let optional = optional_item.as_ref().and_then(flag).unwrap_or(false);
    let mut meaning = Meaning {
        facts: Vec::new(),
        success: section.optional("success", condition),
        starting: section.optional("starting", condition),
        syncing: section.optional("syncing", condition),
    };
    let mut told = Vec::new();
    for fact in Fact::ALL {
        let Some(item) = section.item(fact.key()) else { continue };
        meaning.facts.extend(expression(&item, fact.kind()).map(|expression| (*fact, expression)));
        told.push((*fact, item.harmless()));
    }
    let call = Call { question, optional, every };
    Site { call, keys, meaning, section_call: section, told, every: every_item, optional: optional_item }
}

/// What is asked: a method or a path. `secrets` takes what its references stand for.
fn question(section: &mut Section<'_>, secrets: &mut Vec<String>) -> Question {
    let (method_item, path_item) = (section.item("method"), section.item("path"));
    let method_text = method_item.as_ref().and_then(method);
    let path_text = path_item.as_ref().and_then(|item| path(item, secrets));
    let params_item = section.item("params");
    let params_text = params_item.as_ref().and_then(|item| params(item, secrets)).unwrap_or_else(|| "[]".to_owned());
    match (&method_item, &path_item) {
        (None, None) => section.lacks("a call needs `method` or `path`".to_owned(), "say what is asked"),
        (Some(_), Some(path)) => {
            path.note_as(Code::BadValue, "a call has a method or a path, not both", "make two calls of it");
        }
        (None, Some(_)) => {
            if let Some(params) = &params_item {
                params.note_as(Code::BadValue, "`params` belongs to a method", "write them into the path");
            }
        }
        (Some(_), None) => {}
    }
    match path_text {
        Some(path) if method_item.is_none() => get(path),
        _ => rpc(method_text.unwrap_or_default(), params_text),
    }
}

/// The parts of a question that are keys, the longest first: what stands for `secrets`, as it is and as JSON writes it,
/// and what looks like a key or is called one in a query.
fn keys(question: &Question, secrets: &[String]) -> Vec<String> {
    let text = match question {
        Question::Rpc { params, .. } => params,
        Question::Get { path } => path,
    };
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    let alike = parts.filter(|part| looks_like_a_secret(part));
    let pairs = text.split_once('?').map_or("", |(_, query)| query).split('&').filter_map(|pair| pair.split_once('='));
    let named = pairs.filter(|(name, _)| is_named_like_a_secret(name)).map(|(_, value)| value);
    let quoted = secrets.iter().map(|secret| Value::from(secret.as_str()).to_string().trim_matches('"').to_owned());
    let mut keys: Vec<String> = alike.chain(named).map(str::to_owned).chain(quoted).chain(secrets.to_owned()).collect();
    keys.sort_by_key(|key| Reverse(key.len()));
    keys.dedup();
    keys
}

impl Site<'_> {
    fn tells(&self, fact: Fact) -> bool {
        self.told.iter().any(|(told, _)| *told == fact)
    }
}

/// What is told must be told once, and the parts of a block must be told together.
fn check(sites: &[Site<'_>]) {
    let mut known: Vec<Fact> = Vec::new();
    for site in sites {
        for (fact, item) in &site.told {
            if known.contains(fact) {
                let message = format!("`{}` is told by another call already", fact.key());
                item.note_as(Code::BadValue, message, "remove one of them");
            }
            known.push(*fact);
            let home = match fact {
                _ if fact.is_of_head() => Fact::Height,
                _ if fact.is_of_final_block() => Fact::Finalized,
                _ => continue,
            };
            if !site.tells(home) {
                let message = format!("`{}` must stand beside `{}`", fact.key(), home.key());
                item.note_as(Code::BadValue, message, "the parts of a block come from one answer, or they do not fit");
            }
        }
        let rare = [&site.every, &site.optional].into_iter().flatten();
        for item in rare.filter(|_| site.tells(Fact::Height)) {
            let message = format!("`{}` cannot stand beside `height`", item.key);
            item.harmless().note_as(Code::BadValue, message, "the height is asked for in every poll");
        }
    }
}

fn expression(item: &Item<'_>, kind: Kind) -> Option<Expression> {
    item.describe(|| {
        Shape::Parsed(match kind {
            Kind::Number => "number in the answer, like /height - 1",
            Kind::Hash => "hash in the answer, like /block/hash",
            Kind::Time => "time in the answer, like /time as ms",
            Kind::Text => "text in the answer, like /version",
        })
    });
    let item = item.harmless();
    let text = item.text("a string", "write where it stands, like \"/result/height\"")?;
    Expression::parse(&text, kind).map_err(|fault| refuse(&item, &fault.to_string())).ok()
}

fn condition(item: &Item<'_>) -> Option<Condition> {
    item.describe(|| Shape::Parsed("condition on the answer, like /status == \"OK\""));
    let item = item.harmless();
    let text = item.text("a string", "write it like '/status == \"OK\"'")?;
    Condition::parse(&text).map_err(|fault| refuse(&item, &fault.to_string())).ok()
}

fn refuse(item: &Item<'_>, why: &str) {
    item.note(format!("`{}` is not understood: {why}", item.key), "docs/chains/generic.md tells how it is written");
}

/// A method goes into JSON as it is.
fn method(item: &Item<'_>) -> Option<String> {
    item.describe(|| Shape::Parsed("JSON-RPC method"));
    let item = item.harmless();
    let help = "letters, digits and . _ - / : in at most 128 bytes";
    let text = item.text("a string", help)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    if text.is_empty() || MAX_METHOD < text.len() || !text.chars().all(is_plain) {
        return item.wrong("`method` is not a usable method".to_owned(), help);
    }
    Some(text)
}

/// A path goes into a request line as it is. It may hold a key, so it is never quoted.
fn path(item: &Item<'_>, secrets: &mut Vec<String>) -> Option<String> {
    item.describe(|| Shape::Parsed("path below the URL of the node, like /v1/status"));
    let help = "a slash and what follows it, without spaces, in at most 1024 bytes";
    let text = match item.value.get_ref() {
        DeValue::String(text) => item.expanded(text, secrets)?,
        _ => return item.is_not("a string", help),
    };
    let is_sound = text.parse::<http::uri::PathAndQuery>().is_ok_and(|path| path.as_str() == text);
    if !text.starts_with('/') || MAX_PATH < text.len() || !is_sound {
        return item.wrong("`path` is not a usable path".to_owned(), help);
    }
    Some(text)
}

/// Parameters as JSON text. They may hold a key, so they are never quoted.
fn params(item: &Item<'_>, secrets: &mut Vec<String>) -> Option<String> {
    item.describe(|| Shape::Json);
    let value = match item.value.get_ref() {
        DeValue::String(text) => serde_json::from_str(&item.expanded(text, secrets)?).ok(),
        other => json(item, other, MAX_DEPTH, secrets),
    };
    let sound = value.filter(|value: &Value| value.is_array() || value.is_object()).map(|value| value.to_string());
    match sound.filter(|text| text.len() <= MAX_PARAMS) {
        Some(text) => Some(text),
        None => item.wrong("`params` cannot be sent".to_owned(), PARAMS_HELP),
    }
}

fn json(item: &Item<'_>, value: &DeValue<'_>, depth: usize, secrets: &mut Vec<String>) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match value {
        DeValue::String(text) => Value::String(item.expanded(text, secrets)?),
        DeValue::Integer(number) => Value::Number(i64::from_str_radix(number.as_str(), number.radix()).ok()?.into()),
        DeValue::Float(number) => Value::Number(Number::from_f64(number.as_str().parse().ok()?)?),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(_) => return None,
        DeValue::Array(elements) => {
            let mut element = |element: &Spanned<DeValue<'_>>| json(item, element.get_ref(), depth, secrets);
            Value::Array(elements.iter().map(&mut element).collect::<Option<_>>()?)
        }
        DeValue::Table(members) => {
            let mut member = |(key, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
                Some((key.get_ref().to_string(), json(item, value.get_ref(), depth, secrets)?))
            };
            Value::Object(members.iter().map(&mut member).collect::<Option<Map<_, _>>>()?)
        }
    })
}
