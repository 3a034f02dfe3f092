//! Properties of the source text itself: who may name whom, what the engine never touches, how large a room may grow.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Module and the crate modules it may name. `app`, `cli` and `main` wire everything and are unrestricted.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("observation", &["model"]),
    ("clock", &["model"]),
    ("storage", &[]),
    ("supervisor", &[]),
    ("transport", &["clock", "model", "observation", "transport"]),
    ("chain", &["chain", "clock", "model", "observation", "supervisor", "transport"]),
    ("engine", &["engine", "model", "observation"]),
    ("output", &["clock", "engine", "model", "observation", "output", "supervisor", "transport"]),
    ("discovery", &["clock", "discovery", "model", "observation", "storage", "supervisor", "transport"]),
    (
        "config",
        &["chain", "clock", "config", "discovery", "engine", "model", "observation", "output", "recorder", "ruletest"],
    ),
    ("replay", &["engine", "model", "observation", "replay"]),
    ("ruletest", &["engine", "model", "observation", "ruletest"]),
    ("recorder", &["engine", "model", "observation", "recorder", "replay"]),
    ("sim", &["clock", "sim", "supervisor"]),
];

/// What the engine never touches: it decides from its arguments alone.
const IMPURE: &[&str] = &[
    "tokio::",
    ".await",
    "async fn",
    "Instant::now",
    "SystemTime",
    "std::env",
    "std::fs",
    "fastrand",
    "tracing::",
    "serde",
    "crate::clock",
];

/// Files that are too long today. This list may only shrink.
const TOO_LONG: &[&str] = &[];

const MAX_LINES: usize = 400;

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

struct Source {
    name: String,
    module: String,
    text: String,
}

impl Source {
    /// The lines before the tests, with their numbers, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.text.split("#[cfg(test)]").next().unwrap_or_default();
        code.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap();
            let module = relative.with_extension("").iter().next().unwrap().to_str().unwrap().to_owned();
            Source { name: format!("src/{}", relative.display()), module, text: fs::read_to_string(&path).unwrap() }
        })
        .collect()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn layers_point_inwards() {
    let mut faults = Vec::new();
    for source in all() {
        let Some((_, allowed)) = LAYERS.iter().find(|(module, _)| *module == source.module) else { continue };
        for (n, line) in source.code() {
            for used in line.split("crate::").skip(1).flat_map(named_modules) {
                if LAYERS.iter().any(|(module, _)| *module == used) && !allowed.contains(&used.as_str()) {
                    faults.push(format!("{}:{n}: {} may not use {used}", source.name, source.module));
                }
            }
        }
    }
    assert_none(&faults);
}

/// The first path segments after `crate::`, braces on the same line included.
fn named_modules(rest: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    match rest.strip_prefix('{') {
        Some(list) => list.split(',').map(|item| word(item.trim())).collect(),
        None => vec![word(rest)],
    }
}

#[test]
fn the_engine_is_pure() {
    let mut faults = Vec::new();
    for source in all().into_iter().filter(|source| source.module == "engine") {
        for (n, line) in source.code() {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{n}: {word} in the engine", source.name));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn every_file_says_what_it_is() {
    let faults: Vec<_> =
        all().iter().filter(|s| !s.text.starts_with("//!")).map(|s| format!("{}: no //! header", s.name)).collect();
    assert_none(&faults);
}

#[test]
fn rooms_stay_small() {
    let mut faults = Vec::new();
    for source in all() {
        let lines = source.text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
        if MAX_LINES < lines && !TOO_LONG.contains(&source.name.as_str()) {
            faults.push(format!("{}: {lines} lines before its tests, the limit is {MAX_LINES}", source.name));
        }
        if lines <= MAX_LINES && TOO_LONG.contains(&source.name.as_str()) {
            faults.push(format!("{}: no longer too long, take it off the list", source.name));
        }
    }
    assert_none(&faults);
}

/// Every dependency is paid for by everybody who builds this, so every one says in ARCHITECTURE.md what it is for.
#[test]
fn every_dependency_is_justified() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, section) = architecture.split_once("\n## Dependencies\n").unwrap();
    let is_part_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let justified: Vec<&str> = section.split(|c| !is_part_of_a_name(c)).collect();
    for table in ["dependencies", "dev-dependencies"] {
        for name in manifest[table].as_table().unwrap().keys() {
            assert!(justified.contains(&name.as_str()), "{name} is missing among the dependencies of ARCHITECTURE.md");
        }
    }
}
