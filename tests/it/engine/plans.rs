//! Halts that were announced: nobody is paged while they keep to their time, everybody is when they do not.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    engine::{
        Engine,
        finding::Finding,
        settings::{NetworkLimits, NetworkSettings, Settings},
    },
    model::{AlertName, Height, Instant, NetworkIndex, PlannedHalt, Timestamp, UnixTime},
    observation::Upgrade,
};

use super::world::{WALL, World, network, settings};

fn at(second: i64) -> Instant {
    Instant::At(Timestamp(second * 1000))
}

fn wall(second: i64) -> Instant {
    Instant::Wall(UnixTime::from_millis(WALL + second * 1000))
}

fn plan(from: Option<Instant>, until: Option<Instant>, at_height: Option<u64>) -> PlannedHalt {
    PlannedHalt { kind: "upgrade".into(), from, until, at_height: at_height.map(Height) }
}

/// The lines about halts, with their seconds.
fn of_halts(world: &World) -> Vec<String> {
    let about = |line: &String| line.contains("NetworkHalted") || line.contains("PlannedHalt");
    world.told().into_iter().filter(about).collect()
}

fn assert_told(world: &World, wanted: &[(i64, &str)]) {
    let told = of_halts(world);
    assert_eq!(told.len(), wanted.len(), "{told:?}");
    for (line, (second, name)) in told.iter().zip(wanted) {
        let (when, what) = line.split_once(' ').unwrap();
        let late = when.parse::<i64>().unwrap() - second;
        assert!(what == *name && (0..=5).contains(&late), "{line:?}, wanted {name} at {second}");
    }
}

const BEGINS: &str = "fire PlannedHalt main";
const ENDS: &str = "resolve PlannedHalt main";
const HALTS: &str = "fire NetworkHalted main";
const RECOVERS: &str = "resolve NetworkHalted main";

fn configured(planned: Vec<PlannedHalt>) -> Settings {
    settings(&[(NetworkSettings { planned, ..network("main") }, "A B C D")])
}

#[test]
fn an_upgrade_that_keeps_to_its_time_pages_nobody_though_every_node_restarts() {
    let mut world = World::of("A B C D e f");
    world.run(30);
    world.announce(plan(Some(at(1000)), Some(at(3000)), None));
    world.run(980);
    world.stop("main");
    for name in ["A", "B", "C", "D", "e", "f"] {
        world.kill(name);
        world.run(150);
        world.revive(name);
    }
    world.kill("A B C D e f");
    world.run(100);
    world.revive("A B C D e f");
    world.go("main");
    world.run(3000);
    assert_eq!(world.told_names(), [BEGINS, ENDS]);
    assert_told(&world, &[(1000, BEGINS), (3000, ENDS)]);
    let (_, alert) = world.fired(AlertName::PlannedHalt).unwrap();
    let until = UnixTime::from_millis(WALL + 3_000_000);
    assert_eq!(alert.finding, Finding::Planned { kind: "upgrade".into(), until });
}

#[test]
fn a_halt_that_overruns_its_window_is_told_one_threshold_later() {
    for restless in [i64::MAX, 700] {
        let mut world = World::of("A B C D");
        world.restless = restless;
        world.announce(plan(Some(at(100)), Some(at(600)), None));
        world.run(110);
        world.stop("main");
        world.run(500);
        assert_eq!(world.snapshot().networks[0].halt_ratio.map(|ratio| ratio < 1.0), Some(true));
        world.run(300);
        assert_told(&world, &[(100, BEGINS), (600, ENDS), (630, HALTS)]);
        let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
        assert_eq!(ms, 630_000, "to the millisecond");
        let Finding::BlocksMissing { gap, overrun, .. } = alert.finding else { panic!("{:?}", alert.finding) };
        assert_eq!(overrun, Some(Duration::from_secs(30)));
        assert!(Duration::from_secs(519) <= gap, "the gap is the whole gap: {gap:?}");
        assert!(alert.finding.to_string().contains("the announced halt should have been over 30 s ago"));
    }
}

