//! The schema for editors: what haltwatch takes it takes, and what is misspelt it marks. The check here knows the words
//! that the schema uses, except patterns; a schema with a word it does not know fails.

use std::{fs, path::PathBuf};

use haltwatch::config;
use serde_json::Value;

/// Whether `value` is what `schema` says, as far as is looked at here.
fn fits(schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(word, wanted)| match word.as_str() {
        "type" => has_type(wanted.as_str().unwrap(), value),
        "anyOf" => wanted.as_array().unwrap().iter().any(|schema| fits(schema, value)),
        "enum" => wanted.as_array().unwrap().contains(value),
        "minimum" => value.as_f64().is_none_or(|number| wanted.as_f64().unwrap() <= number),
        "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
        "minLength" => value.as_str().is_none_or(|text| wanted.as_u64().unwrap() <= text.len() as u64),
        "minItems" => value.as_array().is_none_or(|list| wanted.as_u64().unwrap() <= list.len() as u64),
        "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= wanted.as_u64().unwrap()),
        "items" => value.as_array().is_none_or(|list| list.iter().all(|item| fits(wanted, item))),
        "required" => {
            let there = |key: &Value| value.get(key.as_str().unwrap()).is_some();
            !value.is_object() || wanted.as_array().unwrap().iter().all(there)
        }
        "properties" => {
            let known = |(key, wanted): (&String, &Value)| value.get(key).is_none_or(|value| fits(wanted, value));
            wanted.as_object().unwrap().iter().all(known)
        }
        "additionalProperties" => {
            let known = |key: &String| schema["properties"].get(key).is_some();
            let extra = |(key, value)| known(key) || wanted.is_object() && fits(wanted, value);
            value.as_object().is_none_or(|table| table.iter().all(extra))
        }
        "pattern" => wanted.is_string(),
        "$schema" | "title" | "description" | "default" => true,
        other => panic!("{other} is not known here"),
    })
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("{other} is not known here"),
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn parsed(text: &str) -> Value {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

/// The good configurations there are.
fn good() -> Vec<(PathBuf, Value)> {
    let some = ["config.toml.example", "tests/data/config/all-keys.toml", "tests/data/demo/config.toml"];
    let warned = fs::read_dir(root().join("tests/data/config/warned")).unwrap().map(|entry| entry.unwrap().path());
    let all = some.iter().map(|file| root().join(file)).chain(warned);
    let all = all.filter(|path| path.extension().is_some_and(|end| end == "toml" || end == "example"));
    all.map(|path| (path.clone(), parsed(&fs::read_to_string(path).unwrap()))).collect()
}

#[test]
fn every_good_configuration_fits_the_schema() {
    let schema = config::schema();
    let good = good();
    assert!(50 < good.len());
    for (path, value) in good {
        assert!(fits(&schema, &value), "{}", path.display());
    }
}

#[test]
fn a_network_whose_nodes_are_found_needs_none_of_its_own() {
    let found = "[[discovery]]\nfiles = [\"nodes.json\"]\n[[network]]\nname = \"a\"\nfamily = \"evm\"\n";
    assert!(config::load(&config::Source::Text(found.to_owned())).is_ok());
    assert!(fits(&config::schema(), &parsed(found)));
}

#[test]
fn every_misspelt_key_is_marked_wherever_it_stands() {
    let schema = config::schema();
    let (_, good) = good().swap_remove(1);
    for pointer in ["", "/monitor", "/web", "/alertmanager", "/alertmanager/basic_auth", "/defaults", "/network/0"] {
        let mut value = good.clone();
        value.pointer_mut(pointer).unwrap()["misspelt"] = 1.into();
        assert!(!fits(&schema, &value), "{pointer}");
    }
    for pointer in ["/network/0/node/0", "/network/0/node/1/basic_auth"] {
        let mut value = good.clone();
        value.pointer_mut(pointer).unwrap()["misspelt"] = 1.into();
        assert!(!fits(&schema, &value), "{pointer}");
    }
}

#[test]
fn values_out_of_range_and_of_the_wrong_type_are_marked() {
    let schema = config::schema();
    let (_, good) = good().swap_remove(1);
    for (pointer, wrong) in [
        ("/defaults/interval", Value::from(5)),
        ("/defaults/missing_blocks", 0.into()),
        ("/defaults/error_ratio", 1.5.into()),
        ("/network/0/cadence", 5.into()),
        ("/network/0/node/0/role", 5.into()),
        ("/web/listen", Value::Array(Vec::new())),
        ("/network", Value::Array(Vec::new())),
    ] {
        let mut value = good.clone();
        *value.pointer_mut(pointer).unwrap() = wrong;
        assert!(!fits(&schema, &value), "{pointer}");
    }
}
