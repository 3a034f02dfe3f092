//! Has the network halted? In time, once, and never without reason.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    engine::{
        Engine,
        finding::Finding,
        settings::{Cadence, NetworkSettings},
        snapshot::{Effect, NetworkPhase, Subject},
    },
    model::{AlertName, Height, NetworkIndex, NodeIndex, Now, Timestamp, VantageIndex},
    observation::{ErrorKind, Facts, NodeObservation, Observation, Syncing},
};

use super::world::{Moment, World, block, network, settings};

#[test]
fn a_healthy_network_tells_nothing() {
    let mut world = World::of("A B C D");
    world.run(3 * 3600);
    assert_eq!(world.told(), Vec::<String>::new());
    let view = &world.snapshot().networks[0];
    assert_eq!((view.phase, view.voters, view.quorum_margin), (NetworkPhase::Live, 4, Some(1)));
    assert!(view.halt_ratio.unwrap() < 0.2);
}

#[test]
fn a_halt_is_told_within_a_millisecond_of_its_threshold_without_any_new_block() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(10);
    let rose = world.snapshot().networks[0].progress_at.unwrap();
    world.run(30);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert_eq!(ms - rose.0, 30_000);
    assert_eq!(alert.finding.reason(), "blocks_missing");
}

#[test]
fn a_network_that_is_polled_seldom_is_not_accused_between_two_polls() {
    for nodes in ["A", "A B", "A B C D"] {
        let mut settings = settings(&[(network("main"), nodes)]);
        for node in &mut settings.nodes {
            node.interval = Duration::from_secs(60);
        }
        let mut world = World::new(settings);
        world.run(3600);
        assert_eq!(world.told(), Vec::<String>::new(), "{nodes}");
        world.stop("main");
        world.run(300);
        assert!(world.fired(AlertName::NetworkHalted).is_some(), "{nodes}");
    }
}

#[test]
fn those_who_are_polled_often_find_a_halt_at_once_beside_one_who_is_not() {
    let mut settings = settings(&[(network("main"), "A B C archive")]);
    settings.nodes[3].interval = Duration::from_secs(600);
    let mut world = World::new(settings);
    world.run(2000);
    assert_eq!(world.told(), Vec::<String>::new());
    world.stop("main");
    world.run(33);
    assert!(world.fired(AlertName::NetworkHalted).is_some());
}

#[test]
fn timers_run_without_samples() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(28);
    let rose = world.snapshot().networks[0].progress_at.unwrap();
    for name in ["A", "B", "C", "D"] {
        world.never_poll(name);
    }
    world.run(4);
    assert_eq!(world.fired(AlertName::NetworkHalted).unwrap().0 - rose.0, 30_000);
}

#[test]
fn a_second_halt_after_a_recovery_fires_again_with_one_resolve_between() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(600);
    world.go("main");
    world.run(360);
    world.stop("main");
    world.run(600);
    world.go("main");
    world.run(360);
    let wanted = ["fire NetworkHalted main", "resolve NetworkHalted main"].repeat(2);
    assert_eq!(world.told_names(), wanted);
}

#[test]
fn a_restart_that_does_not_hold_is_the_same_halt() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(300);
    world.go("main");
    world.run(1);
    world.stop("main");
    world.run(300);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn a_recovery_resolves_within_three_minutes_of_the_first_block() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(300);
    world.go("main");
    world.run(30);
    assert_eq!(world.told_names(), ["fire NetworkHalted main", "resolve NetworkHalted main"]);
}

#[test]
fn a_network_that_stood_still_before_the_start_is_found_at_once() {
    let mut world = World::of("A B C D");
    world.stopped_before("main", 3600);
    world.run(10);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert!(ms <= 5000, "found after {ms} ms");
    let Finding::BlocksMissing { gap, .. } = alert.finding else { panic!("another reason: {:?}", alert.finding) };
    assert!(Duration::from_secs(3600) <= gap, "the gap counts from the last block: {gap:?}");
}

#[test]
fn a_healthy_chain_with_timestamps_from_long_ago_is_not_halted_at_the_start() {
    for days in [1, 3650] {
        let mut world = World::of("A B C D");
        world.wall_off = days * 86_400_000;
        world.run(300);
        assert_eq!(world.told(), Vec::<String>::new());
    }
}

