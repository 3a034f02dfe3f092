//! What proves a halt, and what only looks like one: too few witnesses, old transactions, blocks of another branch,
//! polls that are rarer than the limit is long.

use std::time::Duration;

use haltwatch::{
    engine::settings::{Cadence, NetworkLimits, NetworkSettings, Settings},
    model::{AlertName, Height, UnixTime},
    observation::ErrorKind,
};

use super::world::{Answer, Moment, WALL, World, block, network, settings};

/// One network whose nodes are polled at another pace.
fn paced(network: NetworkSettings, nodes: &str, interval: u64, timeout: u64) -> Settings {
    let mut settings = settings(&[(network, nodes)]);
    for node in &mut settings.nodes {
        (node.interval, node.timeout) = (Duration::from_secs(interval), Duration::from_secs(timeout));
    }
    settings
}

/// What a node says that claims to be far ahead, on blocks of its own.
fn lie(m: &Moment) -> Answer {
    m.but(|facts| {
        facts.head.height = Height(m.height + 10_000_000);
        facts.head.hash = Some(block(9, m.height + 10_000_000));
        facts.head.parent = None;
    })
}

fn short_floor() -> NetworkSettings {
    let limits = NetworkLimits { halt_floor: Duration::from_secs(10), ..NetworkLimits::default() };
    NetworkSettings { limits, ..network("main") }
}

fn of_network(world: &World) -> Vec<String> {
    world.told_names().into_iter().filter(|line| line.contains("Network")).collect()
}

#[test]
fn at_the_start_every_node_is_asked_twice_before_old_timestamps_make_a_halt() {
    for (nodes, interval) in [("a", 5), ("A B C D", 5), ("a b c", 15)] {
        let mut world = World::new(paced(network("main"), nodes, interval, 5));
        world.wall_off = 86_400_000;
        world.run(300);
        assert_eq!(world.told(), Vec::<String>::new(), "{nodes} every {interval} s");
    }
    let mut world = World::new(paced(network("main"), "A B C D", 5, 5));
    world.stopped_before("main", 3600);
    world.run(11);
    assert_eq!(of_network(&world), ["fire NetworkHalted main"]);
}

#[test]
fn polls_rarer_than_the_limit_are_no_halt_and_hide_none() {
    for (network, interval) in [(short_floor(), 15), (network("main"), 60), (short_floor(), 5)] {
        let mut world = World::new(paced(network, "a", interval, 5));
        world.run(3600);
        assert_eq!(of_network(&world), Vec::<String>::new(), "every {interval} s");
        world.stop("main");
        world.run(i64::try_from(interval).unwrap() * 5 + 30);
        assert_eq!(of_network(&world), ["fire NetworkHalted main"], "every {interval} s");
    }
}

#[test]
fn the_last_words_of_the_dead_do_not_outvote_the_living() {
    let mut world = World::new(paced(short_floor(), "A B C D", 5, 5));
    world.run(100);
    world.kill("A B C");
    world.run(200);
    assert_eq!(of_network(&world), Vec::<String>::new());
}

#[test]
fn half_of_the_nodes_hanging_and_one_that_is_slow_delay_nothing() {
    let mut settings = paced(short_floor(), "A B C D", 1, 5);
    settings.nodes[3].interval = Duration::from_secs(4);
    let mut world = World::new(settings);
    world.run(99);
    for name in ["A", "B"] {
        world.let_say(name, |_| Err(ErrorKind::Timeout));
    }
    world.run(1);
    let last_block = 99_100;
    world.stop("main");
    world.run(20);
    let (ms, _) = world.fired(AlertName::NetworkHalted).unwrap();
    assert!(last_block < ms && ms <= last_block + 10_000 + 1000 + 200, "{} ms after the last block", ms - last_block);
}

#[test]
fn a_single_witness_of_many_is_listened_to_when_the_others_stay_away() {
    let mut world = World::of("a b c d");
    world.run(100);
    world.kill("b c d");
    world.run(800);
    assert_eq!(of_network(&world), Vec::<String>::new());
    world.stop("main");
    world.run(60);
    assert_eq!(of_network(&world), ["fire NetworkHalted main"]);
}

