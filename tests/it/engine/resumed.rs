//! A monitor that dies and knows after its next start what it had announced: what still is so is not announced again, what
//! is over ends once, and what began meanwhile is told as ever.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    engine::{
        Engine,
        finding::Finding,
        resume::{About, Announced},
        settings::{Cadence, NetworkLimits, NetworkSettings, Settings},
        snapshot::{Alert, Effect, NetworkPhase, QuietChange},
    },
    model::{AlertName, Height, Level, UnixTime},
    observation::{ErrorKind, Finality, Syncing},
};
use proptest::prelude::*;

use super::{
    branches::on,
    world::{Answer, Moment, WALL, World, block, canary, network, settings},
};

/// The monitor dies, and is started again so many seconds later with what it had written down.
fn restart(world: &mut World, seconds: i64) {
    let known = world.engine.announced();
    world.sleep(seconds);
    world.engine = Engine::new(Arc::new(world.settings.clone()), world.now());
    assert_eq!(world.engine.resume(&known, world.now()), [], "every name has its place");
    assert_eq!(world.engine.announced(), known);
    world.wake_at = None;
}

/// What was told since, but that it got louder, and of steps back: those happen once, and end by themselves.
fn since(world: &World, told: usize) -> Vec<String> {
    let of_interest = |line: &String| !line.starts_with("raise") && !line.contains("HeightRegression");
    world.told_names().split_off(told).into_iter().filter(of_interest).collect()
}

fn alert(world: &World, name: &str) -> Option<Alert> {
    world.snapshot().alerts.into_iter().find(|alert| alert.key.name.as_str() == name)
}

/// One trouble: how the world comes into it and out of it again.
struct Trouble {
    name: &'static str,
    world: fn() -> World,
    begin: fn(&mut World),
    /// It fires within this many seconds.
    fires: i64,
    end: fn(&mut World),
    /// Its end is told within this many seconds.
    ends: i64,
}

const TROUBLE: Trouble = Trouble {
    name: "",
    world: || World::of("A B C D"),
    begin: |_| {},
    fires: 300,
    end: |world| world.let_all_say(well),
    ends: 300,
};

const OF_NODE: Trouble = Trouble { world: || World::of("a b c d"), ..TROUBLE };

/// What a healthy node says.
fn well(m: &Moment) -> Answer {
    m.but(|facts| facts.clock = Some(UnixTime::from_millis(WALL + m.second * 1000)))
}

fn without_time(m: &Moment) -> Answer {
    m.but(|facts| facts.head.time = None)
}

fn of(settings: NetworkSettings) -> World {
    World::new(super::world::settings(&[(settings, "A B C D")]))
}

fn on_demand() -> World {
    of(NetworkSettings { cadence: Cadence::OnDemand, block_time: None, ..network("main") })
}

fn watched() -> World {
    let mut settings = settings(&[(network("main"), "A B C D")]);
    settings.canaries = vec![canary("one"), canary("two")];
    World::new(settings)
}

fn carries(m: &Moment, transactions: u64, pending: u64) -> Answer {
    m.but(|facts| (facts.head.transactions, facts.pending) = (Some(transactions), Some(pending)))
}

fn seconds(m: &Moment, from: i64) -> u64 {
    u64::try_from(m.second - from).unwrap_or(0)
}

fn catching_up(m: &Moment, height: u64) -> Answer {
    m.at(height).map(|mut facts| {
        facts.syncing = Syncing::Yes { behind: None };
        facts
    })
}

fn with_rule() -> World {
    let text = "[[network]]\nname = \"main\"\nfamily = \"evm\"\n[[network.node]]\nname = \"a\"\n\
                url = \"http://127.0.0.1:1\"\n[[rule]]\nname = \"Mine\"\nscope = \"network\"\n\
                when = '''network.voters < 5'''\nfor = \"20s\"\nlevel = \"L2\"\nsummary = \"few\"\n";
    let config = haltwatch::config::load(&haltwatch::config::Source::Text(text.to_owned())).unwrap();
    let settings = Settings { rules: config.engine.rules, ..settings(&[(network("main"), "A B C D e")]) };
    World::new(settings)
}

