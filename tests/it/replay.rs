//! Recorded streams: what is told about them, on their own time, and what is said of a stream that is wrong.

use std::fmt::Write as _;

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use haltwatch::{
    engine::settings::Settings,
    replay::{Change, End, ReplayError, Told, recast, replay},
};

const META: &str = r#"{"k":"meta","schema":"halt-replay/1","t":0,"run":"x","wall0":1700000000000,
"monitor":{"poll_s":5,"timeout_s":5,"vantages":["m1","m2"],"canaries":1},
"chains":[{"id":"main","net":"7","family":"evm","bft":true,"block_time_s":2,"cadence":"fixed","finality":{"kind":"none"}}],
"nodes":[{"id":"a","chain":"main","role":"core","weight":1},{"id":"b","chain":"main","role":"core"},
{"id":"c","chain":"main","role":"rpc"}]}"#;

/// A stream of `seconds` in which every node is polled every five seconds and a block comes every two until
/// `last_block`; `silent` is a time in which the monitor itself stood still.
fn stream(seconds: i64, last_block: i64, silent: std::ops::Range<i64>) -> String {
    let mut text = META.replace('\n', "") + "\n";
    for t in (0..seconds).filter(|t| t % 5 == 0 && !silent.contains(t)) {
        for (node, offset) in [("a", 0), ("b", 100), ("c", 200)] {
            let (at, height) = (t * 1000 + offset, 1000 + t.min(last_block) / 2);
            let wall = 1_700_000_000_000 + at;
            writeln!(
                text,
                r#"{{"k":"sample","t":{at},"w":{wall},"v":"m1","n":"{node}","c":"main","ok":1,"lat":40,"h":{height},"hh":"{height:012x}","ht":{},"ntx":1,"net":"7","syncing":0,"peers":9,"ver":"x/1","new":[1]}}"#,
                1_700_000_000_000 + t.min(last_block) * 1000
            )
            .unwrap();
        }
        let (at, wall) = (t * 1000 + 300, 1_700_000_000_300 + t * 1000);
        writeln!(text, r#"{{"k":"canary","t":{at},"w":{wall},"v":"m2","target":"gw","ok":0}}"#).unwrap();
    }
    text
}

/// What is told of a stream under settings made of its own, and how the replay ended.
fn told_under(stream: &str, cast: impl FnOnce(&Settings) -> Settings) -> (Vec<String>, Result<End, String>) {
    let mut lines = Vec::new();
    let outcome: Result<End, ReplayError> = replay(stream.as_bytes(), cast, |told: &Told<'_>| {
        let word = if told.change == Change::Fired { "fires" } else { "ends" };
        let second = told.now.at.0 / 1000;
        lines.push(format!("{second} {} {word} {}", told.alert.key.name.as_str(), told.alert.level.as_str()));
        Ok(())
    });
    lines.retain(|line| !line.contains("Watchdog"));
    (lines, outcome.map_err(|error| error.to_string()))
}

fn told(stream: &str) -> Result<Vec<String>, String> {
    let (lines, outcome) = told_under(stream, Settings::clone);
    outcome.map(|_| lines)
}