#[test]
fn core_nodes_we_cannot_reach_are_no_halt_while_one_node_sees_blocks() {
    let mut world = World::of("A B C D e");
    world.run(100);
    world.kill("A B C D");
    world.run(1500);
    assert_eq!(of_network(&world), Vec::<String>::new());
    world.kill("e");
    world.run(60);
    assert!(of_network(&world).contains(&"fire NetworkHalted main".to_owned()), "{:?}", world.told());
}

#[test]
fn nodes_that_trail_prove_no_rollback_and_their_betters_coming_back_no_recovery() {
    for nodes in ["A B C d", "A B c d"] {
        let slow = NetworkSettings { block_time: Some(Duration::from_secs(15)), ..network("main") };
        let mut world = World::new(settings(&[(slow, nodes)]));
        for name in nodes.split(' ').filter(|name| name.chars().all(char::is_lowercase)) {
            world.let_say(name, |m| m.at(m.height - 60));
        }
        world.run(600);
        world.stop("main");
        world.run(200);
        let first = nodes.split(' ').filter(|name| name.chars().all(char::is_uppercase)).collect::<Vec<_>>().join(" ");
        for _ in 0..3 {
            world.kill(&first);
            world.run(60);
            world.revive(&first);
            world.run(300);
        }
        assert_eq!(of_network(&world), ["fire NetworkHalted main"], "{nodes}");
    }
}

#[test]
fn a_rollback_onto_another_branch_makes_nobody_forked() {
    for depth in [20, 45, 500] {
        let mut world = World::of("A B C D");
        world.run(1000);
        world.roll_back("main", depth);
        for name in ["A", "B", "C", "D"] {
            world.let_say(name, |m| {
                m.but(|f| (f.head.hash, f.head.parent) = (Some(block(7, m.height)), Some(block(7, m.height - 1))))
            });
        }
        world.run(900);
        assert!(!world.told_names().iter().any(|line| line.contains("NodeForked")), "{depth}: {:?}", world.told());
        assert_eq!(world.snapshot().networks[0].voters, 4);
    }
}

#[test]
fn nobody_lags_behind_blocks_that_the_whole_network_has_left() {
    for depth in [20, 60, 95] {
        let slow = NetworkSettings { block_time: Some(Duration::from_secs(12)), ..network("main") };
        let mut world = World::new(paced(slow, "A B C D E", 5, 2));
        world.run(1300);
        world.roll_back("main", depth);
        world.run(900);
        assert!(!world.told_names().iter().any(|line| line.contains("Node")), "{depth}: {:?}", world.told());
    }
}

#[test]
fn the_node_that_is_seen_first_on_a_chain_that_was_set_back_lags_behind_nobody() {
    for (first, others) in [(5, 5), (10, 10), (5, 30), (30, 30), (30, 5), (5, 60)] {
        let slow = NetworkSettings { block_time: Some(Duration::from_secs(12)), ..network("main") };
        let mut settings = paced(slow, "A B C D E F", others, 2);
        settings.nodes[0].interval = Duration::from_secs(first);
        let mut world = World::new(settings);
        // Hashes prove the fall of one at once; of the others only their heights tell, when all recent ones are lower.
        // One poll of some of them is lost as well.
        world.let_all_say(|m| match m.second {
            1320..1325 => Err(ErrorKind::Http5xx),
            _ => m.but(|f| (f.head.hash, f.head.parent) = (None, None)),
        });
        world.let_say("A", Moment::truth);
        world.run(1300);
        world.roll_back("main", 82);
        world.let_say("A", |m| {
            m.but(|f| (f.head.hash, f.head.parent) = (Some(block(7, m.height)), Some(block(7, m.height - 1))))
        });
        world.run(1800);
        let told = world.told_names();
        assert!(!told.iter().any(|line| line.contains("Node")), "{first}, {others}: {:?}", world.told());
    }
}

#[test]
fn a_liar_beside_a_chain_that_is_set_back_makes_nobody_lag() {
    let slow = NetworkSettings { block_time: Some(Duration::from_secs(6)), ..network("main") };
    let mut world = World::new(paced(slow, "A B C D E", 15, 2));
    world.run(1200);
    world.roll_back("main", 98);
    world.run(10);
    world.let_say("D", lie);
    world.run(600);
    let told = world.told();
    assert!(!told.iter().any(|line| line.contains("NodeLagging")), "{told:?}");
}

