//! New settings under a running engine: what kept its name keeps its memory.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Engine,
    settings::Settings,
    snapshot::{AlertKey, Effect, Outcome, Subject},
    surroundings::{Outlook, Surroundings},
};
use crate::model::{AlertName, NetworkIndex, NodeIndex, Now, Timestamp};

impl Engine {
    /// The same engine under new settings: whatever kept its name (a node: within its network) keeps its memory and
    /// its alerts, what is gone is forgotten and its announced alerts resolve.
    ///
    /// **The effects of the outcome refer to the old settings**: their indices point into the settings the engine had
    /// before. Announce them before the settings are swapped. The next `step` returns effects under the new settings;
    /// `wake_at` is now, so that it is taken at once.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the engine keeps these settings")]
    pub fn reconfigured(mut self, settings: Arc<Settings>, now: Now) -> (Self, Outcome) {
        let now = self.not_before_last_step(now);
        self.skip_pause(now.at);
        let mut effects = self.farewells(&settings, now);
        self.screen(now, &mut effects);
        let mut new = Self::new(Arc::clone(&settings), now);
        new.clocks = self.clocks;
        self.take_back_words(&settings);
        let old = Arc::clone(&self.settings);
        let same_vantages = old.vantages == settings.vantages;
        let networks: BTreeMap<_, _> = old.networks.iter().map(|n| &n.name).zip(0..).collect();
        let nodes: BTreeMap<_, _> = (0..old.nodes.len()).map(|i| (node_name(&old, i), i)).collect();
        for (i, network) in new.networks.iter_mut().enumerate() {
            if let Some(from) = networks.get(&settings.networks[i].name) {
                let members = std::mem::take(&mut network.members);
                *network = std::mem::take(&mut self.networks[*from]);
                let lost = members.is_empty() && !network.members.is_empty();
                network.deserted = if lost { Some(now.at) } else { network.deserted.filter(|_| members.is_empty()) };
                network.expected = network.expected.min(members.len());
                network.members = members;
                network.duplicates.clear();
                network.due = None;
            }
        }
        for i in 0..settings.nodes.len() {
            if let Some(from) = nodes.get(&node_name(&settings, i)) {
                new.nodes[i] = std::mem::take(&mut self.nodes[*from]);
                // Who watches from elsewhere has seen nothing yet.
                if !same_vantages {
                    new.nodes[i].eyes.clear();
                }
                new.nodes[i].seen_from(new.vantages.len());
            }
        }
        new.lives = self.lives;
        new.failing = self.failing;
        new.silencer = self.silencer;
        new.replace_places(&old, now);
        new.forget_rules();
        new.inherit_vantages(std::mem::take(&mut self.vantages), &old);
        new.recount_silent();
        new.agenda = (0..).map(|i| (now.at, NetworkIndex(i))).take(settings.networks.len()).collect();
        for network in &mut new.networks {
            network.due = Some(now.at);
        }
        (new, Outcome { effects, wake_at: Some(now.at) })
    }

    /// The ends of all alerts whose subject is not in the new settings.
    fn farewells(&self, new: &Settings, now: Now) -> Vec<Effect> {
        let networks: std::collections::BTreeSet<_> = new.networks.iter().map(|network| &network.name).collect();
        let nodes: std::collections::BTreeSet<_> = (0..new.nodes.len()).map(|i| node_name(new, i)).collect();
        let gone = |key: &AlertKey| match key.subject {
            _ if lacks_rule(new, key.name) => true,
            Subject::Monitor => false,
            Subject::Vantage(vantage) => !new.vantages.contains(&self.settings.vantages[vantage.index()]),
            Subject::Network(network) => !networks.contains(&self.settings.networks[network.index()].name),
            Subject::Node(node) => !nodes.contains(&node_name(&self.settings, node.index())),
        };
        self.living().filter(|(key, _)| gone(key)).map(|(key, life)| life.farewell(key, now)).collect()
    }

    /// The words of nodes that are gone count no more.
    fn take_back_words(&mut self, new: &Settings) {
        let kept: std::collections::BTreeSet<_> = (0..new.nodes.len()).map(|i| node_name(new, i)).collect();
        for (i, node) in self.nodes.iter_mut().enumerate() {
            if !kept.contains(&node_name(&self.settings, i)) {
                let ground = &mut self.networks[self.settings.nodes[i].network.index()].ground;
                node.told
                    .settle(false, |height, before, said| ground.count(height, before, said, Timestamp::default()));
            }
        }
    }

    /// Lives of rules that are gone have said farewell.
    fn forget_rules(&mut self) {
        let settings = Arc::clone(&self.settings);
        let kept = |name| !lacks_rule(&settings, AlertName::Custom(name));
        self.networks.iter_mut().for_each(|network| network.custom.retain(kept));
        self.nodes.iter_mut().for_each(|node| node.custom.retain(kept));
    }

    /// A picture may be taken before the next step: what mutes an alert must be found in these settings by then. What was
    /// announced is remembered by its place too.
    fn replace_places(&mut self, old: &Settings, now: Now) {
        let settings = Arc::clone(&self.settings);
        let networks: BTreeMap<_, _> = settings.networks.iter().map(|n| &n.name).zip((0..).map(NetworkIndex)).collect();
        let nodes: BTreeMap<_, _> =
            (0..settings.nodes.len()).map(|i| node_name(&settings, i)).zip((0..).map(NodeIndex)).collect();
        let place = |key: AlertKey| {
            let subject = match key.subject {
                Subject::Monitor | Subject::Vantage(_) => Some(key.subject),
                Subject::Network(n) => networks.get(&old.networks[n.index()].name).copied().map(Subject::Network),
                Subject::Node(n) => nodes.get(&node_name(old, n.index())).copied().map(Subject::Node),
            };
            subject.map(|subject| AlertKey { subject, ..key })
        };
        self.networks.iter_mut().for_each(|network| network.lives.replace_muters(now.at, &place));
        self.nodes.iter_mut().for_each(|node| node.lives.replace_muters(now.at, &place));
        self.silencer = std::mem::take(&mut self.silencer).moved(&settings.silences, &place);
    }

    /// Vantages that kept their name keep what they knew.
    fn inherit_vantages(&mut self, old: Vec<Surroundings>, before: &Settings) {
        let settings = Arc::clone(&self.settings);
        for (from, known) in old.into_iter().enumerate() {
            let place = match before.vantages.get(from) {
                Some(name) => settings.vantages.iter().position(|vantage| vantage == name),
                None => settings.vantages.is_empty().then_some(0),
            };
            if let Some(vantage) = place.and_then(|place| self.vantages.get_mut(place)) {
                vantage.inherit(known, &before.canaries, &settings.canaries);
            }
        }
        for node in &mut self.nodes {
            node.eyes.iter_mut().zip(&self.vantages).for_each(|(eye, v)| eye.blind = v.outlook != Outlook::Open);
        }
    }

    fn recount_silent(&mut self) {
        for (node, settings) in self.nodes.iter().zip(&self.settings.nodes) {
            for (eye, vantage) in node.eyes.iter().zip(&mut self.vantages) {
                vantage.count(settings.network, false, eye.is_silent());
            }
        }
    }
}

/// Whether an alert is called after a rule that is not in these settings.
fn lacks_rule(settings: &Settings, name: AlertName) -> bool {
    matches!(name, AlertName::Custom(_)) && settings.rule(name).is_none()
}

fn node_name(settings: &Settings, i: usize) -> (&Arc<str>, &Arc<str>) {
    let node = &settings.nodes[i];
    (&settings.networks[node.network.index()].name, &node.name)
}
