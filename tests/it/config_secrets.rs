//! Whatever is written wherever in the configuration, no output tells it: not what check-config prints in any form, not
//! what the loaded configuration looks like when it is debugged. A canary stands in every place in turn.

use std::{fs, path::PathBuf};

use haltwatch::{
    cli::check_config::report::Report,
    config::{self, Code, Source},
};
use proptest::prelude::*;

/// Keys of providers look like this.
const CANARY: &str = "hw9c4n4ry7f3e1d5b2a8k6";

/// Everything that is said about a text, in every form, with everything the settings show of themselves.
fn outputs(text: &str) -> (bool, String) {
    let loaded = config::load(&Source::Text(text.to_owned()));
    let (problems, settings) = match &loaded {
        Ok(config) => (&config.warnings, format!("{config:?}")),
        Err(problems) => (problems, String::new()),
    };
    let report = Report { problems, counts: loaded.as_ref().ok().map(|_| (1, 1)), online: None };
    let forms = [report.text(false), report.text(true), report.json(), report.github(), report.summary()];
    (loaded.is_ok(), forms.concat() + &format!("{problems:?}") + &settings)
}

#[track_caller]
fn keeps_quiet(text: &str) {
    let (_, said) = outputs(text);
    assert!(!said.contains(CANARY), "{text}\n---\n{said}");
    // Nor most of it: a value that is cut off has been told.
    assert!(!said.contains(&CANARY[..12]) && !said.contains(&CANARY[10..]), "{text}\n---\n{said}");
}

/// The file with every key, with nothing in it that is not in the file.
fn all_keys() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/config/all-keys.toml");
    let text = fs::read_to_string(path).unwrap();
    let text = text
        .replace("${file:token}", "plain")
        .replace("${file:${CARGO_MANIFEST_DIR}/tests/data/config/token}", "plain");
    assert!(outputs(&text).0, "{}", outputs(&text).1);
    text
}

/// The file with every key, table by table: each with the networks that others name, so that it can be loaded alone. What
/// is said of a value comes from its own table, and a small file is read a hundred times while the whole is read ten.
fn tables() -> Vec<String> {
    let text = all_keys();
    let mut tables: Vec<String> = Vec::new();
    for line in text.lines() {
        match tables.last_mut() {
            Some(table) if !line.starts_with('[') => table.extend([line, "\n"]),
            _ => tables.push(format!("{line}\n")),
        }
    }
    for table in &mut tables {
        for name in ["base", "main"].map(|name| format!("name = \"{name}\"")) {
            if !table.contains(&name) {
                let node = "[[network.node]]\nname = \"n\"\nurl = \"http://127.0.0.1:1\"\n";
                table.extend(["[[network]]\n", &name, "\nfamily = \"evm\"\n", node]);
            }
        }
    }
    for table in &tables {
        assert!(outputs(table).0, "{table}\n{}", outputs(table).1);
    }
    tables
}

/// The lines `key = value` of a file: number, key with its indentation, value.
fn settings(text: &str) -> Vec<(usize, &str, &str)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with(['#', '[']));
    lines.filter_map(|(n, line)| line.split_once(" = ").map(|(key, value)| (n, key, value))).collect()
}

fn with_line(text: &str, n: usize, line: &str) -> String {
    let lines = text.lines().enumerate().map(|(at, old)| if at == n { line } else { old });
    lines.collect::<Vec<_>>().join("\n")
}

/// Names, labels, addresses and links are there to be shown when they are right: what is wrong about them is not.
fn is_shown_when_right(key: &str) -> bool {
    let names = [
        "name",
        "network",
        "labels",
        "external_labels",
        "canaries",
        "chain_id",
        "depends_on",
        "summary",
        "comment",
        "kind",
        "group",
        "method",
    ];
    let paths = [
        "external_url",
        "runbook_url",
        "route_prefix",
        "telemetry_path",
        "config_file",
        "file",
        "files",
        "metrics",
        "cookie_file",
        "ca_file",
        "client_cert",
        "client_key",
    ];
    names.contains(&key.trim()) || paths.contains(&key.trim())
}

