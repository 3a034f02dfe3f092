//! Numbers that are shown: no node alone paints the picture.

use std::time::Duration;

use haltwatch::{
    engine::settings::{FaultTolerance, NetworkSettings, Settings},
    model::{Height, UnixTime},
    observation::Finality,
};

use super::world::{World, network, settings};

fn of(nodes: &str, change: impl FnOnce(&mut NetworkSettings)) -> World {
    let mut main = network("main");
    change(&mut main);
    let settings: Settings = settings(&[(main, nodes)]);
    World::new(settings)
}

#[test]
fn finality_is_as_far_behind_as_the_timestamps_of_both_blocks_say() {
    let mut world = World::of("A B C");
    for node in ["A", "B", "C"] {
        world.let_say(node, |moment| {
            let time = moment.head_time.before(Duration::from_secs(40));
            moment.but(|facts| {
                let height = Height(moment.height.saturating_sub(20));
                facts.finality = Finality::Known { height, hash: None, time: Some(time) };
            })
        });
    }
    world.run(60);
    // The word on finality may be a poll older or newer than the tip.
    let lag = world.snapshot().networks[0].finality_lag.unwrap().as_secs();
    assert!((38..=42).contains(&lag), "{lag} s");
}

#[test]
fn without_timestamps_finality_is_behind_by_blocks() {
    let mut world = of("A B C", |network| network.block_time = Some(Duration::from_secs(3)));
    for node in ["A", "B", "C"] {
        world.let_say(node, |moment| {
            moment.but(|facts| {
                facts.finality =
                    Finality::Known { height: Height(moment.height.saturating_sub(2)), hash: None, time: None };
            })
        });
    }
    world.run(61);
    let view = &world.snapshot().networks[0];
    let (tip, last) = (view.tip.unwrap().height, view.finalized.unwrap());
    let blocks = u32::try_from(tip.above(last)).unwrap();
    assert_eq!(view.finality_lag, Some(Duration::from_secs(3) * blocks));
}

/// What is final lies below the tip, whatever a node says, and so does its time.
#[test]
fn a_node_that_calls_the_future_final_does_not_make_finality_negative() {
    let mut world = World::of("A B C");
    world.let_say("A", |moment| {
        moment.but(|facts| {
            let time = Some(UnixTime::from_millis(i64::MAX));
            facts.finality = Finality::Known { height: Height(u64::MAX), hash: None, time };
        })
    });
    world.run(60);
    let view = &world.snapshot().networks[0];
    assert!(view.finalized <= view.tip.map(|tip| tip.height), "{:?}", view.finalized);
    assert_eq!(view.finality_lag.unwrap_or_default(), Duration::ZERO);
}

#[test]
fn what_one_node_alone_calls_final_is_not_final_where_three_tell() {
    let mut world = World::of("A B C");
    for (node, depth) in [("A", 0), ("B", 10), ("C", 10)] {
        world.let_say(node, move |moment| {
            moment.but(|facts| {
                let height = Height(moment.height.saturating_sub(depth));
                facts.finality = Finality::Known { height, hash: None, time: None };
            })
        });
    }
    world.run(60);
    let view = &world.snapshot().networks[0];
    let depth = view.tip.unwrap().height.above(view.finalized.unwrap());
    assert!((8..=12).contains(&depth), "{depth} blocks behind");
}

#[test]
fn a_network_that_tells_nothing_of_consensus_shows_nothing_of_it() {
    let mut world = World::of("A B C");
    world.run(60);
    let view = &world.snapshot().networks[0];
    assert_eq!((view.round, view.participation, view.finality_lag), (None, None, None));
}

#[test]
fn of_rounds_and_participation_the_middle_word_is_shown() {
    let mut world = World::of("A B C");
    for (node, round, participation) in [("A", 0, 990), ("B", u64::MAX, 0), ("C", 1, 1000)] {
        world.let_say(node, move |moment| {
            moment.but(|facts| (facts.round, facts.participation) = (Some(round), Some(participation)))
        });
    }
    world.run(60);
    let view = &world.snapshot().networks[0];
    assert_eq!((view.round, view.participation), (Some(1), Some(990)));
}

/// Core nodes are written with capital letters.
#[test]
fn the_weight_that_may_be_lost_counts_core_nodes_that_are_not_watched() {
    let tolerated = |nodes: &str, total: Option<u64>, tolerance| {
        let mut world = of(nodes, |network| (network.core_total, network.tolerance) = (total, tolerance));
        world.run(10);
        world.snapshot().networks[0].quorum_tolerated
    };
    assert_eq!(tolerated("A B C D", None, FaultTolerance::Bft), Some(1));
    assert_eq!(tolerated("A B C D", Some(10), FaultTolerance::Bft), Some(3));
    assert_eq!(tolerated("A B C D", Some(2), FaultTolerance::Majority), Some(1), "no fewer than are watched");
    assert_eq!(tolerated("A B C D e", None, FaultTolerance::TwoThirds), Some(1));
    assert_eq!(tolerated("a b", Some(10), FaultTolerance::Bft), None);
}

/// Whoever reads the picture learns when it may change by itself.
#[test]
fn the_picture_tells_when_it_may_change_by_itself() {
    let mut world = World::of("A B C");
    world.run(60);
    let snapshot = world.snapshot();
    let (all, own) = (snapshot.wake_at.unwrap(), snapshot.networks[0].wake_at.unwrap());
    assert!(all <= own, "{all:?} {own:?}");
}
