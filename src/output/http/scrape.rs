//! Serves scrapes. However many come at once, the exposition is written once for all who were waiting: each gets a body
//! whose writing began after its request had arrived, so nobody sees an old one.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tokio::sync::Mutex;

use super::Shared;
use crate::output::metrics::{Exposition, Format};

/// Everything scrapes share.
#[derive(Debug)]
pub struct Scrapes {
    shared: Shared,
    /// Requests that have arrived.
    arrived: Arc<AtomicU64>,
    desk: Arc<Mutex<Desk>>,
}

/// The writer and the bodies it wrote last.
#[derive(Debug, Default)]
struct Desk {
    exposition: Exposition,
    /// One per format, plain and compressed.
    bodies: [Written; 4],
}

#[derive(Debug, Default)]
struct Written {
    /// Requests with a smaller number had arrived when the writing began.
    covers: u64,
    body: Bytes,
}

impl Scrapes {
    /// Scrapes of what is in `shared`.
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        Self { shared, arrived: Arc::default(), desk: Arc::default() }
    }

    /// The exposition as it is now; `None` if writing it failed, which would be a fault of this program.
    pub async fn body(&self, format: Format, gzip: bool) -> Option<Bytes> {
        let number = self.arrived.fetch_add(1, SeqCst);
        let slot = usize::from(format == Format::OpenMetrics) * 2 + usize::from(gzip);
        let mut desk = Arc::clone(&self.desk).lock_owned().await;
        if number < desk.bodies[slot].covers {
            return Some(desk.bodies[slot].body.clone());
        }
        let (shared, arrived) = (self.shared.clone(), Arc::clone(&self.arrived));
        // Compressing many series takes long enough to keep others of this thread waiting.
        let written = tokio::task::spawn_blocking(move || {
            let covers = arrived.load(SeqCst);
            let body = desk.write(slot, &shared, format, gzip);
            desk.bodies[slot] = Written { covers, body: body.clone() };
            body
        });
        written.await.ok()
    }
}

impl Desk {
    fn write(&mut self, slot: usize, shared: &Shared, format: Format, gzip: bool) -> Bytes {
        let plain = slot & !1;
        let mut out = reused(&mut self.bodies[plain]);
        let snapshot = shared.snapshot.load_full();
        self.exposition.render((*snapshot).as_ref(), &shared.own.registry, format, &mut out);
        if !gzip {
            return Bytes::from(out);
        }
        let packed = compressed(&out, reused(&mut self.bodies[slot]));
        // Only its memory is kept, for the next time: it covers no request.
        self.bodies[plain] = Written { covers: 0, body: Bytes::from(out) };
        packed
    }
}

/// The memory of the last body, if nobody reads that any more. What was there no longer covers any request.
fn reused(last: &mut Written) -> Vec<u8> {
    let body = std::mem::take(last).body;
    let mut memory = if body.is_unique() { Vec::from(body) } else { Vec::with_capacity(body.len()) };
    memory.clear();
    memory
}

/// Level 1: the higher ones cost several times as much for little.
fn compressed(plain: &[u8], into: Vec<u8>) -> Bytes {
    let mut encoder = GzEncoder::new(into, Compression::fast());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.map(Bytes::from).expect("writing to memory cannot fail")
}
