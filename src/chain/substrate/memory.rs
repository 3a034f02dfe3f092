//! What is remembered of a Substrate node between its answers. What stands under a hash never changes, so it is asked for
//! once; who the node is, is asked for rarely.

use std::{sync::Arc, time::Duration};

use crate::{
    chain::memory::Remembered,
    model::{BlockHash, Height, Timestamp, UnixTime},
    observation::clean_text,
};

/// Longest name of a chain, of a client and of a runtime that is kept, in bytes.
const MAX_NAME: usize = 64;

/// Who a node says it is.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// The hash of its first block, told in every poll.
    pub(super) genesis: Option<BlockHash>,
    pub(super) chain: Remembered<Arc<str>>,
    pub(super) client: Remembered<String>,
    pub(super) version: Remembered<String>,
    pub(super) runtime: Remembered<String>,
    pub(super) peer: Remembered<Arc<str>>,
}

impl Identity {
    /// `Parity Polkadot 1.15.0-7c9fd83805c (polkadot-1002000)`, as far as it is known.
    pub(super) fn version(&self, now: Timestamp, pace: Duration) -> Option<Arc<str>> {
        let words = [&self.client, &self.version].into_iter().filter_map(|word| word.at(now, pace).cloned());
        let runtime = self.runtime.at(now, pace).map(|runtime| format!("({runtime})"));
        let all: Vec<String> = words.chain(runtime).collect();
        (!all.is_empty()).then(|| clean_text(&all.join(" "), 2 * MAX_NAME).into())
    }
}

/// A short text as it is kept.
pub(super) fn name(text: &str) -> String {
    clean_text(text, MAX_NAME)
}

/// The head whose hash is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Best {
    pub(super) height: Height,
    pub(super) hash: BlockHash,
    pub(super) time: Option<UnixTime>,
}

/// The round of GRANDPA a node saw when it was last asked.
#[derive(Debug)]
pub(super) struct Seen {
    /// Of which set of voters, and its number.
    pub(super) round: (u64, u64),
    pub(super) total: u64,
    pub(super) participation: Option<u16>,
    pub(super) absent: Vec<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_client_and_runtime_as_far_as_they_are_known() {
        let pace = Duration::from_secs(600);
        let mut identity = Identity::default();
        assert_eq!(identity.version(Timestamp(0), pace), None);
        identity.runtime.keep(Timestamp(0), Some("polkadot-1002000".to_owned()));
        identity.version.keep(Timestamp(0), Some(name("1.15.0\n-7c9")));
        assert_eq!(identity.version(Timestamp(0), pace).as_deref(), Some("1.15.0 -7c9 (polkadot-1002000)"));
    }
}