#[test]
fn an_old_window_mutes_no_later_halt() {
    let mut world = World::of("A B C D");
    world.announce(plan(Some(at(100)), Some(at(600)), None));
    world.run(110);
    world.stop("main");
    world.run(300);
    world.go("main");
    world.run(3000);
    world.stop("main");
    world.run(100);
    assert_told(&world, &[(100, BEGINS), (600, ENDS), (3438, HALTS)]);
    let (_, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert!(matches!(alert.finding, Finding::BlocksMissing { overrun: None, .. }), "{:?}", alert.finding);
}

#[test]
fn a_late_notice_does_not_end_a_real_halt() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.stop("main");
    world.run(60);
    world.announce(plan(Some(at(150)), Some(at(400)), None));
    world.run(400);
    world.go("main");
    world.run(60);
    let names: Vec<_> = of_halts(&world).iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(names, [HALTS, BEGINS, ENDS, RECOVERS]);
}

#[test]
fn the_window_opens_when_the_last_block_before_the_upgrade_comes_early() {
    let mut world = World::of("A B C D");
    world.announce(plan(Some(at(2000)), Some(at(3000)), Some(1201)));
    world.run_up_to("main", 1200);
    let reached = world.ms / 1000;
    world.run(3000 - reached);
    world.go("main");
    world.run(120);
    assert_told(&world, &[(reached, BEGINS), (3000, ENDS)]);
}

#[test]
fn a_height_that_had_passed_when_we_heard_of_it_opens_nothing() {
    for height in [0, 1, 500, 1000] {
        let mut world = World::of("A B C D");
        world.run(100);
        world.announce(plan(None, Some(at(90_000)), Some(height)));
        world.run(50);
        world.stop("main");
        world.run(60);
        assert_told(&world, &[(178, HALTS)]);
    }
}

#[test]
fn windows_that_end_before_they_begin_or_never_come_mute_nothing() {
    let mut world = World::of("A B C D");
    world.run(50);
    for absurd in [
        plan(Some(at(500)), Some(at(10)), None),
        plan(Some(at(10)), Some(at(20)), None),
        plan(None, None, None),
        plan(None, Some(at(500)), None),
        plan(None, None, Some(u64::MAX)),
        plan(Some(at(i64::MAX / 1000)), Some(at(i64::MAX / 1000)), None),
        plan(Some(Instant::Wall(UnixTime::from_millis(i64::MAX))), None, None),
    ] {
        world.announce(PlannedHalt { kind: format!("{absurd:?}").into(), ..absurd });
    }
    (0..300).for_each(|i| {
        world.announce(PlannedHalt { kind: format!("{i}").into(), ..plan(Some(at(i)), Some(at(i)), Some(5)) });
    });
    world.run(50);
    world.stop("main");
    world.run(60);
    assert_told(&world, &[(128, HALTS)]);
}

#[test]
fn a_window_that_is_moved_while_it_is_open_closes_at_its_new_time() {
    let mut world = World::of("A B C D");
    world.announce(plan(Some(at(100)), Some(at(300)), None));
    world.run(110);
    world.stop("main");
    world.run(100);
    world.announce(plan(Some(at(100)), Some(at(900)), None));
    world.run(1000);
    assert_told(&world, &[(100, BEGINS), (900, ENDS), (930, HALTS)]);
}

#[test]
fn windows_that_follow_each_other_are_one_to_the_halt() {
    let mut world = World::of("A B C D");
    world.announce(plan(Some(at(100)), Some(at(300)), None));
    world.announce(PlannedHalt { kind: "backup".into(), ..plan(Some(at(290)), Some(at(500)), None) });
    world.announce(plan(Some(at(2000)), Some(at(2100)), None));
    world.run(110);
    world.stop("main");
    world.run(400);
    assert_told(&world, &[(100, BEGINS), (500, ENDS)]);
    world.go("main");
    world.run(1495);
    world.stop("main");
    world.run(80);
    world.go("main");
    world.run(100);
    assert_told(&world, &[(100, BEGINS), (500, ENDS), (2000, BEGINS), (2100, ENDS)]);
}

