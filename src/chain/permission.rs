//! What an operator has to allow so that haltwatch can watch a node: every method and every path that is ever asked for,
//! from the tables of the adapters themselves.

use std::time::Duration;

use super::{Family, Particulars, adapter::permission, family::Stream};
use crate::model::Height;

/// A height that stands for every height in what is asked.
const ANY: Height = Height(u64::MAX);

/// What a node is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The newest block: without it the node counts as failed.
    Head,
    /// A fact; what the node refuses is unknown.
    Fact,
    /// Older blocks, by which reorganisations are measured.
    OlderBlocks,
    /// New blocks as they come.
    NewBlocks,
}

impl Purpose {
    /// The word for people and tools.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Fact => "fact",
            Self::OlderBlocks => "older blocks",
            Self::NewBlocks => "new blocks",
        }
    }
}

/// One method, or one verb and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// `eth_chainId`, or `GET /status`.
    pub what: String,
    /// What it is for.
    pub purpose: Purpose,
    /// How often it is asked at the most; zero for every poll.
    pub every: Duration,
    /// Whether a good node may not know it.
    pub optional: bool,
}

/// Everything that is asked of a node, each once, what matters most first.
#[must_use]
pub fn permissions(family: Family, particulars: &Particulars) -> Vec<Permission> {
    let adapter = family.adapter(particulars);
    let mut all: Vec<Permission> = Vec::new();
    let mut add = |new: Permission| match all.iter_mut().find(|known| known.what == new.what) {
        Some(known) => {
            known.every = known.every.min(new.every);
            known.optional &= new.optional;
        }
        None => all.push(new),
    };
    for (position, call) in adapter.calls().iter().enumerate() {
        let purpose = if position == super::adapter::HEAD { Purpose::Head } else { Purpose::Fact };
        let what = permission(&*adapter, &call.question);
        add(Permission { what, purpose, every: call.every, optional: call.optional });
    }
    let extra = |what: String, purpose| Permission { what, purpose, every: Duration::ZERO, optional: true };
    if let Some(question) = adapter.block_call(ANY) {
        add(extra(permission(&*adapter, &question).replace(&ANY.0.to_string(), "*"), Purpose::OlderBlocks));
    }
    for what in pushed(family.stream()) {
        add(extra(what.to_owned(), Purpose::NewBlocks));
    }
    all
}

/// What a node is asked for so that it pushes new blocks.
fn pushed(stream: Stream) -> Vec<&'static str> {
    match stream {
        Stream::Rpc { subscribe, unsubscribe, .. } => vec![subscribe, unsubscribe],
        Stream::CometBft => vec!["subscribe"],
        Stream::Sse => vec!["GET /eth/v1/events"],
        Stream::None => Vec::new(),
    }
}
