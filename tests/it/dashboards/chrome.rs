//! What stands on every page: the data source, the links, what Grafana needs to know before it shows anything.

use serde_json::{Value, json};

use super::grafana::{Steps, Word};

/// The name of the data source in panels.
const SOURCE: &str = "${datasource}";

pub fn source() -> Value {
    json!({"type": "prometheus", "uid": SOURCE})
}

pub fn datasource() -> Value {
    json!({"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}})
}

/// Where people reach the monitor, for links to its page and its runbooks.
pub fn address() -> Value {
    let query = "http://127.0.0.1:10019";
    let current = json!({"text": query, "value": query});
    json!({"name": "haltwatch", "label": "Address of haltwatch", "type": "textbox", "query": query, "current": current})
}

pub fn links() -> Value {
    let to = |title: &str, path: &str| json!({"type": "link", "title": title, "url": format!("${{haltwatch}}{path}"), "icon": "doc", "targetBlank": true});
    json!([
        {"type": "dashboards", "title": "haltwatch", "tags": ["haltwatch"], "asDropdown": false, "includeVars": true, "keepTime": true},
        to("Page", "/"),
        to("Runbooks", "/runbooks/"),
    ])
}

pub fn requires() -> Value {
    let panel = |id: &str, name: &str| json!({"type": "panel", "id": id, "name": name, "version": ""});
    json!([
        {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.0.0"},
        {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        panel("stat", "Stat"),
        panel("state-timeline", "State timeline"),
        panel("table", "Table"),
        panel("timeseries", "Time series"),
    ])
}

pub fn thresholds(steps: Steps) -> Value {
    let steps: Vec<_> = steps.iter().map(|(value, color)| json!({"value": value, "color": color})).collect();
    json!({"mode": "absolute", "steps": steps})
}

pub fn mappings(words: &[Word], texts: &[(&str, &str)]) -> Value {
    let words = words.iter().map(|(code, word, color)| (code.to_string(), json!({"text": word, "color": color})));
    let texts = texts.iter().map(|(text, color)| ((*text).to_owned(), json!({"text": text, "color": color})));
    let options: serde_json::Map<_, _> = words.chain(texts).collect();
    if options.is_empty() { json!([]) } else { json!([{"type": "value", "options": options}]) }
}
