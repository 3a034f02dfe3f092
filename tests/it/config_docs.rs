//! docs/configuration.md: its tables of keys and codes are made from what haltwatch itself knows.

use std::{fs, path::PathBuf};

use expect_test::expect_file;
use haltwatch::config::{Code, Entry, Manual, Severity, Shape};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")
}

/// `text` with what stands between the marks of `name` replaced.
fn replaced(text: &str, name: &str, table: &str) -> String {
    let (before, rest) = text.split_once(&format!("<!-- {name}: ")).unwrap();
    let (mark, rest) = rest.split_once('\n').unwrap();
    let (_, after) = rest.split_once(&format!("<!-- end of {name} -->")).unwrap();
    format!("{before}<!-- {name}: {mark}\n\n{table}\n<!-- end of {name} -->{after}")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn default_of(entry: &Entry) -> String {
    match (&entry.default, entry.required, entry.inherited) {
        (Some(default), ..) => format!("`{default}`"),
        (None, true, _) => "required".to_owned(),
        (None, _, true) => "inherited".to_owned(),
        (None, false, false) => String::new(),
    }
}

fn is_section(entry: &Entry) -> bool {
    matches!(entry.shape, Shape::Table | Shape::Tables)
}

/// One section with its own keys; what it inherits is named only.
fn section(manual: &Manual, header: &str, name: &str, text: &str) -> String {
    let entries = manual.entries().iter().filter(|entry| entry.section == name && !is_section(entry));
    let (inherited, own): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.inherited);
    let row = |entry: &&Entry| {
        let (shape, default, text) = (cell(&entry.shape.to_string()), default_of(entry), cell(&entry.text));
        format!("| `{}` | {shape} | {default} | {text} |\n", entry.key)
    };
    let rows: String = own.iter().map(row).collect();
    let names: Vec<String> = inherited.iter().map(|entry| format!("`{}`", entry.key)).collect();
    let more =
        if names.is_empty() { String::new() } else { format!("\nInherited from above: {}.\n", names.join(", ")) };
    format!("### `{header}`\n\n{text}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n{rows}{more}")
}

fn keys() -> String {
    let manual = Manual::default();
    let order = ["monitor", "web", "alertmanager", "alertmanager.basic_auth", "defaults", "network", "network.node"];
    let rest = manual.entries().iter().filter(|entry| is_section(entry)).map(Entry::path);
    let rest: Vec<String> = rest.filter(|path| !order.contains(&path.as_str())).collect();
    let all = order.into_iter().chain(rest.iter().map(String::as_str));
    let sections: Vec<String> = all
        .filter_map(|name| {
            let entry = manual.entries().iter().find(|entry| entry.path() == name)?;
            let header = manual.entries().iter().find(|entry| entry.section == name)?.header();
            Some(section(&manual, &header, name, &entry.text))
        })
        .collect();
    sections.join("\n")
}

fn codes() -> String {
    let table = |severity: Severity, title: &str| {
        let codes = Code::ALL.iter().filter(|code| code.severity() == severity);
        let row = |code: &Code| format!("| {code} | {} | {} |\n", cell(code.meaning()), cell(code.remedy()));
        let rows: String = codes.map(row).collect();
        format!("### {title}\n\n| code | meaning | what to do |\n|---|---|---|\n{rows}")
    };
    format!("{}\n{}", table(Severity::Error, "Errors"), table(Severity::Warning, "Warnings"))
}

#[test]
fn the_documentation_holds_every_key_and_every_code() {
    let text = fs::read_to_string(path()).unwrap();
    let text = replaced(&replaced(&text, "keys", &keys()), "codes", &codes());
    expect_file![path()].assert_eq(&text);
}
