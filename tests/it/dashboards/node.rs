//! One node: where it stands, how it answers, what it says of itself.

use super::{
    grafana::{
        COLUMN, Column, Dashboard, INSTANCE, JOB, NETWORK, NODE, NONE_IS_GOOD, Panel, Row, graph, stat, table, timeline,
    },
    shared::{age, alerts, failures, quantile},
    words::{BAD_IF_NO, STATES, state},
};

/// The page.
pub fn page() -> Dashboard {
    Dashboard {
        uid: "haltwatch-node",
        title: "haltwatch / node",
        description: "One node: does it follow its network, how does it answer, what does it run?",
        variables: vec![JOB, INSTANCE, NETWORK, NODE],
        rows: vec![
            Row { title: "Now", panels: now() },
            Row { title: "Alerts", panels: vec![alerts(6)] },
            Row { title: "Chain", panels: chain() },
            Row { title: "Polls", panels: polls() },
            Row { title: "Itself", panels: itself() },
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        stat("State", 4, "What the node is, compared with its network.").query(state("@node"), "state").words(STATES),
        stat("Last poll good", 4, "Whether the last poll was answered well.")
            .query("max(haltwatch_node_up{@node})", "up")
            .words(BAD_IF_NO),
        stat("Behind the tip", 4, "Blocks behind the tip of the network; no data while the node is silent.")
            .query("max(haltwatch_node_lag_blocks{@node})", "lag"),
        stat("Peers", 4, "Peers it is connected to, if it tells.").query("max(haltwatch_node_peers{@node})", "peers"),
        stat("Last answer", 4, "Time since its last good answer.")
            .query(age("haltwatch_node_last_success_timestamp_seconds", "@node", "node"), "last answer")
            .unit("dtdurations"),
        stat("Failed polls", 4, "Share of its recent polls that failed.")
            .query(failures("@node", ""), "failed")
            .unit("percentunit"),
    ]
}

fn chain() -> Vec<Panel> {
    vec![
        timeline("State", 12, "What it was.").query(state("@node"), "{{node}}").words(STATES),
        graph("Heights", 12, "What it knows, what it calls final, and the tip of its network.")
            .query("max(haltwatch_node_height{@node})", "height")
            .query("max(haltwatch_node_finalized_height{@node})", "final")
            .query("max(haltwatch_network_tip_height{@network})", "tip")
            .unit("none"),
        graph("Lag", 12, "Blocks behind the tip.").query("max(haltwatch_node_lag_blocks{@node})", "lag"),
        graph("Age of the head", 12, "Time since the producer's timestamp of its newest block.")
            .query(age("haltwatch_node_head_timestamp_seconds", "@node", "node"), "age")
            .unit("s"),
    ]
}

fn polls() -> Vec<Panel> {
    let latency = |share| quantile(share, "haltwatch_node_poll_duration_seconds", "@node", "");
    vec![
        graph("Latency", 12, "Time of its polls, failed ones included.")
            .query(latency(0.5), "median")
            .query(latency(0.95), "p95")
            .query(latency(0.99), "p99")
            .unit("s"),
        graph("Polls by outcome", 12, "Polls a second: good ones, and the kinds of failure.")
            .query("sum by (outcome) (rate(haltwatch_node_polls_total{@node}[$__rate_interval])) > 0", "{{outcome}}")
            .unit("ops")
            .stacked(),
        graph("Age of the last poll", 12, "Time since the last poll ended: it grows when haltwatch does not poll.")
            .query(age("haltwatch_node_last_poll_timestamp_seconds", "@node", "node"), "last poll")
            .query(age("haltwatch_node_last_success_timestamp_seconds", "@node", "node"), "last good one")
            .unit("s"),
        graph("Clock skew", 12, "Its clock minus the clock of the monitor.")
            .query("max(haltwatch_node_clock_skew_seconds{@node})", "skew")
            .unit("s"),
    ]
}

fn itself() -> Vec<Panel> {
    vec![
        graph("Peers", 8, "Peers it is connected to.").query("max(haltwatch_node_peers{@node})", "peers"),
        graph("Waiting transactions", 8, "Transactions that wait for a block, as it sees them.")
            .query("max(haltwatch_node_pending_transactions{@node})", "waiting"),
        graph("Consensus round", 8, "Round or view of the height in progress, where the node tells; 0 is the first.")
            .query("max(haltwatch_node_consensus_round{@node})", "round"),
        graph("Participation", 8, "Share of the weight that takes part in consensus, where the node tells.")
            .query("max(haltwatch_node_participation_ratio{@node})", "takes part")
            .unit("percentunit"),
        graph("Reorganisations", 8, "Branches it left: another hash at a height it had told before.")
            .query("sum(increase(haltwatch_node_reorgs_total{@node}[$__rate_interval]))", "reorgs")
            .limit(NONE_IS_GOOD),
        graph("Says it is syncing", 8, "What it says of itself: a hint, not a verdict.")
            .query("max(haltwatch_node_syncing{@node})", "syncing")
            .unit("bool_yes_no"),
        table("What it is", 5, "As configured, and as it says of its client and version while it answers.")
            .query("max by (network, node, family, role, core, client, version) (haltwatch_node_info{@node})", "")
            .column(Column { name: "core", texts: &[("true", "blue"), ("false", "text")], ..COLUMN }),
    ]
}
