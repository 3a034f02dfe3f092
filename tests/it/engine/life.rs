//! The life of alerts across restarts of the configuration, and what a snapshot always shows.

use haltwatch::{
    engine::snapshot::{AlertState, Effect},
    model::{AlertName, Level},
};

use super::world::{World, network, settings};

#[test]
fn the_dead_mans_switch_fires_at_the_first_step_and_for_ever() {
    let mut world = World::of("a");
    let outcome = world.step(&[]);
    let Some(Effect::Fired(alert)) = outcome.effects.first() else { panic!("{outcome:?}") };
    assert_eq!((alert.key.name, alert.level), (AlertName::Watchdog, Level::None));
    world.run(600);
    let fired = world.effects().iter().filter(|(_, e)| matches!(e, Effect::Fired(_))).count();
    assert_eq!(fired, 1);
}

#[test]
fn the_same_observations_give_the_same_effects() {
    let run = || {
        let mut world = World::of("A B C D e f");
        world.run(100);
        world.stop("main");
        world.kill("A B e");
        world.run(300);
        world.go("main");
        world.revive("A e");
        world.run(300);
        (format!("{:?}", world.effects()), format!("{:?}", world.snapshot()))
    };
    assert_eq!(run(), run());
}

#[test]
fn a_step_with_nothing_new_changes_nothing() {
    let mut world = World::of("A B C D");
    world.run(100);
    let before = format!("{:?}", world.snapshot());
    for _ in 0..3 {
        assert_eq!(world.step(&[]).effects, []);
    }
    assert_eq!(before, format!("{:?}", world.snapshot()));
}

#[test]
fn a_reload_keeps_what_kept_its_name() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.kill("A");
    world.stop("main");
    world.run(60);
    let moved = settings(&[(network("new"), "x y"), (network("main"), "D C B A")]);
    assert_eq!(world.reconfigure(moved.clone()), []);
    world.settings = moved;
    let snapshot = world.snapshot();
    assert_eq!(snapshot.networks[1].tip.unwrap().height.0, world.height());
    assert_eq!(snapshot.nodes[5].error.as_ref().unwrap().0.as_str(), "refused");
    let halted = snapshot.alerts.iter().find(|a| a.key.name == AlertName::NetworkHalted).unwrap();
    assert_eq!((halted.state, world.title(halted.key)), (AlertState::Firing, "NetworkHalted main".to_owned()));
    assert!(world.step(&[]).effects.iter().all(|e| !matches!(e, Effect::Fired(_))), "nothing is announced again");
}

