//! The demo as a user runs it: the whole daemon, three simulated networks, and a story that must come true.

use std::process::{Command, Stdio};

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
}
