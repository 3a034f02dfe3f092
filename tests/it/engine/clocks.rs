//! Our own wall clock may be set at any time, and may be wrong. That is told, and changes nothing else.

use haltwatch::{
    engine::snapshot::Effect,
    model::{AlertName, Level, UnixTime},
    observation::Facts,
};

use super::world::{WALL, World};

/// Every node tells the true time; `wrong` is off by so many seconds.
fn with_clocks(nodes: &str, wrong: Option<(&str, i64)>) -> World {
    let mut world = World::of(nodes);
    for name in nodes.split(' ') {
        let off = wrong.filter(|(node, _)| *node == name).map_or(0, |(_, off)| off);
        world.let_say(name, move |m| {
            let clock = Some(UnixTime::from_millis(WALL + (m.second + off) * 1000));
            m.truth().map(|facts| Facts { clock, ..facts })
        });
    }
    world
}

#[test]
fn a_set_clock_is_told_at_once_and_nothing_else_is() {
    for off in [3_600_000, -3_600_000, 5_000, -5_000] {
        let mut world = with_clocks("A B C d", None);
        world.run(300);
        world.wall_off = off;
        world.run(900);
        assert_eq!(world.told_names(), ["fire MonitorClockJump m1", "resolve MonitorClockJump m1"], "{off}");
        let (ms, alert) = world.fired(AlertName::MonitorClockJump).unwrap();
        assert!(ms < 303_000 && alert.level == Level::L4, "{ms}");
        assert_eq!(alert.finding.reason(), "clock_set");
    }
}

#[test]
fn a_clock_that_is_slewed_is_no_news() {
    let mut world = with_clocks("A B C d", None);
    for _ in 0..600 {
        world.run(1);
        world.wall_off += 30;
    }
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn a_monitor_that_starts_with_a_wrong_clock_accuses_nobody() {
    for off in [10_800_000, -10_800_000] {
        let mut world = with_clocks("A B C d", None);
        world.wall_off = off;
        world.run(900);
        assert_eq!(world.told(), [""; 0]);
    }
}

#[test]
fn one_wrong_clock_is_found_though_ours_is_wrong_too() {
    let mut world = with_clocks("A B C d", Some(("d", 120)));
    world.wall_off = 3_600_000;
    world.run(300);
    assert_eq!(world.told_names(), ["fire NodeClockSkew d"]);
}

#[test]
fn a_halt_is_found_at_the_same_second_whatever_the_clock_does() {
    let halted = |jump: bool| {
        let mut world = with_clocks("A B C d", None);
        world.run(300);
        world.stop("main");
        world.run(10);
        world.wall_off = if jump { -7_200_000 } else { 0 };
        world.run(60);
        world.fired(AlertName::NetworkHalted).unwrap().0
    };
    assert_eq!(halted(true), halted(false));
}

#[test]
fn nothing_begins_in_the_future_and_durations_stay_true_when_the_clock_goes_back() {
    let mut world = World::of("a b c d");
    world.run(100);
    world.kill("d");
    world.run(120);
    world.wall_off = -7_200_000;
    world.run(100);
    let now = world.now();
    for alert in world.snapshot().alerts {
        assert!(alert.active_at <= now.wall && alert.fired_at.is_none_or(|at| at <= now.wall), "{alert:?}");
    }
    world.revive("d");
    world.run(60);
    let lasted = world.effects().iter().find_map(|(ms, effect)| match effect {
        Effect::Resolved(alert) if alert.key.name == AlertName::NodeOffline => {
            Some((*ms, alert.resolved_at?.since(alert.fired_at?)))
        }
        _ => None,
    });
    let (ended, lasted) = lasted.unwrap();
    let (fired, _) = world.fired(AlertName::NodeOffline).unwrap();
    assert_eq!(i64::try_from(lasted.as_millis()).unwrap(), ended - fired);
}
