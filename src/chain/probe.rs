//! Asks one endpoint once, thoroughly, and reports: who it is, how it stands, what it offers, how fast it is. The
//! pollers ask again and again and stay cheap; a probe may take a dozen requests, and ends at its deadline with whatever
//! is known by then.

mod address;
mod diagnose;
mod kind;
mod recognise;
mod survey;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;

use super::{
    Family, NodeTarget, Particulars,
    adapter::{Adapter, HEAD, Question},
    cookie::Cookie,
    gate::{Gate, Gates},
    reply::{Answer, Reply},
    rpc::{asked, read, resource},
    subscription,
};
pub use crate::transport::Reach;
use crate::{
    clock::Clock,
    model::{Endpoint, Height},
    observation::{
        ErrorKind, Head,
        probe::{BlockTime, Connection, Kind, Latency, ProbeError, Reason, Report},
    },
    transport::{Client, DialFault, Limits, Request, Response},
};

/// Largest answer that is read of an endpoint nobody configured.
pub const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Requests from which best and median latency are told.
const LATENCY_SAMPLES: usize = 5;

/// Blocks over which the block time is observed; the second where the first is too far back for the node.
const BLOCK_SPANS: [u64; 2] = [100, 10];

/// What is allowed on request; validated by `config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Whether `GET /probe` may name targets that are not configured.
    pub allow_arbitrary_targets: bool,
}

/// What to ask.
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// Where it answers requests.
    pub rpc: Endpoint,
    /// Where it pushes new heads, if that shall be tried.
    pub ws: Option<Endpoint>,
    /// The family it must be of; `None` = find out.
    pub family: Option<Family>,
    /// What else is known of it.
    pub particulars: Particulars,
    /// From the first packet to the end of everything.
    pub timeout: Duration,
    /// Largest answer in bytes.
    pub body_limit: usize,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// What every request waits for, if the host has a limit.
    pub gate: Option<Arc<Gate>>,
    /// Whether to ask as well for what a configuration would have to say of its chain beside the family.
    pub identify: bool,
}

impl Inquiry {
    /// An inquiry at an endpoint that nobody configured.
    #[must_use]
    pub fn new(rpc: Endpoint, timeout: Duration) -> Self {
        Self {
            rpc,
            ws: None,
            family: None,
            particulars: Particulars::default(),
            timeout,
            body_limit: BODY_LIMIT,
            reach: Reach::Anywhere,
            gate: None,
            identify: true,
        }
    }

    /// An inquiry at a configured node, for at most `timeout`.
    #[must_use]
    pub fn of_node(node: &NodeTarget, timeout: Duration) -> Self {
        Self {
            ws: node.ws.clone(),
            family: Some(node.family),
            particulars: node.particulars.clone(),
            body_limit: node.body_limit,
            identify: false,
            ..Self::new(node.rpc.clone(), timeout)
        }
    }

    /// The same inquiry under the limits of the pollers.
    #[must_use]
    pub fn through(self, gates: &Gates) -> Self {
        Self { gate: gates.of(self.rpc.host()), ..self }
    }
}

/// Asks and reports. It ends at the deadline: then what is known by that time is the report.
pub async fn probe(inquiry: &Inquiry) -> Report {
    let stopwatch = Clock.stopwatch();
    let mut report = blank(inquiry);
    let mut caller = Caller::new(inquiry);
    let outcome = tokio::time::timeout(inquiry.timeout, inquire(&mut caller, &mut report)).await;
    report.elapsed = stopwatch.elapsed();
    report.failure = match outcome {
        Ok(outcome) => outcome.err(),
        // What has not been asked by now is only missing from the report.
        Err(_) if report.facts.is_some() => None,
        Err(_) => {
            let what = if report.connection.is_some() { "no complete answer" } else { "no connection" };
            let limit = humantime::format_duration(inquiry.timeout);
            Some(ProbeError { reason: Reason::Timeout, detail: format!("{what} within {limit}").into() })
        }
    };
    if let Some(failure) = &mut report.failure {
        failure.detail = caller.client.endpoint().without_secrets(&failure.detail).into();
    }
    report
}

fn blank(inquiry: &Inquiry) -> Report {
    Report {
        endpoint: inquiry.rpc.shown().to_owned(),
        begun: Clock.now().wall,
        elapsed: Duration::ZERO,
        timeout: inquiry.timeout,
        connection: None,
        expired_at: None,
        family: None,
        kind: Kind::default(),
        facts: None,
        heard: None,
        failure: None,
        latency: None,
        batch: None,
        methods: Vec::new(),
        untold: Vec::new(),
        new_heads: None,
        block_time: None,
        address: address::of(&inquiry.rpc, inquiry.ws.as_ref()),
    }
}

