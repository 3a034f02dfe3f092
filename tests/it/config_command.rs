//! `check-config` and `config` as they are called: exit codes, where what is written, what is embedded.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes its texts that way")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/config").join(file)
}

fn haltwatch(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_haltwatch")).args(arguments).env_remove("NO_COLOR").output().unwrap()
}

fn check(file: &Path, more: &[&str]) -> Output {
    let arguments = ["check-config", "--config.file", file.to_str().unwrap()];
    haltwatch(&[&arguments, more].concat())
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_exit_code_tells_the_outcome() {
    let (good, warned, bad) = (data("warned/none.toml"), data("warned/w203.toml"), data("bad/syntax-yaml.toml"));
    for output in ["text", "json", "github"] {
        for (file, strict, wanted) in [
            (&good, false, 0),
            (&good, true, 0),
            (&warned, false, 0),
            (&warned, true, 3),
            (&bad, false, 78),
            (&bad, true, 78),
        ] {
            let form = ["--output", output];
            let more = if strict { [&form[..], &["--strict"]].concat() } else { form.to_vec() };
            assert_eq!(code(&check(file, &more)), wanted, "{} {more:?}", file.display());
        }
    }
    assert_eq!(code(&check(&good, &["--output", "xml"])), 2);
    assert_eq!(code(&check(Path::new("/nowhere.toml"), &[])), 78);
}

#[test]
fn problems_go_where_errors_are_read_and_the_rest_to_the_output() {
    let good = check(&data("warned/w203.toml"), &[]);
    assert!(text(&good.stderr).contains("warning[W203]"));
    assert!(text(&good.stdout).ends_with("w203.toml: good, with 1 warning; networks: 1, nodes: 1\n"));
    let bad = check(&data("bad/many-at-once.toml"), &[]);
    assert_eq!(text(&bad.stdout), "");
    assert!(text(&bad.stderr).ends_with("many-at-once.toml: cannot be used; 10 errors\n"), "{}", text(&bad.stderr));
    let json = check(&data("bad/many-at-once.toml"), &["--output=json"]);
    assert_eq!(text(&json.stderr), "");
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&object["valid"], &object["errors"]), (&false.into(), &10.into()));
}

#[test]
fn colours_are_only_for_those_who_want_them() {
    let bad = data("bad/syntax-yaml.toml");
    let coloured = |more: &[&str]| text(&check(&bad, more).stderr).contains('\x1b');
    assert!(!coloured(&[]), "this is no terminal");
    assert!(!coloured(&["--color=never"]));
    assert!(coloured(&["--color=always"]));
}

#[test]
fn a_configuration_may_come_from_the_standard_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_haltwatch"))
        .args(["check-config", "--config.file=-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"[defaults]\ninterval = 5\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 78);
    assert!(text(&output.stderr).contains("<stdin>:2:12: error[E005]: "), "{}", text(&output.stderr));
}

#[test]
fn the_example_is_embedded() {
    let output = haltwatch(&["config", "example"]);
    let file = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml.example")).unwrap();
    assert_eq!((code(&output), output.stdout), (0, file));
}

#[test]
fn a_key_is_explained_or_the_way_to_it_is() {
    let explain = |key: &str| haltwatch(&["config", "explain", key]);
    expect_test::expect![[r#"
        network.node.interval
          How often a node is asked: 100ms to 1h.

          takes     duration, 100ms to 1h
          default   that of [[network]] or [defaults], else "5s"
          stands in [[network.node]]
    "#]]
    .assert_eq(text(&explain("network.node.interval").stdout));
    expect_test::expect![[r#"
        network.tolerance
          How many core nodes may be lost. "bft": fewer than a third (PBFT,
          Tendermint). "two_thirds": as many as leave two thirds (QBFT, IBFT 2).
          "majority": fewer than half (Raft, Clique). "all_but_one": one is enough.

          takes     one of bft, two_thirds, majority, all_but_one
          default   "bft"
          stands in [[network]]
    "#]]
    .assert_eq(text(&explain("tolerance").stdout));
    expect_test::expect![[r#"
        monitor.canaries
          Addresses (host:port) that answer a TCP connection whenever your own network
          is fine: the gateway, a DNS server, a second provider. When all of them and
          all nodes are gone, MonitorIsolated fires and no network is accused. Without
          canaries, a broken uplink cannot be told from an outage of everything.

          takes     array of 0 to 64: an address
          default   []
          stands in [monitor]
    "#]]
    .assert_eq(text(&explain("canaries").stdout));
    assert_eq!(explain("interval").stdout, explain("defaults.interval").stdout, "the one that the others inherit");
    let several = explain("basic_auth");
    assert_eq!(code(&several), 1);
    expect_test::expect![[r#"
        there are several keys of this name:
          alertmanager.basic_auth
          discovery.basic_auth
          network.node.basic_auth
    "#]]
    .assert_eq(text(&several.stderr));
    let misspelt = explain("toleranze");
    assert_eq!((code(&misspelt), text(&misspelt.stdout)), (1, ""));
    expect_test::expect![[r#"
        there is no such key; did you mean tolerance?
    "#]]
    .assert_eq(text(&misspelt.stderr));
}
