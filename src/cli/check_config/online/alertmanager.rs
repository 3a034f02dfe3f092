//! What an Alertmanager says of itself: its version, its cluster, its clock, and whether it is one at all or several
//! behind a balancer, which would break the sorting out of duplicates.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use http::{Method, StatusCode, header::DATE};
use serde::{Deserialize, Serialize};

use super::Remark;
use crate::{
    clock::Clock,
    model::{Endpoint, UnixTime},
    observation::{PollError, clean_text, probe::Reason},
    transport::{Client, Limits, Request, Response},
};

/// Largest status: it holds the whole configuration of the Alertmanager.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Connections on which it is asked: behind a balancer they lead to different ones.
const LOOKS: usize = 3;

/// Longest text of it that is shown, in bytes.
const MAX_TEXT: usize = 64;

/// A clock that is off by more than this makes alerts end early or late.
const SKEW_LIMIT_SECONDS: f64 = 60.0;

/// One Alertmanager.
#[derive(Debug, Serialize)]
pub(super) struct AlertmanagerFinding {
    pub(super) endpoint: String,
    reachable: bool,
    version: Option<String>,
    cluster: Option<String>,
    peers: Option<usize>,
    clock_skew_seconds: Option<f64>,
    pub(super) problems: Vec<Remark>,
}

/// The answer to `GET /api/v2/status`, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Status {
    cluster: Cluster,
    #[serde(rename = "versionInfo")]
    version: Version,
    #[serde(default)]
    uptime: String,
}

#[derive(Debug, Deserialize)]
struct Cluster {
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    peers: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Version {
    #[serde(default)]
    version: String,
}

/// Asks the Alertmanager at `peer`, one of `configured`.
pub(super) async fn ask(peer: Endpoint, timeout: Duration, configured: usize) -> AlertmanagerFinding {
    let mut finding = AlertmanagerFinding {
        endpoint: peer.shown().to_owned(),
        reachable: false,
        version: None,
        cluster: None,
        peers: None,
        clock_skew_seconds: None,
        problems: Vec::new(),
    };
    let mut faces = Vec::new();
    for _ in 0..LOOKS {
        match status(&peer, timeout).await {
            Ok((status, skew)) => {
                finding.reachable = true;
                faces.push((status.cluster.name.clone(), status.uptime.clone()));
                finding.note(&status, skew);
            }
            Err(problem) => {
                finding.problems.push(problem);
                return finding;
            }
        }
    }
    faces.dedup();
    if 1 < faces.len() {
        let text = "several Alertmanagers behind one address; name every one of them by itself, never a balancer";
        finding.problems.push(Remark::warning(text));
    }
    finding.judge(configured);
    finding
}

/// Its status and its clock minus ours, on a connection of its own.
async fn status(peer: &Endpoint, timeout: Duration) -> Result<(Status, Option<f64>), Remark> {
    let request = Request { method: Method::GET, path: "/api/v2/status".to_owned(), body: Bytes::new() };
    let limits = Limits { deadline: timeout, body: BODY_LIMIT };
    let response = Client::new(peer.clone()).exchange(request, limits).await.map_err(|error| of_exchange(&error))?;
    if response.status != StatusCode::OK {
        return Err(of_status(response.status));
    }
    let status = serde_json::from_slice(&response.body)
        .map_err(|_| Remark::error("the answer is not the status of an Alertmanager; check host, port and path"))?;
    Ok((status, skew(&response)))
}

fn of_exchange(error: &PollError) -> Remark {
    let reason = Reason::from(error.kind);
    Remark::error(format!("{} {} ({})", reason.says(), reason.advice(), error.detail))
}

fn of_status(status: StatusCode) -> Remark {
    Remark::error(match status.as_u16() {
        401 | 403 => format!("it refuses us (HTTP {}): check bearer_token, basic_auth and headers", status.as_u16()),
        404 => "it has no API v2 (HTTP 404): the path misses its route prefix, or it is older than 0.16".to_owned(),
        410 => "its API is too old or was removed (HTTP 410): haltwatch needs API v2".to_owned(),
        502..=504 => format!("a front server answers without an Alertmanager behind it (HTTP {})", status.as_u16()),
        code => format!("it answers the question for its status with HTTP {code}"),
    })
}

#[expect(clippy::cast_precision_loss, reason = "times up to the year 9999 fit 53 bits of milliseconds")]
fn skew(response: &Response) -> Option<f64> {
    let date = httpdate::parse_http_date(response.headers.get(DATE)?.to_str().ok()?).ok()?;
    let seconds = date.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?.as_secs();
    // Its clock is cut to whole seconds: half of one is missing in the mean.
    Some(UnixTime::from_seconds(seconds)?.minus(Clock.now().wall) as f64 / 1000.0 + 0.5)
}

impl AlertmanagerFinding {
    fn note(&mut self, status: &Status, skew: Option<f64>) {
        let text = |text: &str| Some(clean_text(text, MAX_TEXT)).filter(|text| !text.is_empty());
        self.version = text(&status.version.version);
        self.cluster = text(&status.cluster.status);
        self.peers = Some(status.cluster.peers.len());
        self.clock_skew_seconds = skew;
    }

    fn judge(&mut self, configured: usize) {
        if let Some(peers) = self.peers.filter(|peers| configured < *peers) {
            let text = format!("its cluster has {peers} members, but only {configured} are configured: name every one");
            self.problems.push(Remark::warning(text));
        }
        if !matches!(self.cluster.as_deref(), None | Some("ready" | "disabled")) {
            let text = format!("its cluster is not ready: {}", self.cluster.as_deref().unwrap_or_default());
            self.problems.push(Remark::warning(text));
        }
        if let Some(skew) = self.clock_skew_seconds.filter(|skew| SKEW_LIMIT_SECONDS < skew.abs()) {
            self.problems
                .push(Remark::warning(format!("its clock is {skew:+.0} s off ours: alerts end early or late")));
        }
    }

    /// The finding for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut line = format!("alertmanager {}", self.endpoint);
        if self.reachable {
            let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "not told".to_owned());
            let skew = self.clock_skew_seconds.map(|skew| format!(", clock skew {skew:+.1} s")).unwrap_or_default();
            let (version, cluster, peers) = (known(&self.version), known(&self.cluster), self.peers.unwrap_or(0));
            // Writing to a string cannot fail.
            let _ = write!(line, ": version {version}, cluster {cluster} ({peers} members){skew}");
        }
        let mut lines = vec![line];
        lines.extend(self.problems.iter().map(Remark::line));
        lines
    }
}
