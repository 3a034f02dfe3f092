//! The file of a rule test: a story in the language of the configuration, read with the same care for positions. What
//! stands in `[[network]]` of a configuration may stand here too; beside it stand series of what nodes say.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use toml::de::DeTable;

use super::{
    Config, Severity, Source,
    code::Code,
    kind::{count, duration, flag, list, name, word},
    limits::Defaults,
    network::{MAX_WEIGHT, position, read_settings},
    page::Page,
    problem::Problems,
    secret::Vault,
    section::{Item, Section},
    shape::Shape,
    suggest::nearest,
    syntax,
};
use crate::{
    chain::Family,
    engine::{
        settings::{CanarySettings, NetworkSettings, NodeSettings, Settings},
        snapshot::{AlertKey, Subject},
    },
    model::{
        AlertName, Height, Instant, Labels, Level, NetworkIndex, NodeIndex, PlannedHalt, Role, Timestamp, VantageIndex,
        alert::Scope,
    },
    observation::ErrorKind,
    ruletest::{Answer, Branch, Expectation, MAX_TICKS, MonitorPart, NodePart, Numbers, State, Story, Wanted, Words},
};

/// Times in a story.
const MOMENTS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 24 * 3600);

/// Time between two polls.
const EVERY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

/// Nodes of a network in a story.
const MAX_NODES: usize = 1000;

const NO_NETWORK: (&str, &str) = ("there is no network", "add [[network]], or config = \"path\"");
const NO_EXPECTATION: (&str, &str) = ("nothing is expected", "add [[expect]] with what is to be told, and when");

/// Reads the file of a rule test.
///
/// # Errors
/// Every problem found, at once, in the order of the file.
pub fn load_story(source: &Source) -> Result<Story, Problems> {
    let name = source.to_string();
    let text = source.read().map_err(|problem| Problems { source: name.clone(), list: vec![*problem] })?;
    let environment = |variable: &str| std::env::var_os(variable);
    let vault = Vault { directory: source.directory(), environment: &environment };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let errors = DeTable::parse_recoverable(text).1;
    let (text, errors) = if errors.is_empty() { (text.to_owned(), errors) } else { syntax::without_stray_words(text) };
    let (tree, _) = DeTable::parse_recoverable(&text);
    let page = Page::new(&text, &vault, &errors);
    let story = read(&page, Section::root(&page, tree.get_ref()));
    let problems = Problems { source: name, list: page.finish().1 };
    if problems.count(Severity::Error) == 0 { Ok(story) } else { Err(problems) }
}

fn read<'a>(page: &'a Page<'a>, mut root: Section<'a>) -> Story {
    let every = root.optional("every", duration(EVERY)).unwrap_or(Duration::from_secs(5));
    let lasts = root.optional("lasts", duration(MOMENTS));
    let base = root.item("config").and_then(|item| configuration(&item));
    let mut plot = Plot::of(base, every);
    let monitor = plot.monitor(root.section("monitor", "monitor"));
    let networks = if plot.is_configured {
        root.any_sections("network", "network")
    } else {
        root.sections("network", "network", NO_NETWORK)
    };
    networks.into_iter().for_each(|section| plot.network(section));
    let notices = root.any_sections("notice", "notice").into_iter().filter_map(|it| plot.notice(it)).collect();
    let expected = root.sections("expect", "expect", NO_EXPECTATION);
    let mut expectations: Vec<_> = expected.into_iter().filter_map(|it| plot.expectation(it)).collect();
    root.finish();
    let last = expectations.iter().map(|it| it.0.until.max(it.0.from)).max().unwrap_or_default();
    let lasts = lasts.unwrap_or(last).max(last);
    if u128::from(MAX_TICKS) <= lasts.as_millis() / every.as_millis().max(1) {
        super::place::Place::File(page).note(Code::OutOfRange, "the story has too many polls", "raise `every`");
    }
    for (expectation, goes_on) in &mut expectations {
        if *goes_on {
            expectation.until = lasts;
        }
    }
    let Plot { settings, nodes, head_age, .. } = plot;
    let expectations = expectations.into_iter().map(|(expectation, _)| expectation).collect();
    Story { settings, every, lasts, nodes, head_age, monitor, notices, expectations }
}

