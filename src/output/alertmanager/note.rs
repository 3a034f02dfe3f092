//! What the delivery to a peer brings up: the shell makes log lines and numbers of it.

use super::announcement::Identity;
use crate::model::UnixTime;

/// What keeps us from delivering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The peer refuses our credentials.
    Unauthorized,
    /// The peer cannot be reached, or does not deal with us.
    Unanswered,
}

/// What is worth a log line or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// This many alerts were accepted.
    Accepted(usize),
    /// An exchange failed.
    Failed {
        /// What about.
        fault: Fault,
        /// In words.
        why: String,
        /// Whether the exchange before it succeeded or failed for another fault.
        is_new: bool,
    },
    /// A batch was refused and is being searched.
    Refused(String),
    /// The first success after failures.
    Recovered,
    /// The peer was restarted and has forgotten what it knew.
    Restarted,
    /// One alert is refused: a second chance comes later.
    Parked {
        /// Which.
        identity: Identity,
        /// What the peer says about it.
        why: String,
    },
    /// The peer's clock is off by more than is good, in milliseconds; positive if it is ahead.
    Skewed(i64),
    /// There was no room: this alert was given up.
    Evicted(Identity),
}

/// What waits for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Alerts whose newest state the peer has not accepted.
    pub waiting: usize,
    /// Since when the oldest of them waits.
    pub oldest: Option<UnixTime>,
}
