//! A report as JSON: the shape is stable, what is not known is `null`, times are RFC 3339, durations seconds.

use serde::Serialize;

use super::{Thresholds, certificate_end, chain_name, clock_skew_seconds, config, head_age_seconds};
use crate::observation::{
    Facts, Syncing,
    probe::{ProbeError, Report},
};

/// What a report says, ready to be serialized.
#[derive(Debug, Serialize)]
pub struct Told {
    endpoint: String,
    success: bool,
    begun: String,
    duration_seconds: f64,
    timeout_seconds: f64,
    failure: Option<FailureTold>,
    family: Option<&'static str>,
    identity: Option<IdentityTold>,
    state: Option<StateTold>,
    latency: Option<LatencyTold>,
    tls: Option<TlsTold>,
    capabilities: CapabilitiesTold,
    untold: Vec<String>,
    block_time: Option<BlockTimeTold>,
    thresholds: Option<ThresholdsTold>,
    config: Option<String>,
}

#[derive(Debug, Serialize)]
struct FailureTold {
    reason: &'static str,
    detail: String,
    meaning: &'static str,
    advice: &'static str,
}

#[derive(Debug, Serialize)]
struct IdentityTold {
    variant: Option<&'static str>,
    groups: Vec<String>,
    on_demand: bool,
    chain_id: Option<String>,
    chain_name: Option<&'static str>,
    genesis: Option<String>,
    client_version: Option<String>,
}

#[derive(Debug, Serialize)]
struct StateTold {
    height: u64,
    head_hash: Option<String>,
    head_time: Option<String>,
    head_age_seconds: Option<f64>,
    finalized_height: Option<u64>,
    safe_height: Option<u64>,
    syncing: Option<bool>,
    syncing_behind_blocks: Option<u64>,
    peers: Option<u64>,
    pending_transactions: Option<u64>,
    clock_skew_seconds: Option<f64>,
    clock_skew_doubt_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct LatencyTold {
    first_seconds: f64,
    best_seconds: f64,
    median_seconds: f64,
}

#[derive(Debug, Serialize)]
struct TlsTold {
    version: Option<&'static str>,
    certificate_not_after: Option<String>,
    certificate_days_left: Option<i64>,
}

#[derive(Debug, Serialize)]
struct CapabilitiesTold {
    batch: Option<bool>,
    new_heads: Option<bool>,
    methods: Vec<MethodTold>,
}

#[derive(Debug, Serialize)]
struct MethodTold {
    method: String,
    access: &'static str,
}

#[derive(Debug, Serialize)]
struct BlockTimeTold {
    mean_seconds: f64,
    blocks: u64,
}

#[derive(Debug, Serialize)]
struct ThresholdsTold {
    halt_after_seconds: f64,
    lag_after_seconds: f64,
    offline_after_seconds: f64,
}

impl Told {
    /// What `report` says, with the thresholds that follow where there are any.
    #[must_use]
    pub fn of(report: &Report, thresholds: Option<&Thresholds>) -> Self {
        let facts = report.facts.as_deref();
        Self {
            endpoint: report.endpoint.clone(),
            success: report.is_node(),
            begun: report.begun.to_string(),
            duration_seconds: report.elapsed.as_secs_f64(),
            timeout_seconds: report.timeout.as_secs_f64(),
            failure: report.failure.as_ref().map(failure),
            family: report.family,
            identity: facts.map(|facts| identity(report, facts)),
            state: facts.map(|facts| state(report, facts)),
            latency: report.latency.map(|latency| LatencyTold {
                first_seconds: latency.first.as_secs_f64(),
                best_seconds: latency.best.as_secs_f64(),
                median_seconds: latency.median.as_secs_f64(),
            }),
            tls: tls(report),
            capabilities: capabilities(report),
            untold: report.untold.clone(),
            block_time: report
                .block_time
                .map(|observed| BlockTimeTold { mean_seconds: observed.mean.as_secs_f64(), blocks: observed.blocks }),
            thresholds: thresholds.map(|thresholds| ThresholdsTold {
                halt_after_seconds: thresholds.halt_after.as_secs_f64(),
                lag_after_seconds: thresholds.lag_after.as_secs_f64(),
                offline_after_seconds: thresholds.offline_after.as_secs_f64(),
            }),
            config: config(report),
        }
    }
}

fn failure(error: &ProbeError) -> FailureTold {
    FailureTold {
        reason: error.reason.as_str(),
        detail: error.detail.to_string(),
        meaning: error.reason.says(),
        advice: error.reason.advice(),
    }
}

fn identity(report: &Report, facts: &Facts) -> IdentityTold {
    let name = facts.chain_id.as_deref().and_then(|id| chain_name(report.family.unwrap_or_default(), id));
    IdentityTold {
        variant: report.kind.variant,
        groups: report.kind.groups.iter().map(ToString::to_string).collect(),
        on_demand: report.kind.on_demand,
        chain_id: facts.chain_id.as_deref().map(str::to_owned),
        chain_name: name,
        genesis: facts.genesis.map(|hash| hash.to_string()),
        client_version: facts.version.as_deref().map(str::to_owned),
    }
}

fn state(report: &Report, facts: &Facts) -> StateTold {
    let head = facts.head;
    let (syncing, behind) = match facts.syncing {
        Syncing::Unknown => (None, None),
        Syncing::No => (Some(false), None),
        Syncing::Starting => (Some(true), None),
        Syncing::Yes { behind } => (Some(true), behind),
    };
    let skew = clock_skew_seconds(report);
    StateTold {
        height: head.height.0,
        head_hash: head.hash.map(|hash| hash.to_string()),
        head_time: head.time.map(|time| time.to_string()),
        head_age_seconds: head_age_seconds(report),
        finalized_height: facts.finality.height().map(|height| height.0),
        safe_height: facts.safe.map(|height| height.0),
        syncing,
        syncing_behind_blocks: behind,
        peers: facts.peers,
        pending_transactions: facts.pending,
        clock_skew_seconds: skew.map(|(skew, _)| skew),
        clock_skew_doubt_seconds: skew.map(|(_, doubt)| doubt),
    }
}

fn tls(report: &Report) -> Option<TlsTold> {
    let end = certificate_end(report);
    let session = report.connection.and_then(|connection| connection.tls);
    (session.is_some() || end.is_some()).then(|| TlsTold {
        version: session.map(|session| session.version),
        certificate_not_after: end.map(|(end, _)| end.to_string()),
        certificate_days_left: end.map(|(_, days)| days),
    })
}

fn capabilities(report: &Report) -> CapabilitiesTold {
    let told = report.methods.iter();
    CapabilitiesTold {
        batch: report.batch,
        new_heads: report.new_heads,
        methods: told.map(|it| MethodTold { method: it.name.clone(), access: it.access.as_str() }).collect(),
    }
}
