//! The metrics of one peer, there from the start at zero.

use prometheus::{Gauge, Histogram, IntCounter, IntGauge};

use super::note::Backlog;
use crate::{model::UnixTime, output::own::OwnMetrics};

/// Handles to the series of one peer.
#[derive(Debug)]
pub struct Numbers {
    /// Requests made with alerts in them.
    pub attempts: IntCounter,
    /// Alerts accepted.
    pub sent: IntCounter,
    /// Requests that failed or were refused.
    pub errors: IntCounter,
    /// Alerts given up.
    pub dropped: IntCounter,
    /// Time a request took.
    pub latency: Histogram,
    queue_length: IntGauge,
    oldest_unacked: Gauge,
    clock_skew: Gauge,
}

impl Numbers {
    /// The series of the peer that is shown as `name`, which can track `capacity` alerts.
    #[must_use]
    pub fn new(own: &OwnMetrics, name: &str, capacity: usize) -> Self {
        let label = &[name];
        own.deliveries.queue_capacity.with_label_values(label).set(whole(capacity));
        Self {
            attempts: own.notifications_attempts.with_label_values(label),
            sent: own.notifications_sent.with_label_values(label),
            errors: own.notifications_errors.with_label_values(label),
            dropped: own.notifications_dropped.with_label_values(label),
            latency: own.deliveries.latency.with_label_values(label),
            queue_length: own.deliveries.queue_length.with_label_values(label),
            oldest_unacked: own.deliveries.oldest_unacked.with_label_values(label),
            clock_skew: own.deliveries.clock_skew.with_label_values(label),
        }
    }

    /// Takes the series of the peer `name` away. Handles that are still held show nothing from then on. What was never
    /// there need not be taken away, so failures mean nothing.
    pub fn forget(own: &OwnMetrics, name: &str) {
        let label = &[name];
        let counters = [
            &own.notifications_attempts,
            &own.notifications_sent,
            &own.notifications_errors,
            &own.notifications_dropped,
        ];
        for counter in counters {
            let _ = counter.remove_label_values(label);
        }
        let _ = own.deliveries.queue_length.remove_label_values(label);
        let _ = own.deliveries.queue_capacity.remove_label_values(label);
        let _ = own.deliveries.latency.remove_label_values(label);
        let _ = own.deliveries.oldest_unacked.remove_label_values(label);
        let _ = own.deliveries.clock_skew.remove_label_values(label);
    }

    /// Shows what waits for the peer; zero stands for nothing.
    pub fn show(&self, backlog: Backlog) {
        self.queue_length.set(whole(backlog.waiting));
        self.oldest_unacked.set(backlog.oldest.map_or(0.0, UnixTime::seconds));
    }

    /// Shows by how much the peer's clock is ahead.
    #[expect(clippy::cast_precision_loss, reason = "a skew of more than 2^53 milliseconds needs no precision")]
    pub fn show_skew(&self, skew_ms: i64) {
        self.clock_skew.set(skew_ms as f64 / 1000.0);
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
