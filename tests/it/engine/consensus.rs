//! Consensus in trouble: rounds that climb and weight that does not sign, told from single failed rounds and dips; and
//! consensus that stands still on a chain of which nobody wants a block.

use std::time::Duration;

use haltwatch::{
    engine::{
        settings::{Cadence, NetworkSettings},
        snapshot::NetworkPhase,
    },
    model::{AlertName, Level},
    observation::Seats,
};

use super::world::{Answer, Moment, World, network, settings};

/// A chain with a block every ten seconds, so that rounds can be seen.
fn world() -> World {
    let slow = NetworkSettings { block_time: Some(Duration::from_secs(10)), ..network("main") };
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

/// A group that seals only when there is work, whose sealers tell a view.
fn idle(nodes: &str) -> World {
    let idle = NetworkSettings { cadence: Cadence::OnDemand, block_time: None, ..network("main") };
    let mut world = World::new(settings(&[(idle, nodes)]));
    world.stop("main");
    world
}

/// The same, polled so rarely that a day of it is soon over.
fn idle_for_days() -> World {
    let idle = NetworkSettings { cadence: Cadence::OnDemand, block_time: None, ..network("main") };
    let mut settings = settings(&[(idle, "A B C D")]);
    settings.nodes.iter_mut().for_each(|node| node.interval = Duration::from_secs(10));
    let mut world = World::new(settings);
    world.stop("main");
    world
}

/// What a sealer says whose view is `view` and who wants `next`.
fn with_view(m: &Moment, view: i64, next: i64) -> Answer {
    let number = |view: i64| Some(u64::try_from(view).unwrap());
    m.but(|f| (f.heartbeat, f.round) = (number(view), number(next)))
}

/// Its view grows every second.
fn turning(m: &Moment) -> Answer {
    with_view(m, m.second, m.second)
}

/// Its view froze and it tries in vain to get to the next.
fn frozen(m: &Moment) -> Answer {
    with_view(m, 400, 401)
}

fn halts(world: &World) -> Vec<String> {
    world.told_names().into_iter().filter(|line| line.contains("NetworkHalted")).collect()
}

#[test]
fn an_idle_group_whose_view_turns_over_is_healthy_for_a_day() {
    let mut world = idle_for_days();
    world.let_all_say(turning);
    world.run(86_400);
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.snapshot().networks[0].phase, NetworkPhase::Idle);
}

