//! A monitor that dies and is started again remembers nothing: what still is so must be found again under the same
//! identity, what is over must not come back, and what began meanwhile must be told.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    engine::{Engine, finding::Finding},
    model::AlertName,
};

use super::world::{World, block};

/// The monitor dies and is started again so many seconds later.
fn restart(world: &mut World, seconds: i64) {
    world.sleep(seconds);
    world.engine = Engine::new(Arc::new(world.settings.clone()), world.now());
    world.wake_at = None;
}

fn since(world: &World, told: usize) -> Vec<String> {
    world.told_names().split_off(told)
}

#[test]
fn a_halt_that_goes_on_over_a_restart_is_found_again_under_the_same_identity() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(60);
    let before = world.fired(AlertName::NetworkHalted).unwrap().1.key;
    let told = world.told_names().len();
    restart(&mut world, 5);
    world.run(15);
    assert_eq!(since(&world, told), ["fire NetworkHalted main"]);
    let again = world.snapshot().alerts.iter().find(|alert| alert.key.name == AlertName::NetworkHalted).unwrap().key;
    assert_eq!(again, before);
}

#[test]
fn a_halt_that_ended_while_nobody_watched_does_not_come_back() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(60);
    world.go("main");
    let told = world.told_names().len();
    restart(&mut world, 300);
    world.run(600);
    assert_eq!(since(&world, told), Vec::<String>::new());
}

#[test]
fn what_began_while_nobody_watched_is_told() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.kill("D");
    restart(&mut world, 20);
    world.run(120);
    let told = world.told_names();
    assert!(told.contains(&"fire NodeOffline D".to_owned()), "{told:?}");
    world.stop("main");
    restart(&mut world, 45);
    world.run(20);
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "{:?}", world.told());
}

#[test]
fn a_branch_of_a_minority_is_found_though_another_node_stands_still() {
    let mut world = World::of("a b c d e f");
    world.run(60);
    world.let_say("e", |m| m.at(1060));
    world.let_say("f", |m| {
        m.but(|f| {
            f.head.hash = Some(block(7, m.height));
            f.head.parent = Some(block(7, m.height - 1));
        })
    });
    world.run(200);
    let mut told = world.told_names();
    told.sort();
    assert_eq!(told, ["fire NodeForked f", "fire NodeStalled e"]);
}

#[test]
fn a_halt_found_again_after_a_restart_counts_from_its_last_block() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(600);
    restart(&mut world, 60);
    world.run(15);
    let (_, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    let halted = world.snapshot().alerts.iter().find(|it| it.key == alert.key).cloned().unwrap();
    let Finding::BlocksMissing { gap, .. } = halted.finding else { panic!("{:?}", halted.finding) };
    assert!(Duration::from_secs(660) <= gap, "{gap:?}");
}
