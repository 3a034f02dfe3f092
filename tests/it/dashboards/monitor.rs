//! haltwatch itself: does it see, decide in time, and is it heard?

use super::{
    grafana::{COLUMN, Column, Dashboard, INSTANCE, JOB, NONE_IS_GOOD, Panel, Row, graph, stat, table},
    shared::quantile,
    words::{BAD_IF_NO, BAD_IF_YES},
};

/// The page.
pub fn page() -> Dashboard {
    Dashboard {
        uid: "haltwatch-self",
        title: "haltwatch / itself",
        description: "The monitor: does it see, does it decide in time, is it heard?",
        variables: vec![JOB, INSTANCE],
        rows: vec![
            Row { title: "Now", panels: now() },
            Row { title: "Seeing and deciding", panels: deciding() },
            Row { title: "Being heard", panels: heard() },
            Row { title: "Serving and configuration", panels: serving() },
            Row { title: "Process", panels: process() },
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        stat("Scraped", 4, "Whether every selected haltwatch answers Prometheus.")
            .query("min(up{@self})", "scraped")
            .words(BAD_IF_NO),
        stat("Cut off", 4, "Whether canaries and nodes are silent together.")
            .query("max(haltwatch_monitor_isolated{@self})", "cut off")
            .words(BAD_IF_YES),
        stat("Last decision", 4, "Time since the last step of the rule engine. It makes one a second when nothing happens.")
            .query("max(time() - haltwatch_last_step_timestamp_seconds{@self})", "last step")
            .unit("s"),
        stat("Oldest unheard alert", 4, "How long the oldest alert waits that an Alertmanager has not accepted; 0 if none does.")
            .query(
                "max(time() - (haltwatch_notifications_oldest_unacked_timestamp_seconds{@self} > 0)) or 0 * count(haltwatch_build_info{@self})",
                "waits",
            )
            .unit("s")
            .steps(&[(None, "green"), (Some(1.0), "orange")]),
        stat("Last reload good", 4, "Whether configuration and web configuration were good when last read; if not, the old one is in force.")
            .query(
                "min(haltwatch_config_last_reload_successful{@self} * on (job, instance) haltwatch_web_config_last_reload_successful{@self})",
                "good",
            )
            .words(BAD_IF_NO),
        stat("Running for", 4, "Time since the youngest of the selected processes started.")
            .query("time() - max(process_start_time_seconds{@self})", "running")
            .unit("dtdurations"),
    ]
}

fn deciding() -> Vec<Panel> {
    vec![
        graph("Detection delay", 12, "From the instant an alert became due to the step that announced it.")
            .query(quantile(0.5, "haltwatch_detection_delay_seconds", "@self", ""), "median")
            .query(quantile(0.99, "haltwatch_detection_delay_seconds", "@self", ""), "p99")
            .unit("s"),
        graph("Step time", 12, "Time one step of the rule engine took.")
            .query(quantile(0.5, "haltwatch_step_duration_seconds", "@self", ""), "median")
            .query(quantile(0.99, "haltwatch_step_duration_seconds", "@self", ""), "p99")
            .unit("s"),
        graph("Queues", 12, "How full the queues between the parts are. A full one makes what feeds it wait.")
            .query("max by (queue) (haltwatch_queue_length{@self} / haltwatch_queue_capacity{@self})", "{{queue}}")
            .unit("percentunit"),
        graph("Canaries", 12, "Whether each answered its last probe.")
            .query("min by (canary) (haltwatch_canary_up{@self})", "{{canary}}")
            .unit("bool_yes_no"),
        graph("Polls", 12, "Polls of all nodes a second, good ones and failed ones.")
            .query(r#"sum(rate(haltwatch_node_polls_total{@self,outcome="success"}[$__rate_interval]))"#, "good")
            .query(r#"sum(rate(haltwatch_node_polls_total{@self,outcome!="success"}[$__rate_interval]))"#, "failed")
            .unit("ops")
            .stacked(),
        graph("Log lines", 12, "Lines a second that warn or tell an error.")
            .query(
                r#"sum by (level) (rate(haltwatch_log_messages_total{@self,level=~"warn|error"}[$__rate_interval]))"#,
                "{{level}}",
            )
            .unit("ops"),
    ]
}

fn heard() -> Vec<Panel> {
    let rate = |what: &str| {
        format!("sum by (alertmanager) (rate(haltwatch_notifications_{what}_total{{@self}}[$__rate_interval]))")
    };
    vec![
        graph("Alerts accepted", 8, "Alerts each Alertmanager accepted a second, re-sent ones included.")
            .query(rate("sent"), "{{alertmanager}}")
            .unit("ops"),
        graph("Failed requests", 8, "Share of the requests to each Alertmanager that failed or were refused.")
            .query(format!("{} / {}", rate("errors"), rate("attempts")), "{{alertmanager}}")
            .unit("percentunit"),
        graph("Alerts given up", 8, "Alerts pushed out of a full queue or refused for good.")
            .query(
                "sum by (alertmanager) (increase(haltwatch_notifications_dropped_total{@self}[$__rate_interval]))",
                "{{alertmanager}}",
            )
            .limit(NONE_IS_GOOD),
        graph("Alerts waiting", 8, "Share of the room for alerts that waits for each Alertmanager.")
            .query(
                "max by (alertmanager) (haltwatch_notifications_queue_length{@self} / haltwatch_notifications_queue_capacity{@self})",
                "{{alertmanager}}",
            )
            .unit("percentunit"),
        graph("Latency p99", 8, "Time a request with alerts took, failed ones included.")
            .query(quantile(0.99, "haltwatch_notifications_latency_seconds", "@self", "alertmanager"), "{{alertmanager}}")
            .unit("s"),
        graph("Clock skew", 8, "By how much the clock of each Alertmanager is ahead of ours.")
            .query("max by (alertmanager) (haltwatch_alertmanager_clock_skew_seconds{@self})", "{{alertmanager}}")
            .unit("s"),
    ]
}

fn serving() -> Vec<Panel> {
    vec![
        graph("Requests", 12, "HTTP requests a second, scrapes included.")
            .query("sum by (handler) (rate(haltwatch_http_requests_total{@self}[$__rate_interval]))", "{{handler}}")
            .unit("reqps")
            .stacked(),
        graph("Requests answered with an error", 12, "HTTP requests a second, by handler and status.")
            .query(
                r#"sum by (handler, code) (rate(haltwatch_http_requests_total{@self,code=~"4..|5.."}[$__rate_interval]))"#,
                "{{handler}} {{code}}",
            )
            .unit("reqps"),
        graph("Clients that did not get in", 12, "Failed TLS handshakes, and connections that could not be accepted, a second.")
            .query("sum by (instance) (rate(haltwatch_http_tls_handshake_failures_total{@self}[$__rate_interval]))", "TLS, {{instance}}")
            .query("sum by (instance) (rate(haltwatch_http_accept_errors_total{@self}[$__rate_interval]))", "accept, {{instance}}")
            .unit("ops"),
        graph("Nodes that lists name", 12, "Targets of each source of discovery, those left out because they cannot be nodes, and whether it cannot be read.")
            .query("max by (discovery) (haltwatch_discovery_targets{@self})", "{{discovery}}")
            .query("max by (discovery) (haltwatch_discovery_rejected_targets{@self})", "{{discovery}}, left out")
            .query("max by (discovery) (1 - haltwatch_discovery_last_refresh_successful{@self})", "{{discovery}}, cannot be read"),
        table("What runs", 6, "Version, platform, and when the configuration was last loaded.")
            .query("max by (job, instance, version, revision, rustc, target) (haltwatch_build_info{@self})", "")
            .query("max by (job, instance) (haltwatch_config_last_reload_success_timestamp_seconds{@self}) * 1000", "configuration of")
            .query("max by (job, instance) (haltwatch_config_hash{@self})", "hash")
            .column(Column { name: "hash", unit: "none", ..COLUMN })
            .column(Column { name: "configuration of", unit: "dateTimeAsIso", ..COLUMN }),
    ]
}

fn process() -> Vec<Panel> {
    vec![
        graph("CPU", 6, "Processors used.")
            .query("sum by (instance) (rate(process_cpu_seconds_total{@self}[$__rate_interval]))", "{{instance}}"),
        graph("Memory", 6, "Resident memory.")
            .query("max by (instance) (process_resident_memory_bytes{@self})", "{{instance}}")
            .unit("bytes"),
        graph("File descriptors", 6, "Share of the allowed ones that are open.")
            .query("max by (instance) (process_open_fds{@self} / process_max_fds{@self})", "{{instance}}")
            .unit("percentunit"),
        graph("Panics", 6, "Tasks that panicked and were started again. Each is a bug.")
            .query("sum by (instance) (increase(haltwatch_task_panics_total{@self}[$__rate_interval]))", "{{instance}}")
            .limit(NONE_IS_GOOD),
    ]
}
