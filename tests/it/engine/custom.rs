//! Rules of users: when they fire, when they freeze, and that they survive what they should.

use haltwatch::{
    config::{self, Source},
    engine::{
        custom::CustomRule,
        settings::Settings,
        snapshot::{Effect, Subject},
    },
    model::{AlertName, Level, NodeIndex, alert::Scope},
    observation::ErrorKind,
};

use super::world::{World, network, settings};

/// The rules of a configuration.
fn rules(text: &str) -> Vec<CustomRule> {
    let network = "[[network]]\nname = \"main\"\nfamily = \"evm\"\n[[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n";
    config::load(&Source::Text(format!("{network}{text}"))).unwrap_or_else(|problems| panic!("{problems}")).engine.rules
}

fn rule(scope: &str, when: &str, more: &str) -> Vec<CustomRule> {
    rules(&format!(
        "[[rule]]\nname = \"Mine\"\nscope = \"{scope}\"\nwhen = '''{when}'''\nlevel = \"L2\"\n\
         summary = \"{{{{network.name}}}} says {{{{network.voters}}}}\"\n{more}"
    ))
}

fn with(nodes: &str, rules: Vec<CustomRule>) -> Settings {
    Settings { rules, ..settings(&[(network("main"), nodes)]) }
}

fn of_mine(world: &World) -> Vec<String> {
    world.told().into_iter().filter(|line| line.contains(" Mine ") || line.contains("RuleFailing")).collect()
}

#[test]
fn a_rule_fires_after_its_time_and_ends_after_its_hold() {
    let rule =
        rule("node", "node.pending > 10 && node.role == 'validator'", "for = \"20s\"\nkeep_firing_for = \"30s\"\n");
    let mut world = World::new(with("A B c", rule));
    world.run(60);
    world.pending("main", 11);
    world.run(10);
    let pends = world.snapshot().alerts.into_iter().filter(|alert| alert.key.name.as_str() == "Mine").count();
    assert_eq!(pends, 2, "both validators, not the other");
    world.run(30);
    world.pending("main", 3);
    world.run(60);
    let told = of_mine(&world);
    let (fired, resolved): (Vec<_>, Vec<_>) = told.iter().partition(|line| line.contains("fire"));
    assert_eq!((fired.len(), resolved.len()), (2, 2), "{told:?}");
    let second = |line: &str| line.split(' ').next().unwrap().parse::<i64>().unwrap();
    assert!(fired.iter().all(|line| (80..=84).contains(&second(line))), "{told:?}");
    assert!(resolved.iter().all(|line| (130..=134).contains(&second(line))), "{told:?}");
}

#[test]
fn what_is_not_known_neither_fires_nor_ends() {
    for (when, fires) in [
        ("node.round < 3", false),
        ("node.round >= 3", false),
        ("!(node.round < 3)", false),
        ("node.round < 3 || node.up", true),
        ("node.round < 3 && !node.up", false),
        ("node.round < 3 ? true : true", false),
        ("!has(node.round)", true),
        ("has(node.round) ? node.round < 3 : node.up", true),
        ("node.up ? node.up : node.round < 3", true),
        ("node.round in [1, 2]", false),
        ("node.height in [node.round, node.height]", true),
        ("node.labels.rack == ''", true),
        ("node.round / 2 * 3 - 1 < 100 || node.up", true),
        ("node.peers * 0.0 * -1.0 < 0", false),
        ("node.peers * 0.0 * -1.0 == 0", true),
    ] {
        let mut world = World::new(with("a", rule("node", when, "for = \"0s\"\n")));
        world.run(30);
        assert_eq!(!of_mine(&world).is_empty(), fires, "{when}");
    }
}

#[test]
fn an_alert_whose_facts_are_gone_goes_on() {
    let mut world = World::new(with("a b", rule("node", "node.pending > 10", "for = \"0s\"\n")));
    world.pending("main", 11);
    world.run(30);
    assert_eq!(of_mine(&world).len(), 2);
    world.kill("a");
    world.pending("main", 0);
    world.run(120);
    assert_eq!(
        of_mine(&world)[2..].iter().map(|line| line.split_once(' ').unwrap().1).collect::<Vec<_>>(),
        ["resolve Mine b"]
    );
    world.revive("a");
    world.run(20);
    assert_eq!(of_mine(&world).len(), 4);
}

#[test]
fn what_changes_by_time_alone_is_seen_within_a_second() {
    let mut world = World::new(with("a", rule("network", "network.seconds_since_block > 20", "for = \"0s\"\n")));
    world.run(60);
    world.never_poll("a");
    world.run(60);
    let (ms, alert) = world.fired(mine(Scope::Network)).unwrap();
    assert!((78_000..=82_500).contains(&ms), "{ms}");
    assert_eq!((alert.level, alert.finding.to_string().as_str()), (Level::L2, "main says 0"));
}

fn mine(scope: Scope) -> AlertName {
    AlertName::Custom(haltwatch::model::RuleName::new("Mine", scope).unwrap())
}

