//! The metrics haltwatch keeps about itself: counters and histograms of the daemon, declared once, here. What the
//! engine knows about nodes and networks comes from the snapshot instead.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::model::UnixTime;

const RECORD_DROPPED: &str = "Observations that are missing in the recording: the disk is full or too slow.";

/// Metrics of the daemon itself. Cheap to clone; every clone counts into the same numbers.
#[derive(Debug, Clone)]
pub struct OwnMetrics {
    /// Where all of them are registered.
    pub registry: Registry,
    /// Time one engine step took.
    pub step_duration: Histogram,
    /// From the instant a verdict became due to the step that gave it.
    pub detection_delay: Histogram,
    /// Log lines by level.
    pub log_messages: IntCounterVec,
    /// Observations in the queue to the engine, and its capacity.
    pub queue_length: IntGaugeVec,
    /// Capacity of each queue.
    pub queue_capacity: IntGaugeVec,
    /// Alerts accepted by each Alertmanager.
    pub notifications_sent: IntCounterVec,
    /// Attempts to push alerts to each Alertmanager.
    pub notifications_attempts: IntCounterVec,
    /// Attempts that failed.
    pub notifications_errors: IntCounterVec,
    /// Alerts given up: pushed out of a full queue or refused for good.
    pub notifications_dropped: IntCounterVec,
    /// What waits for each Alertmanager and how it answers.
    pub deliveries: DeliveryMetrics,
    /// Whether the last reload of the configuration succeeded.
    pub config_last_reload_successful: IntGauge,
    /// When it last succeeded.
    pub config_last_reload_success_timestamp: Gauge,
    /// A number that tells one configuration from another.
    pub config_hash: IntGauge,
    /// What the HTTP server meets before any request.
    pub web: WebMetrics,
    /// Panics of tasks.
    pub task_panics: IntCounter,
    /// HTTP requests served, by handler and status code.
    pub http_requests: IntCounterVec,
    /// What the sources of nodes list.
    pub discovery: DiscoveryMetrics,
    /// Observations that were not recorded.
    pub record_dropped: IntCounter,
}

impl OwnMetrics {
    /// Registers every metric.
    ///
    /// # Panics
    /// Never: the names are constant, valid and distinct, which a test proves.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let counter_vec = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge_vec = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counter = |name: &str, help: &str| register(&registry, IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help));
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            register(&registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
        };
        Self {
            step_duration: histogram(
                "haltwatch_step_duration_seconds",
                "Time one step of the rule engine took.",
                &[0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0],
            ),
            detection_delay: histogram(
                "haltwatch_detection_delay_seconds",
                "From the instant an alert became due to the step that announced it.",
                &[0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 15.0],
            ),
            log_messages: counter_vec("haltwatch_log_messages_total", "Log lines written, by level.", &["level"]),
            queue_length: gauge_vec("haltwatch_queue_length", "Entries waiting in a queue.", &["queue"]),
            queue_capacity: gauge_vec("haltwatch_queue_capacity", "Entries a queue can hold.", &["queue"]),
            notifications_sent: counter_vec(
                "haltwatch_notifications_sent_total",
                "Alerts accepted by an Alertmanager, re-sent ones included.",
                &["alertmanager"],
            ),
            notifications_attempts: counter_vec(
                "haltwatch_notifications_attempts_total",
                "Requests made to an Alertmanager.",
                &["alertmanager"],
            ),
            notifications_errors: counter_vec(
                "haltwatch_notifications_errors_total",
                "Requests to an Alertmanager that failed or were refused.",
                &["alertmanager"],
            ),
            notifications_dropped: counter_vec(
                "haltwatch_notifications_dropped_total",
                "Alerts given up for an Alertmanager: pushed out of its full queue or refused for good.",
                &["alertmanager"],
            ),
            deliveries: DeliveryMetrics::new(&registry),
            config_last_reload_successful: gauge(
                "haltwatch_config_last_reload_successful",
                "Whether the last attempt to load the configuration succeeded.",
            ),
            config_last_reload_success_timestamp: register(
                &registry,
                Gauge::new(
                    "haltwatch_config_last_reload_success_timestamp_seconds",
                    "When the configuration was last loaded with success.",
                ),
            ),
            config_hash: gauge("haltwatch_config_hash", "Hash of the configuration file that is in force."),
            web: WebMetrics::new(&registry),
            task_panics: counter("haltwatch_task_panics_total", "Tasks that panicked and were started again."),
            http_requests: counter_vec(
                "haltwatch_http_requests_total",
                "HTTP requests answered, by handler and status code.",
                &["handler", "code"],
            ),
            discovery: DiscoveryMetrics::new(&registry),
            record_dropped: counter("haltwatch_record_dropped_total", RECORD_DROPPED),
            registry,
        }
    }
}

