//! The story of the demo: which act is played, what has to be seen before the next, and what must not be seen at all.
//! Pure: it hears of alerts and the time, and gives cues; somebody else stops and starts nodes.

use std::time::Duration;

use super::stage::{FIRST_TO_STOP, SECOND_TO_STOP};
use crate::{
    model::{AlertName, Height, Now},
    sim::Fault,
};

/// The network that halts.
const NETWORK: &str = "consortium";
/// The validator that stops first.
const FIRST: &str = "consortium/v4";
/// The validator that stops second.
const SECOND: &str = "consortium/v3";

/// An alert that was announced, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its name.
    pub name: AlertName,
    /// What it is about: `network`, `network/node`, or nothing for the monitor.
    pub place: String,
    /// Whether it began or ended.
    pub fired: bool,
}

/// What the story has to know of the networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scene {
    /// Every network is live or idle, and every node live.
    pub all_well: bool,
    /// The tip of the network that halts.
    pub tip: Option<Height>,
}

/// The acts in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Everything is well.
    Peace,
    /// One validator is down: the network goes on.
    OneDown,
    /// Two are down: the quorum is lost.
    Halt,
    /// Both are back.
    Recovery,
    /// The story is over.
    Over,
}

impl Act {
    /// What the narrator says while it is played.
    #[must_use]
    pub fn line(self) -> &'static str {
        match self {
            Self::Peace => "Three networks, all well. Idle is well too: nobody has ordered anything from 'orders'.",
            Self::OneDown => {
                "Validator v4 of 'consortium' stops. Three of four are a quorum: the network must go on, \
                 and nobody else may be lost."
            }
            Self::Halt => "Validator v3 stops as well. Two of four are no quorum: no block can be made any more.",
            Self::Recovery => {
                "Both validators return. Five blocks later the halt is over; the alert about a node ends once the node \
                 has been well for half a minute."
            }
            Self::Over => "The story is over; the networks go on.",
        }
    }

    /// An act is played at least for this long, so that it can be read.
    fn shortest(self) -> Duration {
        Duration::from_secs(match self {
            Self::Peace => 8,
            Self::OneDown => 14,
            Self::Halt => 16,
            Self::Recovery => 4,
            Self::Over => 0,
        })
    }

    /// An act whose end has not come by then has failed.
    fn longest(self) -> Duration {
        Duration::from_secs(match self {
            Self::Peace => 15,
            Self::OneDown | Self::Halt => 25,
            // A node's alert is held for half a minute, in case it comes back.
            Self::Recovery => 55,
            Self::Over => u64::MAX,
        })
    }

    fn next(self) -> Self {
        match self {
            Self::Peace => Self::OneDown,
            Self::OneDown => Self::Halt,
            Self::Halt => Self::Recovery,
            Self::Recovery | Self::Over => Self::Over,
        }
    }

    /// What happens to the network that halts when the act begins.
    fn cues(self) -> Vec<Fault> {
        match self {
            Self::OneDown => vec![Fault::Stop(FIRST_TO_STOP)],
            Self::Halt => vec![Fault::Stop(SECOND_TO_STOP)],
            Self::Recovery => vec![Fault::Start(SECOND_TO_STOP), Fault::Start(FIRST_TO_STOP)],
            Self::Peace | Self::Over => Vec::new(),
        }
    }

    /// Whether an alert may begin in this act.
    fn allows(self, told: &Told) -> bool {
        let first = told.place == FIRST;
        let stopped = first || told.place == SECOND;
        match told.name {
            AlertName::Watchdog => true,
            AlertName::NodeOffline => (self == Self::OneDown && first) || (self == Self::Halt && stopped),
            AlertName::QuorumAtRisk => self == Self::OneDown && told.place == NETWORK,
            AlertName::NetworkHalted => self == Self::Halt && told.place == NETWORK,
            AlertName::NodeSyncing => self == Self::Recovery && stopped,
            _ => false,
        }
    }
}

/// When what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// The first validator stopped.
    pub first_stopped: Option<Now>,
    /// Its alert fired.
    pub node_offline: Option<Now>,
    /// `QuorumAtRisk` fired.
    pub quorum_at_risk: Option<Now>,
    /// The second validator stopped: the quorum was lost.
    pub quorum_lost: Option<Now>,
    /// `NetworkHalted` fired.
    pub halt_fired: Option<Now>,
    /// Both validators returned.
    pub returned: Option<Now>,
    /// The first block after the return was seen.
    pub block_again: Option<Now>,
    /// `NetworkHalted` was resolved.
    pub halt_resolved: Option<Now>,
    /// The last alert was resolved.
    pub all_resolved: Option<Now>,
}

/// The story as far as it has been told.
#[derive(Debug, Clone)]
pub struct Story {
    act: Act,
    began: Now,
    act_began: Now,
    marks: Marks,
    firing: Vec<(AlertName, String)>,
    halted_tip: Option<Height>,
    surprises: Vec<String>,
}

