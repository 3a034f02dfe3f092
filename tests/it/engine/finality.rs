//! Finality: how far the final block may fall behind, who is believed about it, and what only looks like a stall.

use std::time::Duration;

use haltwatch::{
    engine::{finding::Finding, settings::NetworkSettings},
    model::{AlertName, Height, Level, NetworkIndex, UnixTime},
    observation::{ErrorKind, Finality},
};

use super::world::{Answer, Moment, World, network, settings};

fn with_lag(seconds: u64) -> NetworkSettings {
    NetworkSettings { finality_lag: Some(Duration::from_secs(seconds)), ..network("main") }
}

fn world(network: NetworkSettings) -> World {
    World::new(settings(&[(network, "A B C D")]))
}

/// The truth, with this block final.
fn finally(m: &Moment, height: u64) -> Answer {
    m.but(|f| f.finality = Finality::Known { height: Height(height), hash: None, time: None })
}

/// Finality follows by two blocks until second 300, and from second `until` on again.
fn frozen(m: &Moment, until: i64) -> Answer {
    finally(m, if (300..until).contains(&m.second) { 1298 } else { m.height - 2 })
}

#[test]
fn finality_that_stands_still_is_told_in_time_and_resolves() {
    let mut world = world(with_lag(2));
    world.let_all_say(|m| frozen(m, 600));
    world.run(1200);
    assert_eq!(world.told_names(), ["fire FinalityStalled main", "resolve FinalityStalled main"]);
    let (ms, alert) = world.fired(AlertName::FinalityStalled).unwrap();
    assert!((417_100..428_000).contains(&ms), "told at {ms} ms");
    assert_eq!(alert.level, Level::L2);
    let Finding::FinalityBehind { finalized, limit, .. } = alert.finding else { panic!("{:?}", alert.finding) };
    assert_eq!((finalized, limit.as_secs()), (Height(1298), 120));
}

#[test]
fn finality_that_stands_still_is_told_however_rarely_nodes_are_asked() {
    for seconds in [10, 15, 20] {
        let mut settings = settings(&[(with_lag(2), "A B C D E")]);
        settings.nodes.iter_mut().for_each(|node| node.interval = Duration::from_secs(seconds));
        let mut world = World::new(settings);
        // Between two rounds the answers of most are too old to prove that no block has come.
        world.first_polls(&[300, 700, 1300, 7200, 7800]);
        world.let_all_say(|m| frozen(m, 5000));
        world.run(420 + 3 * i64::try_from(seconds).unwrap());
        assert_eq!(world.told_names(), ["fire FinalityStalled main"], "every {seconds} s");
    }
}

#[test]
fn a_stall_beyond_three_times_its_limit_is_critical() {
    let mut world = world(with_lag(2));
    world.let_all_say(|m| frozen(m, 5000));
    world.run(640);
    assert_eq!(
        world.snapshot().alerts.iter().find(|a| a.key.name == AlertName::FinalityStalled).unwrap().level,
        Level::L2
    );
    world.run(60);
    assert_eq!(
        world.snapshot().alerts.iter().find(|a| a.key.name == AlertName::FinalityStalled).unwrap().level,
        Level::L1
    );
}

#[test]
fn finality_that_only_falls_behind_slowly_is_told_too() {
    let mut world = world(with_lag(2));
    world.let_all_say(|m| finally(m, if m.second < 300 { m.height - 2 } else { 1298 + (m.height - 1300) / 2 }));
    world.run(900);
    let (ms, _) = world.fired(AlertName::FinalityStalled).unwrap();
    assert!((530_000..560_000).contains(&ms), "half as fast: 120 s behind after 240 s, told at {ms} ms");
}

#[test]
fn one_node_whose_finality_is_stuck_or_invented_proves_nothing() {
    let mut world = world(with_lag(2));
    world.let_all_say(|m| finally(m, m.height - 2));
    world.let_say("A", |m| finally(m, 1000));
    world.run(1000);
    assert_eq!(world.told(), Vec::<String>::new());
    assert!(world.snapshot().networks[0].finalized >= Some(Height(1990)));

    let mut world = self::world(with_lag(2));
    world.let_all_say(|m| frozen(m, 5000));
    world.let_say("A", |m| finally(m, m.height + 1_000_000));
    world.run(600);
    assert_eq!(world.told_names(), ["fire FinalityStalled main"]);
    assert_eq!(world.snapshot().networks[0].finalized, Some(Height(1298)));
}

#[test]
fn a_halted_head_is_a_halt_and_not_a_stall_of_finality() {
    let mut world = world(with_lag(60));
    world.let_all_say(|m| finally(m, m.height - 60));
    world.run(300);
    world.stop("main");
    world.run(3000);
    world.go("main");
    world.run(600);
    assert_eq!(world.told_names(), ["fire NetworkHalted main", "resolve NetworkHalted main"]);
}

#[test]
fn a_head_that_goes_on_after_a_halt_leaves_finality_its_ordinary_time() {
    let mut world = world(with_lag(128));
    world.let_all_say(|m| finally(m, m.height / 64 * 64 - 128));
    world.run(600);
    world.stop("main");
    world.run(3000);
    world.go("main");
    world.run(900);
    assert_eq!(world.told_names(), ["fire NetworkHalted main", "resolve NetworkHalted main"]);
}

