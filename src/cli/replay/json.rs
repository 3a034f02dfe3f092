//! One announcement as one JSON line.

use std::io::{self, Write};

use serde::Serialize;

use super::evidence;
use crate::{
    engine::{
        settings::Settings,
        snapshot::{AlertKey, Snapshot, Subject},
    },
    replay::{Change, Told},
};

/// One line of the output.
#[derive(Serialize)]
struct Line<'a> {
    t: i64,
    state: &'static str,
    alert: &'static str,
    level: &'static str,
    scope: Scope<'a>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<serde_json::Value>,
}

/// What an alert is about.
#[derive(Serialize)]
#[serde(untagged)]
enum Scope<'a> {
    Monitor { monitor: &'a str },
    Network { chain: &'a str },
    Node { chain: &'a str, node: &'a str },
}

impl<'a> Scope<'a> {
    fn of(settings: &'a Settings, key: AlertKey) -> Self {
        match key.subject {
            subject @ (Subject::Monitor | Subject::Vantage(_)) => {
                Self::Monitor { monitor: settings.monitor_of(subject) }
            }
            Subject::Network(network) => Self::Network { chain: &settings.networks[network.index()].name },
            Subject::Node(node) => {
                let node = &settings.nodes[node.index()];
                Self::Node { chain: &settings.networks[node.network.index()].name, node: &node.name }
            }
        }
    }
}

/// Writes the line; with its evidence if there is a picture of the moment.
pub(super) fn write(out: &mut impl Write, told: &Told<'_>, snapshot: Option<&Snapshot>) -> io::Result<()> {
    let alert = told.alert;
    let line = Line {
        t: told.now.at.0,
        state: match told.change {
            Change::Fired => "fire",
            Change::Resolved => "resolve",
        },
        alert: alert.key.name.as_str(),
        level: alert.level.as_str(),
        scope: Scope::of(told.settings, alert.key),
        reason: alert.finding.reason(),
        explain: snapshot.map(|snapshot| evidence::as_json(snapshot, alert)),
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}