/// Alerts about what has happened once are not here: they end by themselves.
const TROUBLES: &[Trouble] = &[
    Trouble {
        name: "NetworkHalted",
        begin: |world| world.stop("main"),
        end: |world| world.go("main"),
        ends: 30,
        ..TROUBLE
    },
    Trouble {
        name: "NetworkHalted",
        world: || {
            let mut world = World::of("A B C D");
            world.let_all_say(without_time);
            world
        },
        begin: |world| world.stop("main"),
        end: |world| world.go("main"),
        ends: 30,
        ..TROUBLE
    },
    // Those who stand at different heights are asked one after the other.
    Trouble {
        name: "NetworkHalted",
        world: || of(NetworkSettings { block_time: Some(Duration::from_secs(60)), ..network("main") }),
        begin: |world| {
            world.stop("main");
            let height = world.height();
            for (node, behind) in ["A", "B", "C", "D"].into_iter().zip([9, 6, 3, 0]) {
                world
                    .let_say(node, move |m| m.at(m.height.saturating_sub(if m.height == height { behind } else { 0 })));
            }
        },
        fires: 1500,
        end: |world| world.go("main"),
        ends: 600,
    },
    Trouble {
        name: "NetworkHalted",
        world: on_demand,
        begin: |world| {
            world.stop("main");
            world.run(4);
            world.pending("main", 7);
        },
        end: |world| {
            world.go("main");
            world.pending("main", 0);
        },
        ends: 30,
        ..TROUBLE
    },
    Trouble {
        name: "NetworkHalted",
        world: on_demand,
        begin: |world| {
            world.stop("main");
            world.kill("C D");
        },
        fires: 400,
        end: |world| {
            world.revive("C D");
            world.go("main");
        },
        ends: 60,
    },
    // Nobody wants a block: that it is over shows when nobody has missed one for long.
    Trouble {
        name: "NetworkHalted",
        world: on_demand,
        begin: |world| {
            world.stop("main");
            world.kill("C D");
        },
        fires: 400,
        end: |world| world.revive("C D"),
        ends: 960,
    },
    Trouble {
        name: "NetworkUnreachable",
        world: || World::of("a b c d"),
        begin: |world| world.kill("a b c d"),
        ends: 90,
        ..TROUBLE
    },
    Trouble {
        name: "FinalityStalled",
        world: || of(NetworkSettings { finality_lag: Some(Duration::from_secs(2)), ..network("main") }),
        begin: |world| world.let_all_say(|m| finally(m, 1050)),
        end: |world| world.let_all_say(|m| finally(m, m.height - 2)),
        ends: 90,
        ..TROUBLE
    },
    Trouble {
        name: "FinalityStalled",
        world: || {
            let mut world = of(network("main"));
            world.let_all_say(|m| finally(m, (m.height - 2) / 10 * 10));
            world
        },
        begin: |world| world.let_all_say(|m| finally(m, 1050)),
        end: |world| world.let_all_say(|m| finally(m, (m.height - 2) / 10 * 10)),
        ends: 120,
        ..TROUBLE
    },
    Trouble {
        name: "NetworkSplit",
        world: || {
            let mut world = World::of("a b c d e f g h i j");
            parted(&mut world, 0, 100);
            world
        },
        begin: |world| parted(world, 9, 60),
        end: |world| parted(world, 0, 100),
        ends: 700,
        ..TROUBLE
    },
    Trouble { name: "QuorumAtRisk", begin: |world| world.kill("D"), ends: 60, ..TROUBLE },
    Trouble { name: "QuorumAtRisk", begin: |world| world.let_say("D", |m| m.at(1060)), ends: 60, ..TROUBLE },
    Trouble {
        name: "ConsensusStruggling",
        world: || of(NetworkSettings { block_time: Some(Duration::from_secs(10)), ..network("main") }),
        begin: |world| {
            world.let_all_say(|m| m.but(|facts| facts.round = Some(if 2 <= m.second % 10 { 3 } else { 0 })));
        },
        end: |world| world.let_all_say(|m| m.but(|facts| facts.round = Some(0))),
        ends: 360,
        ..TROUBLE
    },
    Trouble {
        name: "ConsensusStruggling",
        world: || of(NetworkSettings { block_time: Some(Duration::from_secs(10)), ..network("main") }),
        begin: |world| world.let_all_say(|m| m.but(|facts| facts.participation = Some(640))),
        fires: 400,
        end: |world| world.let_all_say(|m| m.but(|facts| facts.participation = Some(990))),
        ends: 360,
    },
    Trouble {
        name: "BlocksSlow",
        begin: |world| world.beat("main", 4000),
        fires: 400,
        end: |world| world.beat("main", 1000),
        ends: 240,
        ..TROUBLE
    },
    Trouble {
        name: "TransactionBacklog",
        world: || {
            let mut world = World::of("A B C D");
            world.let_all_say(|m| carries(m, 20, 20));
            world
        },
        begin: |world| world.let_all_say(|m| carries(m, 5, 20 + 15 * seconds(m, 60))),
        fires: 1200,
        end: |world| world.let_all_say(|m| carries(m, 20, 20)),
        ends: 500,
    },
    // Those who wait are always as many: what is usual is not known after a restart.
    Trouble {
        name: "TransactionBacklog",
        world: || {
            let mut world = World::of("A B C D");
            world.let_all_say(|m| carries(m, 20, 20));
            world
        },
        begin: |world| world.let_all_say(|m| carries(m, 1, 20 + (15 * seconds(m, 60)).min(9000))),
        fires: 1200,
        end: |world| world.let_all_say(|m| carries(m, 20, 20)),
        ends: 500,
    },
    Trouble {
        name: "EmptyBlocks",
        world: || {
            let mut world = World::of("A B C D");
            world.let_all_say(|m| carries(m, 3, 5));
            world
        },
        begin: |world| world.let_all_say(|m| carries(m, 0, 5 + seconds(m, 60) / 30)),
        fires: 1200,
        end: |world| world.let_all_say(|m| carries(m, 3, 5)),
        ends: 200,
    },
    Trouble {
        name: "MonitorIsolated",
        world: watched,
        begin: |world| world.cut(true),
        end: |world| world.cut(false),
        ends: 120,
        ..TROUBLE
    },
    Trouble { name: "NodeOffline", begin: |world| world.kill("d"), ends: 60, ..OF_NODE },
    Trouble { name: "NodeStalled", begin: |world| world.let_say("d", |m| m.at(1060)), ends: 60, ..OF_NODE },
    Trouble {
        name: "NodeStalled",
        world: || {
            let unknown = NetworkSettings { block_time: None, ..network("main") };
            World::new(settings(&[(unknown, "a b c d")]))
        },
        begin: |world| world.let_say("d", |m| m.at(1060)),
        ends: 400,
        ..OF_NODE
    },
    // It claims to be catching up, and does not.
    Trouble {
        name: "NodeStalled",
        begin: |world| world.let_say("d", |m| catching_up(m, 1060)),
        fires: 600,
        ends: 60,
        ..OF_NODE
    },
    Trouble { name: "NodeLagging", begin: |world| world.let_say("d", |m| m.at(m.height - 100)), ends: 60, ..OF_NODE },
    Trouble {
        name: "NodeSyncing",
        begin: |world| world.let_say("d", |m| catching_up(m, m.height - 500)),
        ends: 90,
        ..OF_NODE
    },
    Trouble {
        name: "NodeForked",
        begin: |world| {
            world.let_say("d", |m| {
                m.but(|facts| {
                    (facts.head.hash, facts.head.parent) = (Some(block(9, m.height)), Some(block(9, m.height - 1)));
                })
            });
        },
        ends: 150,
        ..OF_NODE
    },
    Trouble {
        name: "NodeWrongChain",
        begin: |world| world.let_say("d", |m| m.but(|facts| facts.chain_id = Some("other".into()))),
        ends: 90,
        ..OF_NODE
    },
    Trouble {
        name: "NodeLowPeers",
        begin: |world| world.let_say("d", |m| m.but(|facts| facts.peers = Some(0))),
        fires: 400,
        ends: 90,
        ..OF_NODE
    },
    Trouble {
        name: "NodeClockSkew",
        begin: |world| {
            world.let_say("d", |m| {
                m.but(|facts| facts.clock = Some(UnixTime::from_millis(WALL + (m.second + 600) * 1000)))
            });
        },
        ends: 90,
        ..OF_NODE
    },
    Trouble {
        name: "NodeErrors",
        begin: |world| {
            world.let_say("d", |m| if m.second % 40 < 4 { Err(ErrorKind::Http5xx) } else { m.truth() });
        },
        fires: 600,
        ends: 400,
        ..OF_NODE
    },
    Trouble {
        name: "NodeSlow",
        begin: |world| world.slow = vec![(0, 3)],
        fires: 600,
        end: |world| world.slow.clear(),
        ends: 150,
        ..OF_NODE
    },
    Trouble {
        name: "NodeRateLimited",
        begin: |world| {
            world.let_say("d", |m| if m.second % 12 < 8 { Err(ErrorKind::RateLimited) } else { m.truth() });
        },
        ends: 200,
        ..OF_NODE
    },
    Trouble {
        name: "NodeUnauthorized",
        begin: |world| world.let_say("d", |_| Err(ErrorKind::Unauthorized)),
        ends: 60,
        ..OF_NODE
    },
    Trouble {
        name: "Mine",
        world: with_rule,
        begin: |world| {
            world.kill("e");
            world.run(150);
        },
        end: |world| world.revive("e"),
        ends: 60,
        ..TROUBLE
    },
];

