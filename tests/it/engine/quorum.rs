//! How near a network is to a halt, and what its core nodes have to do with it.

use haltwatch::{
    engine::settings::{FaultTolerance, NetworkSettings, Settings},
    model::AlertName,
    observation::{ErrorKind, Syncing},
};

use super::world::{World, network, settings};

const AT_RISK: &str = "QuorumAtRisk";

fn tolerating(tolerance: FaultTolerance, nodes: &str) -> Settings {
    settings(&[(NetworkSettings { tolerance, ..network("main") }, nodes)])
}

fn about_quorum(world: &World) -> Vec<String> {
    world.told_names().into_iter().filter(|line| line.contains(AT_RISK)).collect()
}

fn margin(world: &World) -> Option<i64> {
    world.snapshot().networks[0].quorum_margin
}

#[test]
fn one_of_four_lost_is_a_risk_in_time_and_over_when_it_is_back() {
    let mut world = World::of("A B C D e");
    world.run(100);
    assert_eq!(margin(&world), Some(1));
    world.kill("D");
    world.run(88);
    assert_eq!(about_quorum(&world), Vec::<String>::new());
    world.run(36);
    let (ms, alert) = world.fired(AlertName::QuorumAtRisk).unwrap();
    assert!((188_000..=224_000).contains(&ms), "told at {ms} ms");
    let text = "core nodes of weight 3 of 4 are left and 3 is needed: one more loss halts the network";
    assert_eq!((alert.finding.to_string().as_str(), margin(&world)), (text, Some(0)));
    world.revive("D");
    world.run(40);
    assert_eq!(about_quorum(&world), ["fire QuorumAtRisk main", "resolve QuorumAtRisk main"]);
}

#[test]
fn restarts_one_after_the_other_are_no_risk() {
    let mut world = World::of("A B C D");
    world.run(100);
    for name in ["A", "B", "C", "D", "A", "B"] {
        world.kill(name);
        world.run(45);
        world.let_say(name, |m| {
            let back = m.height.saturating_sub(30);
            let mut facts = m.at(back)?;
            facts.syncing = Syncing::Yes { behind: Some(30) };
            Ok(facts)
        });
        world.run(60);
        world.revive(name);
        world.run(30);
    }
    assert_eq!(about_quorum(&world), Vec::<String>::new(), "{:?}", world.told());
}

#[test]
fn a_core_node_that_answers_and_takes_no_part_is_lost_too() {
    let mut world = World::of("A B C D");
    world.run(100);
    let stuck = world.height();
    world.let_say("C", move |m| m.at(stuck));
    world.run(300);
    assert_eq!((about_quorum(&world), margin(&world)), (vec![format!("fire {AT_RISK} main")], Some(0)));

    let mut world = World::of("A B C D");
    world.run(100);
    world.let_say("C", |m| m.but(|f| f.chain_id = Some("other".into())));
    world.run(120);
    assert_eq!((about_quorum(&world), margin(&world)), (vec![format!("fire {AT_RISK} main")], Some(0)));
}

#[test]
fn being_limited_or_locked_out_is_no_loss() {
    for kind in [ErrorKind::RateLimited, ErrorKind::Unauthorized] {
        let mut world = World::of("A B C D e f");
        world.run(100);
        world.let_say("A", move |_| Err(kind));
        world.run(900);
        assert_eq!((about_quorum(&world), margin(&world)), (Vec::new(), Some(1)), "{kind:?}");
    }
}

#[test]
fn networks_that_can_always_lose_nobody_are_not_at_risk_for_ever() {
    for nodes in ["A", "A B", "A B C"] {
        let mut world = World::of(nodes);
        world.run(1000);
        assert_eq!((world.told(), margin(&world)), (Vec::new(), Some(0)), "{nodes}");
    }
    let mut world = World::new(tolerating(FaultTolerance::AllButOne, "A B C d"));
    world.run(100);
    world.kill("A B");
    world.run(900);
    assert_eq!((about_quorum(&world), margin(&world)), (Vec::new(), Some(0)));
}

#[test]
fn majorities_and_two_thirds_are_watched_like_the_others() {
    for (tolerance, nodes) in [(FaultTolerance::Majority, "A B C d"), (FaultTolerance::TwoThirds, "A B C d")] {
        let mut world = World::new(tolerating(tolerance, nodes));
        world.run(100);
        world.kill("A");
        world.run(130);
        assert_eq!(about_quorum(&world), ["fire QuorumAtRisk main"], "{tolerance:?}");
    }
}

