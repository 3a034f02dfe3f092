//! A report as metrics, in the manner of multi-target exporters: whether the probe succeeded, how long it took, and what
//! it saw. Every probe has an exposition of its own; a failed one still is an answer.

use super::{certificate_end, clock_skew_seconds};
use crate::{
    model::UnixTime,
    observation::{
        Facts,
        probe::{Reason, Report},
    },
    output::metrics::{
        Format,
        family::client_and_version,
        write::{Kind, Samples},
    },
};

/// One metric of a probe.
#[derive(Debug, Clone, Copy)]
pub struct ProbeFamily {
    /// Its name, as in a query.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    write: fn(&mut Samples<'_>, &Report),
}

macro_rules! families {
    ($($(#[doc = $help:literal])+ $kind:ident, $name:literal, [$($label:literal),*], $write:expr;)*) => {
        /// Every metric of a probe, in the order of exposition.
        pub const FAMILIES: &[ProbeFamily] = &[$(ProbeFamily {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: concat!($($help),+).trim_ascii_start(),
            write: $write,
        },)*];
    };
}

families! {
    /// Whether the target answered as a node.
    Gauge, "probe_success", [], |out, it| out.value(Some(it.is_node()));
    /// How long the probe took.
    Gauge, "probe_duration_seconds", [], |out, it| out.value(Some(it.elapsed.as_secs_f64()));
    /// How long the probe was allowed to take.
    Gauge, "probe_timeout_seconds", [], |out, it| out.value(Some(it.timeout.as_secs_f64()));
    /// Why the target is not a node that can be watched: one series per reason, at most one of them 1.
    Gauge, "haltwatch_probe_failure", ["reason"], |out, it| {
        let reason = it.failure.as_ref().map(|failure| failure.reason);
        out.words("reason", Reason::ALL.iter().map(|one| (one.as_str(), reason == Some(*one))));
    };
    /// Who the target says it is.
    Info, "haltwatch_probe_info", ["client", "version", "family", "chain_id"], info;
    /// Height of the newest block the target knows.
    Gauge, "haltwatch_probe_height", [], |out, it| out.value(facts(it).map(|facts| facts.head.height.0));
    /// Producer's timestamp of the newest block the target knows.
    Gauge, "haltwatch_probe_head_timestamp_seconds", [], |out, it| {
        out.value(facts(it).and_then(|facts| facts.head.time).map(UnixTime::seconds));
    };
    /// Height of the newest block the target calls final.
    Gauge, "haltwatch_probe_finalized_height", [], |out, it| out.value(facts(it).and_then(|facts| Some(facts.finality.height()?.0)));
    /// Height of the newest block the target calls safe.
    Gauge, "haltwatch_probe_safe_height", [], |out, it| out.value(facts(it).and_then(|facts| facts.safe).map(|it| it.0));
    /// Whether the target says that it is catching up or starting: a hint, not a verdict.
    Gauge, "haltwatch_probe_syncing", [], |out, it| out.value(facts(it).and_then(|facts| facts.syncing.is_under_way()));
    /// Peers the target is connected to.
    Gauge, "haltwatch_probe_peers", [], |out, it| out.value(facts(it).and_then(|facts| facts.peers));
    /// Transactions that wait for a block, as the target sees it.
    Gauge, "haltwatch_probe_pending_transactions", [], |out, it| out.value(facts(it).and_then(|facts| facts.pending));
    /// Clock of the target minus clock of the monitor.
    Gauge, "haltwatch_probe_clock_skew_seconds", [], |out, it| out.value(clock_skew_seconds(it).map(|(skew, _)| skew));
    /// Mean time between the latest blocks, by the timestamps of their producers.
    Gauge, "haltwatch_probe_block_interval_seconds", [], |out, it| {
        out.value(it.block_time.map(|observed| observed.mean.as_secs_f64()));
    };
    /// Name, connection and TLS together.
    Gauge, "haltwatch_probe_connect_duration_seconds", [], |out, it| {
        out.value(it.connection.map(|connection| connection.elapsed.as_secs_f64()));
    };
    /// Median time from a request to its answer, on an open connection.
    Gauge, "haltwatch_probe_request_duration_seconds", [], |out, it| {
        out.value(it.latency.map(|latency| latency.median.as_secs_f64()));
    };
    /// When the certificate of the target ends, or has ended.
    Gauge, "haltwatch_probe_tls_cert_not_after_timestamp_seconds", [], |out, it| {
        out.value(certificate_end(it).map(|(end, _)| end.seconds()));
    };
}

/// Appends the whole exposition of one probe to `out`.
pub fn exposition(report: &Report, format: Format, out: &mut Vec<u8>) {
    for family in FAMILIES {
        let mut samples = Samples::new(out, format, family.name, family.kind, family.help);
        (family.write)(&mut samples, report);
        samples.end();
    }
    if format == Format::OpenMetrics {
        out.extend_from_slice(b"# EOF\n");
    }
}

fn facts(report: &Report) -> Option<&Facts> {
    report.facts.as_deref()
}

fn info(out: &mut Samples<'_>, report: &Report) {
    let Some(facts) = report.facts.as_deref() else { return };
    let (client, version) = client_and_version(facts.version.as_deref().unwrap_or_default());
    let labels = [
        ("client", client),
        ("version", version),
        ("family", report.family.unwrap_or_default()),
        ("chain_id", facts.chain_id.as_deref().unwrap_or_default()),
    ];
    out.labelled(labels, 1_u64);
}