/// The configuration that the story tests.
fn configuration(item: &Item<'_>) -> Option<Config> {
    let item = item.harmless();
    let path = item.text("the path of a configuration", "write it in quotes")?;
    match super::load(&Source::File(item.page.vault.directory.join(path))) {
        Ok(config) => Some(config),
        Err(problems) => {
            let first = problems.texts().next().unwrap_or_default();
            let first = first.lines().next().unwrap_or_default();
            item.wrong(format!("the configuration cannot be used: {first}"), "ask `haltwatch check-config`")
        }
    }
}

/// The story as far as it is read.
struct Plot {
    settings: Settings,
    every: Duration,
    /// The networks and nodes are those of a configuration; the story only says what they do.
    is_configured: bool,
    nodes: Vec<NodePart>,
    head_age: Vec<Duration>,
}

impl Plot {
    fn of(base: Option<Config>, every: Duration) -> Self {
        let is_configured = base.is_some();
        let unconfigured = || Settings {
            monitor: Arc::from("monitor"),
            isolated_after: Duration::from_secs(60),
            ..Settings::default()
        };
        let mut settings = base.map_or_else(unconfigured, |config| config.engine);
        for node in &mut settings.nodes {
            (node.interval, node.timeout) = (every, every);
        }
        settings.canaries.iter_mut().for_each(|canary| canary.interval = every);
        let nodes = settings.nodes.iter().map(|_| NodePart { answers: never_asked(), ..NodePart::default() }).collect();
        let head_age = vec![Duration::ZERO; settings.networks.len()];
        Self { settings, every, is_configured, nodes, head_age }
    }

    fn monitor(&mut self, mut section: Section<'_>) -> MonitorPart {
        let every = self.every;
        let said = |known: [&'static str; 2]| {
            series(move |text| {
                Words::parse(text, every, |word| known.iter().position(|it| *it == word).map(|n| n == 0))
            })
        };
        let canaries = section.optional("canaries", said(["ok", "fail"]));
        if canaries.is_some() && self.settings.canaries.is_empty() {
            let canary = |name: &str| CanarySettings {
                vantage: VantageIndex::default(),
                name: Arc::from(name),
                interval: every,
            };
            self.settings.canaries = ["gateway:53", "other:53"].map(canary).to_vec();
        }
        section.set("isolated_after", duration(MOMENTS), &mut self.settings.isolated_after);
        let part = MonitorPart {
            canaries: canaries.unwrap_or_default(),
            clock: section.optional("clock", series(|text| Numbers::parse(text, every))).unwrap_or_default(),
            runs: section.optional("runs", said(["yes", "no"])).unwrap_or_default(),
        };
        section.finish();
        part
    }

    fn network(&mut self, mut section: Section<'_>) {
        let Some(item) = section.required_item("name") else { return };
        let Some(called) = name(&item) else { return };
        let place = if self.is_configured {
            self.named(&self.settings.networks, |it| &it.name, &called, &item, "network")
        } else {
            self.new_network(&mut section, &called, &item)
        };
        let Some(place) = place else { return };
        section.set("head_age", duration(MOMENTS), &mut self.head_age[place]);
        let common = part(&mut section, self.every, &NodePart::default());
        let index = NetworkIndex(position(place));
        for (node, part) in self.settings.nodes.iter().zip(&mut self.nodes).filter(|(node, _)| node.network == index) {
            debug_assert_eq!(node.network, index);
            *part = common.clone();
        }
        for node in section.any_sections("node", "network.node") {
            self.node(node, index, &common);
        }
        section.finish();
    }

    /// A network that stands in the story itself, with the nodes that need no words of their own.
    fn new_network(&mut self, section: &mut Section<'_>, called: &Arc<str>, item: &Item<'_>) -> Option<usize> {
        if self.settings.networks.iter().any(|network| network.name == *called) {
            item.harmless().note_as(Code::Duplicate, "this name is there twice", "names of networks are unique");
            return None;
        }
        let family = section.optional("family", word("family", &Family::ALL, Family::as_str)).unwrap_or(Family::Evm);
        let defaults = Defaults::default().overlaid(section);
        let network = read_settings(section, Arc::clone(called), family, defaults.network);
        let place = self.settings.networks.len();
        self.settings.networks.push(network);
        self.head_age.push(Duration::ZERO);
        for (key, role) in [("validators", Role::Validator), ("nodes", Role::Rpc)] {
            for (name, _) in section.optional(key, list(name, 0..=MAX_NODES)).unwrap_or_default() {
                self.add_node(NetworkIndex(position(place)), name, role, defaults.node.keys.limits);
            }
        }
        Some(place)
    }

