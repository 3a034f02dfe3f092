//! One open connection as the server sees it: whether it is being served, since when, and whether it must go.
//!
//! A client can hold a connection in three ways without paying for it: by sending its first request slowly, by keeping
//! an idle connection, and by not reading an answer. Each has its limit here or gives way to newcomers.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::Notify;

use crate::{clock::Clock, model::Timestamp};

/// Time a new connection has for the headers of its first request.
pub const FIRST_REQUEST: Duration = Duration::from_secs(5);

/// Time between the start of a request and the moment the client has taken the last piece of the answer.
pub const RESPONSE: Duration = Duration::from_secs(120);

/// A connection that was opened or answered more recently than this is not dismissed: its request may be on its way.
const GRACE: Duration = Duration::from_secs(1);

/// How often a connection looks whether its client still takes the answer.
const LOOK: Duration = Duration::from_secs(10);

/// Size of the pieces in which an answer is handed to the connection.
const PIECE: usize = 64 * 1024;

/// Numbers the changes of all connections in their order, which the clock is too coarse for.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// The state of one connection, shared by its task, its answers and the accept loop.
#[derive(Debug)]
pub struct Seat {
    clock: Clock,
    busy: AtomicBool,
    /// When it was opened, or its last request began or ended.
    changed: AtomicI64,
    /// The number of that change.
    change: AtomicU64,
    asked: Notify,
    leave: Notify,
}

impl Seat {
    /// A connection that was opened now.
    #[must_use]
    pub fn new(clock: Clock) -> Arc<Self> {
        let seat = Self {
            clock,
            busy: AtomicBool::new(false),
            changed: AtomicI64::new(0),
            change: AtomicU64::new(0),
            asked: Notify::new(),
            leave: Notify::new(),
        };
        seat.change(false);
        Arc::new(seat)
    }

    /// A request arrived; it lasts until the returned value is dropped.
    #[must_use]
    pub fn served(self: &Arc<Self>) -> Served {
        self.change(true);
        self.asked.notify_one();
        Served(Arc::clone(self))
    }

    /// A number that is the smaller the longer nothing has been asked of it; `None` while a request is being served or
    /// may be on its way.
    #[must_use]
    pub fn idle_since(&self) -> Option<u64> {
        let idle = !self.busy.load(Relaxed) && GRACE <= self.unchanged_for();
        idle.then(|| self.change.load(Relaxed))
    }

    /// Asks the connection to close, because somebody else needs the place.
    pub fn dismiss(&self) {
        self.leave.notify_one();
    }

    /// Completes when the connection must be closed at once.
    pub async fn forfeited(&self) {
        tokio::select! {
            () = self.leave.notified() => {}
            () = self.overstayed() => {}
        }
    }

    async fn overstayed(&self) {
        if tokio::time::timeout(FIRST_REQUEST, self.asked.notified()).await.is_err() {
            return;
        }
        while self.served_for() < RESPONSE {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn served_for(&self) -> Duration {
        if self.busy.load(Relaxed) { self.unchanged_for() } else { Duration::ZERO }
    }

    fn unchanged_for(&self) -> Duration {
        self.clock.now().at.since(Timestamp(self.changed.load(Relaxed)))
    }

    fn change(&self, busy: bool) {
        self.changed.store(self.clock.now().at.0, Relaxed);
        self.change.store(CHANGES.fetch_add(1, Relaxed), Relaxed);
        self.busy.store(busy, Relaxed);
    }
}

/// A request being served.
#[derive(Debug)]
pub struct Served(Arc<Seat>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.change(false);
    }
}

/// The body of an answer, handed out in pieces so that the connection counts as busy until the client took them.
#[derive(Debug)]
pub struct Pieces {
    rest: Bytes,
    _served: Served,
}

impl Pieces {
    /// The body `bytes` of the request `served`.
    #[must_use]
    pub fn new(bytes: Bytes, served: Served) -> Self {
        Self { rest: bytes, _served: served }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
