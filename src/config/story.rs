//! The file of a rule test: a story in the language of the configuration, read with the same care for positions. What
//! stands in `[[network]]` of a configuration may stand here too; beside it stand series of what nodes say.

mod expect;
mod part;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use toml::de::DeTable;

use self::part::{never_asked, part, series};
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
    suggest::nearest,
    syntax, variant,
};
use crate::{
    chain::Family,
    engine::settings::{CanarySettings, NodeLimits, NodeSettings, Settings},
    model::{Height, Instant, Labels, NetworkIndex, PlannedHalt, Role, Timestamp, VantageIndex},
    ruletest::{MAX_TICKS, MonitorPart, NodePart, Numbers, Story, Words},
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
    for section in networks {
        plot.network(section);
    }
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
            self.network_named(&called, &item)
        } else {
            self.new_network(&mut section, &called, &item)
        };
        let Some(place) = place else { return };
        section.set("head_age", duration(MOMENTS), &mut self.head_age[place]);
        let common = part(&mut section, self.every, &NodePart::default());
        let index = NetworkIndex(position(place));
        let parts = self.settings.nodes.iter().zip(&mut self.nodes);
        parts.filter(|(node, _)| node.network == index).for_each(|(_, part)| part.clone_from(&common));
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
        let (profile, _) = variant::read(section, family);
        let defaults = Defaults::default().of(profile).overlaid(section);
        let mut network = read_settings(section, Arc::clone(called), profile, (defaults.network, Vec::new()));
        let above = section.optional("depends_on", list(name, 0..=MAX_NODES)).unwrap_or_default();
        let parents = above.iter().filter_map(|(name, item)| self.network_named(name, item));
        network.depends_on = parents.map(|place| NetworkIndex(position(place))).collect();
        let place = self.settings.networks.len();
        self.settings.networks.push(network);
        self.head_age.push(Duration::ZERO);
        for (key, role) in [("validators", Role::Validator), ("nodes", Role::Rpc)] {
            for (name, item) in section.optional(key, list(name, 0..=MAX_NODES)).unwrap_or_default() {
                let index = NetworkIndex(position(place));
                if self.node_place(index, &name).is_some() {
                    item.harmless().note_as(Code::Duplicate, "this node is there twice", "names of nodes are unique");
                } else {
                    self.add_node(index, name, role, defaults.node.keys.limits);
                }
            }
        }
        Some(place)
    }

    fn add_node(&mut self, network: NetworkIndex, name: Arc<str>, role: Role, limits: NodeLimits) {
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

    fn network_named(&self, name: &str, item: &Item<'_>) -> Option<usize> {
        let networks = &self.settings.networks;
        let found = networks.iter().position(|it| &*it.name == name);
        found.or_else(|| unknown(item, "network", networks.iter().map(|it| &*it.name)))
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
                self.network_named(&called, item).map(|place| NetworkIndex(position(place)))
            }
            None if networks.len() == 1 => Some(NetworkIndex(0)),
            None => {
                section.lacks("`network` is missing".to_owned(), "there are several networks: name one");
                None
            }
        }
    }
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
