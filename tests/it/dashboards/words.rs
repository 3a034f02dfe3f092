//! States as numbers, so that they can be drawn, and the words and colours Grafana shows for them.

use haltwatch::{engine::snapshot::NetworkPhase, model::NodeState};

use super::grafana::Word;

/// What a network can be doing, the worse the higher: where two monitors disagree, the worse is shown.
pub const PHASES: &[Word] = &[
    (0, "unknown", "purple"),
    (1, "live", "green"),
    (2, "idle", "blue"),
    (3, "unreachable", "orange"),
    (4, "halted", "red"),
];

/// What a node can be, the worse the higher.
pub const STATES: &[Word] = &[
    (0, "unknown", "purple"),
    (1, "live", "green"),
    (2, "starting", "blue"),
    (3, "syncing", "blue"),
    (4, "rate_limited", "yellow"),
    (5, "unauthorized", "yellow"),
    (6, "lagging", "yellow"),
    (7, "unreachable", "orange"),
    (8, "stalled", "orange"),
    (9, "forked", "red"),
    (10, "wrong_chain", "red"),
    (11, "offline", "red"),
];

/// Yes and no, where yes is bad.
pub const BAD_IF_YES: &[Word] = &[(0, "no", "green"), (1, "yes", "red")];

/// Yes and no, where no is bad.
pub const BAD_IF_NO: &[Word] = &[(0, "no", "red"), (1, "yes", "green")];

/// How loud an alert is.
pub const LEVELS: &[(&str, &str)] = &[("L1", "red"), ("L2", "orange"), ("L3", "yellow"), ("L4", "blue")];

/// Whether an alert has been announced.
pub const ALERT_STATES: &[(&str, &str)] = &[("firing", "red"), ("pending", "yellow"), ("muted", "blue")];

/// A query for what each network is doing, as a number of [`PHASES`].
pub fn phase(matchers: &str) -> String {
    coded("haltwatch_network_phase", "phase", PHASES, matchers, "network")
}

/// A query for the state of each node, as a number of [`STATES`].
pub fn state(matchers: &str) -> String {
    coded("haltwatch_node_state", "state", STATES, matchers, "network, node")
}

fn coded(metric: &str, label: &str, words: &[Word], matchers: &str, by: &str) -> String {
    let terms = words.iter().map(|(code, word, _)| format!(r#"{code} * {metric}{{{matchers},{label}="{word}"}}"#));
    format!("max by ({by}) ({})", terms.collect::<Vec<_>>().join(" or "))
}

#[test]
fn every_state_has_a_word_and_a_colour() {
    let words = |words: &[Word]| {
        assert!(words.iter().enumerate().all(|(at, (code, ..))| at == *code));
        let mut words: Vec<_> = words.iter().map(|(_, word, _)| *word).collect();
        words.sort_unstable();
        words
    };
    let mut phases = NetworkPhase::ALL.map(NetworkPhase::as_str);
    phases.sort_unstable();
    assert_eq!(words(PHASES), phases);
    let mut states = NodeState::ALL.map(NodeState::as_str);
    states.sort_unstable();
    assert_eq!(words(STATES), states);
}
