//! The landing page: what an operator wants to see first. Rendered here, without scripts and without anything from
//! elsewhere; it reloads itself. Colours only repeat what a word beside them says.

mod html;
pub mod runbook;
mod table;

use std::collections::HashMap;

use self::html::Html;
use super::{
    api::{counted, verdict, whole_seconds},
    build,
    label::{shown_state, subject_name},
};
use crate::{
    engine::snapshot::{Alert, AlertState, NetworkPhase, NetworkView, Snapshot, Subject},
    model::{AlertName, Level},
};

/// The style sheet, served on its own so that the page needs no inline style.
pub const STYLE: &str = include_str!("page/style.css");

/// Alerts shown at the most; the rest is behind a link.
const MAX_ALERTS: usize = 200;

/// Networks shown at the most, those in trouble first; the rest is behind a link.
const MAX_NETWORKS: usize = 200;

/// The page.
#[must_use]
pub fn render(snapshot: Option<&Snapshot>) -> String {
    let mut html = Html::document();
    html.element("html", &[("lang", "en")], |html| {
        head(html, "haltwatch", "", true);
        html.element("body", &[], |html| body(html, snapshot));
    });
    html.finish()
}

/// `root` leads from the page to the root of the site.
fn head(html: &mut Html, title: &str, root: &str, reloads: bool) {
    html.element("head", &[], |html| {
        html.void("meta", &[("charset", "utf-8")]);
        html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
        html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
        if reloads {
            html.void("meta", &[("http-equiv", "refresh"), ("content", "5")]);
        }
        html.void("link", &[("rel", "stylesheet"), ("href", &format!("{root}style.css"))]);
        html.leaf("title", &[], title);
    });
}

fn body(html: &mut Html, snapshot: Option<&Snapshot>) {
    html.element("header", &[], |html| {
        html.leaf("h1", &[], "haltwatch");
        html.leaf("p", &[("class", "quiet")], &format!("version {}", build::VERSION));
        if let Some(snapshot) = snapshot {
            let taken = format!("monitor {}, as of {}", snapshot.settings.monitor, snapshot.taken.wall);
            html.leaf("p", &[("class", "quiet")], &taken);
        }
    });
    html.element("main", &[], |html| match snapshot {
        Some(snapshot) => sections(html, snapshot),
        None => html.leaf("p", &[("class", "banner unknown")], "haltwatch has not judged anything yet."),
    });
    html.element("footer", &[], links);
}

fn sections(html: &mut Html, snapshot: &Snapshot) {
    banner(html, snapshot);
    section(html, "alerts", "Alerts", |html| alerts(html, snapshot));
    section(html, "networks", "Networks", |html| networks(html, snapshot));
    section(html, "nodes", "Nodes", |html| table::nodes(html, snapshot));
}

fn section(html: &mut Html, id: &str, title: &str, content: impl FnOnce(&mut Html)) {
    html.element("section", &[("aria-labelledby", id)], |html| {
        html.leaf("h2", &[("id", id)], title);
        content(html);
    });
}

/// One sentence about everything.
fn banner(html: &mut Html, snapshot: &Snapshot) {
    let halted = snapshot.networks.iter().filter(|network| network.phase == NetworkPhase::Halted).count();
    let counted_as = |state| shown(snapshot).filter(|alert| shown_state(alert) == state).count();
    let (firing, silenced) = (counted_as("firing"), counted_as("silenced"));
    let aside = if silenced == 0 { String::new() } else { format!(", {silenced} silenced") };
    let (class, text) = match (snapshot.isolated_since, halted, firing) {
        (Some(since), ..) => {
            let lasting = whole_seconds(snapshot.taken.at.since(since));
            ("critical", format!("Isolated: the monitor itself is cut off for {lasting}; nothing below is certain."))
        }
        // Who silenced something, and forgot it, must not read that all is well.
        (None, 0, 0) if silenced != 0 => ("unknown", format!("{} firing, silenced.", counted(silenced, "alert"))),
        (None, 0, 0) => ("live", "All quiet: no alert is firing.".to_owned()),
        (None, 0, _) => ("warning", format!("{} firing{aside}, no network halted.", counted(firing, "alert"))),
        (None, ..) => {
            ("critical", format!("{} halted, {} firing{aside}.", counted(halted, "network"), counted(firing, "alert")))
        }
    };
    html.leaf("p", &[("class", &format!("banner {class}")), ("role", "status")], &text);
}

