//! What blocks carry: queues that grow old, blocks that stay empty, traffic that is unlike itself.

use haltwatch::{
    engine::{finding::Finding, settings::NetworkSettings},
    model::{AlertName, Level},
};

use super::world::{Answer, Moment, World, network, settings};

/// A block a second with so many transactions, while so many wait.
fn carries(m: &Moment, transactions: u64, pending: impl Into<Option<u64>>) -> Answer {
    m.but(|f| (f.head.transactions, f.pending) = (Some(transactions), pending.into()))
}

fn since(m: &Moment, second: i64) -> u64 {
    u64::try_from(m.second - second).unwrap_or(0)
}

fn world() -> World {
    World::of("A B C D")
}

#[test]
fn a_queue_whose_oldest_waits_too_long_is_told_and_resolves_when_it_is_served() {
    let mut world = world();
    world.let_all_say(|m| match m.second {
        ..600 => carries(m, 20, 20),
        600..1800 => carries(m, 5, 20 + 15 * since(m, 600)),
        _ => carries(m, 200, 18_000_u64.saturating_sub(180 * since(m, 1800)).max(20)),
    });
    world.run(1799);
    let (ms, alert) = world.fired(AlertName::TransactionBacklog).unwrap();
    let Finding::Backlog { oldest, limit, .. } = alert.finding else { panic!("{:?}", alert.finding) };
    assert_eq!((alert.level, limit.as_secs()), (Level::L3, 300));
    assert!((300..340).contains(&oldest.as_secs()), "{oldest:?}");
    assert!((900_000..1_100_000).contains(&ms), "told at {ms} ms");
    world.run(900);
    let about = |line: &&String| line.contains("TransactionBacklog");
    let told: Vec<String> = world.told_names().iter().filter(about).cloned().collect();
    assert_eq!(told, ["fire TransactionBacklog main", "resolve TransactionBacklog main"]);
}

#[test]
fn a_mempool_full_of_what_nobody_takes_is_no_backlog() {
    let mut world = world();
    world.let_all_say(|m| carries(m, 3, 150_000 + since(m, 0) % 700 * 20));
    world.run(7200);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_queue_of_one_node_alone_and_a_queue_that_is_served_are_no_backlog() {
    let mut world = world();
    world.let_all_say(|m| carries(m, 20, if m.second < 600 { 20 } else { 2000 }));
    world.let_say("A", |m| carries(m, 20, since(m, 0) * 1000));
    world.run(3600);
    assert_eq!(world.told(), Vec::<String>::new(), "2000 wait and are served within 100 s");
}

#[test]
fn only_empty_blocks_while_transactions_wait_are_told_after_a_quarter_of_an_hour() {
    let mut world = world();
    world.let_all_say(|m| match m.second {
        600..2000 => carries(m, 0, 5 + since(m, 600) / 30),
        _ => carries(m, 3, 5),
    });
    world.run(2600);
    let about = |line: &&String| line.contains("EmptyBlocks");
    let told: Vec<String> = world.told_names().iter().filter(about).cloned().collect();
    assert_eq!(told, ["fire EmptyBlocks main", "resolve EmptyBlocks main"]);
    let (ms, alert) = world.fired(AlertName::EmptyBlocks).unwrap();
    assert_eq!(alert.level, Level::L3);
    assert!((1_500_000..1_560_000).contains(&ms), "told at {ms} ms");
    assert!(matches!(alert.finding, Finding::BlocksEmpty { pending: Some(_), .. }), "{:?}", alert.finding);
}

#[test]
fn an_empty_chain_with_an_old_sediment_misses_nothing() {
    let mut world = world();
    world.let_all_say(|m| carries(m, 0, 7));
    world.run(7200);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn one_transaction_now_and_then_ends_the_run_of_empty_blocks() {
    let mut world = world();
    world.let_all_say(|m| carries(m, u64::from(m.second % 600 < 4), since(m, 0) / 60));
    world.run(7200);
    assert_eq!(world.fired(AlertName::EmptyBlocks), None);
}

#[test]
fn where_nobody_says_what_waits_a_busy_chain_misses_its_transactions_and_an_empty_one_does_not() {
    let told = |busy: u64| {
        let mut world = world();
        world.let_all_say(move |m| carries(m, if m.second < 3600 { busy } else { 0 }, None));
        world.run(3600 + 1000);
        world.fired(AlertName::EmptyBlocks).map(|(ms, _)| ms / 1000)
    };
    assert!(told(12).is_some_and(|second| (4500..4560).contains(&second)));
    assert_eq!(told(0), None);
}

#[test]
fn traffic_far_from_its_usual_is_told_in_both_directions_once_the_usual_is_known() {
    for (transactions, fires) in [(600, true), (4, true), (180, false), (30, false)] {
        let mut world = world();
        world.let_all_say(move |m| carries(m, if m.second < 3600 { 60 } else { transactions }, None));
        world.run(3600 + 900);
        let told = world.fired(AlertName::UnusualTraffic);
        assert_eq!(told.is_some(), fires, "60, then {transactions}");
        assert!(told.is_none_or(|(_, alert)| alert.level == Level::L4));
    }
}

#[test]
fn bursts_warm_up_and_quiet_chains_are_not_unusual() {
    let mut world = world();
    world.let_all_say(|m| carries(m, if m.second % 900 < 60 { 900 } else { 40 }, None));
    world.run(7200);
    assert_eq!(world.told(), Vec::<String>::new(), "a burst of a minute every quarter of an hour");
    let mut world = self::world();
    world.let_all_say(|m| carries(m, if m.second < 1500 { 1000 } else { 3 }, None));
    world.run(1900);
    assert_eq!(world.told(), Vec::<String>::new(), "nothing is usual yet");
    let mut world = self::world();
    world.let_all_say(|m| carries(m, u64::from(m.second % 1000 < 500) * 9, None));
    world.run(20_000);
    assert_eq!(world.told(), Vec::<String>::new(), "a handful more or less is nothing");
}

#[test]
fn a_halted_chain_has_no_backlog_and_no_empty_blocks_of_its_own() {
    let mut world = World::new(settings(&[(NetworkSettings { ..network("main") }, "A B C D")]));
    world.let_all_say(|m| carries(m, 0, if m.second < 300 { 0 } else { since(m, 300) * 10 }));
    world.run(300);
    world.stop("main");
    world.run(3000);
    assert_eq!(world.told_names(), ["fire NetworkHalted main"]);
}

#[test]
fn what_is_due_is_told_though_nobody_says_anything_new() {
    let told = |restless| {
        let mut world = world();
        world.restless = restless;
        world.let_all_say(|m| match m.second {
            600.. => carries(m, 0, 5 + 10 * since(m, 600)),
            _ => carries(m, 3, 5),
        });
        world.run(1700);
        [AlertName::EmptyBlocks, AlertName::TransactionBacklog].map(|name| world.fired(name).unwrap().0)
    };
    let (obedient, restless) = (told(i64::MAX), told(100));
    assert_eq!(obedient[0], restless[0]);
    assert!((obedient[1] - restless[1]).abs() < 20_000, "samples of a queue are taken when somebody steps");
}

#[test]
fn traffic_that_is_usual_again_is_no_longer_told() {
    let mut world = world();
    world.let_all_say(|m| carries(m, if (3600..5400).contains(&m.second) { 600 } else { 60 }, None));
    world.run(9000);
    let told: Vec<_> = world.told_names().into_iter().filter(|line| line.contains("UnusualTraffic")).collect();
    assert_eq!(told, ["fire UnusualTraffic main", "resolve UnusualTraffic main"]);
}