fn finally(m: &Moment, height: u64) -> Answer {
    m.but(|facts| facts.finality = Finality::Known { height: Height(height), hash: None, time: None })
}

/// From now on four of ten are on a branch that grows at a share of the pace.
fn parted(world: &mut World, branch: u8, percent: u64) {
    let fork = world.height();
    for (i, node) in "a b c d e f g h i j".split(' ').enumerate() {
        let (branch, percent) = if i < 6 { (0, 100) } else { (branch, percent) };
        world.let_say(node, move |m| on(m, branch, fork, fork + (m.height - fork) * percent / 100));
    }
}

/// A world in that trouble.
fn in_trouble(trouble: &Trouble) -> World {
    let mut world = (trouble.world)();
    world.run(if world.settings.networks[0].block_time > Some(Duration::from_secs(30)) { 600 } else { 60 });
    (trouble.begin)(&mut world);
    let until = world.ms + trouble.fires * 1000;
    let fires = |world: &World| alert(world, trouble.name).is_some_and(|it| it.fired_at.is_some());
    while !fires(&world) {
        assert!(world.ms < until, "{}: {:?}", trouble.name, world.told());
        world.run(10);
    }
    world
}

const GAPS: [i64; 4] = [1, 30, 600, 86_400];

#[test]
fn trouble_that_goes_on_over_restarts_is_told_no_more_and_has_not_begun_anew() {
    for (n, trouble) in TROUBLES.iter().enumerate() {
        let mut world = in_trouble(trouble);
        let (name, before) = (trouble.name, alert(&world, trouble.name).unwrap());
        let told = world.told_names().len();
        for (turn, gap) in GAPS.into_iter().enumerate() {
            restart(&mut world, gap);
            assert_eq!(alert(&world, name).map(|it| it.finding), Some(Finding::Resumed));
            // Once it is looked for longer than any rule needs to change its mind.
            world.run(if turn == n % 4 { 1000 } else { 150 });
            let log = world.told();
            let mut news = since(&world, told);
            news.retain(|line| line.starts_with("fire") || line.contains(name));
            assert_eq!(news, [""; 0], "{name} ({n}) after {gap} s: {log:?}");
            let after = alert(&world, name).unwrap();
            assert_eq!((after.key, after.active_at, after.fired_at), (before.key, before.active_at, before.fired_at));
            assert!(after.level <= before.level, "{name} ({n}) after {gap} s");
        }
    }
}

