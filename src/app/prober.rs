//! Probes nodes on request of `GET /probe`: finds out whether the target may be probed, and how long it may take.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    chain::{
        Family, Gates, NodeTarget,
        probe::{Inquiry, Reach, probe},
    },
    config::Config,
    model::Endpoint,
    output::http::{ProbeRefusal, ProbeRequest},
    supervisor::{PanicCounter, Shutdown, Supervisor},
};

/// Requests waiting to be looked at; none waits for long.
const PROBE_QUEUE: usize = 64;

/// Probes under way at the most.
const UNDER_WAY: usize = 16;

/// How long a probe of a target that is not configured may take.
const USUAL_TIMEOUT: Duration = Duration::from_secs(10);

/// What may be probed: the nodes in force, and whether others may be.
#[derive(Debug)]
pub(super) struct Targets {
    nodes: Vec<NodeTarget>,
    any: bool,
    gates: Gates,
}

impl Targets {
    /// What `config` lets us probe, under the limits of the pollers.
    pub(super) fn of(config: &Config, gates: Gates) -> Self {
        Self { nodes: config.chain.nodes.clone(), any: config.probe.allow_arbitrary_targets, gates }
    }
}

/// Starts the prober of these targets: where requests go, and where it is told of other targets.
pub(super) fn spawn(
    supervisor: &mut Supervisor,
    targets: Targets,
    panics: &PanicCounter,
) -> (mpsc::Sender<ProbeRequest>, Arc<ArcSwap<Targets>>) {
    let (probe, probes) = mpsc::channel(PROBE_QUEUE);
    let targets = Arc::new(ArcSwap::from_pointee(targets));
    let probing = run(Arc::clone(&targets), probes, panics.clone(), supervisor.shutdown());
    supervisor.spawn_essential("prober", panics.clone(), probing);
    (probe, targets)
}

/// Serves requests until the shutdown; probes that are under way then are dropped.
async fn run(
    targets: Arc<ArcSwap<Targets>>,
    mut requests: mpsc::Receiver<ProbeRequest>,
    panics: PanicCounter,
    mut shutdown: Shutdown,
) {
    let mut under_way = JoinSet::new();
    loop {
        let request = tokio::select! {
            biased;
            () = shutdown.begun() => return,
            // A probe that panicked has dropped its answer: whoever waits for it is told.
            Some(ended) = under_way.join_next() => {
                if let Err(error) = ended {
                    panics.note("probe", &error);
                }
                continue;
            }
            request = requests.recv() => request,
        };
        let Some(request) = request else { return };
        let inquiry =
            if under_way.len() < UNDER_WAY { inquiry(&targets.load(), &request) } else { Err(ProbeRefusal::Busy) };
        match inquiry {
            Ok(inquiry) => {
                under_way.spawn(serve(inquiry, request));
            }
            Err(refusal) => {
                let _ = request.answer.send(Err(refusal));
            }
        }
    }
}

async fn serve(inquiry: Inquiry, request: ProbeRequest) {
    let mut answer = request.answer;
    tokio::select! {
        report = probe(&inquiry) => {
            let _ = answer.send(Ok(Box::new(report)));
        }
        () = answer.closed() => {}
    }
}

fn inquiry(targets: &Targets, request: &ProbeRequest) -> Result<Inquiry, ProbeRefusal> {
    let family = match request.family.as_deref() {
        Some(name) => Some(Family::named(name).ok_or(ProbeRefusal::UnknownFamily)?),
        None => None,
    };
    if let Some(node) = targets.nodes.iter().find(|node| *node.name == request.target) {
        if family.is_some_and(|family| family != node.family) {
            return Err(ProbeRefusal::OtherFamily);
        }
        return Ok(Inquiry::of_node(node, node.timeout.min(request.deadline)).through(&targets.gates));
    }
    if !request.target.contains("://") {
        return Err(ProbeRefusal::UnknownTarget);
    }
    if !targets.any {
        return Err(ProbeRefusal::NotAllowed);
    }
    let rpc = Endpoint::parse(&request.target, "http, https").map_err(|_| ProbeRefusal::BadUrl)?;
    let timeout = USUAL_TIMEOUT.min(request.deadline);
    Ok(Inquiry { family, reach: Reach::Guarded, identify: false, ..Inquiry::new(rpc, timeout) }.through(&targets.gates))
}
