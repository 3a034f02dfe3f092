//! The view of the demo: a pure function of the daemon's snapshot, the story and the width of the terminal.

use std::time::Duration;

use super::{
    paint::{Line, Paint},
    story::{Act, Story},
};
use crate::{
    engine::{
        settings::Settings,
        snapshot::{Alert, AlertState, NetworkPhase, NetworkView, Snapshot, Subject},
    },
    model::{AlertName, Level, NodeState, Now},
    output::label::shown_state,
};

/// Alerts shown; the page shows them all.
const MAX_ALERTS: usize = 8;

/// In front of an explanation, so that it stands below the name of its alert.
const INDENT: &str = "           ";

/// Everything that is shown.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// The daemon's latest snapshot.
    pub snapshot: Option<&'a Snapshot>,
    /// The story.
    pub story: &'a Story,
    /// The instant of the picture.
    pub now: Now,
    /// What can be opened, and where.
    pub urls: &'a [(&'static str, String)],
}

/// The lines of the view, for a terminal of `width` columns.
#[must_use]
pub fn render(picture: &Picture<'_>, width: usize) -> Vec<Line> {
    let mut lines = heading(picture);
    lines.extend(narration(picture.story, width));
    lines.push(Line::default());
    match picture.snapshot {
        Some(snapshot) => {
            lines.extend(networks(snapshot, picture.now, width));
            lines.extend(alerts(snapshot, picture.now, width));
        }
        None => lines.push(Line::of(Paint::Faint, "The daemon starts...")),
    }
    lines.push(Line::default());
    lines.extend(summary(picture.story));
    for (what, url) in picture.urls {
        lines.push(Line::of(Paint::Faint, format!("{what:<10}")).with(Paint::Plain, url));
    }
    lines.push(Line::of(Paint::Faint, "Ctrl-C ends the demo."));
    lines
}

fn heading(picture: &Picture<'_>) -> Vec<Line> {
    let elapsed = picture.now.at.since(picture.story.began().at).as_secs();
    let clock = format!("{}:{:02}", elapsed / 60, elapsed % 60);
    let title = Line::of(Paint::Strong, "haltwatch demo")
        .with(Paint::Plain, format!("  {clock}  "))
        .with(Paint::Faint, "three simulated networks, watched by the real daemon");
    vec![title, Line::default()]
}

fn narration(story: &Story, width: usize) -> Vec<Line> {
    let said = wrap(story.act().line(), width.saturating_sub(2));
    let lead = |n: usize| if n == 0 { "> " } else { "  " };
    said.iter()
        .enumerate()
        .map(|(n, text)| Line::of(Paint::Strong, lead(n)).with(Paint::Strong, text.as_str()))
        .collect()
}

fn networks(snapshot: &Snapshot, now: Now, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, (settings, view)) in snapshot.settings.networks.iter().zip(&snapshot.networks).enumerate() {
        lines.push(network(&settings.name, view, now));
        lines.extend(nodes(snapshot, index, width));
    }
    lines
}

fn network(name: &str, view: &NetworkView, now: Now) -> Line {
    let phase = view.phase.as_str().to_uppercase();
    let tip = view.tip.map_or_else(|| "no tip".to_owned(), |tip| format!("tip {}", tip.height));
    let age = view.progress_at.map_or_else(String::new, |at| format!("{} ago", span(now.at.since(at))));
    let margin = view.quorum_margin.map_or_else(String::new, |margin| format!("  quorum margin {margin}"));
    Line::of(Paint::Strong, format!("{name:<12}"))
        .with(phase_paint(view.phase), format!("{phase:<13}"))
        .with(Paint::Plain, format!("{tip:<12} {age:<11}"))
        .with(Paint::Faint, margin)
}

fn phase_paint(phase: NetworkPhase) -> Paint {
    match phase {
        NetworkPhase::Live => Paint::Good,
        NetworkPhase::Idle => Paint::Calm,
        NetworkPhase::Unknown => Paint::Doubtful,
        NetworkPhase::Halted | NetworkPhase::Unreachable => Paint::Bad,
    }
}

/// The nodes of a network, as many on a line as fit.
fn nodes(snapshot: &Snapshot, network: usize, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::of(Paint::Plain, "  ");
    for (settings, view) in snapshot.settings.nodes.iter().zip(&snapshot.nodes) {
        if settings.network.index() != network {
            continue;
        }
        let why = view.error.as_ref().map_or_else(String::new, |(kind, _)| format!(" ({})", kind.as_str()));
        let node = Line::of(Paint::Faint, format!("{} ", settings.name))
            .with(state_paint(view.state), format!("{}{why}", view.state.as_str()));
        if width < line.width() + node.width() + 2 && 2 < line.width() {
            lines.push(std::mem::replace(&mut line, Line::of(Paint::Plain, "  ")));
        }
        line = line.join(node).with(Paint::Plain, "   ");
    }
    lines.push(line);
    lines
}