#[test]
fn trouble_that_cleared_while_the_monitor_was_dead_ends_once() {
    for (n, trouble) in TROUBLES.iter().enumerate() {
        let gap = GAPS[n % 4];
        let mut world = in_trouble(trouble);
        let before = alert(&world, trouble.name).unwrap();
        let told = world.told_names().len();
        (trouble.end)(&mut world);
        restart(&mut world, gap);
        world.run(trouble.ends);
        let (name, log) = (trouble.name, world.told());
        let told = since(&world, told);
        let ends = format!("resolve {name} ");
        assert_eq!(told.iter().filter(|line| line.starts_with(&ends)).count(), 1, "{name} ({n}), {gap} s: {log:?}");
        assert!(told.iter().all(|line| line.starts_with("resolve")), "{name} ({n}), {gap} s: {log:?}");
        let resolved = world.effects().iter().rev().find_map(|(_, effect)| match effect {
            Effect::Resolved(alert) if alert.key == before.key => Some(alert.clone()),
            _ => None,
        });
        let resolved = resolved.unwrap();
        assert_eq!((resolved.active_at, resolved.fired_at), (before.active_at, before.fired_at), "{name}");
        assert!(resolved.fired_at <= resolved.resolved_at);
        world.run(300);
        let more = world.told_names().split_off(log.len());
        assert!(more.iter().all(|line| line.starts_with("resolve")), "{name} ({n}), {gap} s: {more:?}");
    }
}

