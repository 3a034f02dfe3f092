//! Trouble that comes and goes is told once: its beginning at once, its end when it has kept away for long enough.

use std::time::Duration;

use haltwatch::{engine::snapshot::AlertState, model::AlertName};

use super::world::{World, network, settings};

const WINDOW_MS: i64 = 600_000;

fn damped(nodes: &str) -> World {
    let mut main = network("main");
    main.limits.flap_window = Duration::from_secs(600);
    World::new(settings(&[(main, nodes)]))
}

#[test]
fn a_node_that_flaps_is_told_once_and_ends_once() {
    let mut world = damped("a b c d");
    world.run(100);
    for _ in 0..3 {
        world.kill("d");
        world.run(110);
        world.revive("d");
        world.run(50);
    }
    world.run(800);
    assert_eq!(world.told_names(), ["fire NodeOffline d", "resolve NodeOffline d"]);
}

#[test]
fn the_first_alert_is_not_delayed_and_its_end_comes_to_the_millisecond() {
    let mut world = damped("a b c d");
    world.run(100);
    world.kill("d");
    world.run(100);
    let (fired, _) = world.fired(AlertName::NodeOffline).unwrap();
    assert!((188_000..=194_000).contains(&fired), "{fired}");
    world.revive("d");
    world.run(700);
    let ended = world.effects().iter().rev().find_map(|(ms, effect)| match effect {
        haltwatch::engine::snapshot::Effect::Resolved(_) => Some(*ms),
        _ => None,
    });
    assert_eq!(ended, Some(fired + WINDOW_MS));
}

#[test]
fn an_alert_that_is_only_held_says_since_when_it_is_clear() {
    let mut world = damped("a b c d");
    world.run(100);
    world.kill("d");
    world.run(120);
    let offline = |world: &World| {
        world.snapshot().alerts.into_iter().find(|alert| alert.key.name == AlertName::NodeOffline).unwrap()
    };
    assert_eq!(offline(&world).clear_since, None);
    world.revive("d");
    let revived = world.now().wall;
    world.run(120);
    let held = offline(&world);
    assert_eq!(held.state, AlertState::Firing);
    assert!(held.clear_since.unwrap().since(revived) <= Duration::from_secs(4), "{held:?}");
    world.kill("d");
    world.run(120);
    assert_eq!(offline(&world).clear_since, None, "it is back");
    assert_eq!(world.told_names(), ["fire NodeOffline d"]);
}

#[test]
fn what_lasts_ends_as_soon_as_it_is_over() {
    let mut world = damped("a b c d");
    world.run(100);
    world.kill("d");
    world.run(1000);
    world.revive("d");
    world.run(40);
    assert_eq!(world.told_names(), ["fire NodeOffline d", "resolve NodeOffline d"]);
}

#[test]
fn every_halt_is_told_and_so_is_its_end() {
    let mut world = damped("A B C D");
    world.run(100);
    for _ in 0..3 {
        world.stop("main");
        world.run(60);
        world.go("main");
        world.run(30);
    }
    assert_eq!(world.told_names(), ["fire NetworkHalted main", "resolve NetworkHalted main"].repeat(3));
}

#[test]
fn a_network_that_is_seen_again_mutes_its_nodes_no_more() {
    let mut world = damped("a b c d");
    world.run(100);
    world.kill("a b c d");
    world.run(75);
    world.revive("a b c d");
    world.run(60);
    world.kill("d");
    world.run(120);
    let wanted = ["fire NetworkUnreachable main", "resolve NetworkUnreachable main", "fire NodeOffline d"];
    assert_eq!(world.told_names(), wanted);
}

#[test]
fn what_is_held_mutes_nobody() {
    let mut world = damped("a b c d");
    world.run(100);
    world.kill("d");
    world.run(120);
    world.revive("d");
    world.run(60);
    world.let_say("d", |m| m.at(1100));
    world.run(200);
    assert!(world.fired(AlertName::NodeStalled).is_some(), "{:?}", world.told());
}
