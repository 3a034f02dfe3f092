//! More than one block at one height: a split is told, whoever is left behind is accused, and heights that nobody
//! bears out are no blocks.

use std::time::Duration;

use haltwatch::{
    engine::{settings::NetworkSettings, snapshot::Effect},
    model::{AlertName, BlockHash, Height, Level},
};

use super::world::{Answer, Moment, World, block, network};

/// What a node says on a branch that left the main one above `fork`, at its own height: with the three multiples of
/// every power of four below it.
pub fn on(m: &Moment, branch: u8, fork: u64, height: u64) -> Answer {
    let hash = |height: u64| -> BlockHash { block(if fork < height { branch } else { 0 }, height) };
    m.but(|facts| {
        facts.head.height = Height(height);
        facts.head.hash = Some(hash(height));
        facts.head.parent = None;
        let rungs =
            (1..=6).flat_map(|power| (0..3).map(move |i| (height >> (2 * power)).saturating_sub(i) << (2 * power)));
        facts.checkpoints =
            rungs.filter(|rung| 0 < *rung && *rung < height).map(|rung| (Height(rung), hash(rung))).collect();
    })
}

/// From now on these nodes are on a branch that leaves the main one here and grows at a share of its pace.
fn part(world: &mut World, nodes: &str, branch: u8, percent: u64) {
    let fork = world.height();
    for node in nodes.split(' ') {
        world.let_say(node, move |m| on(m, branch, fork, fork + (m.height - fork) * percent / 100));
    }
}

fn honest(world: &mut World, nodes: &str) {
    part(world, nodes, 0, 100);
}

fn of(settings: NetworkSettings, nodes: &str) -> World {
    let mut world = World::new(super::world::settings(&[(settings, nodes)]));
    honest(&mut world, nodes);
    world
}

fn fires(world: &World) -> Vec<String> {
    let mut told: Vec<_> = world.told_names().into_iter().filter(|line| line.starts_with("fire")).collect();
    told.sort();
    told
}

#[test]
fn two_branches_that_both_grow_are_one_alert_until_they_have_merged() {
    for percent in [100, 60, 30] {
        let mut world = of(network("main"), "a b c d e f g h i j");
        world.run(300);
        part(&mut world, "g h i j", 9, percent);
        world.run(58);
        assert_eq!(world.told(), Vec::<String>::new(), "{percent}");
        world.run(20);
        assert_eq!(fires(&world), ["fire NetworkSplit main"], "{percent}");
        let alert = world.fired(AlertName::NetworkSplit).unwrap().1;
        assert_eq!((alert.level, alert.finding.reason()), (Level::L2, "branches_grow"));
        world.run(900);
        assert_eq!(world.told_names(), ["fire NetworkSplit main", "raise NetworkSplit main"], "{percent}");
        assert!(world.snapshot().alerts.iter().any(|a| a.key.name == AlertName::NetworkSplit && a.level == Level::L1));
        honest(&mut world, "g h i j");
        world.run(200);
        let whole = ["fire NetworkSplit main", "raise NetworkSplit main", "resolve NetworkSplit main"];
        assert_eq!(world.told_names(), whole, "{percent}");
    }
}

#[test]
fn a_draw_is_a_split_in_which_nobody_is_accused() {
    let mut world = of(network("main"), "A B C D E F G H");
    world.run(300);
    part(&mut world, "E F G H", 9, 50);
    part(&mut world, "A B C D", 8, 50);
    world.run(600);
    assert_eq!(fires(&world), ["fire NetworkSplit main"]);
    let forked = |effect: &Effect| matches!(effect, Effect::Quiet(alert, _) if alert.key.name == AlertName::NodeForked);
    assert!(!world.effects().iter().any(|(_, effect)| forked(effect)));
}

#[test]
fn a_split_is_told_when_its_slower_branch_is_long_and_old_enough() {
    let slow = NetworkSettings { block_time: Some(Duration::from_secs(20)), ..network("main") };
    let mut world = of(slow, "a b c d e f");
    world.run(400);
    let before = world.ms;
    part(&mut world, "d e f", 9, 100);
    world.run(600);
    let (ms, _) = world.fired(AlertName::NetworkSplit).unwrap();
    let late = (ms - before) / 1000;
    assert!((100..=130).contains(&late), "six blocks of twenty seconds: {late} s");
}

