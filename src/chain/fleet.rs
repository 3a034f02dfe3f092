//! The pollers and probers at work. New settings disturb only those they concern: a poller whose node did not change
//! goes on with its connection, its beat and all it has learned, wherever in the settings the node stands now.
//!
//! That is safe because what a poller sends names the poller and not the place of its node. Whoever takes it in looks
//! the place up in the [`Roster`] of the settings it works with, so nothing is ever read under the wrong settings.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{
    CanaryTarget, NodeTarget, Settings, canary,
    gate::Gate,
    poller::{Poller, Wiring},
    pulse::Pulse,
    subscription::Subscription,
};
use crate::{
    clock::Clock,
    observation::{Roster, Sighting, Source},
    supervisor::{PanicCounter, Supervisor, Tether},
};

/// Every poller, its subscription, and every prober of a canary.
#[derive(Debug)]
pub struct Fleet {
    clock: Clock,
    sightings: mpsc::Sender<Sighting>,
    panics: PanicCounter,
    tasks: Supervisor,
    pollers: HashMap<Source, Member<NodeTarget>>,
    probers: HashMap<Source, Member<CanaryTarget>>,
    /// One for each host, for as long as a node is there.
    gates: HashMap<String, Arc<Gate>>,
    /// The number of the newest source.
    next: u64,
}

/// One at work; it stops when this is dropped.
#[derive(Debug)]
struct Member<T> {
    target: T,
    _tether: Tether,
}

/// Who is to watch what: sources at work that go on, and new ones.
#[derive(Debug)]
pub struct Plan {
    nodes: Vec<(Source, NodeTarget)>,
    canaries: Vec<(Source, CanaryTarget)>,
}

impl Plan {
    /// Where what each source watches stands in the settings the plan was made for.
    #[must_use]
    pub fn roster(&self) -> Roster {
        Roster {
            nodes: self.nodes.iter().map(|(source, target)| (*source, target.node)).collect(),
            canaries: self.canaries.iter().map(|(source, target)| (*source, target.canary)).collect(),
        }
    }
}

impl Fleet {
    /// A fleet that watches nothing yet and will send what it sees to `sightings`.
    #[must_use]
    pub fn new(clock: Clock, sightings: mpsc::Sender<Sighting>, panics: PanicCounter) -> Self {
        Self {
            clock,
            sightings,
            panics,
            tasks: Supervisor::default(),
            pollers: HashMap::new(),
            probers: HashMap::new(),
            gates: HashMap::new(),
            next: 0,
        }
    }

    /// Decides who will watch what under `settings`. Nothing changes before [`Fleet::carry_out`]; in between, the one
    /// who takes the sightings in must learn the plan's roster, or the first ones of new sources are lost.
    pub fn plan(&mut self, settings: &Settings) -> Plan {
        let mut pollers: HashMap<_, _> =
            self.pollers.iter().map(|(source, at_work)| (at_work.target.name(), source)).collect();
        let mut probers: HashMap<_, _> =
            self.probers.iter().map(|(source, at_work)| (at_work.target.name(), source)).collect();
        let mut next = self.next;
        let mut choose = |known: Option<&Source>| {
            known.copied().unwrap_or_else(|| {
                next += 1;
                Source(next)
            })
        };
        let mut nodes = Vec::with_capacity(settings.nodes.len());
        for target in &settings.nodes {
            let known = pollers.remove(&target.name());
            let known = known.filter(|source| target.continues(&self.pollers[source].target));
            nodes.push((choose(known), target.clone()));
        }
        let mut canaries = Vec::with_capacity(settings.canaries.len());
        for target in &settings.canaries {
            let known = probers.remove(&target.name());
            let known = known.filter(|source| target.continues(&self.probers[source].target));
            canaries.push((choose(known), target.clone()));
        }
        self.next = next;
        Plan { nodes, canaries }
    }

    /// Stops whoever is not in the plan, starts whoever is new in it, and sets the limits of all hosts.
    pub fn carry_out(&mut self, plan: Plan) {
        self.set_limits(&plan.nodes);
        let (count, mut before) = (plan.nodes.len(), std::mem::take(&mut self.pollers));
        for (position, (source, target)) in plan.nodes.into_iter().enumerate() {
            let member = match before.remove(&source) {
                Some(member) => Member { target, ..member },
                None => self.start_poller(source, target, share(position, count)),
            };
            self.pollers.insert(source, member);
        }
        let mut before = std::mem::take(&mut self.probers);
        for (source, target) in plan.canaries {
            let member = match before.remove(&source) {
                Some(member) => Member { target, ..member },
                None => self.start_prober(source, target),
            };
            self.probers.insert(source, member);
        }
    }

    /// Stops all of them, at most within `limit`. Returns whether all stopped by themselves.
    pub async fn stop(mut self, limit: Duration) -> bool {
        self.pollers.clear();
        self.probers.clear();
        self.tasks.stop(limit).await
    }

    fn start_poller(&mut self, source: Source, target: NodeTarget, share: f64) -> Member<NodeTarget> {
        let tether = Tether::default();
        let wiring = Wiring {
            clock: self.clock,
            source,
            sightings: self.sightings.clone(),
            shutdown: tether.shutdown(),
            gate: self.gate(&target),
            pulse: Pulse::default(),
            share,
        };
        if let Some(ws) = &target.ws {
            let subscription = Subscription::new(ws.clone(), &target, wiring.pulse.clone());
            let shutdown = tether.shutdown();
            let make = move || subscription.clone().run(shutdown.clone());
            self.tasks.spawn_until(tether.shutdown(), "subscription", self.panics.clone(), make);
        }
        let polled = target.clone();
        let make = move || Poller::new(&polled, wiring.clone()).run();
        self.tasks.spawn_until(tether.shutdown(), "poller", self.panics.clone(), make);
        Member { target, _tether: tether }
    }

    fn start_prober(&mut self, source: Source, target: CanaryTarget) -> Member<CanaryTarget> {
        let tether = Tether::default();
        let (probed, clock, sightings, shutdown) =
            (target.clone(), self.clock, self.sightings.clone(), tether.shutdown());
        let make = move || canary::run(probed.clone(), source, clock, sightings.clone(), shutdown.clone());
        self.tasks.spawn_until(tether.shutdown(), "canary", self.panics.clone(), make);
        Member { target, _tether: tether }
    }

    fn gate(&mut self, target: &NodeTarget) -> Arc<Gate> {
        Arc::clone(self.gates.entry(host(target)).or_insert_with(|| Arc::new(Gate::open())))
    }

    /// Every host is limited as strictly as the strictest of the nodes behind it wants; gates of hosts without a node
    /// go.
    fn set_limits(&mut self, nodes: &[(Source, NodeTarget)]) {
        let mut rates: HashMap<String, Option<f64>> = HashMap::new();
        for (_, node) in nodes {
            let strictest = rates.entry(host(node)).or_default();
            *strictest = match (*strictest, node.requests_per_second) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        self.gates.retain(|host, _| rates.contains_key(host));
        for (host, rate) in rates {
            self.gates.entry(host).or_insert_with(|| Arc::new(Gate::open())).limit(rate);
        }
    }
}

fn host(node: &NodeTarget) -> String {
    node.rpc.host().to_lowercase()
}

/// Where in the interval the node at `position` of `count` is polled: evenly spread, each a little off its place, so
/// that several monitors of the same nodes do not step on each other.
#[expect(clippy::cast_precision_loss, reason = "there are fewer nodes than an f64 can count")]
fn share(position: usize, count: usize) -> f64 {
    (position as f64 + fastrand::f64()) / count.max(1) as f64
}
