//! The demo as a user runs it: the whole daemon, three simulated networks, and a story that must come true.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

/// The demo takes the standard port if it is free; two at a time use another.
#[test]
fn the_demo_tells_its_story_and_every_alert_comes_as_it_has_to() {
    let output = Command::new(env!("CARGO_BIN_EXE_haltwatch"))
        .args(["demo", "--exit-after-story"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (lines, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{lines}\n{errors}");
    assert!(!lines.contains('\u{1b}'), "no colours where there is no terminal");
    let wanted = [
        "Three networks, all well",
        "Validator v4 of 'consortium' stops",
        "fired    NodeOffline consortium/v4",
        "Validator v3 stops as well",
        "fired    NetworkHalted consortium",
        "Both validators return",
        "resolved NetworkHalted consortium",
        "The story is over",
        "NetworkHalted fired ",
        "every alert came that had to come, and no other",
    ];
    let mut rest = lines.as_str();
    for text in wanted {
        rest = rest.split_once(text).unwrap_or_else(|| panic!("{text:?} is missing or out of order in\n{lines}")).1;
    }
    let before_the_halt = lines.split("Validator v3 stops as well").next().unwrap();
    assert!(before_the_halt.contains("fired    QuorumAtRisk consortium"), "{lines}");
}

/// `haltwatch demo | head -1` is a way to see what it prints.
#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_haltwatch"))
        .arg("demo")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(demo.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("page"), "{first}");
    let mut errors = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    let status = demo.wait().unwrap();
    assert!(status.success() && errors.is_empty(), "{status} {errors}");
}

#[test]
fn checking_a_configuration_tells_its_outcome_even_if_nobody_listens() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml.example");
    for (file, wanted) in [(example, 0), ("/nowhere.toml", 78)] {
        let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_haltwatch"));
        check.args(["check-config", "--config.file", file]).stdout(full()).stderr(full());
        assert_eq!(check.status().unwrap().code(), Some(wanted), "{file}");
    }
}
