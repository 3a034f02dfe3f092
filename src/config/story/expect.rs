//! What is to come true in a story: `[[expect]]`.

use super::{MAX_NODES, MOMENTS, Plot, unknown};
use crate::{
    config::{
        kind::{self, duration, list, name, word},
        network::position,
        section::{Item, Section},
        shape::Shape,
    },
    engine::snapshot::{AlertKey, Subject},
    model::{AlertName, Level, NetworkIndex, NodeIndex, alert::Scope},
    ruletest::{Expectation, State, Wanted},
};

impl Plot {
    /// An expectation, and whether it is to hold to the end.
    pub(super) fn expectation(&self, mut section: Section<'_>) -> Option<(Expectation, bool)> {
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
        let name = self.alert_name(item)?;
        let subject = match (name.scope(), node) {
            (Scope::Monitor, _) => Subject::Monitor,
            (Scope::Network, None) => Subject::Network(self.network_of(section, network)?),
            (Scope::Network, Some(node)) => {
                return node.wrong("the alert is about a network".to_owned(), "leave out `node`");
            }
            (Scope::Node, Some(node)) => {
                let network = self.network_of(section, network)?;
                Subject::Node(self.node_named(node, network, &kind::name(node)?)?)
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
        let name = self.alert_named(&item, alert)?;
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

    fn alert_name(&self, item: &Item<'_>) -> Option<AlertName> {
        let item = item.harmless();
        let text = item.text("the name of an alert", "like \"NetworkHalted\"")?;
        self.alert_named(&item, &text)
    }

    /// An alert of haltwatch's own, or of a rule of the configuration that the story tests.
    fn alert_named(&self, item: &Item<'_>, text: &str) -> Option<AlertName> {
        let rules = self.settings.rules.iter().map(|rule| AlertName::Custom(rule.name));
        let known = || AlertName::ALL.iter().copied().chain(rules.clone());
        let found = known().find(|name| name.as_str() == text);
        found.or_else(|| unknown(item, "alert", known().map(AlertName::as_str)))
    }
}
