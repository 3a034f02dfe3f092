//! Panels that stand on more than one page.

use super::{
    grafana::{COLUMN, Column, Panel, Steps, graph, table},
    words::{ALERT_STATES, LEVELS},
};

/// Below 1 blocks are due, from 1 on they are missing: the definition of the ratio.
pub const RATIO: Steps = &[(None, "green"), (Some(1.0), "red")];

/// Half of the expected voters must be fresh for a verdict.
pub const VOTES: Steps = &[(None, "red"), (Some(0.5), "green")];

/// Below 0 too much is lost; at 0 the next loss halts the network.
pub const MARGIN: Steps = &[(None, "red"), (Some(0.0), "orange"), (Some(1.0), "green")];

/// Whether all is well that is counted as a share.
pub const ALL_IS_GOOD: Steps = &[(None, "red"), (Some(1.0), "green")];

/// The alerts that are there now, about what the page is about and what stands above it.
pub fn alerts(height: usize) -> Panel {
    let labels = "alertname, level, state, network, node, instance";
    table("Alerts", height, "Pending, firing, and firing but muted by another one. The name leads to the runbook.")
        .query(format!(r#"max by ({labels}) (haltwatch_alert{{@any,alertname!="Watchdog"}})"#), "")
        .column(Column { name: "alertname", link: Some(("Runbook", "${haltwatch}/runbooks/${__value.raw}")), ..COLUMN })
        .column(Column { name: "level", texts: LEVELS, ..COLUMN })
        .column(Column { name: "state", texts: ALERT_STATES, ..COLUMN })
}

/// Time since the last block over its threshold.
pub fn halt_ratio(width: usize) -> Panel {
    graph(
        "Halt ratio",
        width,
        "Time since the last block over the threshold of the network. At 1 blocks are missing; an idle network stays at 0.",
    )
    .query("max by (network) (haltwatch_network_halt_ratio{@network})", "{{network}}")
    .unit("percentunit")
    .limit(RATIO)
}

/// The share of `range` in which polls failed, of what `matchers` select, by `labels`.
pub fn failures(matchers: &str, labels: &str) -> String {
    let rate = |more: &str| {
        format!("sum by ({labels}) (rate(haltwatch_node_polls_total{{{matchers}{more}}}[$__rate_interval]))")
    };
    format!("{} / {}", rate(r#",outcome!="success""#), rate(""))
}

/// Seconds since the instant `metric` tells, by `labels`. Both ends are read from the clock of the monitor, so a Prometheus
/// whose clock differs makes nothing look old; of several monitors the one that saw it last counts.
pub fn age(metric: &str, matchers: &str, labels: &str) -> String {
    let now = "haltwatch_last_step_timestamp_seconds{@self}";
    format!("min by ({labels}) ({now} - on (job, instance) group_right () {metric}{{{matchers}}})")
}

/// A quantile of a histogram, by `labels`.
pub fn quantile(share: f64, histogram: &str, matchers: &str, labels: &str) -> String {
    let comma = if labels.is_empty() { "" } else { ", " };
    format!(
        "histogram_quantile({share}, sum by ({labels}{comma}le) (rate({histogram}_bucket{{{matchers}}}[$__rate_interval])))"
    )
}
