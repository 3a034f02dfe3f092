//! What a list of targets is: an array of groups, each with `targets` and `labels`, as Prometheus reads them. Everything
//! in it is foreign: its size, counts and lengths are bounded while it is read, and no fault quotes any of it.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{Target, target::is_ours};

/// Largest list in bytes.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// Targets of one list.
const MAX_TARGETS: usize = 100_000;

/// Groups of one list.
const MAX_GROUPS: usize = MAX_TARGETS;

/// Labels of one group, those that mean nothing to us included: some platforms describe their machines at length.
const MAX_LABELS: usize = 512;

/// Bytes of an address.
const MAX_ADDRESS: usize = 4096;

/// Bytes of the value of a label that is kept.
const MAX_VALUE: usize = 4096;

/// Bytes of the name of a label that is kept.
const MAX_NAME: usize = 128;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, of `.json` files and of servers.
    Json,
    /// YAML, of `.yml` and `.yaml` files.
    Yaml,
}

/// What is wrong with a list. The text holds nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is too large.
    #[error("larger than 4 MiB")]
    TooLarge,
    /// There is nothing: whoever writes it is not done yet. A list without targets is `[]`.
    #[error("empty; a list without targets is []")]
    Empty,
    /// Not an array of groups, or beyond a bound.
    #[error("not a list of target groups, or one that is out of bounds: line {line}, column {column}")]
    Malformed {
        /// 1-based.
        line: u64,
        /// 1-based.
        column: u64,
    },
    /// More targets than fit one list.
    #[error("more than 100,000 targets")]
    TooManyTargets,
}

/// Reads a list.
///
/// # Errors
/// [`BodyError`]: none of the list is usable then.
pub fn interpret(bytes: &[u8], format: Format) -> Result<Vec<Target>, BodyError> {
    if MAX_BODY < bytes.len() {
        return Err(BodyError::TooLarge);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(BodyError::Empty);
    }
    let Bounded::<Group, MAX_GROUPS>(groups) = match format {
        Format::Json => serde_json::from_slice(bytes).map_err(|error| of_json(&error))?,
        Format::Yaml => from_yaml(bytes)?,
    };
    let count: usize = groups.iter().map(|group| group.targets.0.len()).sum();
    if MAX_TARGETS < count {
        return Err(BodyError::TooManyTargets);
    }
    Ok(groups.into_iter().flat_map(Group::into_targets).collect())
}

/// The library bounds nesting, aliases and events by itself. It is told not to quote what it refuses.
fn from_yaml<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, BodyError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_slice_with_options(bytes, options).map_err(|error| {
        let place = error.location();
        let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
        BodyError::Malformed { line, column }
    })
}

fn of_json(error: &serde_json::Error) -> BodyError {
    BodyError::Malformed { line: error.line() as u64, column: error.column() as u64 }
}

/// Targets that share labels.
#[derive(Deserialize)]
#[serde(expecting = "a group of targets")]
struct Group {
    #[serde(default, deserialize_with = "or_none")]
    targets: Bounded<Address, MAX_TARGETS>,
    #[serde(default, deserialize_with = "or_none")]
    labels: Labels,
}

impl Group {
    fn into_targets(self) -> impl Iterator<Item = Target> {
        let labels: Arc<[_]> = Arc::from(self.labels.0);
        self.targets.0.into_iter().map(move |Address(address)| Target { address, labels: Arc::clone(&labels) })
    }
}

/// `null` is how some writers put nothing.
fn or_none<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// At most `N` of something.
struct Bounded<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Bounded<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements::<T, N>(std::marker::PhantomData)).map(Self)
    }
}

struct Elements<T, const N: usize>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Elements<T, N> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {N} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element()? {
            if N <= all.len() {
                return Err(A::Error::custom("too many elements"));
            }
            all.push(element);
        }
        Ok(all)
    }
}

/// The address of a target.
struct Address(Arc<str>);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if MAX_ADDRESS < text.len() {
            return Err(D::Error::custom("the address is too long"));
        }
        Ok(Self(Arc::from(text)))
    }
}

