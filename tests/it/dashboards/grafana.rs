//! The few words in which the dashboards are written, and the JSON that Grafana makes of them.
//!
//! Queries say `{@self}` for the selection of the monitor, `{@network}` and `{@node}` for that and the network or the node
//! of the page, `{@any}` for the network and what belongs to none. Every panel asks what holds *now* unless it is a graph:
//! a value that stopped coming must not go on standing there.

use serde_json::{Value, json};

use super::chrome::{address, datasource, links, mappings, requires, source, thresholds};

/// Columns of Grafana's grid.
const GRID: usize = 24;

/// What is selected when no panel says otherwise.
const SELF: &str = r#"job=~"$job",instance=~"$instance""#;

/// A word that stands for a number, and its colour.
pub type Word = (usize, &'static str, &'static str);

/// Limits at which colours change: the first holds from the bottom.
pub type Steps = &'static [(Option<f64>, &'static str)];

/// Good at 0, bad from 1 on.
pub const NONE_IS_GOOD: Steps = &[(None, "green"), (Some(1.0), "red")];

/// A fact without judgement.
pub const PLAIN: Steps = &[(None, "text")];

/// A page.
pub struct Dashboard {
    pub uid: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    pub variables: Vec<Variable>,
    pub rows: Vec<Row>,
}

/// What a page can be narrowed to.
#[derive(Clone, Copy)]
pub struct Variable {
    name: &'static str,
    label: &'static str,
    /// The series that knows all values.
    query: &'static str,
    /// Whether several values, and all of them, can be chosen.
    several: bool,
}

