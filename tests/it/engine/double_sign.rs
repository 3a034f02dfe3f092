//! Evidence that a validator signed twice: new evidence wakes people once, history and single voices do not.

use haltwatch::{
    model::{AlertName, Height, Level},
    observation::{EQUIVOCATIONS, Equivocation},
};

use super::world::{Answer, Moment, World};

fn signed_twice(m: &Moment, heights: impl IntoIterator<Item = u64>) -> Answer {
    let evidence = |height| Equivocation {
        height: Height(height),
        validator: "val1".into(),
        told_in: Height(height.saturating_add(1)),
    };
    m.but(|f| f.equivocations = heights.into_iter().map(evidence).collect())
}

#[test]
fn new_evidence_pages_once_and_passes() {
    let mut world = World::of("A B C D");
    world.let_all_say(|m| signed_twice(m, (300 <= m.second).then_some(1290)));
    world.run(5000);
    assert_eq!(world.told_names(), ["fire DoubleSign main", "resolve DoubleSign main"]);
    let (ms, alert) = world.fired(AlertName::DoubleSign).unwrap();
    assert_eq!((alert.level, alert.finding.reason()), (Level::L1, "signed_twice"));
    assert!(ms < 305_000, "told at {ms} ms");
}

#[test]
fn evidence_from_before_we_looked_is_history() {
    let mut world = World::of("A B C D");
    world.let_all_say(|m| signed_twice(m, [12, 990]));
    world.run(3000);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn evidence_that_comes_while_we_watch_is_told_though_the_deed_is_older() {
    let mut world = World::of("A B C D");
    world.let_all_say(|m| {
        let evidence = Equivocation { height: Height(990), validator: "val1".into(), told_in: Height(1290) };
        m.but(|f| f.equivocations = (300 <= m.second).then_some(evidence).into_iter().collect())
    });
    world.run(400);
    assert_eq!(world.told_names(), ["fire DoubleSign main"]);
}

#[test]
fn one_voice_of_four_proves_nothing_and_the_only_voice_does() {
    let mut world = World::of("A B C D");
    world.let_say("A", |m| signed_twice(m, (300 <= m.second).then_some(1290)));
    world.run(1000);
    assert_eq!(world.told(), Vec::<String>::new());
    let mut world = World::of("A");
    world.let_say("A", |m| signed_twice(m, (300 <= m.second).then_some(1290)));
    world.run(400);
    assert_eq!(world.told_names(), ["fire DoubleSign main"]);
}

#[test]
fn evidence_of_the_future_is_invented() {
    let mut world = World::of("A B C D");
    world.let_all_say(|m| signed_twice(m, [m.height + 500, u64::MAX]));
    world.run(400);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn any_amount_of_evidence_is_one_alert_and_what_is_forgotten_is_not_new_again() {
    let mut world = World::of("A B C D");
    world.let_all_say(|m| {
        let last = m.height - 2;
        signed_twice(m, if m.second < 1000 { last - EQUIVOCATIONS as u64 + 1..=last } else { 1101..=1108 })
    });
    world.run(4000);
    assert_eq!(world.told_names(), ["fire DoubleSign main", "resolve DoubleSign main"]);
}