#[test]
fn what_happened_once_ends_after_a_restart_as_it_would_have_without_one() {
    let mut world = World::of("a b c d e");
    world.let_all_say(|m| on(m, 0, 0, m.height));
    world.run(700);
    let fork = world.height() - 157;
    for node in ["a", "b", "c", "d", "e"] {
        world.let_say(node, move |m| on(m, 7, fork, m.height));
    }
    world.run(80);
    assert!(alert(&world, "DeepReorg").is_some(), "{:?}", world.told());
    restart(&mut world, 10);
    world.run(600);
    assert_eq!(world.told_names(), ["fire DeepReorg main", "resolve DeepReorg main"]);
}

#[test]
fn the_finding_is_the_true_one_as_soon_as_there_is_one_and_that_is_no_announcement() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(60);
    let told = world.effects().len();
    restart(&mut world, 5);
    let halted = alert(&world, "NetworkHalted").unwrap();
    assert_eq!(halted.finding.reason(), "resumed");
    assert_eq!(world.snapshot().networks[0].phase, NetworkPhase::Halted);
    world.run(15);
    assert_eq!(alert(&world, "NetworkHalted").unwrap().finding.reason(), "blocks_missing");
    let again: Vec<_> = world.effects()[told..]
        .iter()
        .filter(|(_, effect)| !matches!(effect, Effect::NodeState { .. }))
        .filter(|(_, effect)| !matches!(effect, Effect::Fired(alert) if alert.key.name == AlertName::Watchdog))
        .collect();
    let [(_, Effect::Quiet(found, QuietChange::FoundAgain))] = &again[..] else { panic!("{again:?}") };
    assert_eq!((found.key, found.fired_at), (halted.key, halted.fired_at));
}

#[test]
fn a_halt_goes_on_until_enough_new_blocks_have_come() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(60);
    let told = world.told_names().len();
    restart(&mut world, 30);
    world.run(10);
    let height = world.height();
    world.run_up_to("main", height + 3);
    world.run(20);
    assert_eq!(since(&world, told), [""; 0], "three blocks are no recovery");
    world.go("main");
    world.run(10);
    assert_eq!(since(&world, told), ["resolve NetworkHalted main"]);
}

#[test]
fn whoever_began_to_halt_while_nobody_watched_is_told_beside_what_goes_on() {
    let mut world = World::new(settings(&[(network("main"), "A B C D"), (network("other"), "a b c")]));
    world.run(60);
    world.kill("D");
    world.run(120);
    world.stop("other");
    let told = world.told_names().len();
    restart(&mut world, 60);
    world.run(120);
    assert_eq!(since(&world, told), ["fire NetworkHalted other"]);
}

#[test]
fn a_halt_from_before_mutes_its_nodes_at_once_and_what_was_told_of_them_before_it_still_ends() {
    let mut world = World::of("A B C D e");
    world.run(60);
    world.kill("e");
    world.run(120);
    world.stop("main");
    world.run(60);
    assert_eq!(world.told_names(), ["fire NodeOffline e", "fire NetworkHalted main"]);
    let told = world.told_names().len();
    world.kill("D");
    restart(&mut world, 30);
    world.run(200);
    assert_eq!(since(&world, told), [""; 0], "the loss of D follows from the halt");
    world.revive("D e");
    world.go("main");
    world.run(90);
    let mut ended = since(&world, told);
    ended.sort();
    assert_eq!(ended, ["resolve NetworkHalted main", "resolve NodeOffline e"]);
}

