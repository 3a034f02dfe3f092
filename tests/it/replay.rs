//! Recorded streams: what is told about them, on their own time, and what is said of a stream that is wrong.

use std::fmt::Write as _;

use haltwatch::replay::{ReplayError, Told, replay};

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
        writeln!(text, r#"{{"k":"canary","t":{},"w":0,"v":"m2","target":"gw","ok":0}}"#, t * 1000 + 300).unwrap();
    }
    text
}

fn told(stream: &str) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    let outcome: Result<(), ReplayError> = replay(stream.as_bytes(), |told: &Told<'_>| {
        let word = if told.fired { "fires" } else { "ends" };
        lines.push(format!("{} {} {word} {}", told.at / 1000, told.alert.key.name.as_str(), told.alert.level.as_str()));
        Ok(())
    });
    lines.retain(|line| !line.contains("Watchdog"));
    outcome.map(|()| lines).map_err(|error| error.to_string())
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