#[test]
fn no_value_is_told_wherever_it_stands() {
    let tables = tables();
    let places: Vec<_> = tables.iter().flat_map(|text| settings(text).into_iter().map(move |it| (text, it))).collect();
    assert!(150 < places.len(), "{}", places.len());
    for (text, (n, key, _)) in places {
        for value in [
            format!("\"{CANARY}\""),
            format!("'{CANARY}'"),
            format!("[\"{CANARY}\"]"),
            format!("{{ {CANARY} = \"x\" }}"),
            format!("{{ X-Key = \"{CANARY}\" }}"),
            format!("{{ username = \"{CANARY}\", password = \"{CANARY}\" }}"),
            format!("[[\"{CANARY}\"]]"),
            format!("\"https://host/{CANARY}\""),
            format!("\"https://host/?k={CANARY}\""),
            format!("\"https://u:{CANARY}@host\""),
            format!("\"ftp://{CANARY}\""),
            format!("\"${{{CANARY}}}\""),
            format!("\"${{file:{CANARY}}}\""),
            format!("\"${CANARY}\""),
            format!("\"${{{CANARY}\""),
            format!("\"{CANARY}\\n\""),
            format!("\"{CANARY} 5s\""),
            format!("\"5{CANARY}\""),
        ] {
            let text = with_line(text, n, &format!("{key} = {value}"));
            let (good, _) = outputs(&text);
            if !(good && is_shown_when_right(key)) {
                keeps_quiet(&text);
            }
        }
    }
}

#[test]
fn no_value_is_told_where_the_file_is_not_toml() {
    let tables = tables();
    let places = tables.iter().flat_map(|text| settings(text).into_iter().map(move |it| (text, it)));
    for (text, (n, key, _)) in places {
        for value in [
            CANARY.to_owned(),
            format!("\"{CANARY}"),
            format!("'{CANARY}"),
            format!("\"{CANARY}' # {CANARY}"),
            format!("[\"{CANARY}\""),
            format!("{{ a = \"{CANARY}\""),
            format!("\"a\" \"{CANARY}\""),
            format!("\"\\{CANARY}\""),
            format!("\"\"\"{CANARY}"),
            format!("0{CANARY}"),
            format!("“{CANARY}”"),
        ] {
            keeps_quiet(&with_line(text, n, &format!("{key} = {value}")));
        }
        for line in [
            CANARY.to_owned(),
            format!("{key} {CANARY}"),
            format!("{key}: {CANARY}"),
            format!("{key} = = {CANARY}"),
            format!("[{CANARY}"),
            format!("{CANARY} = "),
        ] {
            keeps_quiet(&with_line(text, n, &line));
        }
    }
}

#[test]
fn no_key_is_told_wherever_it_stands() {
    let tables = tables();
    let places = tables.iter().flat_map(|text| settings(text).into_iter().map(move |it| (text, it)));
    for (text, (n, key, value)) in places {
        for line in [
            format!("{CANARY} = {value}"),
            format!("\"{CANARY}\" = {value}"),
            format!("{key}.{CANARY} = 1"),
            format!("{CANARY}.x = 1"),
            format!("[{CANARY}]"),
            format!("[[{CANARY}]]"),
            format!("[web.{CANARY}]"),
            format!("{key} = {value}\n{CANARY} = 1\n{CANARY} = 2"),
        ] {
            keeps_quiet(&with_line(text, n, &line));
        }
    }
}

