//! An eye on one EVM node that shares no code with haltwatch: it asks for the height every 50 ms and remembers when each
//! height was first seen. What haltwatch says is measured against it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::http;

/// Time between two looks: the resolution of every measurement.
pub const LOOK: Duration = Duration::from_millis(50);

/// When a height was first seen.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The height.
    pub height: u64,
    /// At most [`LOOK`] and one answer after the node had it.
    pub at: Instant,
}

/// Watches until dropped.
#[derive(Debug)]
pub struct Watcher {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches the node at `address`.
    pub fn start(address: SocketAddr) -> Self {
        let (arrivals, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (Arc::clone(&arrivals), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                look(address, &seen);
                thread::sleep(LOOK);
            }
        });
        Self { arrivals, stop, thread: Some(thread) }
    }

    /// Every height seen so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest block seen.
    pub fn last(&self) -> Result<Arrival> {
        self.arrivals().last().copied().context("the watcher has seen no block")
    }

    /// Whether `height` was the newest block at some instant between `from` and `to`.
    pub fn was_at(&self, height: u64, from: Instant, to: Instant) -> bool {
        let arrivals = self.arrivals();
        arrivals.iter().enumerate().any(|(i, arrival)| {
            let until = arrivals.get(i + 1).map(|next| next.at);
            arrival.height == height && arrival.at <= to && until.is_none_or(|until| from <= until)
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn look(address: SocketAddr, seen: &Mutex<Vec<Arrival>>) {
    let Ok(height) = height(address) else { return };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.last().is_none_or(|last| last.height != height) {
        seen.push(Arrival { height, at: Instant::now() });
    }
}

/// What the node at `address` says its height is.
pub fn height(address: SocketAddr) -> Result<u64> {
    quantity(&http::rpc(address, "eth_blockNumber", &json!([]))?)
}

/// A number as nodes write it: `"0x1f"` or `31`.
pub fn quantity(value: &Value) -> Result<u64> {
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    value.as_u64().or_else(|| value.as_str().and_then(hex)).with_context(|| format!("not a quantity: {value}"))
}
