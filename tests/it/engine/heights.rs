//! Heights that go back, each for its reason.

use haltwatch::{engine::decrease::Cause, observation::Syncing};

use super::{branches::on, world::World};

fn world() -> World {
    let mut world = World::of("a b c d");
    for node in ["a", "b", "c", "d"] {
        world.let_say(node, |m| on(m, 0, 0, m.height));
    }
    world.run(300);
    world
}

fn cause(world: &World, name: &str) -> Option<Cause> {
    world.snapshot().nodes[world.node(name)].decrease.map(|decrease| decrease.cause)
}

#[test]
fn each_way_of_going_back_is_named_on_the_node() {
    let mut world = world();
    let fork = world.height() - 40;
    world.let_say("a", |m| on(m, 0, 0, m.height - 40 * u64::from(m.second % 8 < 2)));
    world.let_say("b", move |m| on(m, 7, fork, m.height - 20));
    world.let_say("c", |m| {
        on(m, 0, 0, m.height - 400).map(|mut facts| {
            facts.syncing = Syncing::Yes { behind: None };
            facts
        })
    });
    world.run(40);
    assert_eq!(cause(&world, "a"), Some(Cause::Skew));
    assert_eq!(world.snapshot().nodes[world.node("a")].reorgs, 0, "old backends replace nothing");
    assert!(matches!(cause(&world, "b"), Some(Cause::Reorganised { depth: 20.. })), "{:?}", cause(&world, "b"));
    assert_eq!((cause(&world, "c"), cause(&world, "d")), (Some(Cause::Resync), None));
    let told: Vec<_> = world.told_names().into_iter().filter(|line| line.contains("HeightRegression")).collect();
    assert_eq!(told, ["fire HeightRegression a"]);
}

#[test]
fn new_blocks_below_the_old_maximum_are_new_blocks() {
    let mut world = world();
    let fork = world.height() - 60;
    for node in ["a", "b", "c", "d"] {
        world.let_say(node, move |m| on(m, 7, fork, m.height - 60));
    }
    world.run(25);
    let tip = world.snapshot().networks[0].tip.unwrap().height.0;
    assert!(tip <= world.height() - 60, "followed at once: {tip}");
    world.run(600);
    assert!(!world.told_names().iter().any(|line| line.contains("NetworkHalted")), "{:?}", world.told());
}

#[test]
fn a_chain_that_begins_anew_is_followed_within_one_window() {
    let mut world = world();
    let start = world.height();
    for node in ["a", "b", "c", "d"] {
        world.let_say(node, move |m| on(m, 7, 0, m.height - start + 1));
    }
    world.run(60);
    let tip = world.snapshot().networks[0].tip.unwrap().height.0;
    assert!(tip < 100, "{tip}");
    assert_eq!(cause(&world, "a"), Some(Cause::Reset));
    world.run(600);
    world.stop("main");
    world.run(60);
    assert_eq!(world.told_names().into_iter().filter(|line| line.contains("NetworkHalted")).count(), 1);
}
