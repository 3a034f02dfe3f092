//! `[[discovery]]`: where more nodes are found, and how what is found becomes nodes of the configuration.

use std::{
    collections::{BTreeMap, HashSet},
    ops::RangeInclusive,
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{
    Config,
    code::Code,
    credentials,
    host::spelling,
    kind::{duration, is_usable_name, list, name, secret_url},
    labels::{MAX_LABELS, fault_of_name, is_usable_value},
    limits::NodeKeys,
    network::{Language, MAX_NODES, MAX_WEIGHT, position, target},
    section::{Item, Section},
    shape::Shape,
    suggest::nearest,
    unique::{Unique, identity},
};
use crate::{
    discovery::{Candidate, Found, Origin, Pattern, Refusal, Rejection, Settings, candidate, shown},
    engine::settings::{NetworkSettings, NodeSettings},
    model::{Labels, NetworkIndex, NodeIndex},
};

/// Sources of one monitor.
const MAX_SOURCES: usize = 100;

/// Patterns of one source.
const MAX_PATTERNS: usize = 100;

/// How often a source may be read.
const REFRESHES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

const REFRESH: Duration = Duration::from_secs(60);

const FILES_HELP: &str = "write files = [\"/etc/haltwatch/nodes/*.json\"]";

/// Where more nodes are found, and what they inherit from their networks.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// The sources, in the order of the file.
    pub sources: Vec<Settings>,
    /// The keys that the nodes of each network inherit; parallel to the networks.
    pub(super) inherited: Vec<(NodeKeys, Language)>,
}

/// A network that a source names, and where.
pub(super) type Wish<'a> = (Arc<str>, Item<'a>);

/// Reads every source, and the networks they name, which come later in the file.
pub(super) fn read_all<'a>(root: &mut Section<'a>) -> (Discovery, Vec<Wish<'a>>) {
    let sections = root.any_sections("discovery", "discovery");
    if let Some(first) = sections.get(MAX_SOURCES) {
        let message = format!("{} sources of nodes are too many", sections.len());
        first.place().note(Code::OutOfRange, message, "at most 100 for one haltwatch");
    }
    let mut names =
        Unique::new("this name", "names of sources are unique; a source without one is called by its number");
    let mut wishes = Vec::new();
    let read = |(number, section)| read_source(number, section, &mut names, &mut wishes);
    let sources = sections.into_iter().take(MAX_SOURCES).enumerate().filter_map(read).collect();
    (Discovery { sources, inherited: Vec::new() }, wishes)
}

fn read_source<'a>(
    number: usize,
    mut section: Section<'a>,
    names: &mut Unique,
    wishes: &mut Vec<Wish<'a>>,
) -> Option<Settings> {
    let item = section.item("name");
    let given = item.as_ref().and_then(name);
    if let (Some(item), Some(name)) = (&item, &given) {
        names.check(&item.harmless(), name);
    }
    let network = section.item("network");
    let network_name = network.as_ref().and_then(name);
    wishes.extend(network_name.clone().zip(network));
    let mut refresh = REFRESH;
    section.set("refresh", duration(REFRESHES), &mut refresh);
    let (files_item, url_item) = (section.item("files"), section.item("url"));
    if let (None, Some(item)) = (&item, files_item.as_ref().or(url_item.as_ref())) {
        names.check(item, &number.to_string());
    }
    let files = section.optional("files", patterns);
    let url = section.optional("url", secret_url("http, https"));
    let headers = credentials::read(&mut section, "discovery.basic_auth");
    let origin = match (&files_item, url_item) {
        (Some(_), Some(item)) => {
            item.wrong("a source has files or a url, not both".to_owned(), "write two [[discovery]]")
        }
        (Some(_), None) if !headers.is_empty() => {
            let message = "credentials are for a url, and this source has files";
            section.place().note(Code::BadValue, message, "remove them");
            None
        }
        (Some(_), None) => files.map(Origin::Files),
        (None, Some(item)) => url.map(|url| {
            credentials::warn_of_clear_text(&[(url.clone(), item)], &headers);
            Origin::Http(url.with_headers(headers))
        }),
        (None, None) => {
            section.lacks("`files` or `url` is missing in discovery".to_owned(), FILES_HELP);
            None
        }
    };
    section.finish();
    let name = given.unwrap_or_else(|| Arc::from(number.to_string()));
    Some(Settings { name, origin: origin?, refresh, network: network_name })
}