#[test]
fn a_reload_resolves_the_announced_alerts_of_what_is_gone() {
    let mut world = World::of("a b c d");
    world.run(100);
    world.kill("d");
    world.run(120);
    assert_eq!(world.told_names(), ["fire NodeOffline d"]);
    let effects = world.reconfigure(settings(&[(network("main"), "a b c")]));
    let [Effect::Resolved(alert)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(world.title(alert.key), "NodeOffline d", "its index points into the settings before");
    assert_eq!((alert.state, alert.resolved_at), (AlertState::Resolved, Some(world.now().wall)));
}

#[test]
fn a_snapshot_fills_every_field_of_a_living_network() {
    let mut world = World::of("A b c");
    for name in ["A", "b", "c"] {
        world.let_say(name, |m| {
            m.but(|f| {
                f.finality = haltwatch::observation::Finality::Known {
                    height: haltwatch::model::Height(m.height + 50),
                    hash: None,
                    time: None,
                };
            })
        });
    }
    world.run(100);
    let snapshot = world.snapshot();
    let view = &snapshot.networks[0];
    let tip = view.tip.unwrap();
    assert!(tip.hash.is_some() && tip.time.is_some() && 2 <= tip.confirmed_by);
    assert_eq!(view.finalized, Some(tip.height), "final is at most the tip");
    assert_eq!(view.halt_threshold.unwrap().as_secs(), 30);
    assert_eq!(view.block_time.unwrap().samples, None, "declared");
    assert!((95..=100).contains(&view.block_interval.count), "{:?}", view.block_interval);
    assert_eq!(view.votes.iter().filter(|vote| vote.counts && vote.height.is_some()).count(), 3);
    assert_eq!((view.voters, view.voters_expected, view.quorum_margin), (3, 3, Some(0)));
}

#[test]
fn a_reload_that_removes_most_nodes_does_not_blind_us() {
    let mut world = World::of("a b c d e f");
    world.run(100);
    let fewer = settings(&[(network("main"), "a b")]);
    world.reconfigure(fewer.clone());
    world.settings = fewer;
    (0..4).for_each(|_| world.forget_last_node());
    world.stop("main");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn a_picture_right_after_a_reload_knows_what_mutes_by_its_new_place() {
    let mut world = World::new(settings(&[(network("side"), "x y"), (network("main"), "A B C D")]));
    world.run(100);
    world.stop("main");
    world.kill("A");
    world.run(150);
    let fewer = settings(&[(network("main"), "A B C D")]);
    world.reconfigure(fewer.clone());
    world.settings = fewer;
    let muters: Vec<_> = world.snapshot().alerts.iter().filter_map(|alert| alert.inhibited_by).collect();
    let titles: Vec<_> = muters.into_iter().map(|key| world.title(key)).collect();
    assert_eq!(titles, ["NetworkHalted main", "NetworkHalted main"], "NodeOffline and QuorumAtRisk");
}

#[test]
fn a_reload_right_after_nobody_ran_us_does_not_count_that_time() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.kill("D");
    world.run(40);
    world.sleep(300);
    let settings = world.settings.clone();
    assert_eq!(world.reconfigure(settings), []);
    world.run(60);
    assert_eq!(world.told(), [""; 0]);
    world.run(40);
    assert_eq!(world.told_names(), ["fire QuorumAtRisk main", "fire NodeOffline D"]);
}

#[test]
fn a_network_that_lost_all_its_nodes_is_not_seen_and_says_so() {
    let mut world = World::new(settings(&[(network("side"), "x y"), (network("main"), "A B")]));
    world.run(100);
    let deserted = settings(&[(network("side"), "x y"), (network("main"), "")]);
    assert_eq!(world.reconfigure(deserted.clone()), []);
    world.settings = deserted;
    world.forget_last_node();
    world.forget_last_node();
    world.run(59);
    assert_eq!(world.fired(AlertName::NetworkUnreachable), None);
    world.run(2);
    let (_, alert) = world.fired(AlertName::NetworkUnreachable).unwrap();
    assert_eq!((alert.finding.reason(), alert.level), ("no_nodes_left", Level::L2));
    assert_eq!(world.fired(AlertName::NetworkHalted), None);
    assert_eq!(world.fired(AlertName::MonitorIsolated), None);
    world.run(1000);
    assert_eq!(world.told(), ["160 fire NetworkUnreachable main"]);
}

#[test]
fn a_network_that_never_had_a_node_is_no_news() {
    let mut world = World::new(settings(&[(network("side"), "x y"), (network("main"), "")]));
    world.run(1000);
    assert_eq!(world.told(), [""; 0]);
    let mut nothing = World::new(settings(&[(network("main"), "")]));
    nothing.run(1000);
    assert_eq!(nothing.told(), [""; 0]);
}

#[test]
fn a_halt_goes_on_when_all_nodes_are_taken_away() {
    let mut world = World::new(settings(&[(network("side"), "x y"), (network("main"), "A B")]));
    world.run(100);
    world.stop("main");
    world.run(60);
    assert!(world.fired(AlertName::NetworkHalted).is_some());
    let deserted = settings(&[(network("side"), "x y"), (network("main"), "")]);
    let _ = world.reconfigure(deserted.clone());
    world.settings = deserted;
    world.forget_last_node();
    world.forget_last_node();
    world.run(1000);
    let halted = |alert: &&haltwatch::engine::snapshot::Alert| alert.key.name == AlertName::NetworkHalted;
    assert_eq!(world.snapshot().alerts.iter().find(halted).map(|alert| alert.state), Some(AlertState::Firing));
}

#[test]
fn an_alert_that_gets_louder_says_so_once_and_is_still_the_same() {
    let mut world = World::of("a b c d");
    world.run(100);
    world.kill("d");
    world.run(120);
    let mut louder = world.settings.clone();
    louder.nodes[3].core = true;
    assert_eq!(world.reconfigure(louder.clone()), []);
    world.settings = louder;
    world.run(100);
    world.revive("d");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NodeOffline d", "raise NodeOffline d", "resolve NodeOffline d"]);
    let raised = world.effects().iter().find_map(|(_, effect)| match effect {
        Effect::Raised(alert) => Some(alert.clone()),
        _ => None,
    });
    let (first, raised) = (world.fired(AlertName::NodeOffline).unwrap().1, raised.unwrap());
    assert_eq!((first.level, raised.level), (Level::L3, Level::L2));
    assert_eq!((first.active_at, first.fired_at), (raised.active_at, raised.fired_at));
}

#[test]
fn an_error_rate_is_not_an_outage() {
    for stands in [false, true] {
        let mut world = World::of("a b c d");
        world.run(100);
        let height = world.height();
        world.let_say("d", move |m| match m.second / 2 % 5 {
            0 if stands => m.at(height),
            0 => m.truth(),
            _ => Err(haltwatch::observation::ErrorKind::Timeout),
        });
        world.run(900);
        assert_eq!(world.fired(AlertName::NodeOffline), None);
        assert!(world.fired(AlertName::NodeErrors).is_some(), "{:?}", world.told());
    }
}

#[test]
fn a_day_of_trouble_is_remembered_in_no_more_room_than_eight_hours() {
    let mut settings = settings(&[(network("main"), "A B C D")]);
    settings.nodes.iter_mut().for_each(|node| node.interval = std::time::Duration::from_secs(10));
    let mut world = World::new(settings);
    let mut room_after_eight_hours = || {
        for _ in 0..8 {
            world.stop("main");
            world.kill("A");
            world.run(300);
            world.go("main");
            world.revive("A");
            world.run(3300);
        }
        format!("{:?}", world.engine).len()
    };
    let (first, _, third) = (room_after_eight_hours(), room_after_eight_hours(), room_after_eight_hours());
    assert!(third <= first * 5 / 4, "{first} bytes, then {third}");
}
