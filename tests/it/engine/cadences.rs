//! When blocks are due on networks of every kind, and when their absence is life.

use std::time::Duration;

use haltwatch::{
    engine::{
        finding::Finding,
        settings::{Cadence, NetworkLimits, NetworkSettings},
        snapshot::NetworkPhase,
    },
    model::AlertName,
};

use super::world::{World, network, settings};

fn of(cadence: Cadence, block_time: Option<u64>) -> NetworkSettings {
    NetworkSettings { cadence, block_time: block_time.map(Duration::from_secs), ..network("main") }
}

/// The same, polled less often, for long stories.
fn calm(network: NetworkSettings) -> World {
    let mut settings = settings(&[(network, "A B C D")]);
    settings.nodes.iter_mut().for_each(|node| node.interval = Duration::from_secs(20));
    World::new(settings)
}

fn world(network: NetworkSettings) -> World {
    World::new(settings(&[(network, "A B C D")]))
}

/// Stops the chain right after a block; returns how many milliseconds after that block the halt is told.
fn halt_told_after(world: &mut World, patience: i64) -> Option<i64> {
    let height = world.height();
    world.run_up_to("main", height + 1);
    let last_block = world.ms;
    world.run(patience);
    let told = world.fired(AlertName::NetworkHalted)?;
    Some(told.0 - last_block)
}

fn assert_between(ms: Option<i64>, from: i64, to: i64) {
    let ms = ms.expect("the halt is told");
    assert!((from * 1000..=to * 1000).contains(&ms), "told {ms} ms after the last block, wanted {from} to {to} s");
}

#[test]
fn missed_slots_are_life_and_ten_of_them_are_a_halt() {
    let mut world = world(of(Cadence::Slots, Some(12)));
    world.run(300);
    for missed in [1, 3, 1, 5, 8, 2] {
        world.stop("main");
        world.run(12 * missed);
        world.go("main");
        world.run(60);
    }
    assert_eq!(world.fired(AlertName::NetworkHalted), None, "{:?}", world.told());
    assert_between(halt_told_after(&mut world, 300), 118, 125);
}

#[test]
fn fast_slots_are_given_the_floor() {
    let limits = NetworkLimits { halt_floor: Duration::from_secs(45), ..NetworkLimits::default() };
    let mut world = world(NetworkSettings { limits, ..of(Cadence::Slots, Some(1)) });
    world.run(100);
    assert_between(halt_told_after(&mut world, 120), 44, 50);
}

#[test]
fn two_hours_without_a_block_are_luck_where_blocks_come_at_random() {
    let mut world = calm(of(Cadence::Poisson, Some(600)));
    world.run(7200);
    for gap in [60, 1200, 30, 7320, 5, 3600] {
        world.stop("main");
        world.run(gap);
        world.go("main");
        world.run(40);
    }
    assert_eq!(world.told(), Vec::<String>::new());
    world.stop("main");
    let last_block = world.ms - 39_900;
    world.run(7800);
    assert_eq!(world.fired(AlertName::NetworkHalted), None);
    assert!(world.snapshot().networks[0].halt_ratio.unwrap() < 1.0);
    world.run(120);
    assert_between(world.fired(AlertName::NetworkHalted).map(|(ms, _)| ms - last_block), 7890, 7910);
    world.beat("main", 600_000);
    world.go("main");
    world.run(5 * 600 + 100);
    assert!(world.told_names().contains(&"resolve NetworkHalted main".to_owned()), "{:?}", world.told());
}

#[test]
fn random_blocks_of_unknown_pace_are_given_hours_before_anybody_knows() {
    let mut world = calm(of(Cadence::Poisson, None));
    world.beat("main", 1_500_000);
    world.run(20_000);
    assert_eq!(world.told(), Vec::<String>::new());
    world.stop("main");
    world.run(50_000);
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "and yet it is found");
}