/// What the command makes of a stream on its standard input.
fn command(arguments: &[&str], stream: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_haltwatch"))
        .arg("replay")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_halt_is_told_when_the_daemon_would_have_told_it() {
    // The last block was seen at 100 s; ten missing blocks are less than the floor of 30 s.
    assert_eq!(told(&stream(180, 100, 0..0)).unwrap(), ["130 NetworkHalted fires L1"]);
}

#[test]
fn a_network_that_goes_on_is_nothing_to_tell() {
    assert_eq!(told(&stream(180, 180, 0..0)).unwrap(), Vec::<String>::new());
}

#[test]
fn time_in_which_the_monitor_stood_still_accuses_nobody() {
    assert_eq!(told(&stream(400, 400, 60..300)).unwrap(), Vec::<String>::new());
}

#[test]
fn a_line_that_is_wrong_is_named_by_its_number() {
    let good = stream(10, 10, 0..0);
    let with = |line: &str| told(&format!("{good}\n{line}\n")).unwrap_err();
    let before = good.lines().count() + 2;
    for (line, problem) in [
        ("nonsense", "expected"),
        (r#"{"k":"sample","t":1}"#, "the time 1 is before that of an earlier line"),
        (r#"{"k":"sample","t":99000,"c":"main","n":"z","ok":1,"h":1}"#, "a node that the first line does not name"),
        (r#"{"k":"sample","t":99000,"c":"main","n":"a","ok":1}"#, "a good sample has `h`"),
        (r#"{"k":"sample","t":99000,"c":"main","n":"a","ok":2,"h":1}"#, "a truth value is true, false, 1 or 0"),
    ] {
        let said = with(line);
        assert!(said.starts_with(&format!("line {before}: ")) && said.contains(problem), "{line}: {said}");
    }
}

#[test]
fn a_stream_without_its_first_line_is_refused() {
    for (text, problem) in [
        ("", "line 1: the stream is empty"),
        (&META.replace('\n', "").replace("halt-replay/1", "halt-replay/9"), "the schema is"),
        (&META.replace('\n', "").replace("\"chain\":\"main\"", "\"chain\":\"other\""), "belongs to no network"),
        (&META.replace('\n', "").replace("\"poll_s\":5", "\"poll_s\":-5"), "-5 is not a number of seconds"),
    ] {
        let said = told(text).unwrap_err();
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn a_recording_that_was_interrupted_is_replayed_as_far_as_it_goes() {
    let whole = stream(180, 100, 0..0);
    let cut = &whole[..whole.len() - 40];
    let (lines, end) = told_under(cut, Settings::clone);
    assert_eq!(lines, ["130 NetworkHalted fires L1"]);
    assert_eq!(end.unwrap().cut_at, Some(whole.lines().count()));
    let output = command(&["-"], cut);
    assert!(output.status.success() && text(&output.stderr).contains("the recording was interrupted there"));
    let (_, end) = told_under(&whole, Settings::clone);
    assert_eq!(end.unwrap().cut_at, None);
}

#[test]
fn what_is_of_an_unknown_kind_is_passed_over_whatever_it_holds() {
    let with = stream(180, 100, 0..0).replacen(
        "{\"k\":\"canary\"",
        "{\"k\":\"weather\",\"t\":\"dry\",\"h\":{}}\n{\"k\":\"canary\"",
        3,
    );
    assert_eq!(told(&with).unwrap(), ["130 NetworkHalted fires L1"]);
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let endless = stream(10, 10, 0..0) + "{\"k\":\"" + &"x".repeat(3 << 20);
    assert!(told(&endless).unwrap_err().ends_with("longer than 1 MiB"));
}

fn configuration(text: &str) -> Settings {
    haltwatch::config::load(&haltwatch::config::Source::Text(text.to_owned())).unwrap().engine
}

const OTHER: &str = "[[network]]\nname = \"main\"\nfamily = \"evm\"\nblock_time = \"2s\"\nhalt_floor = \"60s\"\n\
    [[network.node]]\nname = \"z\"\nurl = \"http://127.0.0.1:1\"\n\
    [[network.node]]\nname = \"a\"\nrole = \"validator\"\nurl = \"http://127.0.0.1:2\"\n\
    [[network]]\nname = \"far\"\nfamily = \"evm\"\n\
    [[network.node]]\nname = \"f\"\nurl = \"http://127.0.0.1:3\"\n";

#[test]
fn another_configuration_says_when_it_would_have_called() {
    let other = configuration(OTHER);
    let mut notes = Vec::new();
    let (lines, _) = told_under(&stream(200, 100, 0..0), |stream| {
        let (settings, said) = recast(stream, &other);
        notes = said;
        settings
    });
    assert_eq!(lines, ["160 NetworkHalted fires L1"], "the floor of a minute counts");
    assert_eq!(
        notes,
        [
            "the configuration does not name these nodes, which keep what the stream says: main/b, main/c",
            "the stream knows nothing of these networks of the configuration: far",
            "the stream knows nothing of these nodes of the configuration: main/z, far/f",
        ]
    );
}

#[test]
fn the_rules_and_silences_of_a_configuration_hold_for_a_stream_as_well() {
    let rule = "[[rule]]\nname = \"BelowPlan\"\nscope = \"node\"\nwhen = \"node.height < 1040\"\nlevel = \"L3\"\n\
                summary = \"{{node.name}} is below plan\"\nfor = \"0s\"\n";
    let silence = "[[silence]]\nmatchers = [\"alertname=BelowPlan\", \"node=~a|b\"]\ncomment = \"known\"\n\
                   from = \"2023-11-01T00:00:00Z\"\nuntil = \"2023-12-01T00:00:00Z\"\n";
    let under = |more: &str| {
        let config = configuration(&format!("{OTHER}{more}"));
        told_under(&stream(40, 40, 0..0), |stream| recast(stream, &config).0).0
    };
    let told = under(rule);
    assert_eq!(told.iter().filter(|line| line.contains("BelowPlan fires L3")).count(), 3, "{told:?}");
    let told = under(&format!("{rule}{silence}"));
    assert_eq!(told.iter().filter(|line| line.contains("BelowPlan fires L3")).count(), 1, "{told:?}");
}

#[test]
fn the_lines_for_machines_are_alerts_and_nothing_else() {
    let output = command(&[], &stream(180, 100, 0..0));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "{\"t\":130000,\"state\":\"fire\",\"alert\":\"NetworkHalted\",\"level\":\"L1\",\"scope\":{\"chain\":\"main\"},\
         \"reason\":\"blocks_missing\"}\n"
    );
}

#[test]
fn an_explained_line_holds_the_votes_of_its_moment() {
    let output = command(&["--explain"], &stream(180, 100, 0..0));
    let line: serde_json::Value = serde_json::from_str(text(&output.stdout).trim()).unwrap();
    let explained = &line["explain"];
    assert!(explained["finding"].as_str().unwrap().contains("no block after"), "{explained}");
    assert_eq!(explained["network"]["phase"], "halted");
    let votes = explained["network"]["votes"].as_array().unwrap();
    assert_eq!(votes.len(), 3);
    assert!(votes.iter().all(|vote| vote["counts"] == true && vote["height"] == 1050), "{votes:?}");
    let end = text(&output.stderr);
    assert!(end.contains("main is halted") && end.contains("it will be live when 5 normal blocks arrive"), "{end}");
}

#[test]
fn the_table_is_for_people() {
    let output = command(&["--output", "table", "--explain"], &stream(180, 100, 0..0));
    let table = text(&output.stdout);
    let mut lines = table.lines();
    let (header, halt) = (lines.next().unwrap(), lines.next().unwrap());
    assert_eq!(header.find("what"), halt.find("no block after"), "aligned: {table}");
    assert!(halt.trim_start().starts_with("0:02:10.000  2023-11-14T22:15:30.000Z  fire     L1"), "{table}");
    assert!(table.contains("    verdict: halted (blocks_missing)"), "{table}");
    assert!(!table.contains('\u{1b}'), "colours only on a terminal");
    let summary = text(&output.stderr);
    assert_eq!(
        summary,
        "1 alert (L1 1, L2 0, L3 0, L4 0); first halt: main after 2m 10s, at 2023-11-14T22:15:30.000Z\n"
    );
    let coloured = command(&["--output", "table", "--color", "always"], &stream(180, 100, 0..0));
    assert!(text(&coloured.stdout).contains("\u{1b}[1;31mfire"));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_haltwatch"))
        .args(["replay", "--output", "table"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    // The command may be gone before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(stream(180, 100, 0..0).as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_stream_that_claims_polls_of_many_years_is_replayed_at_once() {
    let patient = stream(60, 60, 0..0).replace(r#""timeout_s":5"#, r#""timeout_s":1e15"#);
    let (first, _) = patient.split_once("\n{").unwrap();
    let late = r#"{"k":"sample","t":9000000000000000000,"v":"m1","n":"a","c":"main","ok":0,"err":"timeout"}"#;
    let stream = format!("{first}\n{}\n{late}\n", patient[first.len()..].trim());
    assert!(told(&stream).is_ok());
}