/// The labels of a group that mean something to us, sorted by name.
#[derive(Default)]
struct Labels(Vec<(Arc<str>, Arc<str>)>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries).map(Self)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(Arc<str>, Arc<str>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_LABELS} labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut labels: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        let mut count = 0;
        while let Some(name) = entries.next_key::<String>()? {
            count += 1;
            if MAX_LABELS < count {
                return Err(A::Error::custom("too many labels"));
            }
            if !is_ours(&name) {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = entries.next_value::<String>()?;
            if MAX_NAME < name.len() || MAX_VALUE < value.len() {
                return Err(A::Error::custom("the label is too long"));
            }
            // An empty label is no label, as everywhere in Prometheus.
            labels.retain(|(taken, _)| **taken != *name);
            if !value.is_empty() {
                labels.push((Arc::from(name), Arc::from(value)));
            }
        }
        labels.sort();
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(body: &str, format: Format) -> Result<String, BodyError> {
        let label = |(name, value): &(Arc<str>, Arc<str>)| format!(" {name}={value}");
        let one =
            |target: &Target| format!("{}{}", target.address, target.labels.iter().map(label).collect::<String>());
        Ok(interpret(body.as_bytes(), format)?.iter().map(one).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn groups_are_read_as_prometheus_reads_them() {
        for (body, wanted) in [
            ("[]", ""),
            ("[{}]", ""),
            (r#"[{"targets":[]}]"#, ""),
            (r#"[{"targets":["a:1","b:2"],"labels":{"z":"1","a":"2"}}]"#, "a:1 a=2 z=1; b:2 a=2 z=1"),
            (r#"[{"targets":["a:1"],"labels":{}},{"targets":["b:2"]}]"#, "a:1; b:2"),
            (r#" [{"source":"x","targets":["a:1"],"labels":{"__meta_x":"y","__tmp":"z","e":""}}]"#, "a:1"),
            (r#"[{"targets":["a:1"],"labels":null},{"targets":null}]"#, "a:1"),
            (r#"[{"targets":["a:1"],"labels":{"__scheme__":"https"}}]"#, "a:1 __scheme__=https"),
        ] {
            assert_eq!(shown(body, Format::Json).as_deref(), Ok(wanted), "{body}");
            assert_eq!(shown(body, Format::Yaml).as_deref(), Ok(wanted), "{body}");
        }
    }

    #[test]
    fn yaml_files_need_no_quotes() {
        let body = "# nodes\n- targets:\n  - 10.0.0.1:8545\n  - node.example.org:8545\n  labels:\n    network: main\n    core: true\n    weight: 3\n";
        let labels = "core=true network=main weight=3";
        let wanted = format!("10.0.0.1:8545 {labels}; node.example.org:8545 {labels}");
        assert_eq!(shown(body, Format::Yaml), Ok(wanted));
    }

    #[test]
    fn what_is_no_list_is_refused_without_a_word_of_it() {
        for body in [
            r#"[{"targets":["SECRET"#,
            r#"{"targets":["SECRET"]}"#,
            r#"[{"targets":"SECRET"}]"#,
            r#"[{"targets":[{"SECRET":1}]}]"#,
            r#"[{"targets":["a:1"],"labels":"SECRET"}]"#,
            r#""SECRET""#,
            "null",
            "[{\"targets\":[\"a:1\"]}] SECRET: [",
        ] {
            for format in [Format::Json, Format::Yaml] {
                let error = shown(body, format).unwrap_err();
                assert!(!format!("{error} {error:?}").contains("SECRET"), "{body}: {error}");
            }
        }
        for (body, format) in [("", Format::Json), (" \n", Format::Yaml)] {
            assert_eq!(shown(body, format), Err(BodyError::Empty));
        }
    }

    #[test]
    fn lists_beyond_the_bounds_are_refused() {
        let long = "x".repeat(MAX_ADDRESS + 1);
        let labels: Vec<String> = (0..=MAX_LABELS).map(|n| format!("\"__meta_{n}\":\"\"")).collect();
        let many = vec!["\"\""; MAX_TARGETS + 1].join(",");
        for body in [
            format!("[{{\"targets\":[\"{long}\"]}}]"),
            format!("[{{\"targets\":[\"a:1\"],\"labels\":{{\"x\":\"{long}\"}}}}]"),
            format!("[{{\"targets\":[\"a:1\"],\"labels\":{{{}}}}}]", labels.join(",")),
            format!("[{{\"targets\":[{many}]}}]"),
            format!("[{}]", vec!["{}"; MAX_GROUPS + 1].join(",")),
            "[".repeat(100_000),
        ] {
            assert!(matches!(shown(&body, Format::Json), Err(BodyError::Malformed { .. })), "{}", &body[..40]);
        }
        let half = vec!["\"\""; MAX_TARGETS / 2 + 1].join(",");
        let halves = format!("[{{\"targets\":[{half}]}},{{\"targets\":[{half}]}}]");
        assert_eq!(shown(&halves, Format::Json), Err(BodyError::TooManyTargets));
        assert_eq!(shown(&" ".repeat(MAX_BODY + 1), Format::Json), Err(BodyError::TooLarge));
        let bomb =
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n";
        assert!(shown(bomb, Format::Yaml).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (interpret(&bytes, Format::Json), interpret(&bytes, Format::Yaml));
        }

        #[test]
        fn no_cut_does_harm(at in 0_usize..120) {
            let body = br#"[{"targets":["a:1","[::1]:2"],"labels":{"network":"main","x":"1"}},{"targets":["b:2"]}] # and more than that"#;
            let cut = &body[..at.min(body.len())];
            let _ = (interpret(cut, Format::Json), interpret(cut, Format::Yaml));
        }
    }
}