#[test]
fn a_liar_who_held_the_tip_with_one_other_makes_no_halt_of_a_chain_that_is_set_back() {
    for liar in ["A", "B", "C", "D"] {
        let mut settings = paced(network("main"), "A B C D", 15, 2);
        (14..).zip(&mut settings.nodes).for_each(|(seconds, node)| node.interval = Duration::from_secs(seconds));
        let mut world = World::new(settings);
        world.run(600);
        world.roll_back("main", 81);
        world.run(6);
        world.let_say(liar, lie);
        world.run(300);
        let told = world.told();
        assert!(!told.iter().any(|line| line.contains("NetworkHalted")), "{liar}: {told:?}");
    }
}

#[test]
fn a_node_that_comes_down_alone_lags_whatever_the_others_do() {
    for idle in [false, true] {
        let on_demand =
            NetworkSettings { cadence: Cadence::OnDemand, block_time: Some(Duration::from_secs(1)), ..network("main") };
        let mut world = World::new(settings(&[(on_demand, "A B C D")]));
        world.run(300);
        if idle {
            world.stop("main");
        }
        world.let_say("D", |m| m.at(1100 + u64::try_from(m.second - 300).unwrap() / 4));
        world.run(150);
        assert!(world.told_names().contains(&"fire NodeLagging D".to_owned()), "{idle}: {:?}", world.told());
    }
}

#[test]
fn a_minority_that_always_speaks_first_stays_the_forked_one() {
    let slow = NetworkSettings { block_time: Some(Duration::from_secs(20)), ..network("main") };
    let mut world = World::new(paced(slow, "g h a b c d e f i j", 10, 5));
    world.run(100);
    for name in ["g", "h"] {
        world.let_say(name, |m| {
            m.but(|f| (f.head.hash, f.head.parent) = (Some(block(9, m.height)), Some(block(9, m.height - 1))))
        });
    }
    world.run(900);
    let mut told = world.told_names();
    told.sort();
    assert_eq!(told, ["fire NodeForked g", "fire NodeForked h"]);
}

#[test]
fn an_overloaded_gateway_that_fails_in_two_ways_by_turns_is_unreachable() {
    let mut world = World::of("a b c");
    world.run(100);
    for name in ["a", "b", "c"] {
        world.let_say(name, |m| Err(if m.second % 4 < 2 { ErrorKind::RateLimited } else { ErrorKind::Http5xx }));
    }
    world.run(100);
    assert_eq!(of_network(&world), ["fire NetworkUnreachable main"]);
}

fn on_demand() -> World {
    World::new(settings(&[(NetworkSettings { cadence: Cadence::OnDemand, ..network("main") }, "A B C D")]))
}

#[test]
fn transactions_that_blocks_pass_over_prove_no_halt_and_a_new_one_does() {
    let mut world = on_demand();
    world.run(60);
    world.pending("main", 3);
    world.run(20);
    world.stop("main");
    world.run(1800);
    assert_eq!(world.told(), Vec::<String>::new(), "what no block ever takes waits for ever");
    world.pending("main", 4);
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn transactions_that_waited_before_the_monitor_came_prove_no_halt_and_a_new_one_does() {
    let mut world = on_demand();
    world.stop("main");
    world.pending("main", 3);
    world.run(1800);
    assert_eq!(world.told(), Vec::<String>::new(), "any number of blocks may have passed them over");
    world.pending("main", 4);
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn a_transaction_that_came_just_after_the_last_block_proves_the_halt() {
    let mut world = on_demand();
    world.run(60);
    world.stop("main");
    world.pending("main", 1);
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn a_busy_chain_whose_pool_never_empties_is_seen_to_halt() {
    let mut world = on_demand();
    world.run(20);
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, |m| m.but(|f| f.pending = Some(40 + u64::try_from(m.second).unwrap() % 5)));
    }
    world.run(100);
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, |m| m.but(|f| f.pending = Some(40 + u64::try_from(m.second).unwrap() - 120)));
    }
    world.stop("main");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

/// From second 100 on so many transactions wait and five fit into a block: each block takes as many as it can, until only
/// those are left that no block will ever take. A block a second.
fn works_off(world: &mut World, queue: u64, sediment: u64) {
    world.let_all_say(move |m| {
        let blocks = m.height.saturating_sub(1100);
        let before = queue.saturating_sub(5 * blocks.saturating_sub(1));
        let after = queue.saturating_sub(5 * blocks);
        let (pending, carried) = if blocks == 0 { (0, 2) } else { (sediment + after, before - after) };
        m.but(|f| (f.pending, f.head.transactions) = (Some(pending), Some(carried)))
    });
}

