//! Are we blind? Then that is the one thing to say.

use haltwatch::{
    engine::snapshot::NetworkPhase,
    model::{AlertName, NodeState},
    observation::ErrorKind,
};

use super::world::{World, canary, network, settings};

fn two_networks_and_canaries() -> World {
    let mut settings = settings(&[(network("main"), "A B C D"), (network("side"), "e f g")]);
    settings.canaries = vec![canary("gateway:53"), canary("dns:53")];
    World::new(settings)
}

#[test]
fn a_cut_monitor_says_so_and_nothing_else() {
    let mut world = two_networks_and_canaries();
    world.run(300);
    world.cut(true);
    world.run(600);
    let (ms, _) = world.fired(AlertName::MonitorIsolated).unwrap();
    assert!((355_000..=385_000).contains(&ms), "told at {ms} ms");
    assert_eq!(world.snapshot().nodes[0].state, NodeState::Unknown);
    assert!(world.snapshot().isolated_since.is_some());
    world.cut(false);
    world.run(600);
    assert_eq!(world.told_names(), ["fire MonitorIsolated m1", "resolve MonitorIsolated m1"]);
    assert_eq!(world.snapshot().isolated_since, None);
    assert_eq!(world.snapshot().nodes[0].state, NodeState::Live);
}

#[test]
fn a_halt_that_began_while_we_were_cut_off_is_found_after_one_threshold_of_watching() {
    let mut world = two_networks_and_canaries();
    world.run(300);
    world.cut(true);
    world.run(300);
    world.stop("main");
    world.run(300);
    let mended = world.ms;
    world.cut(false);
    world.run(120);
    let (ms, _) = world.fired(AlertName::NetworkHalted).unwrap();
    assert!((0..=39_000).contains(&(ms - mended)), "told {} ms after", ms - mended);
    let wanted = ["fire MonitorIsolated m1", "resolve MonitorIsolated m1", "fire NetworkHalted main"];
    assert_eq!(world.told_names(), wanted);
}

#[test]
fn nodes_get_a_fresh_chance_after_we_were_cut_off() {
    let mut world = two_networks_and_canaries();
    world.run(300);
    world.cut(true);
    world.run(600);
    world.cut(false);
    world.kill("A");
    let mended = world.ms;
    world.run(80);
    assert_eq!(world.fired(AlertName::NodeOffline), None);
    world.run(40);
    assert!(mended + 85_000 < world.fired(AlertName::NodeOffline).unwrap().0);
}

