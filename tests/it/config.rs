//! The configuration file: what is accepted, what is refused, and that no refusal tells a secret.

use std::{fs, path::PathBuf};

use haltwatch::config::{self, Config, Source};

fn load(text: &str) -> Result<Config, String> {
    config::load(&Source::Text(text.to_owned())).map_err(|problems| problems.to_string())
}

fn example() -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config.toml.example")).unwrap()
}

#[test]
fn the_example_loads_as_it_stands() {
    let config = load(&example()).unwrap();
    assert_eq!((config.engine.networks.len(), config.engine.nodes.len()), (1, 2));
}

#[test]
fn every_default_the_example_states_is_the_true_one() {
    let example = example();
    let without: String =
        example.lines().filter(|line| !line.ends_with("# default")).map(|l| format!("{l}\n")).collect();
    assert!(without.len() < example.len());
    assert_eq!(format!("{:#?}", load(&without).unwrap()), format!("{:#?}", load(&example).unwrap()));
}
