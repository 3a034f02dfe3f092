//! The JSON API: shapes that tools of the Prometheus world read, errors in the same shape, explanations.

use std::{sync::Arc, time::Duration};

use expect_test::expect_file;
use haltwatch::{
    engine::{
        settings::Cadence,
        snapshot::{NetworkPhase, NetworkView, Snapshot},
    },
    model::{AlertName, Instant, PlannedHalt, alert::Scope},
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
        (1, "core nodes of weight 2 more go offline for 5m and no block arrives"),
        (0, "core nodes of weight 1 more go offline for 5m and no block arrives"),
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

/// The row of a rule about the network `main`.
async fn rule(name: &str, change: impl FnOnce(&mut Snapshot)) -> Value {
    let network = explained(change).await;
    let rules = network["rules"].as_array().unwrap();
    rules.iter().find(|rule| rule["alert"] == name).unwrap().clone()
}

#[tokio::test]
async fn every_rule_about_a_network_tells_its_limit_and_what_is_so() {
    let network = explained(|_| ()).await;
    let rules = network["rules"].as_array().unwrap();
    let names: Vec<&str> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    let wanted = AlertName::ALL.iter().filter(|name| name.scope() == Scope::Network).map(|name| name.as_str());
    assert_eq!(names, wanted.collect::<Vec<_>>());
    for rule in rules {
        assert!(!rule["limit"].as_str().unwrap().is_empty() && !rule["now"].as_str().unwrap().is_empty(), "{rule}");
    }
}

#[tokio::test]
async fn a_rule_that_is_silent_says_how_far_its_limit_is() {
    let silent = |name: &'static str| rule(name, |it| it.alerts.clear());
    for (name, limit, now) in [
        (
            "NetworkHalted",
            "no block for 30s; or core nodes of more weight than 0 offline for 5m and no block since",
            "the last block came 59s ago",
        ),
        ("NetworkUnreachable", "no good answer from any node for 1m", "2 of 3 voters answer"),
        (
            "FinalityStalled",
            "the final block is further behind the head than 3 times what is normal, and than 2m",
            "finality is 2s behind",
        ),
        ("NetworkSplit", "two branches grow, the shorter 6 blocks long and 1m old", "none is seen"),
        ("QuorumAtRisk", "no core weight is left to lose", "of 0 that may be lost -1 is left"),
        ("ConsensusStruggling", "rounds climb, or too few take part", "round 4, 98.5 % of the weight takes part"),
        ("BlocksSlow", "fewer than a third of the normal blocks for 2m", "a block every 1s 250ms is normal"),
        ("TransactionBacklog", "more and more transactions wait, the oldest for 5m", "17 transactions wait"),
        ("PlannedHalt", "a halt is announced for now", "none is known of"),
    ] {
        let rule = silent(name).await;
        assert_eq!(
            (rule["state"].as_str(), rule["limit"].as_str(), rule["now"].as_str()),
            (Some("inactive"), Some(limit), Some(now))
        );
    }
}

#[tokio::test]
async fn a_rule_that_speaks_is_explained_by_its_finding() {
    let halted = rule("NetworkHalted", |_| ()).await;
    assert_eq!(halted["state"], "firing");
    assert_eq!(halted["now"], "no block after 100 for 59 s, the limit is 30 s; 2 nodes say so");
}

#[tokio::test]
async fn a_declared_finality_lag_gives_a_limit_in_numbers() {
    let rule = rule("FinalityStalled", |it| {
        let mut settings = sample::settings();
        settings.networks[0].finality_lag = Some(Duration::from_secs(780));
        it.settings = Arc::new(settings);
        it.networks[0].finality_limit = Some(Duration::from_secs(3 * 780));
    });
    assert_eq!(rule.await["limit"], "the final block is 39m behind the head");
}

#[tokio::test]
async fn announced_halts_are_told_with_who_announced_them() {
    let network = explained(|it| {
        let mut settings = sample::settings();
        settings.networks[0].planned = vec![PlannedHalt {
            kind: "new disks".into(),
            from: Some(Instant::Wall(sample::now().wall)),
            until: None,
            at_height: None,
        }];
        it.settings = Arc::new(settings);
    });
    let plans = network.await["planned_halts"].clone();
    assert_eq!((&plans[0]["kind"], &plans[0]["origin"]), (&"new disks".into(), &"configuration".into()));
    assert_eq!(plans[0]["from"], "2026-11-21T19:34:19.500Z");
    assert_eq!((&plans[1]["kind"], &plans[1]["at_height"]), (&"v2".into(), &500.into()));
    assert_eq!(plans.as_array().unwrap().len(), 2, "three nodes tell of the same upgrade");
}

/// Only a network whose blocks wait for work is not expected to make any.
#[tokio::test]
async fn a_network_of_every_cadence_but_one_halts_when_no_block_comes() {
    for (cadence, waits) in [
        (Cadence::Interval, true),
        (Cadence::Slots, true),
        (Cadence::Poisson, true),
        (Cadence::IdleMax(Duration::from_secs(60)), true),
        (Cadence::OnDemand, false),
    ] {
        let network = explained(|it| {
            let mut settings = sample::settings();
            settings.networks[0].cadence = cadence;
            it.settings = Arc::new(settings);
            (it.networks[0].phase, it.networks[0].halt_ratio) = (NetworkPhase::Live, Some(0.0));
        });
        let first = network.await["next"][0].clone();
        assert_eq!(first["condition"] == "no block arrives until then", waits, "{cadence:?}");
        assert_eq!(!first["at"].is_null(), waits, "{cadence:?}");
    }
}

#[tokio::test]
async fn the_time_of_the_next_look_is_told() {
    let body = json(&get(&started(), "/api/v1/explain?network=main").await);
    assert_eq!(body["data"]["wake_at"], "2026-11-21T19:34:20.500Z");
    assert_eq!(body["data"]["networks"][0]["wake_at"], "2026-11-21T19:34:23.500Z");
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