#[test]
fn a_declared_longest_gap_is_waited_for_three_times() {
    let longest = Duration::from_secs(60);
    let mut world = world(of(Cadence::IdleMax(longest), Some(2)));
    world.beat("main", 60_000);
    world.run(1800);
    assert_eq!(world.told(), Vec::<String>::new());
    assert_between(halt_told_after(&mut world, 400), 179, 186);
}

#[test]
fn work_makes_a_block_due_where_one_would_come_late_without_it() {
    let mut world = world(of(Cadence::IdleMax(Duration::from_secs(600)), Some(2)));
    world.run(100);
    world.stop("main");
    world.run(300);
    assert_eq!((world.told(), world.snapshot().networks[0].phase), (Vec::new(), NetworkPhase::Live));
    let start = world.ms;
    world.pending("main", 2);
    world.run(25);
    let ratio = world.snapshot().networks[0].halt_ratio.unwrap();
    assert!((0.5..1.0).contains(&ratio), "{ratio}");
    world.run(20);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert!((30_000..36_000).contains(&(ms - start)), "told after {} ms", ms - start);
    assert!(matches!(alert.finding, Finding::BlocksMissing { pending: Some(2), .. }), "{:?}", alert.finding);
}

#[test]
fn views_that_climb_while_nobody_waits_are_life() {
    for reports_pending in [true, false] {
        let mut world = calm(of(Cadence::OnDemand, Some(1)));
        world.run(10);
        world.stop("main");
        for name in ["A", "B", "C", "D"] {
            world.let_say(name, move |m| {
                m.but(|f| {
                    f.round = u64::try_from(m.second).ok();
                    f.pending = f.pending.filter(|_| reports_pending);
                })
            });
        }
        world.run(20_000);
        assert_eq!(world.fired(AlertName::NetworkHalted), None, "{:?}", world.told());
        assert_eq!(world.snapshot().networks[0].phase, NetworkPhase::Idle);
    }
}

#[test]
fn where_nobody_tells_what_waits_silence_is_no_halt() {
    let mut world = world(of(Cadence::OnDemand, None));
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, |m| m.but(|f| f.pending = None));
    }
    world.run(10);
    world.stop("main");
    world.pending("main", 9);
    world.run(3600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_second_stuck_transaction_after_a_recovery_is_a_second_halt() {
    let mut world = world(of(Cadence::OnDemand, Some(1)));
    world.run(10);
    world.stop("main");
    world.run(3600);
    world.pending("main", 1);
    world.run(60);
    world.pending("main", 0);
    world.go("main");
    world.run(20);
    world.stop("main");
    world.run(3600);
    world.pending("main", 1);
    world.run(60);
    let wanted = ["fire NetworkHalted main", "resolve NetworkHalted main", "fire NetworkHalted main"];
    assert_eq!(world.told_names(), wanted);
}

#[test]
fn absurd_settings_neither_panic_nor_page_a_running_chain() {
    let (none, all) = (Duration::ZERO, Duration::MAX);
    for cadence in [
        Cadence::Interval,
        Cadence::Slots,
        Cadence::Poisson,
        Cadence::IdleMax(none),
        Cadence::IdleMax(all),
        Cadence::OnDemand,
    ] {
        for block_time in [Some(none), Some(all), None] {
            for horizon in [none, all] {
                let limits = NetworkLimits { horizon, missing_blocks: u32::MAX, ..NetworkLimits::default() };
                let mut settings = settings(&[(network("main"), "A B C D")]);
                settings.networks[0] = NetworkSettings { cadence, block_time, limits, ..network("main") };
                let mut world = World::new(super::world::settings(&[(network("main"), "A B C D")]));
                world.run(10);
                world.reconfigure(settings);
                world.run(120);
                assert_eq!(world.told(), Vec::<String>::new(), "{cadence:?} {block_time:?} {horizon:?}");
                let _ = world.snapshot();
            }
        }
    }
}