#[test]
fn a_configured_window_follows_the_wall_clock_and_no_jump_of_it() {
    for (jump, back) in [(3600, 300), (-3600, 300), (0, 0)] {
        let mut world = World::new(configured(vec![plan(Some(wall(1000)), Some(wall(2000)), None)]));
        world.run(500);
        world.wall_off = jump * 1000;
        world.run(back);
        world.wall_off = 0;
        world.run(550 - back);
        world.stop("main");
        world.wall_off = jump * 1000;
        world.run(back);
        world.wall_off = 0;
        world.run(900 - back);
        world.go("main");
        world.run(300);
        assert_told(&world, &[(1000, BEGINS), (2000, ENDS)]);
    }
    let mut world = World::new(configured(vec![plan(Some(wall(2000)), Some(wall(3000)), None)]));
    world.run(500);
    world.wall_off = 1_000_000;
    world.run(2500);
    assert_told(&world, &[(1100, BEGINS), (2000, ENDS)]);
}

#[test]
fn a_node_that_stays_dead_after_the_window_is_told_then() {
    let mut world = World::of("A B C D E F G");
    world.announce(plan(Some(at(100)), Some(at(900)), None));
    world.run(110);
    world.stop("main");
    world.kill("B");
    world.run(400);
    world.go("main");
    world.run(380);
    assert_eq!(world.told_names(), [BEGINS]);
    world.run(90);
    assert_eq!(world.told_names(), [BEGINS, ENDS, "fire NodeOffline B"]);
}

#[test]
fn core_nodes_that_fail_inside_the_window_are_a_halt_five_minutes_after_it() {
    let mut world = World::of("A B C D");
    world.announce(plan(Some(at(100)), Some(at(900)), None));
    world.run(110);
    world.stop("main");
    world.kill("A B C D");
    world.run(1200);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert_eq!((ms, alert.finding.reason()), (1_200_000, "core_nodes_offline"));
    let (ms, _) = world.fired(AlertName::NetworkUnreachable).unwrap();
    assert_eq!(ms, 960_000, "a minute after the window");
}

fn says_upgrade(world: &mut World, names: &str, height: u64) {
    for name in names.split(' ') {
        let upgrade = Upgrade { name: "v18".into(), height: Height(height) };
        world.let_say(name, move |m| m.but(|f| f.upgrade = Some(upgrade.clone())));
    }
}

#[test]
fn an_upgrade_the_chain_has_planned_is_known_though_restarted_nodes_forget_it() {
    let mut world = World::of("A B C D");
    says_upgrade(&mut world, "A B C D", 1301);
    world.run_up_to("main", 1300);
    let reached = world.ms / 1000;
    world.run(300);
    world.revive("A B C D");
    world.run(600);
    world.go("main");
    world.run(120);
    let told = of_halts(&world);
    assert_eq!(told.len(), 2, "{told:?}");
    let (ms, alert) = world.fired(AlertName::PlannedHalt).unwrap();
    assert!((0..=5).contains(&(ms / 1000 - reached)));
    assert!(matches!(alert.finding, Finding::Planned { ref kind, .. } if &**kind == "v18"));
    world.stop("main");
    world.run(60);
    assert!(world.fired(AlertName::NetworkHalted).is_some(), "blocks went on: the upgrade is over");
}

#[test]
fn an_upgrade_that_does_not_come_back_is_told_after_its_window() {
    let limits = NetworkLimits { upgrade_window: Duration::from_secs(600), ..NetworkLimits::default() };
    let mut world = World::new(settings(&[(NetworkSettings { limits, ..network("main") }, "A B C D")]));
    says_upgrade(&mut world, "A B C D", 1101);
    world.run_up_to("main", 1100);
    let reached = world.ms / 1000 - 1;
    world.run(4000);
    assert_told(&world, &[(reached, BEGINS), (reached + 600, ENDS), (reached + 630, HALTS)]);
}

#[test]
fn a_restart_of_the_monitor_makes_the_window_of_an_upgrade_no_longer() {
    let mut world = World::of("A B C D");
    says_upgrade(&mut world, "A B C D", 1101);
    world.run_up_to("main", 1100);
    let reached = world.ms / 1000 - 1;
    world.run(600);
    let begins_again = world.ms / 1000;
    restart(&mut world);
    world.run(1500);
    let before = [(reached, BEGINS), (begins_again, BEGINS), (reached + 1800, ENDS), (reached + 1830, HALTS)];
    assert_told(&world, &before);
    let overran = world.ms / 1000;
    restart(&mut world);
    world.run(60);
    assert_told(&world, &[&before[..], &[(overran, HALTS)]].concat());
}

