//! The shapes of the API, looked at while a network is halted: those of the Prometheus API as its clients read them, the
//! others as the documentation describes them.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::CHAIN;
use crate::{
    haltwatch::Haltwatch,
    harness::http::{self, Answer},
};

/// Every page answers, parses and tells the halt.
pub fn every_shape_makes_sense_while_halted(daemon: &Haltwatch) -> Result<String> {
    alerts(&daemon.json("/api/v1/alerts")?).context("/api/v1/alerts")?;
    rules(&daemon.json("/api/v1/rules")?).context("/api/v1/rules")?;
    named(&daemon.json("/api/v1/networks")?, "networks", CHAIN).context("/api/v1/networks")?;
    named(&daemon.json("/api/v1/nodes")?, "nodes", "v0").context("/api/v1/nodes")?;
    let explained = daemon.json(&format!("/api/v1/explain?network={CHAIN}"))?.to_string();
    ensure!(explained.contains("blocks_missing"), "/api/v1/explain does not say why: {explained}");
    let build = daemon.json("/api/v1/status/buildinfo")?;
    ensure!(build["data"]["version"] == env!("CARGO_PKG_VERSION"), "/api/v1/status/buildinfo: {build}");
    for path in ["/-/healthy", "/-/ready"] {
        http::get(daemon.address, path, &[]).and_then(Answer::ok).context(path)?;
    }
    let page = http::get(daemon.address, "/", &[])?.ok()?;
    ensure!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "/ is no page");
    ensure!(page.text()?.contains(CHAIN), "/ does not name the network");
    let lost = http::get(daemon.address, "/no/such/page", &[])?;
    ensure!(lost.status == 404, "an unknown page answers {}", lost.status);
    Ok("nine pages of the API parse and tell the halt".to_owned())
}

fn alerts(answer: &Value) -> Result<()> {
    let list = answer["data"]["alerts"].as_array().context("no list")?;
    list.iter().try_for_each(|alert| alert_shape(alert).with_context(|| alert.to_string()))?;
    let halted =
        list.iter().find(|alert| alert["labels"]["alertname"] == "NetworkHalted").context("no NetworkHalted")?;
    ensure!(halted["state"] == "firing" && halted["labels"]["network"] == CHAIN, "{halted}");
    ensure!(halted["labels"]["severity"] == "critical" && halted["labels"]["level"] == "L1", "{halted}");
    Ok(())
}

/// As `prometheus/client_golang/api` decodes it: texts in maps, a state, a time, and a value that is text.
fn alert_shape(alert: &Value) -> Result<()> {
    for map in ["labels", "annotations"] {
        let texts = alert[map].as_object().with_context(|| format!("no {map}"))?;
        ensure!(texts.values().all(Value::is_string), "{map} hold more than text");
    }
    ensure!(["pending", "firing"].iter().any(|state| alert["state"] == *state), "state {}", alert["state"]);
    ensure!(alert["activeAt"].as_str().is_some_and(|at| humantime::parse_rfc3339_weak(at).is_ok()), "activeAt");
    ensure!(alert["value"].as_str().is_some_and(|value| value.parse::<f64>().is_ok()), "value");
    Ok(())
}

fn rules(answer: &Value) -> Result<()> {
    let groups = answer["data"]["groups"].as_array().context("no groups")?;
    let mut firing = false;
    for group in groups {
        ensure!(group["name"].is_string() && group["file"].is_string() && group["interval"].is_number(), "{group}");
        for rule in group["rules"].as_array().context("no rules")? {
            rule_shape(rule).with_context(|| rule.to_string())?;
            firing |= rule["name"] == "NetworkHalted" && rule["state"] == "firing";
        }
    }
    ensure!(firing, "no rule NetworkHalted that fires");
    Ok(())
}

fn rule_shape(rule: &Value) -> Result<()> {
    ensure!(rule["type"] == "alerting" && rule["health"] == "ok", "type or health");
    ensure!(rule["name"].is_string() && rule["query"].is_string() && rule["duration"].is_number(), "name or query");
    ensure!(rule["labels"].is_object() && rule["annotations"].is_object(), "labels");
    ensure!(["inactive", "pending", "firing"].iter().any(|state| rule["state"] == *state), "state");
    rule["alerts"].as_array().context("no alerts")?.iter().try_for_each(alert_shape)
}

/// The list `data` or `data.<list>` has an entry called `name`.
fn named(answer: &Value, list: &str, name: &str) -> Result<()> {
    let data = &answer["data"];
    let entries = data.as_array().or_else(|| data[list].as_array()).context("no list")?;
    let entry = entries.iter().find(|entry| entry["name"] == name || entry["node"] == name || entry["network"] == name);
    entry.map(drop).with_context(|| format!("no {name} in {data}"))
}
