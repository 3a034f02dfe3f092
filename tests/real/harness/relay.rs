//! A TCP relay between haltwatch and a node that can do what networks do to long connections: forget them without a
//! word, or close them without the farewell of the protocol inside.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;

use super::{http, port};

/// How quickly a change of manners is noticed.
const TICK: Duration = Duration::from_millis(20);

/// What the relay counts and is told.
#[derive(Debug, Default)]
struct State {
    stop: AtomicBool,
    /// Connections accepted so far; each is known by its number, the first is 1.
    connections: AtomicU64,
    /// Connections up to this number carry nothing any more.
    silenced: AtomicU64,
    /// Connections up to this number are closed.
    closed: AtomicU64,
    /// Pieces from the node that hold a notification of a subscription.
    notifications: AtomicU64,
}

/// A relay in front of one port.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

impl Relay {
    /// Relays a free port to `upstream`.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(port::free())?;
        listener.set_nonblocking(true)?;
        let relay = Self { address: listener.local_addr()?, state: Arc::default() };
        let state = Arc::clone(&relay.state);
        thread::spawn(move || accept(&listener, upstream, &state));
        Ok(relay)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Pieces with a notification that have passed so far.
    pub fn notifications(&self) -> u64 {
        self.state.notifications.load(Ordering::SeqCst)
    }

    /// From now on nothing passes on the open connections, which stay open; new ones work.
    pub fn silence(&self) {
        self.state.silenced.store(self.connections(), Ordering::SeqCst);
    }

    /// Closes the open connections, without a farewell; new ones work.
    pub fn close(&self) {
        self.state.closed.store(self.connections(), Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
    }
}

fn accept(listener: &TcpListener, upstream: SocketAddr, state: &Arc<State>) {
    while !state.stop.load(Ordering::SeqCst) {
        let Ok((near, _)) = listener.accept() else {
            thread::sleep(TICK);
            continue;
        };
        let number = state.connections.fetch_add(1, Ordering::SeqCst) + 1;
        // A node that is down closes the connection at once, as it would without a relay.
        if let Ok(far) = TcpStream::connect(upstream) {
            let _ = join(near, far, number, state);
        }
    }
}

fn join(near: TcpStream, far: TcpStream, number: u64, state: &Arc<State>) -> Result<()> {
    for stream in [&near, &far] {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(TICK))?;
    }
    for (from, to, counts) in [(near.try_clone()?, far.try_clone()?, false), (far, near, true)] {
        let state = Arc::clone(state);
        thread::spawn(move || pump(from, to, number, counts.then_some(&state.notifications), &state));
    }
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream, number: u64, notifications: Option<&AtomicU64>, state: &State) {
    let mut buffer = [0; 16_384];
    while !state.stop.load(Ordering::SeqCst) && state.closed.load(Ordering::SeqCst) < number {
        if number <= state.silenced.load(Ordering::SeqCst) {
            thread::sleep(TICK);
            continue;
        }
        let piece = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => &buffer[..length],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        if let Some(notifications) = notifications.filter(|_| http::find(piece, b"eth_subscription").is_some()) {
            notifications.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