fn patterns(item: &Item<'_>) -> Option<Vec<Pattern>> {
    let base = item.page.vault.directory;
    let pattern = |item: &Item<'_>| pattern(item, base);
    Some(list(pattern, 1..=MAX_PATTERNS)(item)?.into_iter().map(|(pattern, _)| pattern).collect())
}

fn pattern(item: &Item<'_>, base: &Path) -> Option<Pattern> {
    let item = item.harmless();
    item.describe(|| Shape::Parsed("path of a file, * in its last part"));
    let text = item.text("the path of a file", FILES_HELP)?;
    Pattern::parse(&text, base).map_err(|error| item.note(format!("{}: {error}", item.quoted()), FILES_HELP)).ok()
}

/// Notes the networks that sources name and that are not there.
pub(super) fn check_networks(wishes: &[Wish<'_>], networks: &[NetworkSettings]) {
    for (name, item) in wishes {
        if item.page.is_broken() || networks.iter().any(|network| network.name == *name) {
            continue;
        }
        let known = networks.iter().map(|network| &*network.name);
        let help = nearest(name, known)
            .map_or_else(|| "the name of a [[network]]".to_owned(), |name| format!("did you mean \"{name}\"?"));
        let item = item.harmless();
        item.note_as(Code::UnknownNetwork, format!("there is no network {}", item.quoted()), &help);
    }
}

impl Config {
    /// This configuration with the nodes that were found, as if they stood in it, and the targets that are left out.
    ///
    /// The outcome depends on what was found and not on its order, so that a server that shuffles its list changes
    /// nothing. Nodes of a network stand together, those of the file first.
    #[must_use]
    pub fn with_found(&self, found: &[Found]) -> (Self, Vec<Rejection>) {
        let mut rejections = Vec::new();
        let mut accepted: BTreeMap<NetworkIndex, Vec<Candidate>> = BTreeMap::new();
        let mut taken = Taken::by(self);
        for (index, candidate, origin) in self.candidates(found, &mut rejections) {
            match taken.take(index, &candidate) {
                Ok(()) => accepted.entry(index).or_default().push(candidate),
                Err(reason) => rejections.push(Rejection { reason, ..origin }),
            }
        }
        (self.with_nodes(&accepted), rejections)
    }

    /// Every target that is a node as the configuration demands it, sorted by source, network, name and URL.
    fn candidates(
        &self,
        found: &[Found],
        rejections: &mut Vec<Rejection>,
    ) -> Vec<(NetworkIndex, Candidate, Rejection)> {
        let positions = (0..).map(NetworkIndex);
        let networks: BTreeMap<&str, NetworkIndex> =
            self.engine.networks.iter().map(|network| &*network.name).zip(positions).collect();
        let mut all = Vec::new();
        for source in found {
            let mut candidates = Vec::new();
            for (list, (target, position)) in
                source.lists.iter().flat_map(|list| list.targets.iter().zip(1..).map(move |target| (list, target)))
            {
                let (place, what) = (Arc::clone(&list.place), shown(target));
                let origin =
                    |reason| Rejection { source: source.source.clone(), place, target: what, reason, position };
                let read = candidate(target, source.network.as_ref());
                let placed = read.and_then(|candidate| {
                    let index = *networks.get(&*candidate.network).ok_or(Refusal::UnknownNetwork)?;
                    // At once: a list of many targets with all too many labels each must not be held.
                    self.check(index, &candidate)?;
                    Ok((index, candidate))
                });
                match placed {
                    Ok((index, candidate)) => candidates.push((index, candidate, origin(Refusal::TooManyNodes))),
                    Err(reason) => rejections.push(origin(reason)),
                }
            }
            let key = |(index, candidate, _): &(NetworkIndex, Candidate, Rejection)| {
                (*index, Arc::clone(&candidate.name), identity(&candidate.rpc))
            };
            candidates.sort_by_cached_key(key);
            all.append(&mut candidates);
        }
        all
    }

    /// What the configuration demands of every node.
    fn check(&self, index: NetworkIndex, candidate: &Candidate) -> Result<(), Refusal> {
        if !is_usable_name(&candidate.name) {
            return Err(Refusal::Name);
        }
        if !(1..=MAX_WEIGHT).contains(&candidate.weight) {
            return Err(Refusal::Weight);
        }
        if candidate.labels.iter().any(|(name, _)| fault_of_name(name).is_some()) {
            return Err(Refusal::LabelName);
        }
        if !candidate.labels.iter().all(|(_, value)| is_usable_value(value)) {
            return Err(Refusal::LabelValue);
        }
        let labels = merged(&self.engine.networks[index.index()].labels, &candidate.labels);
        if MAX_LABELS < labels.len() { Err(Refusal::Labels) } else { Ok(()) }
    }

    fn with_nodes(&self, accepted: &BTreeMap<NetworkIndex, Vec<Candidate>>) -> Self {
        let mut config = self.clone();
        (config.engine.nodes, config.chain.nodes) = (Vec::new(), Vec::new());
        for (range, index) in self.engine.nodes_by_network().into_iter().zip((0..).map(NetworkIndex)) {
            for place in range {
                let mut target = self.chain.nodes[place].clone();
                target.node = NodeIndex(position(config.engine.nodes.len()));
                config.chain.nodes.push(target);
                config.engine.nodes.push(self.engine.nodes[place].clone());
            }
            for candidate in accepted.get(&index).into_iter().flatten() {
                config.push(index, candidate);
            }
        }
        config
    }

    fn push(&mut self, index: NetworkIndex, candidate: &Candidate) {
        let network = &self.engine.networks[index.index()];
        let Some((keys, language)) = self.discovery.inherited.get(index.index()) else { return };
        let Candidate { name, rpc, ws, role, .. } = candidate;
        let whereabouts = (language.clone(), rpc.clone(), ws.clone());
        let node = NodeSettings {
            name: Arc::clone(name),
            network: index,
            role: *role,
            core: candidate.core.unwrap_or(role.is_core()),
            weight: candidate.weight,
            labels: merged(&network.labels, &candidate.labels),
            metrics: candidate.metrics.clone(),
            interval: keys.interval,
            timeout: keys.timeout,
            limits: keys.limits,
        };
        self.chain.nodes.push(target(self.engine.nodes.len(), network, name, keys, whereabouts));
        self.engine.nodes.push(node);
    }
}

/// Labels over the inherited ones, sorted by name.
fn merged(inherited: &Labels, own: &Labels) -> Labels {
    let mut labels: BTreeMap<_, _> = inherited.iter().cloned().collect();
    labels.extend(own.iter().cloned());
    labels.into_iter().collect()
}

/// The names and URLs that are in use, whatever their spelling: the same node twice would have two votes.
struct Taken {
    configured: HashSet<(NetworkIndex, Arc<str>)>,
    names: HashSet<(NetworkIndex, Arc<str>)>,
    urls: HashSet<(NetworkIndex, String)>,
}

impl Taken {
    fn by(config: &Config) -> Self {
        let nodes = config.engine.nodes.iter();
        let configured = nodes.map(|node| (node.network, Arc::clone(&node.name))).collect();
        let both = config.engine.nodes.iter().zip(&config.chain.nodes);
        let urls = both.map(|(node, target)| (node.network, spelling(&target.rpc))).collect();
        Self { configured, names: HashSet::new(), urls }
    }

    fn take(&mut self, index: NetworkIndex, candidate: &Candidate) -> Result<(), Refusal> {
        let (name, url) = ((index, Arc::clone(&candidate.name)), (index, spelling(&candidate.rpc)));
        if self.configured.contains(&name) {
            return Err(Refusal::Configured);
        }
        if self.names.contains(&name) {
            return Err(Refusal::NameTaken);
        }
        if self.urls.contains(&url) {
            return Err(Refusal::UrlTaken);
        }
        if MAX_NODES <= self.configured.len() + self.names.len() {
            return Err(Refusal::TooManyNodes);
        }
        self.names.insert(name);
        self.urls.insert(url);
        Ok(())
    }
}
