//! Blocks that come too slowly, and everything that is only late, unlucky or idle.

use std::time::Duration;

use haltwatch::{
    engine::{
        finding::Finding,
        settings::{Cadence, NetworkSettings},
    },
    model::{AlertName, Level},
};

use super::world::{World, network, settings};

fn every(ms: u64) -> NetworkSettings {
    NetworkSettings { block_time: Some(Duration::from_millis(ms)), ..network("main") }
}

fn world(network: NetworkSettings) -> World {
    World::new(settings(&[(network, "A B C D")]))
}

/// Gaps of a chain that makes blocks at random, always the same ones.
fn gaps(mean_ms: f64) -> impl Iterator<Item = i64> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        #[expect(clippy::cast_precision_loss, reason = "a fraction")]
        let fraction = (state >> 11) as f64 / (1_u64 << 53) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
        let gap = (-(1.0 - fraction).ln() * mean_ms) as i64;
        gap.max(1)
    })
}

/// How loud it is that blocks are slow.
fn level(world: &World) -> Option<Level> {
    let snapshot = world.snapshot();
    snapshot.alerts.iter().find(|alert| alert.key.name == AlertName::BlocksSlow).map(|alert| alert.level)
}

#[test]
fn blocks_at_a_quarter_of_their_rate_are_told_within_five_minutes_and_louder_when_it_lasts() {
    for block_ms in [500, 1000, 3000, 6000, 12_000] {
        let mut world = world(every(u64::try_from(block_ms).unwrap()));
        world.run(600);
        world.beat("main", 4 * block_ms);
        world.run(300);
        let (_, alert) = world.fired(AlertName::BlocksSlow).unwrap_or_else(|| panic!("{block_ms} ms"));
        assert_eq!(alert.level, Level::L3);
        let Finding::BlocksRare { blocks, expected, .. } = alert.finding else { panic!("{:?}", alert.finding) };
        assert!(3 * blocks < expected, "{blocks} of {expected}");
        world.run(900);
        assert_eq!(level(&world), Some(Level::L3), "{block_ms} ms, after twenty minutes");
        world.run(900);
        assert_eq!(level(&world), Some(Level::L2), "{block_ms} ms");
        world.beat("main", block_ms);
        world.run(600);
        assert_eq!(
            world.told_names(),
            ["fire BlocksSlow main", "raise BlocksSlow main", "resolve BlocksSlow main"],
            "{block_ms} ms"
        );
    }
}

#[test]
fn half_the_rate_empty_slots_and_single_gaps_are_not_slow() {
    let mut world = world(every(12_000));
    world.run(600);
    for gap in [24, 12, 24, 60, 12, 12, 48, 12, 60, 12, 24, 36, 12, 24, 24, 24, 24, 24, 24, 24] {
        world.beat("main", gap * 1000);
        world.run(gap);
    }
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_halt_is_not_called_slow_neither_before_nor_after() {
    let mut world = world(every(1000));
    world.run(300);
    world.stop("main");
    world.run(900);
    world.go("main");
    world.run(600);
    assert_eq!(world.told_names(), ["fire NetworkHalted main", "resolve NetworkHalted main"]);
}

#[test]
fn a_pause_of_the_monitor_and_blindness_slow_nothing_down() {
    let mut world = world(every(3000));
    world.run(300);
    world.sleep(600);
    world.run(300);
    world.cut(true);
    world.run(50);
    world.cut(false);
    world.run(300);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn where_blocks_come_only_with_work_none_is_slow() {
    for cadence in [Cadence::OnDemand, Cadence::IdleMax(Duration::from_secs(3600))] {
        let mut world = world(NetworkSettings { cadence, ..every(1000) });
        world.run(100);
        world.beat("main", 60_000);
        world.run(1800);
        assert_eq!(world.fired(AlertName::BlocksSlow), None);
    }
}

#[test]
fn bad_luck_is_not_slow_and_a_lasting_loss_of_hash_rate_is() {
    let mut world = world(NetworkSettings { cadence: Cadence::Poisson, ..every(15_000) });
    let mut gaps = gaps(15_000.0);
    for _ in 0..1500 {
        let gap = gaps.next().unwrap();
        world.beat("main", gap);
        world.run_ms(gap);
    }
    assert_eq!(world.told(), Vec::<String>::new(), "six hours and more of chance");
    for _ in 0..100 {
        let gap = gaps.next().unwrap() * 5;
        world.beat("main", gap);
        world.run_ms(gap);
    }
    assert!(world.fired(AlertName::BlocksSlow).is_some());
}

#[test]
fn slowness_is_told_when_it_is_due_though_nobody_says_anything_new() {
    let told = |restless| {
        let mut world = world(every(1000));
        world.restless = restless;
        world.run(600);
        world.beat("main", 7000);
        world.run(300);
        world.fired(AlertName::BlocksSlow).unwrap().0
    };
    assert_eq!(told(i64::MAX), told(50));
}