/// The monitor is started anew and remembers nothing.
fn restart(world: &mut World) {
    world.engine = Engine::new(Arc::new(world.settings.clone()), world.now());
    world.wake_at = None;
}

#[test]
fn one_node_alone_plans_no_halt_and_a_cancelled_plan_is_forgotten() {
    let mut world = World::of("A B C D");
    says_upgrade(&mut world, "A", 1101);
    world.run_up_to("main", 1100);
    world.run(60);
    assert_eq!(world.told_names(), [HALTS]);

    let mut world = World::of("A B C D");
    says_upgrade(&mut world, "A B C D", 1101);
    world.run(50);
    world.revive("A B C D");
    world.run(10);
    world.run_up_to("main", 1100);
    world.run(60);
    assert_eq!(world.told_names(), [HALTS]);
}

#[test]
fn a_reload_that_takes_the_window_away_ends_it() {
    let mut world = World::new(configured(vec![plan(Some(wall(100)), Some(wall(90_000)), None)]));
    world.run(110);
    world.stop("main");
    world.run(300);
    assert_told(&world, &[(100, BEGINS)]);
    world.settings = configured(Vec::new());
    world.reconfigure(world.settings.clone());
    world.run(60);
    assert_told(&world, &[(100, BEGINS), (410, ENDS), (440, HALTS)]);
}

#[test]
fn a_window_of_which_we_saw_nothing_delays_the_halt_by_no_more_than_itself() {
    let mut world = World::of("A B C D");
    world.announce(plan(Some(at(100)), Some(at(300)), None));
    world.run(50);
    world.stop("main");
    world.sleep(600);
    let back = world.ms / 1000;
    world.run(60);
    assert_told(&world, &[(back + 30, HALTS)]);
}

/// A network that depends on another, whose halt is announced from second 100 to 400.
fn child_of_an_announced_halt() -> World {
    let child = NetworkSettings { depends_on: vec![NetworkIndex(0)], ..network("child") };
    let parent = NetworkSettings { block_time: Some(Duration::from_secs(12)), ..network("main") };
    let mut world = World::new(settings(&[(parent, "A B C D"), (child, "E F G H")]));
    world.run(30);
    world.announce(plan(Some(at(100)), Some(at(400)), None));
    world.run(120);
    world
}

#[test]
fn the_announced_halt_of_a_parent_mutes_the_halt_of_its_child() {
    let mut world = child_of_an_announced_halt();
    world.stop("main");
    world.run(5);
    world.stop("child");
    world.run(200);
    let halt = world.snapshot().alerts.into_iter().find(|alert| alert.key.name == AlertName::NetworkHalted).unwrap();
    assert_eq!(halt.inhibited_by.map(|key| key.name), Some(AlertName::PlannedHalt), "shown, and why nobody is told");
    world.go("main");
    world.run(5);
    world.go("child");
    world.run(900);
    assert_eq!(world.told_names(), [BEGINS, ENDS]);
}

#[test]
fn a_parent_that_overruns_its_window_is_told_and_its_child_is_not() {
    let mut world = child_of_an_announced_halt();
    world.stop("main");
    world.stop("child");
    world.run(900);
    assert_eq!(world.told_names(), [BEGINS, ENDS, HALTS]);
}

#[test]
fn a_child_that_halts_while_its_parent_goes_on_or_goes_on_again_is_told() {
    let mut world = child_of_an_announced_halt();
    world.stop("child");
    world.run(60);
    assert_eq!(world.told_names(), [BEGINS, "fire NetworkHalted child"], "the announced halt has not begun");

    let mut world = child_of_an_announced_halt();
    world.stop("main");
    world.stop("child");
    world.run(100);
    world.go("main");
    world.run(120);
    assert_eq!(world.told_names(), [BEGINS, "fire NetworkHalted child"], "the parent is back and the child is not");
}