#[test]
fn short_forks_of_a_block_or_two_are_no_split() {
    let mut world = of(network("main"), "a b c d e f");
    world.run(300);
    for _ in 0..10 {
        part(&mut world, "d e f", 9, 100);
        world.run(8);
        honest(&mut world, "d e f");
        world.run(40);
    }
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn nodes_left_behind_on_a_dead_branch_are_no_split() {
    let mut world = of(network("main"), "a b c d e f");
    world.run(300);
    let fork = world.height();
    for node in ["e", "f"] {
        world.let_say(node, move |m| on(m, 9, fork, (fork + 7).min(m.height)));
    }
    world.run(900);
    let told = fires(&world);
    assert!(!told.contains(&"fire NetworkSplit main".to_owned()), "{told:?}");
}

#[test]
fn a_minority_below_a_quarter_is_forked_and_does_not_flap() {
    let mut world = of(network("main"), "a b c d e f g h i");
    world.run(300);
    part(&mut world, "h i", 9, 60);
    world.run(1200);
    let mut told: Vec<_> = world.told_names().into_iter().filter(|line| line.contains("NodeForked")).collect();
    told.sort();
    assert_eq!(told, ["fire NodeForked h", "fire NodeForked i"], "{:?}", world.told());
}

#[test]
fn heights_that_rise_on_branches_of_their_own_are_no_blocks() {
    let mut world = of(network("main"), "a b c d e");
    world.run(300);
    let stopped = world.ms;
    for (node, branch) in ["a", "b", "c", "d", "e"].into_iter().zip(1..) {
        part(&mut world, node, branch, 100);
    }
    world.run(60);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert_eq!(alert.finding.reason(), "blocks_missing");
    assert!((25_000..=45_000).contains(&(ms - stopped)), "{} ms", ms - stopped);
    world.run(600);
    assert_eq!(fires(&world), ["fire NetworkHalted main"]);
    let agreed = world.height();
    for node in ["a", "b", "c", "d", "e"] {
        world.let_say(node, move |m| on(m, 7, agreed - 640, m.height - 600));
    }
    world.run(180);
    assert!(world.told_names().contains(&"resolve NetworkHalted main".to_owned()), "{:?}", world.told());
}

#[test]
fn nodes_that_never_speak_of_the_same_height_prove_nothing_against_each_other() {
    let mut world = World::of("a b c d");
    for (node, off) in ["a", "b", "c", "d"].into_iter().zip(0..) {
        world.let_say(node, move |m| m.at(m.height / 8 * 8 + 2 * off));
    }
    world.run(600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_rogue_group_that_agrees_among_itself_moves_nothing() {
    for add in [3, 10_000_000] {
        let mut world = of(network("main"), "a b c d e");
        world.run(300);
        for node in ["d", "e"] {
            world.let_say(node, move |m| on(m, 9, 0, m.height + add));
        }
        world.run(300);
        let tip = world.snapshot().networks[0].tip.unwrap().height.0;
        assert!(tip <= world.height() && world.height() <= tip + 5, "{add}: {tip}");
        world.stop("main");
        for node in ["d", "e"] {
            world.let_say(node, move |m| on(m, 9, 0, m.height + add + u64::try_from(m.second).unwrap() - 600));
        }
        world.run(60);
        assert!(fires(&world).contains(&"fire NetworkHalted main".to_owned()), "{add}: {:?}", world.told());
    }
}

#[test]
fn a_block_that_was_told_once_before_its_chain_was_reorganised_makes_nobody_forked() {
    let mut settings = super::world::settings(&[(network("main"), "a b c d e")]);
    settings.nodes.iter_mut().for_each(|node| node.interval = Duration::from_secs(10));
    let mut world = World::new(settings);
    world.run(290);
    let fork = world.height() - 50;
    let moved = move |m: &Moment, height: u64| {
        m.but(|facts| {
            facts.head.height = Height(height);
            facts.head.hash = Some(block(if fork < height { 7 } else { 0 }, height));
            facts.head.parent = Some(block(if fork < height { 7 } else { 0 }, height - 1));
        })
    };
    for node in ["a", "b", "c", "d"] {
        world.let_say(node, move |m| moved(m, m.height));
    }
    // The last one of its round still tells an old block; then it follows, at heights of which nobody else speaks.
    world.run(10);
    world.let_say("e", move |m| moved(m, m.height - 4));
    world.run(900);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_reload_takes_back_the_words_of_the_nodes_that_are_gone_and_of_nobody_else() {
    let mut world = of(network("main"), "a b c d e f");
    world.run(300);
    part(&mut world, "e f", 9, 100);
    world.run(100);
    assert_eq!(fires(&world), ["fire NetworkSplit main"]);
    let fewer = super::world::settings(&[(network("main"), "a b c d")]);
    world.reconfigure(fewer.clone());
    world.settings = fewer;
    world.forget_last_node();
    world.forget_last_node();
    world.run(800);
    assert_eq!(world.told_names(), ["fire NetworkSplit main", "resolve NetworkSplit main"]);
}
