//! `haltwatch methods` as an operator uses it, and the demo's choice of a family.

use std::process::{Command, Stdio};

use haltwatch::chain::Family;

/// Exit code, standard output and standard error.
fn haltwatch(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_haltwatch")).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_allow_list_is_one_method_a_line() {
    let (code, list, _) = haltwatch(&["methods", "--family=evm"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = list.lines().collect();
    for method in ["eth_chainId", "eth_getBlockByNumber", "eth_subscribe", "eth_unsubscribe", "net_peerCount"] {
        assert!(lines.contains(&method), "{list}");
    }
    assert!(!lines.contains(&"eth_blockNumber"), "what no poll asks needs no leave");
    assert!(lines.is_sorted() && lines.iter().all(|line| !line.trim().is_empty()), "{list}");
    let (_, all, _) = haltwatch(&["methods"]);
    assert!(lines.iter().all(|line| all.contains(line)), "{all}");
}

#[test]
fn the_table_and_the_json_say_what_each_is_for() {
    let (_, table, _) = haltwatch(&["methods", "--family=evm", "--output=table"]);
    let head = table.lines().find(|line| line.contains("eth_getBlockByNumber")).unwrap();
    assert!(head.starts_with("evm ") && head.contains(" head ") && head.ends_with("poll"), "{head}");
    let (_, json, _) = haltwatch(&["methods", "--family=evm", "--output=json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let push = rows.iter().find(|row| row["method"] == "eth_subscribe").unwrap();
    assert_eq!((&push["for"], &push["optional"]), (&"new blocks".into(), &true.into()));
}

#[test]
fn a_configuration_tells_what_its_own_networks_need() {
    let folder = std::env::temp_dir().join(format!("haltwatch-methods-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.toml");
    let text = "[[network]]\nname = \"n\"\nfamily = \"generic\"\n[[network.call]]\nmethod = \"get_info\"\n\
                height = \"/height\"\n[[network.call]]\npath = \"/peers?all=1\"\nevery = \"1m\"\npeers = \"/n\"\n\
                [[network.call]]\npath = \"/v1/9f86d081884c7d659a2feaa0c55ad015/sync\"\nbehind = \"/n\"\n\
                [[network.node]]\nname = \"n\"\nurl = \"http://127.0.0.1:1\"\n";
    std::fs::write(&file, text).unwrap();
    let (code, list, errors) = haltwatch(&["methods", "--config.file", file.to_str().unwrap()]);
    assert_eq!((code, &*list, &*errors), (0, "GET /peers?all=1\nGET /v1/…/sync\nget_info\n", ""));
    let (code, _, errors) = haltwatch(&["methods", "--config.file", "/nonexistent"]);
    assert_eq!(code, 78, "{errors}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_a_reference_stands_for_is_not_told_and_methods_always_are() {
    let folder = std::env::temp_dir().join(format!("haltwatch-methods-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.toml");
    let text = "[[network]]\nname = \"n\"\nfamily = \"generic\"\n[[network.call]]\nmethod = \"get_info\"\n\
                params = [\"${file:a}\", \"information\"]\nheight = \"/height\"\n[[network.call]]\n\
                path = \"/${file:b}/status?token=${file:a}\"\nbehind = \"/n\"\n\
                [[network.node]]\nname = \"n\"\nurl = \"http://127.0.0.1:1\"\n";
    std::fs::write(&file, text).unwrap();
    for (name, secret) in [("a", "Tr0ub4d&r3"), ("b", "pa.ss!w0-rd")] {
        std::fs::write(folder.join(name), secret).unwrap();
    }
    let (code, list, errors) = haltwatch(&["methods", "--config.file", file.to_str().unwrap()]);
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!((code, &*list), (0, "GET /…/status?token=…\nget_info\n"), "{errors}");
}

#[test]
fn the_calls_of_a_generic_chain_are_told_only_where_a_configuration_names_them() {
    let (code, list, errors) = haltwatch(&["methods", "--family=generic"]);
    assert_eq!((code, &*list), (2, ""));
    assert!(errors.contains("--config.file"), "{errors}");
}

#[test]
fn a_probe_of_a_generic_node_needs_its_configuration() {
    let (code, _, errors) = haltwatch(&["probe", "http://127.0.0.1:1", "--family=generic"]);
    assert_eq!(code, 2);
    assert!(errors.contains("stands in the configuration"), "{errors}");
}

#[test]
fn the_demo_refuses_families_that_its_nodes_do_not_speak() {
    let (code, _, errors) = haltwatch(&["demo", "--family=generic"]);
    assert_eq!(code, 2);
    assert!(errors.contains("[possible values: evm"), "{errors}");
    for family in Family::ALL.map(Family::as_str) {
        let tongue = haltwatch::sim::Tongue::of(family);
        assert!(tongue.is_none_or(|tongue| tongue.family() == family), "{family}");
    }
}
