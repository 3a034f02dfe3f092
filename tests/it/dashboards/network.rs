//! One network: its blocks, the votes that make the verdict, its nodes side by side.

use super::{
    grafana::{COLUMN, Column, Dashboard, INSTANCE, JOB, NETWORK, PLAIN, Panel, Row, graph, stat, table, timeline},
    shared::{MARGIN, RATIO, VOTES, age, alerts, failures, halt_ratio, quantile},
    words::{PHASES, STATES, phase, state},
};

/// The page.
pub fn page() -> Dashboard {
    Dashboard {
        uid: "haltwatch-network",
        title: "haltwatch / network",
        description: "One network: does it make blocks, who says so, and how do its nodes compare?",
        variables: vec![JOB, INSTANCE, NETWORK],
        rows: vec![
            Row { title: "Now", panels: now() },
            Row { title: "Nodes", panels: vec![nodes(), states(), lag()] },
            Row { title: "Alerts", panels: vec![alerts(7)] },
            Row { title: "Blocks", panels: blocks() },
            Row { title: "Consensus", panels: consensus() },
            Row { title: "Polls", panels: polls() },
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        stat("Phase", 4, "What the network is doing. Unknown is neither good nor bad: too little is heard.")
            .query(phase("@network"), "phase")
            .words(PHASES),
        stat("Since last block", 4, "Time since the tip last rose, by the clock of the monitor.")
            .query(age("haltwatch_network_last_progress_timestamp_seconds", "@network", "network"), "since last block")
            .unit("dtdurations"),
        stat(
            "Halt ratio",
            4,
            "That time over the threshold of the network, as far as it could be seen. At 1 blocks are missing.",
        )
        .query("max(haltwatch_network_halt_ratio{@network})", "halt ratio")
        .unit("percentunit")
        .steps(RATIO),
        stat(
            "Votes heard",
            4,
            "Nodes whose word counts now over those of the last good view. Half of them are needed for a verdict.",
        )
        .query("max(haltwatch_network_voters{@network} / haltwatch_network_voters_expected{@network})", "votes")
        .unit("percentunit")
        .steps(VOTES),
        stat(
            "Quorum margin",
            4,
            "Core weight that can still be lost. At 0 the next loss halts the network; no data without core nodes.",
        )
        .query("min(haltwatch_network_quorum_margin{@network})", "margin")
        .unit("none")
        .steps(MARGIN),
        stat("Tip", 4, "Highest height that the network provably reached.")
            .query("max(haltwatch_network_tip_height{@network})", "tip")
            .unit("none")
            .steps(PLAIN),
    ]
}

fn nodes() -> Panel {
    let by = |expr: &str| format!("max by (network, node) ({expr})");
    let latency = quantile(0.95, "haltwatch_node_poll_duration_seconds", "@network", "network, node");
    table("Nodes", 10, "One line a node. The name leads to its page.")
        .query(state("@network"), "state")
        .query(by("haltwatch_node_height{@network}"), "height")
        .query(by("haltwatch_node_lag_blocks{@network}"), "lag")
        .query(by("haltwatch_node_peers{@network}"), "peers")
        .query(latency, "latency p95")
        .query(failures("@network", "network, node"), "failed polls")
        .query(age("haltwatch_node_last_success_timestamp_seconds", "@network", "network, node"), "last answer")
        .query(by("haltwatch_node_clock_skew_seconds{@network}"), "clock skew")
        .column(Column {
            name: "node",
            link: Some(("Node", "/d/haltwatch-node?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${network:queryparam}&var-node=${__value.raw:percentencode}")),
            ..COLUMN
        })
        .column(Column { name: "state", words: STATES, ..COLUMN })
        .column(Column { name: "height", unit: "none", ..COLUMN })
        .column(Column { name: "lag", unit: "none", ..COLUMN })
        .column(Column { name: "latency p95", unit: "s", ..COLUMN })
        .column(Column { name: "failed polls", unit: "percentunit", ..COLUMN })
        .column(Column { name: "last answer", unit: "dtdurations", ..COLUMN })
        .column(Column { name: "clock skew", unit: "s", ..COLUMN })
}

fn states() -> Panel {
    timeline("States", 12, "What each node was.").query(state("@network"), "{{node}}").words(STATES)
}

fn lag() -> Panel {
    graph("Lag", 12, "Blocks each node is behind the tip.")
        .query("max by (node) (haltwatch_node_lag_blocks{@network})", "{{node}}")
}

fn blocks() -> Vec<Panel> {
    let interval = "haltwatch_network_block_interval_seconds";
    vec![
        graph("Heights", 8, "The tip, and what the voters call final.")
            .query("max(haltwatch_network_tip_height{@network})", "tip")
            .query("max(haltwatch_network_finalized_height{@network})", "final")
            .unit("none"),
        graph("Finality lag", 8, "Time from the newest final block to the block at the tip.")
            .query("max(haltwatch_network_finality_lag_seconds{@network})", "lag")
            .unit("s"),
        halt_ratio(8),
        graph("Since last block", 12, "Time since the tip last rose, and the time at which blocks count as missing.")
            .query(age("haltwatch_network_last_progress_timestamp_seconds", "@network", "network"), "since last block")
            .query("max(haltwatch_network_halt_threshold_seconds{@network})", "halts after")
            .unit("s"),
        graph("Time between blocks", 12, "As it was, and as it is expected.")
            .query(quantile(0.5, interval, "@network", ""), "median")
            .query(quantile(0.95, interval, "@network", ""), "p95")
            .query("max(haltwatch_network_expected_block_interval_seconds{@network})", "expected")
            .unit("s"),
        graph("Votes", 12, "Nodes whose word counts, and those of the last good view.")
            .query("max(haltwatch_network_voters{@network})", "voters")
            .query("max(haltwatch_network_voters_expected{@network})", "expected"),
        graph("Alerts that began", 12, "Alerts about the network and its nodes that began to fire, by level.")
            .query(
                "sum by (level) (increase(haltwatch_network_incidents_total{@network}[$__rate_interval]))",
                "{{level}}",
            )
            .stacked(),
    ]
}

fn consensus() -> Vec<Panel> {
    vec![
        graph(
            "Core weight that can be lost",
            12,
            "What is left of it, and what it is when nothing is lost. At 0 the next loss halts the network.",
        )
        .query("min(haltwatch_network_quorum_margin{@network})", "left")
        .query("max(haltwatch_network_quorum_tolerated{@network})", "in all")
        .limit(MARGIN),
        graph("Participation", 12, "Share of the weight that takes part in consensus, as the middle voter tells it.")
            .query("min(haltwatch_network_participation_ratio{@network})", "takes part")
            .unit("percentunit"),
        graph(
            "Consensus round",
            12,
            "Round or view of the height in progress, as the middle voter tells it; 0 is the first.",
        )
        .query("max(haltwatch_network_consensus_round{@network})", "round"),
        graph("Reorganisations", 12, "Branches that nodes left: another hash at a height they had told before.")
            .query("sum by (node) (increase(haltwatch_node_reorgs_total{@network}[$__rate_interval]))", "{{node}}")
            .stacked(),
    ]
}

fn polls() -> Vec<Panel> {
    let latency = quantile(0.95, "haltwatch_node_poll_duration_seconds", "@network", "node");
    vec![
        graph("Latency p95", 8, "Time of polls, failed ones included.").query(latency, "{{node}}").unit("s"),
        graph("Failed polls", 8, "Share of the polls of each node that failed.")
            .query(failures("@network", "node"), "{{node}}")
            .unit("percentunit"),
        graph("Peers", 8, "Peers each node is connected to.")
            .query("max by (node) (haltwatch_node_peers{@network})", "{{node}}"),
    ]
}
