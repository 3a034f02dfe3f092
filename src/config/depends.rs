//! Turns the names in `depends_on` into positions. Unknown names and circles are problems.

use std::{collections::HashMap, sync::Arc};

use super::{code::Code, section::Item, suggest::nearest};
use crate::model::NetworkIndex;

/// On which networks one depends.
pub(super) struct Wish<'a> {
    /// Its own name; empty if it has none that is usable.
    pub name: Arc<str>,
    /// Where that stands.
    pub item: Option<Item<'a>>,
    /// The names of the others and where they stand.
    pub on: Vec<(Arc<str>, Item<'a>)>,
}

/// A dependency that exists: position and place in the file.
type Edge<'w, 'a> = (usize, &'w Item<'a>);

/// The positions of the networks that each one depends on.
pub(super) fn resolve(wishes: &[Wish<'_>]) -> Vec<Vec<NetworkIndex>> {
    let positions: HashMap<&str, usize> =
        wishes.iter().enumerate().rev().map(|(position, wish)| (&*wish.name, position)).collect();
    let edges: Vec<Vec<Edge<'_, '_>>> = wishes.iter().map(|wish| edges_of(wish, wishes, &positions)).collect();
    note_circles(wishes, &edges);
    let index = |position: usize| NetworkIndex(u32::try_from(position).unwrap_or(u32::MAX));
    edges.iter().map(|edges| edges.iter().map(|(position, _)| index(*position)).collect()).collect()
}

fn edges_of<'w, 'a>(wish: &'w Wish<'a>, wishes: &[Wish<'_>], positions: &HashMap<&str, usize>) -> Vec<Edge<'w, 'a>> {
    let mut edges: Vec<Edge<'w, 'a>> = Vec::new();
    for (name, item) in &wish.on {
        match positions.get(&**name) {
            Some(position) if edges.iter().any(|(taken, _)| taken == position) => {
                item.harmless().note_as(Code::Duplicate, "this network is named twice", "remove one of them");
            }
            Some(position) => edges.push((*position, item)),
            None => note_unknown(name, &item.harmless(), wishes),
        }
    }
    edges
}

fn note_unknown(name: &str, item: &Item<'_>, wishes: &[Wish<'_>]) {
    if item.page.is_broken() || item.page.is_full() {
        return;
    }
    let known = wishes.iter().filter(|wish| wish.shown().is_some()).map(|wish| &*wish.name);
    let help = nearest(name, known)
        .map_or_else(|| "the name of another [[network]]".to_owned(), |name| format!("did you mean \"{name}\"?"));
    let message = format!("there is no network {}", item.shown().unwrap_or("of this name"));
    item.note_as(Code::UnknownNetwork, message, &help);
}

/// Notes one circle for every group of networks that wait for each other: whoever depends on nothing open is taken
/// away until nobody is left, or only those who run in circles or lead into one.
fn note_circles(wishes: &[Wish<'_>], edges: &[Vec<Edge<'_, '_>>]) {
    let mut waiting: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); edges.len()];
    for (from, edges) in edges.iter().enumerate() {
        for (to, _) in edges {
            dependents[*to].push(from);
        }
    }
    let mut free: Vec<usize> = (0..edges.len()).filter(|position| waiting[*position] == 0).collect();
    while let Some(position) = free.pop() {
        for dependent in &dependents[position] {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                free.push(*dependent);
            }
        }
    }
    let mut walked = vec![false; edges.len()];
    for start in 0..edges.len() {
        if 0 < waiting[start] && !walked[start] {
            note_circle_from(start, wishes, edges, &waiting, &mut walked);
        }
    }
}

/// Walks from one open network to the next until one comes again.
fn note_circle_from(
    start: usize,
    wishes: &[Wish<'_>],
    edges: &[Vec<Edge<'_, '_>>],
    waiting: &[usize],
    walked: &mut [bool],
) {
    let mut path: Vec<Edge<'_, '_>> = Vec::new();
    let mut at = start;
    while !walked[at] {
        walked[at] = true;
        let Some((next, item)) = edges[at].iter().find(|(to, _)| 0 < waiting[*to]) else { return };
        path.push((at, item));
        at = *next;
    }
    let Some(first) = path.iter().position(|(position, _)| *position == at) else { return };
    let name = |position: usize| wishes[position].shown().unwrap_or("a network");
    let circle: Vec<&str> = path[first..].iter().map(|(position, _)| name(*position)).chain([name(at)]).collect();
    let help = "a network cannot explain its own halt";
    let message = format!("depends_on runs in a circle: {}", circle.join(" -> "));
    path[first].1.harmless().note_as(Code::Circle, message, help);
}

impl Wish<'_> {
    /// The name as written, if it may be shown.
    fn shown(&self) -> Option<&str> {
        self.item.as_ref()?.harmless().shown()
    }
}
