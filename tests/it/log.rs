//! The log as its readers see it: one event is one line, every line is counted, nothing can break it.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use haltwatch::output::log::{Context, Format, Lines, parse_filter};
use prometheus::{IntCounterVec, Opts};
use tracing_subscriber::prelude::*;

const HOSTILE: &str = "\u{1b}[2Jok\nlevel=ERROR msg=\"forged\" \u{202e}\u{85}\u{0}";

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct ClosedPipe;

impl Write for ClosedPipe {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

fn counters() -> IntCounterVec {
    IntCounterVec::new(Opts::new("messages", "Lines."), &["level"]).unwrap()
}

fn context(journal: bool) -> Context {
    Context { instance: "mon-a".into(), journal }
}

/// What is written while `say` speaks.
fn lines(format: Format, filter: &str, journal: bool, say: impl FnOnce()) -> Vec<String> {
    let written = Written::default();
    let sink = written.clone();
    let layer = Lines::new(format, &counters(), context(journal), move || sink.clone());
    let subscriber = tracing_subscriber::registry().with(parse_filter(filter).unwrap()).with(layer);
    tracing::subscriber::with_default(subscriber, say);
    let bytes = written.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_json_line_has_the_fields_that_log_pipelines_expect() {
    let lines = lines(Format::Json, "info", false, || {
        tracing::warn!(
            trace_id = "inc-7",
            node = "val-1",
            attempts = 3,
            up = false,
            metrics.poll_seconds = 0.25,
            "node {} is offline",
            "val-1"
        );
    });
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let timestamp = line["timestamp"].as_str().unwrap();
    assert_eq!((timestamp.len(), &timestamp[10..11], &timestamp[23..]), (24, "T", "Z"), "{timestamp}");
    assert!(humantime::parse_rfc3339(timestamp).is_ok());
    let wanted = serde_json::json!({
        "timestamp": timestamp, "level": "WARN", "service": "haltwatch", "instance": "mon-a", "trace_id": "inc-7",
        "message": "node val-1 is offline", "context": {"node": "val-1", "attempts": 3, "up": false},
        "metrics": {"poll_seconds": 0.25},
    });
    assert_eq!(line, wanted);
}

#[test]
fn a_text_line_looks_like_those_of_prometheus() {
    let lines = lines(Format::Text, "info", false, || {
        tracing::info!(node = "val 1", attempts = 3, "node is offline");
    });
    let (time, rest) = lines[0].split_once(' ').unwrap();
    assert!(humantime::parse_rfc3339(time.strip_prefix("time=").unwrap()).is_ok(), "{time}");
    assert_eq!(rest, r#"level=INFO msg="node is offline" node="val 1" attempts=3"#);
}

#[test]
fn under_systemd_lines_carry_their_priority() {
    let lines = lines(Format::Text, "trace", true, || {
        tracing::error!("e");
        tracing::warn!("w");
        tracing::info!("i");
        tracing::debug!("d");
        tracing::trace!("t");
    });
    let prefixes: Vec<&str> = lines.iter().map(|line| &line[..8]).collect();
    assert_eq!(prefixes, ["<3>time=", "<4>time=", "<6>time=", "<7>time=", "<7>time="]);
}

#[test]
fn what_a_node_says_can_not_forge_a_line() {
    for format in [Format::Text, Format::Json] {
        let lines = lines(format, "info", false, || {
            tracing::info!(version = HOSTILE, shown = %HOSTILE, debugged = ?HOSTILE, trace_id = HOSTILE, "client {HOSTILE}");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].is_ascii() && !lines[0].chars().any(char::is_control), "{}", lines[0]);
    }
}

#[test]
fn the_causes_of_an_error_are_told() {
    #[derive(Debug, thiserror::Error)]
    #[error("the push failed")]
    struct Outer(#[source] io::Error);
    let lines = lines(Format::Text, "info", false, || {
        let error = Outer(io::Error::other("no route"));
        tracing::error!(error = &error as &dyn std::error::Error, "gave up");
    });
    assert!(lines[0].ends_with(r#"msg="gave up" error="the push failed: no route""#), "{lines:?}");
}

#[test]
fn a_closed_pipe_does_not_end_the_monitor_and_lines_are_still_counted() {
    let counters = counters();
    let layer = Lines::new(Format::Text, &counters, context(false), || ClosedPipe);
    let subscriber = tracing_subscriber::registry().with(parse_filter("info").unwrap()).with(layer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!("one");
        tracing::info!("two");
        tracing::error!("three");
        tracing::debug!("filtered");
    });
    let count = |level: &str| counters.with_label_values(&[level]).get();
    assert_eq!([count("info"), count("error"), count("debug")], [2, 1, 0]);
}

#[test]
fn dependencies_speak_only_when_something_is_wrong() {
    let say = || {
        tracing::info!(target: "hyper::proto", "noise");
        tracing::debug!(target: "jsonrpsee-client", "noise");
        tracing::debug!(target: "rustls::client", "noise");
        tracing::warn!(target: "rustls::client", "trouble");
        tracing::debug!("ours");
    };
    let heard = lines(Format::Text, "debug", false, say);
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].contains("trouble") && heard[1].contains("ours"), "{heard:?}");
}