#[test]
fn a_network_that_cannot_be_seen_after_the_restart_keeps_what_was_told_of_it() {
    let mut world = World::of("a b c d");
    world.run(60);
    world.stop("main");
    world.run(60);
    let told = world.told_names().len();
    world.kill("a b c d");
    restart(&mut world, 10);
    world.run(7200);
    assert_eq!(since(&world, told), [""; 0]);
    assert_eq!(alert(&world, "NetworkHalted").unwrap().finding, Finding::Resumed);
}

#[test]
fn what_is_louder_than_before_the_restart_is_told_as_louder() {
    let mut world = of(NetworkSettings { finality_lag: Some(Duration::from_secs(2)), ..network("main") });
    world.let_all_say(|m| finally(m, if m.second < 300 { m.height - 2 } else { 1298 }));
    world.run(450);
    assert_eq!(alert(&world, "FinalityStalled").unwrap().level, Level::L2);
    restart(&mut world, 600);
    world.run(400);
    assert_eq!(world.told_names(), ["fire FinalityStalled main", "raise FinalityStalled main"]);
}

#[test]
fn what_nobody_was_told_of_is_not_kept() {
    let mut world = World::of("A B C d");
    world.run(60);
    world.stop("main");
    world.run(60);
    world.kill("d");
    world.run(200);
    assert!(alert(&world, "NodeOffline").unwrap().inhibited_by.is_some());
    let names: Vec<_> = world.engine.announced().into_iter().map(|it| (it.name, it.about)).collect();
    assert_eq!(names, [(Arc::from("NetworkHalted"), About::Network("main".into()))]);
}

#[test]
fn names_that_are_no_longer_configured_are_handed_back() {
    let mut world = World::new(settings(&[(network("main"), "A B C D"), (network("gone"), "a b c")]));
    world.run(60);
    world.stop("gone");
    world.kill("D");
    world.run(200);
    let known = world.engine.announced();
    assert_eq!(known.len(), 3, "{known:?}");
    let mut engine = Engine::new(Arc::new(settings(&[(network("main"), "A B C")])), world.now());
    let mut lost: Vec<_> = engine.resume(&known, world.now()).into_iter().map(|it| it.about).collect();
    lost.sort();
    assert_eq!(lost, [About::Network("gone".into()), About::Node("main".into(), "D".into())]);
    assert_eq!(engine.announced().len(), 1);
}

#[test]
fn a_reload_keeps_what_goes_on_from_before() {
    let mut world = World::of("A B C D");
    world.run(60);
    world.stop("main");
    world.run(60);
    restart(&mut world, 30);
    let mut settings = settings(&[(network("first"), "x"), (network("main"), "A B C D")]);
    settings.monitor = "m2".into();
    let known = world.engine.announced();
    let now = world.now();
    let (engine, outcome) = world.engine.reconfigured(Arc::new(settings), now);
    assert_eq!((outcome.effects, engine.announced()), (Vec::new(), known));
}

#[test]
fn a_halt_that_ended_meanwhile_is_over_though_a_transaction_waits_for_ever_and_a_node_is_asked_rarely() {
    let mut settings = settings(&[(NetworkSettings { cadence: Cadence::OnDemand, ..network("main") }, "A B C D")]);
    settings.nodes[3].interval = Duration::from_secs(1800);
    let mut world = World::new(settings);
    world.run(100);
    world.stop("main");
    world.pending("main", 1);
    world.run(100);
    let told = world.told_names().len();
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "{:?}", world.told());
    world.go("main");
    restart(&mut world, 300);
    world.run(30);
    assert_eq!(since(&world, told), ["resolve NetworkHalted main"]);
}

#[test]
fn a_clock_that_is_not_set_yet_when_we_begin_moves_no_beginning() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(60);
    let before = world.engine.announced();
    world.wall_off = -864_000_000;
    restart(&mut world, 5);
    world.run(20);
    world.wall_off = 0;
    world.run(20);
    assert_eq!(world.engine.announced().iter().find(|alert| alert.name == before[0].name), Some(&before[0]));
}

