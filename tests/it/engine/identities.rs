//! Which node an endpoint is: however many endpoints lead to one node, it has one word.

use std::sync::Arc;

use haltwatch::{engine::snapshot::NetworkView, model::AlertName};

use super::world::{World, block};

fn call_itself(world: &mut World, node: &str, identity: &'static str) {
    world.let_say(node, move |m| m.but(|f| f.identity = Some(identity.into())));
}

fn view(world: &World) -> NetworkView {
    world.snapshot().networks.swap_remove(0)
}

#[test]
fn two_endpoints_of_one_node_are_one_witness() {
    let mut world = World::of("a b c");
    for (node, identity) in [("a", "one"), ("b", "one"), ("c", "two")] {
        call_itself(&mut world, node, identity);
    }
    world.run(60);
    let view = view(&world);
    assert_eq!((view.voters, view.tip.unwrap().confirmed_by), (2, 2));
    let (node, speaker) = view.duplicates[0];
    assert_eq!((view.duplicates.len(), node.index() + speaker.index()), (1, 1), "a and b are one");
}

#[test]
fn a_rogue_head_that_two_endpoints_of_one_node_repeat_moves_nothing() {
    let mut world = World::of("a b c d");
    for (node, identity) in [("a", "rogue"), ("b", "rogue"), ("c", "two"), ("d", "three")] {
        call_itself(&mut world, node, identity);
    }
    world.run(60);
    world.stop("main");
    for node in ["a", "b"] {
        world.let_say(node, |m| {
            let mut facts = m.at(m.height + u64::try_from(m.second).unwrap())?;
            facts.identity = Some("rogue".into());
            facts.head.hash = Some(block(9, facts.head.height.0));
            facts.head.parent = None;
            Ok(facts)
        });
    }
    world.run(60);
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "{:?}", world.told());
}

#[test]
fn whoever_takes_the_name_of_another_gains_no_weight() {
    let mut world = World::of("a b c");
    for (node, identity) in [("a", "one"), ("b", "two"), ("c", "three")] {
        call_itself(&mut world, node, identity);
    }
    world.run(700);
    world.let_say("c", |m| {
        let mut facts = m.at(m.height + 60)?;
        facts.identity = Some("one".into());
        facts.head.hash = None;
        facts.head.parent = None;
        Ok(facts)
    });
    world.run(700);
    world.stop("main");
    let stopped = world.height();
    world.run(60);
    assert_eq!(view(&world).tip.unwrap().height.0, stopped, "the highest claim is not the one that counts");
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "{:?}", world.told());
}

#[test]
fn a_balancer_over_nodes_that_are_watched_themselves_has_no_word_of_its_own() {
    let mut world = World::of("a b c balancer");
    for (node, identity) in [("a", "one"), ("b", "two"), ("c", "three")] {
        call_itself(&mut world, node, identity);
    }
    world.let_say("balancer", |m| {
        let names = ["one", "two", "three"];
        let turn = usize::try_from(m.second / 2).unwrap() % names.len();
        m.but(|f| f.identity = Some(names[turn].into()))
    });
    world.run(60);
    let view = view(&world);
    assert_eq!((view.voters, view.duplicates.len()), (3, 1));
    assert_eq!(view.duplicates[0].0.index(), 3);
    world.stop("main");
    world.run(40);
    assert!(world.fired(AlertName::NetworkHalted).is_some());
}

#[test]
fn a_balancer_over_nodes_nobody_else_watches_has_one_word() {
    let mut world = World::of("balancer b c");
    world.let_say("balancer", |m| m.but(|f| f.identity = Some(if m.second % 4 < 2 { "one" } else { "two" }.into())));
    call_itself(&mut world, "b", "three");
    world.run(60);
    let view = view(&world);
    assert_eq!((view.voters, view.duplicates), (3, Vec::new()));
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn the_word_of_a_dead_endpoint_is_taken_over_by_the_other() {
    let mut world = World::of("a b c");
    for (node, identity) in [("a", "one"), ("b", "one"), ("c", "two")] {
        call_itself(&mut world, node, identity);
    }
    world.run(60);
    world.kill("a");
    world.run(60);
    let before = view(&world);
    assert_eq!((before.voters, before.duplicates), (2, Vec::new()));
    world.stop("main");
    world.run(40);
    assert!(world.fired(AlertName::NetworkHalted).is_some());
}

#[test]
fn versions_are_counted_and_a_flood_of_them_is_bounded() {
    let mut world = World::of("A B C D");
    for (node, version) in [("A", "geth/1"), ("B", "geth/1"), ("C", "geth/2")] {
        world.let_say(node, move |m| m.but(|f| f.version = Some(version.into())));
    }
    world.run(30);
    let counted: Vec<(Arc<str>, usize)> = view(&world).versions.into_iter().collect();
    assert_eq!(counted, [("geth/1".into(), 2), ("geth/2".into(), 1)]);

    let names: Vec<String> = (0..40).map(|i| format!("n{i:02}x")).collect();
    let mut world = World::of(&names.join(" "));
    for name in &names {
        let version: Arc<str> = name.as_str().into();
        world.let_say(name, move |m| m.but(|f| f.version = Some(Arc::clone(&version))));
    }
    world.run(30);
    assert_eq!(view(&world).versions.len(), haltwatch::engine::snapshot::VERSIONS);
}

#[test]
fn a_reload_forgets_who_repeated_whom_until_the_next_look() {
    let mut world = World::of("a b c");
    for (node, identity) in [("a", "two"), ("b", "one"), ("c", "one")] {
        call_itself(&mut world, node, identity);
    }
    world.run(60);
    assert_eq!(view(&world).duplicates.len(), 1);
    let mut settings = world.settings.clone();
    settings.nodes.pop();
    world.reconfigure(settings.clone());
    world.settings = settings;
    assert_eq!(view(&world).duplicates, Vec::new());
}
