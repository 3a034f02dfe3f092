//! The first page at three in the morning: has a network halted, is a node in trouble, are we blind?

use super::{
    grafana::{
        COLUMN, Column, Dashboard, INSTANCE, JOB, NETWORKS, NONE_IS_GOOD, Panel, Row, graph, stat, table, timeline,
    },
    shared::{ALL_IS_GOOD, MARGIN, RATIO, VOTES, age, alerts, halt_ratio},
    words::{BAD_IF_NO, BAD_IF_YES, PHASES, STATES, phase, state},
};

/// The page.
pub fn page() -> Dashboard {
    Dashboard {
        uid: "haltwatch-fleet",
        title: "haltwatch / fleet",
        description: "Has a network halted? Is a node in trouble? Are we blind? Every network haltwatch watches.",
        variables: vec![JOB, INSTANCE, NETWORKS],
        rows: vec![
            Row { title: "Now", panels: now() },
            Row { title: "Networks", panels: vec![networks()] },
            Row { title: "Alerts", panels: vec![alerts(8)] },
            Row { title: "Nodes that are not live", panels: vec![nodes()] },
            Row { title: "History", panels: history() },
        ],
    }
}

/// Counts are of what is known: where no monitor is scraped there is no data, and no zero either.
fn or_none(count: &str) -> String {
    format!("{count} or 0 * count(haltwatch_build_info{{@self}})")
}

fn now() -> Vec<Panel> {
    let troubled =
        r#"count(count by (network, node) (haltwatch_alert{@network,node!="",state!="pending",level!="L4"}))"#;
    let unseen = r#"sum(max by (network) (haltwatch_network_phase{@network,phase=~"unknown|unreachable"}))"#;
    let unaccepted = "count(haltwatch_notifications_oldest_unacked_timestamp_seconds{@self} > 0)";
    vec![
        stat("Networks halted", 4, "Networks on which NetworkHalted fires, for any reason.")
            .query("sum(max by (network) (haltwatch_network_halted{@network}))", "halted")
            .steps(NONE_IS_GOOD)
            .words(&[(0, "none", "green")]),
        stat("Nodes in trouble", 4, "Nodes about which an alert of level L1, L2 or L3 fires, muted ones included.")
            .query(or_none(troubled), "in trouble")
            .steps(&[(None, "green"), (Some(1.0), "orange")])
            .words(&[(0, "none", "green")]),
        stat("Networks unseen", 4, "Networks of which too little is heard to say whether they make blocks.")
            .query(unseen, "unseen")
            .steps(&[(None, "green"), (Some(1.0), "purple")])
            .words(&[(0, "none", "green")]),
        stat(
            "Monitor cut off",
            4,
            "Whether canaries and nodes are silent together: then it is the monitor that is blind.",
        )
        .query("max(haltwatch_monitor_isolated{@self})", "cut off")
        .words(BAD_IF_YES),
        stat(
            "Monitors scraped",
            4,
            "Whether every selected haltwatch answers Prometheus. If not, what stands here is of the others.",
        )
        .query("min(up{@self})", "scraped")
        .words(BAD_IF_NO),
        stat("Alertmanagers behind", 4, "Alertmanagers that have not accepted the newest state of an alert.")
            .query(or_none(unaccepted), "behind")
            .steps(&[(None, "green"), (Some(1.0), "orange")])
            .words(&[(0, "none", "green")]),
    ]
}

fn networks() -> Panel {
    let by = |expr: &str| format!("max by (network) ({expr})");
    table("Networks", 9, "One line a network. The name leads to its page.")
        .query(phase("@network"), "phase")
        .query(age("haltwatch_network_last_progress_timestamp_seconds", "@network", "network"), "since last block")
        .query(by("haltwatch_network_halt_threshold_seconds{@network}"), "halts after")
        .query(by("haltwatch_network_halt_ratio{@network}"), "halt ratio")
        .query(by("haltwatch_network_tip_height{@network}"), "tip")
        .query(by("haltwatch_network_voters{@network} / haltwatch_network_voters_expected{@network}"), "votes heard")
        .query("min by (network) (haltwatch_network_quorum_margin{@network})", "quorum margin")
        .query(
            r#"sum by (network) (max by (network, state) (haltwatch_network_nodes{@network,state="live"})) / sum by (network) (max by (network, state) (haltwatch_network_nodes{@network}))"#,
            "nodes live",
        )
        .column(Column {
            name: "network",
            link: Some(("Network", "/d/haltwatch-network?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&var-network=${__value.raw:percentencode}")),
            ..COLUMN
        })
        .column(Column { name: "phase", words: PHASES, ..COLUMN })
        .column(Column { name: "since last block", unit: "dtdurations", ..COLUMN })
        .column(Column { name: "halts after", unit: "dtdurations", ..COLUMN })
        .column(Column { name: "halt ratio", unit: "percentunit", steps: RATIO, ..COLUMN })
        .column(Column { name: "tip", unit: "none", ..COLUMN })
        .column(Column { name: "votes heard", unit: "percentunit", steps: VOTES, ..COLUMN })
        .column(Column { name: "quorum margin", unit: "none", steps: MARGIN, ..COLUMN })
        .column(Column { name: "nodes live", unit: "percentunit", steps: ALL_IS_GOOD, ..COLUMN })
}

fn nodes() -> Panel {
    table("Nodes that are not live", 8, "Their state. A name leads to the page of the node.")
        .query(format!("{} != 1", state("@network")), "state")
        .column(Column { name: "state", words: STATES, ..COLUMN })
        .column(Column {
            name: "node",
            link: Some(("Node", "/d/haltwatch-node?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&var-network=${__data.fields.network:percentencode}&var-node=${__value.raw:percentencode}")),
            ..COLUMN
        })
}

fn history() -> Vec<Panel> {
    vec![
        timeline("Networks", 12, "What each network was doing.").query(phase("@network"), "{{network}}").words(PHASES),
        halt_ratio(12),
        graph(
            "Height spread",
            12,
            "Blocks between the highest and the lowest node of a network. A node on another chain counts too.",
        )
        .query(
            "max by (network) (haltwatch_node_height{@network}) - min by (network) (haltwatch_node_height{@network})",
            "{{network}}",
        ),
        graph("Nodes by state", 12, "Nodes of the selected networks.")
            .query("sum by (state) (max by (network, state) (haltwatch_network_nodes{@network})) > 0", "{{state}}")
            .stacked(),
    ]
}