/// The alerts a person wants to see: the dead man's switch is not one of them.
fn shown(snapshot: &Snapshot) -> impl Iterator<Item = &Alert> {
    let live = snapshot.alerts.iter().filter(|alert| alert.state != AlertState::Resolved);
    live.filter(|alert| alert.key.name != AlertName::Watchdog)
}

fn alerts(html: &mut Html, snapshot: &Snapshot) {
    let mut shown: Vec<_> = shown(snapshot).collect();
    if shown.is_empty() {
        return html.leaf("p", &[("class", "quiet")], "None.");
    }
    shown.sort_by_key(|alert| (shown_state(alert) != "firing", alert.level));
    table::table(html, &["Level", "Alert", "About", "State", "Since", "Explanation"], |html| {
        for alert in shown.iter().take(MAX_ALERTS) {
            html.element("tr", &[], |html| alert_row(html, snapshot, alert));
        }
    });
    if MAX_ALERTS < shown.len() {
        html.leaf("p", &[], &format!("{} more: see the API.", shown.len() - MAX_ALERTS));
    }
}

fn alert_row(html: &mut Html, snapshot: &Snapshot, alert: &Alert) {
    let level = format!("{} {}", alert.level.as_str(), alert.level.severity());
    html.element("td", &[], |html| table::badge(html, level_class(alert.level), &level));
    let name = alert.key.name.as_str();
    let runbook = format!("{}{name}", super::runbook::PATH.trim_start_matches('/'));
    let own = snapshot.settings.rule(alert.key.name);
    let link = own.map_or(Some(runbook.as_str()), |rule| rule.runbook_url.as_deref());
    html.element("td", &[], |html| match link {
        Some(link) => html.leaf("a", &[("href", link)], name),
        None => html.text(name),
    });
    html.leaf("td", &[], &subject_name(&snapshot.settings, alert.key.subject));
    html.leaf("td", &[], &state(alert));
    let lasting = whole_seconds(snapshot.taken.wall.since(alert.active_at));
    html.leaf("td", &[("class", "when"), ("title", &alert.active_at.to_string())], &lasting);
    html.leaf("td", &[("class", "said")], &alert.finding.to_string());
}

/// The state in words, with what keeps the alert from being announced or from ending.
fn state(alert: &Alert) -> String {
    let mut words = alert.state.as_str().to_owned();
    match (alert.inhibited_by, &alert.silenced_by) {
        (Some(by), _) => words = format!("{words}, muted by {}", by.name.as_str()),
        (None, Some(by)) => words = format!("{words}, silenced by {by}"),
        (None, None) => (),
    }
    match alert.clear_since {
        Some(since) => format!("{words}, held, clear since {since}"),
        None => words,
    }
}

fn level_class(level: Level) -> &'static str {
    match level {
        Level::L1 => "critical",
        Level::L2 => "error",
        Level::L3 => "warning",
        Level::L4 | Level::None => "unknown",
    }
}

fn phase_class(phase: NetworkPhase) -> &'static str {
    match phase {
        NetworkPhase::Live | NetworkPhase::Idle => "live",
        NetworkPhase::Halted => "critical",
        NetworkPhase::Unreachable => "error",
        NetworkPhase::Unknown => "unknown",
    }
}

/// Every network, as far as they fit, those in trouble first.
fn networks(html: &mut Html, snapshot: &Snapshot) {
    let mut shown: Vec<usize> = (0..snapshot.networks.len().min(snapshot.settings.networks.len())).collect();
    let troubles = troubles(snapshot);
    // A stable sort: what is equally urgent stays in the order of the configuration.
    shown.sort_by_key(|index| {
        let loudest = troubles.get(index).and_then(|alerts| alerts.iter().map(|alert| alert.level).min());
        (urgency(snapshot.networks[*index].phase), loudest.unwrap_or(Level::None))
    });
    html.element("div", &[("class", "cards")], |html| {
        for index in shown.iter().take(MAX_NETWORKS) {
            network(html, snapshot, *index, troubles.get(index).map(Vec::as_slice).unwrap_or_default());
        }
    });
    if MAX_NETWORKS < shown.len() {
        html.leaf("p", &[], &format!("{} more: see the API.", shown.len() - MAX_NETWORKS));
    }
}

