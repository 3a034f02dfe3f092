//! Obeying `wake_at` is enough: whoever steps the engine all the time learns nothing sooner.

use std::time::Duration;

use haltwatch::{
    engine::{
        settings::{Cadence, NetworkSettings},
        snapshot::Effect,
    },
    observation::{ErrorKind, Syncing},
};

use super::world::{World, block, canary, network, settings};

/// How often the restless monitor steps, and by how much the other may differ from it.
const TICK_MS: i64 = 40;

const NODES: [&str; 11] = ["A", "B", "C", "D", "e", "f", "g", "H", "I", "j", "k"];

/// Small numbers that look random and are the same every time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn trouble(world: &mut World, draw: &mut Draw) {
    let name = NODES[usize::try_from(draw.below(11)).unwrap()];
    let chain = ["main", "idle", "child"][usize::try_from(draw.below(3)).unwrap()];
    match draw.below(14) {
        0 | 1 => world.stop(chain),
        2 | 3 => world.go(chain),
        4 | 5 => world.kill(name),
        6 => NODES.iter().for_each(|name| world.revive(name)),
        7 => world.let_say(name, |_| Err(ErrorKind::RateLimited)),
        8 => world.let_say(name, |m| m.at(m.height - 80)),
        9 => world.let_say(name, |m| {
            m.at(900).map(|f| haltwatch::observation::Facts { syncing: Syncing::Yes { behind: None }, ..f })
        }),
        10 => world.let_say(name, |m| m.but(|f| f.head.hash = Some(block(9, m.height)))),
        11 => world.pending("idle", draw.below(3)),
        12 if world.settings.vantages.len() == 2 => {
            world.cut_from(usize::try_from(draw.below(2)).unwrap(), draw.below(2) == 0);
        }
        12 => world.cut(draw.below(2) == 0),
        _ => world.kill(["A B C", "e f g", "H I j k"][usize::try_from(draw.below(3)).unwrap()]),
    }
}

/// What happened and when, without the numbers that go on by themselves.
fn history(seed: u64, restless: i64) -> Vec<(String, i64)> {
    let idle = NetworkSettings { cadence: Cadence::OnDemand, ..network("idle") };
    let child = NetworkSettings {
        depends_on: vec![haltwatch::model::NetworkIndex(0)],
        block_time: Some(Duration::from_secs(5)),
        ..network("child")
    };
    let mut settings = settings(&[(network("main"), "A B C D"), (idle, "e f g"), (child, "H I j k")]);
    settings.canaries = vec![canary("gateway:53")];
    settings.networks[0].limits.flap_window = Duration::from_secs(90);
    if seed % 2 == 1 {
        settings.vantages = vec!["m1".into(), "m2".into()];
    }
    let mut world = World::new(settings);
    world.restless = restless;
    let mut draw = Draw(seed);
    for _ in 0..12 {
        world.run(i64::try_from(5 + draw.below(100)).unwrap());
        trouble(&mut world, &mut draw);
    }
    let mut history: Vec<_> = world.effects().iter().map(|(ms, effect)| (line(&world, effect), *ms)).collect();
    history.sort();
    history
}

fn line(world: &World, effect: &Effect) -> String {
    match effect {
        Effect::Fired(alert) => format!("fire {}", world.title(alert.key)),
        Effect::Raised(alert) => format!("raise {}", world.title(alert.key)),
        Effect::Resolved(alert) => format!("resolve {}", world.title(alert.key)),
        Effect::Quiet(alert, change) => format!("{change:?} {}", world.title(alert.key)),
        Effect::NodeState { node, from, to, .. } => format!("{node:?} {from:?} {to:?}"),
    }
}

#[test]
fn stepping_all_the_time_tells_nothing_sooner_than_waking_when_asked() {
    let seeds = std::env::var("WAKE_SEEDS").map_or(3, |n| n.parse().unwrap());
    for seed in 0..seeds {
        let (asked, restless) = (history(seed, i64::MAX), history(seed, TICK_MS));
        for (ours, theirs) in asked.iter().zip(&restless) {
            let same = ours.0 == theirs.0 && (ours.1 - theirs.1).abs() <= TICK_MS;
            assert!(same, "seed {seed}: woken {ours:?}, restless {theirs:?}");
        }
        assert_eq!(asked.len(), restless.len(), "seed {seed}");
    }
}