/// Which monitors.
pub const JOB: Variable = Variable { name: "job", label: "Job", query: "haltwatch_build_info", several: true };
/// Which of their processes.
pub const INSTANCE: Variable =
    Variable { name: "instance", label: "Instance", query: r#"haltwatch_build_info{job=~"$job"}"#, several: true };
/// Which networks.
pub const NETWORKS: Variable =
    Variable { name: "network", label: "Network", query: "haltwatch_network_info{@self}", several: true };
/// The network a page is about.
pub const NETWORK: Variable = Variable { several: false, ..NETWORKS };
/// The node a page is about.
pub const NODE: Variable =
    Variable { name: "node", label: "Node", query: r#"haltwatch_node_info{@self,network="$network"}"#, several: false };

/// Panels under a common heading.
pub struct Row {
    pub title: &'static str,
    pub panels: Vec<Panel>,
}

/// One panel.
pub struct Panel {
    kind: &'static str,
    title: &'static str,
    description: &'static str,
    size: (usize, usize),
    queries: Vec<(String, &'static str)>,
    unit: &'static str,
    steps: Steps,
    words: &'static [Word],
    columns: Vec<Column>,
    stacked: bool,
    limit: bool,
}

/// A column of a table that is more than a plain text.
pub struct Column {
    /// Its heading; for the value of a query what the query is called.
    pub name: &'static str,
    pub unit: &'static str,
    pub steps: Steps,
    pub words: &'static [Word],
    /// Words for the values of a label.
    pub texts: &'static [(&'static str, &'static str)],
    /// Where a click leads: text and address.
    pub link: Option<(&'static str, &'static str)>,
}

/// A column without anything.
pub const COLUMN: Column = Column { name: "", unit: "short", steps: PLAIN, words: &[], texts: &[], link: None };

/// A big word or number that holds now, `width` of 24 columns wide.
pub fn stat(title: &'static str, width: usize, description: &'static str) -> Panel {
    panel("stat", title, (width, 4), description)
}

/// A graph over time.
pub fn graph(title: &'static str, width: usize, description: &'static str) -> Panel {
    panel("timeseries", title, (width, 8), description)
}

/// Words over time, a line for each thing.
pub fn timeline(title: &'static str, width: usize, description: &'static str) -> Panel {
    panel("state-timeline", title, (width, 8), description)
}

/// A table of what holds now: the labels its queries share are its first columns.
pub fn table(title: &'static str, height: usize, description: &'static str) -> Panel {
    panel("table", title, (GRID, height), description)
}

fn panel(kind: &'static str, title: &'static str, size: (usize, usize), description: &'static str) -> Panel {
    let (queries, columns) = (Vec::new(), Vec::new());
    let (unit, steps, words) = ("short", PLAIN, &[][..]);
    Panel { kind, title, description, size, queries, unit, steps, words, columns, stacked: false, limit: false }
}

impl Panel {
    /// One more query; `legend` names its series, or its column in a table.
    pub fn query(mut self, expr: impl Into<String>, legend: &'static str) -> Self {
        self.queries.push((expr.into(), legend));
        self
    }

    /// The unit of its values, as Grafana calls it.
    pub fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// Colours by limits.
    pub fn steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    /// Words and colours instead of numbers.
    pub fn words(self, words: &'static [Word]) -> Self {
        Self { words, ..self }
    }

    /// How a column of a table looks.
    pub fn column(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    /// The series of a graph stand on each other.
    pub fn stacked(self) -> Self {
        Self { stacked: true, ..self }
    }

    /// The limits of a graph are drawn as lines.
    pub fn limit(self, steps: Steps) -> Self {
        Self { steps, limit: true, ..self }
    }

    fn is_graph(&self) -> bool {
        ["timeseries", "state-timeline"].contains(&self.kind)
    }

    fn render(&self, page: &Dashboard, id: usize, at: (usize, usize)) -> Value {
        let mut panel = json!({
            "id": id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": source(),
            "gridPos": {"x": at.0, "y": at.1, "w": self.size.0, "h": self.size.1},
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.columns.iter().map(Column::render).collect::<Vec<_>>()},
            "options": self.options(),
            "targets": self.queries.iter().zip('A'..).map(|(query, id)| self.target(page, query, id)).collect::<Vec<_>>(),
        });
        if self.kind == "table" {
            panel["transformations"] = self.transformations();
        }
        panel
    }

    fn defaults(&self) -> Value {
        let mut defaults = json!({
            "unit": self.unit,
            "color": {"mode": if self.kind == "timeseries" { "palette-classic" } else { "thresholds" }},
            "mappings": mappings(self.words, &[]),
            "thresholds": thresholds(self.steps),
            "noValue": "no data",
        });
        if self.kind == "timeseries" {
            defaults["custom"] = json!({
                "drawStyle": "line",
                "lineInterpolation": "stepAfter",
                "lineWidth": 1,
                "fillOpacity": if self.stacked { 30 } else { 0 },
                "showPoints": "never",
                "spanNulls": false,
                "stacking": {"mode": if self.stacked { "normal" } else { "none" }},
                "thresholdsStyle": {"mode": if self.limit { "dashed" } else { "off" }},
            });
        }
        defaults
    }

    fn options(&self) -> Value {
        let legend = json!({"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []});
        match self.kind {
            "stat" => json!({
                "colorMode": "background",
                "graphMode": "none",
                "justifyMode": "center",
                "textMode": "auto",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            }),
            "state-timeline" => json!({"mergeValues": true, "rowHeight": 0.8, "showValue": "auto", "legend": legend}),
            "table" => json!({"showHeader": true, "cellHeight": "sm", "footer": {"show": false}}),
            _ => json!({"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}),
        }
    }

    fn target(&self, page: &Dashboard, (expr, legend): &(String, &'static str), id: char) -> Value {
        json!({
            "refId": id.to_string(),
            "datasource": source(),
            "expr": page.selected(expr),
            "legendFormat": if self.kind == "table" { "" } else { *legend },
            "format": if self.kind == "table" { "table" } else { "time_series" },
            "instant": !self.is_graph(),
            "range": self.is_graph(),
        })
    }

    /// One line for each subject, without the time, which is now; values under the names of their queries.
    fn transformations(&self) -> Value {
        let value = |id: char| if self.queries.len() == 1 { "Value".to_owned() } else { format!("Value #{id}") };
        let named = self.queries.iter().zip('A'..).filter(|((_, legend), _)| !legend.is_empty());
        let renamed: serde_json::Map<_, _> = named.map(|((_, legend), id)| (value(id), json!(legend))).collect();
        let unnamed = self.queries.iter().zip('A'..).filter(|((_, legend), _)| legend.is_empty());
        let hidden: serde_json::Map<_, _> =
            unnamed.map(|(_, id)| value(id)).chain(["Time".to_owned()]).map(|name| (name, json!(true))).collect();
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": hidden, "indexByName": {}, "renameByName": renamed}},
        ])
    }
}

impl Column {
    fn render(&self) -> Value {
        let mut properties = vec![
            json!({"id": "unit", "value": self.unit}),
            json!({"id": "thresholds", "value": thresholds(self.steps)}),
            json!({"id": "mappings", "value": mappings(self.words, self.texts)}),
        ];
        if self.steps.len() != 1 || !self.words.is_empty() || !self.texts.is_empty() {
            properties.push(json!({"id": "custom.cellOptions", "value": {"type": "color-background"}}));
        }
        if let Some((title, url)) = self.link {
            properties.push(json!({"id": "links", "value": [{"title": title, "url": url}]}));
        }
        json!({"matcher": {"id": "byName", "options": self.name}, "properties": properties})
    }
}

impl Dashboard {
    /// The file Grafana imports.
    pub fn render(&self) -> String {
        let queried = self.variables.iter().map(|variable| variable.render(self));
        let variables: Vec<_> = [datasource()].into_iter().chain(queried).chain([address()]).collect();
        let page = json!({
            "__inputs": [],
            "__requires": requires(),
            "annotations": {"list": [self.annotation("L1", "critical alerts", "red"), self.annotation("L2|L3|L4", "other alerts", "orange")]},
            "description": self.description,
            "editable": false,
            "graphTooltip": 1,
            "id": null,
            "links": links(),
            "panels": self.panels(),
            "refresh": "30s",
            "schemaVersion": 39,
            "tags": ["haltwatch", "blockchain"],
            "templating": {"list": variables},
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "utc",
            "title": self.title,
            "uid": self.uid,
            "version": 1,
        });
        format!("{}\n", serde_json::to_string_pretty(&page).unwrap())
    }

    fn panels(&self) -> Vec<Value> {
        let (mut out, mut y) = (Vec::new(), 0);
        for row in &self.rows {
            let at = json!({"x": 0, "y": y, "w": GRID, "h": 1});
            let id = out.len() + 1;
            out.push(
                json!({"id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [], "gridPos": at}),
            );
            y += 1;
            let mut x = 0;
            for panel in &row.panels {
                out.push(panel.render(self, out.len() + 1, (x, y)));
                x += panel.size.0;
                if GRID <= x {
                    (x, y) = (0, y + panel.size.1);
                }
            }
            assert_eq!(x, 0, "{}: the last line of panels is not full", row.title);
        }
        out
    }

    /// A query with the selections of this page.
    fn selected(&self, expr: &str) -> String {
        let is = |variable: &&Variable| variable.name == "network";
        let network = match self.variables.iter().find(is) {
            Some(Variable { several: false, .. }) => r#"network="$network""#,
            _ => r#"network=~"$network""#,
        };
        let node = format!(r#"{SELF},{network},node="$node""#);
        let any = match self.variables.iter().map(|it| (it.name, it.several)).next_back() {
            Some(("network", true)) => format!(r#"{SELF},network=~"$network|""#),
            Some(("network", false)) => format!("{SELF},{network}"),
            Some(("node", _)) => format!(r#"{SELF},{network},node=~"$node|""#),
            _ => SELF.to_owned(),
        };
        let expr = expr.replace("@self", SELF).replace("@network", &format!("{SELF},{network}"));
        expr.replace("@node", &node).replace("@any", &any)
    }

    /// A line in every graph where an alert of `levels` fires.
    fn annotation(&self, levels: &str, name: &str, colour: &str) -> Value {
        let chosen = format!(r#"haltwatch_alert{{@any,state="firing",level=~"{levels}"}}"#);
        json!({
            "name": name,
            "datasource": source(),
            "enable": true,
            "iconColor": colour,
            "expr": self.selected(&format!("max by (alertname, level, network, node) ({chosen})")),
            "step": "30s",
            "titleFormat": "{{alertname}} ({{level}})",
            "textFormat": "{{network}} {{node}}",
            "useValueForTime": false,
        })
    }
}

impl Variable {
    fn render(&self, page: &Dashboard) -> Value {
        let query = format!("label_values({}, {})", page.selected(self.query), self.name);
        let mut variable = json!({
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": source(),
            "definition": query,
            "query": {"query": query, "refId": self.name},
            "refresh": 2,
            "sort": 1,
            "multi": self.several,
            "includeAll": self.several,
            "current": {},
        });
        if self.several {
            variable["allValue"] = json!(".+");
            variable["current"] = json!({"text": "All", "value": "$__all"});
        }
        variable
    }
}
