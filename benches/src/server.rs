//! A fake EVM node: answers any path on one port with the head of a chain that makes a block every two seconds. One
//! thread, no work that can be kept from one request to the next, so that it is never the bottleneck.

mod answer;

use std::{
    collections::{BTreeMap, HashMap},
    io::BufRead,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::process;

/// Seconds from one block to the next.
pub const BLOCK_SECONDS: u64 = 2;

/// Connections waiting to be accepted.
const BACKLOG: u32 = 4096;

/// Largest request that is understood; a poll is below 1 kB.
const LARGEST_REQUEST: usize = 64 * 1024;

/// Different request bodies whose answers are kept until the next second.
const KEPT_ANSWERS: usize = 64;

/// Headers of a request that are looked at.
const HEADERS: usize = 32;

/// How the fake node is started.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Transaction hashes in each block.
    #[arg(long, default_value_t = 0)]
    pub transactions: usize,
}

/// How much the fake node has done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Count {
    /// Requests answered.
    pub served: u64,
    /// CPU time of the process in microseconds.
    pub cpu_micros: u128,
}

/// What all connections share.
struct Node {
    transactions: usize,
    served: AtomicU64,
    recording: AtomicBool,
    recorded: Mutex<BTreeMap<String, u64>>,
    kept: Mutex<Kept>,
}

/// Complete responses by request body, for one second of time.
#[derive(Default)]
struct Kept {
    second: u64,
    responses: HashMap<Bytes, Bytes>,
}

/// Serves until the standard input ends. Prints the port, then a line in answer to each line of input: `count` tells
/// how much has been done, `record` begins to note which calls are asked, `calls` tells which were asked most.
pub fn run(options: &Options) -> anyhow::Result<()> {
    process::raise_file_limit(0)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let node = Arc::new(Node {
        transactions: options.transactions,
        served: AtomicU64::new(0),
        recording: AtomicBool::new(false),
        recorded: Mutex::default(),
        kept: Mutex::default(),
    });
    let listener = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        socket.listen(BACKLOG)
    })?;
    println!("{}", listener.local_addr()?.port());
    let control = Arc::clone(&node);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            println!("{}", control.command(&line));
        }
        std::process::exit(0);
    });
    runtime.block_on(async {
        loop {
            let (stream, _) = listener.accept().await?;
            let node = Arc::clone(&node);
            // A client that goes away in the middle is no concern of ours.
            tokio::spawn(async move { drop(node.serve(stream).await) });
        }
    })
}

impl Node {
    fn command(&self, line: &str) -> String {
        match line {
            "count" => {
                let count = Count { served: self.served.load(Relaxed), cpu_micros: process::cpu().as_micros() };
                serde_json::to_string(&count).unwrap_or_default()
            }
            "record" => {
                self.recording.store(true, Relaxed);
                "recording".to_owned()
            }
            "calls" => {
                let recorded = lock(&self.recorded);
                recorded.iter().max_by_key(|(_, times)| **times).map(|(calls, _)| calls.clone()).unwrap_or_default()
            }
            _ => "unknown command".to_owned(),
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let mut input = BytesMut::new();
        loop {
            while let Some((body, length)) = request(&input)? {
                let response = self.response(&input[body..length])?;
                let _ = input.split_to(length);
                self.served.fetch_add(1, Relaxed);
                stream.write_all(&response).await?;
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
    }

    fn response(&self, body: &[u8]) -> anyhow::Result<Bytes> {
        if self.recording.load(Relaxed) {
            *lock(&self.recorded).entry(answer::calls_in(body)?).or_default() += 1;
        }
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let mut kept = lock(&self.kept);
        if kept.second != second || KEPT_ANSWERS <= kept.responses.len() {
            *kept = Kept { second, responses: HashMap::new() };
        }
        if let Some(response) = kept.responses.get(body) {
            return Ok(response.clone());
        }
        let answer = answer::to(body, second / BLOCK_SECONDS, self.transactions)?;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: {}\r\ncontent-length: {}\r\n\r\n",
            httpdate::fmt_http_date(now),
            answer.len()
        );
        let response = Bytes::from(head + &answer);
        kept.responses.insert(Bytes::copy_from_slice(body), response.clone());
        Ok(response)
    }
}

/// Where the body of the first request in `input` begins and ends; `None` until all of it is there.
fn request(input: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(input).context("not HTTP")? else {
        return Ok(None);
    };
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length: usize = match length {
        Some(header) => std::str::from_utf8(header.value)?.trim().parse()?,
        None => 0,
    };
    if LARGEST_REQUEST < length {
        bail!("a request of {length} bytes");
    }
    Ok((head + length <= input.len()).then_some((head, head + length)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_only_when_all_of_it_is_there() {
        let whole = b"POST /n/1 HTTP/1.1\r\nhost: a\r\nContent-Length: 2\r\n\r\n[]";
        assert_eq!(request(&whole[..whole.len() - 1]).unwrap(), None);
        assert_eq!(request(whole).unwrap(), Some((whole.len() - 2, whole.len())));
        assert!(request(b"nonsense\r\n\r\n").is_err());
    }
}