#[test]
fn a_rule_that_cannot_be_evaluated_says_so_once_and_freezes() {
    let when = "100 / (network.nodes_live - network.nodes) < -200 || 10 / node.pending >= 100";
    let mut world = World::new(with("a b", rule("node", when, "for = \"0s\"\n")));
    world.pending("main", 1);
    world.run(30);
    let told = of_mine(&world);
    assert_eq!(told.iter().filter(|line| line.contains("fire RuleFailing")).count(), 1, "{told:?}");
    let (_, alert) = world.fired(AlertName::RuleFailing).unwrap();
    assert_eq!((alert.level, alert.key.subject), (Level::L3, Subject::Monitor));
    assert_eq!(alert.finding.to_string(), "the rule Mine cannot be evaluated about main/a: division by zero");
    let mended = with("a b", rule("node", "node.pending >= 1", "for = \"0s\"\n"));
    world.reconfigure(mended.clone());
    world.settings = mended;
    world.run(120);
    let told = of_mine(&world);
    assert_eq!(told.iter().filter(|line| line.contains("resolve RuleFailing")).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|line| line.contains("fire Mine")).count(), 2, "{told:?}");
}

#[test]
fn hostile_numbers_are_a_fault_and_no_panic() {
    for when in [
        "node.height * node.height * node.height > 1",
        "-node.height - node.height * node.height < 0",
        "node.height % 7 == 1 || node.height * 1e300 * 1e300 > 1.0",
        "(node.height + 0.5) * 1e308 > 1",
    ] {
        let mut world = World::new(with("a", rule("node", when, "for = \"0s\"\n")));
        world.let_say("a", |it| {
            let mut facts = it.truth()?;
            facts.head.height.0 = u64::MAX;
            Ok(facts)
        });
        world.run(30);
        assert!(world.snapshot().networks[0].phase.as_str() != "", "{when}");
    }
}

#[test]
fn isolation_freezes_rules_and_nothing_else_mutes_them() {
    let when = "node.state == 'offline'";
    let mut world = World::new(Settings {
        canaries: vec![super::world::canary("gate:1")],
        ..with("A B C D", rule("node", when, "for = \"0s\"\n"))
    });
    world.run(60);
    world.cut(true);
    world.run(300);
    assert_eq!(of_mine(&world), Vec::<String>::new());
    world.cut(false);
    world.run(60);
    world.stop("main");
    world.kill("A B");
    world.run(300);
    assert!(world.snapshot().networks[0].phase.as_str() == "halted");
    assert_eq!(of_mine(&world).len(), 2, "a halt of the network does not mute them: {:?}", of_mine(&world));
}

#[test]
fn a_reload_keeps_the_life_of_a_rule_that_stays_and_ends_that_of_one_that_goes() {
    let both = "[[rule]]\nname = \"Stays\"\nscope = \"node\"\nwhen = 'node.up'\nfor = \"0s\"\nlevel = \"L3\"\nsummary = \"s\"\n\
                [[rule]]\nname = \"Goes\"\nscope = \"network\"\nwhen = 'network.voters > 0'\nfor = \"0s\"\nlevel = \"L3\"\nsummary = \"g\"\n";
    let mut world = World::new(with("a b", rules(both)));
    world.run(30);
    let mut told = world.told_names();
    told.sort();
    assert_eq!(told, ["fire Goes main", "fire Stays a", "fire Stays b"]);
    let stays = both.split("[[rule]]\nname = \"Goes\"").next().unwrap();
    let fewer = Settings { rules: rules(stays), ..settings(&[(network("main"), "b a")]) };
    let effects = world.reconfigure(fewer.clone());
    assert!(matches!(&effects[..], [Effect::Resolved(alert)] if alert.key.name.as_str() == "Goes"), "{effects:?}");
    world.settings = fewer;
    let before = world.told_names().len();
    world.run(60);
    assert_eq!(world.told_names().len(), before, "nothing is said again: {:?}", world.told());
    let alerts = world.snapshot().alerts;
    assert!(
        alerts
            .iter()
            .any(|alert| alert.key.name.as_str() == "Stays" && alert.key.subject == Subject::Node(NodeIndex(0)))
    );
}

#[test]
fn only_the_networks_that_are_named_are_looked_at() {
    let rule = rule("network", "network.voters > 0", "for = \"0s\"\nnetworks = [\"main\"]\n");
    let mut world =
        World::new(Settings { rules: rule, ..settings(&[(network("main"), "a"), (network("other"), "b")]) });
    world.run(30);
    assert_eq!(world.told_names(), ["fire Mine main"]);
}

#[test]
fn a_node_that_fails_can_be_asked_why() {
    let mut world = World::new(with("a b", rule("node", "node.error in ['timeout', 'refused']", "for = \"0s\"\n")));
    world.run(30);
    world.let_say("a", |_| Err(ErrorKind::Timeout));
    world.run(10);
    assert_eq!(of_mine(&world).iter().filter(|line| line.ends_with("fire Mine a")).count(), 1);
}