#[test]
fn timestamps_of_the_future_do_not_hide_a_halt() {
    let mut world = World::of("A B C D");
    world.wall_off = -3650 * 86_400_000;
    world.stop("main");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn one_bogus_timestamp_at_the_start_is_not_a_halt() {
    let mut world = World::of("A B C D");
    world.let_say("A", |m| m.but(|f| f.head.time = Some(haltwatch::model::UnixTime::from_millis(0))));
    world.run(200);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_node_that_flaps_while_its_height_is_frozen_still_reaches_the_threshold() {
    let mut world = World::of("a");
    world.run(100);
    world.stop("main");
    world.let_say("a", |m| if m.second % 20 < 8 { Err(ErrorKind::Timeout) } else { m.truth() });
    world.run(100);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn a_rogue_head_ten_million_ahead_moves_nothing_and_hides_no_halt() {
    let mut world = World::of("a b c d");
    world.never_poll("b");
    world.run(60);
    world.let_say("d", |m| m.but(|f| f.head.height.0 += 10_000_000));
    world.run(1800);
    assert_eq!(world.told(), Vec::<String>::new());
    let tip = world.snapshot().networks[0].tip.unwrap();
    assert!(tip.height.0.abs_diff(world.height()) <= 3);
    world.stop("main");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn a_high_node_of_another_chain_does_not_hide_a_halt() {
    let mut world = World::of("a b");
    world.let_say("b", |m| m.but(|f| (f.chain_id, f.head.height.0) = (Some("other".into()), 5_000_000 + m.height * 3)));
    let mut settings = world.settings.clone();
    settings.networks[0].chain_id = Some("main".into());
    world.reconfigure(settings);
    world.run(100);
    world.stop("main");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NodeWrongChain b", "fire NetworkHalted main"]);
}

#[test]
fn losing_half_of_a_bft_network_is_one_alert_and_not_three() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.kill("A B");
    world.run(900);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
    let muted: Vec<_> = world.snapshot().alerts.into_iter().filter(|a| a.inhibited_by.is_some()).collect();
    let titles: Vec<_> = muted.iter().map(|a| world.title(a.key)).collect();
    assert_eq!(titles, ["QuorumAtRisk main", "NodeOffline A", "NodeOffline B"], "muted alerts are shown");
    assert_eq!(world.snapshot().networks[0].quorum_margin, Some(-1));
    world.go("main");
    world.revive("A B");
    world.run(600);
    assert_eq!(world.told_names(), ["fire NetworkHalted main", "resolve NetworkHalted main"]);
}

#[test]
fn a_node_that_stays_down_after_the_halt_is_announced_then() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.kill("A B");
    world.run(600);
    world.go("main");
    world.revive("B");
    world.run(600);
    let wanted =
        ["fire NetworkHalted main", "resolve NetworkHalted main", "fire QuorumAtRisk main", "fire NodeOffline A"];
    assert_eq!(world.told_names(), wanted);
    let incidents = world.snapshot().networks[0].incidents;
    assert_eq!(incidents, [1, 3, 0, 0], "each alert counts once, muted or not");
}

#[test]
fn core_nodes_offline_is_a_halt_unless_blocks_go_on() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.kill("A B C D");
    world.run(330);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert_eq!(alert.finding.reason(), "core_nodes_offline");
    assert!((400_000..405_000).contains(&ms), "told at {ms} ms");
    assert!(world.told_names().contains(&"fire NetworkUnreachable main".to_owned()));
    world.revive("A B C D");
    world.run(120);
    assert!(world.told_names().contains(&"resolve NetworkHalted main".to_owned()), "{:?}", world.told());

    let mut world = World::of("A B C D e f");
    world.run(100);
    world.kill("A B");
    world.run(900);
    assert_eq!(world.fired(AlertName::NetworkHalted), None, "blocks go on: the nodes are down, not the network");
}

#[test]
fn new_blocks_below_the_old_maximum_are_life() {
    let mut world = World::of("A B C D");
    world.run(1000);
    world.stop("main");
    world.run(120);
    world.roll_back("main", 500);
    world.go("main");
    world.run(150);
    assert_eq!(world.told_names(), ["fire NetworkHalted main", "resolve NetworkHalted main"]);
    world.stop("main");
    world.run(60);
    assert_eq!(world.told_names().last().unwrap(), "fire NetworkHalted main");
}

#[test]
fn a_short_rollback_that_goes_on_at_once_is_no_halt() {
    let mut world = World::of("A B C D");
    world.run(1000);
    world.roll_back("main", 45);
    world.run(300);
    assert_eq!(world.fired(AlertName::NetworkHalted), None);
}

#[test]
fn a_chain_that_goes_on_below_its_old_tip_has_not_halted_however_rarely_its_nodes_are_polled() {
    let mut settings = settings(&[(network("main"), "A B C D")]);
    settings.nodes.iter_mut().for_each(|node| node.interval = Duration::from_secs(10));
    let mut world = World::new(settings);
    world.run(1000);
    world.roll_back("main", 95);
    world.run(300);
    assert_eq!(world.fired(AlertName::NetworkHalted), None);
    world.roll_back("main", 95);
    world.run(25);
    world.stop("main");
    world.run(90);
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "it stopped soon after: {:?}", world.told());
}