fn state_paint(state: NodeState) -> Paint {
    match state {
        NodeState::Live => Paint::Good,
        NodeState::Unknown | NodeState::Starting | NodeState::Syncing | NodeState::RateLimited => Paint::Doubtful,
        _ => Paint::Bad,
    }
}

fn alerts(snapshot: &Snapshot, now: Now, width: usize) -> Vec<Line> {
    let mut shown: Vec<&Alert> = snapshot.alerts.iter().filter(|alert| alert.key.name != AlertName::Watchdog).collect();
    shown.sort_by_key(|alert| (alert.inhibited_by.is_some(), alert.level, alert.active_at));
    let mut lines = vec![Line::default(), Line::of(Paint::Strong, "Alerts")];
    if shown.is_empty() {
        lines.push(Line::of(Paint::Good, "  none"));
    }
    lines.extend(shown.iter().take(MAX_ALERTS).flat_map(|alert| self::alert(alert, &snapshot.settings, now, width)));
    let more = shown.len().saturating_sub(MAX_ALERTS);
    if 0 < more {
        lines.push(Line::of(Paint::Faint, format!("  and {more} more")));
    }
    lines
}

fn alert(alert: &Alert, settings: &Settings, now: Now, width: usize) -> Vec<Line> {
    let word = shown_state(alert);
    let since = span(now.wall.since(alert.fired_at.unwrap_or(alert.active_at)));
    let place = place(settings, alert.key.subject);
    let title = Line::of(alert_paint(alert), format!("  {:<9}", word.to_uppercase()))
        .with(Paint::Strong, format!("{} {place}", alert.key.name.as_str()))
        .with(Paint::Faint, format!("  {}, for {since}", alert.level.as_str()));
    let why = wrap(&alert.finding.to_string(), width.saturating_sub(INDENT.len()));
    std::iter::once(title).chain(why.iter().map(|text| Line::of(Paint::Plain, format!("{INDENT}{text}")))).collect()
}

fn alert_paint(alert: &Alert) -> Paint {
    match (alert.inhibited_by, alert.state, alert.level) {
        (Some(_), _, _) => Paint::Faint,
        (None, AlertState::Firing, Level::L1 | Level::L2) => Paint::Bad,
        _ => Paint::Doubtful,
    }
}

/// What an alert is about: `network`, `network/node`, or nothing for the monitor itself.
#[must_use]
pub fn place(settings: &Settings, subject: Subject) -> String {
    let network = |index: usize| settings.networks.get(index).map_or("", |network| &network.name);
    match subject {
        Subject::Monitor | Subject::Vantage(_) => String::new(),
        Subject::Network(index) => network(index.index()).to_owned(),
        Subject::Node(index) => settings
            .nodes
            .get(index.index())
            .map_or_else(String::new, |node| format!("{}/{}", network(node.network.index()), node.name)),
    }
}

fn summary(story: &Story) -> Vec<Line> {
    if story.act() != Act::Over {
        return Vec::new();
    }
    let paint = if story.surprises().is_empty() { Paint::Good } else { Paint::Bad };
    let mut lines = vec![Line::of(paint, "What was measured")];
    lines.extend(story.summary().into_iter().map(|text| Line::of(Paint::Plain, format!("  {text}"))));
    lines.push(Line::default());
    lines
}

/// A duration as people say it: tenths of a second below ten, then seconds, then minutes.
fn span(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{} s", duration.as_secs()),
        seconds => format!("{} m {:02} s", seconds / 60, seconds % 60),
    }
}