impl Default for OwnMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What waits for each Alertmanager and how it answers, by `alertmanager`.
#[derive(Debug, Clone)]
pub struct DeliveryMetrics {
    /// Alerts each Alertmanager has not accepted in their newest state.
    pub queue_length: IntGaugeVec,
    /// Alerts that can be tracked for each Alertmanager.
    pub queue_capacity: IntGaugeVec,
    /// Time a request to each Alertmanager took, failed ones included.
    pub latency: HistogramVec,
    /// Since when the oldest unaccepted alert waits; 0 if none does.
    pub oldest_unacked: GaugeVec,
    /// By how much each Alertmanager's clock is ahead of ours.
    pub clock_skew: GaugeVec,
}

impl DeliveryMetrics {
    fn new(registry: &Registry) -> Self {
        const LABEL: &[&str] = &["alertmanager"];
        let whole_gauge_vec =
            |name: &str, help: &str| register(registry, IntGaugeVec::new(Opts::new(name, help), LABEL));
        let float_gauge_vec = |name: &str, help: &str| register(registry, GaugeVec::new(Opts::new(name, help), LABEL));
        Self {
            queue_length: whole_gauge_vec(
                "haltwatch_notifications_queue_length",
                "Alerts whose newest state an Alertmanager has not accepted yet.",
            ),
            queue_capacity: whole_gauge_vec(
                "haltwatch_notifications_queue_capacity",
                "Alerts that can be tracked for an Alertmanager.",
            ),
            latency: register(
                registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "haltwatch_notifications_latency_seconds",
                        "Time a request with alerts to an Alertmanager took, failed ones included.",
                    )
                    .buckets(vec![0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 10.0]),
                    LABEL,
                ),
            ),
            oldest_unacked: float_gauge_vec(
                "haltwatch_notifications_oldest_unacked_timestamp_seconds",
                "Since when the oldest alert that an Alertmanager has not accepted waits; 0 if none does.",
            ),
            clock_skew: float_gauge_vec(
                "haltwatch_alertmanager_clock_skew_seconds",
                "By how much the clock of an Alertmanager is ahead of ours, to the second.",
            ),
        }
    }
}

/// What each source of nodes lists and whether it can be read, by `discovery`.
#[derive(Debug, Clone)]
pub struct DiscoveryMetrics {
    /// Targets in force.
    pub targets: IntGaugeVec,
    /// Those of them that are left out.
    pub rejected_targets: IntGaugeVec,
    /// Whether the last reading succeeded.
    pub last_refresh_successful: IntGaugeVec,
    /// When a reading last succeeded.
    pub last_refresh_success_timestamp: GaugeVec,
    /// Readings that failed.
    pub refresh_failures: IntCounterVec,
}

