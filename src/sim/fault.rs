//! Everything that can befall a simulated chain or node. A fault lasts until another one of its kind undoes it.

use std::time::Duration;

/// A misfortune, or its end. Nodes are positions in [`Plan::members`](super::Plan::members).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The process ends: connections are refused, its vote is gone.
    Stop(usize),
    /// The process freezes as under SIGSTOP: connections are accepted and never answered, its vote is gone, its peers
    /// do not notice.
    Freeze(usize),
    /// The process runs again, after `Stop` or `Freeze`, and catches up from where it was.
    Start(usize),
    /// These nodes lose sight of all others of their network, and see only each other.
    Partition(Vec<usize>),
    /// All partitions end; the longest branch wins.
    Heal,
    /// The node stays this many blocks behind; 0 ends it.
    Lag(usize, u64),
    /// The node's way of answering changes.
    Manner(usize, Manner),
    /// The node's clock is off by so many milliseconds; 0 ends it.
    ClockSkew(usize, i64),
    /// The last blocks of the chain are replaced by others.
    Reorg(u64),
    /// So many transactions arrive.
    Submit(u64),
}

/// How a running node treats those who ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// It answers.
    #[default]
    Plain,
    /// Its RPC never answers, while its consensus goes on.
    Hanging,
    /// It answers after this time.
    Slow(Duration),
    /// HTTP 429 with `Retry-After`.
    RateLimited,
    /// HTTP 401.
    Unauthorized,
    /// HTTP 502 with a page of HTML, as a gateway whose backend is gone.
    BadGateway,
    /// Single calls only: a batch gets one error object.
    RefusesBatch,
    /// It speaks for the chain with this id.
    WrongChain(u64),
}
