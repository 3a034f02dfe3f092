//! One open connection as the server sees it: what it is doing, since when, and whether it must go.
//!
//! A client can hold a connection in three ways without paying for it: by asking slowly, by keeping an idle connection,
//! and by not reading an answer. Each has its limit here, and while the house is full the slowest gives way to newcomers.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{Notify, OwnedSemaphorePermit},
};

use crate::{clock::Clock, model::Timestamp};

/// Time for the TLS handshake, and again for the head of a request from its first byte on; for the first request from
/// the opening on.
pub const ASKING: Duration = Duration::from_secs(5);

/// Time between the start of a request and the moment the client has taken the last piece of the answer.
pub const RESPONSE: Duration = Duration::from_secs(120);

/// A full house dismisses no connection that was answered more recently than this: its next request may be on its way.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// The same for one that has said nothing yet: its request follows the opening as fast as its client can, which in a storm
/// of scrapes on a busy machine is not at once.
const SILENT_GRACE: Duration = Duration::from_secs(2);

/// The same for one that has begun to ask, although all it sent has been read: the rest follows the beginning at once.
const ASKING_GRACE: Duration = Duration::from_millis(25);

/// The same in a TLS handshake, which takes more than one way.
const HANDSHAKE_GRACE: Duration = Duration::from_millis(100);

/// The same for one whose client has taken nothing of its answer, although there is more.
const TAKING_GRACE: Duration = Duration::from_secs(2);

/// How often a connection looks whether its client still takes the answer.
const LOOK: Duration = Duration::from_secs(10);

/// Size of the pieces in which an answer is handed to the connection.
const PIECE: usize = 64 * 1024;

/// Numbers the changes of all connections in their order, which the clock is too coarse for.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    /// The head of a request is on its way, or the first one is awaited.
    Asking,
    Served,
    Idle,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    since: Timestamp,
    /// The number of the change to this phase.
    change: u64,
    /// Whether all it sent has been read and more is awaited.
    starved: bool,
    /// Whether any byte has come since the connection was opened.
    heard: bool,
    /// Since when the client has taken nothing of what there is to send.
    blocked: Option<Timestamp>,
}

/// The state of one connection, shared by its task, its answers and the accept loop.
#[derive(Debug)]
pub struct Seat {
    clock: Clock,
    idle_limit: Duration,
    state: Mutex<State>,
    changed: Notify,
    leave: Notify,
}

impl Seat {
    /// A connection that was opened now and may be idle for `idle_limit`.
    #[must_use]
    pub fn new(clock: Clock, idle_limit: Duration) -> Arc<Self> {
        let (phase, since) = (Phase::Asking, clock.now().at);
        let state = State { phase, since, change: 0, starved: false, heard: false, blocked: None };
        let seat = Self { clock, idle_limit, state: Mutex::new(state), changed: Notify::new(), leave: Notify::new() };
        seat.enter(Phase::Asking);
        Arc::new(seat)
    }

    /// A TLS handshake comes first.
    pub fn shakes_hands(&self) {
        self.enter(Phase::Handshake);
    }

    /// The TLS handshake is complete.
    pub fn has_shaken_hands(&self) {
        self.enter(Phase::Asking);
    }

    /// A request arrived; it lasts until the returned value is dropped.
    #[must_use]
    pub fn served(self: &Arc<Self>) -> Served {
        self.enter(Phase::Served);
        Served { seat: Arc::clone(self), permit: None }
    }

    /// How readily this connection can be given up for another, the smaller the better; `None` while a request may be on
    /// its way or is being served to a client that takes the answer.
    #[must_use]
    pub fn expendable(&self) -> Option<(u8, u64)> {
        let state = self.state();
        let (rank, grace, since) = match state.phase {
            Phase::Handshake | Phase::Asking if !state.heard => (0, SILENT_GRACE, state.since),
            Phase::Handshake if state.starved => (0, HANDSHAKE_GRACE, state.since),
            Phase::Asking if state.starved => (0, ASKING_GRACE, state.since),
            Phase::Idle => (1, IDLE_GRACE, state.since),
            Phase::Served => (2, TAKING_GRACE, state.blocked?),
            Phase::Handshake | Phase::Asking => return None,
        };
        (grace <= self.clock.now().at.since(since)).then_some((rank, state.change))
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
        loop {
            let state = self.state();
            let (limit, look) = match state.phase {
                Phase::Handshake | Phase::Asking => (ASKING.min(self.idle_limit), ASKING),
                Phase::Served => (RESPONSE, LOOK),
                Phase::Idle => (self.idle_limit, self.idle_limit),
            };
            let left = limit.saturating_sub(self.clock.now().at.since(state.since));
            if left.is_zero() {
                return;
            }
            let _ = tokio::time::timeout(left.min(look), self.changed.notified()).await;
        }
    }

    /// Bytes have come: between two requests they begin the next.
    fn hears(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.starved = false;
        state.heard = true;
        let is_idle = state.phase == Phase::Idle;
        drop(state);
        if is_idle {
            self.enter(Phase::Asking);
        }
    }

    /// No more bytes are there.
    fn starves(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).starved = true;
    }

    /// Something was to be sent, and `taken` or not.
    fn sends(&self, taken: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.blocked = if taken { None } else { state.blocked.or_else(|| Some(self.clock.now().at)) };
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        let (since, change) = (self.clock.now().at, CHANGES.fetch_add(1, Relaxed));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { phase, since, change, ..*state };
        drop(state);
        self.changed.notify_one();
    }
}

/// A request being served, with its leave to be one of so many at a time.
#[derive(Debug)]
pub struct Served {
    seat: Arc<Seat>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Served {
    /// Holds `permit` as long as the request is being served.
    pub fn hold(&mut self, permit: OwnedSemaphorePermit) {
        self.permit = Some(permit);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.seat.enter(Phase::Idle);
    }
}

/// The stream of a connection, which tells its seat whether bytes come and go.
#[derive(Debug)]
pub struct Ears<S> {
    stream: S,
    seat: Arc<Seat>,
}

impl<S> Ears<S> {
    /// The stream of the connection that has this seat.
    pub fn new(stream: S, seat: Arc<Seat>) -> Self {
        Self { stream, seat }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ears<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, into);
        if polled.is_pending() {
            self.seat.starves();
        } else if before < into.filled().len() {
            self.seat.hears();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ears<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.seat.sends(polled.is_ready());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.seat.sends(polled.is_ready());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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