#[test]
fn a_chain_that_is_set_back_and_stops_soon_after_has_halted_since_its_last_block() {
    let slow = NetworkSettings { block_time: Some(Duration::from_secs(6)), ..network("main") };
    let mut settings = settings(&[(slow, "A B C")]);
    settings.nodes.iter_mut().for_each(|node| node.interval = Duration::from_secs(10));
    let mut world = World::new(settings);
    world.run(1003);
    world.roll_back("main", 76);
    world.run_up_to("main", world.height() + 3);
    let last = world.ms;
    world.run(120);
    let (ms, _) = world.fired(AlertName::NetworkHalted).unwrap();
    assert!((59_000..=80_000).contains(&(ms - last)), "told {} ms after the last block", ms - last);
}

fn on_demand() -> NetworkSettings {
    NetworkSettings { cadence: Cadence::OnDemand, ..network("main") }
}

#[test]
fn an_idle_chain_is_healthy_for_a_day_and_one_stuck_transaction_is_a_halt() {
    let mut settings = settings(&[(on_demand(), "A B C D")]);
    settings.nodes.iter_mut().for_each(|node| node.interval = Duration::from_secs(10));
    let mut world = World::new(settings);
    world.run(10);
    world.stop("main");
    world.run(86_400);
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.snapshot().networks[0].phase, NetworkPhase::Idle);
    assert_eq!(world.snapshot().networks[0].halt_ratio, Some(0.0));
    let start = world.ms;
    world.pending("main", 1);
    world.run(60);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert!((30_000..45_000).contains(&(ms - start)), "told after {} ms", ms - start);
    assert!(matches!(alert.finding, Finding::BlocksMissing { pending: Some(1), .. }), "{:?}", alert.finding);
}

#[test]
fn a_halt_of_an_idle_chain_is_over_when_nobody_waits_any_more() {
    let mut world = World::new(settings(&[(on_demand(), "A B C D")]));
    world.run(10);
    world.stop("main");
    world.pending("main", 3);
    world.run(600);
    world.pending("main", 0);
    world.run(300);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
    world.run(400);
    assert_eq!(world.told_names(), ["fire NetworkHalted main", "resolve NetworkHalted main"]);
}

