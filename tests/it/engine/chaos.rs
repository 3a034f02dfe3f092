//! Whatever nodes say and clocks do: no panic, no busy loop, and every bound holds.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    engine::{
        Engine,
        settings::{Cadence, NetworkSettings},
        snapshot::{AlertState, Effect},
    },
    model::{
        BlockHash, CanaryIndex, Height, Instant, NetworkIndex, NodeIndex, Now, PlannedHalt, Timestamp, UnixTime,
        VantageIndex,
    },
    observation::{
        CHECKPOINTS, CanaryObservation, Equivocation, ErrorKind, Facts, Finality, NodeObservation, Notice, Observation,
        PollError, Syncing, Upgrade,
    },
};
use proptest::prelude::*;

use super::world::{Moment, WALL, World, block, canary, network, settings};

const TEN_YEARS_MS: i64 = 10 * 366 * 86_400_000;

fn height() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1000..1100_u64, 1 => Just(0), 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn wall() -> impl Strategy<Value = UnixTime> {
    prop_oneof![Just(0), Just(i64::MAX), -TEN_YEARS_MS..TEN_YEARS_MS]
        .prop_map(|off| UnixTime::from_millis(WALL.saturating_add(off)))
}

fn checkpoints() -> impl Strategy<Value = Vec<(Height, BlockHash)>> {
    let checkpoint = (height(), 0..3_u8).prop_map(|(height, branch)| (Height(height), block(branch, height))).boxed();
    (0..10_u8).prop_flat_map(move |few| {
        let most = if few == 0 { CHECKPOINTS } else { 3 };
        proptest::collection::vec(checkpoint.clone(), 0..=most)
    })
}

fn equivocations() -> impl Strategy<Value = Vec<Equivocation>> {
    let equivocation = (height(), 0..4_u8, height()).prop_map(|(height, n, told_in)| Equivocation {
        height: Height(height),
        validator: format!("v{n}").into(),
        told_in: Height(told_in),
    });
    proptest::collection::vec(equivocation, 0..3)
}

fn finality() -> impl Strategy<Value = Finality> {
    let known =
        (height(), proptest::option::of(0..3_u8), proptest::option::of(wall())).prop_map(|(height, branch, time)| {
            let hash = branch.map(|branch| block(branch, height));
            Finality::Known { height: Height(height), hash, time }
        });
    prop_oneof![1 => Just(Finality::Unknown), 3 => known]
}

fn planned() -> impl Strategy<Value = PlannedHalt> {
    let instant = || {
        let instant = prop_oneof![wall().prop_map(Instant::Wall), time().prop_map(|at| Instant::At(Timestamp(at)))];
        proptest::option::of(instant)
    };
    (instant(), instant(), proptest::option::of(height())).prop_map(|(from, until, height)| PlannedHalt {
        kind: "upgrade".into(),
        from,
        until,
        at_height: height.map(Height),
    })
}

prop_compose! {
    /// What only some families tell.
    fn rarities()(
        checkpoints in checkpoints(), identity in proptest::option::of(0..3_u8), finality in finality(),
        equivocations in equivocations(), upgrade in proptest::option::of(height()),
        participation in proptest::option::of(any::<u16>()), round in proptest::option::of(any::<u64>()),
        validators in proptest::option::of(any::<u64>()), transactions in proptest::option::of(any::<u64>()),
        safe in proptest::option::of(height()),
    ) -> Facts {
        let mut facts = Facts::at_height(Height(0));
        facts.identity = identity.map(|n| format!("peer{n}").into());
        facts.upgrade = upgrade.map(|height| Upgrade { name: "v2".into(), height: Height(height) });
        facts.head.transactions = transactions;
        (facts.checkpoints, facts.finality, facts.equivocations) = (checkpoints, finality, equivocations);
        (facts.participation, facts.round, facts.validators) = (participation, round, validators);
        facts.safe = safe.map(Height);
        facts
    }
}

