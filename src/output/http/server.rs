//! Connections: who gets in, who has to go, and how all leave at the end.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use arc_swap::ArcSwap;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Notify,
    task::{Id, JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Settings, Shared,
    door::{self, Door},
    guard::Guard,
    listen::Listeners,
    route::Site,
    seat::{Ears, Pieces, Seat},
    web_config::WebConfig,
};
use crate::{clock::Clock, output::own::OwnMetrics, supervisor::Shutdown};

/// Largest request head.
const HEAD_BYTES: usize = 16 * 1024;

/// Most headers of a request.
const HEADERS: usize = 64;

/// Pause after the kernel refused us a socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// How often a full house is searched for a connection that can go.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// Time that requests in progress get at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// The HTTP server. Cheap to clone; a clone is the same server.
#[derive(Debug, Clone)]
pub struct Server {
    plan: Arc<ArcSwap<Plan>>,
    /// One change of the plan at a time.
    planning: Arc<Mutex<()>>,
    replanned: Arc<Notify>,
}

/// What the server does until it is told otherwise.
#[derive(Debug)]
struct Plan {
    settings: Settings,
    listeners: Listeners,
    guard: Arc<Guard>,
}

/// Binds every address of `settings`, or takes the sockets over that the service manager opened for this process, and
/// reads the web configuration file. Must be called inside a tokio runtime.
///
/// # Errors
/// The first address that cannot be bound, named in the text; a socket that cannot be used; a wrong web configuration.
pub fn bind(settings: &Settings) -> io::Result<Server> {
    let door = Arc::new(Door::open(settings.config_file.as_deref())?);
    let listeners = match Listeners::activated(settings.systemd_socket)? {
        Some(handed_over) => handed_over,
        None => Listeners::default().rebound(&settings.listen)?,
    };
    let plan = Plan { settings: settings.clone(), listeners, guard: Arc::new(Guard::new(settings, door)) };
    Ok(Server { plan: Arc::new(ArcSwap::from_pointee(plan)), planning: Arc::default(), replanned: Arc::default() })
}

/// The door for new settings. The one that watches the same file stays: it knows whether that is being written just now.
fn door_after(plan: &Plan, settings: &Settings) -> io::Result<Arc<Door>> {
    if settings.config_file != plan.settings.config_file {
        return Ok(Arc::new(Door::open(settings.config_file.as_deref())?));
    }
    // A wrong file is told to whoever asks for the change.
    settings.config_file.as_deref().map(WebConfig::load).transpose()?;
    Ok(Arc::clone(&plan.guard.door))
}

impl Server {
    /// The addresses it listens on, with the ports the kernel chose where 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.plan.load().listeners.sockets().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Whether connections are encrypted, as things stand.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.plan.load().guard.door.config().is_some_and(|web| web.tls.is_some())
    }

    /// Follows new settings from now on: addresses that stay are listened on without a gap, sockets that the service
    /// manager handed over always stay, and connections that are open live on. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// As for [`bind`]; then nothing changes.
    pub fn rebind(&self, settings: &Settings) -> io::Result<()> {
        let _turn = self.planning.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = self.plan.load();
        let door = door_after(&plan, settings)?;
        let listeners = plan.listeners.rebound(&settings.listen)?;
        let guard = Arc::new(Guard::new(settings, door));
        self.plan.store(Arc::new(Plan { settings: settings.clone(), listeners, guard }));
        self.replanned.notify_one();
        Ok(())
    }

    /// Serves until the shutdown begins, then lets requests in progress end within five seconds.
    pub async fn run(self, shared: Shared, shutdown: Shutdown) {
        let lifecycle = self.plan.load().settings.lifecycle;
        let own = shared.own.clone();
        let hall = Arc::new(Hall { plan: Arc::clone(&self.plan), site: Site::new(shared, lifecycle), own });
        let mut house = House {
            guests: JoinSet::new(),
            seats: HashMap::new(),
            hall: Arc::clone(&hall),
            shutdown: shutdown.clone(),
            is_short: false,
        };
        let mut stopping = shutdown;
        tokio::select! {
            () = stopping.begun() => {}
            () = self.receive(&mut house) => {}
            () = watch(&hall) => {}
        }
        self.stop_listening();
        house.close().await;
    }

    async fn receive(&self, house: &mut House) {
        let mut turn = 0;
        loop {
            let plan = self.plan.load_full();
            house.hall.site.allow_lifecycle(plan.settings.lifecycle);
            house.hall.site.allow_silences(plan.settings.silences);
            tokio::select! {
                () = self.replanned.notified() => {}
                () = house.one_left() => {}
                accepted = accept(&plan.listeners, &mut turn) => house.welcome(accepted, &plan.settings).await,
            }
        }
    }

    fn stop_listening(&self) {
        let _turn = self.planning.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = self.plan.load();
        let (settings, guard) = (plan.settings.clone(), Arc::clone(&plan.guard));
        self.plan.store(Arc::new(Plan { settings, listeners: Listeners::default(), guard }));
    }
}