#[test]
fn the_saw_tooth_of_epochs_is_normal_where_it_is_declared() {
    let mut world = world(with_lag(128));
    world.let_all_say(|m| finally(m, m.height / 64 * 64 - 128));
    world.run(4000);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn an_undeclared_lag_is_learned_and_a_stall_found_by_it() {
    let mut world = world(network("main"));
    world.let_all_say(|m| finally(m, if m.second < 9000 { m.height / 600 * 600 } else { 9600 }));
    world.run(9300);
    assert_eq!(world.told(), Vec::<String>::new(), "finality in bursts every ten minutes");
    world.run(3000);
    let (ms, alert) = world.fired(AlertName::FinalityStalled).unwrap();
    let Finding::FinalityBehind { limit, .. } = alert.finding else { panic!("{:?}", alert.finding) };
    assert!((1700..1900).contains(&limit.as_secs()), "three times what is usual: {limit:?}");
    assert!((10_200_000..10_600_000).contains(&ms), "told at {ms} ms");
}

#[test]
fn as_long_as_nobody_knows_what_is_normal_nobody_is_woken() {
    let mut world = world(network("main"));
    world.let_all_say(|m| finally(m, 1000));
    world.run(20_000);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_network_without_finality_has_none_to_lose() {
    let mut world = world(with_lag(2));
    world.run(1000);
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.snapshot().networks[0].finalized, None);
}

#[test]
fn producers_whose_clocks_jump_stall_nothing() {
    let mut world = world(with_lag(60));
    world.let_all_say(|m| {
        let jump = |height: u64| if 1200 <= height { 3_600_000 } else { 0 };
        let time = |height: u64| UnixTime::from_millis(m.head_time.millis() + jump(height) - 60_000);
        m.but(|f| {
            f.head.time = Some(UnixTime::from_millis(m.head_time.millis() + jump(m.height)));
            let height = m.height - 60;
            f.finality = Finality::Known { height: Height(height), hash: None, time: Some(time(height)) };
        })
    });
    world.run(600);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn finality_that_was_stalled_before_we_looked_is_found_by_timestamps_that_agree_with_the_blocks() {
    let told = |age_ms: i64, blocks: u64| {
        let mut world = world(with_lag(2));
        let start = 1000 - blocks;
        world.let_all_say(move |m| {
            let time = Some(UnixTime::from_millis(super::world::WALL - age_ms));
            m.but(|f| f.finality = Finality::Known { height: Height(start), hash: None, time })
        });
        world.run(60);
        world.told_names()
    };
    assert_eq!(told(900_000, 900), ["fire FinalityStalled main"]);
    assert_eq!(told(900_000_000, 4), Vec::<String>::new(), "a timestamp alone proves nothing");
    assert_eq!(told(2000, 900), Vec::<String>::new(), "nor does a count of blocks alone");
}

#[test]
fn blindness_and_pauses_stall_nothing() {
    let mut world = world(with_lag(30));
    world.let_all_say(|m| finally(m, m.height - 30));
    world.run(200);
    world.cut(true);
    world.run(900);
    world.cut(false);
    world.run(200);
    world.sleep(900);
    world.run(200);
    let about = |line: &&String| line.contains("Finality");
    assert_eq!(world.told().iter().filter(about).count(), 0, "{:?}", world.told());
}

#[test]
fn a_slow_chain_gets_the_time_to_tell_what_is_final_after_a_block() {
    let slow = NetworkSettings { block_time: Some(Duration::from_secs(600)), ..with_lag(0) };
    let mut world = world(slow);
    world.let_say("C", |m| finally(m, if m.second % 600 < 6 { m.height - 1 } else { m.height }));
    world.let_all_say(|m| finally(m, if m.second % 600 < 2 { m.height - 1 } else { m.height }));
    world.run(6000);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_stall_is_kept_while_nobody_can_say_whether_it_is_over() {
    let mut world = world(with_lag(2));
    world.let_all_say(|m| frozen(m, 5000));
    world.run(600);
    world.let_all_say(|m| if m.second < 700 { m.truth() } else { Err(ErrorKind::Timeout) });
    world.run(150);
    assert!(!world.told_names().contains(&"resolve FinalityStalled main".to_owned()), "{:?}", world.told());
}

#[test]
fn where_a_parent_has_no_finality_its_child_has_none_and_nobody_is_told_twice() {
    let child = NetworkSettings { depends_on: vec![NetworkIndex(0)], ..with_lag(4) };
    let mut world = World::new(settings(&[
        (with_lag(2), "A B C D"),
        (NetworkSettings { name: "child".into(), ..child }, "E F G H"),
    ]));
    world.let_all_say(|m| frozen(m, 1200));
    world.run(1000);
    assert_eq!(world.told_names(), ["fire FinalityStalled main", "raise FinalityStalled main"]);
    let shown = world.snapshot().alerts.into_iter().filter(|alert| alert.key.name == AlertName::FinalityStalled);
    assert_eq!(shown.map(|alert| alert.inhibited_by.is_some()).collect::<Vec<_>>(), [false, true]);
    world.run(1000);
    assert_eq!(world.told_names().last().unwrap(), "resolve FinalityStalled main");
}

#[test]
fn a_child_without_finality_whose_parent_has_it_is_told() {
    let child = NetworkSettings { name: "child".into(), depends_on: vec![NetworkIndex(0)], ..with_lag(2) };
    let mut world = World::new(settings(&[(with_lag(2), "A B C D"), (child, "E F G H")]));
    for name in ["E", "F", "G", "H"] {
        world.let_say(name, |m| frozen(m, 1200));
    }
    world.run(450);
    assert_eq!(world.told_names(), ["fire FinalityStalled child"]);
}
