//! A monitor that watches from two places: what one of them loses is its own loss, as long as the other sees.

use haltwatch::{
    engine::{settings::CanarySettings, snapshot::Subject},
    model::{AlertName, NodeState, VantageIndex},
};

use super::world::{World, canary, network, settings};

fn from_two_places(nodes: &str, canaries: bool) -> World {
    let mut settings = settings(&[(network("main"), nodes)]);
    settings.vantages = vec!["east".into(), "west".into()];
    if canaries {
        let of = |vantage, name: &str| CanarySettings { vantage: VantageIndex(vantage), ..canary(name) };
        settings.canaries = vec![of(0, "gateway:53"), of(0, "dns:53"), of(1, "gateway:53"), of(1, "dns:53")];
    }
    World::new(settings)
}

fn seconds_of(world: &World, name: AlertName) -> i64 {
    world.fired(name).unwrap_or_else(|| panic!("{:?}", world.told())).0 / 1000
}

#[test]
fn a_vantage_that_is_cut_off_says_so_and_proves_nothing() {
    for canaries in [true, false] {
        let mut world = from_two_places("A B C D", canaries);
        world.run(300);
        world.cut_from(1, true);
        world.run(600);
        let told = seconds_of(&world, AlertName::MonitorIsolated);
        assert!((355..=385).contains(&told), "{told}");
        let (_, alert) = world.fired(AlertName::MonitorIsolated).unwrap();
        assert_eq!(alert.key.subject, Subject::Vantage(VantageIndex(1)));
        assert_eq!(world.snapshot().isolated_since, None, "the other sees");
        assert_eq!(world.snapshot().nodes[0].state, NodeState::Live);
        world.cut_from(1, false);
        world.run(80);
        assert_eq!(world.told_names(), ["fire MonitorIsolated west", "resolve MonitorIsolated west"]);
    }
}

#[test]
fn a_halt_is_found_in_time_by_the_vantage_that_sees() {
    for blind in [0, 1] {
        let mut world = from_two_places("A B C D", true);
        world.run(300);
        world.cut_from(blind, true);
        world.run(100);
        world.stop("main");
        world.run(60);
        assert!((429..=434).contains(&seconds_of(&world, AlertName::NetworkHalted)), "{:?}", world.told());
    }
}

#[test]
fn a_dead_node_is_offline_though_one_vantage_is_blind() {
    let mut world = from_two_places("A B C D", true);
    world.run(300);
    world.cut_from(0, true);
    world.run(20);
    world.kill("D");
    world.run(120);
    assert!((408..=414).contains(&seconds_of(&world, AlertName::NodeOffline)), "{:?}", world.told());
    world.cut_from(0, false);
    world.revive("D");
    world.run(60);
    assert!(world.told_names().contains(&"resolve NodeOffline D".to_owned()), "{:?}", world.told());
}

#[test]
fn what_fails_on_the_way_from_one_vantage_is_no_failure_of_the_node() {
    let mut world = from_two_places("A B C D", true);
    world.blocked = vec![(1, 3), (1, 2)];
    world.slow = vec![(0, 1)];
    world.run(1500);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.snapshot().nodes[3].state, NodeState::Live);
}

#[test]
fn a_vantage_that_never_reached_a_node_is_no_witness_when_the_other_goes_blind() {
    let mut world = from_two_places("A B C D", true);
    world.blocked = vec![(1, 3)];
    world.run(300);
    world.cut_from(0, true);
    world.run(600);
    assert_eq!(world.told_names(), ["fire MonitorIsolated east"]);
    assert_eq!(world.snapshot().nodes[3].state, NodeState::Unknown);
    world.cut_from(0, false);
    world.run(60);
    assert_eq!(world.snapshot().nodes[3].state, NodeState::Live);
}

#[test]
fn a_node_that_is_slow_to_all_is_slow() {
    let mut world = from_two_places("A B C D", true);
    world.run(300);
    world.slow = vec![(0, 1), (1, 1)];
    world.run(600);
    assert_eq!(world.told_names(), ["fire NodeSlow B"]);
}

#[test]
fn when_no_vantage_sees_nothing_is_judged() {
    let mut world = from_two_places("A B C D", true);
    world.run(300);
    world.cut(true);
    world.run(600);
    let mut told = world.told_names();
    told.sort();
    assert_eq!(told, ["fire MonitorIsolated east", "fire MonitorIsolated west"]);
    assert!(world.snapshot().isolated_since.is_some());
    world.cut(false);
    world.run(300);
    assert_eq!(world.told_names().len(), 4, "{:?}", world.told());
}

#[test]
fn nodes_that_are_silent_to_all_vantages_are_an_outage_of_theirs() {
    let mut world = from_two_places("a b c d", false);
    world.run(300);
    world.kill("a b c d");
    world.run(80);
    assert_eq!(world.told_names(), ["fire NetworkUnreachable main"]);
}

#[test]
fn vantages_that_are_cut_off_by_turns_are_forgiven_by_turns() {
    let mut world = from_two_places("A B C D", true);
    world.run(300);
    for _ in 0..6 {
        for vantage in [0, 1] {
            world.cut_from(vantage, true);
            world.run(45);
            world.cut_from(vantage, false);
            world.run(5);
        }
    }
    assert_eq!(world.told(), [""; 0]);
}
