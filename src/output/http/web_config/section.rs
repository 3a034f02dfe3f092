//! One mapping of the file, read key by key; whatever nobody asked for is a fault.

use serde_saphyr::Spanned;

use super::{
    fault::{Faults, Spot},
    tree::{Node, Value, spot},
};

/// A mapping being read.
pub(super) struct Section<'a> {
    entries: &'a [(Spanned<String>, Node)],
    asked: Vec<&'static str>,
    spot: Spot,
}

impl<'a> Section<'a> {
    /// The mapping `node`; an empty one if there is nothing, and if it is something else, which is noted.
    pub(super) fn of(node: Option<&'a Node>, faults: &mut Faults) -> Self {
        let spot = node.map_or((1, 1), |node| spot(&node.referenced));
        let entries: &[_] = match node.map(|node| &node.value) {
            Some(Value::Map(entries)) => entries,
            None | Some(Value::Nothing) => &[],
            Some(_) => {
                faults.note(spot, "here belong keys with their values".to_owned());
                &[]
            }
        };
        Self { entries, asked: Vec::new(), spot }
    }

    /// Where it begins.
    pub(super) fn spot(&self) -> Spot {
        self.spot
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of it, where the keys are free.
    pub(super) fn entries(&self) -> &'a [(Spanned<String>, Node)] {
        self.entries
    }

    /// The value of `key`, if it is there.
    pub(super) fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        self.entries.iter().find(|(name, _)| name.value == key).map(|(_, node)| node)
    }

    /// The text under `key`; an empty one counts as not there.
    pub(super) fn text(&mut self, key: &'static str, faults: &mut Faults) -> Option<(String, Spot)> {
        let node = self.node(key)?;
        text(node, faults).filter(|(text, _)| !text.is_empty())
    }

    /// The texts of the list under `key`.
    pub(super) fn texts(&mut self, key: &'static str, faults: &mut Faults) -> Option<Vec<(String, Spot)>> {
        let node = self.node(key)?;
        match &node.value {
            Value::Nothing => None,
            Value::List(list) => Some(list.iter().filter_map(|node| text(node, faults)).collect()),
            _ => {
                faults.note(spot(&node.referenced), format!("`{key}` must be a list"));
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &'static str, faults: &mut Faults) -> Option<bool> {
        let node = self.node(key)?;
        match node.value {
            Value::Flag(flag) => Some(flag),
            Value::Nothing => None,
            _ => {
                faults.note(spot(&node.referenced), format!("`{key}` must be true or false"));
                None
            }
        }
    }

    /// Every key that nobody asked for is a fault.
    pub(super) fn finish(self, faults: &mut Faults) {
        for (name, _) in self.entries.iter().filter(|(name, _)| !self.asked.contains(&name.value.as_str())) {
            let message = format!("unknown key; known here: {}", self.asked.join(", "));
            faults.note(spot(&name.referenced), message);
        }
    }
}

/// The text of a scalar.
pub(super) fn text(node: &Node, faults: &mut Faults) -> Option<(String, Spot)> {
    let spot = spot(&node.referenced);
    let text = match &node.value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Nothing => String::new(),
        Value::List(_) | Value::Map(_) => {
            faults.note(spot, "here belongs a text".to_owned());
            return None;
        }
    };
    Some((text, spot))
}
