//! Where the server listens: at addresses it binds, or on sockets that the service manager hands over.

use std::{
    env, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    process,
    sync::Arc,
};

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use tokio::net::{TcpListener, TcpSocket};

/// Connections the kernel may hold for us: a storm of scrapes must not run into SYN retransmits.
const BACKLOG: u32 = 4096;

/// Most sockets that are taken over.
const MAX_SOCKETS: usize = 64;

/// Open sockets.
#[derive(Debug, Clone, Default)]
pub struct Listeners {
    /// Each with the address that was asked for.
    open: Vec<(SocketAddr, Arc<TcpListener>)>,
    /// Handed over by the service manager: then no addresses are bound.
    handed_over: bool,
}

impl Listeners {
    /// Takes the sockets over that the service manager opened for us; `wanted` = there must be some.
    pub fn activated(wanted: bool) -> io::Result<Option<Self>> {
        if !wanted && !is_for_us() {
            return Ok(None);
        }
        let mut sockets = ListenFd::from_env();
        if sockets.len() == 0 {
            let text = "--web.systemd-socket: the service manager has handed over no socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let open = (0..sockets.len().min(MAX_SOCKETS)).map(|index| take(&mut sockets, index));
        Ok(Some(Self { open: open.collect::<io::Result<_>>()?, handed_over: true }))
    }

    /// These addresses, with the sockets among `self` that are open already.
    pub fn rebound(&self, addresses: &[SocketAddr]) -> io::Result<Self> {
        if self.handed_over {
            return Ok(self.clone());
        }
        let ours: Vec<_> = self.sockets().filter_map(|socket| socket.local_addr().ok()).collect();
        let open = addresses.iter().map(|address| {
            if let Some(open) = self.open.iter().find(|(asked, _)| asked == address) {
                return Ok(open.clone());
            }
            let socket = listen(*address).map_err(|error| in_the_way(*address, &error, &ours))?;
            Ok((*address, Arc::new(socket)))
        });
        Ok(Self { open: open.collect::<io::Result<_>>()?, handed_over: false })
    }

    /// Every socket.
    pub fn sockets(&self) -> impl Iterator<Item = &TcpListener> {
        self.open.iter().map(|(_, socket)| &**socket)
    }
}

/// Why `address` cannot be listened on. Where one socket of ours takes the place of another, such as that of one address
/// the place of that of all addresses, the old one is in the way of the new one.
fn in_the_way(address: SocketAddr, error: &io::Error, ours: &[SocketAddr]) -> io::Error {
    let own = ours.iter().find(|own| error.kind() == io::ErrorKind::AddrInUse && own.port() == address.port());
    let own = own.map(|own| format!("; haltwatch itself listens on {own}, so this change takes a restart"));
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{}", own.unwrap_or_default()))
}

/// An address as programs written in Go take it: `:10019` is every address of the machine, and a name is looked up.
///
/// # Errors
/// What is wrong with it.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let no_address =
        || format!("{text:?} is not an address like 127.0.0.1:10019, [::]:10019, localhost:10019 or :10019");
    let (host, port) = text.rsplit_once(':').ok_or_else(no_address)?;
    let port: u16 = port.parse().map_err(|_| no_address())?;
    if host.is_empty() {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    if !host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_') {
        return Err(no_address());
    }
    let found: Vec<_> = (host, port).to_socket_addrs().map_err(|_| format!("{host} has no address"))?.collect();
    let best = found.iter().find(|address| address.is_ipv4()).or(found.first());
    best.copied().ok_or_else(|| format!("{host} has no address"))
}

/// Whether the service manager says that it opened sockets for this process.
fn is_for_us() -> bool {
    let says = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    says("LISTEN_PID") == Some(process::id()) && says("LISTEN_FDS").is_some_and(|sockets| 0 < sockets)
}

fn take(sockets: &mut ListenFd, index: usize) -> io::Result<(SocketAddr, Arc<TcpListener>)> {
    let wrong = |why: &str| {
        let text = format!("socket {} of those the service manager has handed over {why}", index + 1);
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    let socket = sockets.take_tcp_listener(index).map_err(|_| wrong("is not one of TCP"))?;
    let socket = socket.ok_or_else(|| wrong("is gone"))?;
    if !socket_acceptconn(&socket).unwrap_or(false) {
        return Err(wrong("does not listen; a unit with Accept=yes cannot be used"));
    }
    socket.set_nonblocking(true)?;
    Ok((socket.local_addr()?, Arc::new(TcpListener::from_std(socket)?)))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        // Every address of a machine without IPv6 is every address of IPv4.
        IpAddr::V6(ip) => match TcpSocket::new_v6() {
            Ok(socket) => socket,
            Err(_) if ip.is_unspecified() => return listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()))),
            Err(error) => return Err(error),
        },
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_go_programs_take_them() {
        for (text, wanted) in [
            ("127.0.0.1:10019", Some("127.0.0.1:10019")),
            ("[::1]:9", Some("[::1]:9")),
            (":10019", Some("[::]:10019")),
            ("localhost:1", Some("127.0.0.1:1")),
            ("10019", None),
            ("localhost", None),
            ("127.0.0.1:65536", None),
            ("::1:9", None),
            ("http://127.0.0.1:9", None),
            ("", None),
            (":", None),
        ] {
            assert_eq!(parse_address(text).ok().map(|address| address.to_string()).as_deref(), wanted, "{text}");
        }
    }
}
