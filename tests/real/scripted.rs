//! Nodes with bad manners: HTTP servers in front of a real node that refuse batches, limit us or never answer. What they
//! do let through comes from the real node, so their chain is real.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::json;

use crate::harness::{http, port};

/// How long a hanging node keeps a connection open without a word.
const HANG: Duration = Duration::from_secs(600);

/// What a scripted node does.
#[derive(Debug, Clone, Copy)]
pub enum Manners {
    /// Answers single calls, and a batch with one error, as many public providers do.
    RefusesBatches,
    /// Answers 429 with this `Retry-After` in seconds.
    Limits(u32),
    /// Accepts connections and requests, and never answers.
    Hangs,
    /// Passes on a GET, but asks for the plain text format whatever the client would accept.
    TextOnly,
}

/// What it has been asked.
#[derive(Debug, Default)]
struct Counts {
    stop: AtomicBool,
    batches: AtomicU64,
    singles: AtomicU64,
}

/// A running scripted node.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    counts: Arc<Counts>,
}

impl Scripted {
    /// Starts one in front of `upstream`.
    pub fn start(upstream: SocketAddr, manners: Manners) -> Result<Self> {
        let listener = TcpListener::bind(port::free())?;
        let scripted = Self { address: listener.local_addr()?, counts: Arc::default() };
        let counts = Arc::clone(&scripted.counts);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                if counts.stop.load(Ordering::SeqCst) {
                    return;
                }
                let counts = Arc::clone(&counts);
                // A client that goes away in the middle is its own business.
                thread::spawn(move || serve(stream, upstream, manners, &counts).ok());
            }
        });
        Ok(scripted)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Batches it has been sent.
    pub fn batches(&self) -> u64 {
        self.counts.batches.load(Ordering::SeqCst)
    }

    /// Single calls it has been sent.
    pub fn singles(&self) -> u64 {
        self.counts.singles.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, upstream: SocketAddr, manners: Manners, counts: &Counts) -> Result<()> {
    let mut last = false;
    while !last && let Some(Asked { path, body, closes }) = request(&mut stream)? {
        last = closes;
        let is_batch = body.trim_ascii_start().starts_with(b"[");
        let count = if is_batch { &counts.batches } else { &counts.singles };
        count.fetch_add(1, Ordering::SeqCst);
        match manners {
            Manners::Limits(seconds) => {
                reply(&mut stream, "429 Too Many Requests", &format!("retry-after: {seconds}\r\n"), b"slow down")?;
            }
            Manners::Hangs => thread::sleep(HANG),
            Manners::RefusesBatches if is_batch => {
                let error = json!({"code": -32600, "message": "batch requests are not supported"});
                let answer = json!({"jsonrpc": "2.0", "id": null, "error": error});
                reply(&mut stream, "200 OK", "content-type: application/json\r\n", answer.to_string().as_bytes())?;
            }
            Manners::RefusesBatches => {
                let headers = [("content-type", "application/json")];
                let answer = http::exchange(upstream, "POST", "/", &headers, &body)?;
                reply(&mut stream, "200 OK", "content-type: application/json\r\n", &answer.body)?;
            }
            Manners::TextOnly => {
                let answer = http::get(upstream, &path, &[("accept", "text/plain;version=0.0.4")])?;
                let kind = answer.header("content-type").unwrap_or_default();
                reply(&mut stream, "200 OK", &format!("content-type: {kind}\r\n"), &answer.body)?;
            }
        }
    }
    Ok(())
}

/// One request.
struct Asked {
    path: String,
    body: Vec<u8>,
    /// Whether the client wants the connection closed after the answer.
    closes: bool,
}

/// The next request; `None` when the client has closed the connection.
fn request(stream: &mut TcpStream) -> Result<Option<Asked>> {
    let mut raw = Vec::new();
    let mut piece = [0; 8192];
    loop {
        if let Some(request) = complete(&raw)? {
            return Ok(Some(request));
        }
        match stream.read(&mut piece)? {
            0 => return Ok(None),
            length => raw.extend_from_slice(&piece[..length]),
        }
    }
}

fn complete(raw: &[u8]) -> Result<Option<Asked>> {
    let Some(end) = http::find(raw, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&raw[..end])?.to_owned();
    let header = |wanted: &str| {
        let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let length = header("content-length").map_or(Ok(0), |value| value.parse::<usize>())?;
    let path = head.split(' ').nth(1).context("no path")?.to_owned();
    let closes = header("connection").is_some_and(|value| value == "close");
    let body = raw.get(end + 4..end + 4 + length);
    Ok(body.map(|body| Asked { path, body: body.to_vec(), closes }))
}

fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> Result<()> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    Ok(stream.write_all(&[head.as_bytes(), body].concat())?)
}
