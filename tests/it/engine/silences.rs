//! Silences: what is withheld, what is told later, and what nobody can silence.

use std::{sync::Arc, time::Duration};

use haltwatch::{
    engine::{
        settings::Settings,
        silence::{Matcher, Silence, Span, label},
        snapshot::{Effect, QuietChange},
    },
    model::AlertName,
    output::label::alert_labels,
};

use super::world::{World, network, settings};

/// A silence of these matchers from then until then, in seconds from now.
fn silence(world: &World, id: &str, matchers: &str, (from, until): (i64, i64)) -> Silence {
    let wall = |seconds: i64| {
        let now = world.now().wall;
        let by = Duration::from_secs(seconds.unsigned_abs());
        Some(if seconds < 0 { now.before(by) } else { now.after(by) })
    };
    Silence {
        id: id.into(),
        matchers: matchers.split(' ').map(|text| Matcher::parse(text).unwrap()).collect(),
        span: Span { from: wall(from), until: wall(until), times: None },
        created_by: "ann".into(),
        comment: "work".into(),
        updated_at: None,
    }
}

fn silenced(world: &World) -> Vec<String> {
    let alerts = world.snapshot().alerts.into_iter();
    alerts.filter_map(|alert| Some(format!("{} {}", world.title(alert.key), alert.silenced_by?))).collect()
}

#[test]
fn a_silenced_alert_is_shown_and_not_told_until_the_silence_ends() {
    let mut world = World::of("a b c");
    world.run(60);
    let list = [silence(&world, "s1", "alertname=NodeOffline network=main", (0, 300))];
    world.engine.set_silences(Arc::from(list));
    world.kill("a");
    world.run(200);
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(silenced(&world), ["NodeOffline a s1"]);
    let quiet = |(_, effect): &(i64, Effect)| matches!(effect, Effect::Quiet(alert, QuietChange::FiredSilenced) if alert.silenced_by.as_deref() == Some("s1"));
    assert_eq!(world.effects().iter().filter(|effect| quiet(effect)).count(), 1);
    world.run(200);
    assert_eq!(world.told(), ["360 fire NodeOffline a"], "at the very end of the silence");
    world.revive("a");
    world.run(120);
    assert_eq!(world.told_names(), ["fire NodeOffline a", "resolve NodeOffline a"]);
}

#[test]
fn what_ends_while_it_is_silenced_is_never_told() {
    let mut world = World::of("a b c");
    world.run(60);
    world.engine.set_silences(Arc::from([silence(&world, "s1", "node=a", (0, 3600))]));
    world.kill("a");
    world.run(200);
    world.revive("a");
    world.run(200);
    assert_eq!(world.told(), Vec::<String>::new());
    let ended = |(_, effect): &(i64, Effect)| matches!(effect, Effect::Quiet(_, QuietChange::EndedMuted));
    assert_eq!(world.effects().iter().filter(|effect| ended(effect)).count(), 1);
    world.kill("a");
    world.engine.set_silences(Arc::default());
    world.run(200);
    assert_eq!(world.told_names(), ["fire NodeOffline a"], "the next one is told as ever");
}

#[test]
fn what_was_told_before_still_ends_aloud() {
    let mut world = World::of("a b c");
    world.run(60);
    world.kill("a");
    world.run(200);
    world.engine.set_silences(Arc::from([silence(&world, "s1", "node=a", (0, 3600))]));
    world.run(10);
    assert_eq!(silenced(&world), ["NodeOffline a s1"]);
    world.revive("a");
    world.run(200);
    assert_eq!(world.told_names(), ["fire NodeOffline a", "resolve NodeOffline a"]);
}

#[test]
fn a_silence_that_is_taken_back_speaks_at_once() {
    let mut world = World::of("a b c");
    world.engine.set_silences(Arc::from([silence(&world, "s1", "node=~a|b", (0, 3600))]));
    world.kill("a");
    world.run(300);
    assert_eq!(world.told(), Vec::<String>::new());
    world.engine.set_silences(Arc::default());
    world.step(&[]);
    assert_eq!(world.told(), ["300 fire NodeOffline a"]);
}

#[test]
fn the_dead_mans_switch_is_never_silenced() {
    let mut world = World::of("a");
    world.engine.set_silences(Arc::from([silence(&world, "s1", "monitor=m1", (-10, 3600))]));
    let outcome = world.step(&[]);
    assert!(matches!(&outcome.effects[..], [Effect::Fired(alert)] if alert.key.name == AlertName::Watchdog));
}

#[test]
fn a_silence_begins_at_its_time_and_what_it_does_not_match_is_told() {
    let mut world = World::of("a b c d e");
    world.run(60);
    world.engine.set_silences(Arc::from([silence(&world, "s1", "node!=b", (30, 3600))]));
    world.step(&[]);
    assert!(world.wake_at.is_some_and(|at| at.0 <= 90_000), "{:?}", world.wake_at);
    world.kill("a b");
    world.run(300);
    assert_eq!(world.told_names(), ["fire NodeOffline b"]);
}

#[test]
fn silences_of_the_configuration_and_of_people_survive_a_reload() {
    let world = World::of("a b c");
    let configured = silence(&world, "config-1", "node=a", (0, 3600));
    let plain = settings(&[(network("main"), "a b c")]);
    let mut world = World::new(Settings { silences: vec![configured], ..plain });
    world.engine.set_silences(Arc::from([silence(&world, "s1", "node=b", (0, 3600))]));
    world.kill("a b");
    world.run(300);
    assert_eq!(silenced(&world), ["NodeOffline a config-1", "NodeOffline b s1"]);
    let moved = settings(&[(network("main"), "c b a")]);
    assert_eq!(world.reconfigure(moved.clone()), []);
    world.settings = moved;
    world.kill("c b a");
    world.revive("c");
    world.run(5);
    assert_eq!(world.told_names(), ["fire NodeOffline a"], "its silence is gone, that of the other is not");
    assert_eq!(silenced(&world), ["NodeOffline b s1"]);
}

#[test]
fn what_outlives_its_silence_while_muted_is_told_once_it_is_not() {
    let mut world = World::of("A B C D");
    world.run(60);
    world.engine.set_silences(Arc::from([silence(&world, "s1", "alertname=NodeOffline", (0, 240))]));
    world.kill("A");
    world.run(120);
    world.stop("main");
    world.run(200);
    assert!(!world.told_names().contains(&"fire NodeOffline A".to_owned()), "muted by the halt: {:?}", world.told());
    world.go("main");
    world.run(200);
    assert!(world.told_names().contains(&"fire NodeOffline A".to_owned()), "{:?}", world.told());
}

/// Matchers see exactly the labels that are announced.
#[test]
fn labels_are_the_same_for_matchers_and_announcements() {
    let mut plain = settings(&[(network("main"), "a b")]);
    plain.networks[0].labels = vec![("zone".into(), "x".into()), ("level".into(), "mine".into())];
    plain.nodes[0].labels = vec![("rack".into(), "7".into()), ("zone".into(), "y".into())];
    let mut world = World::new(plain.clone());
    world.kill("a b");
    world.run(600);
    let alerts = world.snapshot().alerts;
    assert!(3 <= alerts.len());
    for alert in alerts {
        for (name, value) in alert_labels(&plain, &alert) {
            assert_eq!(label(&plain, alert.key, alert.level, &name), &*value, "{name} of {}", world.title(alert.key));
        }
        assert_eq!(label(&plain, alert.key, alert.level, "nothing"), "");
    }
}