    fn add_node(
        &mut self,
        network: NetworkIndex,
        name: Arc<str>,
        role: Role,
        limits: crate::engine::settings::NodeLimits,
    ) {
        self.settings.nodes.push(NodeSettings {
            name,
            network,
            role,
            core: role.is_core(),
            weight: 1,
            labels: Labels::new(),
            metrics: None,
            interval: self.every,
            timeout: self.every,
            limits,
        });
        self.nodes.push(NodePart::default());
    }

    /// What one node does otherwise than its network.
    fn node(&mut self, mut section: Section<'_>, network: NetworkIndex, common: &NodePart) {
        let Some(item) = section.required_item("name") else { return };
        let Some(called) = name(&item) else { return };
        let mut place = self.node_place(network, &called);
        if self.is_configured && place.is_none() {
            let known = self.settings.nodes.iter().filter(|it| it.network == network).map(|it| &*it.name);
            unknown::<()>(&item, "node", known);
            return;
        }
        if !self.is_configured {
            let role = section.optional("role", word("role", &Role::ALL, Role::as_str));
            let inherited = self.settings.nodes.iter().find(|it| it.network == network).map(|it| it.limits);
            let limits = inherited.unwrap_or_else(|| Defaults::default().node.keys.limits);
            if place.is_none() {
                self.add_node(network, called, role.unwrap_or(Role::Rpc), limits);
                place = Some(self.settings.nodes.len() - 1);
            }
            let node = &mut self.settings.nodes[place.unwrap_or_default()];
            if let Some(role) = role {
                (node.role, node.core) = (role, role.is_core());
            }
            section.set("core", flag, &mut node.core);
            section.set("weight", count(1..=MAX_WEIGHT), &mut node.weight);
        }
        if let Some(place) = place {
            self.nodes[place] = part(&mut section, self.every, common);
        }
        section.finish();
    }

    fn node_place(&self, network: NetworkIndex, name: &str) -> Option<usize> {
        self.settings.nodes.iter().position(|node| node.network == network && &*node.name == name)
    }

    fn named<T>(&self, all: &[T], of: fn(&T) -> &Arc<str>, name: &str, item: &Item<'_>, what: &str) -> Option<usize> {
        let found = all.iter().position(|it| &**of(it) == name);
        found.or_else(|| unknown(item, what, all.iter().map(|it| &**of(it))))
    }

