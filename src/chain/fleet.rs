//! The pollers and probers at work. New settings disturb only those they concern: a poller whose node did not change
//! goes on with its connection, its beat and all it has learned, wherever in the settings the node stands now.
//!
//! That is safe because what a poller sends names the poller and not the place of its node. Whoever takes it in looks
//! the place up in the [`Roster`] of the settings it works with, so nothing is ever read under the wrong settings.

use std::{collections::HashMap, time::Duration};

use tokio::sync::mpsc;

use super::{
    CanaryTarget, NodeTarget, Settings, canary,
    family::Stream,
    gate::Gates,
    poller::{Poller, Wiring},
    pulse::Pulse,
    subscription::Subscription,
};
use crate::{
    clock::Clock,
    model::Endpoint,
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
    gates: Gates,
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
            gates: Gates::default(),
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
        let wishes = plan.nodes.iter().map(|(_, node)| (node.rpc.host(), node.requests_per_second));
        self.gates.limit(wishes);
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

    /// The gates through which the requests to each host go, for whoever asks there besides the pollers.
    #[must_use]
    pub fn gates(&self) -> Gates {
        self.gates.clone()
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
            gate: self.gates.of(target.rpc.host()).unwrap_or_default(),
            pulse: Pulse::default(),
            share,
        };
        if let Some(endpoint) = pushing(&target) {
            let subscription = Subscription::new(endpoint.clone(), &target, wiring.pulse.clone());
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
}

/// Where a node pushes its heads: events come from the address that answers requests.
fn pushing(target: &NodeTarget) -> Option<&Endpoint> {
    match target.family.stream() {
        Stream::Sse => Some(&target.rpc),
        Stream::Rpc { .. } | Stream::CometBft | Stream::None => target.ws.as_ref(),
    }
}

/// Where in the interval the node at `position` of `count` is polled: evenly spread, each a little off its place, so
/// that several monitors of the same nodes do not step on each other.
#[expect(clippy::cast_precision_loss, reason = "there are fewer nodes than an f64 can count")]
fn share(position: usize, count: usize) -> f64 {
    (position as f64 + fastrand::f64()) / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chain::Family,
        model::{CanaryIndex, Endpoint, NodeIndex},
    };

    fn node(place: u32, name: &str, url: &str) -> NodeTarget {
        NodeTarget {
            node: NodeIndex(place),
            name: name.into(),
            family: Family::Evm,
            particulars: crate::chain::Particulars::default(),
            rpc: Endpoint::parse(url, "http, https").unwrap(),
            ws: None,
            interval: Duration::from_secs(3600),
            timeout: Duration::from_secs(1),
            body_limit: 1024,
            requests_per_second: None,
            block_time: None,
        }
    }

    fn canary(place: u32, host: &str) -> CanaryTarget {
        let (interval, timeout) = (Duration::from_secs(3600), Duration::from_secs(1));
        CanaryTarget { canary: CanaryIndex(place), host: host.into(), port: 53, interval, timeout }
    }

    /// The source of each node in a fleet that goes over to `nodes`, in their order.
    fn go_over(fleet: &mut Fleet, nodes: Vec<NodeTarget>) -> Vec<u64> {
        let plan = fleet.plan(&Settings { nodes, canaries: Vec::new() });
        let sources = plan.nodes.iter().map(|(source, _)| source.0).collect();
        assert!(plan.nodes.iter().all(|(source, target)| plan.roster().nodes[source] == target.node));
        fleet.carry_out(plan);
        sources
    }

    fn fleet() -> Fleet {
        Fleet::new(Clock, mpsc::channel(1).0, PanicCounter::default())
    }

    #[tokio::test]
    async fn only_a_node_that_changed_gets_another_poller() {
        const URL: &str = "http://127.0.0.1:1";
        let mut fleet = fleet();
        assert_eq!(go_over(&mut fleet, vec![node(0, "n/a", URL), node(1, "n/b", URL), node(2, "n/c", URL)]), [1, 2, 3]);
        let limited = NodeTarget { requests_per_second: Some(5.0), ..node(1, "n/a", URL) };
        let next = vec![node(0, "n/c", URL), limited, node(2, "n/b", "http://127.0.0.1:2")];
        assert_eq!(go_over(&mut fleet, next), [3, 1, 4], "moved, limited, with another URL");
        let slower = NodeTarget { interval: Duration::from_secs(1800), ..node(0, "n/c", URL) };
        assert_eq!(go_over(&mut fleet, vec![slower, node(1, "m/a", URL)]), [5, 6], "another beat, another name");
        assert_eq!(go_over(&mut fleet, vec![node(0, "n/a", URL)]), [7], "what was gone comes back as a new one");
        assert_eq!(fleet.pollers.len(), 1);
        assert!(fleet.stop(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn canaries_are_known_by_host_and_port() {
        let mut fleet = fleet();
        let settings = |canaries| Settings { nodes: Vec::new(), canaries };
        let plan = fleet.plan(&settings(vec![canary(0, "a"), canary(1, "b")]));
        let first = plan.roster();
        fleet.carry_out(plan);
        let second = fleet.plan(&settings(vec![canary(0, "c"), canary(1, "a")])).roster();
        let source = |roster: &Roster, place| {
            *roster.canaries.iter().find(|(_, canary)| **canary == CanaryIndex(place)).unwrap().0
        };
        assert_eq!(source(&first, 0), source(&second, 1));
        assert!(!first.canaries.contains_key(&source(&second, 0)), "a name is never given twice");
    }

    #[tokio::test]
    async fn a_host_without_nodes_leaves_no_limit_behind() {
        let mut fleet = fleet();
        go_over(&mut fleet, vec![node(0, "n/a", "http://127.0.0.1:1"), node(1, "n/b", "http://127.0.0.2:1")]);
        let is_limited = |fleet: &Fleet, host| fleet.gates().of(host).is_some();
        assert!(is_limited(&fleet, "127.0.0.1") && is_limited(&fleet, "127.0.0.2"));
        go_over(&mut fleet, vec![node(0, "n/b", "http://127.0.0.2:1")]);
        assert!(!is_limited(&fleet, "127.0.0.1") && is_limited(&fleet, "127.0.0.2"));
    }
}