#[test]
fn an_idle_group_whose_view_rests_because_it_tells_none_is_healthy_for_a_day() {
    let mut world = idle_for_days();
    world.let_all_say(|m| m.but(|f| f.seats = Some(Seats { total: 4, needed: 3, live: 4 })));
    world.run(86_400);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn one_sealer_lost_is_a_risk_two_are_a_halt_by_the_frozen_view_and_both_back_is_the_end() {
    let mut world = idle("A B C D");
    world.let_all_say(turning);
    world.run(300);
    world.kill("D");
    world.run(200);
    assert_eq!(world.told_names(), ["fire QuorumAtRisk main", "fire NodeOffline D"]);
    assert!(
        [AlertName::NodeOffline, AlertName::QuorumAtRisk].iter().all(|n| world.fired(*n).unwrap().1.level == Level::L2)
    );
    world.kill("C");
    for name in ["A", "B"] {
        world.let_say(name, frozen);
    }
    let died = world.ms;
    world.run(60);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert_eq!((alert.level, alert.finding.reason()), (Level::L1, "blocks_missing"));
    assert!((15_000..=20_000).contains(&(ms - died)), "told after {} ms", ms - died);
    let text = alert.finding.to_string();
    assert!(
        text.starts_with("consensus stands still after 1000: views have not moved for 1")
            && text.ends_with("; 2 nodes say so"),
        "{text}"
    );
    world.let_all_say(turning);
    world.run(120);
    assert_eq!(halts(&world), ["fire NetworkHalted main", "resolve NetworkHalted main"]);
    world.run(600);
    assert!(world.snapshot().alerts.iter().all(|alert| alert.key.name == AlertName::Watchdog), "{:?}", world.told());
}

#[test]
fn views_are_counted_by_heads_whatever_weight_is_configured() {
    let mut settings = idle("A B C D").settings;
    settings.nodes.iter_mut().for_each(|node| node.weight = 10);
    let mut world = World::new(settings);
    world.stop("main");
    world.let_all_say(turning);
    world.run(300);
    world.kill("C D");
    for name in ["A", "B"] {
        world.let_say(name, frozen);
    }
    let died = world.ms;
    world.run(60);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert_eq!(alert.finding.reason(), "blocks_missing");
    assert!((15_000..=20_000).contains(&(ms - died)), "told after {} ms", ms - died);
}

#[test]
fn a_single_view_that_stands_still_is_a_node_in_trouble() {
    let mut world = idle("A B C D");
    world.let_all_say(turning);
    world.run(300);
    world.let_say("C", frozen);
    world.run(60);
    assert_eq!(world.told_names(), ["fire NodeStalled C"]);
    assert_eq!(world.fired(AlertName::NodeStalled).unwrap().1.finding.reason(), "stands_still");
    world.run(200);
    assert!(world.told_names().contains(&"fire QuorumAtRisk main".to_owned()), "{:?}", world.told());
    world.let_say("C", turning);
    world.run(200);
    assert_eq!(halts(&world), Vec::<String>::new());
    assert!(world.told_names().contains(&"resolve NodeStalled C".to_owned()), "{:?}", world.told());
}

#[test]
fn views_that_stand_still_while_more_move_than_may_lie_are_no_halt() {
    let mut world = idle("A B C D");
    world.let_all_say(turning);
    world.run(100);
    for name in ["A", "B"] {
        world.let_say(name, frozen);
    }
    world.run(600);
    assert_eq!(halts(&world), Vec::<String>::new(), "answers from a cache");
    world.let_say("C", frozen);
    world.run(60);
    assert_eq!(halts(&world), ["fire NetworkHalted main"], "one alone may lie");
}

#[test]
fn of_sealers_that_are_not_all_watched_all_who_speak_must_stand_still() {
    let of_ten = NetworkSettings { cadence: Cadence::OnDemand, core_total: Some(10), ..network("main") };
    for (frozen_ones, wanted) in [("A B", 1), ("A", 0)] {
        let mut world = World::new(settings(&[(of_ten.clone(), "A B c")]));
        world.stop("main");
        for name in ["A", "B"] {
            world.let_say(name, turning);
        }
        world.run(100);
        for name in frozen_ones.split(' ') {
            world.let_say(name, frozen);
        }
        world.run(100);
        assert_eq!(halts(&world).len(), wanted, "{frozen_ones}: {:?}", world.told());
    }
}

#[test]
fn a_frozen_view_without_the_wish_for_another_needs_twice_the_time() {
    let mut world = idle("A B C D");
    world.let_all_say(turning);
    world.run(100);
    world.let_all_say(|m| with_view(m, 400, 400));
    let from = world.ms;
    world.run(60);
    let (ms, _) = world.fired(AlertName::NetworkHalted).unwrap();
    assert!((30_000..=35_000).contains(&(ms - from)), "told after {} ms", ms - from);
}

#[test]
fn silence_neither_makes_nor_ends_a_halt_of_the_view() {
    let mut world = idle("A B C D e f");
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, turning);
    }
    world.run(100);
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, Moment::truth);
    }
    world.run(600);
    assert_eq!(halts(&world), Vec::<String>::new(), "they tell no view any more");
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, frozen);
    }
    world.run(60);
    assert_eq!(halts(&world), ["fire NetworkHalted main"]);
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, Moment::truth);
    }
    world.run(600);
    assert_eq!(halts(&world), ["fire NetworkHalted main"], "nobody has said that it is over");
    world.go("main");
    world.run(60);
    assert_eq!(halts(&world), ["fire NetworkHalted main", "resolve NetworkHalted main"], "blocks say so");
}