    fn notice(&self, mut section: Section<'_>) -> Option<(Duration, NetworkIndex, PlannedHalt)> {
        let at = section.optional("at", duration(MOMENTS)).unwrap_or_default();
        let network = section.item("network");
        let instant = |time: Duration| Instant::At(Timestamp(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)));
        let planned = PlannedHalt {
            kind: section.optional("kind", name).unwrap_or_else(|| Arc::from("upgrade")),
            from: section.optional("from", duration(MOMENTS)).map(instant),
            until: section.optional("until", duration(MOMENTS)).map(instant),
            at_height: section.optional("at_height", count(0..=u64::MAX)).map(Height),
        };
        let network = self.network_of(&section, network.as_ref());
        section.finish();
        Some((at, network?, planned))
    }

    /// The network that is named, or the only one there is.
    fn network_of(&self, section: &Section<'_>, item: Option<&Item<'_>>) -> Option<NetworkIndex> {
        let networks = &self.settings.networks;
        match item {
            Some(item) => {
                let called = name(item)?;
                self.named(networks, |it: &NetworkSettings| &it.name, &called, item, "network")
                    .map(|place| NetworkIndex(position(place)))
            }
            None if networks.len() == 1 => Some(NetworkIndex(0)),
            None => {
                section.lacks("`network` is missing".to_owned(), "there are several networks: name one");
                None
            }
        }
    }

    /// An expectation, and whether it is to hold to the end.
    fn expectation(&self, mut section: Section<'_>) -> Option<(Expectation, bool)> {
        let at = section.item("at");
        let from = at.as_ref().and_then(duration(MOMENTS));
        let until = section.optional("until", duration(MOMENTS));
        let (alert, not, alerts) = (section.item("alert"), section.item("not"), section.item("alerts"));
        let network = section.item("network");
        let node = section.item("node");
        let state = section.optional("state", word("state", &State::ALL, State::as_str));
        let level = section.optional("level", word("level", &Level::ALL, Level::as_str));
        let reason = section.optional("reason", name);
        let (item, wanted) = match (&alert, &not, &alerts) {
            (Some(item), None, None) => {
                let key = self.key(&section, item, network.as_ref(), node.as_ref());
                (item, key.map(|key| Wanted::One { key, state: state.unwrap_or(State::Firing), level, reason }))
            }
            (None, Some(item), None) => {
                let key = self.key(&section, item, network.as_ref(), node.as_ref());
                (item, key.map(|key| Wanted::One { key, state: State::Quiet, level: None, reason: None }))
            }
            (None, None, Some(item)) => {
                let keys = list(|item: &Item<'_>| self.short_key(item), 0..=MAX_NODES)(item);
                (item, keys.map(|keys| Wanted::Exactly(keys.into_iter().map(|(key, _)| key).collect())))
            }
            _ => {
                section.lacks("one of `alert`, `not` and `alerts` is needed".to_owned(), "write one of them");
                return None;
            }
        };
        let line = item.line();
        if at.is_none() && not.is_none() {
            section.lacks("`at` is missing".to_owned(), "write when, like at = \"1m40s\"");
        }
        section.finish();
        let goes_on = at.is_none() && until.is_none();
        let from = from.unwrap_or_default();
        let until = until.unwrap_or(from).max(from);
        Some((Expectation { line, from, until, wanted: wanted? }, goes_on))
    }

    /// The alert that is named, about what is named beside it.
    fn key(
        &self,
        section: &Section<'_>,
        item: &Item<'_>,
        network: Option<&Item<'_>>,
        node: Option<&Item<'_>>,
    ) -> Option<AlertKey> {
        let name = alert_name(item)?;
        let subject = match (name.scope(), node) {
            (Scope::Monitor, _) => Subject::Monitor,
            (Scope::Network, None) => Subject::Network(self.network_of(section, network)?),
            (Scope::Network, Some(node)) => {
                return node.wrong("the alert is about a network".to_owned(), "leave out `node`");
            }
            (Scope::Node, Some(node)) => {
                let network = self.network_of(section, network)?;
                Subject::Node(self.node_named(node, network, &super::kind::name(node)?)?)
            }
            (Scope::Node, None) => {
                section.lacks("`node` is missing".to_owned(), "the alert is about a node: name it");
                return None;
            }
        };
        Some(AlertKey { name, subject })
    }

    /// `NetworkHalted main`, `NodeOffline main/v1`; the network may be left out where there is one.
    fn short_key(&self, item: &Item<'_>) -> Option<AlertKey> {
        item.describe(|| Shape::Text);
        let item = item.harmless();
        let help = "write \"NetworkHalted main\" or \"NodeOffline main/v1\"";
        let text = item.text("a string", help)?;
        let (alert, subject) = text.split_once(' ').unwrap_or((&text, ""));
        let name = alert_named(&item, alert)?;
        let only = || (self.settings.networks.len() == 1).then_some(0);
        let place = |name: &str| self.settings.networks.iter().position(|it| &*it.name == name);
        let found = match name.scope() {
            Scope::Monitor => Some(Subject::Monitor),
            Scope::Network if subject.is_empty() => only().map(|it| Subject::Network(NetworkIndex(it))),
            Scope::Network => place(subject).map(|it| Subject::Network(NetworkIndex(position(it)))),
            Scope::Node => {
                let (network, node) = match subject.split_once('/') {
                    Some((network, node)) => (place(network), node),
                    None => (only().and_then(|it| usize::try_from(it).ok()), subject),
                };
                let index = network.map(|it| NetworkIndex(position(it)));
                index.and_then(|it| self.node_place(it, node)).map(|it| Subject::Node(NodeIndex(position(it))))
            }
        };
        match found {
            Some(subject) => Some(AlertKey { name, subject }),
            None => item.wrong(format!("{} is about nothing in this story", item.quoted()), help),
        }
    }

    fn node_named(&self, item: &Item<'_>, network: NetworkIndex, name: &str) -> Option<NodeIndex> {
        let found = self.node_place(network, name).map(|place| NodeIndex(position(place)));
        let known = self.settings.nodes.iter().filter(|it| it.network == network).map(|it| &*it.name);
        found.or_else(|| unknown(item, "node", known))
    }
}