#[test]
fn a_short_cut_is_nothing() {
    let mut world = two_networks_and_canaries();
    world.run(300);
    for _ in 0..5 {
        world.cut(true);
        world.run(40);
        world.cut(false);
        world.run(60);
    }
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn an_alert_of_before_stays_through_a_cut() {
    let mut world = two_networks_and_canaries();
    world.run(100);
    world.stop("main");
    world.run(60);
    world.cut(true);
    world.run(600);
    assert_eq!(world.told_names(), ["fire NetworkHalted main", "fire MonitorIsolated m1"]);
    world.cut(false);
    world.go("main");
    world.run(120);
    assert_eq!(world.told_names()[2..], ["resolve NetworkHalted main", "resolve MonitorIsolated m1"]);
}

#[test]
fn silent_canaries_alone_or_a_silent_network_alone_isolate_nobody() {
    let mut world = two_networks_and_canaries();
    world.run(100);
    world.canaries_answer(false);
    world.run(300);
    assert_eq!(world.told(), Vec::<String>::new());
    world.canaries_answer(true);
    world.kill("e f g");
    world.run(150);
    assert_eq!(world.told_names(), ["fire NetworkUnreachable side"], "its nodes are muted by it");
    assert_eq!(world.snapshot().networks[1].phase, NetworkPhase::Unreachable);
    world.revive("e f g");
    world.run(150);
    assert_eq!(world.told_names(), ["fire NetworkUnreachable side", "resolve NetworkUnreachable side"]);
}

#[test]
fn without_canaries_only_two_silent_networks_point_at_ourselves() {
    let mut world = World::new(settings(&[(network("main"), "a b"), (network("side"), "c d")]));
    world.run(100);
    world.cut(true);
    world.run(300);
    assert_eq!(world.told_names(), ["fire MonitorIsolated m1"]);

    let mut world = World::of("a b c");
    world.run(100);
    world.cut(true);
    world.run(80);
    assert_eq!(world.told_names(), ["fire NetworkUnreachable main"]);
}

#[test]
fn errors_that_prove_a_connection_are_no_isolation() {
    let mut world = World::new(settings(&[(network("main"), "a b"), (network("side"), "c d")]));
    world.run(100);
    for name in ["a", "b", "c", "d"] {
        world.let_say(name, |_| Err(ErrorKind::Http5xx));
    }
    world.run(100);
    let mut told = world.told_names();
    told.sort();
    assert_eq!(told, ["fire NetworkUnreachable main", "fire NetworkUnreachable side"]);
}

#[test]
fn all_nodes_gone_for_four_minutes_is_unreachable_and_no_halt() {
    let mut world = World::of("a b c d e f");
    world.run(300);
    world.kill("a b c d e f");
    world.run(240);
    world.revive("a b c d e f");
    world.run(300);
    assert_eq!(world.told_names(), ["fire NetworkUnreachable main", "resolve NetworkUnreachable main"]);
    let (ms, _) = world.fired(AlertName::NetworkUnreachable).unwrap();
    assert!((360_000..=372_000).contains(&ms));
}

#[test]
fn a_suspended_monitor_wakes_without_a_false_word_and_finds_what_happened() {
    let mut world = two_networks_and_canaries();
    world.run(300);
    world.sleep(3600);
    world.run(300);
    assert_eq!(world.told(), Vec::<String>::new());
    world.sleep(3600);
    world.stop("main");
    world.run(40);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn too_few_of_the_former_voters_prove_no_halt() {
    let mut world = World::of("a b c d e f");
    world.run(100);
    world.kill("a b c d");
    world.let_say("e", |m| m.at(1100));
    world.let_say("f", |m| m.at(1100));
    world.run(80);
    assert_eq!(world.fired(AlertName::NetworkHalted), None);
}

#[test]
fn voters_that_are_known_to_be_gone_hide_no_halt_of_those_that_went_on_without_them() {
    for limited in [false, true] {
        let mut world = World::of("a b c d e");
        world.run(100);
        for name in ["a", "b", "c"] {
            world.let_say(name, move |_| Err(if limited { ErrorKind::RateLimited } else { ErrorKind::Timeout }));
        }
        world.run(120);
        assert_eq!(world.fired(AlertName::NetworkHalted), None, "two are left, and the tip moves");
        world.stop("main");
        world.run(40);
        let (ms, _) = world.fired(AlertName::NetworkHalted).unwrap();
        assert!((248_000..=255_000).contains(&ms), "told at {ms} ms");
    }
}

#[test]
fn one_witness_that_is_left_makes_no_halt_alone() {
    let mut world = World::of("a b c d e");
    world.run(100);
    world.kill("a b c d");
    world.run(20);
    world.let_say("e", |m| m.at(1120));
    world.run(120);
    assert_eq!(world.fired(AlertName::NetworkHalted), None);
}

#[test]
fn a_node_that_is_not_asked_meanwhile_does_not_hide_that_we_are_cut_off() {
    for limited in [true, false] {
        let mut world = two_networks_and_canaries();
        world.run(300);
        if limited {
            world.let_say("g", |_| Err(ErrorKind::RateLimited));
            world.run(4);
        }
        world.never_poll("g");
        world.cut(true);
        world.run(700);
        let mut told = world.told_names();
        told.retain(|line| !line.contains("NodeRateLimited"));
        assert_eq!(told, ["fire MonitorIsolated m1"], "limited: {limited}");
        let (ms, _) = world.fired(AlertName::MonitorIsolated).unwrap();
        assert!((355_000..=389_000).contains(&ms), "told at {ms} ms");
        world.cut(false);
        world.run(30);
        assert_eq!(world.told_names().last().unwrap(), "resolve MonitorIsolated m1");
    }
}

#[test]
fn silent_canaries_and_one_dead_node_isolate_nobody_while_others_answer() {
    let mut world = two_networks_and_canaries();
    world.run(100);
    world.canaries_answer(false);
    world.kill("e");
    world.run(600);
    assert_eq!(world.told_names(), ["fire NodeOffline e"]);
}

#[test]
fn the_one_that_is_left_when_a_network_has_lost_its_quorum_is_believed() {
    for left in ["D", "D e", "e"] {
        let mut world = World::of(if left == "D" { "A B C D" } else { "A B C D e" });
        world.run(100);
        world.stop("main");
        world.kill(if left == "e" { "A B C D" } else { "A B C" });
        world.run(45);
        let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap_or_else(|| panic!("{left}"));
        assert_eq!(alert.finding.reason(), "blocks_missing");
        assert!((129_000..=141_000).contains(&ms), "{left}: told at {ms} ms");
        world.go("main");
        world.revive("A B C D");
        world.run(120);
        assert_eq!(world.told_names(), ["fire NetworkHalted main", "resolve NetworkHalted main"], "{left}");
    }
}

#[test]
fn the_one_that_is_left_of_a_network_that_can_go_on_without_the_others_makes_no_halt_alone() {
    let mut settings = settings(&[(network("main"), "A B C D")]);
    settings.networks[0].core_total = Some(100);
    let mut world = World::new(settings);
    world.run(100);
    world.stop("main");
    world.kill("A B C");
    world.run(300);
    assert_eq!(world.fired(AlertName::NetworkHalted), None);
}

#[test]
fn the_one_that_is_left_and_sees_blocks_hides_nobody_behind_a_firewall() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.kill("A B C");
    world.run(1200);
    assert_eq!(world.fired(AlertName::NetworkHalted), None, "{:?}", world.told());
}
