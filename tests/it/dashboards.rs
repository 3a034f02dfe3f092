//! The dashboards: written here in few words, checked against what Grafana's linter asks for, and told as JSON into
//! `dashboards/`. `UPDATE_EXPECT=1 cargo test --test it dashboards` writes the files anew.

mod chrome;
mod fleet;
mod grafana;
mod monitor;
mod network;
mod node;
mod shared;
mod words;

use std::collections::BTreeSet;

use expect_test::expect_file;
use serde_json::Value;

use crate::documents::{Selector, selectors};

/// Every page as Grafana reads it, by the name of its file.
fn pages() -> Vec<(&'static str, Value)> {
    let pages = [
        ("fleet", fleet::page()),
        ("network", network::page()),
        ("node", node::page()),
        ("haltwatch", monitor::page()),
    ];
    pages.map(|(name, page)| (name, serde_json::from_str(&page.render()).unwrap())).into()
}

fn panels(page: &Value) -> impl Iterator<Item = &Value> {
    page["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// Every query of a page with the title of its panel.
fn queries(page: &Value) -> impl Iterator<Item = (&str, &str)> {
    panels(page).flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap().iter();
        targets.map(|target| (panel["title"].as_str().unwrap(), target["expr"].as_str().unwrap()))
    })
}

fn variables(page: &Value) -> &Vec<Value> {
    page["templating"]["list"].as_array().unwrap()
}

#[test]
fn the_files_are_what_is_written_here() {
    expect_file!["../../dashboards/fleet.json"].assert_eq(&fleet::page().render());
    expect_file!["../../dashboards/network.json"].assert_eq(&network::page().render());
    expect_file!["../../dashboards/node.json"].assert_eq(&node::page().render());
    expect_file!["../../dashboards/haltwatch.json"].assert_eq(&monitor::page().render());
}

#[test]
fn a_page_keeps_its_address_and_is_found_from_the_others() {
    let pages = pages();
    let uids: BTreeSet<_> = pages.iter().map(|(_, page)| page["uid"].as_str().unwrap()).collect();
    assert_eq!(uids, BTreeSet::from(["haltwatch-fleet", "haltwatch-network", "haltwatch-node", "haltwatch-self"]));
    for (name, page) in &pages {
        assert!(page["id"].is_null() && page["editable"] == false, "{name}");
        assert!(36 <= page["schemaVersion"].as_u64().unwrap(), "{name}");
        assert!(page["tags"].as_array().unwrap().contains(&"haltwatch".into()), "{name}");
        assert_eq!(page["links"][0]["tags"][0], "haltwatch", "{name}");
        let required: BTreeSet<_> =
            page["__requires"].as_array().unwrap().iter().map(|it| &it["id"]).map(Value::to_string).collect();
        assert!(panels(page).all(|panel| required.contains(&panel["type"].to_string())), "{name}");
        // Where a click leads.
        for (at, _) in page.to_string().match_indices("/d/") {
            let text = page.to_string();
            let uid = text[at + 3..].split('?').next().unwrap().to_owned();
            assert!(uids.contains(uid.as_str()), "{name} leads to {uid}");
        }
    }
}

#[test]
fn the_variables_are_those_a_reader_expects() {
    for (name, page) in pages() {
        let of_kind = |kind: &'static str| variables(&page).iter().filter(move |it| it["type"] == kind);
        let sources: Vec<_> = of_kind("datasource").map(|it| (&it["name"], &it["label"], &it["query"])).collect();
        assert_eq!(sources, [(&"datasource".into(), &"Data source".into(), &"prometheus".into())], "{name}");
        for wanted in ["job", "instance"] {
            let variable =
                of_kind("query").find(|it| it["name"] == wanted).unwrap_or_else(|| panic!("{name}: {wanted}"));
            assert_eq!((&variable["multi"], &variable["includeAll"]), (&true.into(), &true.into()), "{name}: {wanted}");
            assert_eq!(variable["allValue"], ".+", "{name}: {wanted}");
        }
        for variable in of_kind("query") {
            assert_eq!(variable["refresh"], 2, "{name}: {variable}");
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{name}: {variable}");
            assert!(variable["query"]["query"].as_str().unwrap().starts_with("label_values(haltwatch_"), "{variable}");
        }
        let known: BTreeSet<_> = variables(&page).iter().map(|it| it["name"].as_str().unwrap()).collect();
        for (panel, expr) in queries(&page) {
            for used in expr.split("\"$").skip(1).map(|rest| rest.split(['"', '|']).next().unwrap()) {
                assert!(known.contains(used), "{name}, {panel}: ${used}");
            }
        }
    }
}

