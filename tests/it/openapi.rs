//! The API is what `docs/openapi.json` says: the same paths and methods, and answers that fit their schemas, each field of
//! them described.

use std::collections::{BTreeMap, BTreeSet};

use haltwatch::{
    engine::snapshot::{NetworkPhase, NetworkView, Snapshot},
    model::{AlertName, Level, NodeState, Role},
    observation::ErrorKind,
};
use serde_json::Value;

use crate::{
    sample,
    web::{Web, get, request, settings, start},
};

fn description() -> Value {
    serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap()
}

/// The paths of the router's table.
fn served() -> BTreeSet<String> {
    let source = include_str!("../../src/output/http/route.rs");
    let table = source.split("\nhandlers! {").nth(1).unwrap().split("\n}").next().unwrap();
    let paths = table.lines().filter_map(|line| line.split("\", \"").nth(1));
    paths.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// The described paths with their methods.
fn described(description: &Value) -> BTreeMap<&str, BTreeSet<String>> {
    let methods = |path: &Value| {
        let keys = path.as_object().unwrap().keys().filter(|key| *key != "parameters");
        keys.map(|method| method.to_uppercase()).collect()
    };
    description["paths"].as_object().unwrap().iter().map(|(path, it)| (path.as_str(), methods(it))).collect()
}

#[tokio::test]
async fn the_paths_and_methods_are_those_of_the_server() {
    let (description, served) = (description(), served());
    let web = start(&settings(), Some(sample::snapshot()));
    let described = described(&description);
    for path in &served {
        assert!(described.contains_key(path.as_str()), "{path} is not described");
    }
    for (path, methods) in described {
        // A path with a variable belongs to the one above it, and so does a folder.
        let above = path.split("/{").next().unwrap();
        let above = if path == "/" { path } else { above.trim_end_matches('/') };
        assert!(served.contains(above), "{path} is described and not served");
        let refused = request(&web, "PATCH", &path.replace("{name}", "NodeSlow"), "").await;
        let allowed: BTreeSet<_> = refused.headers["allow"].split(", ").map(str::to_owned).collect();
        assert_eq!((refused.status, allowed), (405, methods), "{path}");
    }
}

// ---- a reader of the part of JSON Schema that the description uses

/// Checks values against schemas. It is stricter than the standard: a field that is not described is a fault, and so is a
/// keyword it does not know.
struct Checker<'d> {
    schemas: &'d Value,
    faults: Vec<String>,
}

/// Keywords that say nothing about a value, or that are looked at together with others.
const SILENT: [&str; 4] = ["description", "format", "required", "additionalProperties"];

impl Checker<'_> {
    fn fault(&mut self, at: &str, what: &str) {
        self.faults.push(format!("{at}: {what}"));
    }

    fn check(&mut self, at: &str, schema: &Value, value: &Value) {
        for (keyword, wanted) in schema.as_object().unwrap() {
            match keyword.as_str() {
                "$ref" => {
                    let name = wanted.as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
                    let schema = self.schemas.get(name).unwrap_or_else(|| panic!("no schema {name}")).clone();
                    self.check(at, &schema, value);
                }
                "anyOf" => self.any(at, wanted, value),
                "type" if !has_type(wanted, value) => self.fault(at, &format!("{value} is no {wanted}")),
                "enum" if !wanted.as_array().unwrap().contains(value) => {
                    self.fault(at, &format!("{value} is none of {wanted}"));
                }
                "minimum" if value.as_f64().is_some_and(|it| it < wanted.as_f64().unwrap()) => {
                    self.fault(at, &format!("{value} is below {wanted}"));
                }
                "pattern" if value.is_string() => self.time(at, value.as_str().unwrap()),
                "properties" => self.fields(at, schema, value),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(&format!("{at}[{index}]"), wanted, item);
                    }
                }
                "propertyNames" => {
                    for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
                        self.check(&format!("{at}.{name}"), wanted, &Value::from(name.as_str()));
                    }
                }
                "additionalProperties" if schema.get("properties").is_none() => {
                    for (name, field) in value.as_object().into_iter().flatten() {
                        self.check(&format!("{at}.{name}"), wanted, field);
                    }
                }
                "type" | "enum" | "minimum" | "pattern" => {}
                keyword => assert!(SILENT.contains(&keyword), "{at}: the keyword {keyword} is not known here"),
            }
        }
    }

    fn any(&mut self, at: &str, schemas: &Value, value: &Value) {
        let mut best: Option<Vec<String>> = None;
        for schema in schemas.as_array().unwrap() {
            let mut attempt = Checker { schemas: self.schemas, faults: Vec::new() };
            attempt.check(at, schema, value);
            if best.as_ref().is_none_or(|best| attempt.faults.len() < best.len()) {
                best = Some(attempt.faults);
            }
        }
        self.faults.extend(best.unwrap());
    }

    fn fields(&mut self, at: &str, schema: &Value, value: &Value) {
        let Some(fields) = value.as_object() else { return };
        let known = schema["properties"].as_object().unwrap();
        for (name, field) in fields {
            match known.get(name).or(schema.get("additionalProperties")) {
                Some(schema) => self.check(&format!("{at}.{name}"), schema, field),
                None => self.fault(at, &format!("the field {name} is not described")),
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()) {
            assert!(known.contains_key(name), "{at}: {name} is required and not described");
            if !fields.contains_key(name) {
                self.fault(at, &format!("the field {name} is missing"));
            }
        }
    }

    /// The only pattern of the description is that of a time.
    fn time(&mut self, at: &str, text: &str) {
        if humantime::parse_rfc3339(text).is_err() || text.len() != "2026-11-21T19:33:50.000Z".len() {
            self.fault(at, &format!("{text:?} is no time in milliseconds"));
        }
    }
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    if let Some(several) = wanted.as_array() {
        return several.iter().any(|wanted| has_type(wanted, value));
    }
    match wanted.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("no type {other}"),
    }
}