/// The next connection on any of the listeners; `turn` makes each of them the first in turn.
async fn accept(listeners: &Listeners, turn: &mut usize) -> io::Result<TcpStream> {
    let sockets: Vec<_> = listeners.sockets().collect();
    *turn = turn.wrapping_add(1);
    let first = *turn % sockets.len().max(1);
    let (stream, _) = std::future::poll_fn(|cx| {
        let order = sockets[first..].iter().chain(&sockets[..first]);
        let mut accepted = order.map(|socket| socket.poll_accept(cx));
        accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await?;
    // An answer is written at once; waiting for more to send would only delay it.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Looks after the web configuration. Reading files may block, so it is done elsewhere.
async fn watch(hall: &Arc<Hall>) {
    loop {
        sleep(door::LOOK).await;
        let hall = Arc::clone(hall);
        let _ = tokio::task::spawn_blocking(move || hall.guard().door.refresh(&hall.own)).await;
    }
}

/// What all connections share.
#[derive(Debug)]
struct Hall {
    plan: Arc<ArcSwap<Plan>>,
    site: Site,
    own: OwnMetrics,
}

impl Hall {
    /// The guard of the plan, but not the plan: that would keep sockets open which a new one listens on no more.
    fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.plan.load().guard)
    }

    async fn answer(&self, request: Request<Incoming>, seat: &Arc<Seat>) -> Response<Pieces> {
        let mut served = seat.served();
        let answer = self.guard().answer(&self.site, &self.own, request, &mut served).await;
        answer.map(|body| Pieces::new(body, served))
    }
}

/// Every open connection.
struct House {
    guests: JoinSet<()>,
    seats: HashMap<Id, Arc<Seat>>,
    hall: Arc<Hall>,
    shutdown: Shutdown,
    /// Whether the last connection could not be accepted.
    is_short: bool,
}

impl House {
    /// Seats a new connection; while the house is full, the slowest has to go first.
    async fn welcome(&mut self, accepted: io::Result<TcpStream>, settings: &Settings) {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => return self.refused(&error).await,
        };
        if std::mem::take(&mut self.is_short) {
            tracing::info!("HTTP connections are accepted again");
        }
        while settings.max_connections.max(1) <= self.guests.len() {
            self.dismiss_slowest();
            // Whoever is served now may be idle a moment later, so the search is repeated.
            let _ = timeout(FULL_PAUSE, self.one_left()).await;
        }
        self.seat(stream, settings.read_timeout);
    }

    fn seat(&mut self, stream: TcpStream, idle_limit: Duration) {
        let seat = Seat::new(Clock, idle_limit);
        let guest = serve(stream, Arc::clone(&seat), Arc::clone(&self.hall), self.shutdown.clone());
        let guest = self.guests.spawn(guest);
        self.seats.insert(guest.id(), seat);
    }

    /// Completes when a connection has ended; never while there is none.
    async fn one_left(&mut self) {
        match self.guests.join_next_with_id().await {
            Some(Ok((id, ()))) => drop(self.seats.remove(&id)),
            Some(Err(error)) => self.broken(&error),
            None => std::future::pending().await,
        }
    }

    fn broken(&mut self, error: &JoinError) {
        self.seats.remove(&error.id());
        if error.is_panic() {
            self.hall.own.task_panics.inc();
            tracing::error!(task = "http", "serving a connection panicked; please report this");
        }
    }

    fn dismiss_slowest(&self) {
        let expendable = self.seats.values().filter_map(|seat| Some((seat.expendable()?, seat)));
        if let Some((_, seat)) = expendable.min_by_key(|(order, _)| *order) {
            seat.dismiss();
        }
    }

    /// The kernel refused a connection: a broken one is forgotten; out of descriptors, a slow one makes room.
    async fn refused(&mut self, error: &io::Error) {
        use io::ErrorKind as K;
        self.hall.own.web.accept_errors.inc();
        if matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::Interrupted) {
            return;
        }
        // Told once, however often it is tried again.
        if !std::mem::replace(&mut self.is_short, true) {
            tracing::warn!(error = %error, "cannot accept HTTP connections: {error}");
        }
        self.dismiss_slowest();
        let _ = timeout(ACCEPT_PAUSE, async { self.one_left().await }).await;
    }

    async fn close(mut self) {
        let all_left = async { while self.guests.join_next().await.is_some() {} };
        if timeout(DRAIN, all_left).await.is_err() {
            self.guests.shutdown().await;
        }
    }
}

/// Serves one connection to its end.
async fn serve(stream: TcpStream, seat: Arc<Seat>, hall: Arc<Hall>, mut shutdown: Shutdown) {
    let stream = Ears::new(stream, Arc::clone(&seat));
    let tls = hall.guard().door.config().and_then(|web| web.tls.clone());
    let Some(tls) = tls else { return converse(stream, seat, hall, shutdown).await };
    seat.shakes_hands();
    let encrypted = tokio::select! {
        encrypted = TlsAcceptor::from(tls).accept(stream) => encrypted.ok(),
        () = seat.forfeited() => None,
        () = shutdown.begun() => return,
    };
    match encrypted {
        Some(stream) => {
            seat.has_shaken_hands();
            converse(stream, seat, hall, shutdown).await;
        }
        None => hall.own.web.tls_handshake_failures.inc(),
    }
}

/// Answers the requests on a stream to its end.
async fn converse<S>(stream: S, seat: Arc<Seat>, hall: Arc<Hall>, mut shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (seat, hall) = (Arc::clone(&seat), Arc::clone(&hall));
        async move { Ok::<_, Infallible>(hall.answer(request, &seat).await) }
    });
    // The limits on time are those of the seat.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A client that breaks off is its own affair.
        _ = connection.as_mut() => return,
        () = seat.forfeited() => return,
        () = shutdown.begun() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