#[test]
fn every_panel_says_what_it_shows() {
    for (name, page) in pages() {
        let mut seen = BTreeSet::new();
        for panel in panels(&page) {
            let title = panel["title"].as_str().unwrap();
            assert!(!title.is_empty() && panel["description"].as_str().unwrap().ends_with('.'), "{name}: {title}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {title}");
            assert!(!panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap().is_empty(), "{name}: {title}");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{name}: {title}");
            assert!(seen.insert(panel["id"].as_u64().unwrap()), "{name}: {title}");
            // What has stopped coming is no longer true, so only graphs look back.
            let looks_back = ["timeseries", "state-timeline"].iter().any(|kind| panel["type"] == *kind);
            assert!(
                panel["targets"].as_array().unwrap().iter().all(|it| it["instant"] == !looks_back),
                "{name}: {title}"
            );
        }
    }
}

#[test]
fn queries_select_the_monitor_and_respect_the_resolution() {
    for (name, page) in pages() {
        let annotations = page["annotations"]["list"].as_array().unwrap().iter();
        let annotations = annotations.map(|it| (it["name"].as_str().unwrap(), it["expr"].as_str().unwrap()));
        for (panel, expr) in queries(&page).chain(annotations) {
            let found = selectors(expr);
            assert!(!found.is_empty(), "{name}, {panel}: {expr}");
            for Selector { name: metric, matchers, before, after } in found {
                for wanted in ["job=~\"$job\"", "instance=~\"$instance\""] {
                    assert!(matchers.split(',').any(|it| it == wanted), "{name}, {panel}: {metric} without {wanted}");
                }
                let is_counted = ["_total", "_bucket", "_sum", "_count"].iter().any(|end| metric.ends_with(end));
                let is_rated = ["rate(", "increase("].iter().any(|call| before.ends_with(call));
                assert_eq!(is_counted, is_rated, "{name}, {panel}: {metric}");
                assert_eq!(is_rated, after.starts_with("[$__rate_interval]"), "{name}, {panel}: {metric}");
            }
            assert_eq!(
                expr.matches('[').count(),
                expr.matches("[$__rate_interval]").count(),
                "{name}, {panel}: {expr}"
            );
            assert!(!expr.contains('@'), "{name}, {panel}: {expr}");
        }
    }
}

#[test]
fn the_first_row_answers_the_three_questions() {
    let pages = pages();
    let titles =
        |page: &Value| panels(page).take(6).map(|it| it["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(
        titles(&pages[0].1),
        [
            "Networks halted",
            "Nodes in trouble",
            "Networks unseen",
            "Monitor cut off",
            "Monitors scraped",
            "Alertmanagers behind"
        ]
    );
}

/// A metric that does not exist makes a panel that is always empty.
#[test]
fn only_metrics_that_exist_are_asked_for() {
    let documented = include_str!("../../docs/metrics.md");
    let known: BTreeSet<_> =
        documented.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let exists = |word: &str| {
        let whole = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end));
        known.contains(word) || whole.is_some_and(|whole| known.contains(whole))
    };
    for (name, page) in pages() {
        let annotations = page["annotations"]["list"].as_array().unwrap().iter().map(|it| &it["expr"]);
        let asked =
            variables(&page).iter().map(|it| &it["query"]["query"]).chain(annotations).filter_map(Value::as_str);
        for expr in queries(&page).map(|(_, expr)| expr).chain(asked) {
            let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            for word in words.filter(|word| word.starts_with("haltwatch_") || word.starts_with("process_")) {
                assert!(exists(word), "{name}: {word} in {expr}");
            }
        }
    }
}
