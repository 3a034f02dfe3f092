//! The JSON API: shapes that tools of the Prometheus world read, errors in the same shape, explanations.

use std::time::Duration;

use expect_test::expect_file;
use haltwatch::{
    engine::snapshot::{NetworkPhase, NetworkView, Snapshot},
    model::AlertName,
    output::build,
};
use serde_json::Value;

use crate::{
    sample,
    web::{Answer, get, settings, start, started},
};

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.headers["content-type"], "application/json");
    serde_json::from_slice(&answer.body).unwrap()
}

/// Compared as pretty JSON, so that a difference shows where it is. The sentences of findings are not this room's.
fn pretty(answer: &Answer) -> String {
    let mut body = json(answer);
    hide_sentences(&mut body);
    format!("{}\n", serde_json::to_string_pretty(&body).unwrap())
}

fn hide_sentences(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(hide_sentences),
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "description" | "explanation" => *value = Value::from("..."),
                    _ => hide_sentences(value),
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn an_alert_carries_the_sentence_of_its_finding() {
    let web = started();
    let snapshot = sample::snapshot();
    let body = json(&get(&web, "/api/v1/explain").await);
    for (shown, alert) in body["data"]["alerts"].as_array().unwrap().iter().zip(&snapshot.alerts) {
        let sentence = alert.finding.to_string();
        assert_eq!(shown["explanation"], sentence.as_str());
        assert!(shown["annotations"]["description"].as_str().unwrap().contains(&sentence));
    }
}

#[tokio::test]
async fn alerts_have_the_shape_of_prometheus() {
    let answer = get(&started(), "/api/v1/alerts").await;
    expect_file!["../data/api/alerts.json"].assert_eq(&pretty(&answer));
}

#[tokio::test]
async fn every_rule_is_listed_with_its_state() {
    let body = json(&get(&started(), "/api/v1/rules").await);
    let groups = body["data"]["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert_eq!(rules.len(), AlertName::ALL.len());
    let state = |name: &str| rules.iter().find(|rule| rule["name"] == name).unwrap()["state"].clone();
    assert_eq!(state("NetworkHalted"), "firing");
    assert_eq!(state("NodeLowPeers"), "pending");
    assert_eq!(state("NodeForked"), "inactive");
    for rule in &rules {
        assert_eq!((&rule["type"], &rule["health"]), (&Value::from("alerting"), &Value::from("ok")));
        for key in [
            "query",
            "duration",
            "keepFiringFor",
            "labels",
            "annotations",
            "alerts",
            "lastError",
            "evaluationTime",
            "lastEvaluation",
        ] {
            assert!(!rule[key].is_null(), "{key}");
        }
    }
    for group in groups {
        for key in ["name", "file", "interval", "limit", "evaluationTime", "lastEvaluation"] {
            assert!(!group[key].is_null(), "{key}");
        }
    }
}

#[tokio::test]
async fn rules_are_filtered_as_prometheus_filters_them() {
    let web = started();
    for (query, wanted) in [
        ("type=record", vec![]),
        ("rule_name[]=NodeSlow&rule_name[]=Watchdog", vec!["NodeSlow", "Watchdog"]),
        ("rule_name%5B%5D=NodeSlow&type=alert", vec!["NodeSlow"]),
        ("state=firing", vec!["NetworkHalted", "NodeOffline", "Watchdog"]),
        ("state=pending", vec!["NodeLowPeers"]),
        ("rule_group[]=monitor", vec!["MonitorIsolated", "MonitorClockJump", "RuleFailing", "Watchdog"]),
        ("file[]=elsewhere.yml", vec![]),
    ] {
        let body = json(&get(&web, &format!("/api/v1/rules?{query}")).await);
        let groups = body["data"]["groups"].as_array().unwrap();
        let names: Vec<_> = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap())
            .map(|rule| rule["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, wanted, "{query}");
    }
    let bare = json(&get(&web, "/api/v1/rules?exclude_alerts=true&state=firing").await);
    assert_eq!(bare["data"]["groups"][0]["rules"][0]["alerts"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn networks_and_nodes_show_what_is_known() {
    let web = started();
    expect_file!["../data/api/networks.json"].assert_eq(&pretty(&get(&web, "/api/v1/networks").await));
    expect_file!["../data/api/nodes.json"].assert_eq(&pretty(&get(&web, "/api/v1/nodes").await));
    let some = json(&get(&web, "/api/v1/nodes?network=ledger").await);
    assert_eq!(some["data"]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(some["data"]["nodes"][0]["node"], "seal-1");
}

#[tokio::test]
async fn a_halt_is_explained_with_its_evidence() {
    let web = started();
    expect_file!["../data/api/explain.json"].assert_eq(&pretty(&get(&web, "/api/v1/explain?network=main").await));
}

#[tokio::test]
async fn a_single_endpoint_lowers_the_confidence() {
    let body = json(&get(&started(), "/api/v1/explain?network=ledger").await);
    let network = &body["data"]["networks"][0];
    assert_eq!((&network["phase"], &network["confidence"]), (&Value::from("idle"), &Value::from("low")));
    assert_eq!(body["data"]["networks"].as_array().unwrap().len(), 1);
}

/// The only network asked about, explained from the sample with something changed.
async fn explained(change: impl FnOnce(&mut Snapshot)) -> Value {
    let mut snapshot = sample::snapshot();
    change(&mut snapshot);
    let web = start(&settings(), Some(snapshot));
    json(&get(&web, "/api/v1/explain?network=main").await)["data"]["networks"][0].clone()
}

#[tokio::test]
async fn one_voter_whom_nobody_confirms_lowers_the_confidence() {
    for (voters, expected, wanted) in [(0, 2, "none"), (1, 3, "none"), (1, 2, "low"), (2, 2, "normal")] {
        let network = explained(|it| {
            (it.networks[0].voters, it.networks[0].voters_expected) = (voters, expected);
        })
        .await;
        assert_eq!(network["confidence"], wanted, "{voters} of {expected}");
    }
}

#[tokio::test]
async fn what_would_halt_a_living_network_is_said_for_every_margin() {
    for (margin, wanted) in [
        (1, "core nodes of weight 2 more go offline for 5m"),
        (0, "core nodes of weight 1 more go offline for 5m"),
        (-1, "the core nodes that are missing stay offline for 5m and no block arrives"),
    ] {
        let network = explained(|it| {
            (it.networks[0].phase, it.networks[0].quorum_margin) = (NetworkPhase::Live, Some(margin));
        })
        .await;
        assert_eq!(network["next"][1]["condition"], wanted);
    }
}

#[tokio::test]
async fn the_time_of_a_possible_halt_leaves_out_what_nobody_could_see() {
    let next = |ratio| async move {
        let network = explained(|it| {
            (it.networks[0].phase, it.networks[0].halt_ratio) = (NetworkPhase::Live, Some(ratio));
        });
        network.await["next"][0].clone()
    };
    let soon = next(0.5).await;
    let wanted = sample::now().wall.after(Duration::from_secs(15)).to_string();
    assert_eq!((&soon["change"], &soon["at"]), (&"halted".into(), &wanted.into()), "half of 30 s are left");
    assert_eq!(next(1.5).await["at"], Value::Null, "it is past, so something else must be missing");
}

#[tokio::test]
async fn silence_is_explained_with_what_it_may_become() {
    let network = explained(|it| {
        it.networks[0] = NetworkView::default();
    });
    let network = network.await;
    assert_eq!(network["verdict"], "not enough evidence: answers from 0 voters, 1 needed");
    assert_eq!(network["next"][0]["condition"], "answers come from 1 voter, one of them at the tip");
    assert_eq!(network["next"][1]["condition"], "every node goes on failing for 1m");
}

#[tokio::test]
async fn explanations_are_found_by_alert_network_and_node() {
    let web = started();
    for (query, alerts) in [
        ("", 4),
        ("?alert=NodeOffline", 1),
        ("?alert=NodeOffline&network=main&node=val-2", 1),
        ("?alert=NodeOffline&network=main&node=val-1", 0),
        ("?network=ledger", 0),
        ("?alert=Watchdog", 1),
    ] {
        let body = json(&get(&web, &format!("/api/v1/explain{query}")).await);
        assert_eq!(body["data"]["alerts"].as_array().unwrap().len(), alerts, "{query}");
    }
    let offline = json(&get(&web, "/api/v1/explain?alert=NodeOffline").await);
    let alert = &offline["data"]["alerts"][0];
    assert_eq!((&alert["subject"], &alert["reason"]), (&Value::from("main/val-2"), &Value::from("no_answer")));
    assert_eq!(alert["muted_by"]["alertname"], "NetworkHalted");
}

#[tokio::test]
async fn mistakes_are_answered_in_the_shape_of_prometheus() {
    let web = started();
    for (path, status, class) in [
        ("/api/v1/nodes?network=nowhere", 404, "not_found"),
        ("/api/v1/explain?network=nowhere", 404, "not_found"),
        ("/api/v1/explain?alert=Nothing", 400, "bad_data"),
        ("/api/v1/explain?node=val-1", 400, "bad_data"),
        ("/api/v1/explain?network=main&node=seal-1", 404, "not_found"),
        ("/api/v1/rules?type=both", 400, "bad_data"),
        ("/api/v1/rules?state=loud", 400, "bad_data"),
        ("/api/v1/rules?exclude_alerts=maybe", 400, "bad_data"),
        ("/api/v1/nothing", 404, "not_found"),
    ] {
        let answer = get(&web, path).await;
        let body = json(&answer);
        assert_eq!((answer.status, &body["status"]), (status, &Value::from("error")), "{path}");
        assert_eq!(body["errorType"], class, "{path}");
        assert!(!body["error"].as_str().unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn the_build_is_told() {
    let body = json(&get(&started(), "/api/v1/status/buildinfo").await);
    assert_eq!(body["data"]["version"], build::VERSION);
    for key in ["revision", "branch", "buildUser", "buildDate", "goVersion"] {
        assert!(body["data"][key].is_string(), "{key}");
    }
}