#[test]
fn transactions_that_one_node_alone_keeps_prove_no_halt() {
    let mut world = World::new(settings(&[(on_demand(), "A B C D")]));
    world.run(10);
    world.stop("main");
    world.let_say("A", |m| m.but(|f| f.pending = Some(7)));
    world.run(3600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn an_undeclared_block_time_is_learned_and_a_long_stall_teaches_no_patience() {
    let unknown = NetworkSettings { block_time: None, ..network("main") };
    let mut world = World::new(settings(&[(unknown, "A B C D")]));
    let mut declared = world.settings.clone();
    declared.networks[0].block_time = None;
    world.run(300);
    let learned = world.snapshot().networks[0].block_time.unwrap();
    assert!((0.8..1.3).contains(&learned.value.as_secs_f64()), "{learned:?}");
    assert!(learned.samples.is_some());
    let delay = |world: &mut World| {
        let before = world.told().len();
        let start = world.ms;
        world.stop("main");
        world.run(1800);
        let line = world.told()[before].clone();
        world.go("main");
        world.run(300);
        line.split_once(' ').unwrap().0.parse::<i64>().unwrap() - start / 1000
    };
    let first = delay(&mut world);
    let second = delay(&mut world);
    assert!(second <= first + 1 && first <= 31, "{first} s, then {second} s");
}

#[test]
fn nodes_that_say_they_are_syncing_at_the_tip_still_see_the_halt() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, |m| m.but(|f| f.syncing = Syncing::Yes { behind: None }));
    }
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn nodes_that_only_index_when_we_begin_to_look_are_witnesses() {
    let mut world = World::of("A B");
    for name in ["A", "B"] {
        world.let_say(name, |m| m.but(|f| f.syncing = Syncing::Yes { behind: Some(0) }));
    }
    world.run(100);
    world.stop("main");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn identity_excludes_values_so_changing_numbers_are_the_same_alert() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(40);
    let first = world.snapshot().alerts;
    world.run(400);
    let later = world.snapshot().alerts;
    let keys = |alerts: &[haltwatch::engine::snapshot::Alert]| alerts.iter().map(|a| a.key).collect::<Vec<_>>();
    assert_eq!(keys(&first), keys(&later));
    assert_ne!(first[0].finding, later[0].finding, "the numbers went on");
    assert_eq!(first[0].fired_at, later[0].fired_at);
    let labels = |alert| haltwatch::output::label::alert_labels(&world.settings, alert);
    assert_eq!(labels(&first[0]), labels(&later[0]), "what an Alertmanager tells alerts apart by");
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn the_halt_of_a_parent_mutes_its_child() {
    let child = NetworkSettings { depends_on: vec![NetworkIndex(0)], ..network("child") };
    let mut world = World::new(settings(&[(network("parent"), "A B C D"), (child, "E F G H")]));
    world.run(100);
    world.stop("parent");
    world.run(20);
    world.stop("child");
    world.run(300);
    assert_eq!(world.told_names(), ["fire NetworkHalted parent"]);
    world.go("parent");
    world.run(300);
    let wanted = ["fire NetworkHalted parent", "resolve NetworkHalted parent", "fire NetworkHalted child"];
    assert_eq!(world.told_names(), wanted);
}

#[test]
fn a_child_that_halts_in_the_same_instant_as_its_parent_is_muted_wherever_it_stands() {
    let child = NetworkSettings { depends_on: vec![NetworkIndex(1)], ..network("child") };
    let settings = Arc::new(settings(&[(child, "E"), (network("parent"), "A")]));
    let now = |second: i64| Now { at: Timestamp(second * 1000), ..Now::default() };
    let mut engine = Engine::new(settings, now(0));
    let mut told = Vec::new();
    for second in 1..=120 {
        let height = Height(1000 + u64::try_from(second.min(60)).unwrap());
        let answers = [NodeIndex(0), NodeIndex(1)].map(|node| {
            let outcome = Ok(Arc::new(Facts::at_height(height)));
            Observation::Node(NodeObservation {
                node,
                vantage: VantageIndex(0),
                at: now(second).at,
                elapsed: Duration::ZERO,
                outcome,
            })
        });
        let effects = engine.step(now(second), &answers).effects;
        told.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Fired(alert) if alert.key.name == AlertName::NetworkHalted => Some(alert.key.subject),
            _ => None,
        }));
    }
    assert_eq!(told, [Subject::Network(NetworkIndex(1))]);
}

#[test]
fn balancers_that_answer_from_old_backends_neither_halt_a_network_nor_hide_a_halt() {
    let backends = |m: &Moment, seed: i64| {
        m.at(m.height - [0, 0, 1, 3, 7, 12][usize::try_from(m.second * 7 / 3 + seed).unwrap() % 6])
    };
    let mut world = World::of("a b c");
    for (name, seed) in [("a", 0), ("b", 2), ("c", 5)] {
        world.let_say(name, move |m| backends(m, seed));
    }
    world.run(3600);
    let bad = |lines: &[String]| lines.iter().filter(|l| !l.contains("HeightRegression")).cloned().collect::<Vec<_>>();
    assert_eq!(bad(&world.told()), Vec::<String>::new());
    world.stop("main");
    world.run(90);
    assert_eq!(bad(&world.told_names()), ["fire NetworkHalted main"]);
}

#[test]
fn shallow_reorganisations_are_ordinary_life() {
    let mut world = World::of("a b c d");
    world.run(100);
    for name in ["a", "b"] {
        world.let_say(name, |m| {
            m.but(|f| {
                if m.second % 60 < 6 {
                    f.head.hash = Some(block(1, m.height));
                }
            })
        });
    }
    world.run(600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn nothing_is_announced_twice_or_resolved_unannounced() {
    let mut world = World::of("A B C D");
    for round in 0..20 {
        world.run(40 + round * 7);
        if round % 3 == 0 {
            world.stop("main");
        } else {
            world.go("main");
        }
        if round % 4 == 1 { world.kill("A C") } else { world.revive("A C") }
    }
    let mut open = std::collections::BTreeSet::new();
    for (_, effect) in world.effects() {
        match effect {
            Effect::Fired(alert) => assert!(open.insert(alert.key), "announced twice: {:?}", alert.key),
            Effect::Resolved(alert) => assert!(open.remove(&alert.key), "resolved unannounced: {:?}", alert.key),
            _ => {}
        }
    }
}
