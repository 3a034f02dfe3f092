//! Is one node in trouble? Each trouble under its own name, and nobody accused for another's.

use std::time::Duration;

use haltwatch::{
    engine::{
        finding::Finding,
        settings::NetworkSettings,
        snapshot::{AlertState, Effect},
    },
    model::{
        AlertName, Level,
        NodeState::{self, self as S},
        UnixTime,
    },
    observation::{ErrorKind, Syncing},
};

use super::world::{Answer, Moment, WALL, World, block, network, settings};

fn state(world: &World, name: &str) -> NodeState {
    world.snapshot().nodes[world.node(name)].state
}

#[test]
fn a_dead_node_is_offline_after_its_limit_and_its_facts_vanish_at_once() {
    let mut world = World::of("A b c d");
    world.run(100);
    assert!(world.snapshot().nodes[0].facts.is_some());
    world.kill("A b");
    world.run(3);
    let view = world.snapshot().nodes[0].clone();
    assert_eq!((view.up, view.state, view.facts.is_none()), (Some(false), NodeState::Unreachable, true));
    assert_eq!((view.lag_blocks, view.error.unwrap().0), (None, ErrorKind::Refused));
    world.run(85);
    assert_eq!(world.told(), Vec::<String>::new(), "an outage below the limit is no alert");
    world.run(10);
    assert_eq!(world.told_names(), ["fire NodeOffline A", "fire NodeOffline b"]);
    let levels: Vec<_> = world.snapshot().alerts.iter().map(|alert| alert.level).collect();
    assert_eq!(levels, [Level::L2, Level::L3, Level::None], "core nodes are louder");
    world.revive("A b");
    world.run(60);
    assert_eq!(world.told_names()[2..], ["resolve NodeOffline A", "resolve NodeOffline b"]);
}