#[test]
fn a_split_that_is_over_after_a_restart_mutes_nobody_while_its_end_is_held() {
    let limits = NetworkLimits { flap_window: Duration::from_secs(3600), ..NetworkLimits::default() };
    let mut world = World::new(settings(&[(NetworkSettings { limits, ..network("main") }, "a b c d e f g h i j")]));
    parted(&mut world, 0, 100);
    world.run(300);
    parted(&mut world, 9, 60);
    world.run(120);
    assert!(alert(&world, "NetworkSplit").is_some(), "{:?}", world.told());
    parted(&mut world, 0, 100);
    restart(&mut world, 10);
    world.run(60);
    let height = world.height();
    world.let_say("a", move |m| on(m, 0, 0, height));
    world.run(800);
    assert!(world.told_names().contains(&"fire NodeStalled a".to_owned()), "{:?}", world.told());
}

#[test]
fn a_chain_that_went_on_for_a_while_when_nobody_watched_and_stands_again_is_the_same_halt() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(60);
    let known = world.engine.announced();
    world.go("main");
    world.engine = Engine::new(Arc::new(world.settings.clone()), world.now());
    world.run(200);
    world.stop("main");
    world.sleep(1000);
    let told = world.told_names().len();
    world.engine = Engine::new(Arc::new(world.settings.clone()), world.now());
    assert_eq!(world.engine.resume(&known, world.now()), []);
    world.wake_at = None;
    world.run(600);
    assert_eq!(since(&world, told), [""; 0], "{:?}", world.told());
}

#[test]
fn one_node_of_several_does_not_end_a_halt_from_before_by_its_word_alone() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(100);
    let told = world.told_names().len();
    for node in ["B", "C", "D"] {
        world.let_say(node, |m| if m.second < 330 { Err(ErrorKind::Refused) } else { m.truth() });
    }
    world.let_say("A", |m| m.but(|facts| facts.head.time = Some(UnixTime::from_millis(WALL + m.second * 1000))));
    restart(&mut world, 100);
    world.run(200);
    assert_eq!(since(&world, told), [""; 0], "{:?}", world.told());
}

fn any_announced() -> impl Strategy<Value = Announced> {
    let names: Vec<String> = AlertName::ALL.iter().map(|name| name.as_str().to_owned()).collect();
    let name = prop_oneof![4 => prop::sample::select(names), 1 => "[A-Za-z]{0,9}"];
    let word = prop::sample::select(vec!["main", "other", "A", "b", "east", "nobody", ""]);
    let about = (0..4_u8, word.clone(), word).prop_map(|(kind, a, b)| match kind {
        0 => About::Monitor,
        1 => About::Vantage(a.into()),
        2 => About::Network(a.into()),
        _ => About::Node(a.into(), b.into()),
    });
    let level = prop::sample::select(vec![Level::L1, Level::L2, Level::L3, Level::L4, Level::None]);
    // Ten years to either side.
    let time = (WALL - 315_576_000_000..=WALL + 315_576_000_000).prop_map(UnixTime::from_millis);
    (name, about, level, time.clone(), time).prop_map(|(name, about, level, active_at, fired_at)| Announced {
        name: name.into(),
        about,
        level,
        active_at,
        fired_at,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_was_written_down_nothing_panics_and_its_times_are_kept(
        known in prop::collection::vec(any_announced(), 0..60),
        dead in 0..100_000_i64,
    ) {
        let mut settings = settings(&[(network("main"), "A b"), (network("other"), "A")]);
        settings.vantages = vec!["east".into(), "west".into()];
        let mut world = World::new(settings);
        world.sleep(dead);
        world.engine.resume(&known, world.now());
        for alert in world.snapshot().alerts {
            prop_assert!(Some(alert.active_at) <= alert.fired_at);
            prop_assert!(known.iter().any(|known| alert.fired_at == Some(known.fired_at)));
        }
        world.run(120);
        world.kill("A");
        world.run(120);
        world.wall_off = -1_000_000_000;
        world.run(60);
        prop_assert!(world.told_names().iter().filter(|line| line.starts_with("fire")).count() < 6);
    }
}