#[test]
fn weight_decides_who_may_be_lost() {
    let weighted = |weights: [u64; 5]| {
        let mut settings = settings(&[(network("main"), "A B C D E f")]);
        settings.nodes.iter_mut().zip(weights).for_each(|(node, weight)| node.weight = weight);
        World::new(settings)
    };
    let mut world = weighted([3, 3, 2, 1, 1]);
    world.run(100);
    world.kill("D");
    world.run(130);
    assert_eq!((about_quorum(&world), margin(&world)), (vec![format!("fire {AT_RISK} main")], Some(2)));
    let mut world = weighted([2, 2, 2, 2, 2]);
    world.run(100);
    world.kill("D");
    world.run(130);
    assert_eq!(margin(&world), Some(1));
    assert_eq!(about_quorum(&world), ["fire QuorumAtRisk main"], "the next one is two more");
}

/// Two core nodes of a network of so many, and endpoints beside them.
fn few_of(total: Option<u64>, told: Option<u64>) -> World {
    let network = NetworkSettings { core_total: total, ..network("main") };
    let mut world = World::new(settings(&[(network, "A B c d e")]));
    for name in ["A", "B", "c", "d", "e"] {
        world.let_say(name, move |m| m.but(|f| f.validators = told));
    }
    world
}

#[test]
fn two_of_a_hundred_lost_are_no_risk_and_no_halt() {
    for (total, told) in [(Some(100), None), (None, Some(100)), (Some(100), Some(4))] {
        let mut world = few_of(total, told);
        world.run(100);
        world.stop("main");
        world.kill("A B");
        world.run(20);
        world.go("main");
        world.run(30);
        assert_eq!(margin(&world), Some(33));
        world.run(900);
        assert_eq!(margin(&world), Some(31));
        let names = world.told_names();
        assert_eq!(names, ["fire NodeOffline A", "fire NodeOffline B"], "{total:?} {told:?}");
    }
}

#[test]
fn what_the_nodes_said_of_all_validators_is_remembered_when_they_fall_silent() {
    let mut world = few_of(None, Some(100));
    world.run(100);
    world.kill("A B c d e");
    world.run(900);
    assert_eq!(world.told_names(), ["fire NetworkUnreachable main"]);
}

#[test]
fn one_node_that_exaggerates_the_validators_hides_no_risk() {
    let mut world = World::of("A B C D");
    world.let_say("A", |m| m.but(|f| f.validators = Some(u64::MAX)));
    for name in ["B", "C"] {
        world.let_say(name, |m| m.but(|f| f.validators = Some(4)));
    }
    world.run(100);
    world.kill("D");
    world.run(130);
    assert_eq!(about_quorum(&world), ["fire QuorumAtRisk main"]);
}

#[test]
fn two_of_four_offline_for_five_minutes_are_a_halt_on_an_idle_chain() {
    let idle = NetworkSettings { cadence: haltwatch::engine::settings::Cadence::OnDemand, ..network("main") };
    let mut world = World::new(settings(&[(idle, "A B C D e f")]));
    world.run(100);
    world.stop("main");
    world.run(600);
    world.kill("A B");
    let start = world.ms;
    world.run(310);
    let (ms, alert) = world.fired(AlertName::NetworkHalted).unwrap();
    assert_eq!(alert.finding.reason(), "core_nodes_offline");
    assert!((300_000..=303_000).contains(&(ms - start)), "told after {} ms", ms - start);
    world.revive("A B");
    world.run(30);
    assert!(world.told_names().contains(&"resolve NetworkHalted main".to_owned()), "{:?}", world.told());
}

#[test]
fn a_network_of_which_nobody_answers_is_one_page_and_not_two() {
    let mut world = World::of("A B C D");
    world.run(100);
    world.kill("A B C D");
    world.run(250);
    assert_eq!(world.told_names(), ["fire NetworkUnreachable main"]);
}

#[test]
fn without_core_nodes_there_is_no_margin() {
    let mut world = World::of("a b c d");
    world.run(100);
    world.kill("a b c");
    world.run(900);
    assert_eq!((about_quorum(&world), margin(&world)), (Vec::new(), None));
}

#[test]
fn sealers_behind_a_firewall_are_no_halt_where_a_rare_block_shows_that_they_work() {
    let rare = NetworkSettings { cadence: haltwatch::engine::settings::Cadence::OnDemand, ..network("main") };
    let mut world = World::new(settings(&[(rare, "A B C D e f")]));
    world.run(100);
    world.kill("A B");
    world.run(100);
    world.stop("main");
    world.run(900);
    assert_eq!(world.fired(AlertName::NetworkHalted), None, "{:?}", world.told());
}

#[test]
fn a_single_core_node_that_was_down_before_we_came_is_no_halt_of_its_network() {
    for (total, halted) in [(None, false), (Some(180), false), (Some(1), true)] {
        let network = NetworkSettings { core_total: total, ..network("main") };
        let mut world = World::new(settings(&[(network, "A")]));
        world.kill("A");
        world.run(600);
        let told = [AlertName::NetworkUnreachable, AlertName::NetworkHalted].map(|name| world.fired(name).is_some());
        assert_eq!(told, [true, halted], "{total:?}: {:?}", world.told());
    }
}
