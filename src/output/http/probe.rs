//! `GET /probe`: asks a node now and answers with what it said, in the manner of multi-target exporters. The asking is
//! done by somebody else, over a channel: nothing in here talks to nodes.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::{negotiate, query::Query, reply::Reply};
use crate::{
    observation::probe::Report,
    output::{
        metrics::Format,
        probe::{exposition, lines, rows},
    },
};

/// What is left of a scrape's deadline for the way back.
const OFFSET: Duration = Duration::from_millis(500);

/// No probe takes longer than this, whatever it is granted.
const LONGEST: Duration = Duration::from_millis(119_500);

/// What a probe is granted of a deadline that leaves it nothing.
const SHORTEST: Duration = Duration::from_millis(50);

/// How long Prometheus will wait for the answer.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// Columns of the table for people.
const WIDTH: usize = 120;

/// A request to probe a target; the sender waits for the report.
#[derive(Debug)]
pub struct ProbeRequest {
    /// `network/node`, or a URL.
    pub target: String,
    /// The family it must be of.
    pub family: Option<String>,
    /// The deadline of the request; that of the node may be earlier.
    pub deadline: Duration,
    /// Who waits. A requester that has gone away wants no report.
    pub answer: oneshot::Sender<Result<Box<Report>, ProbeRefusal>>,
}

/// Why a target is not probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeRefusal {
    /// No configured node has this name.
    UnknownTarget,
    /// The target is a URL, and only configured nodes may be probed.
    NotAllowed,
    /// The target is a URL that makes no sense.
    BadUrl,
    /// There is no such family.
    UnknownFamily,
    /// The node is of another family.
    OtherFamily,
    /// Too many probes are under way.
    Busy,
}

impl ProbeRefusal {
    fn status(self) -> StatusCode {
        match self {
            Self::UnknownTarget => StatusCode::NOT_FOUND,
            Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::BadUrl | Self::UnknownFamily | Self::OtherFamily => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::UnknownTarget => "no node of this name is configured; the target is network/node",
            Self::NotAllowed => {
                "only configured nodes are probed, as network/node; [probe] allow_arbitrary_targets allows URLs"
            }
            Self::BadUrl => "the target is not a URL of http or https without credentials in front of the host",
            Self::UnknownFamily => "unknown family",
            Self::OtherFamily => "the node is configured with another family",
            Self::Busy => "too many probes are under way",
        }
    }
}

/// Answers a request to `/probe`.
pub(super) async fn answer(probes: &mpsc::Sender<ProbeRequest>, query: &Query, headers: &HeaderMap) -> Reply {
    let Some(target) = query.get("target") else {
        return Reply::text(StatusCode::BAD_REQUEST, "Target parameter is missing");
    };
    let family = query.get("family").map(str::to_owned);
    let (answer, report) = oneshot::channel();
    let request = ProbeRequest { target: target.to_owned(), family, deadline: deadline(headers), answer };
    let outcome = match probes.try_send(request) {
        Ok(()) => report.await.ok(),
        Err(mpsc::error::TrySendError::Full(_)) => Some(Err(ProbeRefusal::Busy)),
        Err(mpsc::error::TrySendError::Closed(_)) => None,
    };
    match outcome {
        Some(Ok(report)) if query.get("debug") == Some("true") => explained(&report),
        Some(Ok(report)) => exposed(&report, headers),
        Some(Err(refusal)) => Reply::text(refusal.status(), refusal.text()),
        None => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "haltwatch does not probe now"),
    }
}

fn exposed(report: &Report, headers: &HeaderMap) -> Reply {
    let format = negotiate::format(headers);
    let mut body = Vec::new();
    exposition(report, format, &mut body);
    Reply::new(StatusCode::OK, format.content_type(), body).negotiated(false)
}

/// The table for people, then what Prometheus would have got.
fn explained(report: &Report) -> Reply {
    let mut body = lines(&rows(report, None), WIDTH).join("\n").into_bytes();
    body.extend_from_slice(b"\n\nMetrics that would have been returned:\n");
    exposition(report, Format::Text, &mut body);
    Reply::new(StatusCode::OK, "text/plain; charset=utf-8", body)
}

/// What Prometheus grants, less the way back; what is no number is as if not said.
fn deadline(headers: &HeaderMap) -> Duration {
    let value = headers.get(SCRAPE_TIMEOUT).and_then(|value| value.to_str().ok());
    let granted = value.and_then(|text| text.trim().parse::<f64>().ok()).filter(|seconds| 0.0 < *seconds);
    let granted = granted.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    granted.map_or(LONGEST, |granted| granted.saturating_sub(OFFSET).clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_leaves_time_for_the_way_back() {
        for (header, wanted) in [
            ("10", 9500),
            ("1.5", 1000),
            ("0.5", 50),
            ("0.1", 50),
            ("1e300", 119_500),
            ("600", 119_500),
            ("-1", 119_500),
            ("NaN", 119_500),
            ("soon", 119_500),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(SCRAPE_TIMEOUT, header.parse().unwrap());
            assert_eq!(deadline(&headers), Duration::from_millis(wanted), "{header}");
        }
        assert_eq!(deadline(&HeaderMap::new()), LONGEST);
    }
}