/// `text` in lines of at most `width` columns, broken between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        if line != 0 && width < line + 1 + word.chars().count() {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        cli::demo::story::{Scene, Told},
        engine::{
            finding::Finding,
            settings::{Cadence, FaultTolerance, NetworkLimits, NetworkSettings, NodeLimits, NodeSettings},
            snapshot::{AlertKey, NodeView, Tip},
        },
        model::{Height, NetworkIndex, NodeIndex, Role, Timestamp, UnixTime},
        observation::ErrorKind,
    };

    fn at(seconds: i64) -> Now {
        Now { at: Timestamp(seconds * 1000), wall: UnixTime::from_millis(1_795_300_000_000 + seconds * 1000) }
    }

    fn network(name: &str) -> NetworkSettings {
        NetworkSettings {
            name: name.into(),
            family: "evm".into(),
            chain_id: None,
            genesis: None,
            cadence: Cadence::Interval,
            block_time: None,
            tolerance: FaultTolerance::Bft,
            core_total: None,
            finality_lag: None,
            planned: Vec::new(),
            limits: NetworkLimits::default(),
            labels: Vec::new(),
            depends_on: Vec::new(),
        }
    }

    fn node(network: u32, name: &str) -> NodeSettings {
        NodeSettings {
            name: name.into(),
            network: NetworkIndex(network),
            role: Role::Validator,
            core: true,
            weight: 1,
            labels: Vec::new(),
            metrics: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            limits: NodeLimits::default(),
        }
    }

    fn alert(name: AlertName, subject: Subject, level: Level, finding: Finding) -> Alert {
        Alert {
            key: AlertKey { name, subject },
            level,
            state: AlertState::Firing,
            active_at: at(20).wall,
            fired_at: Some(at(28).wall),
            clear_since: None,
            resolved_at: None,
            inhibited_by: None,
            silenced_by: None,
            finding,
        }
    }

    fn halted() -> Snapshot {
        let settings = Settings {
            networks: vec![network("consortium"), network("orders")],
            nodes: vec![node(0, "v1"), node(0, "v2"), node(0, "v3"), node(0, "v4"), node(1, "sealer-1")],
            ..Settings::default()
        };
        let live = NodeView { state: NodeState::Live, ..NodeView::default() };
        let offline =
            NodeView { state: NodeState::Offline, error: Some((ErrorKind::Refused, "".into())), ..NodeView::default() };
        let tip = |height| Some(Tip { height: Height(height), hash: None, time: None, confirmed_by: 3 });
        let view = |phase, height, risen: i64| NetworkView {
            phase,
            tip: tip(height),
            progress_at: Some(at(risen).at),
            ..NetworkView::default()
        };
        let missing = Finding::BlocksMissing {
            tip: Height(3642),
            gap: Duration::from_secs(12),
            threshold: Duration::from_secs(10),
            pending: None,
            overrun: None,
            voters: 2,
        };
        let halt = alert(AlertName::NetworkHalted, Subject::Network(NetworkIndex(0)), Level::L1, missing);
        let silent = Finding::NoAnswer { silence: Duration::from_secs(5), attempts: 4, kind: ErrorKind::Refused };
        let mut muted = alert(AlertName::NodeOffline, Subject::Node(NodeIndex(3)), Level::L2, silent);
        muted.inhibited_by = Some(halt.key);
        let watchdog = alert(AlertName::Watchdog, Subject::Monitor, Level::None, Finding::Alive);
        Snapshot {
            taken: at(30),
            settings: Arc::new(settings),
            networks: vec![
                NetworkView { quorum_margin: Some(-1), ..view(NetworkPhase::Halted, 3642, 18) },
                view(NetworkPhase::Idle, 87, -170),
            ],
            nodes: vec![live.clone(), live.clone(), offline.clone(), offline, live],
            canaries: Vec::new(),
            isolated_since: None,
            wake_at: None,
            alerts: vec![watchdog, muted, halt],
            silences: Arc::default(),
        }
    }

    fn drawn(snapshot: Option<&Snapshot>, story: &Story, now: Now, width: usize) -> String {
        let urls = [("page", "http://127.0.0.1:10019/".to_owned())];
        let lines = render(&Picture { snapshot, story, now, urls: &urls }, width);
        lines.iter().map(|line| line.write(width, false).trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn a_halt_is_shown_with_its_cause_and_its_consequences_below() {
        let story = Story::begin(at(0));
        expect_test::expect_file!["../../../tests/data/demo/halted.txt"].assert_eq(&drawn(
            Some(&halted()),
            &story,
            at(30),
            80,
        ));
    }

    #[test]
    fn a_narrow_terminal_gets_the_same_story_in_more_lines() {
        let story = Story::begin(at(0));
        let narrow = drawn(Some(&halted()), &story, at(30), 40);
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
        expect_test::expect_file!["../../../tests/data/demo/narrow.txt"].assert_eq(&narrow);
    }

    #[test]
    fn before_the_first_snapshot_there_is_something_to_read_too() {
        expect_test::expect_file!["../../../tests/data/demo/start.txt"].assert_eq(&drawn(
            None,
            &Story::begin(at(0)),
            at(1),
            80,
        ));
    }

    #[test]
    fn the_end_shows_what_was_measured() {
        let mut story = Story::begin(at(0));
        let fired = |name, place: &str, fired| Told { name, place: place.to_owned(), fired };
        let well = Scene { all_well: true, tip: Some(Height(9)) };
        story.step(well, at(10));
        story.hear(&fired(AlertName::NodeOffline, "consortium/v4", true), at(15));
        story.hear(&fired(AlertName::QuorumAtRisk, "consortium", true), at(15));
        story.step(well, at(25));
        story.hear(&fired(AlertName::NetworkHalted, "consortium", true), at(36));
        story.step(well, at(42));
        story.hear(&fired(AlertName::NetworkHalted, "consortium", false), at(50));
        story.hear(&fired(AlertName::QuorumAtRisk, "consortium", false), at(51));
        story.hear(&fired(AlertName::NodeOffline, "consortium/v4", false), at(51));
        story.step(Scene { tip: Some(Height(10)), ..well }, at(51));
        expect_test::expect_file!["../../../tests/data/demo/over.txt"].assert_eq(&drawn(None, &story, at(52), 100));
    }
}
