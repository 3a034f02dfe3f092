//! The shapes of the API, looked at while a network is halted: those of the Prometheus API as its clients read them, the
//! others as the documentation describes them.

use anyhow::{Context, Result, bail, ensure};
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
    networks(&daemon.json("/api/v1/networks")?).context("/api/v1/networks")?;
    nodes(&daemon.json(&format!("/api/v1/nodes?network={CHAIN}"))?).context("/api/v1/nodes")?;
    explain(&daemon.json(&format!("/api/v1/explain?network={CHAIN}"))?).context("/api/v1/explain")?;
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

/// The network is halted, and two nodes confirm its tip.
fn networks(answer: &Value) -> Result<()> {
    let list = answer["data"]["networks"].as_array().context("no list")?;
    let [network] = list.as_slice() else { bail!("{} networks", list.len()) };
    ensure!(network["name"] == CHAIN && network["phase"] == "halted", "{network}");
    ensure!(network["tip"]["confirmed_by"] == 2 && network["tip"]["height"].is_u64(), "{}", network["tip"]);
    ensure!(network["halt_ratio"].as_f64().is_some_and(|ratio| 1.0 < ratio), "halt_ratio {}", network["halt_ratio"]);
    ensure!(network["quorum_margin"].is_i64(), "quorum_margin {}", network["quorum_margin"]);
    Ok(())
}

/// Two nodes tell facts, the two that are gone tell none.
fn nodes(answer: &Value) -> Result<()> {
    let list = answer["data"]["nodes"].as_array().context("no list")?;
    let told: Vec<bool> = list.iter().map(|node| node["facts"].is_object()).collect();
    ensure!(told == [true, true, false, false], "facts of {told:?}");
    ensure!(list.iter().skip(2).all(|node| node["error"]["kind"] == "refused"), "{answer}");
    Ok(())
}

/// Why the network counts as halted, and whose word that is.
fn explain(answer: &Value) -> Result<()> {
    let network = &answer["data"]["networks"][0];
    ensure!(network["phase"] == "halted" && network["verdict"].is_string(), "{network}");
    let votes = network["votes"].as_array().context("no votes")?;
    ensure!(votes.len() == 4 && votes.iter().filter(|vote| vote["counts"] == true).count() == 2, "{votes:?}");
    let alerts = answer["data"]["alerts"].as_array().context("no alerts")?;
    ensure!(alerts.iter().any(|alert| alert["reason"] == "blocks_missing"), "no reason: {alerts:?}");
    Ok(())
}