/// What is wrong with `value`, an answer or an example of `path` with `status`.
fn faults(description: &Value, path: &str, status: u16, value: &Value) -> Vec<String> {
    let mut answer = &description["paths"][path]["get"]["responses"][status.to_string()];
    if let Some(shared) = answer["$ref"].as_str() {
        answer = &description["components"]["responses"][shared.rsplit('/').next().unwrap()];
    }
    let schema = &answer["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{path} answers {status}, which is not described");
    let mut checker = Checker { schemas: &description["components"]["schemas"], faults: Vec::new() };
    checker.check(path, schema, value);
    checker.faults
}

/// Worlds whose answers differ: one with a halt, one in which all is well, one that nobody can see, one without anything.
fn worlds() -> Vec<(&'static str, Option<Snapshot>)> {
    let healthy = changed(|it| {
        it.alerts.retain(|alert| alert.key.name == AlertName::Watchdog);
        it.networks[0].phase = NetworkPhase::Live;
        it.nodes[1] = sample::live(NodeState::Live, sample::facts(99, "besu/v25.1.0/linux"));
    });
    let unseen = changed(|it| {
        it.networks.fill(NetworkView::default());
        it.nodes.fill_with(sample::dead);
        it.nodes[0] = haltwatch::engine::snapshot::NodeView::default();
        it.isolated_since = Some(haltwatch::model::Timestamp(900_000));
        it.canaries.fill(Some(false));
    });
    vec![("halted", Some(sample::snapshot())), ("healthy", Some(healthy)), ("unseen", Some(unseen)), ("young", None)]
}

fn changed(change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let mut snapshot = sample::snapshot();
    change(&mut snapshot);
    snapshot
}

/// Questions that are answered with JSON, right and wrong ones.
const QUESTIONS: &[&str] = &[
    "/api/v1/alerts",
    "/api/v1/rules",
    "/api/v1/rules?type=record",
    "/api/v1/rules?type=both",
    "/api/v1/rules?state=firing&exclude_alerts=true",
    "/api/v1/rules?rule_name[]=NodeSlow&rule_group[]=node&file[]=built-in",
    "/api/v1/status/buildinfo",
    "/api/v1/networks",
    "/api/v1/nodes",
    "/api/v1/nodes?network=main",
    "/api/v1/nodes?network=nowhere",
    "/api/v1/explain",
    "/api/v1/explain?network=main&node=val-2",
    "/api/v1/explain?network=main&node=nobody",
    "/api/v1/explain?alert=NodeOffline",
    "/api/v1/explain?alert=Nothing",
    "/api/v1/explain?unknown=1",
];

#[tokio::test]
async fn every_answer_is_as_described() {
    let description = description();
    let mut statuses = BTreeSet::new();
    for (world, snapshot) in worlds() {
        let web: Web = start(&settings(), snapshot);
        for question in QUESTIONS {
            let answer = get(&web, question).await;
            assert_eq!(answer.headers["content-type"], "application/json", "{question}");
            let body = serde_json::from_slice(&answer.body).unwrap();
            let path = question.split('?').next().unwrap();
            let faults = faults(&description, path, answer.status, &body);
            assert!(faults.is_empty(), "{world}: {question}\n{}", faults.join("\n"));
            statuses.insert(answer.status);
        }
    }
    assert_eq!(statuses, BTreeSet::from([200, 400, 404, 503]));
}

