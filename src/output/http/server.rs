//! Sockets and connections: who gets in, who has to go, and how all leave at the end.

use std::{collections::HashMap, convert::Infallible, io, net::SocketAddr, sync::Arc, task::Poll, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::{sleep, timeout},
};

use super::{
    Settings, Shared,
    route::Site,
    seat::{Pieces, Seat},
};
use crate::{clock::Clock, supervisor::Shutdown};

/// Connections the kernel may hold for us: a storm of scrapes must not run into SYN retransmits.
const BACKLOG: u32 = 4096;

/// Largest request head.
const HEAD_BYTES: usize = 16 * 1024;

/// Most headers of a request.
const HEADERS: usize = 64;

/// Time between two requests on one connection, the headers of the second included. Longer than any usual scrape
/// interval, or every scrape would have to connect anew.
const KEEP_ALIVE: Duration = Duration::from_secs(125);

/// Pause after the kernel refused us a socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// How often a full house is searched for an idle connection that can go.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Time that requests in progress get at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// The server: its listening sockets and what it allows. Cheap to clone; a clone is the same server.
#[derive(Debug, Clone)]
pub struct Server(Arc<watch::Sender<Bound>>);

/// What is in force, or about to be: sockets that listen, and the rules of the house.
#[derive(Debug, Clone)]
pub struct Bound {
    /// With the address that was asked for, which differs from the socket's own where the port was 0.
    listeners: Vec<(SocketAddr, Arc<TcpListener>)>,
    lifecycle: bool,
    max_connections: usize,
}

/// Binds every address of `settings`. Must be called inside a tokio runtime.
///
/// # Errors
/// The first address that cannot be bound, named in the text.
pub fn bind(settings: &Settings) -> io::Result<Server> {
    Ok(Server(Arc::new(watch::Sender::new(Bound::of(settings, Vec::new())?))))
}

impl Bound {
    /// Listens on the addresses of `settings`, on those that `known` holds with the same sockets.
    fn of(settings: &Settings, mut known: Vec<(SocketAddr, Arc<TcpListener>)>) -> io::Result<Self> {
        let listeners = settings.listen.iter().map(|address| {
            if let Some(same) = known.iter().position(|(listened, _)| listened == address) {
                return Ok(known.swap_remove(same));
            }
            let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
            listen(*address).map(|listener| (*address, Arc::new(listener))).map_err(named)
        });
        Ok(Self {
            listeners: listeners.collect::<io::Result<_>>()?,
            lifecycle: settings.lifecycle,
            max_connections: settings.max_connections.max(1),
        })
    }

    /// The addresses it listens on, with the ports the kernel chose where 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|(_, listener)| listener.local_addr().ok()).collect()
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Server {
    /// The addresses it listens on; see [`Bound::addresses`].
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.borrow().addresses()
    }

    /// Binds the addresses of `settings` that are new and keeps the sockets of the others. Nothing is in force before
    /// [`Server::adopt`].
    ///
    /// # Errors
    /// The first address that cannot be bound, named in the text.
    pub fn rebind(&self, settings: &Settings) -> io::Result<Bound> {
        let known = self.0.borrow().listeners.clone();
        Bound::of(settings, known)
    }

    /// Puts `bound` in force: sockets that are not in it are closed, open connections go on.
    pub fn adopt(&self, bound: Bound) {
        self.0.send_replace(bound);
    }

    /// Serves until the shutdown begins, then lets requests in progress end within five seconds.
    pub async fn run(self, shared: Shared, shutdown: Shutdown) {
        let own = shared.own.clone();
        let site = Arc::new(Site::new(shared, self.0.borrow().lifecycle));
        let mut house = House { guests: JoinSet::new(), seats: HashMap::new(), panics: own.task_panics };
        let mut stopping = shutdown.clone();
        tokio::select! {
            () = stopping.begun() => {}
            () = self.receive(&mut house, &site, &shutdown) => {}
        }
        house.close().await;
    }

    async fn receive(&self, house: &mut House, site: &Arc<Site>, shutdown: &Shutdown) {
        let mut changes = self.0.subscribe();
        let mut bound = changes.borrow_and_update().clone();
        loop {
            tokio::select! {
                () = house.one_left() => {}
                Ok(()) = changes.changed() => {
                    bound = changes.borrow_and_update().clone();
                    site.allow_lifecycle(bound.lifecycle);
                }
                accepted = accept(&bound.listeners) => {
                    house.welcome(accepted, bound.max_connections, site, shutdown).await;
                }
            }
        }
    }
}

/// The next connection on any of the listeners.
async fn accept(listeners: &[(SocketAddr, Arc<TcpListener>)]) -> io::Result<TcpStream> {
    let (stream, _) = std::future::poll_fn(|cx| {
        let mut accepted = listeners.iter().map(|(_, listener)| listener.poll_accept(cx));
        accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await?;
    // An answer is written at once; waiting for more to send would only delay it.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Every open connection.
struct House {
    guests: JoinSet<()>,
    seats: HashMap<Id, Arc<Seat>>,
    panics: prometheus::IntCounter,
}

impl House {
    /// Seats a new connection; while `most` are there, the one that has been idle for longest has to go first.
    async fn welcome(&mut self, accepted: io::Result<TcpStream>, most: usize, site: &Arc<Site>, shutdown: &Shutdown) {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => return self.refused(&error).await,
        };
        while most <= self.guests.len() {
            self.dismiss_idle();
            // Whoever is served now may be idle a moment later, so the search is repeated.
            let _ = timeout(FULL_PAUSE, self.one_left()).await;
        }
        self.seat(stream, Arc::clone(site), shutdown.clone());
    }

    fn seat(&mut self, stream: TcpStream, site: Arc<Site>, shutdown: Shutdown) {
        let seat = Seat::new(Clock);
        let guest = self.guests.spawn(serve(stream, Arc::clone(&seat), site, shutdown));
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
            self.panics.inc();
            tracing::error!(task = "http", "serving a connection panicked; please report this");
        }
    }

    fn dismiss_idle(&self) {
        let idle = self.seats.values().filter_map(|seat| Some((seat.idle_since()?, seat)));
        if let Some((_, seat)) = idle.min_by_key(|(since, _)| *since) {
            seat.dismiss();
        }
    }

    /// The kernel refused a connection: a broken one is forgotten; out of descriptors, an idle one makes room.
    async fn refused(&self, error: &io::Error) {
        use io::ErrorKind as K;
        if matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::Interrupted) {
            return;
        }
        tracing::warn!(error = %error, "cannot accept HTTP connections: {error}");
        self.dismiss_idle();
        sleep(ACCEPT_PAUSE).await;
    }

    async fn close(mut self) {
        let all_left = async { while self.guests.join_next().await.is_some() {} };
        if timeout(DRAIN, all_left).await.is_err() {
            self.guests.shutdown().await;
        }
    }
}

/// Serves one connection to its end.
async fn serve(stream: TcpStream, seat: Arc<Seat>, site: Arc<Site>, mut shutdown: Shutdown) {
    let service = service_fn(|request: Request<Incoming>| {
        let (served, site) = (seat.served(), Arc::clone(&site));
        async move { Ok::<_, Infallible>(site.answer(request).await.map(|body| Pieces::new(body, served))) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
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
