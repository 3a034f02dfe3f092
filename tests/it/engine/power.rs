//! Core nodes that tell their own weight: margin and halt are counted in it, whatever is configured.

use haltwatch::{
    engine::settings::{Cadence, NetworkSettings},
    model::AlertName,
};

use super::world::{World, network, settings};

/// Lets each node tell its weight, if it has one here, and the weight of all.
fn tell(world: &mut World, powers: &[(&str, Option<u64>)], all: Option<u64>) {
    for (name, power) in powers {
        let power = *power;
        world.let_say(name, move |m| m.but(|facts| (facts.power, facts.validators) = (power, all)));
    }
}

/// Four validators of which each weighs a thousand.
const EQUAL: [(&str, Option<u64>); 4] = [("A", Some(1000)), ("B", Some(1000)), ("C", Some(1000)), ("D", Some(1000))];

fn equal() -> World {
    let mut world = World::of("A B C D");
    tell(&mut world, &EQUAL, Some(4000));
    world.run(100);
    world
}

fn margin(world: &World) -> Option<i64> {
    world.snapshot().networks[0].quorum_margin
}

fn at_risk(world: &World) -> bool {
    world.fired(AlertName::QuorumAtRisk).is_some()
}

#[test]
fn a_validator_that_is_gone_is_missed_with_the_weight_it_had() {
    let mut world = equal();
    assert_eq!(margin(&world), Some(1333));
    world.kill("D");
    world.run(130);
    assert_eq!(margin(&world), Some(333), "its weight is remembered");
    let (_, alert) = world.fired(AlertName::QuorumAtRisk).unwrap();
    let text = "core nodes of weight 3000 of 4000 are left and 2667 is needed: one more loss halts the network";
    assert_eq!(alert.finding.to_string(), text);
    tell(&mut world, &EQUAL[3..], Some(4000));
    world.run(60);
    assert!(world.told_names().contains(&"resolve QuorumAtRisk main".to_owned()), "{:?}", world.told());
}

#[test]
fn two_of_four_gone_from_an_idle_chain_are_a_halt_in_the_same_unit() {
    let idle = NetworkSettings { cadence: Cadence::OnDemand, ..network("main") };
    let mut world = World::new(settings(&[(idle, "A B C D e f")]));
    tell(&mut world, &EQUAL, Some(4000));
    world.run(100);
    world.stop("main");
    world.run(600);
    world.kill("A B");
    world.run(310);
    let (_, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert_eq!(alert.finding.reason(), "core_nodes_offline");
    assert!(alert.finding.to_string().contains("2000 of 4000"), "{}", alert.finding);
}

#[test]
fn light_validators_may_be_lost_where_heavy_ones_remain() {
    let mut world = World::of("A B C D");
    tell(&mut world, &[("A", Some(7)), ("B", Some(5)), ("C", Some(3)), ("D", Some(2))], Some(10_000));
    world.run(100);
    world.kill("A B C");
    world.run(200);
    assert_eq!((margin(&world), at_risk(&world)), (Some(3333 - 15), false));
}

#[test]
fn who_never_told_its_weight_is_lost_without_weight() {
    let mut world = World::of("A B C D");
    tell(&mut world, &EQUAL[..2], Some(4000));
    world.run(100);
    world.kill("C D");
    world.run(200);
    assert_eq!((margin(&world), at_risk(&world)), (Some(1333), false));
    world.kill("A");
    world.run(200);
    assert_eq!((margin(&world), at_risk(&world)), (Some(333), true));
}

#[test]
fn a_validator_that_was_expelled_is_no_loss() {
    let mut world = equal();
    let left = [("A", Some(1000)), ("B", Some(1000)), ("C", Some(1000)), ("D", Some(0))];
    tell(&mut world, &left, Some(3000));
    world.run(60);
    world.kill("D");
    world.run(200);
    assert_eq!((margin(&world), at_risk(&world)), (Some(999), false));
}

#[test]
fn a_node_that_exaggerates_itself_hides_no_risk() {
    let mut world = World::of("A B C D");
    tell(&mut world, &EQUAL, Some(4000));
    tell(&mut world, &[("A", Some(u64::MAX))], Some(4000));
    world.run(100);
    assert_eq!(margin(&world), Some(1333));
    world.kill("D");
    world.run(130);
    assert_eq!((margin(&world), at_risk(&world)), (Some(333), true));
}

#[test]
fn weights_add_up_where_nobody_tells_their_sum() {
    let mut world = World::of("A B C D");
    tell(&mut world, &EQUAL, None);
    world.run(100);
    assert_eq!(margin(&world), Some(1333));
    world.kill("B C D");
    world.run(130);
    assert_eq!(margin(&world), Some(1333 - 3000));
}