#[test]
fn a_view_that_counts_anew_with_each_block_is_alive() {
    let mut world = idle("A B C D");
    world.go("main");
    world.beat("main", 2000);
    world.let_all_say(|m| with_view(m, 0, 0));
    world.run(3600);
    assert_eq!(world.told(), Vec::<String>::new());
}

/// A sealer of four that sees so many of them.
fn sees(live: u64) -> impl Fn(&Moment) -> Answer {
    move |m| m.but(|f| f.seats = Some(Seats { total: 4, needed: 3, live }))
}

#[test]
fn one_seat_empty_is_a_risk_two_are_a_halt_and_all_taken_is_the_end() {
    let mut world = idle("A B C D");
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, sees(4));
    }
    world.run(300);
    world.kill("D");
    for name in ["A", "B", "C"] {
        world.let_say(name, sees(3));
    }
    world.run(200);
    assert_eq!(world.told_names(), ["fire QuorumAtRisk main", "fire NodeOffline D"]);
    world.kill("C");
    for name in ["A", "B"] {
        world.let_say(name, sees(2));
    }
    let died = world.ms;
    world.run(60);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert_eq!((alert.level, alert.finding.reason()), (Level::L1, "core_nodes_offline"));
    assert!((15_000..=20_000).contains(&(ms - died)), "told after {} ms", ms - died);
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, sees(4));
    }
    world.run(10);
    assert_eq!(halts(&world), ["fire NetworkHalted main", "resolve NetworkHalted main"]);
    world.run(600);
    assert!(world.snapshot().alerts.iter().all(|alert| alert.key.name == AlertName::Watchdog), "{:?}", world.told());
}

#[test]
fn seats_that_nobody_watches_are_a_risk_by_the_word_of_the_nodes() {
    let mut world = idle("A b");
    for name in ["A", "b"] {
        world.let_say(name, sees(3));
    }
    world.run(80);
    assert_eq!(world.told(), Vec::<String>::new(), "a restart is no loss");
    world.run(40);
    assert_eq!(world.told_names(), ["fire QuorumAtRisk main"]);
    for name in ["A", "b"] {
        world.let_say(name, Moment::truth);
    }
    world.run(600);
    assert_eq!(world.told_names(), ["fire QuorumAtRisk main"], "silence ends nothing");
}

#[test]
fn few_seats_by_the_word_of_one_of_several_are_no_halt_unless_it_is_the_last() {
    let mut world = idle("A B C D");
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, sees(4));
    }
    world.let_say("B", sees(1));
    world.run(900);
    assert_eq!(world.told(), Vec::<String>::new(), "an isolated node is no halt");
    world.kill("A C D");
    world.run(130);
    assert_eq!(halts(&world), ["fire NetworkHalted main"], "{:?}", world.told());
}

#[test]
fn few_seats_while_blocks_come_are_no_halt() {
    let mut world = idle("A B C D");
    world.go("main");
    world.beat("main", 5000);
    for name in ["A", "B", "C", "D"] {
        world.let_say(name, sees(2));
    }
    world.run(900);
    assert_eq!(halts(&world), Vec::<String>::new());
}

#[test]
fn a_halt_of_the_view_is_told_when_it_is_due_though_nobody_is_restless() {
    let told = |restless| {
        let mut world = idle("A B C D");
        world.restless = restless;
        for name in ["A", "B", "C", "D"] {
            world.let_say(name, move |m| if m.second < 100 { sees(4)(m) } else { sees(2)(m) });
        }
        world.run(200);
        world.fired(AlertName::NetworkHalted).unwrap().0
    };
    let (obedient, restless) = (told(i64::MAX), told(50));
    assert!((obedient - restless).abs() <= 1, "{obedient} ms or {restless} ms");
}