impl DiscoveryMetrics {
    fn new(registry: &Registry) -> Self {
        const LABEL: &[&str] = &["discovery"];
        let gauge_vec = |name: &str, help: &str| register(registry, IntGaugeVec::new(Opts::new(name, help), LABEL));
        Self {
            targets: gauge_vec(
                "haltwatch_discovery_targets",
                "Targets that a source of nodes lists, or has listed last if it cannot be read.",
            ),
            rejected_targets: gauge_vec(
                "haltwatch_discovery_rejected_targets",
                "Targets of a source that are left out because they cannot be nodes; the log says why.",
            ),
            last_refresh_successful: gauge_vec(
                "haltwatch_discovery_last_refresh_successful",
                "Whether the last reading of a source of nodes succeeded.",
            ),
            last_refresh_success_timestamp: register(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "haltwatch_discovery_last_refresh_success_timestamp_seconds",
                        "When a source of nodes was last read with success; 0 if never.",
                    ),
                    LABEL,
                ),
            ),
            refresh_failures: register(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "haltwatch_discovery_refresh_failures_total",
                        "Readings of a source of nodes that failed; its last good list stays in force.",
                    ),
                    LABEL,
                ),
            ),
        }
    }

    /// Every series of the source called `name`, from the start.
    pub fn begin(&self, name: &str) {
        for gauge in [&self.targets, &self.rejected_targets, &self.last_refresh_successful] {
            gauge.with_label_values(&[name]);
        }
        self.last_refresh_success_timestamp.with_label_values(&[name]);
        self.refresh_failures.with_label_values(&[name]);
    }

    /// No series of a source that is gone.
    pub fn end(&self, name: &str) {
        for gauge in [&self.targets, &self.rejected_targets, &self.last_refresh_successful] {
            // What is not there need not go.
            let _ = gauge.remove_label_values(&[name]);
        }
        let _ = self.last_refresh_success_timestamp.remove_label_values(&[name]);
        let _ = self.refresh_failures.remove_label_values(&[name]);
    }

    /// Tells what a source lists.
    pub fn lists(&self, name: &str, targets: usize, rejected: usize) {
        self.targets.with_label_values(&[name]).set(gauge_value(targets));
        self.rejected_targets.with_label_values(&[name]).set(gauge_value(rejected));
    }

    /// Tells how a reading ended, at wall time `now`.
    pub fn refreshed(&self, name: &str, successful: bool, now: UnixTime) {
        self.last_refresh_successful.with_label_values(&[name]).set(i64::from(successful));
        if successful {
            self.last_refresh_success_timestamp.with_label_values(&[name]).set(now.seconds());
        } else {
            self.refresh_failures.with_label_values(&[name]).inc();
        }
    }
}

/// What the HTTP server meets before any request.
#[derive(Debug, Clone)]
pub struct WebMetrics {
    /// Whether the web configuration file, if there is one, could be read when it last changed.
    pub config_last_reload_successful: IntGauge,
    /// TLS handshakes that failed.
    pub tls_handshake_failures: IntCounter,
    /// Connections that could not be accepted.
    pub accept_errors: IntCounter,
}

impl WebMetrics {
    fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help));
        let config_last_reload_successful = register(
            registry,
            IntGauge::new(
                "haltwatch_web_config_last_reload_successful",
                "Whether the web configuration file was good when it was last read; 1 without such a file.",
            ),
        );
        config_last_reload_successful.set(1);
        Self {
            config_last_reload_successful,
            tls_handshake_failures: counter(
                "haltwatch_http_tls_handshake_failures_total",
                "TLS handshakes of clients that failed or took too long.",
            ),
            accept_errors: counter(
                "haltwatch_http_accept_errors_total",
                "Connections that could not be accepted, such as for lack of file descriptors.",
            ),
        }
    }
}

fn register<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<M>) -> M {
    let metric = made.expect("the names and labels are constant and valid");
    registry.register(Box::new(metric.clone())).expect("every name is registered once");
    metric
}

/// A bounded queue between two parts of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// From the pollers to the decision loop.
    Observations,
    /// From the decision loop to the notifier.
    Notifications,
}

impl Queue {
    /// The value of the label `queue`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observations => "observations",
            Self::Notifications => "notifications",
        }
    }
}

impl OwnMetrics {
    /// Tells how much `queue` can hold.
    pub fn queue_bound(&self, queue: Queue, capacity: usize) {
        self.queue_capacity.with_label_values(&[queue.as_str()]).set(gauge_value(capacity));
        self.queue_holds(queue, 0);
    }

    /// Tells how much `queue` holds now.
    pub fn queue_holds(&self, queue: Queue, length: usize) {
        self.queue_length.with_label_values(&[queue.as_str()]).set(gauge_value(length));
    }

    /// Tells how the last attempt to load the configuration ended, at wall time `now`: with the hash of what is in force
    /// now if it succeeded.
    pub fn config_loaded(&self, hash: Option<i64>, now: UnixTime) {
        self.config_last_reload_successful.set(i64::from(hash.is_some()));
        if let Some(hash) = hash {
            self.config_hash.set(hash);
            self.config_last_reload_success_timestamp.set(now.seconds());
        }
    }
}

fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
