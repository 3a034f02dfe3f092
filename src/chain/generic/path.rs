//! Where a value stands in an answer: a JSON pointer (RFC 6901), and where it leads to a text that is JSON itself, one
//! more into that text. Followed by skipping what lies beside the way, so that an answer of many megabytes costs a scan
//! and no memory.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::expression::Fault;

/// Steps of one pointer at the most: each costs a scan of what it leads into.
const MAX_STEPS: usize = 16;

/// Texts within texts at the most.
const MAX_TEXTS: usize = 3;

/// Longest text that is read as JSON again, in bytes.
const MAX_TEXT: usize = 1024 * 1024;

/// The way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// The first leads into the answer, each other into the text that the one before has led to.
    pointers: Vec<Pointer>,
}

/// The names and positions on the way into one JSON value; `/` alone is the value itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pointer(Vec<String>);

impl Path {
    /// A path of one pointer.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self { pointers: vec![Pointer::parse(text)?] })
    }

    /// The same path, and from the text it leads to another one.
    pub(super) fn into_text(mut self, pointer: &str) -> Result<Self, Fault> {
        if self.pointers.len() == MAX_TEXTS {
            return Err(Fault::new(format!("more than {MAX_TEXTS} texts within each other")));
        }
        self.pointers.push(Pointer::parse(pointer)?);
        Ok(self)
    }

    /// The JSON it leads to; `None` if nothing is there, or the way is not what the answer looks like.
    pub(super) fn find<'a>(&self, json: &'a str) -> Option<Cow<'a, str>> {
        let (first, inner) = self.pointers.split_first()?;
        let found = Cow::Borrowed(first.find(json)?);
        inner.iter().try_fold(found, |found, pointer| {
            if MAX_TEXT < found.len() {
                return None;
            }
            let text: String = serde_json::from_str(&found).ok()?;
            pointer.find(&text).map(|found| Cow::Owned(found.to_owned()))
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointers: Vec<String> =
            self.pointers.iter().map(|Pointer(steps)| format!("/{}", steps.join("/"))).collect();
        f.write_str(&pointers.join(" | "))
    }
}

impl Pointer {
    fn parse(text: &str) -> Result<Self, Fault> {
        let Some(steps) = text.strip_prefix('/') else {
            return Err(Fault::new("a pointer begins with /"));
        };
        if steps.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let steps: Vec<&str> = steps.split('/').collect();
        if MAX_STEPS < steps.len() {
            return Err(Fault::new(format!("a pointer of more than {MAX_STEPS} steps")));
        }
        steps.into_iter().map(unescaped).collect::<Result<_, _>>().map(Self)
    }

    fn find<'a>(&self, json: &'a str) -> Option<&'a str> {
        self.0.iter().try_fold(json.trim_ascii(), |json, name| {
            let mut reader = serde_json::Deserializer::from_str(json);
            let found = Step(name).deserialize(&mut reader).ok()??;
            reader.end().ok()?;
            Some(found.get())
        })
    }
}

/// `~1` is a slash and `~0` a tilde.
fn unescaped(step: &str) -> Result<String, Fault> {
    let mut rest = step.split('~');
    let mut out = rest.next().unwrap_or_default().to_owned();
    for part in rest {
        let (mark, tail) = part.split_at_checked(1).unwrap_or_default();
        match mark {
            "0" => out.push('~'),
            "1" => out.push('/'),
            _ => return Err(Fault::new("after ~ stands 0 or 1")),
        }
        out.push_str(tail);
    }
    Ok(out)
}

/// One step: to the member of this name, or to the element at this position.
#[derive(Clone, Copy)]
struct Step<'s>(&'s str);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Named(self.0))? {
            match found {
                // The first word counts, as everywhere.
                None if is_it => found = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let wanted: usize = self.0.parse().map_err(A::Error::custom)?;
        for _ in 0..wanted {
            if elements.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = elements.next_element()?;
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

/// Whether a key is this name.
struct Named<'s>(&'s str);

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Named<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str, json: &str) -> Option<String> {
        let mut pointers = path.split(" | ");
        let first = Path::parse(pointers.next().unwrap()).unwrap();
        let path = pointers.fold(first, |path, pointer| path.into_text(pointer).unwrap());
        path.find(json).map(Cow::into_owned)
    }

    #[test]
    fn a_pointer_leads_through_objects_arrays_and_texts() {
        let json = r#" {"a":{"b":[1,{"c/d~":"x"}],"b":2},"t":"{\"h\": \"[7]\"}","":0} "#;
        for (path, wanted) in [
            ("/a/b/0", Some("1")),
            ("/a/b/1/c~1d~0", Some(r#""x""#)),
            ("/t | /h | /0", Some("7")),
            ("/t | /h", Some(r#""[7]""#)),
            ("/a/b/2", None),
            ("/a/b/-1", None),
            ("/a/b/0/c", None),
            ("/b", None),
            ("/a | /b", None),
            ("/t | /x", None),
        ] {
            assert_eq!(find(path, json).as_deref(), wanted, "{path}");
        }
        assert_eq!(find("/", " 7 ").as_deref(), Some("7"), "the answer itself");
        assert_eq!(find("/a", r#"{"a":1,"#), None, "broken behind it is broken");
        assert_eq!(find("/a", r#"{"a":1} x"#), None);
    }

    #[test]
    fn depth_and_size_cost_nothing() {
        let deep = format!(r#"{{"x":{}{},"a":1}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(find("/a", &deep).as_deref(), Some("1"));
        assert_eq!(find("/x/0/0/0/0/0/0/0/0/0/0/0/0/0/0/7", &deep), None);
        let long = format!(r#"{{"t":"[{}1]"}}"#, " ".repeat(MAX_TEXT));
        assert_eq!(find("/t | /0", &long), None, "a text has a limit");
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for wrong in ["", "a", "a/b", "/a~", "/a~2b", "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7"] {
            assert!(Path::parse(wrong).is_err(), "{wrong}");
        }
        let full = Path::parse("/a").unwrap().into_text("/b").unwrap().into_text("/c").unwrap();
        assert_eq!(full.to_string(), "/a | /b | /c");
        assert!(full.into_text("/d").is_err());
    }
}
