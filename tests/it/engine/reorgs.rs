//! Blocks replaced by others: told when most of those who answer have moved, once, with what is proven of the depth.

use haltwatch::{
    engine::finding::Finding,
    model::{AlertName, Height, Level},
};

use super::{
    branches::on,
    world::{World, block},
};

const ALL: [&str; 5] = ["a", "b", "c", "d", "e"];

fn world() -> World {
    let mut world = World::of("a b c d e");
    for node in ALL {
        world.let_say(node, |m| on(m, 0, 0, m.height));
    }
    world.run(700);
    world
}

/// From now on these nodes are on another branch from so far below, and that much lower.
fn reorganise(world: &mut World, nodes: &[&str], branch: u8, depth: u64, lower: u64) {
    let fork = world.height() - depth;
    for node in nodes {
        world.let_say(node, move |m| on(m, branch, fork, m.height - lower));
    }
}

fn deep(world: &World) -> Vec<String> {
    world.told_names().into_iter().filter(|line| line.contains("DeepReorg")).collect()
}

#[test]
fn a_deep_reorganisation_is_told_once_whether_or_not_the_head_goes_back() {
    for lower in [0, 140] {
        let mut world = world();
        reorganise(&mut world, &ALL, 7, 157, lower);
        world.run(80);
        let (_, alert) = world.fired(AlertName::DeepReorg).expect("told in time");
        let Finding::Reorganised { depth, at_most, .. } = alert.finding else { panic!("{:?}", alert.finding) };
        assert!(depth <= 160 && at_most.is_none_or(|most| 150 <= most), "{depth} {at_most:?}");
        world.run(900);
        assert_eq!(deep(&world), ["fire DeepReorg main", "resolve DeepReorg main"]);
    }
}

#[test]
fn what_is_ten_times_deeper_than_the_limit_is_critical() {
    let mut world = world();
    reorganise(&mut world, &ALL, 7, 600, 0);
    world.run(80);
    assert_eq!(world.fired(AlertName::DeepReorg).unwrap().1.level, Level::L1);
}

#[test]
fn a_block_or_two_replaced_is_ordinary_life() {
    let mut world = world();
    for branch in 1..20 {
        reorganise(&mut world, &ALL, branch, 2, 0);
        world.run(4);
        reorganise(&mut world, &ALL, 0, 0, 0);
        world.run(26);
    }
    assert_eq!(deep(&world), Vec::<String>::new());
}

#[test]
fn one_node_that_changes_its_mind_is_not_the_network() {
    let mut world = world();
    reorganise(&mut world, &["e"], 7, 157, 0);
    world.run(300);
    assert_eq!(world.told_names(), ["fire NodeForked e"]);
}

#[test]
fn a_minority_that_comes_home_reorganises_itself_only() {
    let mut world = world();
    reorganise(&mut world, &["d", "e"], 7, 0, 0);
    world.run(400);
    reorganise(&mut world, &["d", "e"], 0, 0, 0);
    world.run(300);
    assert_eq!(deep(&world), Vec::<String>::new());
}

#[test]
fn a_majority_that_gives_up_its_branch_was_reorganised() {
    let mut world = world();
    reorganise(&mut world, &["a", "b", "c"], 7, 0, 0);
    world.run(400);
    reorganise(&mut world, &["a", "b", "c"], 0, 0, 0);
    world.run(60);
    assert_eq!(deep(&world), ["fire DeepReorg main"]);
}

#[test]
fn backends_on_two_branches_behind_one_balancer_are_no_reorganisation() {
    let mut world = world();
    let fork = world.height() - 100;
    for node in ALL {
        world.let_say(node, move |m| on(m, if m.second % 4 < 2 { 0 } else { 7 }, fork, m.height));
    }
    world.run(600);
    assert_eq!(deep(&world), Vec::<String>::new());
}

/// From now on all nodes are on a third branch, which left the second, itself parted `first` blocks ago, `depth` blocks ago.
fn reorganise_again(world: &mut World, first: u64, depth: u64) {
    let fork = world.height() - depth;
    for node in ALL {
        world.let_say(node, move |m| {
            let mut facts = on(m, 7, first, m.height)?;
            let head = (facts.head.height, &mut facts.head.hash);
            let renewed = |height: Height| fork < height.0;
            *head.1 = head.1.filter(|_| !renewed(head.0)).or(Some(block(8, head.0.0)));
            for (height, hash) in facts.checkpoints.iter_mut().filter(|(height, _)| renewed(*height)) {
                *hash = block(8, height.0);
            }
            Ok(facts)
        });
    }
}

fn depth_told(world: &World) -> (u64, Level) {
    let alert = world.snapshot().alerts.into_iter().find(|alert| alert.key.name == AlertName::DeepReorg).unwrap();
    let Finding::Reorganised { depth, .. } = alert.finding else { panic!("{:?}", alert.finding) };
    (depth, alert.level)
}

#[test]
fn a_second_and_shallower_reorganisation_some_minutes_later_is_told_too() {
    let mut world = world();
    let first = world.height() - 157;
    reorganise(&mut world, &ALL, 7, 157, 0);
    world.run(500);
    reorganise_again(&mut world, first, 44);
    world.run(80);
    assert_eq!(deep(&world), ["fire DeepReorg main", "resolve DeepReorg main", "fire DeepReorg main"]);
    let (depth, level) = depth_told(&world);
    assert!((11..=64).contains(&depth) && level == Level::L2, "the second: {depth} {level:?}");
}

#[test]
fn a_reorganisation_in_the_minutes_in_which_another_is_still_told_is_shown_with_its_own_depth() {
    let mut world = world();
    let first = world.height() - 157;
    reorganise(&mut world, &ALL, 7, 157, 0);
    world.run(200);
    reorganise_again(&mut world, first, 44);
    world.run(40);
    assert_eq!(deep(&world), ["fire DeepReorg main"]);
    let (depth, _) = depth_told(&world);
    assert!((11..=64).contains(&depth), "the depth of the second: {depth}");
}
