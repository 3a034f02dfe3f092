//! `/api/v1/rules`: every alert there is, active or not, in the shape of the Prometheus API.

use serde::Serialize;

use super::{Error, LabelMap, Time, alerts::ShownAlert, success};
use crate::{
    engine::{
        custom::CustomRule,
        finding::Finding,
        snapshot::{AlertState, Snapshot},
    },
    model::{AlertName, alert::Scope},
    output::{http::query::Query, label::summary, runbook::Runbooks},
};

/// The groups rules are listed in, by what they are about.
const GROUPS: [&str; 4] = ["network", "node", "monitor", CUSTOM];

/// The group of the rules of users.
const CUSTOM: &str = "custom";

/// The "file" of our own rules, and that of the rules of users.
const BUILT_IN: &str = "built-in";
const CONFIGURED: &str = "config.toml";

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
    last_error: String,
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
    if !wanted.alerting || !wanted.lists("rule_group[]", name) {
        return None;
    }
    let ours = name != CUSTOM && wanted.lists("file[]", BUILT_IN);
    let theirs = name == CUSTOM && wanted.lists("file[]", CONFIGURED);
    let built_in = AlertName::ALL.iter().filter(|alert| ours && group_of(**alert) == name);
    let built_in = built_in.map(|alert| (*alert, None));
    let custom = snapshot.settings.rules.iter().filter(|_| theirs);
    let custom = custom.map(|rule| (AlertName::Custom(rule.name), Some(rule)));
    let rules: Vec<_> = built_in
        .chain(custom)
        .filter(|(alert, _)| wanted.lists("rule_name[]", alert.as_str()))
        .map(|(alert, rule)| self::rule((snapshot, runbooks), alert, rule, wanted.alerts))
        .filter(|rule| wanted.state.is_none_or(|state| state == rule.state))
        .collect();
    (!rules.is_empty()).then_some(Group {
        name,
        file: if name == CUSTOM { CONFIGURED } else { BUILT_IN },
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
        _ if matches!(alert, AlertName::Custom(_)) => CUSTOM,
        Scope::Network => "network",
        Scope::Node => "node",
        Scope::Monitor => "monitor",
    }
}

fn rule(
    (snapshot, runbooks): (&Snapshot, &Runbooks),
    name: AlertName,
    custom: Option<&CustomRule>,
    show_alerts: bool,
) -> Rule {
    let of_it = || snapshot.alerts.iter().filter(|alert| alert.key.name == name);
    let any = |state: AlertState| of_it().any(|alert| alert.state == state);
    let state = if any(AlertState::Firing) {
        "firing"
    } else if any(AlertState::Pending) {
        "pending"
    } else {
        "inactive"
    };
    let sentence = custom.map_or_else(|| summary(name).into(), |rule| rule.summary.source().into());
    let mut annotations = vec![("summary".into(), sentence)];
    let link = match custom {
        Some(rule) => rule.runbook_url.clone(),
        None => runbooks.url(name.as_str()).map(Into::into),
    };
    if let Some(url) = link {
        annotations.insert(0, ("runbook_url".into(), url));
    }
    let query = format!("haltwatch_alert{{alertname=\"{}\"}}", name.as_str());
    let last_error = custom.map_or_else(String::new, |rule| last_error(snapshot, rule));
    let shown = of_it().filter(|alert| show_alerts && alert.state != AlertState::Resolved);
    Rule {
        state,
        name: name.as_str(),
        query: custom.map_or(query, |rule| rule.source.to_string()),
        duration: custom.map_or(0.0, |rule| rule.wait.as_secs_f64()),
        keep_firing_for: custom.map_or(0.0, |rule| rule.hold.as_secs_f64()),
        labels: custom.map_or_else(LabelMap::default, |rule| LabelMap(rule.labels.clone())),
        annotations: LabelMap(annotations),
        alerts: shown.map(|alert| ShownAlert::new(snapshot, runbooks, alert)).collect(),
        health: if last_error.is_empty() { "ok" } else { "err" },
        last_error,
        evaluation_time: 0.0,
        last_evaluation: Time(snapshot.taken.wall),
        r#type: "alerting",
    }
}

/// Why a rule of the user's own cannot be evaluated, if it is the one that `RuleFailing` tells of.
fn last_error(snapshot: &Snapshot, custom: &CustomRule) -> String {
    let told = snapshot.alerts.iter().find(|alert| alert.key.name == AlertName::RuleFailing);
    match told.map(|alert| &alert.finding) {
        Some(Finding::RuleFails { rule, fault, .. }) if *rule == custom.name => fault.to_string(),
        _ => String::new(),
    }
}
