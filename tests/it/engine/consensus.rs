//! Consensus in trouble: rounds that climb and weight that does not sign, told from single failed rounds and dips.

use haltwatch::{
    engine::settings::{Cadence, NetworkSettings},
    model::{AlertName, Level},
};

use super::world::{World, network, settings};

/// A chain with a block every ten seconds, so that rounds can be seen.
fn world() -> World {
    let slow = NetworkSettings { block_time: Some(std::time::Duration::from_secs(10)), ..network("main") };
    World::new(settings(&[(slow, "A B C D")]))
}

#[test]
fn rounds_that_stay_high_are_told_and_resolve() {
    let mut world = world();
    world.let_all_say(|m| {
        let high = (300..900).contains(&m.second) && 2 <= m.second % 10;
        m.but(|f| f.round = Some(if high { 3 } else { 0 }))
    });
    world.run(1500);
    assert_eq!(world.told_names(), ["fire ConsensusStruggling main", "resolve ConsensusStruggling main"]);
    let (ms, alert) = world.fired(AlertName::ConsensusStruggling).unwrap();
    assert_eq!((alert.level, alert.finding.reason()), (Level::L3, "rounds_climb"));
    assert!((360_000..480_000).contains(&ms), "told at {ms} ms");
}

#[test]
fn a_failed_round_now_and_then_is_life() {
    let mut world = world();
    world.let_all_say(|m| m.but(|f| f.round = Some(u64::from(m.second % 40 < 8 && 2 < m.second % 40))));
    world.run(3600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn rounds_of_one_node_alone_and_counters_that_never_go_back_are_no_trouble() {
    let mut world = world();
    world.let_all_say(|m| m.but(|f| f.round = Some(7000 + m.height)));
    world.run(1800);
    world.let_all_say(|m| m.but(|f| f.round = Some(0)));
    world.let_say("A", |m| m.but(|f| f.round = Some(u64::try_from(m.second).unwrap())));
    world.run(1800);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn leaders_of_an_idle_chain_may_change_as_they_like() {
    let idle = NetworkSettings { cadence: Cadence::OnDemand, ..network("main") };
    let mut world = World::new(settings(&[(idle, "A B C D")]));
    world.run(100);
    world.stop("main");
    world.let_all_say(|m| m.but(|f| f.round = Some(u64::try_from(m.second / 30).unwrap())));
    world.run(3600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn participation_that_stays_low_is_told_and_a_dip_is_not() {
    let mut world = world();
    world.let_all_say(|m| m.but(|f| f.participation = Some(if m.second % 600 < 120 { 640 } else { 990 })));
    world.run(3600);
    assert_eq!(world.told(), Vec::<String>::new());
    world.let_all_say(|m| m.but(|f| f.participation = Some(640)));
    world.run(400);
    world.let_all_say(|m| m.but(|f| f.participation = Some(985)));
    world.run(900);
    assert_eq!(world.told_names(), ["fire ConsensusStruggling main", "resolve ConsensusStruggling main"]);
}

#[test]
fn participation_that_one_node_alone_calls_low_is_not() {
    let mut world = world();
    world.let_all_say(|m| m.but(|f| f.participation = Some(990)));
    world.let_say("B", |m| m.but(|f| f.participation = Some(0)));
    world.run(1800);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn trouble_is_told_when_it_is_due_though_nobody_says_anything_new() {
    let told = |restless| {
        let mut world = world();
        world.restless = restless;
        world.let_all_say(|m| m.but(|f| f.participation = Some(if m.second < 300 { 990 } else { 500 })));
        world.run(900);
        world.fired(AlertName::ConsensusStruggling).unwrap().0
    };
    let (obedient, restless) = (told(i64::MAX), told(50));
    assert!((obedient - restless).abs() <= 1, "{obedient} ms or {restless} ms");
}