/// What matters most comes first: the deadline may cut off the rest.
async fn inquire(caller: &mut Caller<'_>, report: &mut Report) -> Result<(), ProbeError> {
    let inquiry = caller.inquiry;
    let connection = caller.connect(report).await?;
    let (family, first) = recognise::family(caller, inquiry.family).await?;
    report.family = Some(family.as_str());
    if !caller.below.is_empty() {
        report.address.url = address::below(&report.address.url, caller.below);
    }
    let groups = kind::groups(caller, family).await;
    let group = groups.first().cloned();
    let mut adapter = family.adapter(&Particulars { group, ..inquiry.particulars.clone() });
    let surveyed = survey::survey(caller, adapter.as_mut(), report).await;
    surveyed.map_err(|error| ProbeError { detail: adapter.without_secrets(&error.detail).into(), ..error })?;
    report.kind = kind::of(caller, family, groups, report).await;
    let head = report.facts.as_ref().map(|facts| facts.head);
    if let Some(head) = head {
        report.block_time = block_time(caller, adapter.as_ref(), head).await;
    }
    if let Some(ws) = &inquiry.ws {
        report.new_heads = Some(subscription::accepts(ws, family.stream(), inquiry.timeout).await);
    }
    report.latency = latency(caller, adapter.as_ref(), connection.elapsed.saturating_add(first)).await;
    Ok(())
}

/// The connection to the endpoint. Every request asks the gate of its host for leave, as polls do.
struct Caller<'a> {
    client: Client,
    cookie: Cookie,
    inquiry: &'a Inquiry,
    /// What every path begins with: where the node answers below its URL.
    below: &'static str,
}

impl<'a> Caller<'a> {
    fn new(inquiry: &'a Inquiry) -> Self {
        let client = Client::new(inquiry.rpc.clone()).within(inquiry.reach);
        Self { client, cookie: Cookie::default(), inquiry, below: "" }
    }

    /// Dials and notes what the connection is like, or what is wrong with it.
    async fn connect(&mut self, report: &mut Report) -> Result<Connection, ProbeError> {
        let connection = self.client.connect(self.inquiry.timeout).await.map_err(|fault| {
            report.expired_at = fault.expired_at;
            of_dialing(fault)
        })?;
        report.connection = Some(connection);
        Ok(connection)
    }

    /// Sends a body, or nothing, to the endpoint itself.
    async fn ask(&mut self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Response, ProbeError> {
        if let Some(gate) = &self.inquiry.gate {
            gate.leave_after_polls().await;
        }
        let limits = Limits { deadline: self.inquiry.timeout, body: self.inquiry.body_limit };
        let request = Request { method, path: format!("{}{path}", self.below), body: body.into() };
        let outcome = self.cookie.exchange(&mut self.client, request, limits).await;
        outcome.map_err(|error| ProbeError { reason: error.kind.into(), detail: error.detail })
    }

    /// Puts one question, under the id of `position`.
    async fn put(&mut self, question: &Question, position: usize) -> Result<Response, ProbeError> {
        let (method, path, body) = asked(question, position);
        self.ask(method, path, body).await
    }

    async fn post(&mut self, body: impl Into<Bytes>) -> Result<Response, ProbeError> {
        self.ask(Method::POST, "", body).await
    }
}

/// The answer to a single question, if there is one.
fn answer_to<'a>(question: &Question, response: &'a Response) -> Option<Answer<'a>> {
    match question {
        Question::Get { .. } => resource(response).ok(),
        Question::Rpc { .. } => match read(response) {
            Ok(Reply::Single { answer: answer @ Answer::Result(_), .. }) => Some(answer),
            _ => None,
        },
    }
}

fn of_dialing(fault: DialFault) -> ProbeError {
    let reason = match fault.tls {
        _ if fault.forbidden => Reason::Forbidden,
        Some(tls) if fault.error.kind == ErrorKind::Tls => tls.into(),
        _ => fault.error.kind.into(),
    };
    ProbeError { reason, detail: fault.error.detail }
}

/// The mean time between the latest blocks by their timestamps, which have a resolution of a second in most families.
async fn block_time(caller: &mut Caller<'_>, adapter: &dyn Adapter, head: Head) -> Option<BlockTime> {
    for span in BLOCK_SPANS {
        // The first block of all has no honest timestamp, and those after it come while the nodes are being started.
        let blocks = span.min(head.height.0 / 2);
        let earlier = Height(head.height.0.saturating_sub(blocks));
        let question = adapter.block_call(earlier).filter(|_| 0 < blocks)?;
        let response = caller.put(&question, HEAD).await.ok()?;
        let Some(answer) = answer_to(&question, &response) else { continue };
        let Some(block) = adapter.block(earlier, &answer).filter(|block| block.height == earlier) else { continue };
        let mean = head.time?.since(block.time?) / u32::try_from(blocks).ok()?;
        return (!mean.is_zero()).then_some(BlockTime { mean, blocks });
    }
    None
}

async fn latency(caller: &mut Caller<'_>, adapter: &dyn Adapter, first: Duration) -> Option<Latency> {
    let mut samples = Vec::with_capacity(LATENCY_SAMPLES);
    for _ in 0..LATENCY_SAMPLES {
        let Ok(response) = caller.put(&adapter.calls()[HEAD].question, HEAD).await else { break };
        samples.push(response.elapsed);
    }
    samples.sort_unstable();
    Some(Latency { first, best: *samples.first()?, median: samples[samples.len() / 2] })
}