#[test]
fn a_rolling_restart_is_not_an_outage() {
    let mut world = World::of("A B C D E F G h i");
    world.run(100);
    for name in ["A", "B", "C", "D", "E", "F", "G", "h", "i"] {
        world.kill(name);
        world.run(45);
        world.revive(name);
        world.run(30);
    }
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_never_polled_node_is_unknown_and_neither_good_nor_bad() {
    let mut world = World::of("a b c d");
    world.never_poll("d");
    world.run(600);
    let view = &world.snapshot().nodes[world.node("d")];
    assert_eq!((view.state, view.up, view.lag_blocks, view.state_since), (NodeState::Unknown, None, None, None));
    assert_eq!(world.snapshot().networks[0].voters, 3);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn values_of_a_node_nobody_polls_any_more_vanish_instead_of_freezing() {
    let mut world = World::of("a b c d");
    world.run(100);
    world.never_poll("d");
    world.run(7);
    let view = &world.snapshot().nodes[world.node("d")];
    assert!(view.facts.is_none() && view.lag_blocks.is_none() && view.up.is_none());
    assert_eq!(view.state, NodeState::Unknown);
    world.run(600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_node_of_another_chain_is_quarantined_and_nothing_else_moves() {
    let mut world = World::of("A b c d");
    world.run(60);
    let tip = world.snapshot().networks[0].tip.unwrap().height;
    world.let_say("d", |m| m.but(|f| (f.chain_id, f.head.height.0) = (Some("other".into()), 77_000_000)));
    world.run(300);
    assert_eq!(world.told_names(), ["fire NodeWrongChain d"]);
    assert_eq!(state(&world, "d"), NodeState::WrongChain);
    let snapshot = world.snapshot();
    assert!(snapshot.networks[0].tip.unwrap().height.above(tip) <= 302);
    assert_eq!((snapshot.networks[0].voters, snapshot.nodes[3].lag_blocks), (3, None));
    world.revive("d");
    world.run(120);
    assert_eq!(world.told_names(), ["fire NodeWrongChain d", "resolve NodeWrongChain d"]);
}

#[test]
fn another_genesis_block_is_another_chain() {
    let mut world = World::of("a b c");
    for (name, branch) in [("a", 1), ("b", 1), ("c", 2)] {
        world.let_say(name, move |m| m.but(|f| f.genesis = Some(block(branch, 0))));
    }
    world.run(60);
    assert_eq!(world.told_names(), ["fire NodeWrongChain c"]);
    assert_eq!(world.fired(AlertName::NodeWrongChain).unwrap().1.finding.reason(), "genesis_differs");
}

#[test]
fn two_nodes_of_two_chains_are_both_doubted_and_the_blindness_is_told() {
    let mut world = World::of("a b");
    for (name, branch) in [("a", 1), ("b", 2)] {
        world.let_say(name, move |m| m.but(|f| f.genesis = Some(block(branch, 0))));
    }
    world.run(25);
    assert_eq!(world.told(), Vec::<String>::new(), "at the start others may still be heard");
    world.run(120);
    assert_eq!(world.told_names(), ["fire NodeWrongChain a", "fire NodeWrongChain b", "fire NetworkUnreachable main"]);
    assert_eq!(world.fired(AlertName::NodeWrongChain).unwrap().1.finding.reason(), "nodes_disagree");
    assert_eq!(world.fired(AlertName::NetworkUnreachable).unwrap().1.finding.reason(), "no_node_of_this_chain");
    world.let_say("b", |m| m.but(|f| f.genesis = Some(block(1, 0))));
    world.run(120);
    assert_eq!(world.snapshot().alerts.len(), 1, "only the watchdog goes on: {:?}", world.told_names());
}

#[test]
fn a_node_whose_chain_id_is_wrong_has_no_say_about_the_genesis_block() {
    let pinned = NetworkSettings { chain_id: Some("1".into()), ..network("main") };
    let mut world = World::new(settings(&[(pinned, "a b")]));
    for (name, chain_id, branch) in [("a", "1", 1), ("b", "31337", 2)] {
        world.let_say(name, move |m| {
            m.but(|f| (f.chain_id, f.genesis) = (Some(chain_id.into()), Some(block(branch, 0))))
        });
    }
    world.run(300);
    assert_eq!(world.told_names(), ["fire NodeWrongChain b"]);
    assert_eq!(state(&world, "a"), NodeState::Live);
}

#[test]
fn a_network_of_which_no_node_speaks_is_told_as_such() {
    let pinned = NetworkSettings { chain_id: Some("1".into()), ..network("main") };
    let mut world = World::new(settings(&[(pinned, "a b")]));
    for name in ["a", "b"] {
        world.let_say(name, |m| m.but(|f| f.chain_id = Some("31337".into())));
    }
    world.run(120);
    let (_, alert) = world.fired(AlertName::NetworkUnreachable).unwrap();
    assert_eq!(alert.finding.to_string(), "no good answer about this chain for 1 m; 2 of 2 nodes speak for another");
}

#[test]
fn a_node_that_never_saw_the_last_block_is_no_witness_of_the_halt() {
    let mut world = World::of("a b c");
    world.run(60);
    world.let_say("b", |m| m.at(m.height - 1));
    world.run(60);
    world.stop("main");
    world.run(120);
    let (_, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    let Finding::BlocksMissing { voters, .. } = alert.finding else { panic!("{:?}", alert.finding) };
    assert_eq!(voters, 2, "b is one block behind for ever");
}

#[test]
fn the_last_node_left_does_not_turn_the_tables() {
    let mut world = World::of("a b c");
    world.let_say("c", |m| m.but(|f| f.chain_id = Some("other".into())));
    world.run(100);
    world.kill("a b");
    world.run(300);
    assert_eq!(state(&world, "c"), NodeState::WrongChain);
}

#[test]
fn a_minority_branch_is_forked_and_one_against_one_accuses_nobody() {
    let mut world = World::of("a b c");
    world.run(60);
    world.let_say("c", |m| {
        m.but(|f| (f.head.hash, f.head.parent) = (Some(block(9, m.height)), Some(block(9, m.height - 1))))
    });
    world.run(25);
    assert_eq!(world.told(), Vec::<String>::new(), "a reorganisation may still settle");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NodeForked c"]);
    assert_eq!(world.snapshot().networks[0].voters, 2);
    world.revive("c");
    world.run(120);
    assert_eq!(world.told_names(), ["fire NodeForked c", "resolve NodeForked c"]);

    let mut world = World::of("a b");
    world.run(60);
    world.let_say("b", |m| m.but(|f| f.head.hash = Some(block(9, m.height))));
    world.run(600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_node_that_stands_still_has_stalled_and_one_that_trails_is_lagging() {
    let mut world = World::of("a b c d e");
    world.run(60);
    world.let_say("d", |m| m.at(1060));
    world.let_say("e", |m| m.at(m.height.saturating_sub(300).max(1060 + u64::try_from(m.second / 10).unwrap())));
    world.run(180);
    assert_eq!(world.told_names(), ["fire NodeStalled d", "fire NodeLagging e"]);
    assert_eq!((state(&world, "d"), state(&world, "e")), (NodeState::Stalled, NodeState::Lagging));
    world.revive("d e");
    world.run(60);
    assert_eq!(world.told_names().len(), 4, "{:?}", world.told());
    assert_eq!(state(&world, "d"), NodeState::Live);
}

#[test]
fn a_node_that_catches_up_after_standing_still_is_one_trouble_and_not_two() {
    let mut world = World::of("a b c d");
    world.run(60);
    world.let_say("d", |m| m.at(1060));
    world.run(300);
    world.let_say("d", |m| m.at((1060 + (u64::try_from(m.second).unwrap() - 360) * 6).min(m.height)));
    world.run(45);
    assert_eq!(state(&world, "d"), NodeState::Lagging);
    world.run(600);
    assert_eq!(world.told_names(), ["fire NodeStalled d", "resolve NodeStalled d"]);
}

#[test]
fn a_node_that_follows_by_fits_and_starts_is_told() {
    for interval in [5, 10] {
        let mut settings = settings(&[(network("main"), "a b c d")]);
        settings.nodes.iter_mut().for_each(|node| node.interval = Duration::from_secs(interval));
        let mut world = World::new(settings);
        world.run(300);
        // It moves every 50 seconds: for 30 of them it moves and lags, for 20 it has stalled.
        world.let_say("d", |m| m.at(m.height - 200 - u64::try_from(m.second % 50).unwrap()));
        world.run(180);
        let of_interest = |world: &World| {
            let told = world.told_names();
            let trails =
                |line: &&String| line.starts_with("fire NodeLagging d") || line.starts_with("fire NodeStalled d");
            told.iter().filter(trails).count()
        };
        assert_eq!(of_interest(&world), 1, "{:?}", world.told());
        world.run(600);
        assert_eq!(of_interest(&world), 1, "{:?}", world.told());
    }
}

#[test]
fn lag_clears_at_a_third_of_its_limit() {
    let mut world = World::of("a b c d");
    world.run(200);
    world.let_say("d", |m| m.at(m.height - 70));
    world.run(60);
    assert_eq!(state(&world, "d"), NodeState::Lagging);
    world.let_say("d", |m| m.at(m.height - 30));
    world.run(60);
    assert_eq!(state(&world, "d"), NodeState::Lagging);
    world.let_say("d", |m| m.at(m.height - 15));
    world.run(60);
    assert_eq!(state(&world, "d"), NodeState::Live);
    world.let_say("d", |m| m.at(m.height - 30));
    world.run(60);
    assert_eq!(state(&world, "d"), NodeState::Live);
}

#[test]
fn a_syncing_node_is_told_as_such_and_has_no_vote() {
    let mut world = World::of("a b c d");
    world.run(60);
    world.let_say("d", |m| {
        m.at(100 + u64::try_from(m.second).unwrap() * 5).map(|mut f| {
            f.syncing = Syncing::Yes { behind: None };
            f
        })
    });
    world.run(120);
    assert_eq!(world.told_names(), ["fire NodeSyncing d"]);
    assert_eq!(world.snapshot().networks[0].voters, 3);
}

#[test]
fn saying_not_syncing_is_believed_of_nobody() {
    let mut world = World::of("a b c d");
    world.run(60);
    world.let_say("d", |m| m.but(|f| (f.syncing, f.head.height.0) = (Syncing::No, 5)));
    world.run(180);
    assert_eq!(world.told_names(), ["fire HeightRegression d", "fire NodeStalled d"]);
}

#[test]
fn limited_and_refused_nodes_have_their_own_names_and_are_never_offline() {
    let mut world = World::of("a b c d");
    world.run(60);
    world.let_say("c", |_| Err(ErrorKind::RateLimited));
    world.let_say("d", |_| Err(ErrorKind::Unauthorized));
    world.run(1800);
    assert_eq!(world.told_names(), ["fire NodeUnauthorized d", "fire NodeRateLimited c"]);
    assert_eq!((state(&world, "c"), state(&world, "d")), (NodeState::RateLimited, NodeState::Unauthorized));
    assert_eq!(world.snapshot().networks[0].voters, 2);
}

#[test]
fn our_own_faults_say_nothing_about_a_node() {
    let mut world = World::of("a b c d");
    world.run(60);
    world.let_say("d", |_| Err(ErrorKind::Local));
    world.run(4);
    assert_eq!(state(&world, "d"), NodeState::Live);
    world.run(600);
    assert_eq!(state(&world, "d"), NodeState::Unknown);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn wrong_clocks_are_told_and_break_nothing() {
    for minutes in [10, -10, 5_000_000, -5_000_000] {
        let mut world = World::of("a b c");
        world.let_say("c", move |m| {
            let clock = |second: i64| UnixTime::from_millis(WALL + second * 1000 + minutes * 60_000);
            m.but(|f| (f.clock, f.head.time) = (Some(clock(m.second)), Some(clock(m.second))))
        });
        world.run(300);
        assert_eq!(world.told_names(), ["fire NodeClockSkew c"]);
        let skew = world.snapshot().nodes[2].clock_skew_ms.unwrap();
        assert_eq!(skew.signum(), minutes.signum());
    }
}

#[test]
fn a_clock_that_is_right_to_the_second_is_right() {
    let mut world = World::of("a");
    world.settings.nodes[0].limits.clock_skew = Duration::from_secs(1);
    world.reconfigure(world.settings.clone());
    world.let_say("a", |m| m.but(|f| f.clock = Some(UnixTime::from_millis(WALL + m.second * 1000))));
    world.run(600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn few_peers_slow_answers_and_errors_are_told_when_they_last() {
    let mut world = World::of("a b c");
    world.run(60);
    world.let_say("a", |m| m.but(|f| f.peers = Some(0)));
    world.let_say("b", |m| if m.second % 40 < 4 { Err(ErrorKind::Http5xx) } else { m.truth() });
    world.run(290);
    assert_eq!(world.told(), Vec::<String>::new());
    world.run(120);
    let mut told = world.told_names();
    told.sort();
    assert_eq!(told, ["fire NodeErrors b", "fire NodeLowPeers a"]);
}

#[test]
fn one_short_outage_is_not_an_error_rate() {
    let mut world = World::of("a b c");
    world.run(60);
    world.kill("a");
    world.run(60);
    world.revive("a");
    world.run(3600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_height_that_goes_back_far_is_told_and_a_block_or_two_is_not() {
    let mut world = World::of("a b c");
    world.run(60);
    world.let_say("c", |m| m.at(m.height - 2 * u64::from(m.second % 4 < 2)));
    world.run(120);
    assert_eq!(world.told(), Vec::<String>::new());
    world.let_say("c", |m| m.at(m.height - 40 * u64::from(m.second % 20 < 2)));
    world.run(120);
    assert_eq!(world.told_names(), ["fire HeightRegression c"]);
}

#[test]
fn reorganisations_are_counted() {
    let mut world = World::of("a");
    world.run(60);
    world.stop("main");
    world.run(10);
    assert_eq!(world.snapshot().nodes[0].reorgs, 0);
    world.let_say("a", |m| m.but(|f| f.head.hash = Some(block(3, m.height))));
    world.run(10);
    assert_eq!(world.snapshot().nodes[0].reorgs, 1);
}

#[test]
fn every_poll_is_counted_under_its_outcome() {
    let mut world = World::of("a");
    world.run(100);
    world.kill("a");
    world.run(20);
    let view = &world.snapshot().nodes[0];
    let refused = 1 + ErrorKind::ALL.iter().position(|kind| *kind == ErrorKind::Refused).unwrap();
    assert_eq!((view.polls[0], view.polls[refused], view.poll_duration.count), (50, 10, 60));
}

#[test]
fn every_change_of_state_is_an_effect() {
    let mut world = World::of("a b c");
    world.run(60);
    world.kill("a");
    world.run(120);
    let changes: Vec<_> = world
        .effects()
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::NodeState { node, from, to, .. } if node.0 == 0 => Some((*from, *to)),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(S::Unknown, S::Live), (S::Live, S::Unreachable), (S::Unreachable, S::Offline)]);
}

type Says = fn(&Moment) -> Answer;

#[test]
fn whatever_is_told_about_a_node_ends_as_resolved_when_it_is_well() {
    let well: Says = |m| m.but(|f| f.clock = Some(UnixTime::from_millis(WALL + m.second * 1000)));
    let troubles: [(AlertName, Says); 13] = [
        (AlertName::NodeOffline, |_| Err(ErrorKind::Refused)),
        (AlertName::NodeStalled, |m| m.at(1060)),
        (AlertName::NodeLagging, |m| m.at(m.height - 100)),
        (AlertName::NodeSyncing, |m| {
            m.but(|f| (f.syncing, f.head.height.0) = (Syncing::Yes { behind: None }, m.height - 500))
        }),
        (AlertName::NodeWrongChain, |m| m.but(|f| f.chain_id = Some("other".into()))),
        (AlertName::NodeForked, |m| {
            m.but(|f| (f.head.hash, f.head.parent) = (Some(block(9, m.height)), Some(block(9, m.height - 1))))
        }),
        (AlertName::NodeLowPeers, |m| m.but(|f| f.peers = Some(0))),
        (AlertName::NodeErrors, |m| if m.second % 40 < 4 { Err(ErrorKind::Http5xx) } else { m.truth() }),
        (AlertName::NodeRateLimited, |_| Err(ErrorKind::RateLimited)),
        (AlertName::NodeUnauthorized, |_| Err(ErrorKind::Unauthorized)),
        (AlertName::NodeClockSkew, |m| {
            m.but(|f| f.clock = Some(UnixTime::from_millis(WALL + (m.second + 600) * 1000)))
        }),
        (AlertName::HeightRegression, |m| m.at(m.height - 40 * u64::from(m.second % 20 < 2))),
        (AlertName::NodeSlow, Moment::truth),
    ];
    for (name, says) in troubles {
        let mut world = World::of("a b c d");
        world.run(60);
        world.let_say("d", says);
        if name == AlertName::NodeSlow {
            world.slow = vec![(0, 3)];
        }
        world.run(900);
        assert!(world.fired(name).is_some(), "{name:?}: {:?}", world.told());
        world.slow.clear();
        world.let_say("d", well);
        world.run(900);
        let ended = world.effects().iter().rev().find_map(|(_, effect)| match effect {
            Effect::Resolved(alert) if alert.key.name == name => Some(alert.clone()),
            _ => None,
        });
        let ended = ended.unwrap_or_else(|| panic!("{name:?} never ends: {:?}", world.told()));
        assert!(ended.state == AlertState::Resolved && ended.resolved_at.is_some(), "{ended:?}");
        assert_eq!(world.snapshot().alerts.len(), 1, "only the watchdog goes on: {:?}", world.told());
    }
}

#[test]
fn a_node_that_flaps_while_it_stands_still_has_stalled_as_soon() {
    let mut world = World::of("a b c d");
    world.run(60);
    world.let_say("d", |m| if m.second % 20 < 8 { Err(ErrorKind::Timeout) } else { m.at(1060) });
    world.run(230);
    assert_eq!(world.told_names(), ["fire NodeStalled d"]);
    let (ms, _) = world.fired(AlertName::NodeStalled).unwrap();
    assert!((150_000..=185_000).contains(&ms), "told at {ms} ms");
    world.let_say("d", |m| if m.second % 20 < 8 { Err(ErrorKind::Timeout) } else { m.truth() });
    world.run(60);
    assert_eq!(world.told_names(), ["fire NodeStalled d", "resolve NodeStalled d"]);
}

#[test]
fn while_the_network_stands_still_who_stands_at_its_tip_is_well_and_who_is_far_behind_is_not() {
    let mut world = World::of("a b c d e");
    world.run(60);
    world.let_say("d", |m| m.at(1060));
    world.let_say("e", |m| m.at(1060 + u64::try_from(m.second - 60).unwrap() / 10));
    world.run(180);
    world.stop("main");
    world.run(120);
    let told = world.told_names();
    assert_eq!(
        told,
        ["fire NodeStalled d", "fire NodeLagging e", "fire NetworkHalted main"],
        "what moves hides no halt"
    );
    for (name, wanted) in [("a", S::Live), ("b", S::Live), ("c", S::Live), ("d", S::Stalled), ("e", S::Lagging)] {
        assert_eq!(state(&world, name), wanted, "{name}");
    }
}

#[test]
fn lag_is_counted_in_time_and_in_block_times_and_never_in_blocks_alone() {
    for (block_ms, blocks, lags) in [(250, 100, false), (250, 400, true), (12_000, 8, false), (12_000, 20, true)] {
        let pace = NetworkSettings { block_time: Some(Duration::from_millis(block_ms)), ..network("main") };
        let mut world = World::new(settings(&[(pace, "a b c d")]));
        world.run(300);
        world.let_say("d", move |m| m.at(m.height - blocks));
        world.run(900);
        let told = world.fired(AlertName::NodeLagging).is_some();
        assert_eq!(told, lags, "{blocks} blocks of {block_ms} ms: {:?}", world.told());
    }
}