prop_compose! {
    fn facts()(
        rarities in rarities(),
        height in height(), branch in 0..3_u8, linked in any::<bool>(), time in proptest::option::of(wall()),
        chain in proptest::option::of(0..3_u8), syncing in 0..4_u8, pending in proptest::option::of(0..3_u64),
        clock in proptest::option::of(wall()), last in height(), peers in proptest::option::of(any::<u64>()),
    ) -> Facts {
        let mut facts = rarities;
        facts.head.height = Height(height);
        facts.head.hash = linked.then(|| block(branch, height));
        facts.head.parent = linked.then(|| block(branch, height.saturating_sub(1)));
        facts.head.time = time;
        facts.chain_id = chain.map(|c| format!("chain{c}").into());
        facts.genesis = chain.map(|c| block(c, 0));
        facts.syncing = [Syncing::Unknown, Syncing::No, Syncing::Starting, Syncing::Yes { behind: Some(last) }][usize::from(syncing)];
        (facts.pending, facts.clock, facts.peers) = (pending, clock, peers);
        facts
    }
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..100_000_i64, 2 => -TEN_YEARS_MS..TEN_YEARS_MS, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

fn observation() -> impl Strategy<Value = Observation> {
    let outcome = prop_oneof![
        3 => facts().prop_map(|facts| Ok(Arc::new(facts))),
        1 => (0..ErrorKind::ALL.len()).prop_map(|i| Err(PollError::new(ErrorKind::ALL[i], "x"))),
    ];
    let node = (0..8_u32, 0..3_u16, time(), any::<u32>(), outcome).prop_map(|(node, vantage, at, elapsed, outcome)| {
        let elapsed = Duration::from_micros(u64::from(elapsed));
        Observation::Node(NodeObservation {
            node: NodeIndex(node),
            vantage: VantageIndex(vantage),
            at: Timestamp(at),
            elapsed,
            outcome,
        })
    });
    let canary = (0..3_u32, time(), any::<bool>()).prop_map(|(canary, at, reachable)| {
        Observation::Canary(CanaryObservation { canary: CanaryIndex(canary), at: Timestamp(at), reachable })
    });
    let notice = (0..4_u32, planned())
        .prop_map(|(network, planned)| Observation::Notice(Notice { network: NetworkIndex(network), planned }));
    prop_oneof![6 => node, 1 => canary, 1 => notice]
}

fn engine() -> Engine {
    let idle = NetworkSettings { cadence: Cadence::OnDemand, block_time: None, ..network("idle") };
    let child = NetworkSettings {
        block_time: None,
        chain_id: Some("chain0".into()),
        depends_on: vec![NetworkIndex(0), NetworkIndex(2)],
        ..network("child")
    };
    let mut settings = settings(&[(network("main"), "A B C"), (idle, "d e"), (child, "F")]);
    settings.canaries = vec![canary("gateway:53"), canary("dns:53")];
    settings.canaries[1].vantage = VantageIndex(1);
    settings.vantages = vec!["east".into(), "west".into()];
    Engine::new(Arc::new(settings), Now { at: Timestamp(0), wall: UnixTime::from_millis(WALL) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_said_at_any_time_in_any_order_breaks_the_engine(
        steps in proptest::collection::vec((time(), wall(), proptest::collection::vec(observation(), 0..6)), 1..60)
    ) {
        let mut engine = engine();
        let mut open = std::collections::BTreeSet::new();
        let mut last = Timestamp(0);
        for (at, wall, observations) in steps {
            let now = Now { at: Timestamp(at), wall };
            let outcome = engine.step(now, &observations);
            last = last.max(now.at);
            prop_assert!(outcome.wake_at.is_none_or(|wake| last < wake || last.0 == i64::MAX));
            for effect in &outcome.effects {
                match effect {
                    Effect::Fired(alert) => prop_assert!(open.insert(alert.key)),
                    Effect::Raised(alert) => prop_assert!(open.contains(&alert.key)),
                    Effect::Resolved(alert) => prop_assert!(open.remove(&alert.key)),
                    Effect::Quiet(alert, _) => prop_assert!(!alert.finding.to_string().is_empty()),
                    Effect::NodeState { from, to, .. } => prop_assert_ne!(from, to),
                }
            }
            let snapshot = engine.snapshot(now);
            for view in &snapshot.networks {
                prop_assert!(view.halt_ratio.is_none_or(f64::is_finite));
                prop_assert!(view.finalized <= view.tip.map(|tip| tip.height));
                prop_assert!(view.voters <= snapshot.nodes.len());
            }
            for alert in &snapshot.alerts {
                prop_assert_ne!(alert.state, AlertState::Resolved);
                prop_assert!(!alert.finding.to_string().ends_with('.'));
            }
        }
    }
}

#[test]
fn heights_that_jump_to_the_end_of_numbers_and_back_are_survived() {
    for nodes in ["a", "a b", "a b c"] {
        let mut world = World::of(nodes);
        world.run(100);
        for name in nodes.split(' ') {
            world.let_say(name, |m: &Moment| if m.second % 7 < 3 { m.at(u64::MAX) } else { m.truth() });
        }
        world.run(600);
        for name in nodes.split(' ') {
            world.let_say(name, Moment::truth);
        }
        world.run(300);
        let tip = world.snapshot().networks[0].tip.unwrap();
        assert!(tip.height.0.abs_diff(world.height()) <= 3, "{nodes}: {tip:?}, truth {}", world.height());
    }
}

/// A step costs what its observations cost, not what the whole fleet costs.
#[test]
fn a_step_touches_only_the_networks_that_heard_something() {
    let names: Vec<String> = (0..200).map(|i| format!("n{i}")).collect();
    let networks: Vec<_> = names.iter().map(|name| (network(name), "a b c d")).collect();
    let mut world = World::new(settings(&networks));
    world.run(20);
    world.stop("n7");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted n7"]);
}