#[tokio::test]
async fn every_other_answer_has_a_described_type() {
    let description = description();
    let web = start(&settings(), Some(sample::snapshot()));
    for path in ["/", "/style.css", "/metrics", "/-/healthy", "/-/ready"] {
        let answer = get(&web, path).await;
        let described = &description["paths"][path]["get"]["responses"][answer.status.to_string()]["content"];
        let kind = answer.headers["content-type"].split(';').next().unwrap();
        assert!(described.get(kind).is_some(), "{path}: {kind}");
    }
    let long = get(&web, &format!("/api/v1/nodes?network={}", "x".repeat(9000))).await;
    let full = request(&web, "GET", "/api/v1/nodes", "Content-Length: 1\r\n").await;
    assert_eq!((long.status, full.status), (414, 413));
}

/// What stands before every path answers in its place, whatever the path.
#[tokio::test]
async fn what_the_guard_answers_is_described_everywhere() {
    let description = description();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let asked =
            methods.as_object().unwrap().iter().filter(|(name, _)| !["head", "parameters"].contains(&name.as_str()));
        for (method, operation) in asked {
            for status in ["401", "429", "503", "413", "414"] {
                let answer = &operation["responses"][status];
                let shared = answer["$ref"].as_str().and_then(|name| name.rsplit('/').next());
                let answer = shared.map_or(answer, |name| &description["components"]["responses"][name]);
                assert!(answer["content"]["text/plain"].is_object(), "{method} {path}: {status}");
            }
        }
    }
    let web = start(&settings(), None);
    for (path, wanted) in [("/runbooks", 302), ("/runbooks/", 200), ("/runbooks/NodeSlow", 200), ("/runbooks/x", 404)] {
        assert_eq!(get(&web, path).await.status, wanted, "{path}");
    }
}

#[test]
fn every_example_is_an_answer() {
    let description = description();
    let mut seen = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (status, answer) in methods["get"]["responses"].as_object().into_iter().flatten() {
            let Some(example) = answer["content"]["application/json"].get("example") else { continue };
            let faults = faults(&description, path, status.parse().unwrap(), example);
            assert!(faults.is_empty(), "{path}: {}", faults.join("\n"));
            seen += 1;
        }
    }
    assert!(6 <= seen, "{seen} examples");
}

/// A word the code gained must be told.
#[test]
fn every_word_that_can_be_answered_is_listed() {
    let description = description();
    let listed = |schema: &Value| -> BTreeSet<String> {
        schema.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let schema = |name: &str| listed(&description["components"]["schemas"][name]["enum"]);
    let words = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(schema("AlertName"), words(AlertName::ALL.iter().map(|it| it.as_str()).collect()));
    assert_eq!(schema("NodeState"), words(NodeState::ALL.iter().map(|it| it.as_str()).collect()));
    assert_eq!(schema("Phase"), words(NetworkPhase::ALL.iter().map(|it| it.as_str()).collect()));
    assert_eq!(schema("ErrorKind"), words(ErrorKind::ALL.iter().map(|it| it.as_str()).collect()));
    assert_eq!(schema("Level"), words(Level::ALL.iter().chain([&Level::None]).map(|it| it.as_str()).collect()));
    let node = &description["components"]["schemas"]["Node"]["properties"];
    assert_eq!(listed(&node["role"]["enum"]), words(Role::ALL.iter().map(|it| it.as_str()).collect()));
    let outcomes = ["success"].into_iter().chain(ErrorKind::ALL.iter().map(|it| it.as_str()));
    assert_eq!(listed(&node["polls"]["propertyNames"]["enum"]), words(outcomes.collect()));
}

#[test]
fn an_answer_that_is_not_as_described_is_noticed() {
    let description = description();
    let node =
        &description["paths"]["/api/v1/nodes"]["get"]["responses"]["200"]["content"]["application/json"]["example"];
    let with = |pointer: &str, value: Value| {
        let mut node = node.clone();
        *node.pointer_mut(pointer).unwrap() = value;
        faults(&description, "/api/v1/nodes", 200, &node)
    };
    for (pointer, value) in [
        ("/status", Value::from("error")),
        ("/data/nodes/0/state", "alive".into()),
        ("/data/nodes/0/weight", "1".into()),
        ("/data/nodes/0/weight", (-1).into()),
        ("/data/nodes/0/last_poll", "yesterday".into()),
        ("/data/nodes/0/facts/height", Value::Null),
        ("/data/nodes/0/labels/rack", 4.into()),
        ("/data/nodes/0/polls", serde_json::json!({"lost": 1})),
        ("/data/nodes/0/error", serde_json::json!({"kind": "timeout", "detail": "", "url": "http://x"})),
        ("/data/nodes", serde_json::json!([{}])),
    ] {
        assert!(!with(pointer, value.clone()).is_empty(), "{pointer} = {value}");
    }
    assert!(with("/data/nodes/0/error", Value::Null).is_empty());
}
