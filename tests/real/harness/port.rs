//! Free ports on loopback, below the range from which the kernel takes ports for outgoing connections: one that is free
//! now stays free until its owner binds it.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// The ports tried.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 on which nobody listens, never given out before in this run.
pub fn free() -> SocketAddr {
    free_on(Ipv4Addr::LOCALHOST)
}

/// The same on another loopback address.
pub fn free_on(host: Ipv4Addr) -> SocketAddr {
    loop {
        let address = SocketAddr::from((host, next()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Two runs side by side start in different places.
fn next() -> u16 {
    let span = LAST - FIRST;
    let start = u16::try_from(std::process::id() % u32::from(span)).unwrap_or(0);
    let step = NEXT.fetch_add(1, Ordering::Relaxed) % span;
    FIRST + (start + step) % span
}
