//! The learned block time: how it follows what really changed, and what must never teach it anything.

use std::time::Duration;

use haltwatch::{engine::settings::NetworkSettings, model::AlertName, observation::ErrorKind};

use super::world::{World, network, settings};

fn unknown(block_ms: i64) -> World {
    let mut world = World::new(settings(&[(NetworkSettings { block_time: None, ..network("main") }, "A B C D")]));
    world.beat("main", block_ms);
    world
}

fn learned(world: &World) -> f64 {
    world.snapshot().networks[0].block_time.unwrap().value.as_secs_f64()
}

#[test]
fn an_upgrade_that_halves_or_doubles_the_block_time_is_followed_without_an_alarm() {
    for (before, after) in [(12_000, 6000), (6000, 12_000), (3000, 1500), (1500, 3000)] {
        let mut world = unknown(before);
        world.run(before / 1000 * 60 + 60);
        world.beat("main", after);
        world.run(after / 1000 * 40 + 60);
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let wanted = after as f64 / 1000.0;
        assert!((learned(&world) - wanted).abs() < wanted / 4.0, "{before} to {after}: {}", learned(&world));
        assert_eq!(world.told(), Vec::<String>::new(), "{before} to {after}");
    }
}

#[test]
fn how_many_samples_there_are_is_known() {
    let mut world = unknown(6000);
    world.run(20);
    assert_eq!(world.snapshot().networks[0].block_time, None, "too few to say anything");
    world.run(100);
    let samples = world.snapshot().networks[0].block_time.unwrap().samples.unwrap();
    assert!((10..=20).contains(&samples), "{samples}");
}

#[test]
fn a_long_series_of_stalls_does_not_slow_the_next_detection() {
    let mut world = unknown(1000);
    world.run(300);
    for _ in 0..8 {
        world.stop("main");
        world.run(1800);
        world.go("main");
        world.run(120);
    }
    assert!(learned(&world) < 1.5, "{}", learned(&world));
    let halts = world.told().len();
    world.stop("main");
    world.run(35);
    assert_eq!(world.told().len(), halts + 1, "as fast as the first time: {:?}", world.told());
}

#[test]
fn a_chain_that_became_sixty_times_slower_is_not_halted_for_ever() {
    let mut world = unknown(1000);
    world.run(300);
    world.beat("main", 60_000);
    world.run(3600);
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "at first nobody can know better");
    assert!((50.0..70.0).contains(&learned(&world)), "{}", learned(&world));
    let before = world.told().len();
    world.run(7200);
    assert_eq!(world.told().len(), before, "{:?}", world.told());
}

#[test]
fn a_chain_faster_than_declared_keeps_its_declared_limits_and_halts_in_time() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.beat("main", 250);
    world.run(900);
    assert_eq!(world.told(), Vec::<String>::new());
    world.stop("main");
    world.run(36);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn nodes_that_are_polled_rarely_and_flap_teach_the_true_block_time() {
    for (interval, block_ms) in [(15, 1000), (30, 400), (15, 6000), (5, 2000)] {
        let mut settings = settings(&[(NetworkSettings { block_time: None, ..network("main") }, "A B C")]);
        settings.nodes.iter_mut().for_each(|node| node.interval = Duration::from_secs(interval));
        let mut world = World::new(settings);
        world.beat("main", block_ms);
        world.let_say("C", |m| if m.second % 7 < 3 { Err(ErrorKind::Timeout) } else { m.truth() });
        world.run(1800);
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let wanted = block_ms as f64 / 1000.0;
        let learned = learned(&world);
        assert!((learned - wanted).abs() < wanted / 2.0, "{interval} s, {block_ms} ms: {learned}");
        assert_eq!(world.told_names().iter().find(|line| line.ends_with(" main")), None, "{interval} s, {block_ms} ms");
    }
}