#[test]
fn a_chain_that_halts_in_the_midst_of_a_backlog_is_found_though_nobody_wants_anything_more() {
    let mut world = on_demand();
    works_off(&mut world, 3000, 0);
    world.run(300);
    world.stop("main");
    world.run(3 * 3600);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"], "and never takes what waits for the usual");
    let (ms, _) = world.fired(AlertName::NetworkHalted).unwrap();
    assert!((329_000..335_000).contains(&ms), "told at {ms} ms");
    world.go("main");
    world.run(120);
    let wanted = ["fire NetworkHalted main", "resolve NetworkHalted main", "fire TransactionBacklog main"];
    assert_eq!(world.told_names(), wanted, "what has waited for three hours waits a little longer");
}

#[test]
fn what_a_block_with_room_for_it_leaves_behind_proves_no_halt() {
    let mut world = on_demand();
    works_off(&mut world, 497, 50);
    world.run_up_to("main", 1200);
    world.run(3 * 3600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_liar_who_is_heard_first_halts_nobody() {
    for core in ["A B C D", "a b c"] {
        let mut world = World::new(paced(network("main"), core, 10, 2));
        world.first_polls(&[300, 4000, 5000, 6000][..core.split(' ').count()]);
        world.let_say(&core[..1], lie);
        world.run(900);
        let told = world.told();
        assert!(!told.iter().any(|line| line.contains("Halted") || line.contains("Lagging")), "{told:?}");
    }
}

#[test]
fn a_chain_that_is_set_back_twice_goes_on_both_times() {
    for (seconds, between) in [(5, 44), (10, 59), (15, 47)] {
        let slow = NetworkSettings { block_time: Some(Duration::from_secs(2)), ..network("main") };
        let mut world = World::new(paced(slow, "A B C", seconds, 2));
        world.let_all_say(|m| m.but(|f| (f.head.hash, f.head.parent) = (None, None)));
        world.run(600);
        world.roll_back("main", 74);
        world.run(between);
        world.roll_back("main", 86);
        world.run(600);
        assert_eq!(world.fired(AlertName::NetworkHalted), None, "every {seconds} s: {:?}", world.told());
    }
}

#[test]
fn a_second_node_that_stands_still_is_stalled_and_takes_the_tip_from_nobody() {
    for behind in [200, 900] {
        let mut world = World::of("a b");
        world.first_polls(&[300, 1500]);
        world.let_say("b", move |m| m.at(1000 - behind));
        world.run(300);
        assert_eq!(world.told_names(), ["fire NodeStalled b"], "{behind}");
    }
}

#[test]
fn a_second_node_that_catches_up_hides_no_halt() {
    let mut world = World::of("a b");
    world.first_polls(&[300, 1500]);
    world.let_say("b", |m| m.at(10 + 2 * u64::try_from(m.second).unwrap()));
    world.run(60);
    world.stop("main");
    world.run(60);
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "{:?}", world.told());
}

#[test]
fn a_node_that_is_asked_rarely_holds_up_nobody() {
    for seconds in [300, 1800] {
        let mut settings = settings(&[(NetworkSettings { block_time: None, ..network("main") }, "A B C D E")]);
        settings.nodes[4].interval = Duration::from_secs(seconds);
        let mut world = World::new(settings);
        world.run(600);
        world.stop("main");
        world.run(40);
        assert!(world.fired(AlertName::NetworkHalted).is_some(), "{seconds} s: {:?}", world.told());
    }
}

#[test]
fn a_time_that_moves_while_the_height_stands_hides_no_halt_after_a_rollback() {
    let network = NetworkSettings { block_time: Some(Duration::from_secs(6)), ..network("main") };
    let mut world = World::new(paced(network, "A B C D", 10, 5));
    world.let_all_say(|m| {
        m.but(|facts| {
            facts.head.time = Some(UnixTime::from_millis(WALL + m.second * 1000));
            (facts.head.hash, facts.head.parent) = (None, None);
        })
    });
    world.run(1800);
    world.roll_back("main", 50);
    world.stop("main");
    world.run(300);
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "{:?}", world.told());
}