fn never_asked() -> Words<Answer> {
    Words::parse("silent", Duration::from_secs(1), answer).unwrap_or_default()
}

/// What the nodes say; `common` where nothing is said.
fn part(section: &mut Section<'_>, every: Duration, common: &NodePart) -> NodePart {
    let mut part = common.clone();
    section.set("answers", series(|text| Words::parse(text, every, answer)), &mut part.answers);
    section.set("branch", series(|text| Words::parse(text, every, branch)), &mut part.branch);
    let yes_or_no = |word: &str| match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    section.set("syncing", series(|text| Words::parse(text, every, yes_or_no)), &mut part.syncing);
    let any = |word: &str| Some(Arc::from(word));
    section.set("on_chain", series(|text| Words::parse(text, every, any)), &mut part.on_chain);
    let numbers: [(&'static str, &mut Numbers); 9] = [
        ("height", &mut part.height),
        ("finalized", &mut part.finalized),
        ("pending", &mut part.pending),
        ("transactions", &mut part.transactions),
        ("peers", &mut part.peers),
        ("round", &mut part.round),
        ("participation", &mut part.participation),
        ("clock_skew", &mut part.clock_skew),
        ("latency", &mut part.latency),
    ];
    for (key, value) in numbers {
        section.set(key, series(|text| Numbers::parse(text, every)), value);
    }
    part
}

/// `ok`, `silent` or how a poll fails.
fn answer(word: &str) -> Option<Answer> {
    let failure = || ErrorKind::ALL.iter().copied().find(|kind| kind.as_str() == word).map(Answer::Failed);
    match word {
        "ok" => Some(Answer::Good),
        "silent" => Some(Answer::NotAsked),
        _ => failure(),
    }
}

/// `b`, or `b@140` for a branch that leaves the first above block 140.
fn branch(word: &str) -> Option<Branch> {
    let (name, leaves_at) = match word.split_once('@') {
        Some((name, height)) => (name, Some(height.parse().ok()?)),
        None => (word, None),
    };
    (!name.is_empty()).then(|| Branch { name: Arc::from(name), leaves_at })
}

/// A text that is a series.
fn series<T>(parse: impl Fn(&str) -> Result<T, String>) -> impl Fn(&Item<'_>) -> Option<T> {
    move |item| {
        item.describe(|| Shape::Text);
        let item = item.harmless();
        let text = item.text("a series", "write it in quotes, like \"100+1x120 220x60\" or \"ok x30 timeout x20\"")?;
        parse(&text).map_err(|why| item.note(format!("`{}`: {why}", item.key), "docs/rule-tests.md shows series")).ok()
    }
}

fn alert_name(item: &Item<'_>) -> Option<AlertName> {
    let item = item.harmless();
    let text = item.text("the name of an alert", "like \"NetworkHalted\"")?;
    alert_named(&item, &text)
}

fn alert_named(item: &Item<'_>, text: &str) -> Option<AlertName> {
    let found = AlertName::ALL.iter().copied().find(|name| name.as_str() == text);
    found.or_else(|| unknown(item, "alert", AlertName::ALL.iter().map(|name| name.as_str())))
}

/// Notes a name that nothing has.
fn unknown<'n, T>(item: &Item<'_>, what: &str, known: impl Iterator<Item = &'n str>) -> Option<T> {
    let item = item.harmless();
    let names: Vec<&str> = known.collect();
    let text = item.text("a string", "").unwrap_or_default();
    let help = nearest(&text, names.iter().copied())
        .map_or_else(|| format!("the name of {what}s that are there"), |name| format!("did you mean \"{name}\"?"));
    item.note_as(Code::UnknownWord, format!("there is no {what} {}", item.quoted()), &help);
    None
}