impl Story {
    /// The story begins now.
    #[must_use]
    pub fn begin(now: Now) -> Self {
        Self {
            act: Act::Peace,
            began: now,
            act_began: now,
            marks: Marks::default(),
            firing: Vec::new(),
            halted_tip: None,
            surprises: Vec::new(),
        }
    }

    /// The act that is played.
    #[must_use]
    pub fn act(&self) -> Act {
        self.act
    }

    /// Since when the story has been told.
    #[must_use]
    pub fn began(&self) -> Now {
        self.began
    }

    /// When what happened.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// What was not as it should be. Empty at the end = the story came true.
    #[must_use]
    pub fn surprises(&self) -> &[String] {
        &self.surprises
    }

    /// An alert began or ended.
    pub fn hear(&mut self, told: &Told, now: Now) {
        let alert = (told.name, told.place.clone());
        if !told.fired {
            self.firing.retain(|firing| *firing != alert);
            let halt = told.name == AlertName::NetworkHalted && self.marks.halt_fired.is_some();
            note(&mut self.marks.halt_resolved, halt, now);
            return;
        }
        if !self.act.allows(told) {
            self.surprises.push(format!("{} {} fired unexpectedly", told.name.as_str(), told.place));
        }
        note(&mut self.marks.node_offline, told.name == AlertName::NodeOffline && told.place == FIRST, now);
        note(&mut self.marks.quorum_at_risk, told.name == AlertName::QuorumAtRisk && told.place == NETWORK, now);
        note(&mut self.marks.halt_fired, told.name == AlertName::NetworkHalted && told.place == NETWORK, now);
        if told.name != AlertName::Watchdog {
            self.firing.push(alert);
        }
    }

    /// Looks at the scene; returns what has to be done on stage now, in this order.
    pub fn step(&mut self, scene: Scene, now: Now) -> Vec<Fault> {
        self.watch(scene, now);
        let played = now.at.since(self.act_began.at);
        let complete = self.act_is_complete(scene) && self.act.shortest() <= played;
        if self.act == Act::Over || !(complete || self.act.longest() <= played) {
            return Vec::new();
        }
        if !complete {
            self.surprises.push(format!("after {} s: {}", played.as_secs(), self.missing()));
        }
        self.enter(self.act.next(), now)
    }

    fn watch(&mut self, scene: Scene, now: Now) {
        if self.act == Act::Halt {
            self.halted_tip = scene.tip;
        }
        let risen = self.act == Act::Recovery && self.halted_tip < scene.tip;
        note(&mut self.marks.block_again, risen, now);
        let quiet = self.marks.halt_resolved.is_some() && self.firing.is_empty();
        note(&mut self.marks.all_resolved, quiet, now);
    }

    fn act_is_complete(&self, scene: Scene) -> bool {
        match self.act {
            Act::Peace => scene.all_well,
            Act::OneDown => self.marks.node_offline.is_some() && self.marks.quorum_at_risk.is_some(),
            Act::Halt => self.marks.halt_fired.is_some(),
            Act::Recovery => self.marks.all_resolved.is_some() && scene.all_well,
            Act::Over => true,
        }
    }

    fn missing(&self) -> &'static str {
        match self.act {
            Act::Peace => "the networks have not all become live or idle",
            Act::OneDown => "NodeOffline consortium/v4 and QuorumAtRisk consortium have not both fired",
            Act::Halt => "NetworkHalted consortium has not fired",
            Act::Recovery => "not everything has been resolved",
            Act::Over => "nothing",
        }
    }

    fn enter(&mut self, act: Act, now: Now) -> Vec<Fault> {
        self.act = act;
        self.act_began = now;
        note(&mut self.marks.first_stopped, act == Act::OneDown, now);
        note(&mut self.marks.quorum_lost, act == Act::Halt, now);
        note(&mut self.marks.returned, act == Act::Recovery, now);
        act.cues()
    }

    /// What was measured, a line each; empty until the story is over.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        if self.act != Act::Over {
            return Vec::new();
        }
        let marks = &self.marks;
        let mut lines = vec![
            measured("NodeOffline fired", marks.node_offline, "v4 stopped", marks.first_stopped),
            measured("QuorumAtRisk fired", marks.quorum_at_risk, "v4 stopped", marks.first_stopped),
            measured("NetworkHalted fired", marks.halt_fired, "the quorum was lost", marks.quorum_lost),
            measured("the first new block was seen", marks.block_again, "the validators returned", marks.returned),
            measured("NetworkHalted was resolved", marks.halt_resolved, "the validators returned", marks.returned),
            measured("the last alert was resolved", marks.all_resolved, "the validators returned", marks.returned),
        ];
        lines.extend(self.surprises.iter().map(|surprise| format!("not as it should be: {surprise}")));
        if self.surprises.is_empty() {
            lines.push("every alert came that had to come, and no other".to_owned());
        }
        lines
    }
}

