//! `/api/v1/rules`: every alert there is, active or not, in the shape of the Prometheus API.

use serde::Serialize;

use super::{Error, LabelMap, Time, alerts::ShownAlert, success};
use crate::{
    engine::snapshot::{AlertState, Snapshot},
    model::{AlertName, alert::Scope},
    output::{http::query::Query, label::summary, runbook::Runbooks},
};

/// The groups rules are listed in, by what they are about.
const GROUPS: [&str; 3] = ["network", "node", "monitor"];

/// The states a rule can be in.
const STATES: [&str; 3] = ["inactive", "pending", "firing"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: &'static str,
    file: &'static str,
    interval: f64,
    limit: u64,
    evaluation_time: f64,
    last_evaluation: Time,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    state: &'static str,
    name: &'static str,
    query: String,
    duration: f64,
    keep_firing_for: f64,
    labels: LabelMap,
    annotations: LabelMap,
    alerts: Vec<ShownAlert>,
    health: &'static str,
    last_error: &'static str,
    evaluation_time: f64,
    last_evaluation: Time,
    r#type: &'static str,
}

/// Every rule, filtered by `type=alert|record`, `rule_name[]`, `rule_group[]`, `file[]`, `state` and `exclude_alerts`.
pub fn rules(snapshot: &Snapshot, runbooks: &Runbooks, query: &Query) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Data {
        groups: Vec<Group>,
    }
    let wanted = Wanted::from(query)?;
    let groups = GROUPS.into_iter().filter_map(|name| group((snapshot, runbooks), name, &wanted));
    Ok(success(Data { groups: groups.collect() }))
}

/// What the caller wants to see.
struct Wanted<'q> {
    query: &'q Query,
    alerting: bool,
    state: Option<&'q str>,
    alerts: bool,
}

impl<'q> Wanted<'q> {
    fn from(query: &'q Query) -> Result<Self, Error> {
        let kind = query.get("type");
        if !matches!(kind, None | Some("alert" | "record")) {
            return Err(Error::bad_data("type must be alert or record"));
        }
        let state = query.get("state");
        if state.is_some_and(|state| !STATES.contains(&state)) {
            return Err(Error::bad_data("state must be inactive, pending or firing"));
        }
        let alerts = match query.get("exclude_alerts") {
            None | Some("false") => true,
            Some("true") => false,
            Some(_) => return Err(Error::bad_data("exclude_alerts must be true or false")),
        };
        Ok(Self { query, alerting: kind != Some("record"), state, alerts })
    }

    /// Whether a list parameter is absent or names `value`.
    fn lists(&self, parameter: &str, value: &str) -> bool {
        let mut listed = self.query.all(parameter).peekable();
        listed.peek().is_none() || listed.any(|it| it == value)
    }
}

fn group((snapshot, runbooks): (&Snapshot, &Runbooks), name: &'static str, wanted: &Wanted<'_>) -> Option<Group> {
    if !wanted.alerting || !wanted.lists("rule_group[]", name) || !wanted.lists("file[]", "built-in") {
        return None;
    }
    let names = AlertName::ALL.iter().filter(|alert| group_of(**alert) == name);
    let rules: Vec<_> = names
        .filter(|alert| wanted.lists("rule_name[]", alert.as_str()))
        .map(|alert| rule((snapshot, runbooks), *alert, wanted.alerts))
        .filter(|rule| wanted.state.is_none_or(|state| state == rule.state))
        .collect();
    (!rules.is_empty()).then_some(Group {
        name,
        file: "built-in",
        interval: 0.0,
        limit: 0,
        evaluation_time: 0.0,
        last_evaluation: Time(snapshot.taken.wall),
        rules,
    })
}

/// The group an alert belongs to.
fn group_of(alert: AlertName) -> &'static str {
    match alert.scope() {
        Scope::Network => "network",
        Scope::Node => "node",
        Scope::Monitor => "monitor",
    }
}

fn rule((snapshot, runbooks): (&Snapshot, &Runbooks), name: AlertName, show_alerts: bool) -> Rule {
    let of_it = || snapshot.alerts.iter().filter(|alert| alert.key.name == name);
    let any = |state: AlertState| of_it().any(|alert| alert.state == state);
    let state = if any(AlertState::Firing) {
        "firing"
    } else if any(AlertState::Pending) {
        "pending"
    } else {
        "inactive"
    };
    let mut annotations = vec![("summary".into(), summary(name).into())];
    if let Some(url) = runbooks.url(name.as_str()) {
        annotations.insert(0, ("runbook_url".into(), url.into()));
    }
    let shown = of_it().filter(|alert| show_alerts && alert.state != AlertState::Resolved);
    Rule {
        state,
        name: name.as_str(),
        query: format!("haltwatch_alert{{alertname=\"{}\"}}", name.as_str()),
        duration: 0.0,
        keep_firing_for: 0.0,
        labels: LabelMap::default(),
        annotations: LabelMap(annotations),
        alerts: shown.map(|alert| ShownAlert::new(snapshot, runbooks, alert)).collect(),
        health: "ok",
        last_error: "",
        evaluation_time: 0.0,
        last_evaluation: Time(snapshot.taken.wall),
        r#type: "alerting",
    }
}