/// URLs and headers that are right hold keys in every part that may: none is shown by the settings either.
#[test]
fn secrets_at_their_place_are_used_and_not_shown() {
    let right =
        "[[network]]\nname = \"n\"\nfamily = \"evm\"\n[[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n";
    let path = |keys: &str| right.replace("http://127.0.0.1:1\"", &format!("http://127.0.0.1:1{keys}\""));
    let node = |keys: &str| format!("{right}{keys}\n");
    let alertmanager = |keys: &str| format!("[alertmanager]\nurls = [\"http://127.0.0.1:2\"]\n{keys}\n{right}");
    let credentials = [
        format!("bearer_token = \"{CANARY}\""),
        format!("basic_auth = {{ username = \"{CANARY}\", password = \"{CANARY}\" }}"),
        format!("headers = {{ X-Key = \"{CANARY}\", Authorization = \"{CANARY}\", Cookie = \"a={CANARY}\" }}"),
        format!("headers = {{ {CANARY} = \"x\" }}"),
    ];
    let urls = [format!("/{CANARY}"), format!("/v3/{CANARY}/x"), format!("?{CANARY}"), format!("/?a=1&k={CANARY}")];
    let all = credentials.iter().map(|keys| node(keys)).chain(credentials.iter().map(|keys| alertmanager(keys)));
    let all = all.chain(urls.iter().map(|keys| path(keys)));
    let ws = urls.iter().map(|keys| node(&format!("ws = \"wss://host{keys}\"")));
    let peers = urls.iter().map(|keys| alertmanager("").replace("127.0.0.1:2", &format!("127.0.0.1:2{keys}")));
    for text in all.chain(ws).chain(peers) {
        assert!(outputs(&text).0, "{text}\n{}", outputs(&text).1);
        keeps_quiet(&text);
    }
}

#[test]
fn a_secret_file_that_others_can_read_is_told_with_its_mode() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("config-modes");
    fs::create_dir_all(&directory).unwrap();
    let (token, path) = (directory.join("token"), directory.join("config.toml"));
    fs::write(&token, CANARY).unwrap();
    let node = "[[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\nbearer_token = \"${file:token}\"\n";
    fs::write(&path, format!("[[network]]\nname = \"n\"\nfamily = \"evm\"\n{node}")).unwrap();
    let is_root = fs::metadata(&token).unwrap().uid() == 0;
    for (mode, wanted) in [
        (0o600, None),
        (0o400, None),
        (0o640, (!is_root).then_some("-rw-r-----")),
        (0o644, Some("-rw-r--r--")),
        (0o666, Some("-rw-rw-rw-")),
    ] {
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
        let warnings = config::load(&Source::File(path.clone())).unwrap().warnings;
        let told = warnings.list.iter().find(|problem| problem.code == Code::OpenSecretFile);
        assert_eq!(told.is_some(), wanted.is_some(), "{mode:o}: {warnings}");
        if let (Some(problem), Some(wanted)) = (told, wanted) {
            assert_eq!((problem.line, problem.column), (7, 16));
            assert_eq!(problem.message, format!("the secret file token is open to others: {wanted}"));
        }
        assert!(!warnings.to_string().contains(CANARY));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that can be typed makes the check panic.
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        outputs(&text);
    }

    /// Nor anything that is nearly a configuration, and the canary in it stays untold.
    #[test]
    fn any_mixture_of_parts_is_answered_without_telling(parts in proptest::collection::vec(part(), 0..40)) {
        let text: String = parts.concat();
        let (good, said) = outputs(&text);
        prop_assert!(good || !said.contains(CANARY), "{}\n---\n{}", text, said);
    }
}

/// Something that stands in configurations.
fn part() -> impl Strategy<Value = String> {
    let words = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        " = ",
        ",",
        ".",
        "\n",
        "\n\n",
        "\"",
        "'",
        "\"\"\"",
        "#",
        "${",
        "$",
        "\\",
        "network",
        "network.node",
        "defaults",
        "monitor",
        "web",
        "alertmanager",
        "name",
        "family",
        "url",
        "urls",
        "labels",
        "headers",
        "interval",
        "basic_auth",
        "depends_on",
        "\"evm\"",
        "\"5s\"",
        "5",
        "-1",
        "1.5",
        "nan",
        "true",
        "2024-01-01",
        "\"http://127.0.0.1:1\"",
        "é",
        "\u{feff}",
        "\u{0}",
        "\r\n",
    ];
    let lines = [
        format!("name = \"{CANARY}"),
        format!("url = \"http://host/{CANARY}\"\n"),
        format!("bearer_token = \"{CANARY}\"\n"),
        format!("\"{CANARY}\" = 1\n"),
        CANARY.to_owned(),
        "\n[[network]]\nname = \"n\"\nfamily = \"evm\"\n".to_owned(),
        "\n[[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n".to_owned(),
    ];
    let all: Vec<String> = words.iter().map(|word| (*word).to_owned()).chain(lines).collect();
    proptest::sample::select(all)
}