fn note(mark: &mut Option<Now>, happened: bool, now: Now) {
    if happened && mark.is_none() {
        *mark = Some(now);
    }
}

fn measured(what: &str, then: Option<Now>, since: &str, start: Option<Now>) -> String {
    match (then, start) {
        (Some(then), Some(start)) => {
            format!("{what} {:.1} s after {since} ({})", then.at.since(start.at).as_secs_f64(), then.wall)
        }
        _ => format!("{what}: never"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, UnixTime};

    fn at(seconds: i64) -> Now {
        Now { at: Timestamp(seconds * 1000), wall: UnixTime::from_millis(1_795_300_000_000 + seconds * 1000) }
    }

    fn told(name: AlertName, place: &str, fired: bool) -> Told {
        Told { name, place: place.to_owned(), fired }
    }

    /// Plays a story second by second: `events` are alerts and when they are announced, `tip` the height over time.
    fn play(events: &[(i64, Told)], tip: impl Fn(i64) -> u64, until: i64) -> (Story, Vec<(i64, Fault)>) {
        let mut story = Story::begin(at(0));
        let mut cues = Vec::new();
        for second in 0..=until {
            for (_, told) in events.iter().filter(|(when, _)| *when == second) {
                story.hear(told, at(second));
            }
            let scene = Scene { all_well: story.firing.is_empty(), tip: Some(Height(tip(second))) };
            cues.extend(story.step(scene, at(second)).into_iter().map(|cue| (second, cue)));
        }
        (story, cues)
    }

    fn good_events() -> Vec<(i64, Told)> {
        vec![
            (0, told(AlertName::Watchdog, "", true)),
            (14, told(AlertName::QuorumAtRisk, NETWORK, true)),
            (14, told(AlertName::NodeOffline, FIRST, true)),
            (28, told(AlertName::NodeOffline, SECOND, true)),
            (33, told(AlertName::NetworkHalted, NETWORK, true)),
            (47, told(AlertName::NetworkHalted, NETWORK, false)),
            (48, told(AlertName::QuorumAtRisk, NETWORK, false)),
            (48, told(AlertName::NodeOffline, SECOND, false)),
            (49, told(AlertName::NodeOffline, FIRST, false)),
        ]
    }

    #[test]
    fn the_story_waits_for_each_alert_and_measures_it() {
        let (story, cues) = play(&good_events(), |second| if second < 40 { 100 } else { 101 }, 60);
        expect_test::expect![[r"
            [(8, Stop(3)), (22, Stop(2)), (38, Start(2)), (38, Start(3))]
            NodeOffline fired 6.0 s after v4 stopped (2026-11-21T22:26:54.000Z)
            QuorumAtRisk fired 6.0 s after v4 stopped (2026-11-21T22:26:54.000Z)
            NetworkHalted fired 11.0 s after the quorum was lost (2026-11-21T22:27:13.000Z)
            the first new block was seen 2.0 s after the validators returned (2026-11-21T22:27:20.000Z)
            NetworkHalted was resolved 9.0 s after the validators returned (2026-11-21T22:27:27.000Z)
            the last alert was resolved 11.0 s after the validators returned (2026-11-21T22:27:29.000Z)
            every alert came that had to come, and no other
        "]]
        .assert_eq(&format!("{cues:?}\n{}\n", story.summary().join("\n")));
    }

    #[test]
    fn a_halt_announced_while_there_was_a_quorum_spoils_the_story() {
        let mut events = good_events();
        events.insert(0, (12, told(AlertName::NetworkHalted, NETWORK, true)));
        let (story, _) = play(&events, |_| 1, 60);
        assert_eq!(story.surprises()[0], "NetworkHalted consortium fired unexpectedly");
    }

    #[test]
    fn an_alert_about_a_network_that_is_well_spoils_the_story() {
        let mut events = good_events();
        events.push((30, told(AlertName::NetworkHalted, "orders", true)));
        events.push((31, told(AlertName::NetworkHalted, "orders", false)));
        let (story, _) = play(&events, |_| 1, 60);
        assert_eq!(story.surprises(), ["NetworkHalted orders fired unexpectedly"]);
    }

    #[test]
    fn a_halt_that_is_missed_spoils_the_story_but_does_not_stop_it() {
        let (story, cues) = play(&good_events()[..3], |_| 1, 130);
        assert_eq!((story.act(), cues.len()), (Act::Over, 4));
        assert_eq!(
            story.surprises(),
            ["after 25 s: NetworkHalted consortium has not fired", "after 55 s: not everything has been resolved"]
        );
    }

    #[test]
    fn the_longest_story_is_told_within_two_minutes() {
        let acts = [Act::Peace, Act::OneDown, Act::Halt, Act::Recovery];
        assert!(acts.iter().map(|act| act.longest()).sum::<Duration>() <= Duration::from_secs(120));
    }
}