/// The alerts about each network itself that fire and are not muted: it can make blocks and be in trouble.
fn troubles(snapshot: &Snapshot) -> HashMap<usize, Vec<&Alert>> {
    let mut troubles: HashMap<usize, Vec<&Alert>> = HashMap::new();
    for alert in shown(snapshot).filter(|alert| shown_state(alert) == "firing") {
        if let Subject::Network(network) = alert.key.subject {
            troubles.entry(network.index()).or_default().push(alert);
        }
    }
    troubles
}

/// The colour of a network: that of its phase, or of its loudest trouble while it makes blocks.
fn card_class(phase: NetworkPhase, troubles: &[&Alert]) -> &'static str {
    match (phase, troubles.iter().map(|alert| alert.level).min()) {
        (NetworkPhase::Live | NetworkPhase::Idle, Some(level)) if level < Level::L4 => level_class(level),
        _ => phase_class(phase),
    }
}

/// The smaller, the sooner a person must look.
fn urgency(phase: NetworkPhase) -> u8 {
    match phase {
        NetworkPhase::Halted => 0,
        NetworkPhase::Unreachable => 1,
        NetworkPhase::Unknown => 2,
        NetworkPhase::Live | NetworkPhase::Idle => 3,
    }
}

fn network(html: &mut Html, snapshot: &Snapshot, index: usize, troubles: &[&Alert]) {
    let (settings, view) = (&snapshot.settings.networks[index], &snapshot.networks[index]);
    html.element("article", &[("class", card_class(view.phase, troubles))], |html| {
        html.element("h3", &[], |html| {
            html.text(&settings.name);
            html.text(" ");
            table::badge(html, phase_class(view.phase), view.phase.as_str());
        });
        html.leaf("p", &[], &verdict(snapshot, index));
        // What the phase says already needs no second word.
        for alert in troubles.iter().filter(|alert| !is_phase(alert.key.name)) {
            html.leaf("p", &[("class", "said")], &format!("{}: {}", alert.key.name.as_str(), alert.finding));
        }
        html.element("dl", &[], |html| {
            let mut fact = |term: &str, text: String| {
                html.leaf("dt", &[], term);
                html.leaf("dd", &[], &text);
            };
            fact("Tip", view.tip.map_or("unknown".to_owned(), |tip| tip.height.to_string()));
            fact("Finalized", finalized(view));
            let age = view.progress_at.map(|at| whole_seconds(snapshot.taken.at.since(at)));
            fact("Last block", age.map_or("unknown".to_owned(), |age| format!("{age} ago")));
            let threshold = view.halt_threshold.map(whole_seconds);
            fact("Halted after", threshold.unwrap_or("unknown".to_owned()));
            fact("Voters", format!("{} of {}", view.voters, view.voters_expected));
            fact("Quorum margin", quorum_margin(snapshot, index));
        });
        let why = format!("api/v1/explain?network={}", percent_encoded(&settings.name));
        html.leaf("a", &[("href", &why)], "why");
    });
}

fn is_phase(name: AlertName) -> bool {
    matches!(name, AlertName::NetworkHalted | AlertName::NetworkUnreachable)
}

fn finalized(view: &NetworkView) -> String {
    match (view.finalized, view.finality_lag) {
        (Some(height), Some(lag)) => format!("{height}, {} behind", whole_seconds(lag)),
        (Some(height), None) => height.to_string(),
        (None, _) => "unknown".to_owned(),
    }
}

fn quorum_margin(snapshot: &Snapshot, network: usize) -> String {
    let core = || snapshot.settings.nodes.iter().any(|node| node.core && node.network.index() == network);
    match snapshot.networks[network].quorum_margin {
        Some(margin) => margin.to_string(),
        None if core() => "unknown".to_owned(),
        None => "no core nodes".to_owned(),
    }
}

/// A name as a part of a query: everything but letters, digits, `-`, `.`, `_` and `~` is written as its bytes.
fn percent_encoded(name: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(encoded).collect()
}

/// Relative, so that they hold behind a prefix, too.
fn links(html: &mut Html) {
    html.element("nav", &[("aria-label", "Other views")], |html| {
        for (path, name) in [
            ("metrics", "Metrics"),
            ("api/v1/alerts", "Alerts"),
            ("api/v1/rules", "Rules"),
            ("api/v1/networks", "Networks"),
            ("api/v1/nodes", "Nodes"),
            ("api/v1/explain", "Explain"),
            ("-/healthy", "Healthy"),
            ("-/ready", "Ready"),
        ] {
            html.leaf("a", &[("href", path)], name);
            html.text(" ");
        }
    });
}
